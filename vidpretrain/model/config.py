"""Sizes of the policy. No torch here: the command line reads this."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from vidpretrain.errors import unknown_name


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Size of the policy; a preset gives the numbers, and any field given beside it wins.

    Image pixels pass `stem` (channels and stride of each convolution) and become one token per cell of the last map
    (flattened, never averaged: where things are is what counts). `history` are row offsets before the chunk's start
    whose state the policy may see, as motion relative to the state at the start: (-1, -5) at 30 Hz is 33 and 167 ms.
    With `vision` flat, one linear map of the whole flattened map makes `flat_tokens` tokens instead: fewer operations,
    and what learns from few demonstrations. `text` names what turns an instruction into numbers (None: the policy is
    not told what to do): "hash" needs nothing but the words (`model.text`), any other name is a text encoder of the Hub
    or a folder of one; `text_width` is the length of "hash", and has to be that of the encoder otherwise.
    """

    preset: Literal["micro", "nano", "tiny", "small"] = "nano"
    image_px: int | None = None
    stem: tuple[tuple[int, int], ...] | None = None
    width: int | None = None
    trunk_layers: int | None = None
    decoder_layers: int | None = None
    heads: int | None = None
    dropout: float | None = None
    history: tuple[int, ...] = (-1, -5)
    flow_steps: int = 6
    vision: Literal["tokens", "flat"] = "tokens"
    flat_tokens: int = 4
    text: str | None = None
    text_width: int = 256

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise unknown_name("model preset", self.preset, PRESETS)
        for name, value in PRESETS[self.preset].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.width % self.heads:  # type: ignore[operator]
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if any(offset >= 0 for offset in self.history):
            raise ValueError(f"history offsets lie before the chunk's start, below 0: {self.history}")
        for name in ("flow_steps", "flat_tokens", "text_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.text == "":
            raise ValueError("text names an encoder, or is null")
        side = self.image_px
        for _, stride in self.stem:  # type: ignore[union-attr]
            side = -(-side // stride)  # type: ignore[operator]
        if side < 2:  # type: ignore[operator]
            raise ValueError(f"the stem shrinks {self.image_px} px to {side}: take fewer or smaller strides")

    def replace(self, **changes: Any) -> ModelConfig:
        """The same configuration with some fields changed."""
        return dataclasses.replace(self, **changes)


PRESETS: dict[str, dict[str, Any]] = {
    "micro": {
        "image_px": 64,
        "stem": ((24, 2), (48, 2), (64, 2), (96, 2)),
        "width": 96,
        "trunk_layers": 2,
        "decoder_layers": 2,
        "heads": 4,
        "dropout": 0.0,
    },
    "nano": {
        "image_px": 96,
        "stem": ((32, 3), (64, 2), (96, 2), (128, 2)),
        "width": 128,
        "trunk_layers": 4,
        "decoder_layers": 3,
        "heads": 4,
        "dropout": 0.0,
    },
    "tiny": {
        "image_px": 96,
        "stem": ((48, 3), (96, 2), (160, 2), (224, 2)),
        "width": 224,
        "trunk_layers": 4,
        "decoder_layers": 3,
        "heads": 4,
        "dropout": 0.0,
    },
    "small": {
        "image_px": 224,
        "stem": ((64, 2), (128, 2), (256, 2), (384, 2), (512, 2)),
        "width": 512,
        "trunk_layers": 6,
        "decoder_layers": 6,
        "heads": 8,
        "dropout": 0.1,
    },
}
