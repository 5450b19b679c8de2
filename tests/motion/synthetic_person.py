"""A posed person with known metric points, filmed by a known camera: what the tests of motion recover.

World: z up, x forward of the person, y left, origin on the floor below the pelvis; metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.types import Camera, Clip, HumanMotion, PoseTrack

BODY = skeletons.skeleton("body33")
# Right hand, palm down, fingers along x, thumb along +y, back of the hand along +z; wrist to middle tip .19 m.
_RIGHT_HAND = np.array(
    [
        *([0, 0, 0],),
        *([0.025, 0.028, -0.010], [0.055, 0.050, -0.018], [0.080, 0.068, -0.022], [0.102, 0.082, -0.025]),
        *([0.090, 0.024, 0.000], [0.132, 0.027, 0.000], [0.156, 0.029, 0.000], [0.178, 0.030, 0.000]),
        *([0.092, 0.002, 0.003], [0.138, 0.003, 0.003], [0.166, 0.003, 0.003], [0.190, 0.003, 0.003]),
        *([0.086, -0.018, 0.000], [0.127, -0.020, 0.000], [0.153, -0.022, 0.000], [0.176, -0.022, 0.000]),
        *([0.077, -0.036, -0.004], [0.108, -0.041, -0.004], [0.128, -0.044, -0.004], [0.147, -0.046, -0.004]),
    ]
)
HAND_LENGTH_M = 0.19
# Fractions of the height: x forward, y left (for the left side), z up, from the floor below the pelvis.
_STANDING = {
    "nose": (0.065, 0, 0.925),
    "left_eye_inner": (0.055, 0.010, 0.945),
    "left_eye": (0.053, 0.019, 0.945),
    "left_eye_outer": (0.048, 0.027, 0.945),
    "left_ear": (0.0, 0.045, 0.935),
    "mouth_left": (0.055, 0.015, 0.900),
    "left_shoulder": (0, 0.1025, 0.810),
    "left_hip": (0, 0.060, 0.530),
    "left_knee": (0.0, 0.060, 0.290),
    "left_ankle": (0, 0.060, 0.058),
    "left_heel": (-0.030, 0.060, 0.015),
    "left_foot_index": (0.090, 0.065, 0.015),
}
UPPER_ARM, FOREARM = 0.170, 0.150  # of the height


def hand_points(side: str, curl_rad: np.ndarray, length_m: float = HAND_LENGTH_M) -> np.ndarray:
    """Points (t 21 3) in the hand's frame (wrist at the origin) for finger curls (t), all joints bent alike."""
    curl_rad = np.asarray(curl_rad, dtype=float)
    points = np.repeat(_RIGHT_HAND[None], len(curl_rad), axis=0)
    for finger in range(1, 5):
        base = 1 + 4 * finger
        for part in range(1, 4):
            bone = _RIGHT_HAND[base + part] - _RIGHT_HAND[base + part - 1]
            q = geometry.quat_exp(curl_rad[:, None] * part * np.array([0, 1.0, 0]))
            points[:, base + part] = points[:, base + part - 1] + geometry.rotate(q, bone)
    points *= length_m / HAND_LENGTH_M
    return points * np.array([1, 1 if side == "right" else -1, 1])


def elbow(shoulder: np.ndarray, wrist: np.ndarray, upper_m: float, fore_m: float, towards: np.ndarray) -> np.ndarray:
    """Elbow of a two-bone arm, bent towards a direction."""
    reach = wrist - shoulder
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    along = reach / distance
    foot = (upper_m**2 - fore_m**2 + distance**2) / (2 * distance)
    side = towards - (towards * along).sum(-1, keepdims=True) * along
    return shoulder + foot * along + np.sqrt(np.maximum(upper_m**2 - foot**2, 0)) * geometry.normalize(side)


def person_points(
    wrist: dict[str, np.ndarray], hand_q: dict[str, np.ndarray], curl: dict[str, np.ndarray], height_m: float = 1.75
) -> np.ndarray:
    """human75 points (t 75 3) of a standing person whose wrists and hand orientations are given in the world."""
    t = len(next(iter(wrist.values())))
    out = np.zeros((t, 75, 3))
    for name, fraction in _STANDING.items():
        left = np.array(fraction) * height_m
        right = left * np.array([1, -1, 1])
        i = BODY.index(name)
        out[:, i], out[:, BODY.mirror[i]] = left, right
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hand = geometry.rotate(hand_q[side][:, None], hand_points(side, curl[side], 0.108 * height_m))
        hand = hand + wrist[side][:, None]
        out[:, skeletons.HAND_SLICES[side]] = hand
        at = BODY.index
        out[:, at(f"{side}_wrist")] = wrist[side]
        out[:, at(f"{side}_elbow")] = elbow(
            out[:, at(f"{side}_shoulder")],
            wrist[side],
            UPPER_ARM * height_m,
            FOREARM * height_m,
            np.array([-0.3, 0.3 * sign, -1.0]),
        )
        for name, source in (("pinky", 17), ("index", 5), ("thumb", 2)):
            out[:, at(f"{side}_{name}")] = hand[:, source]
    return out


def look_at(eye: np.ndarray, target: np.ndarray, roll_rad: float = 0.0) -> np.ndarray:
    """T_world_camera (7) of a camera at `eye` that looks at `target`, rolled about its optical axis."""
    forward = geometry.normalize(np.asarray(target, float) - eye)
    right = geometry.normalize(np.cross(forward, [0, 0, 1.0]))
    R = np.stack([right, np.cross(forward, right), forward], axis=-1)
    q = geometry.quat_mul(geometry.quat_from_matrix(R), geometry.quat_exp(np.array([0, 0, roll_rad])))
    return geometry.pose(q, np.asarray(eye, float))


def reaching(time_s: np.ndarray, height_m: float = 1.75, speed: float = 1.0) -> np.ndarray:
    """human75 points of a person who reaches with both hands and closes them."""
    phase = 2 * np.pi * 0.35 * speed * time_s
    wrist, q, curl = {}, {}, {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        wave = np.sin(phase + (0.0 if side == "left" else 0.8))
        wrist[side] = height_m * np.stack([0.20 + 0.04 * wave, sign * (0.10 + 0.03 * wave), 0.66 + 0.06 * wave], -1)
        turn = np.stack([0.4 * sign * wave, -0.2 + 0.2 * wave, -0.3 * sign + 0.2 * wave], -1)
        q[side] = geometry.quat_exp(turn)
        curl[side] = 0.35 + 0.3 * wave
    return person_points(wrist, q, curl, height_m)


def raising(time_s: np.ndarray, height_m: float = 1.75) -> np.ndarray:
    """human75 points of a person who raises both arms to the sides and lowers them."""
    lift = 0.5 - 0.5 * np.cos(2 * np.pi * 0.25 * time_s)
    wrist, q, curl = {}, {}, {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        angle = np.radians(-70 + 110 * lift)
        reach = 0.29 * height_m
        shoulder = np.array([0, sign * 0.1025, 0.810]) * height_m
        wrist[side] = shoulder + reach * np.stack(
            [0.15 + 0 * angle, sign * np.cos(angle), np.sin(angle)], -1
        ) / np.hypot(1, 0.15)
        yaw = geometry.quat_exp(np.array([0, 0, sign * np.pi / 2]))
        q[side] = geometry.quat_mul(geometry.quat_exp(np.stack([sign * angle, 0 * angle, 0 * angle], -1)), yaw)
        curl[side] = 0.1 + 0.4 * lift
    return person_points(wrist, q, curl, height_m)


@dataclass(frozen=True)
class Filmed:
    """Tracks as a network would give them, and the truth: p_world (t 75 3), T_world_camera, K."""

    clip: Clip
    tracks: tuple[PoseTrack, ...]
    p_world: np.ndarray
    T_world_camera: np.ndarray
    K: np.ndarray


def film(
    p_world: np.ndarray,
    T_world_camera: np.ndarray,
    *,
    rate_hz: float = 30.0,
    size: tuple[int, int] = (1280, 720),
    fov_x_deg: float = 60.0,
    noise_px: float = 0.0,
    noise_m: float = 0.0,
    seed: int = 0,
    body: bool = True,
    hands: tuple[str, ...] = ("left", "right"),
    network_scale: float = 1.0,
) -> Filmed:
    """Project the points and make what the networks say: relative points as if seen straight on, in their scale."""
    rng = np.random.default_rng(seed)
    width, height = size
    f = 0.5 * width / np.tan(np.radians(fov_x_deg) / 2)
    K = np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1.0]])
    p_camera = geometry.transform(geometry.inverse(T_world_camera), p_world)
    time_ns = np.round(np.arange(len(p_world)) * 1e9 / rate_hz).astype(np.int64)
    clip = Clip(
        clip_id="synthetic",
        source_id="synthetic",
        path="synthetic.mp4",
        start_ns=0,
        exclusive_end_ns=int(time_ns[-1] + round(1e9 / rate_hz)),
        width_px=width,
        height_px=height,
    )

    def track(name: str, points: np.ndarray, centre: np.ndarray, seen: bool) -> PoseTrack:
        image = points @ K.T
        image = image[..., :2] / image[..., 2:] + rng.normal(0, noise_px, (*points.shape[:2], 2))
        relative = _straight_on(points - centre[:, None], centre) * network_scale
        relative = relative + rng.normal(0, noise_m, relative.shape)
        inside = (image > 0).all(-1) & (image < [width, height]).all(-1) & (points[..., 2] > 0.05)
        confidence = np.where(inside, 0.95, 0.1) if name == "body33" else np.full(points.shape[:2], 0.95)
        if not seen:
            image, relative, confidence = np.full_like(image, np.nan), np.full_like(relative, np.nan), 0 * confidence
        return PoseTrack(
            clip_id="synthetic",
            person_id="0",
            skeleton=name,
            time_ns=time_ns,
            p_image_keypoint=image,
            p_relative_keypoint=relative,
            confidence=confidence,
        )

    tracks = []
    for side in skeletons.SIDES:
        points = p_camera[:, skeletons.HAND_SLICES[side]]
        tracks.append(track(f"hand21_{side}", points, points.mean(axis=1), side in hands))
    points = p_camera[:, skeletons.BODY_SLICE]
    tracks.append(track("body33", points, points[:, [23, 24]].mean(axis=1), body))
    return Filmed(clip, tuple(tracks), p_world, T_world_camera, K)


def _straight_on(offset: np.ndarray, centre: np.ndarray) -> np.ndarray:
    ray = geometry.normalize(centre)
    axis = np.cross(ray, [0, 0, 1.0])
    angle = np.arccos(np.clip(ray[:, 2], -1, 1))
    q = geometry.quat_exp(geometry.normalize(axis) * angle[:, None])
    return geometry.rotate(q[:, None], offset)


def with_track(filmed: Filmed, index: int, **changes: np.ndarray) -> Filmed:
    """The same film with fields of one track replaced."""
    import dataclasses

    tracks = list(filmed.tracks)
    tracks[index] = dataclasses.replace(tracks[index], **changes)
    return dataclasses.replace(filmed, tracks=tuple(tracks))


def hide(filmed: Filmed, index: int, frames: slice) -> Filmed:
    """The same film where one track found nothing in some frames."""
    track = filmed.tracks[index]
    image = track.p_image_keypoint.copy()
    confidence = track.confidence.copy()
    assert track.p_relative_keypoint is not None
    relative = track.p_relative_keypoint.copy()
    image[frames], relative[frames], confidence[frames] = np.nan, np.nan, 0
    return with_track(filmed, index, p_image_keypoint=image, p_relative_keypoint=relative, confidence=confidence)


def true_motion(
    filmed: Filmed, view: str, body: bool = True, hands: tuple[str, ...] = ("left", "right")
) -> HumanMotion:
    """The truth as a HumanMotion, with NaN under what is not seen."""
    t = len(filmed.p_world)
    valid = np.zeros((t, 75), dtype=bool)
    valid[:, :33] = body
    for side in hands:
        valid[:, skeletons.HAND_SLICES[side]] = True
    pelvis = filmed.p_world[:, [23, 24]].mean(axis=1)
    root = geometry.pose(np.tile([1.0, 0, 0, 0], (t, 1)), pelvis)
    return HumanMotion(
        clip_id=f"synth_{view}",
        skeleton="human75",
        time_ns=filmed.tracks[0].time_ns,
        T_world_root=root if body else np.full((t, 7), np.nan),
        p_world_keypoint=np.where(valid[..., None], filmed.p_world, np.nan),
        sigma_m=np.where(valid, 0.01, np.nan),
        valid=valid,
        imputed=np.zeros_like(valid),
        contact=np.full((t, 2), 1.0 if body else 0.0),
        height_m=1.75,
        height_from="given",
        view="ego" if view == "ego" else "third",
        body_seen=body,
        camera=Camera(
            K=filmed.K,
            distortion=np.zeros(5),
            width_px=filmed.clip.width_px,
            height_px=filmed.clip.height_px,
            T_world_camera=np.tile(filmed.T_world_camera, (t, 1)),
            intrinsics_from="given",
            gravity_from="given",
        ),
    )
