"""People, cameras and sensors, each drawn from streams that one split has to itself.

Entry k of a pool is drawn from the numbers (split, kind, seed, k), so that no entry of one split is in another and a
larger pool begins like a smaller one.
"""

from __future__ import annotations

import colorsys

import numpy as np

from vidpretrain.sim.body import BodyShape
from vidpretrain.synth.config import Split, SynthConfig
from vidpretrain.synth.groups import Recipe
from vidpretrain.synth.specs import CameraSpec, Colour, PersonSpec, PictureSpec

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
    skin, hair = _skin(rng), jitter(rng, _HAIR[rng.integers(len(_HAIR))], 0.03)
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
    return jitter(rng, tuple(mixed * [1.0, 0.95, 0.92]), 0.02)


def jitter(rng: np.random.Generator, colour, by: float) -> Colour:
    """The colour, each channel moved by up to `by`."""
    r, g, b = np.clip(np.array(colour) + rng.uniform(-by, by, 3), 0.02, 0.98)
    return float(r), float(g), float(b)


def _cloth(rng: np.random.Generator, brightest: float) -> Colour:
    return colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.75), rng.uniform(0.12, brightest))


def glove(rng: np.random.Generator) -> Colour:
    """Colour of a pair of gloves: latex, nitrile, leather, wool."""
    pairs = ((0.86, 0.83, 0.74), (0.16, 0.30, 0.62), (0.10, 0.10, 0.11), (0.45, 0.30, 0.17), (0.80, 0.42, 0.10))
    return jitter(rng, pairs[rng.integers(len(pairs))], 0.05)


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
