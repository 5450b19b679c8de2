"""The policy's processor: pictures, state and words in, tensors as the model takes them out, and its chunks back.

All that it needs is in the checkpoint's configuration. `transformers.AutoProcessor` finds it beside published weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from transformers import BatchFeature, ProcessorMixin

from vidpretrain.errors import InputError
from vidpretrain.model.inputs import inputs
from vidpretrain.model.pictures import seen
from vidpretrain.model.policy import VidPolicyConfig
from vidpretrain.model.text import features
from vidpretrain.types import ActionSpec

Array = np.ndarray
NAME = "processor_config.json"
AUTO = {"processor_class": "VidProcessor", "auto_map": {"AutoProcessor": "processing_vidpolicy.VidProcessor"}}


class VidProcessor(ProcessorMixin):
    """`processor(...)` gives the arguments of `VidPolicy.sample`, `processor.decode(...)` actions of its answer.

    Random is only the starting noise, and that depends on (seed, key of the row) alone, not on the batch.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config: VidPolicyConfig = config
        self.sizes = config.model_config()
        self.paired, self.layout = config.paired(), config.layout()

    def __call__(  # type: ignore[override]
        self,
        images: Array | Mapping[str, Array | None],
        state: Float32[Array, "b d"],
        embodiment: str,
        *,
        history: Float32[Array, "b t d"] | None = None,
        history_known: Bool[Array, "b t d"] | None = None,
        fov: Float32[Array, " b"] | None = None,
        seed: int = 0,
        samples: int = 1,
        temperature: float = 1.0,
        keys: Int64[Array, " b"] | None = None,
        instructions: Sequence[str] | None = None,
    ) -> BatchFeature:
        """Tensors by name, on the CPU; arguments as those of `training.Policy.predict`.

        Raises:
            CheckpointError: another robot. InputError: shapes, types, cameras or values that do not fit.
        """
        row = self.config.embodiment_id(embodiment)
        paired = self.paired[embodiment]
        shown, shown_known = seen(images, self.sizes)
        count, spec, offsets = len(shown), paired.spec, self.sizes.history
        state = checked(state, count, spec)
        past = np.full((count, len(offsets), spec.width), np.nan, np.float32) if history is None else history
        past = np.asarray(past, dtype=np.float32)
        if past.shape != (count, len(offsets), spec.width):
            raise InputError("history does not fit", found=past.shape, valid=(count, len(offsets), spec.width))
        known = np.isfinite(past) if history_known is None else history_known & np.isfinite(past)
        arrays = inputs(shown, state, np.isfinite(state), past, known, paired, offsets)
        for name in ("state", "state_known", "history", "history_known"):
            arrays[name] = self.layout.scatter(arrays[name], spec)
        arrays["embodiment"] = np.full(count, row, dtype=np.int64)
        arrays["fov"] = np.full(count, np.nan, np.float32) if fov is None else np.asarray(fov, dtype=np.float32)
        if arrays["fov"].shape != (count,):
            raise InputError("fields of view do not fit", found=arrays["fov"].shape, valid=(count,))
        mask = self.layout.mask(spec).astype(np.float32)
        arrays["slot_mask"] = np.broadcast_to(mask, (count, self.layout.width))
        noise = self._noise(np.arange(count) if keys is None else keys, seed, samples)
        arrays["noise"] = noise * np.float32(temperature)
        if shown_known is not None:
            arrays["images_known"] = shown_known
        if self.sizes.text is not None:
            told = [""] * count if instructions is None else list(instructions)
            if len(told) != count:
                raise InputError(
                    "instructions do not fit", found=f"{len(told)} texts", valid=f"{count}, one per picture"
                )
            arrays["text"] = features(told, self.sizes.text, self.sizes.text_width)
        return BatchFeature({n: torch.from_numpy(np.require(v, requirements=["C", "W"])) for n, v in arrays.items()})

    def decode(self, chunk: Any, state: Float32[Array, "b d"], embodiment: str) -> Float32[Array, "b h d"]:  # type: ignore[override]
        """Absolute actions of what `sample` gave (B K H S), the mean of its draws, NaN where a relative group has no
        state."""
        mean = chunk.mean(dim=1).float().cpu().numpy()
        paired = self.paired[embodiment]
        native = self.layout.gather(mean, paired.spec)
        return paired.inverse(np.asarray(state, dtype=np.float32), native).astype(np.float32)

    def _noise(self, keys: Array, seed: int, samples: int) -> Float32[Array, "b k h s"]:
        shape = (samples, self.config.horizon, self.layout.width)
        draws = [np.random.default_rng((seed, 3, int(key))).standard_normal(shape, dtype=np.float32) for key in keys]
        return np.stack(draws) if draws else np.empty((0, *shape), np.float32)

    def to_dict(self) -> dict[str, Any]:
        """What is written beside the configuration: where the class is."""
        return dict(AUTO)

    def save_pretrained(self, save_directory: Any, push_to_hub: bool = False, **kwargs: Any) -> list[str]:
        """Write `processor_config.json` and the checkpoint's configuration into a folder."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")
        if not (folder / "config.json").is_file():
            self.config.save_pretrained(folder)
        return [str(folder / NAME)]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **kwargs: Any) -> VidProcessor:  # type: ignore[override]
        """The processor of a checkpoint: a folder, or a name of the Hub."""
        kept = {k: v for k, v in kwargs.items() if k in ("revision", "token", "cache_dir", "local_files_only")}
        return cls(VidPolicyConfig.from_pretrained(pretrained_model_name_or_path, **kept))


def checked(state: Any, count: int, spec: ActionSpec) -> Float32[Array, "b d"]:
    """The state as float32.

    Raises:
        InputError: other columns, no numbers, or infinite ones.
    """
    state = np.asarray(state)
    if state.dtype.kind not in "fiu" or state.shape != (count, spec.width):
        raise InputError(
            f"state does not fit {spec.embodiment}",
            found=f"{state.dtype} {state.shape}",
            valid=f"numbers ({count}, {spec.width})",
        )
    if np.isinf(state).any():
        wrong = sorted({spec.names[column] for column in np.nonzero(np.isinf(state))[1]})
        raise InputError("the state is infinite", found=", ".join(wrong), valid="numbers, NaN where unknown")
    return state.astype(np.float32)
