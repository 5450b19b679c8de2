"""What a policy sees of a state and its past: normalised, in the embodiment's columns. NumPy only."""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain.transforms import Paired

Array = np.ndarray


def inputs(
    images: Array,
    state: Array,
    state_known: Array,
    history: Array,
    history_known: Array,
    paired: Paired,
    offsets: tuple[int, ...],
) -> dict[str, Array]:
    """What the policy sees in the embodiment's columns: the state normalised, the history as motion up to it.

    The motion from a state `k` rows ago is scaled by horizon / k, so that steady motion has the size of actions.
    """
    known = state_known & np.isfinite(state)
    free = dataclasses.replace(paired, normalizer=dataclasses.replace(paired.normalizer, clip=None))
    still = free.forward(state, state[:, None])[1]
    scale = paired.spec.horizon / np.abs(np.asarray(offsets, dtype=np.float32))[:, None]
    past = (free.forward(state, history)[1] - still) * scale
    if paired.normalizer.clip is not None:
        past = np.clip(past, -paired.normalizer.clip, paired.normalizer.clip)
    past_known = history_known & known[:, None] & np.isfinite(past)
    return {
        "images": images,
        "state": clean(paired.forward_state(state)),
        "state_known": known,
        "history": clean(past),
        "history_known": past_known,
    }


def clean(value: Array) -> Array:
    """Float32 with zeros where it is not finite."""
    return np.nan_to_num(value, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
