"""Parameters and floating-point operations of a policy, by formula from its sizes. No torch here.

Two operations per multiplication with its addition; products of matrices, convolutions and attention are counted, as
`torch.utils.flop_counter` does, norms and activations are not. Letters: D width, S slots, H horizon, M tokens that the
decoder looks at.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from vidpretrain.errors import ConfigError, UsageError, unknown_name
from vidpretrain.model.config import PRESETS, ModelConfig

SLOTS, HORIZON = 44, 16  # of the table: G1 with Inspire hands as `actions` describes it


@dataclass(frozen=True, kw_only=True)
class Counted:
    """`adapters` are the parameters of single embodiments (all of them), part of `parameters`; `encode_flops` is what
    is paid once per chunk and `step_flops` for every flow step (once, with the other heads)."""

    parameters: int
    adapters: int
    tokens: int
    encode_flops: int
    step_flops: int

    @property
    def flops(self) -> int:
        """Of one forward pass of one sample with one draw."""
        return self.encode_flops + self.step_flops


def count(sizes: ModelConfig, slots: int = SLOTS, horizon: int = HORIZON, embodiments: int = 1) -> Counted:
    """What a policy of these sizes has and does, for one sample.

    Raises:
        ConfigError: with `vision` backbone it is the image model that knows its own sizes.
    """
    width, history, views = int(sizes.width or 0), len(sizes.history), len(sizes.views)
    trunk, layers = int(sizes.trunk_layers or 0), int(sizes.decoder_layers or 0)
    stem, tokens, stem_flops = _stem(sizes)
    seen = 3 + history + views * tokens + (sizes.text is not None)
    said = slots * (sizes.token_bins if sizes.head == "tokens" else 1)
    flow = sizes.head == "flow"
    square = width * width
    adapters = embodiments * (width + 2 * (2 * slots + 1) * width + (width + 1) * said)
    shared = stem + 4 * width + (history + 2) * width + trunk * (12 * square + 13 * width) + 2 * width
    shared += layers * (16 * square + 19 * width) + 2 * width + horizon * width
    if flow:
        adapters += embodiments * (slots + 1) * width
        shared += 2 * (square + width)
    if sizes.text is not None:
        shared += (sizes.text_width + 1) * width
    if views > 1:
        shared += (views + 1) * width
    inputs = 2 * width * (3 + 2 * slots * (1 + history) + (sizes.text_width if sizes.text is not None else 0))
    encode = views * stem_flops + inputs + trunk * (24 * seen * square + 4 * seen * seen * width)
    encode += layers * 4 * seen * square
    step = layers * (28 * horizon * square + 4 * horizon * (horizon + seen) * width)
    step += 2 * horizon * width * said + flow * (2 * horizon * width * slots + 4 * square)
    return Counted(parameters=shared + adapters, adapters=adapters, tokens=seen, encode_flops=encode, step_flops=step)


def _stem(sizes: ModelConfig) -> tuple[int, int, int]:
    """(parameters, tokens of a picture, operations per picture) of what looks at it."""
    width = int(sizes.width or 0)
    if sizes.vision == "backbone":
        raise ConfigError(
            "an image model's own sizes are not in the policy's",
            asked=f"model.backbone={sizes.backbone}",
            valid="model.vision=tokens, flat or features",
        )
    if sizes.vision == "features":
        product = sizes.feature_width * width
        return product + width, sizes.feature_tokens, 2 * sizes.feature_tokens * product
    parameters, flops, channels, side = 0, 0, 5, int(sizes.image_px or 0)
    for i, (out, stride) in enumerate(sizes.stem or ()):
        side = -(-side // stride)
        kernel = channels * (25 if i == 0 else 9)
        parameters += out * (kernel + 3)
        flops += 2 * side * side * out * kernel
        channels = out
    cells = side * side
    if sizes.vision == "flat":
        made = sizes.flat_tokens * width
        return parameters + (channels * cells + 2) * made, sizes.flat_tokens, flops + 2 * channels * cells * made
    return (
        parameters + (channels + 1 + cells) * width,
        cells,
        flops + 2 * cells * channels * width,
    )


def table() -> list[dict[str, Any]]:
    """A row per preset."""
    rows = []
    for name in PRESETS:
        sizes = ModelConfig(preset=name)  # type: ignore[arg-type]
        counted = count(sizes)
        rows.append(
            {
                "preset": name,
                "parameters_M": round(counted.parameters / 1e6, 2),
                "adapters_M": round(counted.adapters / 1e6, 2),
                "forward_GFLOP": round(counted.flops / 1e9, 3),
                "flow_step_GFLOP": round(counted.step_flops / 1e9, 3),
                "picture_px": sizes.image_px,
                "tokens": counted.tokens,
                "width": sizes.width,
                "trunk": sizes.trunk_layers,
                "decoder": sizes.decoder_layers,
                "heads": sizes.heads,
            }
        )
    return rows


def markdown() -> str:
    """The table as it stands in docs/model.md."""
    rows = table()
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(v) for v in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def show(config: Any = None, inputs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every preset in a row, the one that `inputs` names in full, or the configuration's `model` where there is one.

    Raises:
        UsageError, UnknownName: more than one name, or none of a preset. ConfigError: see `count`.
    """
    if len(inputs) > 1:
        raise UsageError("one preset at a time", asked=" ".join(inputs), valid=", ".join(PRESETS))
    if inputs and inputs[0] not in PRESETS:
        raise unknown_name("model preset", inputs[0], PRESETS)
    if inputs or config is not None:
        sizes = ModelConfig(preset=inputs[0]) if inputs else config.model  # type: ignore[arg-type]
        counted = count(sizes)
        own = {f.name: getattr(sizes, f.name) for f in dataclasses.fields(sizes)}
        return {"ok": True, "counted": {**dataclasses.asdict(counted), "flops": counted.flops}, "model": own}
    said = f"one robot of {SLOTS} columns, chunks of {HORIZON}; vidpretrain model NAME shows one in full"
    return {"ok": True, "message": said, "presets": table()}
