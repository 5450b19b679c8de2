"""The gap as a picture: what the two sides look like and where their chunks end, before and after each bridge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vidpretrain.gap import bridges
from vidpretrain.gap.config import GapConfig
from vidpretrain.gap.side import Side

Array = np.ndarray
_PX, _COUNT, _TEXT_PX, _MARGIN = 96, 8, 120, 4
_HUMAN, _ROBOT = (214, 96, 32), (32, 96, 180)


def before_after(human: Side, robot: Side, config: GapConfig) -> UInt8[Array, "h w 3"]:
    """A strip per state of the human side (as it is, after each bridge of `config`, after all), the robot's last.

    Pictures of rows evenly spread over the side; right of them where chunks end, about their median: the two largest
    directions of the robot's, human rows orange over the robot's blue.
    """
    rows = [_strip(name, side, robot, config) for name, side in _states(human, robot, config)]
    rows.append(_strip("robot", robot, robot, config))
    return np.concatenate(rows)


def write_picture(path: Path, picture: UInt8[Array, "h w 3"]) -> None:
    """Write it as png, aside and renamed."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp.png")
    cv2.imwrite(str(aside), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    aside.replace(path)


def _states(human: Side, robot: Side, config: GapConfig) -> Iterator[tuple[str, Side]]:
    yield "people", human
    for bridge in config.bridges:
        yield bridge, bridges.cross(human, robot, bridge, config)
    together = human
    for bridge in config.bridges:
        together = bridges.cross(together, robot, bridge, config)
    yield "all", together


def _strip(name: str, side: Side, robot: Side, config: GapConfig) -> Array:
    import cv2

    height = _PX + 2 * _MARGIN
    text = np.full((height, _TEXT_PX, 3), 255, dtype=np.uint8)
    cv2.putText(text, name, (6, height // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    parts = [text]
    for row in np.linspace(0, len(side) - 1, _COUNT).astype(int):
        tile = np.full((height, _PX + _MARGIN, 3), 255, dtype=np.uint8)
        tile[_MARGIN : _MARGIN + _PX, :_PX] = cv2.resize(side.images[row], (_PX, _PX), interpolation=cv2.INTER_NEAREST)
        parts.append(tile)
    return np.concatenate([*parts, _ends(side, robot, config, height)], axis=1)


def _ends(side: Side, robot: Side, config: GapConfig, height: int) -> Array:
    """A square with where chunks end; empty where the sides share no motion."""
    out = np.full((height, height + _MARGIN, 3), 255, dtype=np.uint8)
    (_, own), (_, other) = (bridges.moving(one, config.horizon) for one in (side, robot))
    if own is None or other is None or own.shape[2] != other.shape[2]:
        return out
    ends = [chunk[:, -1] for chunk in (own, other)]
    ends = [end[np.isfinite(end).all(axis=1)] for end in ends]
    if min(map(len, ends)) < 3:
        return out
    middle = np.median(ends[1], axis=0)
    _, _, axes = np.linalg.svd(ends[1] - middle, full_matrices=False)
    flat = [(end - middle) @ axes[:2].T for end in ends]
    half = max(float(np.quantile(np.abs(flat[1]), 0.98)) * 2.0, 1e-6)
    for places, colour in ((flat[1], _ROBOT), (flat[0], _HUMAN)):
        if places is flat[0] and side is robot:
            continue
        for x, y in np.clip(0.5 * height * (1 + places / half), 1, height - 2).astype(int):
            out[y, x] = colour
    return out
