"""Random questions to a policy, the files' inputs made of them, and how far two answers are apart. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from vidpretrain.model.text import features
from vidpretrain.transforms import POSES, Paired
from vidpretrain.types import ActionSpec

Array = np.ndarray
_WORDS = ("", "pick up the red cup", "open the drawer", "hand it over")


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What `Policy.predict` is asked: absolute values, NaN where unknown; `keys` and `seed` number the noise."""

    images: Array
    state: Float32[Array, "b d"]
    history: Float32[Array, "b t d"]
    fov: Float32[Array, " b"]
    instructions: list[str]
    keys: Array
    seed: int


def questions(paired: Paired, offsets: tuple[int, ...], image: tuple[int, ...], count: int, seed: int) -> Questions:
    """`count` questions: states spread over the normaliser's range, a tenth of states, histories and angles unknown,
    histories that differ from the state as much as motion of that many rows does."""
    rng, spec, norm = np.random.default_rng((seed, 11)), paired.spec, paired.normalizer
    middle, half = (norm.state_q01 + norm.state_q99) / 2, (norm.state_q99 - norm.state_q01) / 2 + 1e-3
    state = _posed(middle + half * rng.normal(0, 0.6, (count, spec.width)), spec)
    reach = (norm.action_q99 - norm.action_q01) / 2 + 1e-3
    share = np.abs(np.asarray(offsets, dtype=float))[:, None] / spec.horizon
    past = _posed(state[:, None] + share * reach * rng.normal(0, 1, (count, len(offsets), spec.width)), spec)
    unknown = rng.random((count, spec.width)) < 0.1
    state = np.where(unknown | (rng.random((count, 1)) < 0.05), np.nan, state)
    past = np.where(rng.random(past.shape[:2])[..., None] < 0.1, np.nan, past)
    fov = np.where(rng.random(count) < 0.2, np.nan, rng.uniform(0.6, 2.0, count))
    return Questions(
        images=rng.integers(0, 256, (count, *image), dtype=np.uint8),
        state=state.astype(np.float32),
        history=past.astype(np.float32),
        fov=fov.astype(np.float32),
        instructions=[_WORDS[i % len(_WORDS)] for i in range(count)],
        keys=np.arange(count),
        seed=seed,
    )


def _posed(value: Array, spec: ActionSpec) -> Array:
    """The values with six numbers of every pose that are a rotation."""
    from vidpretrain import geometry

    out = np.array(value)
    for group, columns in zip(spec.groups, spec.slices().values(), strict=True):
        if group.quantity in POSES:
            six = out[..., columns][..., 3:] + np.array([1.0, 0, 0, 0, 1.0, 0]) * 0.2
            out[..., columns.start + 3 : columns.stop] = geometry.rot6d_from_matrix(geometry.matrix_from_rot6d(six))
    return out


def noise_of(keys: Array, seed: int, horizon: int, slots: int) -> Float32[Array, "b h s"]:
    """The noise that `Policy.predict` starts from for these keys and this seed, one draw each."""
    draws = [
        np.random.default_rng((seed, 3, int(key))).standard_normal((1, horizon, slots), dtype=np.float32)[0]
        for key in keys
    ]
    return np.stack(draws) if draws else np.empty((0, horizon, slots), np.float32)


def inputs_of(asked: Questions, horizon: int, slots: int, text: tuple[str, int] | None) -> dict[str, Array]:
    """The file's inputs by name; `text` is (encoder, width) of a policy that is told what to do."""
    out: dict[str, Array] = {
        "image": asked.images,
        "state": asked.state,
        "history": asked.history,
        "fov": asked.fov,
        "noise": noise_of(asked.keys, asked.seed, horizon, slots),
    }
    if text is not None:
        out["text"] = features(asked.instructions, *text)
    return out


def apart(here: Float32[Array, "b h d"], there: Float32[Array, "b h d"], spec: ActionSpec) -> dict[str, Any]:
    """Largest absolute difference, over all and per group; infinite where one knows a value that the other does not."""
    differs = np.abs(np.nan_to_num(here) - np.nan_to_num(there))
    differs = np.where(np.isnan(here) == np.isnan(there), differs, np.inf)
    groups = {name: float(differs[..., columns].max()) for name, columns in spec.slices().items()}
    return {"max_abs_difference": float(differs.max()), "by_group": groups, "values": int(np.isfinite(here).sum())}
