"""Gaps of ten frames cut at seeded places, hand and body lost: what is imputed, against lines and cubic Hermite.

On rendered people the tracks are hidden and the whole motion room runs; lines and Hermite go through the same labels
outside the gaps. What counts is what the gap adds: the error against the truth, less the labels' own error at both
ends of the gap, linearly between. Beside it stands the same figure of labels from whole tracks, which are not still
either. On real motions (whole bodies that SMPL was fitted to, and a hand that a model saw) the known points are cut.
Further rows of rendered people have no bar: gaps in which the wrist really travels 2 cm or more (a slow hand is a line
whatever one does), and errors against the truth with the clip's own offset (the median of what its seen labels are
off), which counts what labels are off at the ends as well.
Hermite's tangents are taken from two, three or (second order) three frames at each end; its best variant of the three
counts, chosen per row.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from labelling.errors import of_motions, true_points
from labelling.fitted import fitted
from vidpretrain import skeletons, timebase
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.motion.bones import HAND_PARENT
from vidpretrain.motion.gap_config import GapConfig
from vidpretrain.motion.gaps import chain, gaps_of
from vidpretrain.motion_files.safe_pickle import load_pickle
from vidpretrain.types import PoseTrack, Reject

Row = Callable[..., dict[str, Any]]
_GAP, _EVERY = 10, 34  # frames
_SMPL_PARENT = np.array([-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21])
_SMPL_WRISTS = [20, 21]
_PER_MOTION = 20
LINEAR_BAR, HERMITE_BAR = 0.6, 1.0
FAST_M = 0.02


def gap_rows(samples: list[Any], real: Path, row: Row, views: dict[str, str]) -> list[dict[str, Any]]:
    """Rows of rendered people by view, and of the real motions in the folder `real`."""
    rows: list[dict[str, Any]] = []
    for view, word in views.items():
        cuts = [cut for s in samples if s.truth.view == view for cut in _rendered(s)]
        fast = [cut for cut in cuts if cut.travel_m >= FAST_M]
        for what, index in (("wrist", slice(0, 1)), ("21 points", slice(None))):
            name = f"gap, {word}: {what}"
            rows += _compared(name, [_points(cut.from_ends, index) for cut in cuts], row)
            moving = f"{name}, where the wrist travels 2 cm"
            rows += _compared(moving, [_points(cut.from_ends, index) for cut in fast], row, bars=False)
            rows += _compared(
                f"{name}, clip's offset", [_points(cut.from_clip, index) for cut in cuts], row, bars=False
            )
        if cuts:
            travel = 100 * np.array([cut.travel_m for cut in cuts])
            rows.append(row(f"gap, {word}: wrist's true travel in a gap, median", float(np.median(travel)), "cm"))
            rows.append(row(f"gap, {word}: gaps in which it is 2 cm or more", len(fast) / len(cuts), "share"))
    bodies = [
        e for path in sorted((real / "asap_g1").glob("*.pkl")) for e in _cut(_smpl(path), _SMPL_PARENT, path.stem)
    ]
    rows += _compared("gap, real motions: 24 body points", bodies, row)
    rows += _compared("gap, real motions: wrists", [{k: v[:, _SMPL_WRISTS] for k, v in e.items()} for e in bodies], row)
    hand = real / "dexretarget_hand_joints.pkl"
    if hand.is_file():
        points = np.asarray(load_pickle(hand), dtype=float)
        rows += _compared("gap, real hand: 21 points", _cut(points, HAND_PARENT, hand.stem, 10 * _PER_MOTION), row)
    return rows


@dataclasses.dataclass(frozen=True)
class Cut:
    """One gap: errors (g k) in metres by method, against the truth as seen from the labels at the gap's ends, and
    against the truth with the clip's own offset; and how far the wrist really travels, from end to end."""

    from_ends: dict[str, np.ndarray]
    from_clip: dict[str, np.ndarray]
    travel_m: float


def _points(errors: dict[str, np.ndarray], index: slice) -> dict[str, np.ndarray]:
    return {name: value[:, index] for name, value in errors.items()}


def _compared(name: str, errors: list[dict[str, np.ndarray]], row: Row, bars: bool = True) -> list[dict[str, Any]]:
    """Mean errors over gaps (cm) and the two ratios with their bars; `within` is the share inside 90 % intervals."""
    if not errors:
        return []
    mean = {k: float(np.nanmean([100 * e[k].mean() for e in errors])) for k in errors[0] if k != "within"}
    limits = (LINEAR_BAR, HERMITE_BAR) if bars else (None, None)
    hermite = min((k for k in mean if k.startswith("Hermite")), key=lambda k: mean[k])
    out = [row(f"{name}, imputed", mean["imputed"], "cm"), row(f"{name}, linear", mean["linear"], "cm")]
    if "seen" in mean:
        out.append(row(f"{name}, the same frames when seen", mean["seen"], "cm"))
    out.append(row(f"{name}, {hermite}", mean[hermite], "cm"))
    out.append(row(f"{name}, imputed over linear", mean["imputed"] / mean["linear"], "", limits[0]))
    out.append(row(f"{name}, imputed over Hermite", mean["imputed"] / mean[hermite], "", limits[1]))
    if "within" in errors[0]:
        within = float(np.mean([e["within"].mean() for e in errors]))
        out.append(row(f"{name}, imputed, within its 90 % interval", within, "share"))
    return out


def hermite(points: np.ndarray, start: int, end: int, tangents: str) -> np.ndarray:
    """Points in [start, end) on the cubic whose ends and tangents are those of the frames around (uniform frames)."""
    a, b = points[start - 3 : start][::-1], points[end : end + 3]
    if tangents == "two frames":
        slopes = a[0] - a[1], b[1] - b[0]
    elif tangents == "three frames":
        slopes = (a[0] - a[2]) / 2, (b[2] - b[0]) / 2
    else:
        slopes = (3 * a[0] - 4 * a[1] + a[2]) / 2, (-3 * b[0] + 4 * b[1] - b[2]) / 2
    s = (np.arange(1, end - start + 1) / (end - start + 1)).reshape(-1, *[1] * (points.ndim - 1))
    h = end - start + 1
    return (
        (2 * s**3 - 3 * s**2 + 1) * a[0]
        + (s**3 - 2 * s**2 + s) * h * slopes[0]
        + (-2 * s**3 + 3 * s**2) * b[0]
        + (s**3 - s**2) * h * slopes[1]
    )


def linear(points: np.ndarray, start: int, end: int) -> np.ndarray:
    """Points in [start, end) on straight lines."""
    s = (np.arange(1, end - start + 1) / (end - start + 1)).reshape(-1, *[1] * (points.ndim - 1))
    return (1 - s) * points[start - 1] + s * points[end]


def _others(points: np.ndarray, start: int, end: int, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Errors (g k) of lines and of Hermite's variants against `wanted` (g k 3)."""
    made = {"linear": linear(points, start, end)}
    for tangents in ("two frames", "three frames", "second order"):
        made[f"Hermite ({tangents})"] = hermite(points, start, end, tangents)
    return {name: np.linalg.norm(value - wanted, axis=-1) for name, value in made.items()}


def _cut(points: np.ndarray, parent: np.ndarray, seed: str, count: int = _PER_MOTION) -> list[dict[str, np.ndarray]]:
    """Errors of all methods in gaps cut into known points (t k 3) at 30 frames/s."""
    rng, margin = np.random.default_rng([ord(c) for c in seed]), 12
    if len(points) < 2 * margin + _GAP + 1:
        return []
    time_ns = timebase.uniform_grid(0, timebase.ns(len(points) / 30.0), 30.0)[: len(points)]
    out, config = [], GapConfig()
    for start in rng.integers(margin, len(points) - _GAP - margin, size=count):
        seen = np.ones(len(points), dtype=bool)
        seen[start : start + _GAP] = False
        hidden = np.where(seen[:, None, None], points, np.nan)
        (gap,) = gaps_of(seen, time_ns, config)
        made, spread = chain(hidden, parent, np.ones(len(parent), dtype=bool), gap, time_ns, seen, config)
        wanted = points[gap.frames]
        error = np.linalg.norm(made - wanted, axis=-1)
        moving = np.where(spread > 0, error <= 2.5 * spread, error < 1e-6)
        out.append(_others(points, gap.start, gap.end, wanted) | {"imputed": error, "within": moving})
    return out


def _smpl(path: Path) -> np.ndarray:
    """Joints (t 24 3) of the person in one of the asap_g1 files."""
    data = load_pickle(path)
    return np.asarray(next(iter(data.values()))["smpl_joints"], dtype=float)


def _rendered(sample: Any) -> list[Cut]:
    """Errors of all methods in gaps of a rendered clip, both hands, in the camera's frame."""
    time_ns = np.asarray(sample.tracks[0].time_ns)
    rng = np.random.default_rng([ord(c) for c in sample.name])
    starts = [int(k + rng.integers(0, 8)) for k in range(14, len(time_ns) - _GAP - 22, _EVERY)]
    hidden = np.zeros(len(time_ns), dtype=bool)
    for start in starts:
        hidden[start : start + _GAP] = True
    config = MotionConfig(view="ego" if sample.truth.view == "head" else "third", height_m=sample.truth.height_m)
    motions = build_motion([_hide(t, hidden) for t in sample.tracks], sample.clip, config, sample.metadata)
    uncut = fitted(sample)
    if isinstance(motions, Reject) or not uncut:
        return []
    labels, truth, out = of_motions(motions, time_ns), true_points(sample.truth, time_ns), []
    plain = of_motions(uncut, time_ns).points
    assert labels.filled is not None
    for side, part in skeletons.HAND_SLICES.items():
        p, filled = labels.points[side], labels.filled[side]
        for start in starts:
            around = np.r_[start - 3 : start, start + _GAP : start + _GAP + 3]
            gap = slice(start, start + _GAP)
            if filled[around].any() or not np.isfinite(p[around]).all() or not np.isfinite(p[gap]).all():
                continue
            off, q = p - truth[:, part], plain[side]
            from_ends = truth[gap, part] + linear(off, gap.start, gap.stop)
            level = truth[gap, part] + linear(q - truth[:, part], gap.start, gap.stop)
            from_clip = truth[gap, part] + np.nanmedian(off[~filled], axis=0)
            errors = [
                _others(p, gap.start, gap.stop, wanted)
                | {
                    "imputed": np.linalg.norm(p[gap] - wanted, axis=-1),
                    "seen": np.linalg.norm(q[gap] - of_seen, axis=-1),
                }
                for wanted, of_seen in ((from_ends, level), (from_clip, from_clip))
            ]
            way = truth[start - 1 : start + _GAP + 1, part.start]
            out.append(Cut(errors[0], errors[1], float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())))
    return out


def _hide(track: PoseTrack, frames: np.ndarray) -> PoseTrack:
    """The track as if the network had found nothing in these frames."""
    relative = track.p_relative_keypoint
    return dataclasses.replace(
        track,
        p_image_keypoint=np.where(frames[:, None, None], np.nan, track.p_image_keypoint),
        p_relative_keypoint=None if relative is None else np.where(frames[:, None, None], np.nan, relative),
        confidence=np.where(frames[:, None], 0.0, track.confidence),
    )
