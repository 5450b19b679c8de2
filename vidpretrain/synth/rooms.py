"""Rooms of a split's pool: walls, floor, light, a table, furniture along the walls and things on the table."""

from __future__ import annotations

import colorsys

import numpy as np

from vidpretrain.synth.config import Split
from vidpretrain.synth.pools import jitter, numbers
from vidpretrain.synth.specs import Colour, RoomSpec, Thing


def room(split: Split, seed: int, k: int) -> RoomSpec:
    """Room `k` of a split's pool."""
    rng = np.random.default_rng(numbers(split, "room", seed, k))
    half = (float(rng.uniform(4.6, 6.0)), float(rng.uniform(4.4, 5.6)), float(rng.uniform(1.25, 1.55)))
    wall = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.02, 0.25), rng.uniform(0.55, 0.9))
    wood = colorsys.hsv_to_rgb(rng.uniform(0.05, 0.11), rng.uniform(0.2, 0.6), rng.uniform(0.25, 0.75))
    floor = colorsys.hsv_to_rgb(rng.uniform(0.03, 0.14), rng.uniform(0.05, 0.5), rng.uniform(0.22, 0.6))
    other = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.2), rng.uniform(0.35, 0.85))
    surfaces = {
        "floor": str(rng.choice(["planks", "tiles", "carpet"])),
        "wall": str(rng.choice(["plaster", "paper"])),
        "table": str(rng.choice(["wood", "plain", "speckle"])),
    }
    azimuth, height = rng.uniform(-np.pi, np.pi), rng.uniform(1.0, 2.2)
    table_half = (float(rng.uniform(0.36, 0.48)), float(rng.uniform(0.62, 0.9)))
    warm = rng.uniform(-0.08, 0.1)
    return RoomSpec(
        name=f"{split}-room-{seed}-{k}",
        half_m=half,
        colours={"wall": wall, "floor": floor, "table": wood if rng.random() < 0.6 else other, "wood": wood},
        surfaces=surfaces,
        light=(float(rng.uniform(0.38, 0.5)), float(rng.uniform(0.45, 0.62)), float(rng.uniform(0.1, 0.2))),
        sun=(float(-np.cos(azimuth)), float(-np.sin(azimuth)), float(-height)),
        warmth=(float(1 + warm), 1.0, float(1 - warm)),
        table_half_m=table_half,
        things=_furniture(rng, half, wood),
        clutter=_clutter(rng, table_half),
    )


def _furniture(rng: np.random.Generator, half: tuple[float, float, float], wood: Colour) -> tuple[Thing, ...]:
    """Cupboards, shelves, sofas and pictures along the walls, windows and lamps."""
    out: list[Thing] = []
    for wall in range(4):
        inward = (np.array([1.0, 0.0]), np.array([-1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.0, -1.0]))[wall]
        reach, along = (half[0], half[1]) if wall < 2 else (half[1], half[0])
        side = np.array([-inward[1], inward[0]])
        for at in np.arange(-along + 0.9, along - 0.8, rng.uniform(1.5, 2.0)):
            kind = rng.choice(["cupboard", "shelf", "picture", "window", "sofa", "plant", "nothing"])
            place = -inward * reach + side * (at + rng.uniform(-0.2, 0.2))
            out += _piece(rng, str(kind), place, inward, half[2], wood)
    return tuple(out)


def _piece(rng, kind: str, place: np.ndarray, inward: np.ndarray, half_z: float, wood: Colour) -> list[Thing]:
    yaw = float(np.arctan2(inward[1], inward[0]))
    wide, deep = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.16, 0.28))

    def thing(height, half_height, colour, depth=deep, half_width=wide, surface="", shift=0.0, round_=False):
        side = np.array([-inward[1], inward[0]])
        at = place + inward * depth + side * shift
        return Thing(
            shape="cylinder" if round_ else "box",
            centre_m=(float(at[0]), float(at[1]), float(height)),
            half_m=(float(depth), float(half_width), float(half_height)),
            yaw_rad=yaw,
            colour=colour,
            surface=surface,
        )

    bright = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.9))
    if kind == "cupboard":
        high = rng.uniform(0.4, 1.05)
        return [thing(high, high, jitter(rng, wood, 0.06), surface="wood")]
    if kind == "shelf":
        boards = [thing(0.35 + 0.42 * k, 0.015, jitter(rng, wood, 0.03), half_width=wide) for k in range(4)]
        books = [
            thing(
                0.365 + 0.42 * k + (tall := float(rng.uniform(0.08, 0.16))),
                tall,
                colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.9)),
                depth=0.1,
                half_width=float(rng.uniform(0.015, 0.05)),
                shift=float(rng.uniform(-0.8, 0.8) * wide),
            )
            for k in range(4)
            for _ in range(4)
        ]
        return boards + books
    if kind == "picture":
        frame = thing(1.55, 0.3, (0.1, 0.09, 0.08), depth=0.012, half_width=wide * 0.8)
        return [frame, thing(1.55, 0.26, bright, depth=0.016, half_width=wide * 0.8 - 0.04, surface="speckle")]
    if kind == "window":
        panes = thing(1.5, 0.55, (0.93, 0.96, 0.99), depth=0.012, half_width=0.5)
        return [panes, thing(1.5, 0.55, (0.85, 0.85, 0.83), depth=0.02, half_width=0.025)]
    if kind == "sofa":
        return [
            thing(0.22, 0.22, bright, depth=0.4, half_width=0.62),
            thing(0.55, 0.3, bright, depth=0.1, half_width=0.62),
        ]
    if kind == "plant":
        green = (0.12, float(rng.uniform(0.3, 0.45)), 0.12)
        pot = thing(0.16, 0.16, (0.45, 0.25, 0.17), depth=0.15, half_width=0.15, round_=True)
        return [pot, thing(0.65, 0.33, green, depth=0.18, half_width=0.18, round_=True, surface="speckle")]
    return []


def _clutter(rng: np.random.Generator, table_half: tuple[float, float]) -> tuple[Thing, ...]:
    """Things on the table out of the hands' way; heights are over the table's top, x and y from the table's centre."""
    out = []
    for _ in range(int(rng.integers(3, 9))):
        colour = colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.0, 0.8), rng.uniform(0.15, 0.9))
        kind, yaw = rng.choice(["book", "mug", "box", "pen", "screen"]), float(rng.uniform(-np.pi, np.pi))
        half = {
            "book": (rng.uniform(0.08, 0.12), rng.uniform(0.06, 0.09), rng.uniform(0.006, 0.02)),
            "mug": (0.04, 0.04, 0.048),
            "box": (rng.uniform(0.03, 0.08), rng.uniform(0.03, 0.08), rng.uniform(0.03, 0.09)),
            "pen": (0.07, 0.004, 0.004),
            "screen": (0.012, 0.2, 0.13),
        }[str(kind)]
        y = rng.choice([-1, 1]) * rng.uniform(0.42, max(0.43, table_half[1] - 0.1))
        x = rng.uniform(-0.2, table_half[0] - 0.05)
        if rng.random() < 0.4 and kind != "screen":
            x, y = table_half[0] - rng.uniform(0.03, 0.1), rng.uniform(-table_half[1] + 0.1, table_half[1] - 0.1)
        if kind == "screen":
            yaw, x = float(rng.uniform(-0.4, 0.4)), table_half[0] - 0.06
        out.append(
            Thing(
                shape="cylinder" if kind == "mug" else "box",
                centre_m=(float(x), float(y), float(half[2])),
                half_m=(float(half[0]), float(half[1]), float(half[2])),
                yaw_rad=yaw,
                colour=colour,
            )
        )
    return tuple(out)
