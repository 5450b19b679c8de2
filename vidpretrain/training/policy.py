"""Policy: a checkpoint that answers. Absolute state and pictures in, absolute actions out, nothing else needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from vidpretrain import __version__
from vidpretrain.errors import CheckpointError, VidpretrainError
from vidpretrain.model import VidPolicy, VidPolicyConfig
from vidpretrain.model.processing import VidProcessor
from vidpretrain.transforms import Paired
from vidpretrain.types import ActionSpec

Array = np.ndarray


class Policy:
    """Inference on a `VidPolicy`. Deterministic: noise depends on (seed, key of the row) alone, not on the batch."""

    def __init__(self, model: VidPolicy) -> None:
        self.model = model.eval()
        self.processor = VidProcessor(model.config)
        self.paired: dict[str, Paired] = self.processor.paired
        self.layout, self.sizes = self.processor.layout, self.processor.sizes
        self.history, self.flow_steps = self.sizes.history, self.sizes.flow_steps

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
        images: Array | Mapping[str, Array | None],
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
            images: upright pictures, uint8 (b p q 3), RGB; of several views (b v p q 3) or by camera (`pictures.seen`).
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
            CheckpointError: another robot. InputError: shapes, types, cameras or values that do not fit.
        """
        state = np.asarray(state)
        given = self.processor(
            images,
            state,
            embodiment,
            history=history,
            history_known=history_known,
            fov=fov,
            seed=seed,
            samples=samples,
            temperature=temperature,
            keys=keys,
            instructions=instructions,
        )
        device = next(self.model.parameters()).device
        tensors = {name: value.to(device) for name, value in given.items()}
        with torch.inference_mode():
            chunk = self.model.sample(**tensors, steps=steps or self.flow_steps)
        return self.processor.decode(chunk, state, embodiment)


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
    _readable(path)
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


def _readable(path: Path) -> None:
    """Make sure, before any weight is read, that this code knows what the configuration asks for.

    Raises:
        CheckpointError: another kind of model, or one of another version.
    """
    try:
        found = json.loads((path / "config.json").read_text(encoding="utf-8"))
        kind = found.get("model_type")
    except (ValueError, AttributeError, OSError) as error:
        raise CheckpointError(f"config.json cannot be read: {error}", asked=path) from None
    if kind != VidPolicyConfig.model_type:
        raise CheckpointError("a checkpoint of another model", asked=path, found=kind, valid=VidPolicyConfig.model_type)
    try:
        config = VidPolicyConfig(**{k: v for k, v in found.items() if k != "model_type"})
        VidProcessor(config)
    except (VidpretrainError, ValueError, KeyError, TypeError) as error:
        made = found.get("code_version") or "unknown"
        raise CheckpointError(
            f"the checkpoint is of another version: {str(error).splitlines()[0]}",
            asked=path,
            found=f"written by vidpretrain {made}",
            valid=f"what vidpretrain {__version__} knows",
            next_command=f"pip install vidpretrain=={made}  (the version that wrote it)",
        ) from None
