"""Which way up the stored pictures are, and whether they are mirror images: by the container, a sidecar or the user.

A mirrored picture of a right hand is a picture of a left one. No network can tell them apart, so nothing is guessed:
the container's display matrix may hold a flip (front cameras of phones write one), the rest somebody has to say.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.errors import InputError
from vidpretrain.video.config import VideoConfig
from vidpretrain.video.sources import facts_of

_TURNS = (0, 90, 180, 270)
_FACING = ("com.apple.quicktime.camera.identifier", "com.apple.quicktime.camera.lens_model")  # "... front camera ..."
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0", "")


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """A counter-clockwise turn by 0, 90, 180 or 270 degrees, and after it a flip left-right if `mirrored`."""

    turn_deg: int = 0
    mirrored: bool = False

    def then(self, other: Orientation) -> Orientation:
        """This one first, the other one after it."""
        turn = -other.turn_deg if self.mirrored else other.turn_deg
        return Orientation(turn_deg=(self.turn_deg + turn) % 360, mirrored=self.mirrored != other.mirrored)


def given_orientation(path: Path | str, config: VideoConfig) -> Orientation:
    """What the configuration, or else the sidecar or manifest, says beyond the container: `mirrored`, `turn_deg`.

    Raises:
        InputError: the sidecar's values are none.
    """
    facts = facts_of(path)
    turn = _turn(facts, path) if config.turn_deg is None else config.turn_deg
    mirrored = _flag(facts, path) if config.mirrored is None else config.mirrored
    return Orientation(turn_deg=turn, mirrored=mirrored)


def stored_orientation(frame: Any) -> Orientation:
    """What the container's display matrix says of a decoded PyAV frame: turn and flip.

    The matrix takes pixels (x right, y down) as rows; a negative determinant is a flip. FFmpeg's own angle leaves the
    flip out and calls a mirrored picture one on its head (libavutil/display.h).
    """
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return Orientation(turn_deg=round(frame.rotation / 90) * 90 % 360)
    a, b, _, c, d = struct.unpack("<9i", bytes(data)[:36])[:5]
    mirrored = a * d - b * c < 0
    if mirrored:  # the flip comes last: what is left without it is the turn
        a = -a
    clockwise = np.degrees(np.arctan2(b, a))
    return Orientation(turn_deg=round(-clockwise / 90) * 90 % 360, mirrored=mirrored)


def facing(metadata: Mapping[str, str]) -> str | None:
    """The word "front" where the file says that a phone's front camera took it; it may be mirrored or not."""
    said = " ".join(metadata.get(key, "") for key in _FACING).lower()
    return "front" if "front" in said else None


def _turn(facts: Mapping[str, Any], path: Path | str) -> int:
    value = facts.get("turn_deg") or 0
    try:
        turn = int(value)
    except (TypeError, ValueError):
        turn = -1
    if turn not in _TURNS:
        raise InputError("turn_deg does not fit", asked=path, found=value, valid="0, 90, 180 or 270")
    return turn


def _flag(facts: Mapping[str, Any], path: Path | str) -> bool:
    value = str(facts.get("mirrored", "")).lower()
    if value not in _YES + _NO:
        raise InputError("mirrored does not fit", asked=path, found=facts["mirrored"], valid="true or false")
    return value in _YES
