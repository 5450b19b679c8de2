"""What the cells say: success by arm and size with intervals, and differences paired over sets and starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

Array = np.ndarray
_DRAWS, _CONFIDENCE = 2000, 0.95


def outcomes(
    lines: Sequence[dict[str, Any]],
    arm: str,
    demos: int,
    where: str,
    flip: str | None = None,
    recipe: str | None = None,
) -> dict[int, Float[Array, "k n"]]:
    """{set's number: success (tasks starts)} of the cells of an arm."""
    out: dict[int, Array] = {}
    for line in lines:
        if (line["arm"], line["demos"], line["flip"], line.get("recipe")) != (arm, demos, flip, recipe):
            continue
        played = [line["played"][task].get(where) for task in line["tasks"]]
        if all(played):
            out[line["number"]] = np.array([[int(c) for c in one["success"]] for one in played], dtype=float)
    return out


def interval(values: Float[Array, "s k n"], seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval of the mean of (sets, tasks, starts): sets and starts drawn anew, tasks as they are."""
    return _middle(_means(values[None], seed)[0])


def ratio(own: Float[Array, "s k n"], other: Float[Array, "s k n"], seed: int = 0) -> tuple[float, float, float]:
    """(own mean over other mean, low, high) over the same draws of sets and starts; infinite where other is 0."""
    drawn = _means(np.stack([own, other]), seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.float64(own.mean()) / other.mean())
        shares = np.where(drawn[1] > 0, drawn[0] / drawn[1], np.where(drawn[0] > 0, np.inf, 1.0))
    return value, *_middle(shares)


def _means(values: Float[Array, "v s k n"], seed: int) -> Float[Array, "v draws"]:
    rng = np.random.default_rng(seed)
    _, sets, tasks, starts = values.shape
    means = np.empty((len(values), _DRAWS))
    for k in range(_DRAWS):
        one = values[:, rng.integers(sets, size=sets)]
        by_task = [one[:, :, t, rng.integers(starts, size=starts)].mean(axis=(1, 2)) for t in range(tasks)]
        means[:, k] = np.mean(by_task, axis=0)
    return means


def _middle(values: Float[Array, " draws"]) -> tuple[float, float]:
    ends = [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]
    low, high = np.quantile(values, ends, method="nearest")  # between two infinite ones there is nothing
    return float(low), float(high)


def paired(
    own: dict[int, Float[Array, "k n"]], other: dict[int, Float[Array, "k n"]]
) -> tuple[Float[Array, "s k n"], Float[Array, "s k n"]] | None:
    """The sets that both have, side by side; None where there are none."""
    both = sorted(set(own) & set(other))
    if not both:
        return None
    return np.stack([own[n] for n in both]), np.stack([other[n] for n in both])


def table(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row per arm, flipped bridge or recipe, size and distribution: success, its interval, and the difference to
    scratch (for a flipped bridge or a recipe: to the arm as it is) over the same sets and starts with its interval."""
    rows = []
    kinds = sorted({(line["demos"], line["arm"], line["flip"], line.get("recipe")) for line in lines}, key=str)
    kinds.sort(key=lambda kind: kind[0])
    for where in ("in", "out"):
        for demos, arm, flip, recipe in kinds:
            own = outcomes(lines, arm, demos, where, flip, recipe)
            if not own:
                continue
            named = {"where": where, "demos": demos, "arm": arm, "flip": flip, "recipe": recipe}
            base = arm if flip or recipe else {"scratch": "", "zero": ""}.get(arm, "scratch")
            rows.append({**named, **_figures(own), **_less(own, outcomes(lines, base, demos, where) if base else {})})
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
    both = paired(own, other)
    if both is None:
        return {"gain": None, "gain_low": None, "gain_high": None}
    apart = both[0] - both[1]
    low, high = interval(apart)
    return {"gain": float(apart.mean()), "gain_low": low, "gain_high": high}
