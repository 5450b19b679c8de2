"""Whether 90 % of the errors lie within 2.5 sigma: by kind of point and by the hand network's confidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from labelling.clips import Sample
from labelling.errors import Labels, true_points
from vidpretrain import skeletons

_TIPS = [4, 8, 12, 16, 20]
_BODY = {"shoulder": (11, 12), "elbow": (13, 14), "hip": (23, 24)}
_BINS = ((0.0, 0.8), (0.8, 0.95), (0.95, 1.01))
_LEAST = 200  # frames that make a row


def interval_rows(pairs: list[tuple[Sample, Labels]], word: str, row: Callable[..., dict[str, Any]]) -> list[dict]:
    """Rows of one view; the bar is that of a view."""
    inside: dict[str, list[np.ndarray]] = {}
    for sample, labels in pairs:
        truth = true_points(sample.truth, np.asarray(sample.tracks[0].time_ns))
        for name, (error, sigma) in _of_clip(sample, labels, truth).items():
            ok = np.isfinite(error) & np.isfinite(sigma)
            inside.setdefault(name, []).append(error[ok] <= 2.5 * sigma[ok])
    rows = []
    for name, parts in sorted(inside.items()):
        every = np.concatenate(parts)
        if len(every) < _LEAST:
            continue
        value = float(every.mean())
        rows.append(row(f"{word}: {name} within its 90 % interval, fit", value, "share"))
        if "confidence" not in name:
            rows[-1] |= {"bar": ".85 to .95", "met": bool(0.85 <= value <= 0.95)}
    return rows


def _of_clip(sample: Sample, labels: Labels, truth: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(errors, sigmas) in metres by the row's name."""
    out: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    tracks = {track.skeleton: track for track in sample.tracks}
    p, sigma = labels.every, labels.every_sigma_m
    if p is None or sigma is None:
        return {}
    error = np.linalg.norm(p - truth, axis=-1)
    for k, side in enumerate(skeletons.SIDES):
        first = skeletons.HAND_SLICES[side].start
        tips = [first + i for i in _TIPS]
        out.setdefault("fingertips", []).append((error[:, tips].ravel(), sigma[:, tips].ravel()))
        for name, columns in _BODY.items():
            out.setdefault(name, []).append((error[:, columns[k]], sigma[:, columns[k]]))
        confidence = np.nan_to_num(tracks[f"hand21_{side}"].confidence).mean(axis=1)
        for low, high in _BINS:
            ours = (confidence >= low) & (confidence < high)
            name = f"wrist, hand's confidence {low:g} to {min(high, 1.0):g},"
            out.setdefault(name, []).append((error[ours, first], sigma[ours, first]))
    return {name: tuple(np.concatenate(x) for x in zip(*parts, strict=True)) for name, parts in out.items()}  # type: ignore[misc]
