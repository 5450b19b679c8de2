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
    and what learns from few demonstrations. With backbone, an image model of transformers (`backbone`, a folder or a
    name of the Hub) makes the tokens in place of the stem; `backbone_train` of its last layers are trained (0: none,
    -1: all of it). With features, the policy is given that frozen model's tokens instead of pictures, as
    `training.features` keeps them beside a cache: `feature_tokens` of `feature_width` numbers each.

    `cameras` name the views, in the order in which the policy is given them, and `frames` are row offsets before the
    chunk's start at which it sees each camera as well, like `history` for states.

    `head` is how actions are said: by flow matching, as their mean (regression), or as one of `token_bins` values
    between -`token_range` and `token_range` per slot (tokens).

    `text` names what turns an instruction into numbers (None: the policy is not told what to do): "hash" needs nothing
    but the words (`model.text`), "minilm" is all-MiniLM-L6-v2 of a package, any other name is a text encoder of the Hub
    or a folder of one; `text_width` is the length of "hash", and has to be that of the encoder otherwise.
    """

    preset: Literal["micro", "nano", "tiny", "small", "base", "large"] = "nano"
    image_px: int | None = None
    stem: tuple[tuple[int, int], ...] | None = None
    width: int | None = None
    trunk_layers: int | None = None
    decoder_layers: int | None = None
    heads: int | None = None
    dropout: float | None = None
    history: tuple[int, ...] = (-1, -5)
    flow_steps: int = 6
    vision: Literal["tokens", "flat", "backbone", "features"] = "tokens"
    flat_tokens: int = 4
    backbone: str | None = None
    backbone_train: int = 0
    feature_tokens: int = 256
    feature_width: int = 384
    cameras: tuple[str, ...] = ("main",)
    frames: tuple[int, ...] = ()
    head: Literal["flow", "regression", "tokens"] = "flow"
    token_bins: int = 64
    token_range: float = 3.0
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
        for name in ("history", "frames"):
            if any(offset >= 0 for offset in getattr(self, name)):
                raise ValueError(f"{name} offsets lie before the chunk's start, below 0: {getattr(self, name)}")
        for name in ("flow_steps", "flat_tokens", "text_width", "feature_tokens", "feature_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.text == "" or self.backbone == "":
            raise ValueError("text and backbone name a model, or are null")
        if (self.vision in ("backbone", "features")) != (self.backbone is not None):
            raise ValueError(f"vision {self.vision} and backbone {self.backbone} do not go together")
        if self.backbone_train < -1:
            raise ValueError(f"backbone_train is a number of layers, 0 or -1 (all), not {self.backbone_train}")
        if not self.cameras or len(set(self.cameras)) != len(self.cameras) or not all(self.cameras):
            raise ValueError(f"cameras are distinct names, one at least: {self.cameras}")
        if self.token_bins < 3 or not self.token_range > 0:
            raise ValueError(f"token_bins >= 3 and token_range > 0, not {self.token_bins} and {self.token_range}")
        if self.map_px < 2:
            raise ValueError(f"the stem shrinks {self.image_px} px to {self.map_px}: take fewer or smaller strides")

    @property
    def map_px(self) -> int:
        """Side of the stem's last map."""
        side = int(self.image_px or 0)
        for _, stride in self.stem or ():
            side = -(-side // stride)
        return side

    @property
    def views(self) -> tuple[str, ...]:
        """What each picture of a row is, in order: every camera now, then its past frames ("main", "main-5")."""
        return tuple(f"{name}{offset or ''}" for name in self.cameras for offset in (0, *self.frames))

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
        "decoder_layers": 4,
        "heads": 8,
        "dropout": 0.1,
    },
    "base": {
        "image_px": 224,
        "stem": ((64, 2), (128, 2), (256, 2), (512, 2)),
        "width": 768,
        "trunk_layers": 12,
        "decoder_layers": 8,
        "heads": 12,
        "dropout": 0.1,
    },
    "large": {
        "image_px": 224,
        "stem": ((64, 2), (128, 2), (256, 2), (512, 2)),
        "width": 1536,
        "trunk_layers": 24,
        "decoder_layers": 8,
        "heads": 24,
        "dropout": 0.1,
    },
}
