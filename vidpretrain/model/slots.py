"""The slotted vector: one place for every named group of every embodiment, and a mask of what each one has.

Widths come from the embodiments' specs and nowhere else. NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from vidpretrain.errors import CheckpointError
from vidpretrain.types import ActionSpec

Array = np.ndarray


@dataclass(frozen=True)
class SlotLayout:
    """Named groups (name, width) in order; groups of the same name share a slot over embodiments."""

    groups: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, specs: Sequence[ActionSpec]) -> SlotLayout:
        """The union of the specs' groups, in order of first appearance.

        Raises:
            CheckpointError: a group has different widths in two embodiments.
        """
        widths: dict[str, tuple[int, str]] = {}
        for spec in specs:
            for group in spec.groups:
                width, owner = widths.setdefault(group.name, (group.width, spec.embodiment))
                if width != group.width:
                    raise CheckpointError(
                        f"group {group.name!r} has two widths, so it cannot share a slot: rename one",
                        asked=f"{spec.embodiment}: {group.width} columns",
                        found=f"{owner}: {width} columns",
                    )
        return cls(tuple((name, width) for name, (width, _) in widths.items()))

    @property
    def width(self) -> int:
        """Number of slots."""
        return sum(width for _, width in self.groups)

    def slices(self) -> dict[str, slice]:
        """Slots of each group."""
        out, start = {}, 0
        for name, width in self.groups:
            out[name] = slice(start, start + width)
            start += width
        return out

    def index(self, spec: ActionSpec) -> Array:
        """Slot of each column of `spec`, (d,) int64."""
        slices = self.slices()
        return np.concatenate([np.arange(slices[g.name].start, slices[g.name].stop) for g in spec.groups])

    def mask(self, spec: ActionSpec) -> Bool[Array, " slots"]:
        """Slots that `spec` fills."""
        out = np.zeros(self.width, dtype=bool)
        out[self.index(spec)] = True
        return out

    def scatter(self, value: Float32[Array, "*b d"], spec: ActionSpec) -> Float32[Array, "*b slots"]:
        """Columns of `spec` in their slots, zero elsewhere."""
        value = np.asarray(value)
        out = np.zeros((*value.shape[:-1], self.width), dtype=value.dtype)
        out[..., self.index(spec)] = value
        return out

    def gather(self, value: Float32[Array, "*b slots"], spec: ActionSpec) -> Float32[Array, "*b d"]:
        """Inverse of `scatter`: the columns of `spec`."""
        return np.asarray(value)[..., self.index(spec)]
