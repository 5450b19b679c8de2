"""export.json: what goes into an exported policy and what comes out, in words, shapes and units."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidpretrain import __version__
from vidpretrain.control import limits_of
from vidpretrain.errors import InputError, MissingAsset, UnknownName
from vidpretrain.robot import load_robot
from vidpretrain.types import ActionSpec

FORMAT_VERSION = 1


def described(
    spec: ActionSpec,
    image: tuple[int, ...],
    cameras: tuple[str, ...],
    offsets: tuple[int, ...],
    slots: int,
    text: tuple[str, int] | None,
) -> dict[str, Any]:
    """The file's inputs and output, the columns of its vectors, and the robot's limits where the robot is known.

    `cameras` name the views of `image` in their order.
    """
    d, h, t = spec.width, spec.horizon, len(offsets)
    ago = ", ".join(str(-offset) for offset in offsets)
    views = "one view after the other, " if len(image) == 4 else ""
    inputs = [
        _array("image", "uint8", image, "level", f"{views}RGB, upright, fitted into a square with black borders"),
        _array("state", "float32", (d,), "see columns", "absolute, NaN where unknown"),
        _array("history", "float32", (t, d), "see columns", f"states {ago} rows ago, absolute, NaN where unknown"),
        _array("fov", "float32", (), "rad", "horizontal field of view of the fitted picture, NaN where unknown"),
        _array("noise", "float32", (h, slots), "1", "standard normal; the same noise gives the same actions"),
    ]
    if text is not None:
        inputs.append(_array("text", "float32", (text[1],), "1", f"the instruction's features by {text[0]}"))
    return {
        "format_version": FORMAT_VERSION,
        "code_version": __version__,
        "embodiment": spec.embodiment,
        "rate_hz": spec.rate_hz,
        "horizon": h,
        "cameras": list(cameras),
        "history_rows": list(offsets),
        "text": None if text is None else {"encoder": text[0], "width": text[1]},
        "noise": "numpy.random.default_rng((seed, 3, row)).standard_normal((1, horizon, slots), dtype=float32)[0]",
        "inputs": inputs,
        "outputs": [_array("actions", "float32", (h, d), "see columns", "absolute; row k is the target k rows ahead")],
        "columns": [
            {"name": name, "group": group.name, "quantity": group.quantity, "unit": group.unit}
            for group in spec.groups
            for name in group.names
        ],
        "limits": _limits(spec),
    }


def _array(name: str, dtype: str, shape: tuple[int, ...], unit: str, meaning: str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["batch", *shape], "unit": unit, "meaning": meaning}


def _limits(spec: ActionSpec) -> dict[str, list[float | None]] | None:
    """Bounds and largest change per row of every column, None where there is none; None for an unknown robot."""
    try:
        limits = limits_of(load_robot(spec.embodiment.removeprefix("human_")), spec)
    except (UnknownName, MissingAsset, InputError):
        return None
    named = {"lower": limits.lower, "upper": limits.upper, "step": limits.step}
    return {name: [float(v) if np.isfinite(v) else None for v in values] for name, values in named.items()}
