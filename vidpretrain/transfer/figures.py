"""What the cells say: success by arm and size with intervals, and differences paired over sets and starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

Array = np.ndarray
_DRAWS, _CONFIDENCE = 2000, 0.95


def outcomes(lines: Sequence[dict[str, Any]], arm: str, demos: int, where: str, flip: str | None = None):
    """{set's number: success (tasks starts)} of the cells of an arm."""
    out: dict[int, Array] = {}
    for line in lines:
        if (line["arm"], line["demos"], line["flip"]) != (arm, demos, flip):
            continue
        played = [line["played"][task].get(where) for task in line["tasks"]]
        if all(played):
            out[line["number"]] = np.array([[int(c) for c in one["success"]] for one in played], dtype=float)
    return out


def interval(values: Float[Array, "s k n"], seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean of (sets, tasks, starts): sets and starts drawn anew, tasks as they are."""
    rng = np.random.default_rng(seed)
    sets, tasks, starts = values.shape
    means = np.empty(_DRAWS)
    for k in range(_DRAWS):
        one = values[rng.integers(sets, size=sets)]
        means[k] = np.mean([one[:, t, rng.integers(starts, size=starts)].mean() for t in range(tasks)])
    low, high = np.quantile(means, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return float(low), float(high)


def table(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per arm, flipped bridge, size and distribution: success, its interval, and the difference to scratch (for
    a flipped bridge: to `pretrained`) over the same sets and starts with its interval."""
    rows = []
    kinds = sorted({(line["demos"], line["arm"], line["flip"]) for line in lines}, key=str)
    kinds.sort(key=lambda kind: kind[0])
    for where in ("in", "out"):
        for demos, arm, flip in kinds:
            own = outcomes(lines, arm, demos, where, flip)
            if not own:
                continue
            base = ("pretrained" if flip else "scratch") if arm != "zero" else ("zero" if flip else "")
            other = outcomes(lines, base, demos, where) if base and (base, None) != (arm, flip) else {}
            rows.append(
                {"where": where, "demos": demos, "arm": arm, "flip": flip, **_figures(own), **_less(own, other)}
            )
    return rows


def _figures(own: dict[int, Array]) -> dict[str, Any]:
    values = np.stack([own[number] for number in sorted(own)])
    low, high = interval(values)
    by_set = values.mean(axis=(1, 2))
    return {
        "success": float(values.mean()),
        "low": low,
        "high": high,
        "sets": len(own),
        "spread": float(by_set.std(ddof=1)) if len(by_set) > 1 else float("nan"),
        "by_task": [round(float(v), 3) for v in values.mean(axis=(0, 2))],
    }


def _less(own: dict[int, Array], other: dict[int, Array]) -> dict[str, Any]:
    """Own less other over the sets that both have."""
    both = sorted(set(own) & set(other))
    if not both:
        return {"gain": None, "gain_low": None, "gain_high": None}
    apart = np.stack([own[number] - other[number] for number in both])
    low, high = interval(apart)
    return {"gain": float(apart.mean()), "gain_low": low, "gain_high": high}
