"""A person's part in a clip: poses of the body and of what it handles, frame by frame, planned or read from a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.errors import InputError
from vidpretrain.motion_files import MotionFileConfig, read_motion
from vidpretrain.sim.body import Body
from vidpretrain.sim.motions import perform
from vidpretrain.sim.posing import HandTarget, Pose, palm_frame
from vidpretrain.synth.manipulate import Manipulator, SynthPlan
from vidpretrain.synth.posing import WholePoser
from vidpretrain.synth.specs import MotionSpec
from vidpretrain.types import HumanMotion

_AT = skeletons.skeleton("human75").index


@dataclass(frozen=True)
class Performance:
    """What one person does, in the person's own frame (at the origin, facing x).

    `poses` per frame, `T_object` (t 7) of what is handled (`object_name` "" where nothing is), `table_m` the height of
    the table (0: there is none), `unreached_m` how far a hand missed its plan at worst.
    """

    poses: list[Pose]
    object_name: str
    T_object: np.ndarray
    second_name: str
    T_second: np.ndarray | None
    side: str
    table_m: float
    instruction: str
    unreached_m: float


def play(spec: MotionSpec, body: Body, times: np.ndarray) -> Performance:
    """The performance of a motion at times (t) s.

    Raises:
        InputError: a motion file cannot be read, or is of no use for a body.
    """
    rng = np.random.default_rng(spec.seed)
    poser = WholePoser(body)
    if spec.motion == "file":
        return _from_file(spec, poser, times, rng)
    plan = Manipulator(poser, rng, spec.hide).plan(spec.motion, float(times[-1]))
    gaze, sway = _gaze(rng, times, spec.gaze_deg), _sway(rng, times)
    take = perform(plan, poser, times, rng, gaze, sway)
    second = plan if isinstance(plan, SynthPlan) else None
    return Performance(
        poses=take.poses,
        object_name=plan.object_name,
        T_object=take.T_world_object,
        second_name="" if second is None else second.second_name,
        T_second=None if second is None else second.T_world_second,
        side=plan.side,
        table_m=plan.table_m,
        instruction=plan.instruction,
        unreached_m=take.miss_m,
    )


def waves(rng: np.random.Generator, times: np.ndarray, columns: int, least_hz: float, most_hz: float) -> np.ndarray:
    """Smooth random motion (t columns), three sines each, about 1 in size."""
    rate = rng.uniform(least_hz, most_hz, (3, columns))
    phase, size = rng.uniform(0, 2 * np.pi, (3, columns)), rng.uniform(0.3, 0.6, (3, columns))
    return (size * np.sin(2 * np.pi * rate * times[:, None, None] + phase)).sum(axis=1)


def _gaze(rng: np.random.Generator, times: np.ndarray, degrees: float) -> np.ndarray:
    """(t 2): how far the neck turns left and nods; the four joints of the neck share it."""
    return np.deg2rad(degrees) * waves(rng, times, 2, 0.15, 0.6) * [1.0, 0.45]


def _sway(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """(t 3): the pelvis of somebody who stands, a little lower than with straight knees."""
    return waves(rng, times, 3, 0.1, 0.4) * [0.012, 0.018, 0.003] - [0.0, 0.0, 0.012]


def _from_file(spec: MotionSpec, poser: WholePoser, times: np.ndarray, rng: np.random.Generator) -> Performance:
    motion = read(spec.path, spec.rate_hz)
    p, hands_only = _resampled(motion, times, rng)
    poses = _hands_only(p, poser, rng) if hands_only else _whole(p, poser, rng)
    nowhere = np.tile([1.0, 0, 0, 0, 0.0, 0.0, -1.0], (len(times), 1))
    table_m = 0.55 * poser.body.height_m if hands_only else 0.0
    return Performance(poses, "", nowhere, "", None, "right", table_m, f"follow {motion.clip_id}", 0.0)


def read(path: str, rate_hz: float) -> HumanMotion:
    """A motion file; `rate_hz` is that of a file that says none."""
    try:
        return read_motion(path, MotionFileConfig())
    except InputError as error:
        if "frame rate" not in error.message:
            raise
        return read_motion(path, MotionFileConfig(rate_hz=rate_hz))


def _resampled(motion: HumanMotion, times: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Points (t 75 3) at the times from a drawn start, the last frame held at the end; whether only hands are there."""
    source = motion.time_ns / 1e9
    start = rng.uniform(0.0, max(source[-1] - times[-1], 0.0))
    at = np.clip(start + times, source[0], source[-1])
    p = np.stack(
        [np.interp(at, source, column) for column in motion.p_world_keypoint.reshape(len(source), -1).T], axis=1
    ).reshape(len(times), -1, 3)
    trunk = [_AT(f"{side}_{part}") for side in skeletons.SIDES for part in ("shoulder", "hip")]
    if np.isfinite(p[:, trunk]).all():
        return p, False
    whole = [s for s in skeletons.SIDES if np.isfinite(p[:, skeletons.HAND_SLICES[s]]).all()]
    if not whole:
        raise InputError("the motion has neither a trunk nor a whole hand in every frame", asked=motion.clip_id)
    return p, True


def _whole(p: np.ndarray, poser: WholePoser, rng: np.random.Generator) -> list[Pose]:
    """Poses that follow body points, about the origin, facing x in the mean, the lowest foot where theirs is."""
    hips = 0.5 * (p[:, _AT("left_hip")] + p[:, _AT("right_hip")])
    left = (p[:, _AT("left_hip")] - p[:, _AT("right_hip")]).mean(axis=0)
    turn = geometry.quat_exp(np.array([0.0, 0.0, np.arctan2(left[0], left[1])]))
    middle = hips.mean(axis=0) * [1.0, 1.0, 0.0]
    p, hips = geometry.rotate(turn, p - middle), geometry.rotate(turn, hips - middle)
    rest, i = poser.body.p_rest_keypoint, [_AT("left_hip"), _AT("left_ankle")]
    size = np.linalg.norm(rest[i[0]] - rest[i[1]]) / np.median(np.linalg.norm(p[:, i[0]] - p[:, i[1]], axis=1))
    feet = [_AT(f"{side}_{part}") for side in skeletons.SIDES for part in ("heel", "foot_index")]
    low = np.nanmin(p[:, feet, 2], axis=1)
    low = low - np.nanpercentile(low, 5)
    curl = np.clip(rng.uniform(0.1, 0.35) + rng.uniform(-0.05, 0.05, 5), 0, 1)
    poses = []
    for points, hip, lowest in zip(p, hips, low, strict=True):
        pose = poser.follow(points, np.zeros(3), curl)
        own = poser.keypoints(pose)
        at_hips = 0.5 * (own[_AT("left_hip")] + own[_AT("right_hip")])
        shift = size * hip - at_hips
        shift[2] = size * max(lowest, 0.0) - np.nanmin(own[feet, 2]) + 0.02
        poses.append(Pose(pose.D, pose.p + shift))
    return poses


def _hands_only(p: np.ndarray, poser: WholePoser, rng: np.random.Generator) -> list[Pose]:
    """A person who stands and whose hands move as in the file, in front of the chest; a hand without points rests."""
    body = poser.body
    scale, table_m = body.height_m / 1.75, 0.55 * body.height_m
    torso = poser.torso(0.12, 0.0, 0.0, 0.35, 0.0)
    targets: list[dict[str, HandTarget]] = [{} for _ in p]
    shaped: list[dict[str, np.ndarray]] = [{} for _ in p]
    for side in skeletons.SIDES:
        sign = 1.0 if side == "left" else -1.0
        hand = p[:, skeletons.HAND_SLICES[side]]
        there = np.isfinite(hand).all()
        middle = np.array([0.38 * scale, sign * 0.13 * scale, table_m + 0.2 * scale])
        drift = np.clip(hand[:, 0] - hand[:, 0].mean(axis=0), -0.15, 0.15) if there else np.zeros((len(p), 3))
        for t in range(len(p)):
            R = palm_frame(hand[t], side) if there else _resting_palm(side)
            targets[t][side] = HandTarget(middle + scale * drift[t], R, np.full(5, 0.15))
            if there:
                shaped[t] |= poser.fingers_of(side, hand[t])
    root = body.p_rest[0] - [0.0, 0.0, 0.012]
    out = []
    for target, fingers in zip(targets, shaped, strict=True):
        pose, _ = poser.pose(torso, root, target)
        out.append(_with_fingers(poser, pose, fingers))
    return out


def _with_fingers(poser: WholePoser, pose: Pose, fingers: dict[str, np.ndarray]) -> Pose:
    """The pose with other turns of the fingers; everything else stays where it is."""
    names = poser.body.names
    moved = {name for name in names if name.startswith("finger") and name in fingers}
    fixed = {name: pose.D[b] for b, name in enumerate(names) if name not in moved}
    places = {name: pose.p[b] for b, name in enumerate(names) if not name.startswith("finger")}
    return poser.fk(fingers, pose.p[0], fixed, places)


def _resting_palm(side: str) -> np.ndarray:
    from vidpretrain.sim.motions import palm_rotation

    return geometry.matrix_from_quat(palm_rotation(side, 0.2, 0.1, 0.3))
