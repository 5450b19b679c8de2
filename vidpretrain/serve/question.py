"""What a robot asks: a message read into arrays that fit the policy, or an error that says which key does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from vidpretrain.errors import InputError, nearest
from vidpretrain.types import ActionSpec

Array = np.ndarray
_PREFIXES = ("observation/", "observation.")
KEYS = ("image", "state", "prompt", "embodiment", "step", "fov_rad", "seed", "history", "reset")


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question. `state` has all columns of the embodiment's spec or its motors' alone, NaN where unknown."""

    image: UInt8[Array, "p q 3"]
    state: Float32[Array, " d"]
    embodiment: str
    prompt: str = ""
    step: int | None = None
    fov_rad: float = float("nan")
    seed: int = 0
    history: Float32[Array, "t d"] | None = None
    reset: bool = False


def read_question(message: Any, specs: Mapping[str, ActionSpec], default: str | None, picture_px: int) -> Question:
    """The question in a message; keys may carry openpi's or LeRobot's prefix ("observation/", "observation.").

    Args:
        message: the unpacked message.
        specs: embodiments that the policy moves.
        default: embodiment where the message names none.
        picture_px: largest side of a picture.

    Raises:
        InputError: what is missing, unknown or of another shape or type, with what was found and what is valid.
    """
    if not isinstance(message, Mapping):
        raise InputError("a message is a map", found=type(message).__name__, valid=", ".join(KEYS))
    known = {_plain(key): value for key, value in message.items()}
    name = _text(known, "embodiment", default)
    if name is None:
        raise InputError("the message names no embodiment", valid=", ".join(specs), next_command="send 'embodiment'")
    if name not in specs:
        raise InputError(f"unknown embodiment {name!r}{nearest(name, specs)}", asked=name, valid=", ".join(specs))
    history = known.get("history")
    return Question(
        image=_picture(known, picture_px),
        state=_numbers(_needed(known, "state"), "state", 1),
        embodiment=name,
        prompt=_text(known, "prompt", "") or "",
        step=_whole(known, "step"),
        fov_rad=_number(known, "fov_rad", float("nan")),
        seed=_whole(known, "seed") or 0,
        history=None if history is None else _numbers(history, "history", 2),
        reset=bool(known.get("reset", False)),
    )


def _plain(key: Any) -> str:
    """A key without its prefix; every camera's picture is called "image"."""
    if not isinstance(key, str):
        raise InputError("keys are text", found=repr(key)[:60])
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    for prefix in ("images/", "images."):
        if key.startswith(prefix):
            return "image"
    return key


def _needed(known: Mapping[str, Any], key: str) -> Any:
    if key not in known:
        close = next((k for k in known if nearest(k, [key])), None)
        hint = f" ({close!r} is not it)" if close else ""
        found = ", ".join(sorted(known)[:20]) or "an empty map"
        raise InputError(f"the message has no {key!r}{hint}", found=found, valid=", ".join(KEYS))
    return known[key]


def _picture(known: Mapping[str, Any], largest: int) -> UInt8[Array, "p q 3"]:
    value = _needed(known, "image") if "images" not in known else known["images"]
    if isinstance(value, Mapping):
        if len(value) != 1:
            raise InputError("the policy looks through one camera", found=", ".join(map(str, value)) or "none")
        value = next(iter(value.values()))
    valid = f"uint8 (height, width, 3), RGB, upright, 16 to {largest} px a side"
    if not isinstance(value, np.ndarray):
        raise InputError("'image' is no array", found=type(value).__name__, valid=valid)
    found = f"{value.dtype} {value.shape}"
    if value.dtype != np.uint8:
        raise InputError("'image' has another type", found=found, valid=valid)
    if value.ndim == 3 and value.shape[2] != 3 and value.shape[0] == 3:
        raise InputError("'image' has its channels first", found=found, valid=valid)
    if value.ndim != 3 or value.shape[2] != 3 or not all(16 <= side <= largest for side in value.shape[:2]):
        raise InputError("'image' has another shape", found=found, valid=valid)
    return value


def _numbers(value: Any, key: str, dimensions: int) -> Float32[Array, "*n"]:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim != dimensions:
        what = "a vector" if dimensions == 1 else "rows of vectors"
        raise InputError(f"{key!r} is not {what} of numbers", found=f"{array.dtype} {array.shape}")
    if np.isinf(array).any():
        raise InputError(f"{key!r} has infinite values", valid="finite numbers, NaN where unknown")
    return array.astype(np.float32)


def _text(known: Mapping[str, Any], key: str, default: str | None) -> str | None:
    value = known.get(key, default)
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    if value is not None and not isinstance(value, str):
        raise InputError(f"{key!r} is not text", found=type(value).__name__)
    return value


def _number(known: Mapping[str, Any], key: str, default: float) -> float:
    value = known.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise InputError(f"{key!r} is not a number", found=type(value).__name__)
    return float(value)


def _whole(known: Mapping[str, Any], key: str) -> int | None:
    value = known.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise InputError(f"{key!r} is not a whole number from 0 on", found=repr(value)[:60])
    return int(value)
