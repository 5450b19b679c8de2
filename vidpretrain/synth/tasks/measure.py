"""Labels of filmed tasks against their truth: places, and when a hand holds something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from vidpretrain import skeletons, timebase
from vidpretrain.sim.label_error import pooled_errors
from vidpretrain.sim.truth import Truth
from vidpretrain.synth.tasks.held import Held
from vidpretrain.types import Activity, HumanMotion


def film_errors(clips: Iterable[tuple[tuple[HumanMotion, ...], tuple[Activity, ...], Truth, Held]]) -> dict[str, Any]:
    """`sim.pooled_errors` of the clips (motions and activities per stretch), and `grasp`, see `grasp_scores`."""
    every = list(clips)
    pooled = pooled_errors([(motions, truth) for motions, _, truth, _ in every])
    told = [(activities, truth, held) for _, activities, truth, held in every]
    return {**pooled, "grasp": grasp_scores(told)}


def grasp_scores(clips: Iterable[tuple[tuple[Activity, ...], Truth, Held]]) -> dict[str, float]:
    """Closed hands against holding ones, over frames and sides of which anything can be seen (what is held hides most
    of a hand). A frame without a label counts as open, for it closes no hand.

    `f1`, `precision`, `recall`; `frames` is how many there were, `known` the share of them with a label, `f1_known` F1
    over those alone.
    """
    told, true, known = [], [], []
    for activities, truth, held in clips:
        said = np.zeros(held.holding.shape, dtype=bool)
        have = np.zeros_like(said)
        for one in activities:
            at = timebase.nearest_index(held.time_ns, one.time_ns)
            said[at], have[at] = one.grasp, one.known
        seen = np.stack([truth.visible[:, part].any(axis=1) for part in skeletons.HAND_SLICES.values()], axis=1)
        told.append(said[seen])
        true.append(held.holding[seen])
        known.append(have[seen])
    a, b, k = (np.concatenate(part) if part else np.zeros(0, dtype=bool) for part in (told, true, known))
    return {
        **_f1(a, b),
        "f1_known": _f1(a[k], b[k])["f1"],
        "known": float(k.mean()) if len(k) else float("nan"),
        "frames": float(len(a)),
    }


def _f1(told: np.ndarray, true: np.ndarray) -> dict[str, float]:
    both = float((told & true).sum())
    precision = both / told.sum() if told.any() else float("nan")
    recall = both / true.sum() if true.any() else float("nan")
    whole = float(told.sum() + true.sum())
    return {"f1": 2 * both / whole if whole else float("nan"), "precision": precision, "recall": recall}
