"""What the networks saw, as terms of the whole-clip solver in the camera's frame.

Image points count most; relative points give directions between neighbours, turned to the viewing ray and brought to
the lengths of the tree's bones, because their own are flat and their size depends on the view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.human import rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import bones
from vidpretrain.motion.bridge import bridge
from vidpretrain.motion.camera import ray_rotation, unproject
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.motion.hands import Hand, found
from vidpretrain.solve import PinholeCamera, PixelTerm, PointTerm, Term, VectorTerm
from vidpretrain.tree import Tree
from vidpretrain.types import Camera, PoseTrack

_BODY = skeletons.skeleton("body33")
_HAND_BONES = [(int(p), k) for k, p in enumerate(bones.HAND_PARENT) if p > 0]
_PALM_BONES = [(0, 5), (0, 9), (0, 17), (17, 5)]
_MIDDLE = [0, 9, 10, 11, 12]  # wrist to the tip of the middle finger
HAND_CENTRE, TRUNK_CENTRE = list(range(21)), [11, 12, 23, 24]  # points whose ray a network's crop is centred on
_HEAD_POINTS = tuple(range(11))
_HAND_POINTS = tuple(range(17, 23))  # the body network's own idea of a hand
# How far people who mark keypoints disagree, over that of the shoulders: COCO's keypoint evaluation (OKS), extended to
# the points that COCO does not have by their neighbours. Hips are guessed through clothes and tables.
_DOUBT = np.array([0.026, *(0.025,) * 6, 0.035, 0.035, 0.035, 0.035, *(0.079,) * 2, *(0.072,) * 2, *(0.062,) * 2])
_DOUBT = np.concatenate([_DOUBT, (0.072,) * 6, (0.107,) * 2, (0.087,) * 2, (0.089,) * 6]) / 0.079
_DOUBT = np.hypot(_DOUBT, 0.5)  # no point of the tree is better known than half as well as a shoulder
_BODY_BONES = [
    *(("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("left_ear", "right_ear")),
    *((f"{s}_{a}", f"{s}_{b}") for s in skeletons.SIDES for a, b in (("hip", "shoulder"), ("shoulder", "elbow"))),
    *((f"{s}_{a}", f"{s}_{b}") for s in skeletons.SIDES for a, b in (("elbow", "wrist"), ("hip", "knee"))),
    *((f"{s}_{a}", f"{s}_{b}") for s in skeletons.SIDES for a, b in (("knee", "ankle"), ("heel", "foot_index"))),
    *((f"{s}_ear", "nose") for s in skeletons.SIDES),
]


@dataclass(frozen=True)
class Seen:
    """A track in the camera: undistorted pixels (t k 2), relative points turned to the ray (t k 3).

    `size_px` (t) is the hand's or torso's length in the picture.
    """

    uv_px: np.ndarray
    p_turned: np.ndarray
    size_px: np.ndarray

    def cut(self, part: slice) -> Seen:
        """Some of its frames."""
        return Seen(self.uv_px[part], self.p_turned[part], self.size_px[part])


def really_seen(hand: Hand, track: PoseTrack, config: MotionConfig) -> np.ndarray:
    """(t) frames in which a hand was seen, and not run on through a gap."""
    return hand.seen & ~hand.imputed & found(track, config)


def hand_weight(hand: Hand, track: PoseTrack, config: MotionConfig) -> np.ndarray:
    """(t) 1 where a hand was seen, less where its points were run on through a gap, 0 where there is none."""
    real = really_seen(hand, track, config)
    return np.where(real, 1.0, np.where(hand.seen, config.fit.run_on_weight, 0.0))


def hand_doubt(hand: Hand, track: PoseTrack, config: MotionConfig) -> np.ndarray:
    """(t) factor on the sigmas of a hand's points: 1 where the network is sure, `unsure_factor` where it is not.

    A hand whose side its network denies is half the time no hand, or lies the other way round: its points are right to
    a hand's breadth only. What was run on through a gap is no surer.
    """
    fit = config.fit
    confidence = np.nan_to_num(track.confidence).mean(axis=1)
    confidence = np.where(really_seen(hand, track, config), confidence, fit.unsure_confidence)
    unsure = (fit.sure_confidence - confidence) / (fit.sure_confidence - fit.unsure_confidence)
    return 1.0 + (fit.unsure_factor - 1.0) * np.clip(unsure, 0.0, 1.0)


def led_by_hand(weight: np.ndarray, doubt: dict[str, np.ndarray], config: FitConfig) -> np.ndarray:
    """Weights (t 33) of a body whose wrists count little where a hand that is sure (`doubt` (t) near 1) hangs on them.

    In side views the body network puts a hidden arm anywhere with full confidence, and robust losses then give up the
    hand instead. `doubt` is infinite where no hand is seen.
    """
    out = weight.copy()
    for k, side in enumerate(skeletons.SIDES):
        sure = 1.0 / doubt[side] ** 2
        out[:, 15 + k : 23 : 2] *= (1.0 - (1.0 - config.led_share) * sure)[:, None]
    return out


def pinhole(camera: Camera, part: slice = slice(None)) -> PinholeCamera:
    """The camera as the solver's in the frames `part`: the fit's world is the first frame's camera, which may move."""
    moving = camera.T_world_camera
    return PinholeCamera(
        T_world_camera=geometry.IDENTITY_POSE if moving is None else moving[part],
        focal_px=np.array([camera.K[0, 0], camera.K[1, 1]]),
        center_px=np.array([camera.K[0, 2], camera.K[1, 2]]),
    )


def seen(track: PoseTrack, real: np.ndarray, camera: Camera, centre: list[int]) -> Seen:
    """What a track says, run on smoothly through frames that are not `real` (t); the ray is that of points `centre`.

    With a camera that moves (`T_world_camera` (t 7)) the relative points have the axes of the world.
    """
    ray = unproject(camera, track.p_image_keypoint)
    moving = camera.T_world_camera
    uv = ray * np.array([camera.K[0, 0], camera.K[1, 1]]) + camera.K[:2, 2]
    middle = np.nan_to_num(ray[:, centre].mean(axis=1))
    relative = np.zeros((*ray.shape[:2], 3)) if track.p_relative_keypoint is None else track.p_relative_keypoint
    relative = np.where(np.isfinite(relative), relative, 0.0)
    turned = geometry.rotate(ray_rotation(middle)[:, None], relative)
    if moving is not None:
        turned = geometry.rotate(moving[:, None, :4], turned)
    if track.skeleton == "body33":
        shoulders, hips = uv[:, 11:13].mean(axis=1), uv[:, 23:25].mean(axis=1)
        size = np.fmax(np.linalg.norm(shoulders - hips, axis=-1), np.linalg.norm(uv[:, 11] - uv[:, 12], axis=-1))
    else:
        size = np.linalg.norm(np.diff(uv[:, _MIDDLE], axis=1), axis=-1).sum(axis=1)
    turned = _run_on(track.time_ns, turned, real)
    uv = (
        _run_on(track.time_ns, uv, real) if moving is None else _run_on_moving(track.time_ns, ray, real, camera, moving)
    )
    known = np.isfinite(size)
    typical = float(np.median(size[known])) if known.any() else 1.0
    return Seen(uv, turned, np.fmax(size, typical))  # foreshortened or lost: as usual


def _run_on(time_ns, points: np.ndarray, real: np.ndarray) -> np.ndarray:
    """The points (t k n) with frames that are not real filled from those around; as they are where nothing is real."""
    usable = real & np.isfinite(points).all(axis=(1, 2))
    if usable.all() or not usable.any():
        return points
    flat = np.where(usable[:, None], points.reshape(len(points), -1), 0.0)
    return bridge(time_ns, flat, usable).reshape(points.shape)


def _run_on_moving(time_ns, ray: np.ndarray, real: np.ndarray, camera: Camera, moving: np.ndarray) -> np.ndarray:
    """Pixels (t k 2) run on in the world's directions, so that what stands still is not carried along by the camera."""
    world = geometry.rotate(moving[:, None, :4], np.concatenate([ray, np.ones((*ray.shape[:2], 1))], axis=-1))
    back = geometry.rotate(geometry.quat_inverse(moving[:, None, :4]), _run_on(time_ns, world, real))
    with np.errstate(invalid="ignore", divide="ignore"):
        ray = np.where(back[..., 2:] > 0.1, back[..., :2] / back[..., 2:], np.nan)
    return ray * np.array([camera.K[0, 0], camera.K[1, 1]]) + camera.K[:2, 2]


def bone_lengths(tree: Tree, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Distances (n) between pairs of sites at rest, m."""
    at = site_poses(tree, rest(tree)[None])[0, :, 4:]
    return np.array([np.linalg.norm(at[tree.site(b)] - at[tree.site(a)]) for a, b in pairs])


def hand_terms(
    tree: Tree,
    side: str,
    look: Seen,
    weight: np.ndarray,
    camera: PinholeCamera,
    config: FitConfig,
    share: float | None = None,
    on_body: bool = False,
) -> list[Term]:
    """Terms of a hand's 21 points; `weight` (t) is 0 where it was not seen and 1 where it is trusted.

    `share` (None: the config's `hand_share`) is the part of the points that counts. `on_body`: the hand hangs on an arm
    that is seen, so that its wrist and its palm's direction are believed more.
    """
    share = config.hand_share if share is None else share
    wrist_factor = config.body_wrist_factor if on_body else config.wrist_factor
    turn = np.radians(config.hand_turn_deg)
    palm = np.radians(config.body_palm_turn_deg) if on_body else turn
    names = [f"{side}_hand_{name}" for name in skeletons.HAND_NAMES]
    sigma = np.hypot(config.hand_px * look.size_px, config.least_px)
    factor = np.ones(21)
    factor[0], factor[1] = wrist_factor, config.thumb_base_factor
    terms: list[Term] = [
        PixelTerm(
            site=name,
            uv_px=look.uv_px[:, k],
            weight=share * weight / (factor[k] * sigma) ** 2,
            camera=camera,
            huber_px=config.robust * float(np.median(sigma)),
            loss="cauchy",
        )
        for k, name in enumerate(names)
    ]
    pairs = [(names[a], names[b]) for a, b in (*_HAND_BONES, *_PALM_BONES)]
    for (a, b), length, pair in zip((*_HAND_BONES, *_PALM_BONES), bone_lengths(tree, pairs), pairs, strict=True):
        wide = (palm if (a, b) in _PALM_BONES else turn) * length
        terms.append(
            VectorTerm(
                from_site=pair[0],
                to_site=pair[1],
                target_m=geometry.normalize(look.p_turned[:, b] - look.p_turned[:, a]) * length,
                weight=share * weight / wide**2,
                huber_m=config.robust * wide,
                loss="cauchy",
            )
        )
    return terms


def far_terms(
    side: str,
    T_camera_palm: np.ndarray,
    unsure: np.ndarray,
    size_px: np.ndarray,
    camera: Camera,
    part: slice,
    config: FitConfig,
) -> list[Term]:
    """Terms that keep an unsure hand about as far as its size in the picture says; `unsure` (t) is their share.

    The smaller it is, the less its size tells, as with its points (`hand_px`, `least_px`). A hand whose points are
    doubted, as its side is, still is about as large as it looks; by its points' wide sigmas alone the arm would swing
    back by a forearm's length.
    """
    depth = T_camera_palm[:, 6]
    known = np.isfinite(depth) & (unsure > 0)
    if not known[part].any():
        return []
    palm = np.where(known[:, None], T_camera_palm[:, 4:], np.nan)
    world = palm if camera.T_world_camera is None else geometry.transform(camera.T_world_camera, palm)
    coarse = np.hypot(1.0, config.least_px / (config.hand_px * np.where(known, size_px, 1.0)))
    sigma = config.unsure_far * coarse * np.where(known, depth, 1.0)
    return [
        PointTerm(
            site=f"{side}_palm",
            p_world_target=world[part],
            weight=np.where(known, unsure / sigma**2, 0.0)[part],
            huber_m=config.robust * float(np.median(sigma[known])),
            loss="cauchy",
        )
    ]


def body_terms(
    tree: Tree,
    look: Seen,
    weight: np.ndarray,
    doubt: dict[str, np.ndarray],
    legs: bool,
    camera: PinholeCamera,
    config: FitConfig,
) -> list[Term]:
    """Terms of the body's points; `weight` (t 33) is 0 where a point is not trusted, else about its visibility.

    `doubt` (t) by side as in `led_by_hand`: where no sure hand tells where the arm is, its directions count little, as
    they are guesses there; pixels, reach and calm then lead.
    """
    sigma = np.hypot(config.body_px * look.size_px, config.least_px)
    share = np.full(33, config.body_share)
    share[list(_HEAD_POINTS)] *= 3.0 / 11.0  # eleven points of one head count as three
    share[list(_HAND_POINTS)] *= 0.25
    used = [k for k in range(33) if legs or k < 25]
    terms: list[Term] = [
        PixelTerm(
            site=_BODY.names[k],
            uv_px=look.uv_px[:, k],
            weight=share[k] * weight[:, k] / (_DOUBT[k] * sigma) ** 2,
            camera=camera,
            huber_px=config.robust * _DOUBT[k] * float(np.median(sigma)),
            loss="cauchy",
        )
        for k in used
    ]
    pairs = [p for p in _BODY_BONES if legs or _BODY.index(p[1]) < 25]
    turn = np.radians(config.body_turn_deg)
    for (a, b), length in zip(pairs, bone_lengths(tree, pairs), strict=True):
        i, j = _BODY.index(a), _BODY.index(b)
        wide, counts = turn * length, config.body_share
        if b.endswith(("_elbow", "_wrist")):
            sure = 1.0 / doubt[b.split("_")[0]] ** 2
            counts = sure * config.body_share + (1.0 - sure) * config.unsure_turn_share
        terms.append(
            VectorTerm(
                from_site=a,
                to_site=b,
                target_m=geometry.normalize(look.p_turned[:, j] - look.p_turned[:, i]) * length,
                weight=counts * np.minimum(weight[:, i], weight[:, j]) / wide**2,
                huber_m=config.robust * wide,
                loss="cauchy",
            )
        )
    return terms
