"""The body in the camera frame, and its wrists reconciled with the hands.

`lift_body` places the network's body, scaled to the person's height, so that it projects onto its image points;
`clean_body` bridges and smooths; `fuse_wrists` gives hand and body one wrist and the arm its constant lengths.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.motion import bones, clean
from vidpretrain.motion.camera import ray_rotation, unproject
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.place import place
from vidpretrain.types import Camera, PoseTrack

_AT = skeletons.skeleton("body33").index
SHOULDERS = [_AT("left_shoulder"), _AT("right_shoulder")]
HIPS = [_AT("left_hip"), _AT("right_hip")]
ARM = {side: [_AT(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")] for side in skeletons.SIDES}
PALM = {side: [_AT(f"{side}_{part}") for part in ("pinky", "index", "thumb")] for side in skeletons.SIDES}
_PALM_HAND = (17, 5, 2)  # the hand's points that the body's pinky, index and thumb are


@dataclass(frozen=True)
class Body:
    """A body over a clip in the camera frame.

    `p_camera` (t 33 3) m holds every point of a frame that is `found` (t), trusted or not, NaN elsewhere; `seen` and
    `imputed` (t 33) tell which may be used and which were bridged; `sigma_m` (t 33); `upper_m`, `fore_m` are the arm's
    lengths, `torso_m` shoulder to hip.
    """

    p_camera: np.ndarray
    sigma_m: np.ndarray
    found: np.ndarray
    seen: np.ndarray
    imputed: np.ndarray
    upper_m: float
    fore_m: float
    torso_m: float


def trusted(track: PoseTrack, camera: Camera, config: MotionConfig) -> np.ndarray:
    """(t 33) points that are confident, finite and inside the picture."""
    image = track.p_image_keypoint
    size = np.array([camera.width_px, camera.height_px])
    with np.errstate(invalid="ignore"):
        inside = ((image >= 0) & (image <= size)).all(-1)
    ok = inside & (np.nan_to_num(track.confidence) >= config.min_visibility)
    if track.p_relative_keypoint is None:
        return np.zeros_like(ok)
    return ok & np.isfinite(track.p_relative_keypoint).all(-1)


def lift_body(track: PoseTrack, camera: Camera, config: MotionConfig) -> Body:
    """Metric body of every frame with both shoulders and at least two more trusted points that reproject."""
    ok = trusted(track, camera, config)
    t = len(ok)
    with_shoulders = ok[:, SHOULDERS].all(axis=1) & (ok[:, 11:].sum(axis=1) >= 4)
    p_camera, sigma = np.full((t, 33, 3), np.nan), np.full((t, 33), np.nan)
    factor, lengths = 1.0, np.array([share for _, share in bones.BODY_SEGMENTS]) * config.person_height_m
    found = np.zeros(t, dtype=bool)
    index = np.flatnonzero(with_shoulders)
    if len(index) and track.p_relative_keypoint is not None:
        relative, seen = np.asarray(track.p_relative_keypoint)[index], ok[index]
        factor, lengths = bones.body_scale(relative, seen, config.person_height_m)
        ray = unproject(camera, track.p_image_keypoint[index])
        centre = np.where(seen[..., None], ray, 0).sum(1) / seen.sum(1)[:, None]
        shape = geometry.rotate(ray_rotation(centre)[:, None], relative * factor)
        weight = np.where(seen, track.confidence[index], 0.0)
        weight[:, :11] *= 0.3  # eleven points of one head count as three
        spot = place(shape, ray, weight, np.radians(config.body_rotation_sigma_deg))
        good = np.isfinite(spot.rms) & (spot.rms * np.nan_to_num(spot.p[:, 2]) <= config.max_reprojection * lengths[3])
        kept = index[good]
        found[kept] = True
        p_camera[kept] = geometry.rotate(spot.q[good, None], shape[good]) + spot.p[good, None]
        sigma[kept] = _sigma(spot.rms[good] * spot.p[good, 2], track.confidence[kept], config)
    seen = ok & found[:, None]
    imputed = np.zeros_like(seen)
    return Body(p_camera, sigma, found, seen, imputed, float(lengths[1]), float(lengths[2]), float(lengths[3]))


def _sigma(rms_m, confidence, config):
    doubt = 1.0 + 2.0 * (1.0 - np.clip(np.nan_to_num(confidence), 0, 1))
    return np.hypot(rms_m[:, None], config.body_wrist_sigma_m / 2) * doubt


def drop_invented(body: Body, hands: dict[str, Hand], config: MotionConfig) -> Body:
    """The body without frames in which a hand is far larger than that body's hand could be.

    The pose network makes up whole bodies on hands that fill the picture; the hand it stands on is then several
    times nearer than the body's wrist. Where that is so in half of the frames that tell, no frame of the clip counts.
    """
    ratio = np.full((len(body.found), 2), np.nan)
    for column, side in enumerate(skeletons.SIDES):
        hand, wrist = hands[side], body.p_camera[:, ARM[side][2]]
        both = hand.seen & ~hand.imputed & body.found
        ratio[both, column] = hand.p_wrist[both, 2] / np.maximum(wrist[both, 2], 0.05)
    tells = np.isfinite(ratio).any(axis=1)
    invented = np.nan_to_num(ratio, nan=1.0).min(axis=1) < config.min_depth_ratio
    found = body.found & ~invented
    if tells.any() and invented[tells].mean() >= 0.5:
        found = np.zeros_like(found)
    return dataclasses.replace(body, found=found, seen=body.seen & found[:, None])


def drop_strangers(hands: dict[str, Hand], body: Body, config: MotionConfig) -> dict[str, Hand]:
    """The hands without frames in which a trusted wrist of the body is elsewhere across the view.

    Such a hand is another person's, or carries the label of the other side: at a distance labels mean little.
    """
    out = {}
    for side in skeletons.SIDES:
        hand, wrist = hands[side], ARM[side][2]
        p_body = body.p_camera[:, wrist]
        both = hand.seen & body.seen[:, wrist] & ~body.imputed[:, wrist]
        apart = np.zeros(len(both))
        at = hand.p_wrist[both] * (p_body[both, 2:] / hand.p_wrist[both, 2:])
        apart[both] = np.linalg.norm((at - p_body[both])[:, :2], axis=-1)
        seen = hand.seen & ~(apart > config.max_wrist_apart * body.torso_m)
        out[side] = dataclasses.replace(hand, seen=seen)
    return out


def clean_body(body: Body, time_ns: Int64[np.ndarray, " t"], config: MotionConfig) -> Body:
    """The body with short gaps bridged and marked, outlying wrists dropped, place and posture smoothed apart."""
    p_camera, sigma = body.p_camera.copy(), body.sigma_m.copy()
    longest = clean.longest_gap(time_ns, config)
    centre = p_camera[:, SHOULDERS].mean(axis=1)
    found = body.found & ~clean.outliers(time_ns, np.nan_to_num(centre), body.found, config)
    seen = body.seen & found[:, None]
    for side in skeletons.SIDES:
        wrist = ARM[side][2]
        relative = np.nan_to_num(p_camera[:, wrist] - centre)
        seen[:, wrist] &= ~clean.outliers(time_ns, relative, seen[:, wrist], config)
    bridged = clean.fillable(found, longest)
    imputed = np.stack([clean.fillable(seen[:, k], longest) for k in range(33)], axis=1)
    whole = found | bridged
    imputed &= whole[:, None]
    for start, end in timebase.runs(whole):
        part = slice(start, end)
        times, real = time_ns[part], found[part]
        anchor = clean.interpolate_gaps(times, centre[part], real)
        weight = np.where(real, 1.0, 0.05)
        depth = clean.robust_depth(times, anchor[:, 2], weight, config.smooth_body_depth_hz)
        ray = clean.smooth(times, anchor[:, :2] / anchor[:, 2:], weight, config.smooth_place_hz)
        place_m = np.concatenate([ray, np.ones((len(ray), 1))], axis=1) * depth[:, None]
        posture = _smooth_posture(times, p_camera[part] - centre[part, None], seen[part], real, sigma[part], config)
        p_camera[part] = posture + place_m[:, None]
        for k in range(33):
            sigma[part, k] = clean.interpolate_gaps(times, sigma[part, k], real)
    sigma = np.where(imputed, 1.5 * sigma, sigma)
    p_camera[~whole], sigma[~whole] = np.nan, np.nan
    return dataclasses.replace(
        body, p_camera=p_camera, sigma_m=sigma, found=whole, seen=seen | imputed, imputed=imputed
    )


def _smooth_posture(times, relative, seen, real, sigma, config):
    out = np.empty_like(relative)
    for k in range(33):
        trusted_here = seen[:, k]
        known = trusted_here if trusted_here.any() else real
        value = clean.interpolate_gaps(times, relative[:, k], known)
        doubt = np.nan_to_num(sigma[:, k] / np.nanmedian(sigma), nan=1.0)
        weight = np.where(known, 1.0 / np.maximum(doubt, 0.3) ** 2, 0.05)
        # the network guesses depth and sees the rest
        out[:, k, :2] = clean.smooth(times, value[:, :2], weight, config.smooth_shape_hz)
        out[:, k, 2] = clean.smooth(times, value[:, 2], weight, config.smooth_depth_hz)
    return out


def fuse_wrists(
    body: Body, hands: dict[str, Hand], time_ns: Int64[np.ndarray, " t"], config: MotionConfig
) -> tuple[Body, dict[str, Hand]]:
    """(body, hands) that share their wrists: the hand's ray, the depth of both by their sigmas, within the arm's reach.

    The depth of the body is better far away, the hand's close up. Where the hand is missing, the body's wrist keeps a
    correction that dies away, so that nothing jumps when a hand comes or goes; elbows follow at constant lengths.
    """
    body = _long_enough(body, hands)
    p, seen, imputed = body.p_camera.copy(), body.seen.copy(), body.imputed.copy()
    sigma = body.sigma_m.copy()
    moved = dict(hands)
    for side in skeletons.SIDES:
        hand = hands[side]
        shoulder, elbow, wrist = ARM[side]
        end = [wrist, *PALM[side]]
        both = hand.seen & body.found
        if both.any():
            at, at_sigma = _fused(hand, p, sigma, both, side, body, config)
            p[:, end] += _offset(hand, body, at - p[:, wrist], both, wrist, time_ns)[:, None]
            imputed[both, wrist] = hand.imputed[both] & (body.imputed | ~body.seen)[both, wrist]
            imputed[_cells(both, PALM[side])] = hand.imputed[both][:, None]
            sigma[_cells(both, end)] = at_sigma[both][:, None]
            seen[_cells(both, end)] = True
            hand = dataclasses.replace(hand, sigma_m=np.where(both, at_sigma, hand.sigma_m))
        p[:, elbow], reached = _arm(p[:, shoulder], p[:, elbow], p[:, wrist], body.upper_m, body.fore_m)
        p[:, end] += (reached - p[:, wrist])[:, None]
        if both.any():
            hand = follow(hand, p[:, wrist], both, time_ns)
            p[_cells(both, PALM[side])] = hand.p_camera[both][:, list(_PALM_HAND)]
        moved[side] = hand
    return dataclasses.replace(body, p_camera=p, sigma_m=sigma, seen=seen, imputed=imputed), moved


def follow(hand: Hand, p_fused: np.ndarray, both: np.ndarray, time_ns: np.ndarray) -> Hand:
    """The hand at the fused wrist; where the body is missing its own depth, led there over a moment."""
    far, own = np.linalg.norm(p_fused, axis=-1), np.linalg.norm(hand.p_wrist, axis=-1)
    stretch = np.zeros(len(both))
    stretch[both] = np.log(far[both] / own[both])
    stretch = clean.interpolate_gaps(time_ns, stretch, both) * _fade(both, time_ns)
    p_wrist = np.where(both[:, None], p_fused, hand.p_wrist * np.exp(stretch)[:, None])
    return dataclasses.replace(hand, p_wrist=p_wrist)


def _offset(
    hand: Hand, body: Body, offset: np.ndarray, both: np.ndarray, wrist: int, time_ns: np.ndarray
) -> np.ndarray:
    """(t 3) what moves the body's wrist to the fused one; in a bridged gap of the hand the body's wrist leads."""
    led = hand.imputed & body.seen[:, wrist] & ~body.imputed[:, wrist]
    own = both & ~led if (both & ~led).any() else both
    filled = clean.interpolate_gaps(time_ns, np.where(own[:, None], offset, 0.0), own)
    return filled * _fade(both, time_ns)[:, None]


def _long_enough(body: Body, hands: dict[str, Hand]) -> Body:
    """The body with arms (up to 15 % longer) that reach the rays of nearly all wrists seen: networks shorten depth."""
    needed = []
    for side in skeletons.SIDES:
        hand, (shoulder, _, wrist) = hands[side], ARM[side]
        both = hand.seen & body.found
        ray = geometry.normalize(hand.p_wrist[both])
        from_shoulder = body.p_camera[both, shoulder]
        needed.append(np.linalg.norm(from_shoulder - (from_shoulder * ray).sum(-1, keepdims=True) * ray, axis=-1))
        own = body.seen[:, wrist] & body.seen[:, shoulder]
        needed.append(np.linalg.norm(body.p_camera[own, wrist] - body.p_camera[own, shoulder], axis=-1))
    every = np.concatenate(needed)
    if len(every) == 0:
        return body
    longer = float(np.clip(np.percentile(every, 95) / (0.98 * (body.upper_m + body.fore_m)), 1.0, 1.15))
    return dataclasses.replace(body, upper_m=body.upper_m * longer, fore_m=body.fore_m * longer)


def _cells(frames: np.ndarray, points: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.flatnonzero(frames)[:, None], np.asarray(points)[None]


def _fused(hand: Hand, p, sigma, both, side, body: Body, config: MotionConfig):
    shoulder, _, wrist = ARM[side]
    ray = hand.p_wrist / np.linalg.norm(hand.p_wrist, axis=-1, keepdims=True)
    far_hand = np.linalg.norm(hand.p_wrist, axis=-1)
    far_body = (p[:, wrist] * ray).sum(-1)
    # what both share (an assumed focal length) moves body and hand alike: only the hand's own doubt counts here
    own = np.hypot(hand.sigma_m, config.size_uncertainty * far_hand)
    theirs = np.maximum(config.body_wrist_sigma_m, sigma[:, wrist])
    share = own**-2 / (own**-2 + theirs**-2)
    far = share * far_hand + (1 - share) * far_body
    far = _within_reach(far, ray, p[:, shoulder], 0.995 * (body.upper_m + body.fore_m))
    at = ray * far[:, None]
    at_sigma = np.hypot(hand.sigma_m, 0.7 * (own**-2 + theirs**-2) ** -0.5)
    return np.where(both[:, None], at, np.nan), at_sigma


def _within_reach(far, ray, shoulder, reach_m):
    along = (shoulder * ray).sum(-1)
    across2 = (shoulder**2).sum(-1) - along**2
    half = np.sqrt(np.maximum(reach_m**2 - across2, 0.0))
    return np.clip(far, along - half, along + half)


def _fade(both, time_ns, half_s: float = 0.2):
    index = np.flatnonzero(both)
    nearest = index[timebase.nearest_index(time_ns[both], time_ns)]
    away_s = np.abs(time_ns - time_ns[nearest]) / timebase.NS_PER_S
    return 0.5 ** (away_s / half_s)


def _arm(
    shoulder: Float64[np.ndarray, "t 3"],
    elbow: Float64[np.ndarray, "t 3"],
    wrist: Float64[np.ndarray, "t 3"],
    upper_m: float,
    fore_m: float,
):
    """Elbow and wrist at constant lengths: the wrist drawn into reach, the elbow bent the way it was."""
    reach = wrist - shoulder
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    along = reach / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(upper_m - fore_m) + 1e-3, 0.999 * (upper_m + fore_m))
    foot = (upper_m**2 - fore_m**2 + distance**2) / (2 * distance)
    bend = elbow - shoulder
    bend = geometry.normalize(bend - (bend * along).sum(-1, keepdims=True) * along)
    up = np.sqrt(np.maximum(upper_m**2 - foot**2, 0.0))
    return shoulder + foot * along + up * bend, shoulder + distance * along
