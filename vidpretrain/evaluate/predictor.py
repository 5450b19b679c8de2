"""From offline numbers to closed-loop success: ridge regression on the log odds, judged on tasks it has not seen.

Features are plain numbers by name (held-out chunk error, measures of the gap, amounts of data); amounts should be told
as logarithms. A file of the predictor is JSON and holds what it was fitted on and how well it ranks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vidpretrain.dataset.files import write_json
from vidpretrain.errors import InputError

Array = np.ndarray
SCHEMA = 1
_STRENGTHS = tuple(np.logspace(-2, 3, 11).tolist())  # per point, of features in standard deviations
_FEWEST = 6


@dataclass(frozen=True, kw_only=True)
class Point:
    """A policy with its offline numbers, and of how many rollouts which share succeeded; `group` is what is left out
    together (its task)."""

    features: Mapping[str, float]
    success: float
    rollouts: int
    group: str


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """Log odds of success = bias + weights x (features - mean) / scale; a feature that a policy lacks is at the mean.

    `spearman` is between successes and predictions made without the point's own group, `left_out` says what a group
    was ("group", or "point" where there was one group only), `error` their mean absolute difference.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    strength: float
    points: int
    groups: tuple[str, ...]
    left_out: str
    spearman: float
    error: float
    about: dict[str, Any] = field(default_factory=dict)

    def __call__(self, features: Mapping[str, float]) -> float:
        """Predicted success, between 0 and 1."""
        x = _matrix([features], self.names, np.array(self.mean))
        z = (x - np.array(self.mean)) / np.array(self.scale)
        return float(_share(self.bias + z @ np.array(self.weights))[0])

    def save(self, path: Path | str) -> None:
        """Write it as JSON, aside and renamed."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        write_json(Path(path), {"schema": SCHEMA, **values}, allow_nan=True)


def load_predictor(path: Path | str) -> Predictor:
    """What `Predictor.save` wrote.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = Path(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        schema = values.pop("schema")
        tuples = {k: tuple(v) for k, v in values.items() if isinstance(v, list)}
        found = Predictor(**{**values, **tuples})
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError("not a predictor of success", asked=path, found=f"{type(error).__name__}: {error}") from None
    if schema != SCHEMA:
        raise InputError("a predictor of another version", asked=path, found=schema, valid=SCHEMA)
    return found


def fit_predictor(points: Sequence[Point], names: Sequence[str] | None = None) -> Predictor:
    """Fit on all points; strength by the squared error on left-out groups; the rank correlation by leaving each group
    out once more, strength chosen anew without it.

    Args:
        names: features to use; by default those that at least half of the points have.

    Raises:
        InputError: fewer than six points, no feature, or all successes are alike.
    """
    points = list(points)
    success = np.array([point.success for point in points])
    if len(points) < _FEWEST or np.ptp(success) == 0:
        raise InputError(
            "nothing to learn success from",
            found=f"{len(points)} points{', all alike' if len(points) >= _FEWEST else ''}",
            valid=f"{_FEWEST} points or more that differ",
        )
    used = tuple(names) if names is not None else _common(points)
    if not used:
        raise InputError("the points share no feature", valid="a feature that half of the points have")
    groups = [point.group for point in points]
    several = len(set(groups)) > 1
    apart = groups if several else [str(i) for i in range(len(points))]
    told = np.full(len(points), np.nan)
    for group in dict.fromkeys(apart):
        rest = [i for i, other in enumerate(apart) if other != group]
        own = [i for i, other in enumerate(apart) if other == group]
        fit = _fitted([points[i] for i in rest], used, [apart[i] for i in rest])
        told[own] = [_told(fit, points[i].features, used) for i in own]
    mean, scale, weights, bias, strength = _fitted(points, used, apart)
    from scipy.stats import spearmanr

    rank = float(spearmanr(told, success).statistic) if np.ptp(told) > 0 else math.nan
    return Predictor(
        names=used,
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(weights.tolist()),
        bias=bias,
        strength=strength,
        points=len(points),
        groups=tuple(dict.fromkeys(groups)),
        left_out="group" if several else "point",
        spearman=rank,
        error=float(np.abs(told - success).mean()),
    )


def ranked(predictor: Predictor, features: Mapping[str, Mapping[str, float]]) -> list[tuple[str, float]]:
    """(policy, predicted success), the best first."""
    return sorted(((name, predictor(own)) for name, own in features.items()), key=lambda pair: -pair[1])


def offline_features(methods: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, float]:
    """What `evaluate` knows of a policy: its chunk error, what it is of the held state's, and at the chunk's end."""
    own, hold = methods[name], methods["hold_state"]
    out = {"chunk error": float(own["error"]), "of hold": float(own["error"]) / max(float(hold["error"]), 1e-9)}
    out["error at the end"] = float(own["steps"][-1])
    return {key: value for key, value in out.items() if math.isfinite(value)}


Fit = tuple[Array, Array, Array, float, float]


def _fitted(points: Sequence[Point], names: tuple[str, ...], groups: Sequence[str]) -> Fit:
    """(mean, scale, weights, bias, strength); the strength with the least error on left-out groups."""
    kinds = list(dict.fromkeys(groups))
    if len(kinds) < 3:  # too few to choose by: every point by itself
        groups = [str(i) for i in range(len(points))]
        kinds = list(groups)
    success = np.array([point.success for point in points])
    errors = np.zeros(len(_STRENGTHS))
    for kind in kinds:
        rest = [i for i, other in enumerate(groups) if other != kind]
        own = [i for i, other in enumerate(groups) if other == kind]
        if len(rest) < 2:
            continue
        for k, strength in enumerate(_STRENGTHS):
            fit = _ridge([points[i] for i in rest], names, strength)
            told = np.array([_told(fit, points[i].features, names) for i in own])
            errors[k] += float(((told - success[own]) ** 2).sum())
    best = max(k for k in range(len(errors)) if errors[k] <= errors.min() * 1.0001)  # the simplest of equals
    return _ridge(points, names, _STRENGTHS[best])


def _ridge(points: Sequence[Point], names: tuple[str, ...], strength: float) -> Fit:
    """Weighted least squares on log odds: a point counts as its rollouts tell them (delta method)."""
    x = _matrix([point.features for point in points], names, None)
    mean = x.mean(axis=0)
    scale = np.maximum(x.std(axis=0), 1e-9)
    z = (x - mean) / scale
    count = np.array([max(point.rollouts, 1) for point in points], dtype=float)
    share = (np.array([point.success for point in points]) * count + 0.5) / (count + 1.0)
    weight = share * (1 - share) * (count + 1)
    weight = weight / weight.mean()
    y = np.log(share / (1 - share))
    bias = float(np.average(y, weights=weight))
    middle = np.average(z, axis=0, weights=weight)
    a, b = z - middle, y - bias
    gram = (weight[:, None] * a).T @ a + strength * np.eye(len(names))
    weights = np.linalg.solve(gram, (weight[:, None] * a).T @ b)
    return mean, scale, weights, bias - float(middle @ weights), float(strength)


def _told(fit: Fit, features: Mapping[str, float], names: tuple[str, ...]) -> float:
    mean, scale, weights, bias, _ = fit
    z = (_matrix([features], names, mean) - mean) / scale
    return float(_share(bias + z @ weights)[0])


def _matrix(features: Sequence[Mapping[str, float]], names: tuple[str, ...], fill: Array | None) -> Float[Array, "n f"]:
    """Rows of features; what is missing at `fill`, or at the mean of what is there."""
    out = np.array([[float(own.get(name, math.nan)) for name in names] for own in features])
    known = np.isfinite(out)
    instead = np.where(known, out, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1) if fill is None else fill
    return np.where(known, out, instead)


def _common(points: Sequence[Point]) -> tuple[str, ...]:
    every = dict.fromkeys(name for point in points for name in point.features)
    return tuple(
        name
        for name in every
        if sum(math.isfinite(point.features.get(name, math.nan)) for point in points) * 2 >= len(points)
    )


def _share(log_odds: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -30, 30)))
