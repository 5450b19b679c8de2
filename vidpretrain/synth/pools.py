"""People, rooms, cameras and sensors, each drawn from streams that one split has to itself.

Entry k of a pool is drawn from the numbers (split, kind, seed, k), so that no entry of one split is in another and a
larger pool begins like a smaller one.
"""

from __future__ import annotations

import colorsys

import numpy as np

from vidpretrain.sim.body import BodyShape
from vidpretrain.synth.config import Split, SynthConfig
from vidpretrain.synth.groups import Recipe
from vidpretrain.synth.specs import CameraSpec, Colour, PersonSpec, PictureSpec, RoomSpec, Thing

SPLITS: dict[Split, int] = {"train": 101, "dev": 202, "held": 303}
KINDS = {"person": 1, "room": 2, "camera": 3, "motion": 4, "picture": 5, "choice": 6}
# ten skin tones from light to dark, sRGB, after the Monk scale (Monk 2022)
_SKIN = (
    (0.96, 0.93, 0.89),
    (0.95, 0.91, 0.86),
    (0.94, 0.85, 0.73),
    (0.91, 0.78, 0.62),
    (0.84, 0.68, 0.50),
    (0.63, 0.49, 0.35),
    (0.51, 0.36, 0.26),
    (0.40, 0.26, 0.18),
    (0.24, 0.17, 0.14),
    (0.18, 0.13, 0.12),
)
_HAIR = ((0.09, 0.06, 0.05), (0.27, 0.17, 0.10), (0.50, 0.38, 0.22), (0.62, 0.60, 0.57), (0.35, 0.16, 0.09))


def numbers(split: Split, kind: str, *more: int) -> tuple[int, ...]:
    """What a generator of that split and kind is seeded with."""
    return (SPLITS[split], KINDS[kind], *more)


def person(split: Split, seed: int, k: int) -> PersonSpec:
    """Person `k` of a split's pool: grown-ups of all ages and teenagers, women and men, slight to heavy, bare hands."""
    rng = np.random.default_rng(numbers(split, "person", seed, k))
    young = rng.random() < 0.15
    shape = BodyShape(
        gender=float(np.clip(rng.choice([0.05, 0.95]) + rng.uniform(-0.05, 0.15), 0, 1)),
        age=float(rng.uniform(0.42, 0.55) if young else rng.uniform(0.6, 0.98)),
        muscle=float(rng.uniform(0.3, 0.75)),
        weight=float(rng.uniform(0.25, 0.72)),
        height=float(rng.uniform(0.35, 0.6) if young else rng.uniform(0.2, 0.5)),
        proportions=float(rng.uniform(0.45, 0.85)),
        sleeves="long",
    )
    skin, hair = _skin(rng), _jitter(rng, _HAIR[rng.integers(len(_HAIR))], 0.03)
    colours = {
        "skin": skin,
        "brow": tuple(0.6 * h + 0.1 * s for h, s in zip(hair, skin, strict=True)),
        "eye": (0.93, 0.92, 0.90),
        "iris": (0.16, 0.11, 0.08),
        "hair": hair,
        "shirt": _cloth(rng, 0.9),
        "trousers": _cloth(rng, 0.55),
        "shoes": _cloth(rng, 0.4),
    }
    return PersonSpec(name=f"{split}-person-{seed}-{k}", shape=shape, colours=colours, sleeves="long")


def _skin(rng: np.random.Generator) -> Colour:
    at = rng.uniform(1.0, len(_SKIN) - 1.5)
    low, part = int(at), at % 1
    mixed = (1 - part) * np.array(_SKIN[low]) + part * np.array(_SKIN[low + 1])
    return _jitter(rng, tuple(mixed * [1.0, 0.95, 0.92]), 0.02)


def _jitter(rng: np.random.Generator, colour, by: float) -> Colour:
    r, g, b = np.clip(np.array(colour) + rng.uniform(-by, by, 3), 0.02, 0.98)
    return float(r), float(g), float(b)


def _cloth(rng: np.random.Generator, brightest: float) -> Colour:
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.75), rng.uniform(0.12, brightest))


def glove(rng: np.random.Generator) -> Colour:
    """Colour of a pair of gloves: latex, nitrile, leather, wool."""
    pairs = ((0.86, 0.83, 0.74), (0.16, 0.30, 0.62), (0.10, 0.10, 0.11), (0.45, 0.30, 0.17), (0.80, 0.42, 0.10))
    return _jitter(rng, pairs[rng.integers(len(pairs))], 0.05)


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
        light=(float(rng.uniform(0.44, 0.6)), float(rng.uniform(0.5, 0.75)), float(rng.uniform(0.12, 0.3))),
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
        for at in np.arange(-along + 0.9, along - 0.8, rng.uniform(1.3, 1.9)):
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
        return [thing(high, high, _jitter(rng, wood, 0.06), surface="wood")]
    if kind == "shelf":
        boards = [thing(0.35 + 0.42 * k, 0.015, _jitter(rng, wood, 0.03), half_width=wide) for k in range(4)]
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
            thing(0.22, 0.22, bright, depth=0.4, half_width=0.75),
            thing(0.55, 0.3, bright, depth=0.1, half_width=0.75),
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


def camera(split: Split, recipe: Recipe, config: SynthConfig, numbers_of: tuple[int, ...], turn: int) -> CameraSpec:
    """A camera as the recipe asks, drawn from the split's stream; `turn` chooses among the recipe's kinds."""
    rng = np.random.default_rng(numbers(split, "camera", *numbers_of))
    low = max(config.fov_deg[0], min(recipe.fov_deg[0], config.fov_deg[1]))
    high = min(config.fov_deg[1], max(recipe.fov_deg[1], low))
    kind = recipe.cameras[turn % len(recipe.cameras)]
    sign = 1.0 if recipe.azimuth_deg[0] < 0 else rng.choice([-1.0, 1.0])
    offset = rng.uniform(-1, 1, 3) * [0.01, 0.02, 0.015]
    fov, tilt = float(rng.uniform(low, high)), {"head": rng.uniform(0.40, 0.56), "chest": rng.uniform(0.50, 0.72)}
    narrow = 0.005 * max(0.0, 95.0 - fov)  # a narrow lens is worn tilted down farther, to see the hands
    return CameraSpec(
        name=f"{split}-camera-" + "-".join(map(str, numbers_of)),
        kind=kind,
        fov_x_deg=fov,
        azimuth_rad=float(np.deg2rad(sign * rng.uniform(*recipe.azimuth_deg))),
        elevation_rad=float(rng.uniform(0.12, 0.42)),
        width_m=float(rng.uniform(*recipe.width_m)),
        tilt_rad=float(tilt.get(kind, 0.0) + narrow),
        offset_m=(float(offset[0]), float(offset[1]), float(offset[2])),
        shake=float(rng.uniform(*recipe.shake)),
        frozen=recipe.frozen,
    )


def picture(split: Split, recipe: Recipe, config: SynthConfig, numbers_of: tuple[int, ...]) -> PictureSpec:
    """A sensor and a codec as the recipe asks."""
    rng = np.random.default_rng(numbers(split, "picture", *numbers_of))
    warm, tint = rng.uniform(-0.05, 0.05, 2)
    low, high = config.crf
    return PictureSpec(
        shutter=recipe.shutter,
        noise=float(rng.uniform(*recipe.noise)),
        gain=float(rng.uniform(*recipe.light)),
        cast=(float(1 + warm), float(1 + 0.4 * tint), float(1 - warm)),
        gamma=float(rng.uniform(0.9, 1.1)),
        crf=high if recipe.crf_top else int(rng.integers(low, max(low + 1, (low + high) // 2))),
    )
