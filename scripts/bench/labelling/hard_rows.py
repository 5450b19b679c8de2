"""Rows of the hard clips: displacement of every method by group, beside the best baseline, and the moving head camera.

A method is compared with a baseline on the frames in which that baseline says something. What the fit says is as the
pipeline's own: with the background's motion where the camera is worn. Baselines know nothing of the camera's motion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from labelling.baselines import hand_pnp, wrist_and_depth
from labelling.clips import HARD, HARD_HEAD, HARD_THIRD, Sample
from labelling.errors import Labels, compare, of_motions
from vidpretrain import geometry, skeletons, timebase
from vidpretrain.camera import observe
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.types import HumanMotion, Reject
from vidpretrain.video import probe

_POOLS = {
    "third person": (tuple(f"third_{name}" for name in HARD_THIRD), 4.5),
    "egocentric": (tuple(f"head_{name}" for name in HARD_HEAD), 2.2),
}
_RATIO = 1.3  # moving head camera against the still one


def hard_rows(samples: list[Sample], pairs: list[Sample]) -> list[dict[str, Any]]:
    """All rows of the hard clips; `pairs` are more moving and still head cameras, for the rows about those alone."""
    from labelling.rows import row

    motions = {s.name: {m: _motions(s, m) for m in ("fit", "parts")} for s in samples}
    methods: dict[str, Callable[[Sample], Labels]] = {
        "fit": lambda s: of_motions(motions[s.name]["fit"], _times(s)),
        "parts": lambda s: of_motions(motions[s.name]["parts"], _times(s)),
        "hand PnP": hand_pnp,
        "wrist pixel, pose's depth": wrist_and_depth,
    }
    labels = {s.name: {method: run(s) for method, run in methods.items()} for s in samples}
    rows: list[dict[str, Any]] = []
    for word, (groups, bar) in _POOLS.items():
        chosen = [s for s in samples if s.group in groups]
        for method in methods:
            value = _median([_displacement(s, labels[s.name][method]) for s in chosen])
            own = bar if method == "fit" else None
            if not np.isfinite(value):
                continue
            rows.append(row(f"hard, {word}: wrist, displacement over .5 s, {method}", value, "cm", own))
    for group in HARD:
        chosen = [s for s in samples if s.group == group]
        if chosen and any(_wanted(s) for s in chosen):
            rows += _group_rows(group, chosen, labels, row)
    pairs = [*pairs, *(s for s in samples if s.group in ("head_moving", "head_still"))]
    motions |= {s.name: {"fit": _motions(s, "fit")} for s in pairs if s.name not in motions}
    labels |= {s.name: {m: methods[m](s) for m in ("fit", "hand PnP")} for s in pairs if s.name not in labels}
    return rows + _moving_rows(pairs, motions, labels, row)


def _group_rows(group: str, chosen: list[Sample], labels, row) -> list[dict[str, Any]]:
    """A group's hands found, every method's displacement, and the fit's on the best baseline's own frames."""
    word, rows = group.replace("_", " "), []
    counts = [e for s in chosen for e in compare(labels[s.name]["fit"], s.truth, _times(s)).values()]
    found, wanted = sum(e.found for e in counts), sum(e.wanted for e in counts)
    rows.append(row(f"hard, {word}: hands found, fit", found / max(wanted, 1), "share"))
    values = {
        method: _median([_displacement(s, labels[s.name][method]) for s in chosen]) for method in labels[chosen[0].name]
    }
    for method, value in values.items():
        if np.isfinite(value):
            rows.append(row(f"hard, {word}: displacement, {method}", value, "cm"))
    rivals = {m: v for m, v in values.items() if m not in ("fit", "parts") and np.isfinite(v)}
    if not rivals:
        return rows
    best = min(rivals, key=lambda m: rivals[m])
    same = _median([_displacement(s, _where(labels[s.name]["fit"], labels[s.name][best])) for s in chosen])
    if np.isfinite(same):
        rows.append(row(f"hard, {word}: displacement, fit in the frames of {best}", same, "cm", round(rivals[best], 3)))
    return rows


def _moving_rows(samples: list[Sample], motions, labels, row) -> list[dict[str, Any]]:
    """Displacement in the first frame's camera: of moving head cameras, as they are, and against the still ones.

    Also how often the wrist is within its 90 % interval there, which is about the camera's path as well.
    """
    pairs = in_pairs(samples)
    moving, still = [a for a, _ in pairs], [b for _, b in pairs]
    ours = [_apart(_in_first(motions[s.name]["fit"], s), _true_in_first(s), s) for s in moving]
    nothing = [_apart(labels[s.name]["hand PnP"].points, _true_in_first(s), s) for s in moving]
    base = [_displacement(s, labels[s.name]["fit"]) for s in still]
    if not np.isfinite([_median(ours), _median(nothing), _median(base)]).all():
        return []
    word = "head moving: displacement in the first frame's camera"
    ratios = [_median([a]) / _median([b]) for a, b in zip(ours, base, strict=True) if len(a) and len(b)]
    rows = [
        row(f"{word}, fit", _median(ours), "cm"),
        row(f"{word}, hand PnP (camera taken as still)", _median(nothing), "cm"),
        row("head still: displacement, fit", _median(base), "cm"),
        row(f"{word}, fit, against the still camera's", _median(ours) / _median(base), "times", _RATIO),
        row(
            f"{word}, fit, against the still camera's, middle pair of {len(ratios)}", float(np.median(ratios)), "times"
        ),
        row(f"{word}, fit, against the still camera's, worst pair", max(ratios), "times"),
    ]
    for name, chosen in (("head moving", moving), ("head still", still)):
        inside = np.concatenate([_inside(motions[s.name]["fit"], s) for s in chosen])
        if len(inside):
            what = f"{name}: wrist in the first frame's camera within its 90 % interval, fit"
            rows.append(row(what, float(inside.mean()), "share"))
    return rows


def in_pairs(samples: list[Sample]) -> list[tuple[Sample, Sample]]:
    """(moving, still) head cameras on one person: neighbours by the number that their names begin with."""
    moving, still = (
        {int(s.name.split("_")[0]): s for s in samples if s.group == group} for group in ("head_moving", "head_still")
    )
    return [(s, still[number + 1]) for number, s in sorted(moving.items()) if number + 1 in still]


def _inside(motions: tuple[HumanMotion, ...], sample: Sample) -> np.ndarray:
    """Whether each wrist is within 2.5 sigma of the truth in the first frame's camera."""
    ours, true, time_ns = _in_first(motions, sample), _true_in_first(sample), _times(sample)
    sigma = of_motions(motions, time_ns).sigma_m
    out = []
    for side in skeletons.SIDES:
        error = np.linalg.norm(ours[side][:, 0] - true[side][:, 0], axis=-1)
        ok = np.isfinite(error)
        out.append(error[ok] <= 2.5 * sigma[side][ok] if sigma is not None else np.zeros(0, dtype=bool))
    return np.concatenate(out)


def _motions(sample: Sample, method: str) -> tuple[HumanMotion, ...]:
    """The motion room's own, height and lens known, told what the background did where the camera is worn."""
    ego = sample.truth.view != "front"
    config = MotionConfig(method=method, view="ego" if ego else "third")  # type: ignore[arg-type]
    config = dataclasses.replace(config, height_m=sample.truth.height_m)
    seen = None
    if ego:
        info = probe(sample.clip.path)
        if isinstance(info, Reject):
            raise RuntimeError(f"{sample.clip.path}: {info.detail}")
        seen = observe(sample.clip, info, sample.tracks, config.camera)
    found = build_motion(sample.tracks, sample.clip, config, sample.metadata, seen)
    return () if isinstance(found, Reject) else found


def _times(sample: Sample) -> np.ndarray:
    return np.asarray(sample.tracks[0].time_ns)


def _wanted(sample: Sample) -> bool:
    """Whether a hand of the actor is ever seen."""
    hands = np.stack([sample.truth.visible[:, part].mean(axis=1) for part in skeletons.HAND_SLICES.values()])
    return bool((hands >= 0.5).any())


def _displacement(sample: Sample, labels: Labels) -> np.ndarray:
    """Samples (cm) of both hands in the camera's frame."""
    errors = compare(labels, sample.truth, _times(sample))
    return np.concatenate([e.samples["displacement"] for e in errors.values()])


def _where(labels: Labels, other: Labels) -> Labels:
    """The labels in the frames in which another method has the wrist."""
    points = {
        side: np.where(np.isfinite(other.points[side][:, :1]).all(axis=2, keepdims=True), p, np.nan)
        for side, p in labels.points.items()
    }
    return Labels(points)


def _in_first(motions: tuple[HumanMotion, ...], sample: Sample) -> dict[str, np.ndarray]:
    """Hand points (t 21 3) by side in the clip's first camera, through the camera's motion that the labels have."""
    time_ns = _times(sample)
    points = {side: np.full((len(time_ns), 21, 3), np.nan) for side in skeletons.SIDES}
    T_first_world = None
    for motion in motions:
        rows, pose = np.searchsorted(time_ns, motion.time_ns), motion.camera.T_world_camera
        p = np.where(motion.valid[..., None], motion.p_world_keypoint, np.nan)
        if pose is not None:
            T_first_world = geometry.inverse(pose[0]) if T_first_world is None else T_first_world
            p = geometry.transform(T_first_world, p)
        for side, part in skeletons.HAND_SLICES.items():
            points[side][rows] = p[:, part]
    return points


def _true_in_first(sample: Sample) -> dict[str, np.ndarray]:
    truth = sample.truth
    index = timebase.nearest_index(truth.time_ns, _times(sample))
    p = geometry.transform(geometry.inverse(truth.T_world_camera[0]), truth.p_world_keypoint)[index]
    return {side: p[:, part] for side, part in skeletons.HAND_SLICES.items()}


def _apart(ours: dict[str, np.ndarray], true: dict[str, np.ndarray], sample: Sample) -> np.ndarray:
    """Samples (cm) of the difference of the wrists' movements over half a second."""
    time_ns = _times(sample)
    later = timebase.nearest_index(time_ns, time_ns + timebase.ns(0.5))
    near = np.abs(time_ns[later] - time_ns - timebase.ns(0.5)) <= timebase.ns(0.03)
    out = []
    for side in skeletons.SIDES:
        a, b = ours[side][:, 0], true[side][:, 0]
        size = 100 * np.linalg.norm((a[later] - a) - (b[later] - b), axis=1)
        out.append(size[near & np.isfinite(size)])
    return np.concatenate(out)


def _median(parts: list[np.ndarray]) -> float:
    every = np.concatenate(parts) if parts else np.zeros(0)
    return float(np.median(every)) if len(every) else float("nan")
