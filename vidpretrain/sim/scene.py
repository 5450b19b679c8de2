"""The MuJoCo scene of a rendered person: one mocap body per bone, skins over them, a room, a table and an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.body import Body
from vidpretrain.sim.motions import OBJECTS

if TYPE_CHECKING:
    import mujoco

Colour = tuple[float, float, float]
CAMERAS = ("head", "chest", "front")
_SKIN = ((0.80, 0.59, 0.47), (0.76, 0.54, 0.41), (0.84, 0.63, 0.53), (0.55, 0.36, 0.26), (0.65, 0.45, 0.33))
_SHIRT = ((0.16, 0.30, 0.52), (0.55, 0.13, 0.15), (0.18, 0.40, 0.28), (0.80, 0.80, 0.78), (0.28, 0.28, 0.32))
_TROUSERS = ((0.13, 0.15, 0.24), (0.25, 0.22, 0.19), (0.32, 0.34, 0.36), (0.16, 0.16, 0.17))
_HAIR = ((0.09, 0.06, 0.05), (0.27, 0.17, 0.10), (0.50, 0.38, 0.22), (0.35, 0.34, 0.33))
_WALL = ((0.82, 0.80, 0.74), (0.66, 0.73, 0.78), (0.72, 0.76, 0.68), (0.80, 0.72, 0.68))
_TABLE = ((0.52, 0.38, 0.25), (0.70, 0.69, 0.66), (0.33, 0.25, 0.20), (0.42, 0.47, 0.50))
_OBJECT = ((0.15, 0.45, 0.30), (0.80, 0.35, 0.10), (0.12, 0.28, 0.65), (0.75, 0.62, 0.15))
_SHINE = {"skin": 0.12, "eye": 0.5, "iris": 0.7, "hair": 0.2, "shoes": 0.3}
_HEAD_FOVY_DEG, _CHEST_FOVY_DEG, _FRONT_FOVY_DEG = 72.0, 84.0, 42.0


@dataclass(frozen=True)
class Look:
    """Colours and furniture, drawn by seed."""

    colours: dict[str, Colour]
    wall: Colour
    floor: Colour
    table: Colour
    thing: Colour
    light: float
    front_azimuth_rad: float


def draw_look(rng: np.random.Generator) -> Look:
    """A look by seed."""

    def pick(table: tuple[Colour, ...]) -> Colour:
        return table[rng.integers(len(table))]

    skin, hair = pick(_SKIN), pick(_HAIR)
    colours = {
        "skin": skin,
        "brow": tuple(0.6 * h + 0.1 * s for h, s in zip(hair, skin, strict=True)),
        "eye": (0.93, 0.92, 0.90),
        "iris": (0.16, 0.11, 0.08),
        "hair": hair,
        "shirt": pick(_SHIRT),
        "trousers": pick(_TROUSERS),
        "shoes": (0.12, 0.11, 0.11),
    }
    wall, table = pick(_WALL), pick(_TABLE)
    red, green, blue = pick(_TABLE)
    floor = (0.55 * red + 0.15, 0.55 * green + 0.15, 0.55 * blue + 0.15)
    return Look(
        colours, wall, floor, table, pick(_OBJECT), float(rng.uniform(0.85, 1.1)), float(rng.uniform(-0.45, 0.45))
    )


def build(body: Body, look: Look, object_name: str, table_m: float) -> mujoco.MjModel:
    """The compiled scene. Mocap bodies: `bone_*`, `object`, and one per camera (z forward)."""
    import mujoco

    spec = mujoco.MjSpec()
    spec.stat.center, spec.stat.extent = [0.4, 0.0, 1.0], 2.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 10.0
    spec.visual.headlight.ambient = [0.55 * look.light] * 3
    spec.visual.headlight.diffuse = [0.2 * look.light] * 3
    spec.visual.headlight.specular = [0.0] * 3
    world = spec.worldbody
    for direction, strength in (((-0.5, 0.35, -1.0), 0.62), ((0.45, -0.5, -0.8), 0.36)):
        world.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            dir=direction,
            diffuse=[strength * look.light] * 3,
            specular=[0.2] * 3,
            castshadow=False,
        )
    _room(spec, look, table_m)
    _person(spec, body, look)
    _thing(spec, look, object_name)
    for name, fovy in (("head", _HEAD_FOVY_DEG), ("chest", _CHEST_FOVY_DEG), ("front", _FRONT_FOVY_DEG)):
        holder = world.add_body(name=f"camera_{name}", mocap=True)
        holder.add_camera(name=name, fovy=fovy, quat=[0.0, 1.0, 0.0, 0.0])  # MuJoCo: y up, looks along -z
    return spec.compile()


def _room(spec, look: Look, table_m: float) -> None:
    import mujoco

    box, world = mujoco.mjtGeom.mjGEOM_BOX, spec.worldbody

    def textured(name, builtin, one, two, repeat):
        spec.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            builtin=builtin,
            rgb1=one,
            rgb2=two,
            width=256,
            height=256,
        )
        material = spec.add_material(name=name, texrepeat=[repeat, repeat], specular=0.05, shininess=0.1)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name

    checker, gradient = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    floor, table = np.array(look.floor), np.array(look.table)
    textured("floor", checker, floor, np.clip(floor * 0.88, 0, 1), 12)
    textured("table", gradient, np.clip(table * 1.06, 0, 1), table * 0.94, 1)
    world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[4, 4, 0.1], material="floor")
    world.add_geom(type=box, size=[0.42, 0.75, 0.02], pos=[0.60, 0, table_m - 0.02], material="table")
    dark = [*(table * 0.6), 1.0]
    for x in (0.26, 0.96):
        for y in (-0.68, 0.68):
            half = 0.5 * (table_m - 0.04)
            world.add_geom(type=box, size=[0.025, 0.025, half], pos=[x, y, half], rgba=dark)
    wall = [*look.wall, 1.0]
    for pos, size in (((-1.7, 0, 1.4), (0.02, 4, 1.4)), ((3.2, 0, 1.4), (0.02, 4, 1.4))):
        world.add_geom(type=box, pos=pos, size=size, rgba=wall)
    for y in (-3.0, 3.0):
        world.add_geom(type=box, pos=[0.75, y, 1.4], size=[2.5, 0.02, 1.4], rgba=[0.93 * c for c in look.wall] + [1.0])
    skirting = [0.75 * c for c in look.wall] + [1.0]
    world.add_geom(type=box, pos=[-1.67, 0, 0.05], size=[0.012, 3, 0.05], rgba=skirting)
    world.add_geom(type=box, pos=[-1.66, -1.0, 1.65], size=[0.02, 0.35, 0.25], rgba=[*look.thing, 1.0])  # a picture
    world.add_geom(type=box, pos=[-1.5, 1.15, 0.5], size=[0.18, 0.45, 0.5], rgba=dark)  # a cupboard


def _person(spec, body: Body, look: Look) -> None:
    quat = geometry.quat_from_matrix(body.R_rest)
    for name, p, q in zip(body.names, body.p_rest, quat, strict=True):
        spec.worldbody.add_body(name=f"bone_{name}", mocap=True, pos=p, quat=q)
    for part in body.parts:
        if not len(part.faces):
            continue
        spec.add_material(
            name=f"person_{part.name}",
            rgba=[*look.colours[part.name], 1.0],
            specular=_SHINE.get(part.name, 0.03),
            shininess=0.3,
        )
        bones = np.unique(part.bone[part.weight > 0])
        ids, weights = [], []
        for bone in bones:
            share = np.where(part.bone == bone, part.weight, 0.0).sum(1)
            ids.append(np.flatnonzero(share > 0).tolist())
            weights.append(share[share > 0].tolist())
        spec.add_skin(
            name=part.name,
            material=f"person_{part.name}",
            vert=part.vertices.ravel().tolist(),
            face=part.faces.ravel().tolist(),
            bodyname=[f"bone_{body.names[bone]}" for bone in bones],
            bindpos=body.p_rest[bones].ravel().tolist(),
            bindquat=quat[bones].ravel().tolist(),
            vertid=ids,
            vertweight=weights,
        )


def _thing(spec, look: Look, name: str) -> None:
    import mujoco

    thing = spec.worldbody.add_body(name="object", mocap=True)
    radius, half = OBJECTS[name]
    colour, light = [*look.thing, 1.0], [0.9, 0.9, 0.88, 1.0]
    cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
    if name == "box":
        thing.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[radius, radius, half], rgba=colour)
        thing.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[radius + 1.5e-3, radius + 1.5e-3, 0.25 * half], rgba=light)
    elif name == "cup":
        thing.add_geom(type=cylinder, size=[radius, half], rgba=colour)
        thing.add_geom(type=cylinder, size=[0.88 * radius, 0.002], pos=[0, 0, half], rgba=[0.2, 0.13, 0.09, 1])
    else:
        thing.add_geom(type=cylinder, size=[radius, 0.75 * half], pos=[0, 0, -0.25 * half], rgba=colour)
        thing.add_geom(type=cylinder, size=[radius + 1.5e-3, 0.2 * half], pos=[0, 0, -0.1 * half], rgba=light)
        thing.add_geom(type=cylinder, size=[0.42 * radius, 0.2 * half], pos=[0, 0, 0.7 * half], rgba=colour)
        thing.add_geom(type=cylinder, size=[0.5 * radius, 0.06 * half], pos=[0, 0, 0.94 * half], rgba=light)
