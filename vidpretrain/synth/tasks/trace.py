"""What an expert's episode leaves: palms, hands and things, row by row, as plain arrays in the table's frame.

The physics runs once, without pictures; whoever films it afterwards needs no physics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.types import Frozen

if TYPE_CHECKING:
    from vidpretrain.sim.worlds.stage import Stage as WorldStage

TRACE_HZ = 30.0
_SIDES = ("left", "right")
_FINGERS = ("thumb_bend", "index", "middle", "ring", "pinky")  # in the names of a hand's columns
_HOLDS = 0.25  # closure from which a hand that touches something holds it
Kind = Literal["box", "cylinder", "sphere", "capsule"]


@dataclass(frozen=True, kw_only=True)
class Primitive(Frozen):
    """A shape of a thing: MuJoCo's half sizes (3) m, its pose in the thing, its colour."""

    kind: Kind
    size_m: Float64[np.ndarray, " 3"]
    T_thing_shape: Float64[np.ndarray, " 7"]
    rgba: Float64[np.ndarray, " 4"]


@dataclass(frozen=True, kw_only=True)
class TracedThing(Frozen):
    """A thing, its shapes, and where it was in each row; one that is not `solid` is only seen."""

    name: str
    shapes: tuple[Primitive, ...]
    T_table_thing: Float64[np.ndarray, "t 7"]
    solid: bool


@dataclass(frozen=True, kw_only=True)
class Trace(Frozen):
    """A successful episode of an expert, t rows at `TRACE_HZ`; sides are left, right.

    `closed` is 0 straight to 1 closed of thumb, index, middle, ring and little finger; `hands` the hands' own columns.
    `holding`: the hand is closed and touches something. `grip` says per side where the robot's closed hand has a
    thing's skin: metres from the palm's site along the fingers, and out of the palm. `p_table_shoulder` and `reach_m`
    (shoulder to wrist) are the robot's. `T_palm_wrist` is constant, `T_base_camera` where its head camera is by itself.
    """

    task: str
    instruction: str
    seed: int
    T_table_palm: Float64[np.ndarray, "t 2 7"]
    closed: Float64[np.ndarray, "t 2 5"]
    hands: Float64[np.ndarray, "t h"]
    holding: Bool[np.ndarray, "t 2"]
    things: tuple[TracedThing, ...]
    table_half_m: Float64[np.ndarray, " 3"]
    p_table_middle: Float64[np.ndarray, " 3"]
    p_table_shoulder: Float64[np.ndarray, "2 3"]
    reach_m: float
    grip: Float64[np.ndarray, "2 2"]
    T_palm_wrist: Float64[np.ndarray, "2 7"]
    T_base_camera: Float64[np.ndarray, " 7"]
    fov_rad: float


def trace(task: str, robot: str, world: WorldConfig, seed: int) -> Trace:
    """The episode of a seed. For processes that may import MuJoCo; nothing is drawn.

    Raises:
        InputError: the expert fails at this seed, or the scene is not stable.
    """
    import dataclasses

    from vidpretrain.sim.worlds.jobs import Job, world_of
    from vidpretrain.sim.worlds.rollout import ExpertPolicy

    job = Job(task=task, robot=robot, world=dataclasses.replace(world, rate_hz=TRACE_HZ), seed=seed)
    own, policy = world_of(job, images=False), ExpertPolicy()
    stage = own.stage
    observation, info = own.reset(options={"episode_seed": seed})
    policy.reset(own, seed)
    bodies = _bodies(stage)
    rows, over = [_row(stage, bodies)], False
    while not over:
        observation, _, done, cut, info = own.step(policy.act(observation))
        rows.append(_row(stage, bodies))
        over = done or cut
    if info["unstable"] or not info["success"]:
        found = info["unstable"] or f"progress {info['progress']:.2f}"
        raise InputError(f"the expert of {task} fails", asked=f"seed {seed}", found=found)
    palms, closed, hands, holding, places = (np.stack(part) for part in zip(*rows, strict=True))
    table = int(stage.model.geom("table").id)
    wrist = [stage.site(f"{side}_wrist") for side in _SIDES]
    chain = [stage.site(f"right_{part}")[4:] for part in ("shoulder", "elbow", "wrist")]
    return Trace(
        task=task,
        instruction=own.task.instruction,
        seed=seed,
        T_table_palm=palms,
        closed=closed,
        hands=hands,
        holding=holding,
        things=_things(stage, bodies, places),
        table_half_m=np.array(stage.model.geom_size[table]),
        p_table_middle=stage.data.geom_xpos[table] - stage.built.T_world_table[4:],
        p_table_shoulder=np.stack([stage.site(f"{side}_shoulder")[4:] for side in _SIDES]),
        reach_m=float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum()),
        grip=np.stack([_grip(stage, side) for side in _SIDES]),
        T_palm_wrist=np.stack(
            [geometry.compose(geometry.inverse(stage.palm(s)), w) for s, w in zip(_SIDES, wrist, strict=True)]
        ),
        T_base_camera=np.array(stage.built.T_base_camera),
        fov_rad=float(stage.robot.expected_fov_x_rad),
    )


def _bodies(stage: WorldStage) -> list[int]:
    """Things that move, stand still or slide, with what hangs on them, and the distractors that are on the table."""
    model = stage.model
    names = [*stage.built.free, *stage.built.mocap, *stage.built.parts]
    names += [n for k in range(model.nbody) if (n := model.body(k).name).startswith("distractor")]
    roots = {int(model.body(name).id) for name in names}
    out: list[int] = []
    for b in range(1, model.nbody):
        if b in roots or int(model.body_parentid[b]) in out:
            out.append(b)
    return [b for b in out if stage.data.xpos[b][2] > stage.built.T_world_table[6] - 0.5]


def _row(stage: WorldStage, bodies: list[int]) -> tuple[np.ndarray, ...]:
    closed = np.stack([_closed(stage, side) for side in _SIDES])
    slices, state = stage.spec.slices(), np.asarray(stage.state, dtype=float)
    hands = [state[slices[g.name]] for g in stage.spec.groups if g.quantity == "hand"]
    names = [*stage.built.free, *stage.built.parts]
    touched = [any(stage.touching(side, name) for name in names) for side in _SIDES]
    places = np.concatenate([stage.data.xquat[bodies], stage.data.xpos[bodies] - stage.built.T_world_table[4:]], axis=1)
    return (
        np.stack([stage.palm(side) for side in _SIDES]),
        closed,
        np.concatenate(hands) if hands else np.zeros(0),
        np.array(touched) & (closed[:, 1:].mean(axis=1) > _HOLDS),
        places,
    )


def _closed(stage: WorldStage, side: str) -> np.ndarray:
    """Closure (5) of thumb, index, middle, ring and little finger, from the hand's own columns."""
    part = stage.spec.slices().get(f"{side}_hand")
    if part is None:
        return np.full(5, 0.3)
    value = 1.0 - np.clip(np.asarray(stage.state[part], dtype=float), 0, 1)
    names = next(g.names for g in stage.spec.groups if g.name == f"{side}_hand")
    found = [[v for n, v in zip(names, value, strict=True) if finger in n] for finger in _FINGERS]
    return np.array([np.mean(values) if values else value.mean() for values in found])


def _grip(stage: WorldStage, side: str) -> np.ndarray:
    """(along the fingers, out of the palm) m from the palm's site, as `sim.worlds.Script.centre` grasps."""
    knuckle = 0.0
    if f"{side}_middle_knuckle" in stage.robot.tree.site_names:
        at = stage.site(f"{side}_middle_knuckle")[4:]
        knuckle = float(geometry.transform(geometry.inverse(stage.palm(side)), at)[0])
    return np.array([0.9 * knuckle, stage.skin(side)])


def _things(stage: WorldStage, bodies: list[int], places: np.ndarray) -> tuple[TracedThing, ...]:
    import mujoco

    model, kinds = stage.model, {}
    for kind in ("box", "cylinder", "sphere", "capsule"):
        kinds[int(getattr(mujoco.mjtGeom, f"mjGEOM_{kind.upper()}"))] = kind
    out = []
    for column, b in enumerate(bodies):
        shapes = []
        for g in np.flatnonzero(model.geom_bodyid == b):
            shapes.append(
                Primitive(
                    kind=kinds[int(model.geom_type[g])],
                    size_m=np.array(model.geom_size[g]),
                    T_thing_shape=geometry.pose(model.geom_quat[g], model.geom_pos[g]),
                    rgba=np.array(model.geom_rgba[g], dtype=float),
                )
            )
        solid = bool((model.geom_contype[model.geom_bodyid == b] > 0).any())
        name = model.body(b).name
        out.append(TracedThing(name=name, shapes=tuple(shapes), T_table_thing=places[:, column], solid=solid))
    return tuple(out)
