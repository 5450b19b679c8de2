"""What the labels are worth in all: the share of the variance of action chunks that they explain, against the truth.

A chunk is what a policy learns from: 16 steps at 30 Hz. The wrist's pose relative to its own at the chunk's start (way
and turn apart), the five fingertips in the wrist's frame of their moment (and their change since the start), and what
the same retargeting makes of labels and of truth on a G1 with Inspire hands: arm joints relative, hand joints absolute,
the robot's wrist relative, grasp bits. The truth is a `HumanMotion` with the points, the camera and the world of the
renderer, valid where the labels are. A share is 1 - SSE / SST over all chunks, steps and columns of a group, SST about
the mean chunk of each side: 1 is perfect, 0 the mean chunk, and labels without any tie to the truth are near -1.
Beside it stand labels of another episode at any place ("shuffled") and at the same share of its length ("phase"), the
controls that training has too. Grasps of labels are held against those of the true points, and against the object.
Links are not kept apart, since that would move labels and truth by different ways out. No row has a bar.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from labelling.clips import Sample
from labelling.fitted import fitted
from vidpretrain import geometry, skeletons, timebase
from vidpretrain.actions import ActionConfig, spec_for, trajectory
from vidpretrain.retarget import RetargetConfig, retarget
from vidpretrain.robot import Robot, load_robot
from vidpretrain.segments import SegmentConfig, segment
from vidpretrain.sim.motions import OBJECTS
from vidpretrain.sim.posing import palm_frame
from vidpretrain.transforms import relative_chunk
from vidpretrain.types import Activity, Camera, HumanMotion, Reject, Trajectory

Row = Callable[..., dict[str, Any]]
ROBOT, HORIZON, RATE_HZ = "g1_inspire", 16, 30.0
_TOUCH_M, _NEAR_S = 0.02, 0.2
_TIPS = list(skeletons.FINGERTIPS)
UNITS = {
    "wrist, way": "m",
    "wrist, turn": "",
    "fingertips in the wrist's frame": "m",
    "fingertips, change since the start": "m",
    "robot's arm joints": "rad",
    "robot's hand joints": "fraction",
    "robot's wrist, way": "m",
    "grasp bit": "",
}
GROUPS = tuple(UNITS)


@dataclasses.dataclass(frozen=True)
class Chunks:
    """Chunks (n h d) of labels and of truth of one side of one stretch, and the share (n) of it at which they start."""

    ours: np.ndarray
    true: np.ndarray
    phase: np.ndarray


def chunk_rows(samples: list[Sample], row: Row, views: dict[str, str]) -> list[dict[str, Any]]:
    """Rows by view: variance explained by group, and grasps."""
    robot, rows = load_robot(ROBOT), []
    for view, word in views.items():
        found: dict[str, dict[str, list[Chunks]]] = {name: {s: [] for s in skeletons.SIDES} for name in GROUPS}
        grasps = []
        for sample in (s for s in samples if s.truth.view == view):
            for motion in fitted(sample):
                pair = motion, true_motion(motion, sample.truth)
                acts = segment(pair[0], SegmentConfig()), segment(pair[1], SegmentConfig())
                played = _played(pair, acts, robot)
                for side in skeletons.SIDES:
                    for name, chunks in (_of_points(pair, side) | _of_robot(played, side)).items():
                        found[name][side].append(chunks)
                grasps.append((acts, touching(pair[1], sample.truth)))
        rows += _variance_rows(found, word, row) + grasp_rows(grasps, word, row)
    return rows


def true_motion(motion: HumanMotion, truth: Any) -> HumanMotion:
    """The truth of a rendered clip as the motion that perfect labels would be: valid where `motion` is, sigma 0."""
    at = timebase.nearest_index(truth.time_ns, motion.time_ns)
    p = truth.p_world_keypoint[at]
    valid = motion.valid & np.isfinite(p).all(axis=-1)
    camera = Camera(
        K=truth.K,
        distortion=np.zeros(0),
        width_px=truth.width_px,
        height_px=truth.height_px,
        T_world_camera=truth.T_world_camera[at],
        intrinsics_from="given",
        gravity_from="given",
        path=motion.camera.path,
    )
    return dataclasses.replace(
        motion,
        T_world_root=np.where(np.isfinite(motion.T_world_root), truth.T_world_root[at], np.nan),
        p_world_keypoint=np.where(valid[..., None], p, np.nan),
        sigma_m=np.where(valid, 0.0, np.nan),
        valid=valid,
        imputed=motion.imputed & valid,
        camera=camera,
        T_world_head=None,
        figures={},
    )


def _of_points(pair: tuple[HumanMotion, HumanMotion], side: str) -> dict[str, Chunks]:
    """Chunks of a hand's points."""
    part, known = skeletons.HAND_SLICES[side], np.ones(len(pair[0].time_ns), dtype=bool)
    poses, tips = [], []
    for motion in pair:
        known &= np.asarray(motion.valid[:, part].all(axis=1))
    for motion in pair:
        p = np.where(known[:, None, None], motion.p_world_keypoint[:, part], 0.0)
        R = np.tile(np.eye(3), (len(p), 1, 1))
        R[known] = palm_frame(p[known], side)
        poses.append(geometry.pose(geometry.quat_from_matrix(R), p[:, 0]))
        tips.append(np.einsum("tki,tij->tkj", p[:, _TIPS] - p[:, :1], R).reshape(len(p), -1))
    starts = starts_of(known)
    ways, turns, here, change = [], [], [], []
    for pose, tip in zip(poses, tips, strict=True):
        ahead = starts[:, None] + np.arange(1, HORIZON + 1)
        nine = geometry.pose9(geometry.compose(geometry.inverse(pose[starts])[:, None], pose[ahead]))
        ways.append(nine[..., :3])
        turns.append(nine[..., 3:])
        here.append(tip[ahead])
        change.append(tip[ahead] - tip[starts][:, None])
    phase = starts / max(len(known), 1)
    both = (ways, turns, here, change)
    return {name: Chunks(x[0], x[1], phase) for name, x in zip(GROUPS, both, strict=False)}


def _played(pair: tuple[HumanMotion, HumanMotion], acts: tuple[Activity, Activity], robot: Robot) -> list[Trajectory]:
    """What the robot's trajectory is after labels and after truth; empty where retargeting refuses either."""
    spec = spec_for(robot, ActionConfig(rate_hz=RATE_HZ, horizon=HORIZON, grasp=True))
    out = []
    for motion, activity in zip(pair, acts, strict=True):
        made = retarget(motion, robot, RetargetConfig(rate_hz=RATE_HZ, self_collision=False))
        if isinstance(made, Reject):
            return []
        out.append(trajectory(made, robot, spec, activity))
    return out


def _of_robot(both: list[Trajectory], side: str) -> dict[str, Chunks]:
    """Chunks of one side of the robot."""
    if not both:
        return {}
    spec, length, out = both[0].spec, min(len(t.state) for t in both), {}
    slices = spec.slices()
    columns = [slices[f"{side}_{name}"] for name in ("arm", "hand", "wrist", "grasp")]
    columns[2] = slice(columns[2].start, columns[2].start + 3)
    for name, part in zip(GROUPS[4:], columns, strict=True):
        starts = starts_of(np.all([t.valid[:length, part].all(axis=1) for t in both], axis=0))
        ahead = starts[:, None] + np.arange(HORIZON)
        ours, true = (relative_chunk(t.state[starts], t.action[ahead], spec)[..., part].astype(float) for t in both)
        out[name] = Chunks(ours, true, starts / max(length, 1))
    return out


def starts_of(known: np.ndarray) -> np.ndarray:
    """Frames from which on a whole chunk is known, the start and the HORIZON frames after it."""
    size = HORIZON + 1
    if len(known) < size:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.convolve(np.asarray(known, dtype=int), np.ones(size, dtype=int), "valid") == size)


def explained(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """1 - SSE / SST of (labels, truth), chunks (n h d) of each side, SST about the side's mean chunk."""
    wrong = sum(float(((ours - true) ** 2).sum()) for ours, true in pairs)
    return 1.0 - wrong / max(sum(float(((true - true.mean(axis=0)) ** 2).sum()) for _, true in pairs), 1e-18)


def lent(chunks: list[Chunks], same_phase: bool, rng: np.random.Generator) -> np.ndarray:
    """For every chunk the labels of another episode (n h d): at the same share of its length, or at any place."""
    out = []
    filled = [k for k, c in enumerate(chunks) if len(c.ours)]
    order = rng.permutation(filled)
    lender = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    for k in filled:
        own = chunks[k]
        if same_phase:
            other = chunks[lender[k]]
            at = np.abs(other.phase[None] - own.phase[:, None]).argmin(axis=1)
            out.append(other.ours[at])
        else:
            others = np.concatenate([chunks[j].ours for j in filled if j != k])
            out.append(others[rng.integers(0, len(others), size=len(own.ours))])
    return np.concatenate(out)


def _variance_rows(found: dict[str, dict[str, list[Chunks]]], word: str, row: Row) -> list[dict[str, Any]]:
    rows = []
    for name in GROUPS:
        sides = [[c for c in chunks if len(c.ours)] for chunks in found[name].values()]
        sides = [chunks for chunks in sides if len(chunks) > 1]
        if not sides:
            continue
        true = [np.concatenate([c.true for c in chunks]) for chunks in sides]
        ours = [np.concatenate([c.ours for c in chunks]) for chunks in sides]
        rng, title = np.random.default_rng(0), f"chunks, {word}: {name}, variance explained"
        rows.append(row(f"{title}, labels", explained(list(zip(ours, true, strict=True))), "share"))
        for control in ("shuffled", "phase"):
            other = [lent(chunks, control == "phase", rng) for chunks in sides]
            rows.append(row(f"{title}, {control} labels", explained(list(zip(other, true, strict=True))), "share"))
        spread = np.sqrt(np.mean([((t - t.mean(axis=0)) ** 2).mean() for t in true]))
        rows.append(row(f"chunks, {word}: {name}, true standard deviation", float(spread), UNITS[name]))
    return rows


def touching(motion: HumanMotion, truth: Any) -> np.ndarray:
    """Frames (t 2) in which a joint of the left or right hand is within 2 cm of the object's surface."""
    if truth.object_name not in OBJECTS:
        return np.zeros((len(motion.time_ns), 2), dtype=bool)
    radius, half = OBJECTS[truth.object_name]
    at = timebase.nearest_index(truth.time_ns, motion.time_ns)
    out = []
    for part in skeletons.HAND_SLICES.values():
        inverse = geometry.inverse(truth.T_world_object[at])[:, None]
        p = geometry.transform(inverse, truth.p_world_keypoint[at][:, part])
        if truth.object_name == "box":
            aside = np.linalg.norm(np.maximum(np.abs(p[..., :2]) - radius, 0.0), axis=-1)
        else:
            aside = np.maximum(np.linalg.norm(p[..., :2], axis=-1) - radius, 0.0)
        apart = np.hypot(aside, np.maximum(np.abs(p[..., 2]) - half, 0.0))
        out.append(np.nanmin(apart, axis=1) <= _TOUCH_M)
    return np.stack(out, axis=1)


def grasp_rows(found: list[tuple[tuple[Activity, Activity], np.ndarray]], word: str, row: Row) -> list[dict[str, Any]]:
    """Closed frames, contact, and the times of closing and opening, of labels against the true points and the object.

    `found`: activities of labels and of truth, and touching frames (t 2), by stretch.
    """
    known = np.concatenate([(ours.known & true.known).ravel() for (ours, true), _ in found] or [np.zeros(0, bool)])
    if not known.any():
        return []

    def every(values: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([v.ravel() for v in values])[known]

    ours, true = (every([np.asarray(acts[k].grasp) for acts, _ in found]) for k in (0, 1))
    touch = every([t for _, t in found])
    guesses = [every([np.asarray(acts[k].contact) for acts, _ in found]) for k in (0, 1)]
    title = f"grasps, {word}"
    rows = [
        row(f"{title}: closed, labels against true points, frames alike", float((ours == true).mean()), "share"),
        row(f"{title}: closed, labels against true points, F1 of frames", f1(ours, true), ""),
        row(f"{title}: closed in labels, really touching the object", _share(touch, ours), "share"),
        row(f"{title}: closed in true points, really touching", _share(touch, true), "share"),
    ]
    for who, guess in zip(("labels", "true points"), guesses, strict=True):
        rows.append(row(f"{title}: contact's rank (AUC) against touching, {who}", auc(guess, touch), ""))
        rows.append(row(f"{title}: contact's Brier score, {who}", float(((guess - touch) ** 2).mean()), ""))
    for what, value in (("closing", True), ("opening", False)):
        hits = np.zeros(3)
        for (mine, theirs), _ in found:
            for k in range(2):
                sure = np.asarray(mine.known[:, k] & theirs.known[:, k])
                times = [changes(np.asarray(a.grasp[:, k]), sure, np.asarray(a.time_ns), value) for a in (mine, theirs)]
                hits += matched(*times)
        rows.append(row(f"{title}: times of {what} within .2 s, F1", _f1(*hits), ""))
        rows.append(row(f"{title}: times of {what} in true points", hits[0] + hits[2], "events"))
    return rows


def changes(closed: np.ndarray, known: np.ndarray, time_ns: np.ndarray, value: bool) -> np.ndarray:
    """Times (s) at which the state becomes `value`, between two known frames."""
    turned = (closed[1:] == value) & (closed[:-1] != value) & known[1:] & known[:-1]
    return timebase.seconds(time_ns)[1:][turned]


def matched(ours_s: np.ndarray, true_s: np.ndarray) -> np.ndarray:
    """(hits, only ours, only true) of two increasing lists of times, each used once, the nearest pairs first."""
    pairs = sorted((abs(a - b), i, j) for i, a in enumerate(ours_s) for j, b in enumerate(true_s))
    used: tuple[set[int], set[int]] = (set(), set())
    for apart, i, j in pairs:
        if apart <= _NEAR_S + 1e-9 and i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
    hits = len(used[0])
    return np.array([hits, len(ours_s) - hits, len(true_s) - hits], dtype=float)


def f1(ours: np.ndarray, true: np.ndarray) -> float:
    """F1 of flags; NaN where there is none on either side."""
    return _f1(float((ours & true).sum()), float((ours & ~true).sum()), float((~ours & true).sum()))


def _f1(hits: float, only_ours: float, only_true: float) -> float:
    whole = 2 * hits + only_ours + only_true
    return 2 * hits / whole if whole else float("nan")


def _share(flags: np.ndarray, where: np.ndarray) -> float:
    return float(flags[where].mean()) if where.any() else float("nan")


def auc(score: np.ndarray, flags: np.ndarray) -> float:
    """Chance that a flagged frame scores above one that is not (ties half); NaN where all are alike."""
    yes = int(flags.sum())
    if yes in (0, len(flags)):
        return float("nan")
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - 0.5 * (count - 1))[inverse]
    return float((rank[flags].sum() - yes * (yes + 1) / 2) / (yes * (len(flags) - yes)))
