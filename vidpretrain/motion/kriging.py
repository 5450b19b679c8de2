"""Interpolation over a gap by Gaussian processes, and how uncertain it is; the series itself says which process.

A handful of processes, from one as rough as a walk to one as smooth as an arm's swing, each give the values in the gap
as a linear map of those around it, with a variance (universal kriging: Rasmussen and Williams 2006, "Gaussian
Processes for Machine Learning", section 2.7). They are mixed by how well each would have bridged gaps of the same
length cut into what is known of the same series (leave-out cross-validation) and by how much they would carry the
noise of labels at its ends; where too little is known for that, the smooth default leads, which is within 3 % of a
linear predictor learned on other people's motions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

Array = np.ndarray


@dataclass(frozen=True)
class Process:
    """A covariance of two times `s` apart (unit amplitude), the degree of the trend, the share of white noise.

    `prior` is the error that it usually has over that of the default, from which the mixture starts.
    """

    covariance: Callable[[Array], Array]
    degree: int
    noise: float
    prior: float


def _walk(s: Array) -> Array:
    return -np.abs(s)


def _matern32(length_s: float) -> Callable[[Array], Array]:
    def k(s: Array) -> Array:
        x = np.sqrt(3.0) * np.abs(s) / length_s
        return (1.0 + x) * np.exp(-x)

    return k


def _matern52(length_s: float) -> Callable[[Array], Array]:
    def k(s: Array) -> Array:
        x = np.sqrt(5.0) * np.abs(s) / length_s
        return (1.0 + x + x * x / 3.0) * np.exp(-x)

    return k


PROCESSES = (
    Process(_walk, 0, 0.0, 1.6),  # straight lines
    Process(_matern32(0.27), 1, 1e-2, 1.4),  # trembling
    Process(_matern52(0.67), 1, 1e-4, 1.15),
    Process(_matern52(0.40), 1, 1e-4, 1.0),  # the default
    Process(_matern52(0.27), 1, 1e-4, 1.05),
)
_DEFAULT = 3
_TRUST = 4.0  # windows that the prior counts as
_SHARPNESS = 4  # the mixture's shares fall with this power of the mean squared error
_MOST_WINDOWS = 60
_AMPLITUDES_M = 10.0 ** np.linspace(-4.0, -0.5, 15)


@dataclass(frozen=True)
class Bridge:
    """Maps (f g n) of n known values to g values in a gap by process, their variances (f g) for unit amplitude, and
    the matrices (f n n) by which known values tell their amplitude."""

    weight: Array
    variance: Array
    amplitude: Array


def bridge(known_s: Float64[Array, " n"], query_s: Float64[Array, " g"]) -> Bridge:
    """How values at `query_s` follow from those at `known_s`, for every process; times in seconds, at least two."""
    parts = [_solve(p, np.asarray(known_s, dtype=float), np.asarray(query_s, dtype=float)) for p in PROCESSES]
    return Bridge(*(np.stack(column) for column in zip(*parts, strict=True)))


def _solve(process: Process, known: Array, query: Array) -> tuple[Array, Array, Array]:
    n, degree = len(known), min(process.degree, len(known) - 1)
    middle, scale = 0.5 * (known[0] + known[-1]), max(known[-1] - known[0], 1e-6)
    trend = np.stack([((known - middle) / scale) ** i for i in range(degree + 1)], axis=1)
    at = np.stack([((query - middle) / scale) ** i for i in range(degree + 1)], axis=0)
    K = process.covariance(known[:, None] - known) + (process.noise + 1e-9) * np.eye(n)
    cross = process.covariance(known[:, None] - query)
    whole = np.block([[K, trend], [trend.T, np.zeros((degree + 1, degree + 1))]])
    right = np.concatenate([cross, at])
    inverse = np.linalg.inv(whole)
    solved = inverse @ right
    variance = process.covariance(np.zeros(1)) - (right * solved).sum(axis=0)
    return solved[:n].T, np.maximum(variance, 0.0), inverse[:n, :n] / max(n - degree - 1, 1)


@dataclass(frozen=True)
class Estimate:
    """Values (g k c) in a gap and the standard deviation (g k) of each axis."""

    value: Array
    sigma: Array


def estimate(made: Bridge, known: Float64[Array, "n k 3"], shares: Float64[Array, " f"]) -> Estimate:
    """The mixture's mean over a gap, and its deviation: each process's own and how far they are apart."""
    each = np.einsum("fgn,nkc->fgkc", made.weight, known)
    mean = np.tensordot(shares, each, 1)
    amplitude = np.maximum(np.einsum("nkc,fnm,mkc->fk", known, made.amplitude, known) / known.shape[2], 0.0)
    own = made.variance[:, :, None] * amplitude[:, None] + ((each - mean) ** 2).mean(axis=-1)
    return Estimate(mean, np.sqrt(np.tensordot(shares, own, 1)))


def smoothed(
    known_s: Float64[Array, " n"],
    known: Float64[Array, "n k c"],
    query_s: Float64[Array, " g"],
    ends: tuple[int, int],
    noise_m: float,
) -> Estimate:
    """The default process through values that tremble by `noise_m` on each axis, begun and ended at the known `ends`.

    The amplitude of each point's series is the likeliest one of a grid (restricted likelihood; Rasmussen and Williams
    2006, sections 2.7 and 5.4). What noise leaves between the smooth curve and the values at both ends is spread over
    the gap, so that nothing jumps.
    """
    process, n = PROCESSES[_DEFAULT], len(known_s)
    middle, scale = 0.5 * (known_s[0] + known_s[-1]), max(known_s[-1] - known_s[0], 1e-6)
    at = np.concatenate([known_s[list(ends)], query_s])

    def trend(s: Array) -> Array:
        return np.stack([((s - middle) / scale) ** i for i in range(process.degree + 1)], axis=1)

    K, cross = process.covariance(known_s[:, None] - known_s), process.covariance(known_s[:, None] - at)
    found: list[tuple[Array, Array, Array]] = []
    for amplitude in _AMPLITUDES_M**2:
        whole = amplitude * K + (noise_m**2 + 1e-10) * np.eye(n)
        inverse = np.linalg.inv(whole)
        held = trend(known_s).T @ inverse
        normal = held @ trend(known_s)
        P = inverse - held.T @ np.linalg.solve(normal, held)
        determinant = np.linalg.slogdet(normal)[1] + np.linalg.slogdet(whole)[1]
        likely = -0.5 * (np.einsum("nkc,nm,mkc->k", known, P, known) + known.shape[2] * determinant)
        weight = amplitude * cross.T @ P + trend(at) @ np.linalg.solve(normal, held)
        own = amplitude - 2.0 * amplitude * (weight.T * cross).sum(axis=0) + ((weight @ whole) * weight).sum(axis=1)
        found.append((likely, weight, own))
    best = np.argmax([likely for likely, _, _ in found], axis=0)
    curve = np.einsum("kan,nkc->akc", np.stack([weight for _, weight, _ in found])[best], known)
    variance = np.maximum(np.stack([own for _, _, own in found])[best].T, 0.0)
    share = ((query_s - at[0]) / (at[1] - at[0]))[:, None, None]
    off = known[list(ends)] - curve[:2]
    return Estimate(curve[2:] + (1 - share) * off[0] + share * off[1], np.sqrt(variance[2:]))


def shares(
    value: Float64[Array, "t k 3"],
    known: Bool[Array, " t"],
    step_s: float,
    made: Bridge,
    around: Array,
    noise_m: float = 0.0,
) -> Float64[Array, " f"]:
    """Share of each process in the mixture that fills a gap with `made` from the frames `around` it, in c axes.

    Known frames elsewhere are cut with gaps as long, and half as much around them. They are what a fit smoothed with
    both of their sides in view; the ends of a real gap are not, and count as uncertain by `noise_m` more on each axis,
    which tells against processes that prolong slopes.
    """
    prior, axes = np.array([p.prior for p in PROCESSES]) ** 2, value.shape[2]
    near = value[around]
    amplitude = np.maximum(np.einsum("nkc,nm,mkc->k", near, made.amplitude[_DEFAULT], near) / axes, 0.0)
    usual = axes * float(made.variance[_DEFAULT].mean() * amplitude.mean())
    error, count = _left_out(value, known, step_s, made.weight.shape[1], max(1, round(len(around) / 4)))
    ends = axes * noise_m**2 * (made.weight**2).sum(axis=2).mean(axis=1)
    return _mixed((count * error + _TRUST * prior * usual) / (count + _TRUST) + ends)


def _left_out(value: Array, known: Array, step_s: float, gap: int, context: int) -> tuple[Array, int]:
    """(mean squared error (f) of every process in gaps cut into known frames, number of these gaps)."""
    size = 2 * context + gap
    whole = np.convolve(np.asarray(known, dtype=int), np.ones(size, dtype=int), "valid") if len(known) >= size else []
    starts = np.flatnonzero(np.asarray(whole) == size)
    if len(starts) == 0:
        return np.zeros(len(PROCESSES)), 0
    starts = starts[np.unique(np.linspace(0, len(starts) - 1, _MOST_WINDOWS).astype(int))]
    inside = np.arange(context, context + gap)
    around = np.concatenate([np.arange(context), np.arange(context + gap, size)])
    made = bridge(around * step_s, inside * step_s)
    found = np.einsum("fgn,wnkc->fwgkc", made.weight, value[starts[:, None] + around])
    return ((found - value[starts[:, None] + inside]) ** 2).sum(axis=-1).mean(axis=(1, 2, 3)), len(starts)


def _mixed(error: Array) -> Array:
    weight = (error.min() / np.maximum(error, 1e-18)) ** _SHARPNESS
    return weight / weight.sum()
