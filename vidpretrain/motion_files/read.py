"""A file of human motion to `HumanMotion`: read, metric, sides, what can be filled in, and checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.errors import InputError
from vidpretrain.motion.body import Body
from vidpretrain.motion.world import foot_contact, root_pose
from vidpretrain.motion_files import metric, sides
from vidpretrain.motion_files.config import MotionFileConfig
from vidpretrain.motion_files.raw import HUMAN, RawMotion, finite
from vidpretrain.skeletons import SIDES
from vidpretrain.types import Camera, HumanMotion

_TORSO = 0.283
_SOLE_RAD, _FOOT_BY_ANKLE_TOE = 0.45, 1.5  # ankle to ball of the foot falls this steep; heel to ball over ankle to ball
_HEIGHT_M = 1.7


def read_motion(path: Path | str, config: MotionFileConfig) -> HumanMotion:
    """The person's motion: skeleton human75, metres, z up, the floor at 0; points that the file lacks are not valid.

    Formats, by suffix: .bvh; .npz and .pkl with joints (t k 3) of the SMPL family or 21 points of a hand. Pickles are
    read without running anything that is in them. Frames with points that are not finite keep their others.

    Raises:
        InputError: the file is missing, broken, cut short, of another skeleton, in no known unit, upside down,
            mirrored, without a frame rate or without usable frames; the error names which, and what to set.
        UnknownName: a name of the configuration is not in the file.
    """
    path = Path(path)
    raw = _read(path, config)
    rate_hz = config.rate_hz or raw.rate_hz
    if rate_hz is None:
        raise InputError(
            "the file says no frame rate",
            asked=path,
            found=f"{len(raw.p)} frames",
            valid="the frames per second in motion_files.rate_hz (in Python: MotionFileConfig(rate_hz=30))",
            next_command="the same command with motion_files.rate_hz=30",
        )
    p = np.where(raw.known[..., None], raw.p, np.nan)
    if raw.lone_hand:
        p = sides.place_lone_hand(p, config, path)
    unit, height_m = metric.unit_m(p, config, path)
    p = sides.put_right(unit * metric.to_z_up(p, config, path), config, path)
    usable = _usable(p)
    if usable.mean() < config.min_usable_share:
        raise InputError(
            "too few frames have an arm or a hand whose points are all finite",
            asked=path,
            found=f"{int(usable.sum())} of {len(p)} frames",
            valid=f"at least {config.min_usable_share:.0%}",
        )
    return _assemble(p, rate_hz, height_m, path, config)


def _read(path: Path, config: MotionFileConfig) -> RawMotion:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError("no such file", asked=path)
    if suffix == ".bvh":
        from vidpretrain.motion_files.bvh import read_bvh
        from vidpretrain.motion_files.bvh_names import points_of_bvh

        bvh = read_bvh(path)
        return RawMotion(p=points_of_bvh(bvh, config.names), rate_hz=bvh.rate_hz)
    if suffix in (".npz", ".pkl", ".pickle", ".joblib"):
        from vidpretrain.motion_files.arrays import read_npz, read_pickle

        return (read_npz if suffix == ".npz" else read_pickle)(path, config.motion)
    raise InputError(f"unknown kind of motion file '{path.suffix}'", asked=path, valid=".bvh, .npz, .pkl")


def _usable(p: np.ndarray) -> np.ndarray:
    """(t) frames in which a whole arm or a whole hand is known."""
    known = finite(p)
    parts = [HUMAN.indices(*(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist"))) for side in SIDES]
    parts += [list(range(s.start, s.stop)) for s in skeletons.HAND_SLICES.values()]
    return np.asarray(np.stack([known[:, part].all(axis=1) for part in parts]).any(axis=0))


def _with_heels(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(points, imputed): heels where the file has toes but none, along the sole behind the ball of the foot."""
    p, imputed = p.copy(), np.zeros(p.shape[:2], dtype=bool)
    for side in SIDES:
        knee, ankle, heel, toe = (HUMAN.index(f"{side}_{part}") for part in ("knee", "ankle", "heel", "foot_index"))
        down = p[:, toe] - p[:, ankle]
        hinge = geometry.normalize(np.cross(down, p[:, knee] - p[:, ankle]))
        sole = geometry.rotate(geometry.quat_exp(_SOLE_RAD * hinge), down)
        behind = p[:, toe] - _FOOT_BY_ANKLE_TOE * sole
        fill = finite(behind) & ~finite(p[:, heel])
        p[fill, heel], imputed[fill, heel] = behind[fill], True
    return p, imputed


def _assemble(p: np.ndarray, rate_hz: float, height_m: float, path: Path, config: MotionFileConfig) -> HumanMotion:
    frames = len(p)
    p, imputed = _with_heels(p)
    known = finite(p)
    body_seen = bool(known[:, HUMAN.indices("left_shoulder", "right_shoulder")].all(axis=1).any())
    feet = p[:, HUMAN.indices("left_foot_index", "right_foot_index"), 2]
    if np.isfinite(feet).any():
        p = p - np.array([0.0, 0.0, np.nanpercentile(np.nanmin(np.where(np.isfinite(feet), feet, np.inf), axis=1), 5)])
    time_ns = np.round(np.arange(frames) * (timebase.NS_PER_S / rate_hz)).astype(np.int64)
    sigma = np.full(p.shape[:2], config.body_sigma_m)
    sigma[:, skeletons.LEFT_HAND_SLICE.start :] = config.hand_sigma_m
    height = config.height_m or (height_m if np.isfinite(height_m) else _HEIGHT_M)
    root, contact = _root_and_contact(p[:, skeletons.BODY_SLICE], known[:, skeletons.BODY_SLICE], time_ns, height)
    return HumanMotion(
        clip_id=path.stem,
        skeleton="human75",
        time_ns=time_ns,
        T_world_root=root,
        p_world_keypoint=np.where(known[..., None], p, np.nan),
        sigma_m=np.where(known, sigma, np.nan),
        valid=known,
        imputed=imputed,
        contact=contact,
        height_m=height,
        height_from="given" if config.height_m else "fitted" if np.isfinite(height_m) else "assumed",
        view="third",
        body_seen=body_seen,
        camera=_no_camera(),
    )


def _root_and_contact(p: np.ndarray, known: np.ndarray, time_ns: np.ndarray, height_m: float):
    """T_world_root (t 7) and contact (t 2) by the motion room's own rules."""
    both = skeletons.skeleton("body33").indices("left_shoulder", "right_shoulder")
    body = Body(
        p_camera=p,
        sigma_m=np.zeros(p.shape[:2]),
        found=np.asarray(known[:, both].all(axis=1)),
        seen=known,
        imputed=np.zeros_like(known),
        upper_m=float("nan"),
        fore_m=float("nan"),
        torso_m=_TORSO * height_m,
    )
    with np.errstate(invalid="ignore"):
        return root_pose(p, body), foot_contact(p, body, time_ns)


def _no_camera() -> Camera:
    """There was none: a plain one that nothing may be projected with, its pose unknown."""
    return Camera(
        K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]),
        distortion=np.zeros(0),
        width_px=640,
        height_px=480,
        T_world_camera=None,
        intrinsics_from="assumed",
        gravity_from="given",
    )
