"""Errors of extracted labels against the truth of rendered clips, in centimetres, degrees and millimetres.

Positions are compared in the camera's frame, because that is what a picture fixes: the labels' world may stand
anywhere and the person's distance is in the camera frame in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.sim.posing import palm_frame
from vidpretrain.sim.truth import Truth
from vidpretrain.types import HumanMotion

UNITS = {
    "wrist": "cm",  # camera frame
    "wrist_after_offset": "cm",  # the same after the clip's best constant offset
    "wrist_from_root": "cm",  # relative to the pelvis, where the body is seen
    "wrist_half_second": "cm",  # displacement over half a second
    "palm": "deg",  # orientation of the palm
    "fingertip": "mm",  # fingertips relative to the wrist, camera axes
    "hand_shape": "mm",  # fingertips in the palm's own frame
    "elbow": "cm",
    "shoulder": "cm",
}
_TIPS = list(skeletons.FINGERTIPS)
_IN_VIEW = 0.5  # share of a hand's points that must be visible for the hand to count as in view


def label_errors(motion: HumanMotion | Iterable[HumanMotion], truth: Truth) -> dict[str, Any]:
    """Errors of one clip's labels (all its stretches together); see `pooled_errors` for what comes back."""
    motions = (motion,) if isinstance(motion, HumanMotion) else tuple(motion)
    return pooled_errors([(motions, truth)])


def pooled_errors(clips: Iterable[tuple[Iterable[HumanMotion], Truth]]) -> dict[str, Any]:
    """Errors over several clips, each given as its stretches of labels and its truth.

    Returns:
        `quantities`: name -> {unit, median, p90, frames}, frames counted per side; a quantity without a single
        comparable frame is left out. `found`: share of (frame, side) with the hand in view in which the labels have
        a valid wrist that was seen, not filled in; `in_view` their number. `clips`: number of clips.
    """
    samples: dict[str, list[np.ndarray]] = {name: [] for name in UNITS}
    found = in_view = count = 0
    for motions, truth in clips:
        count += 1
        seen = np.zeros((len(truth.time_ns), 2), dtype=bool)
        for motion in motions:
            rows, index = _match(motion, truth)
            for side, values in _clip_samples(motion, truth, rows, index).items():
                for name, array in values.items():
                    samples[name].append(array)
                wrist = skeletons.HAND_SLICES[side].start
                good = motion.valid[rows, wrist] & ~motion.imputed[rows, wrist]
                seen[index[good], skeletons.SIDES.index(side)] = True
        wanted = hands_in_view(truth)
        found += int((seen & wanted).sum())
        in_view += int(wanted.sum())
    pooled = {name: np.concatenate(arrays) if arrays else np.zeros(0) for name, arrays in samples.items()}
    return {
        "quantities": {name: _summary(name, values) for name, values in pooled.items() if len(values)},
        "found": found / in_view if in_view else float("nan"),
        "in_view": in_view,
        "clips": count,
    }


def hands_in_view(truth: Truth) -> np.ndarray:
    """(t 2) left and right: at least half of the hand's 21 points are visible."""
    return np.stack([truth.visible[:, skeletons.HAND_SLICES[s]].mean(1) >= _IN_VIEW for s in skeletons.SIDES], axis=1)


def _summary(name: str, values: np.ndarray) -> dict[str, Any]:
    return {
        "unit": UNITS[name],
        "median": float(np.median(values)),
        "p90": float(np.percentile(values, 90)),
        "frames": len(values),
    }


def _match(motion: HumanMotion, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the motion and of the truth that show the same time, within half of the truth's frame interval."""
    index = timebase.nearest_index(truth.time_ns, motion.time_ns)
    gap = np.median(np.diff(truth.time_ns)) if len(truth.time_ns) > 1 else timebase.NS_PER_S
    rows = np.flatnonzero(np.abs(truth.time_ns[index] - motion.time_ns) <= gap / 2)
    return rows, index[rows]


def _camera_points(p_world: np.ndarray, T_world_camera: np.ndarray | None) -> np.ndarray:
    """Points (t k 3) in the camera's frame; labels without a camera pose have the camera's frame as their world."""
    if T_world_camera is None:
        return p_world
    return geometry.transform(geometry.inverse(T_world_camera)[:, None], p_world)


def _clip_samples(
    motion: HumanMotion, truth: Truth, rows: np.ndarray, index: np.ndarray
) -> Mapping[str, dict[str, np.ndarray]]:
    """Errors frame by frame, per side and quantity; frames without a valid label are left out."""
    T_ours = None if motion.camera.T_world_camera is None else motion.camera.T_world_camera[rows]
    masked = np.where(motion.valid[rows][..., None], motion.p_world_keypoint[rows], np.nan)
    ours = _camera_points(masked, T_ours)
    true = _camera_points(truth.p_world_keypoint[index], truth.T_world_camera[index])
    root_ours = _camera_points(motion.T_world_root[rows, None, 4:], T_ours)[:, 0]
    root_true = _camera_points(truth.T_world_root[index, None, 4:], truth.T_world_camera[index])[:, 0]
    offset = _offset(ours, true)
    out = {}
    for side in skeletons.SIDES:
        part = skeletons.HAND_SLICES[side]
        a, b = ours[:, part], true[:, part]
        wrist = a[:, 0] - b[:, 0]
        values = {
            "wrist": 100 * np.linalg.norm(wrist, axis=1),
            "wrist_after_offset": 100 * np.linalg.norm(wrist - offset, axis=1),
            "wrist_half_second": 100 * _displacement(a[:, 0], b[:, 0], truth.time_ns[index]),
            "palm": np.rad2deg(_palm_angle(a, b, side)),
            "fingertip": 1000 * _tips(a - a[:, :1], b - b[:, :1]),
            "hand_shape": 1000 * _tips(_in_palm(a, side), _in_palm(b, side)),
        }
        if motion.body_seen:
            values["wrist_from_root"] = 100 * np.linalg.norm(wrist - (root_ours - root_true), axis=1)
            for joint in ("elbow", "shoulder"):
                k = skeletons.BODY_NAMES.index(f"{side}_{joint}")
                values[joint] = 100 * np.linalg.norm(ours[:, k] - true[:, k], axis=1)
        out[side] = {name: array[np.isfinite(array)] for name, array in values.items()}
    return out


def _offset(ours: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The constant (3) that takes both wrists of the clip nearest to the truth: the median of the differences."""
    wrists = [skeletons.HAND_SLICES[s].start for s in skeletons.SIDES]
    difference = (ours[:, wrists] - true[:, wrists]).reshape(-1, 3)
    difference = difference[np.isfinite(difference).all(axis=1)]
    return np.median(difference, axis=0) if len(difference) else np.full(3, np.nan)


def _displacement(a: np.ndarray, b: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    """Difference (m) of the movements over half a second, NaN where the clip ends before."""
    later = time_ns + timebase.ns(0.5)
    to = timebase.nearest_index(time_ns, later) if len(time_ns) else np.zeros(0, dtype=int)
    near = np.abs(time_ns[to] - later) <= timebase.ns(0.03)
    out = np.linalg.norm((a[to] - a) - (b[to] - b), axis=1)
    return np.where(near, out, np.nan)


def _palm_angle(a: np.ndarray, b: np.ndarray, side: str) -> np.ndarray:
    out = np.full(len(a), np.nan)
    good = np.isfinite(a).all((1, 2)) & np.isfinite(b).all((1, 2))
    if good.any():
        q = [geometry.quat_from_matrix(palm_frame(points[good], side)) for points in (a, b)]
        out[good] = geometry.angle_between(*q)
    return out


def _in_palm(points: np.ndarray, side: str) -> np.ndarray:
    """Hand points (t 21 3) in the palm's frame, the wrist at the origin."""
    return np.einsum("tki,tij->tkj", points - points[:, :1], palm_frame(points, side))


def _tips(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean distance (t) of the five fingertips."""
    return np.linalg.norm(a[:, _TIPS] - b[:, _TIPS], axis=2).mean(axis=1)
