"""What all data objects have in common: arrays that nobody can write to, and lengths that agree."""

from __future__ import annotations

import dataclasses

import numpy as np


class Frozen:
    """Base of the data objects: arrays become read-only views when the object is made."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.flags.writeable = False
                object.__setattr__(self, field.name, view)
        self.check()

    def check(self) -> None:
        """Raise ValueError where fields contradict each other; overridden by the objects that need it."""


def same_length(owner: object, **arrays: np.ndarray | None) -> None:
    """Raise ValueError where the arrays that are there have different lengths."""
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{type(owner).__name__}: lengths differ: {lengths}")
