"""The MuJoCo scene of a clip: a furnished room, the people as mocap bones with skins, what they handle, one camera."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.body import Body
from vidpretrain.synth.acting import Performance
from vidpretrain.synth.specs import ClipSpec, PersonSpec, RoomSpec, Thing
from vidpretrain.synth.things import add_shapes, texture

if TYPE_CHECKING:
    import mujoco

_SHINE = {"skin": 0.10, "eye": 0.5, "iris": 0.7, "hair": 0.2, "shoes": 0.3, "glove": 0.15}
_TABLE_NEAR_M, _TABLE_M = 0.18, 0.96  # the near edge; the height where nobody says one
_SHADOW_PX = 2048
CAMERA = "eye"


def bone_name(person: int, bone: str) -> str:
    """Name of the mocap body of a person's bone."""
    return f"person{person}_{bone}"


def build(
    spec: ClipSpec,
    bodies: list[Body],
    parts: list[Performance],
    places: list[np.ndarray],
    fov_y_deg: float,
    p_world_camera: np.ndarray,
    p_world_hands: np.ndarray,
) -> mujoco.MjModel:
    """The compiled scene. Mocap bodies: `person{i}_{bone}`, `thing{i}` and the camera's, `eye` (z forward).

    `places` (7 each) is where the people stand, `p_world_camera` (3) and `p_world_hands` (3) where the clip begins:
    furniture stays out of the line between them, an occluder stands in it.
    """
    import mujoco

    mj = mujoco.MjSpec()
    rng = np.random.default_rng((*spec.seed, 7))
    mj.stat.center, mj.stat.extent = [0.4, 0.0, 1.0], 2.0
    mj.visual.map.znear, mj.visual.map.zfar = 0.01, 12.0
    mj.visual.quality.shadowsize = _SHADOW_PX
    add_lights(mj, spec.room)
    table_m = parts[0].table_m if parts else _TABLE_M
    add_room(mj, spec.room, rng)
    if table_m > 0:
        _table(mj, spec.room, table_m)
    for thing in spec.room.things:
        if not in_the_way(thing, p_world_camera):
            add_thing(mj, thing)
    if spec.occluder:
        _occluder(mj, rng, p_world_camera, p_world_hands, table_m)
    bright = (0.15 + 0.7 * rng.random(), 0.15 + 0.6 * rng.random(), 0.15 + 0.6 * rng.random())
    for i, (person, body, part, place) in enumerate(zip(spec.people, bodies, parts, places, strict=True)):
        add_person(mj, i, person, body)
        if part.object_name and i == 0:
            add_shapes(mj.worldbody.add_body(name=f"thing{i}", mocap=True), part.object_name, bright)
        if part.second_name and part.T_second is not None:
            pose = geometry.compose(place, part.T_second)
            second = mj.worldbody.add_body(name=f"second{i}", pos=pose[4:], quat=pose[:4])
            add_shapes(second, part.second_name, (bright[2], bright[0], bright[1]))
    holder = mj.worldbody.add_body(name=CAMERA, mocap=True)
    holder.add_camera(name=CAMERA, fovy=fov_y_deg, quat=[0.0, 1.0, 0.0, 0.0])  # MuJoCo: y up, looks along -z
    return mj.compile()


def add_lights(mj, room: RoomSpec) -> None:
    """The room's light: ambient, a sun that casts shadows, and one from the other side."""
    import mujoco

    ambient, main, second = room.light
    warmth = np.array(room.warmth)
    mj.visual.headlight.ambient, mj.visual.headlight.diffuse = list(ambient * warmth), [0.12] * 3
    mj.visual.headlight.specular = [0.0] * 3
    sun = np.array(room.sun) / np.linalg.norm(room.sun)
    for direction, strength, casts in ((sun, main, True), (sun * [-1, -1, 1], second, False)):
        mj.worldbody.add_light(
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            pos=list(np.array([0.4, 0.0, 0.9]) - 3.0 * direction),
            dir=list(direction),
            diffuse=list(strength * warmth),
            specular=[0.15] * 3,
            castshadow=casts,
        )


def _surface(mj, name: str, kind: str, colour, rng: np.random.Generator, repeat: float) -> str:
    import mujoco

    pixels = texture(kind, colour, rng)
    made = mj.add_texture(
        name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=pixels.shape[1], height=pixels.shape[0], nchannel=3
    )
    made.data = pixels.tobytes()
    material = mj.add_material(name=name, texrepeat=[repeat, repeat], specular=0.05, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def add_room(mj, room: RoomSpec, rng: np.random.Generator) -> None:
    """Floor, ceiling and walls, and the materials `table`, `grey_wood` and `grey_speckle`."""
    import mujoco

    box, world = mujoco.mjtGeom.mjGEOM_BOX, mj.worldbody
    x, y, z = room.half_m
    floor = _surface(mj, "floor", room.surfaces["floor"], room.colours["floor"], rng, 6)
    wall = _surface(mj, "wall", room.surfaces["wall"], room.colours["wall"], rng, 3)
    _surface(mj, "table", room.surfaces["table"], room.colours["table"], rng, 1)
    for kind in ("wood", "speckle"):
        _surface(mj, f"grey_{kind}", kind, (0.8, 0.8, 0.8), rng, 1)
    world.add_geom(type=box, size=[x, y, 0.05], pos=[0, 0, -0.05], material=floor)
    world.add_geom(type=box, size=[x, y, 0.02], pos=[0, 0, 2 * z], rgba=[0.93, 0.93, 0.92, 1.0])
    for sign in (-1, 1):
        world.add_geom(type=box, size=[0.02, y, z], pos=[sign * x, 0, z], material=wall)
        world.add_geom(type=box, size=[x, 0.02, z], pos=[0, sign * y, z], material=wall)
        skirting = [0.7 * c for c in room.colours["wall"]] + [1.0]
        world.add_geom(type=box, size=[0.03, y, 0.05], pos=[sign * x, 0, 0.05], rgba=skirting)
        world.add_geom(type=box, size=[x, 0.03, 0.05], pos=[0, sign * y, 0.05], rgba=skirting)


def _table(mj, room: RoomSpec, table_m: float) -> None:
    import mujoco

    box, world = mujoco.mjtGeom.mjGEOM_BOX, mj.worldbody
    x, y = room.table_half_m
    middle = _TABLE_NEAR_M + x
    world.add_geom(type=box, size=[x, y, 0.02], pos=[middle, 0, table_m - 0.02], material="table")
    dark, half = [*(0.6 * c for c in room.colours["table"]), 1.0], 0.5 * (table_m - 0.04)
    for sx in (-1, 1):
        for sy in (-1, 1):
            at = [middle + sx * (x - 0.05), sy * (y - 0.05), half]
            world.add_geom(type=box, size=[0.025, 0.025, half], pos=at, rgba=dark)
    for thing in room.clutter:
        cx, cy, cz = thing.centre_m
        add_thing(mj, thing, (middle + cx, cy, table_m + cz))


def add_thing(mj, thing: Thing, centre: tuple[float, float, float] | None = None) -> None:
    """A thing that stands still, at its own centre or another."""
    import mujoco

    shape = mujoco.mjtGeom.mjGEOM_BOX if thing.shape == "box" else mujoco.mjtGeom.mjGEOM_CYLINDER
    size = list(thing.half_m) if thing.shape == "box" else [thing.half_m[0], thing.half_m[2], 0.0]
    quat = geometry.quat_exp(np.array([0.0, 0.0, thing.yaw_rad]))
    look = {"material": f"grey_{thing.surface}"} if thing.surface else {}
    mj.worldbody.add_geom(
        type=shape, size=size, pos=list(centre or thing.centre_m), quat=list(quat), rgba=[*thing.colour, 1.0], **look
    )


def in_the_way(thing: Thing, p_camera: np.ndarray) -> bool:
    """Whether a thing stands near the camera or between it and the person."""
    at, eye = np.array(thing.centre_m[:2]), p_camera[:2]
    way = np.array([0.3, 0.0]) - eye
    share = np.clip((at - eye) @ way / max(way @ way, 1e-9), 0.0, 1.0)
    return bool(np.linalg.norm(at - eye - share * way) < 0.75 + max(thing.half_m[:2]))


def _occluder(mj, rng: np.random.Generator, p_camera: np.ndarray, p_hands: np.ndarray, table_m: float) -> None:
    """Something on the table's edge (or on a stand) that hides a part of the hands from the camera."""
    way = p_camera - p_hands
    at = p_hands + rng.uniform(0.28, 0.4) * way / np.linalg.norm(way) + [0.0, 0.0, -0.05]
    side = geometry.normalize(np.array([-way[1], way[0], 0.0]))
    at = at + rng.choice([-1.0, 1.0]) * rng.uniform(0.02, 0.09) * side
    half = rng.uniform(0.05, 0.09)
    top, bottom = at[2] + rng.uniform(0.0, 0.05), max(table_m, 0.0) if at[0] < 1.1 else 0.0
    tall = max(0.5 * (top - bottom), 0.05)
    thing = Thing(
        shape="cylinder" if rng.random() < 0.5 else "box",
        centre_m=(float(at[0]), float(at[1]), float(bottom + tall)),
        half_m=(float(half), float(half), float(tall)),
        yaw_rad=float(rng.uniform(-1, 1)),
        colour=(float(rng.uniform(0.1, 0.8)), float(rng.uniform(0.1, 0.7)), float(rng.uniform(0.1, 0.7))),
    )
    add_thing(mj, thing)


def add_person(mj, number: int, person: PersonSpec, body: Body) -> None:
    """A person as mocap bones (`bone_name`) with a skin for each part."""
    quat = geometry.quat_from_matrix(body.R_rest)
    for name, p, q in zip(body.names, body.p_rest, quat, strict=True):
        mj.worldbody.add_body(name=bone_name(number, name), mocap=True, pos=p, quat=q)
    for part in body.parts:
        if not len(part.faces):
            continue
        material = f"person{number}_{part.name}"
        shine = _SHINE.get(part.name, 0.03)
        mj.add_material(name=material, rgba=[*person.colours[part.name], 1.0], specular=shine, shininess=0.3)
        bones = np.unique(part.bone[part.weight > 0])
        ids, weights = [], []
        for bone in bones:
            share = np.where(part.bone == bone, part.weight, 0.0).sum(axis=1)
            ids.append(np.flatnonzero(share > 0).tolist())
            weights.append(share[share > 0].tolist())
        mj.add_skin(
            name=material,
            material=material,
            vert=part.vertices.ravel().tolist(),
            face=part.faces.ravel().tolist(),
            bodyname=[bone_name(number, body.names[bone]) for bone in bones],
            bindpos=body.p_rest[bones].ravel().tolist(),
            bindquat=quat[bones].ravel().tolist(),
            vertid=ids,
            vertweight=weights,
        )
