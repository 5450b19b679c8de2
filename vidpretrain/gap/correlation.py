"""Do gaps foretell transfer? Rank correlation of measures with closed-loop success over cells, with intervals."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vidpretrain.gap.table import GapRow

Array = np.ndarray
_DRAWS, _CONFIDENCE = 2000, 0.95


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """Spearman's rank correlation of one measure with success, its interval over cells, and of how many cells."""

    measure: str
    value: float
    low: float
    high: float
    cells: int


def distances(rows: Sequence[GapRow], bridge: str = "none") -> dict[str, float]:
    """How far each figure of a table is from perfect, by "measure: group"; of ratios the size of the logarithm."""
    out = {}
    for row in rows:
        if row.bridge != bridge or not math.isfinite(row.value):
            continue
        if row.measure.endswith("ratio"):
            far = abs(math.log(max(row.value, 1e-6)))
        else:
            far = abs(row.value - row.perfect)
        out[f"{row.measure}: {row.group}"] = far
    return out


def correlate(
    gaps: Sequence[dict[str, float]],
    success: Sequence[float],
    strata: Sequence[Hashable] | None = None,
    *,
    least: int = 4,
    seed: int = 0,
) -> list[Correlation]:
    """Every measure that at least `least` cells have, by how strongly it goes with success.

    Args:
        gaps: per cell what `distances` gives; measures that a cell lacks leave it out of theirs.
        strata: what else success depends on (demonstrations, distribution): ranks are compared within. None: one.
    """
    success_n = np.asarray(success, dtype=float)
    labels = list(strata) if strata is not None else [0] * len(success_n)
    names = list(dict.fromkeys(name for gap in gaps for name in gap))
    out = []
    for name in names:
        have = [i for i, gap in enumerate(gaps) if name in gap]
        if len(have) < least:
            continue
        x, y = np.array([gaps[i][name] for i in have]), success_n[have]
        groups = [labels[i] for i in have]
        value = rank_correlation(x, y, groups)
        low, high = _interval(x, y, groups, seed)
        out.append(Correlation(measure=name, value=value, low=low, high=high, cells=len(have)))
    return sorted(out, key=lambda one: -abs(one.value) if math.isfinite(one.value) else 1.0)


def rank_correlation(x: Float[Array, " n"], y: Float[Array, " n"], strata: Sequence[Hashable] | None = None) -> float:
    """Spearman's correlation with ties at their mean rank; with strata, of ranks within each (as shares of its size)
    less their middle. NaN where nothing varies."""
    from scipy.stats import rankdata

    labels = list(strata) if strata is not None else [0] * len(x)
    a, b = np.zeros(len(x)), np.zeros(len(x))
    for label in dict.fromkeys(labels):
        rows = np.flatnonzero([other == label for other in labels])
        for out, values in ((a, x), (b, y)):
            ranks = rankdata(values[rows])
            out[rows] = (ranks - ranks.mean()) / len(rows)
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread > 0 else math.nan


def _interval(x: Array, y: Array, strata: list[Hashable], seed: int) -> tuple[float, float]:
    """Percentile interval over cells drawn with replacement, within their strata."""
    rng = np.random.default_rng((seed, 15))
    places = [np.flatnonzero([other == label for other in strata]) for label in dict.fromkeys(strata)]
    found = []
    for _ in range(_DRAWS):
        rows = np.concatenate([rng.choice(place, len(place)) for place in places])
        found.append(rank_correlation(x[rows], y[rows], [strata[i] for i in rows]))
    kept = np.array(found)[np.isfinite(found)]
    if not len(kept):
        return math.nan, math.nan
    tail = (1 - _CONFIDENCE) / 2
    return float(np.quantile(kept, tail)), float(np.quantile(kept, 1 - tail))
