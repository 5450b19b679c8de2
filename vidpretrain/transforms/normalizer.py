"""Columns to about [-1, 1] by their 1 % and 99 % quantiles, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from vidpretrain.types import Frozen

Array = np.ndarray

# A column that hardly moves is not blown up to full range: half its range counts as at least this much (rad, m or
# fraction). Noise of an idle arm (1e-4 rad) stays at 0.1 instead of filling [-1, 1].
MIN_HALF_RANGE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Normalizer(Frozen):
    """Quantiles per column: `state_*` of the absolute state, `action_*` of the relative action chunk.

    Maps [q01, q99] to [-1, 1]. `clip` bounds the forward direction only (None: never); the inverse is exact for
    everything that was not clipped. A column that never held a valid value has quantiles -1 and 1: it passes as it is.
    """

    names: tuple[str, ...]
    state_q01: Float64[np.ndarray, " d"]
    state_q99: Float64[np.ndarray, " d"]
    action_q01: Float64[np.ndarray, " d"]
    action_q99: Float64[np.ndarray, " d"]
    clip: float | None = 1.5

    def check(self) -> None:
        """Raise ValueError where a column count or an order of quantiles is wrong."""
        for name in ("state_q01", "state_q99", "action_q01", "action_q99"):
            value = getattr(self, name)
            if value.shape != (len(self.names),) or not np.isfinite(value).all():
                raise ValueError(f"Normalizer: {name} has shape {value.shape} or holes, for {len(self.names)} names")
        if (self.state_q01 > self.state_q99).any() or (self.action_q01 > self.action_q99).any():
            raise ValueError("Normalizer: q01 above q99")

    @classmethod
    def fit(
        cls,
        names: tuple[str, ...],
        state: Float[Array, "n d"],
        relative: Float[Array, "*m d"],
        state_valid: Bool[Array, "n d"] | None = None,
        relative_valid: Bool[Array, "*m d"] | None = None,
        clip: float | None = 1.5,
    ) -> Normalizer:
        """Exact quantiles (NumPy's linear rule) over the finite values that the masks let through.

        Args:
            state: absolute states.
            relative: actions in the relative representation (see `relative_chunk`), any leading axes.
        """
        state_q01, state_q99 = _quantiles(state, state_valid)
        action_q01, action_q99 = _quantiles(relative, relative_valid)
        return cls(
            names=tuple(names),
            state_q01=state_q01,
            state_q99=state_q99,
            action_q01=action_q01,
            action_q99=action_q99,
            clip=clip,
        )

    def normalize_state(self, state: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Absolute state as the network sees it, clipped; same dtype, NaN stays NaN."""
        return _forward(state, self.state_q01, self.state_q99, self.clip)

    def unnormalize_state(self, state: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Inverse of `normalize_state`."""
        return _inverse(state, self.state_q01, self.state_q99)

    def normalize_action(self, relative: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Relative actions as the network sees them, clipped; same dtype, NaN stays NaN."""
        return _forward(relative, self.action_q01, self.action_q99, self.clip)

    def unnormalize_action(self, action: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Inverse of `normalize_action`."""
        return _inverse(action, self.action_q01, self.action_q99)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` gives back the same numbers bit for bit."""
        out: dict[str, Any] = {"names": list(self.names), "clip": self.clip}
        for name in ("state_q01", "state_q99", "action_q01", "action_q99"):
            out[name] = getattr(self, name).tolist()
        return out

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Normalizer:
        """Inverse of `to_dict`.

        Raises:
            ValueError: a key is missing or does not fit the names.
        """
        try:
            arrays = {
                name: np.asarray(data[name], dtype=float)
                for name in ("state_q01", "state_q99", "action_q01", "action_q99")
            }
            return cls(names=tuple(data["names"]), clip=data["clip"], **arrays)
        except KeyError as error:
            raise ValueError(f"Normalizer: no {error} among {sorted(data)}") from None


def _quantiles(value: Array, valid: Array | None) -> tuple[Array, Array]:
    value = np.asarray(value)
    width = value.shape[-1]
    flat = value.reshape(-1, width)
    usable = np.isfinite(flat)
    if valid is not None:
        usable &= np.broadcast_to(valid, value.shape).reshape(-1, width)
    low, high = -np.ones(width), np.ones(width)
    for column in range(width):
        kept = flat[usable[:, column], column].astype(float)
        if len(kept):
            low[column], high[column] = np.quantile(kept, [0.01, 0.99])
    return low, high


def _scale(low: Array, high: Array) -> tuple[Array, Array]:
    return (low + high) / 2, np.maximum((high - low) / 2, MIN_HALF_RANGE)


def _forward(value: Array, low: Array, high: Array, clip: float | None) -> Array:
    value = np.asarray(value)
    middle, half = _scale(low, high)
    out = (value - middle) / half
    if clip is not None:
        out = np.clip(out, -clip, clip)
    return out.astype(value.dtype if value.dtype.kind == "f" else float)


def _inverse(value: Array, low: Array, high: Array) -> Array:
    value = np.asarray(value)
    middle, half = _scale(low, high)
    return (value * half + middle).astype(value.dtype if value.dtype.kind == "f" else float)
