"""What hands handle: the sizes that grasps are planned with, and the shapes that are drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidpretrain.synth.specs import Colour

# half width or radius at the grasp, half height (m)
OBJECTS: dict[str, tuple[float, float]] = {
    "box": (0.030, 0.060),
    "bottle": (0.032, 0.105),
    "cup": (0.038, 0.050),
    "can": (0.033, 0.061),
    "jar": (0.040, 0.065),
    "torch": (0.019, 0.085),
}
CRATE_HALF_M = (0.08, 0.125, 0.06)  # depth, width, height of what needs two hands
_LIGHT = (0.90, 0.90, 0.88)


def shapes(name: str, colour: Colour) -> list[tuple[str, tuple[float, ...], tuple[float, ...], tuple[float, ...]]]:
    """(kind, half sizes, centre, colour) of each geom of an object, in its own frame: z up, origin at its centre."""
    if name == "crate":
        x, y, z = CRATE_HALF_M
        dark = tuple(0.7 * c for c in colour)
        return [
            ("box", (x, y, z), (0, 0, 0), colour),
            ("box", (x + 0.002, 0.5 * y, 0.25 * z), (0, 0, 0.3 * z), _LIGHT),
            ("box", (x * 0.98, y * 0.98, 0.004), (0, 0, z), dark),
        ]
    radius, half = OBJECTS[name]
    dark = tuple(0.55 * c for c in colour)
    if name == "box":
        return [
            ("box", (radius, radius, half), (0, 0, 0), colour),
            ("box", (radius + 0.0015, radius + 0.0015, 0.25 * half), (0, 0, 0), _LIGHT),
        ]
    if name == "cup":
        return [
            ("cylinder", (radius, half), (0, 0, 0), colour),
            ("cylinder", (0.88 * radius, 0.002), (0, 0, half), (0.20, 0.13, 0.09)),
        ]
    if name == "can":
        return [
            ("cylinder", (radius, half), (0, 0, 0), colour),
            ("cylinder", (0.9 * radius, half + 0.002), (0, 0, 0), (0.75, 0.75, 0.77)),
            ("cylinder", (radius + 0.001, 0.35 * half), (0, 0, 0.2 * half), _LIGHT),
        ]
    if name == "jar":
        return [
            ("cylinder", (radius, 0.8 * half), (0, 0, -0.2 * half), colour),
            ("cylinder", (radius + 0.003, 0.18 * half), (0, 0, 0.8 * half), dark),
            ("cylinder", (radius + 0.0012, 0.35 * half), (0, 0, -0.2 * half), _LIGHT),
        ]
    if name == "torch":
        return [
            ("cylinder", (radius, half), (0, 0, 0), dark),
            ("cylinder", (1.45 * radius, 0.22 * half), (0, 0, 0.85 * half), colour),
            ("cylinder", (1.25 * radius, 0.004), (0, 0, 1.08 * half), (0.98, 0.97, 0.85)),
        ]
    return [
        ("cylinder", (radius, 0.75 * half), (0, 0, -0.25 * half), colour),
        ("cylinder", (radius + 0.0015, 0.2 * half), (0, 0, -0.1 * half), _LIGHT),
        ("cylinder", (0.42 * radius, 0.2 * half), (0, 0, 0.7 * half), colour),
        ("cylinder", (0.5 * radius, 0.06 * half), (0, 0, 0.94 * half), _LIGHT),
    ]


def add_shapes(body: Any, name: str, colour: Colour) -> None:
    """Put an object's geoms into a body of a MuJoCo specification."""
    import mujoco

    for kind, size, centre, own in shapes(name, colour):
        shape = mujoco.mjtGeom.mjGEOM_BOX if kind == "box" else mujoco.mjtGeom.mjGEOM_CYLINDER
        body.add_geom(type=shape, size=[*size, *[0.0] * (3 - len(size))], pos=list(centre), rgba=[*own, 1.0])


def texture(kind: str, colour: Colour, rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """A surface (size size 3) uint8: planks, tiles, carpet, plaster, paper, wood, speckle or plain."""
    base = np.array(colour)
    grain = _noise(rng, size, 64)
    if kind == "planks":
        row = np.arange(size) * 6 // size
        tone = rng.uniform(0.82, 1.12, 6)[row][:, None] * (1 + 0.10 * _noise(rng, size, 4, 64))
        seam = (np.arange(size) * 6 % size < 8)[:, None]
        shade = np.where(seam, 0.55, tone) * np.ones((size, size))
    elif kind == "tiles":
        at = np.arange(size) % (size // 2) < 4
        shade = np.where(at[:, None] | at[None], 0.7, 1 + 0.06 * _noise(rng, size, 16))
    elif kind == "carpet":
        shade = 1 + 0.22 * grain + 0.08 * _noise(rng, size, 8)
    elif kind == "paper":
        stripe = 0.045 * np.sign(np.sin(np.arange(size) / size * 2 * np.pi * 6))[None]
        shade = 1 + stripe + 0.03 * grain
    elif kind == "wood":
        veins = _noise(rng, size, 4, 96) + 0.6 * _noise(rng, size, 7, 180)
        shade = 1 + 0.10 * veins + 0.04 * grain
    elif kind == "speckle":
        shade = 1 + 0.3 * _noise(rng, size, 12) + 0.25 * np.sign(grain) * (np.abs(grain) > 0.7)
    else:
        shade = 1 + 0.04 * _noise(rng, size, 8) + 0.04 * grain + 0.05 * _noise(rng, size, size)
    return np.round(255 * np.clip(shade[..., None] * base, 0, 1)).astype(np.uint8)


def _noise(rng: np.random.Generator, size: int, across: int, down: int | None = None) -> np.ndarray:
    """Smooth noise (size size) in about [-1, 1] with so many cells along the columns and rows."""
    from scipy.ndimage import zoom

    down = across if down is None else down
    cells = rng.uniform(-1, 1, (down, across))
    return np.asarray(zoom(cells, (size / down, size / across), order=1, mode="nearest", grid_mode=True))
