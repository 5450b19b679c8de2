"""Policy: a checkpoint that answers. Absolute state and pictures in, absolute actions out, nothing else needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8

from vidpretrain.errors import CheckpointError, InputError
from vidpretrain.model import VidPolicy
from vidpretrain.model.text import features
from vidpretrain.training.collate import inputs, to_torch
from vidpretrain.transforms import Paired
from vidpretrain.types import ActionSpec

Array = np.ndarray


class Policy:
    """Inference on a `VidPolicy`. Deterministic: noise depends on (seed, key of the row) alone, not on the batch."""

    def __init__(self, model: VidPolicy) -> None:
        self.model = model.eval()
        self.paired: dict[str, Paired] = model.config.paired()
        self.layout = model.config.layout()
        self.history = model.config.model_config().history
        self.flow_steps = model.config.model_config().flow_steps

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> Policy:
        """The policy in a training run's folder, or in its `model` folder.

        Raises:
            CheckpointError: no checkpoint there, an incomplete one, or one of another kind.
        """
        model = load_model(folder)
        model.to(torch.device(device))  # type: ignore[arg-type]
        return cls(model)

    @property
    def embodiments(self) -> list[str]:
        """Robots that this policy moves."""
        return list(self.paired)

    def spec(self, embodiment: str) -> ActionSpec:
        """Layout of an embodiment's state and actions.

        Raises:
            CheckpointError: the checkpoint was not trained for it.
        """
        self.model.config.embodiment_id(embodiment)
        return self.paired[embodiment].spec

    def require(self, embodiment: str, names: tuple[str, ...], horizon: int | None = None) -> ActionSpec:
        """The spec of an embodiment, after making sure that data with these columns can be put to this policy.

        Raises:
            CheckpointError: another robot, other columns or another chunk length.
        """
        spec = self.spec(embodiment)
        if spec.names != tuple(names):
            here, there = set(names) - set(spec.names), set(spec.names) - set(names)
            raise CheckpointError(
                f"the data's columns of {embodiment} are not the checkpoint's",
                asked=f"{len(names)} columns, unknown: {', '.join(sorted(here)) or 'none (order differs)'}",
                found=f"{len(spec.names)} columns, missing: {', '.join(sorted(there)) or 'none'}",
            )
        if horizon is not None and horizon != spec.horizon:
            raise CheckpointError("the checkpoint has another chunk length", asked=horizon, found=spec.horizon)
        return spec

    def predict(
        self,
        images: UInt8[Array, "b p q 3"],
        state: Float32[Array, "b d"],
        embodiment: str,
        *,
        history: Float32[Array, "b t d"] | None = None,
        history_known: Bool[Array, "b t d"] | None = None,
        fov: Float32[Array, " b"] | None = None,
        seed: int = 0,
        steps: int | None = None,
        samples: int = 1,
        temperature: float = 1.0,
        keys: Int64[Array, " b"] | None = None,
        instructions: Sequence[str] | None = None,
    ) -> Float32[Array, "b h d"]:
        """Absolute actions in the columns and units of the embodiment's spec, NaN where a relative group has no state.

        Args:
            images: upright pictures, RGB.
            state: absolute state, NaN where unknown.
            history: absolute states at the offsets `self.history` (rows before now); None or NaN where unknown.
            fov: horizontal field of view in radians, NaN or None where unknown.
            steps: Euler steps of the flow (None: the checkpoint's).
            samples: flow samples that are averaged; 1 is a draw from the policy, more approach its mean.
            temperature: size of the starting noise; 0 gives one repeatable chunk near the policy's mean for the price
                of one draw.
            keys: a number per row that seeds its noise (None: 0, 1, 2, ...).
            instructions: what to do, one text per row; not read by a policy that is not told.

        Raises:
            CheckpointError: another robot. InputError: shapes or types that do not fit.
        """
        row = self.model.config.embodiment_id(embodiment)
        paired, count = self.paired[embodiment], len(images)
        images, state = _checked(images, state, paired.spec)
        past = (
            np.full((count, len(self.history), paired.spec.width), np.nan, np.float32) if history is None else history
        )
        past = np.asarray(past, dtype=np.float32)
        if past.shape != (count, len(self.history), paired.spec.width):
            raise InputError(
                "history does not fit", found=past.shape, valid=(count, len(self.history), paired.spec.width)
            )
        known = np.isfinite(past) if history_known is None else history_known & np.isfinite(past)
        arrays = inputs(images, state, np.isfinite(state), past, known, paired, self.history)
        for name in ("state", "state_known", "history", "history_known"):
            arrays[name] = self.layout.scatter(arrays[name], paired.spec)
        arrays["embodiment"] = np.full(count, row, dtype=np.int64)
        arrays["fov"] = np.full(count, np.nan, np.float32) if fov is None else np.asarray(fov, dtype=np.float32)
        arrays["slot_mask"] = np.broadcast_to(
            self.layout.mask(paired.spec).astype(np.float32), (count, self.layout.width)
        )
        arrays["noise"] = self._noise(np.arange(count) if keys is None else keys, seed, samples) * np.float32(
            temperature
        )
        sizes = self.model.config.model_config()
        if sizes.text is not None:
            told = [""] * count if instructions is None else list(instructions)
            if len(told) != count:
                raise InputError(
                    "instructions do not fit", found=f"{len(told)} texts", valid=f"{count}, one per picture"
                )
            arrays["text"] = features(told, sizes.text, sizes.text_width)
        device = next(self.model.parameters()).device
        tensors = {name: value.to(device) for name, value in to_torch(arrays).items()}
        with torch.inference_mode():
            chunk = self.model.sample(**tensors, steps=steps or self.flow_steps).mean(dim=1)
        native = self.layout.gather(chunk.float().cpu().numpy(), paired.spec)
        return paired.inverse(state, native).astype(np.float32)

    def _noise(self, keys: Array, seed: int, samples: int) -> Float32[Array, "b k h s"]:
        shape = (samples, self.model.config.horizon, self.layout.width)
        draws = [np.random.default_rng((seed, 3, int(key))).standard_normal(shape, dtype=np.float32) for key in keys]
        return np.stack(draws) if draws else np.empty((0, *shape), np.float32)


def _checked(images: Array, state: Array, spec: ActionSpec) -> tuple[Array, Array]:
    images, state = np.asarray(images), np.asarray(state, dtype=np.float32)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise InputError(
            "pictures do not fit", found=f"{images.dtype} {images.shape}", valid="uint8 (batch, height, width, 3), RGB"
        )
    if state.shape != (len(images), spec.width):
        raise InputError(
            f"state does not fit {spec.embodiment}", found=state.shape, valid=f"({len(images)}, {spec.width})"
        )
    return images, state


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars of transformers inside the block: a small file needs none."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_model(folder: Path | str) -> VidPolicy:
    """The model with its weights; see `Policy.load`."""
    from safetensors import SafetensorError

    given = Path(folder)
    path = given / "model" if (given / "model" / "config.json").is_file() else given
    if not (path / "config.json").is_file() or not (path / "model.safetensors").is_file():
        found = sorted(p.name for p in given.iterdir())[:10] if given.is_dir() else "no such folder"
        raise CheckpointError(
            "no complete checkpoint here",
            asked=given,
            found=found,
            valid="a folder with config.json, model.safetensors",
        )
    try:
        with quiet_transformers():
            loaded: Any = VidPolicy.from_pretrained(path, output_loading_info=True, use_safetensors=True)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint cannot be read: {error}", asked=path) from None
    model, info = loaded
    wrong = {name: sorted(info[name]) for name in ("missing_keys", "unexpected_keys") if info[name]}
    if wrong:
        raise CheckpointError("the checkpoint does not fit its own configuration", asked=path, found=wrong)
    return model
