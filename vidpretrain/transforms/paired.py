"""Forward and inverse of a training sample in one object, without memory between the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from vidpretrain import config
from vidpretrain.transforms.chunks import absolute_chunk, relative_chunk
from vidpretrain.transforms.normalizer import Normalizer
from vidpretrain.types import ActionSpec

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Paired:
    """An embodiment's layout and normaliser: absolute state and chunk to the network's values and back.

    The inverse takes the state as an argument again (nothing is remembered), so batches may be reordered freely.
    """

    spec: ActionSpec
    normalizer: Normalizer

    def __post_init__(self) -> None:
        if self.spec.names != self.normalizer.names:
            raise ValueError(f"{self.spec.embodiment}: the normaliser was fitted on other columns than the spec's")

    @classmethod
    def fit(
        cls,
        spec: ActionSpec,
        state: Float[Array, "n d"],
        action: Float[Array, "n h d"],
        state_valid: Bool[Array, "n d"] | None = None,
        action_valid: Bool[Array, "n h d"] | None = None,
        clip: float | None = 1.5,
    ) -> Paired:
        """Fit the normaliser on absolute states and chunks; a relative value counts where both of its ends do."""
        both = action_valid
        if state_valid is not None:
            start = np.asarray(state_valid)[:, None, :]
            relative = np.array([g.representation != "absolute" for g in spec.groups for _ in g.names])
            both = np.where(relative, start, True) & (True if action_valid is None else np.asarray(action_valid))
            both = np.broadcast_to(both, np.shape(action))
        normalizer = Normalizer.fit(spec.names, state, relative_chunk(state, action, spec), state_valid, both, clip)
        return cls(spec=spec, normalizer=normalizer)

    def forward_state(self, state: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Normalised state."""
        return self.normalizer.normalize_state(state)

    def forward(self, state: Float[Array, "*b d"], action: Float[Array, "*b h d"]) -> tuple[Array, Array]:
        """(normalised state, normalised relative chunk) from absolute ones; NaN stays NaN."""
        relative = relative_chunk(state, action, self.spec)
        return self.forward_state(state), self.normalizer.normalize_action(relative)

    def inverse(self, state: Float[Array, "*b d"], chunk: Float[Array, "*b h d"]) -> Float[Array, "*b h d"]:
        """Absolute actions from the absolute state and a normalised relative chunk."""
        return absolute_chunk(state, self.normalizer.unnormalize_action(chunk), self.spec)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"spec": spec_to_dict(self.spec), "normalizer": self.normalizer.to_dict()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Paired:
        """Inverse of `to_dict`."""
        return cls(spec=spec_from_dict(data["spec"]), normalizer=Normalizer.from_dict(data["normalizer"]))


def spec_to_dict(spec: ActionSpec) -> dict[str, Any]:
    """An ActionSpec as plain JSON data."""
    return config.plain(spec)


def spec_from_dict(data: dict[str, Any]) -> ActionSpec:
    """Inverse of `spec_to_dict`.

    Raises:
        ConfigError: a key is unknown, missing or of another type.
    """
    return config.build(ActionSpec, data, "spec.")
