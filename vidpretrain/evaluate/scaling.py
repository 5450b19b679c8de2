"""How an error falls with the amount of data: a line over the logarithm, its interval, and what it says beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vidpretrain.errors import InputError

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Line:
    """value = at_one + per_decade x log10(amount); `per_decade` has an interval, `r2` is the share of variance that it
    explains, `decades` how far the amounts reach, `spread` the residual standard deviation (NaN from two points)."""

    at_one: float
    per_decade: float
    low: float
    high: float
    r2: float
    decades: float
    spread: float
    points: int
    log_mean: float
    log_square: float

    def __call__(self, amount: float) -> float:
        """The value on the line."""
        return self.at_one + self.per_decade * math.log10(amount)


def fit_line(
    amounts: Float[Array, " n"] | Sequence[float],
    values: Float[Array, " n"] | Sequence[float],
    confidence: float = 0.95,
) -> Line:
    """Least squares of values over log10 of amounts, with the slope's interval from Student's t.

    Raises:
        InputError: fewer than two amounts, or one that is not positive.
    """
    x, y = np.asarray(amounts, dtype=float), np.asarray(values, dtype=float)
    if len(x) != len(y) or (x <= 0).any() or len(np.unique(x)) < 2 or not np.isfinite(y).all():
        raise InputError(
            "no line through these points", found=f"amounts {x.tolist()}", valid="two positive amounts or more"
        )
    from scipy.stats import t

    u = np.log10(x)
    square = float(((u - u.mean()) ** 2).sum())
    slope = float(((u - u.mean()) * (y - y.mean())).sum()) / square
    left = y - y.mean() - slope * (u - u.mean())
    free = len(x) - 2
    spread = math.sqrt(float(left @ left) / free) if free else math.nan
    reach = float(t.ppf(0.5 + confidence / 2, free)) * spread / math.sqrt(square) if free else math.nan
    total = float(((y - y.mean()) ** 2).sum())
    return Line(
        at_one=float(y.mean() - slope * u.mean()),
        per_decade=slope,
        low=slope - reach,
        high=slope + reach,
        r2=1.0 - float(left @ left) / total if total > 0 else math.nan,
        decades=float(np.ptp(u)),
        spread=spread,
        points=len(x),
        log_mean=float(u.mean()),
        log_square=square,
    )


def foretold(line: Line, amount: float, confidence: float = 0.95) -> tuple[float, float, float]:
    """(value, low, high): where a new point at an amount should lie; no interval (NaN) from fewer than three points."""
    from scipy.stats import t

    value, free = line(amount), line.points - 2
    if free < 1:
        return value, math.nan, math.nan
    away = (math.log10(amount) - line.log_mean) ** 2 / line.log_square
    reach = float(t.ppf(0.5 + confidence / 2, free)) * line.spread * math.sqrt(1.0 + 1.0 / line.points + away)
    return value, value - reach, value + reach
