"""Building a task's scene: the robot behind a table, the task's things, distractors, a camera and lights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import ConfigError
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot
from vidpretrain.sim.robot_model import add_material
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.humanoid import FIXED, HAND, THING, add_humanoid, require_arms

LOOKS = (
    ((0.62, 0.50, 0.38), (0.56, 0.44, 0.33), (0.80, 0.78, 0.74)),
    ((0.75, 0.74, 0.72), (0.70, 0.69, 0.67), (0.68, 0.72, 0.76)),
    ((0.45, 0.36, 0.30), (0.40, 0.32, 0.26), (0.74, 0.74, 0.68)),
    ((0.50, 0.55, 0.58), (0.45, 0.50, 0.53), (0.85, 0.84, 0.80)),
    ((0.25, 0.35, 0.30), (0.45, 0.55, 0.45), (0.50, 0.42, 0.40)),
    ((0.72, 0.40, 0.34), (0.80, 0.76, 0.70), (0.35, 0.40, 0.50)),
    ((0.15, 0.16, 0.20), (0.30, 0.30, 0.34), (0.60, 0.62, 0.45)),
    ((0.86, 0.82, 0.55), (0.60, 0.66, 0.75), (0.42, 0.55, 0.52)),
)  # table, its other colour, wall; the first four are the usual ones
DISTRACTORS = 4
_REACH_M, _TABLE_AHEAD_M, _TABLE_BELOW_SHOULDER_M = 0.526, 0.38, 0.41  # of the G1; other robots in proportion
_FINGERS_M = 0.09  # what fingers add to the reach of the others
_TABLE_HALF_M = (0.27, 0.55, 0.015)
_SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
}
PHYSICS_HZ = 240.0


@dataclass(frozen=True)
class Built:
    """The compiled scene: the task's things that move (`free`), stand still (`mocap`) and slide (`parts`).

    `scale` stretches x and y of the places that a task gives.
    """

    model: mujoco.MjModel
    joints: tuple[str, ...]
    free: tuple[str, ...]
    mocap: tuple[str, ...]
    parts: tuple[str, ...]
    T_world_base: np.ndarray
    T_world_table: np.ndarray
    T_base_camera: np.ndarray
    scale: float
    substeps: int


class Scene:
    """What a task's `scene` gets: adders for things. Sizes are MuJoCo's half sizes, in metres, masses in kg."""

    def __init__(self, robot: Robot) -> None:
        require_arms(robot)
        self.robot = robot
        self.spec = mujoco.MjSpec()
        self.spec.compiler.degree = False
        self.free: list[str] = []
        self.mocap: list[str] = []
        self.parts: list[str] = []
        q = robot.home[None]
        sites = dict(zip(robot.tree.site_names, site_poses(robot.tree, q)[0], strict=True))
        chain = [sites[f"right_{part}"][4:] for part in ("shoulder", "elbow", "wrist", "palm")]
        reach_m = float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())
        self.scale = (reach_m if robot.joints("right_hand") else reach_m - _FINGERS_M) / _REACH_M
        p = np.array(
            [
                chain[0][0] + _TABLE_AHEAD_M * self.scale,
                0.0,
                chain[0][2] - _TABLE_BELOW_SHOULDER_M * self.scale + robot.base_height_m,
            ]
        )
        self.T_world_table = geometry.pose(np.array([1.0, 0, 0, 0]), p)
        self.T_world_base = geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, robot.base_height_m]))

    def thing(self, name: str) -> mujoco.MjsBody:
        """A body that moves freely; give it shapes with `add`."""
        body = self._body(name)
        body.add_freejoint(name=name)
        self.free.append(name)
        return body

    def fixed(self, name: str) -> mujoco.MjsBody:
        """A body that stands where it is put at reset, and that nothing moves."""
        body = self._body(name, mocap=True)
        self.mocap.append(name)
        return body

    def _body(self, name: str, mocap: bool = False) -> mujoco.MjsBody:
        if not name or self.spec.body(name) is not None:
            raise ConfigError("things need different names", asked=name or "''")
        return self.spec.worldbody.add_body(name=name, mocap=mocap, pos=self.T_world_table[4:])

    def add(
        self,
        body: mujoco.MjsBody,
        shape: str,
        size: Sequence[float],
        rgba: Sequence[float],
        at: Sequence[float] = (0, 0, 0),
        quat: Sequence[float] = (1, 0, 0, 0),
        mass: float = 0.1,
        friction: float = 1.0,
        solid: bool = True,
    ) -> None:
        """A shape (box, cylinder, sphere or capsule) of a thing; one that is not `solid` is only seen."""
        if shape not in _SHAPES:
            raise ConfigError("unknown shape", asked=shape, valid=", ".join(_SHAPES))
        self._geom(body, _SHAPES[shape], size, rgba, at, quat, mass, friction, THING if solid else 0)

    def open_box(self, body: mujoco.MjsBody, half: Sequence[float], rgba: Sequence[float], mass: float = 0.3) -> None:
        """A box without a lid on z = 0: inner half widths half[0] and half[1], walls of half height half[2]."""
        x, y, z = half
        wall = 0.005
        self.add(body, "box", (x + wall, y + wall, wall), rgba, at=(0, 0, wall), mass=0.4 * mass)
        for sign in (-1, 1):
            self.add(body, "box", (wall, y + wall, z), rgba, at=(sign * (x + wall), 0, z), mass=0.15 * mass)
            self.add(body, "box", (x + wall, wall, z), rgba, at=(0, sign * (y + wall), z), mass=0.15 * mass)

    def ring(
        self, body: mujoco.MjsBody, radius_m: float, half_m: float, rgba: Sequence[float], mass: float = 0.2
    ) -> None:
        """A round vessel of eight walls and a floor, its origin in the middle, of outer radius and half height."""
        wall = 0.003
        self.add(body, "cylinder", (radius_m, wall), rgba, at=(0, 0, wall - half_m), mass=0.3 * mass)
        for k in range(8):
            angle = k * np.pi / 4
            r = (radius_m - wall) * np.cos(np.pi / 8) + wall * 0.5
            half = (wall, radius_m * np.tan(np.pi / 8), half_m)
            turn = (np.cos(angle / 2), 0, 0, np.sin(angle / 2))
            at = (r * np.cos(angle), r * np.sin(angle), 0)
            self.add(body, "box", half, rgba, at=at, quat=turn, mass=0.7 / 8 * mass)

    def slide(
        self, body: mujoco.MjsBody, name: str, axis: Sequence[float], range_m: tuple[float, float]
    ) -> mujoco.MjsBody:
        """A part of a fixed body that slides along an axis with some friction; its joint has the part's name."""
        part = body.add_body(name=name)
        part.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=axis,
            range=range_m,
            limited=True,
            frictionloss=1.0,
            damping=[4.0, 0, 0],
        )
        self.spec.add_exclude(bodyname1=body.name, bodyname2=name)
        self.parts.append(name)
        return part

    @staticmethod
    def _geom(body, kind, size, rgba, at, quat, mass, friction, bits, **other) -> None:
        body.add_geom(
            type=kind,
            size=[*size, *[0.0] * (3 - len(size))],
            rgba=[*rgba, 1.0][:4],
            pos=at,
            quat=quat,
            mass=mass,
            contype=bits,
            conaffinity=(HAND | THING | FIXED) if bits else 0,
            condim=4,
            friction=[friction, 0.01, 0.0005],
            priority=1 if bits == THING else 0,
            solref=[0.008, 1.0],
            **other,
        )

    def build(self, config: WorldConfig) -> Built:
        """Add the robot, table, room, distractors, camera and lights, and compile.

        Raises:
            ConfigError: MuJoCo cannot compile what the task has put there.
        """
        spec = self.spec
        option = spec.option
        substeps = max(1, round(PHYSICS_HZ / config.rate_hz))
        option.timestep = 1.0 / (config.rate_hz * substeps)
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        option.impratio = 10.0
        option.iterations, option.ls_iterations = 20, 20
        option.jacobian = mujoco.mjtJacobian.mjJAC_SPARSE
        quality = spec.visual.quality
        quality.numslices, quality.numstacks, quality.numquads, quality.offsamples = 12, 6, 2, 0
        spec.stat.extent, spec.visual.map.znear, spec.visual.map.zfar = 2.0, 0.01, 10.0
        self._room()
        T_base_camera = self._camera()
        try:
            links = add_humanoid(spec, self.robot)
            model = spec.compile()
            if config.masked_arms:
                for g in range(model.ngeom):
                    if model.geom(g).name.startswith(("arm:", "hand:")):
                        model.geom_rgba[g] = (0.0, 0.0, 0.0, 1.0)
        except ValueError as error:
            raise ConfigError(f"MuJoCo cannot compile the scene: {error}") from None
        return Built(
            model=model,
            joints=links.joints,
            free=tuple(self.free),
            mocap=tuple(self.mocap),
            parts=tuple(self.parts),
            T_world_base=self.T_world_base,
            T_world_table=self.T_world_table,
            T_base_camera=T_base_camera,
            scale=self.scale,
            substeps=substeps,
        )

    def _room(self) -> None:
        spec, world, box = self.spec, self.spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
        for k, (one, two, wall) in enumerate(LOOKS):
            add_material(spec, f"table{k}", one, two, (1, 2, 4, 3)[k % 4], gradient=k % 2 == 0)
            add_material(spec, f"wall{k}", wall, wall, 1)
        p, s = self.T_world_table[4:], self.scale
        half = np.array([_TABLE_HALF_M[0] * s, _TABLE_HALF_M[1] * s, _TABLE_HALF_M[2]])
        at = [p[0] + 0.07 * s, 0.0, p[2] - half[2]]
        self._geom(world, box, half, (1, 1, 1), at, (1, 0, 0, 0), 0.0, 0.3, FIXED, name="table", material="table0")
        for name, size, where in (
            ("floor", [3, 3, 0.01], [0, 0, -0.01]),
            ("wall", [0.02, 3, 1.5], [p[0] + 1.2, 0, 1.2]),
        ):
            self._geom(
                world, box, size, (1, 1, 1), where, (1, 0, 0, 0), 0.0, 0.8, 0, name=f"room_{name}", material="wall0"
            )
        for k in range(DISTRACTORS):
            body = world.add_body(name=f"distractor{k}", mocap=True, pos=[0, 0, -1])
            kind = ("box", "cylinder", "sphere", "capsule")[k]
            size = ((0.03, 0.02, 0.04), (0.025, 0.04), (0.03,), (0.02, 0.03))[k]
            self._geom(body, _SHAPES[kind], size, (0.5, 0.5, 0.5), (0, 0, 0), (1, 0, 0, 0), 0.1, 1.0, 0)
        headlight = spec.visual.headlight
        headlight.ambient, headlight.diffuse, headlight.specular = [0.34] * 3, [0.18] * 3, [0.0] * 3
        for direction, diffuse in (((-0.6, 0.4, -1.0), 0.5), ((0.4, -0.6, -0.7), 0.3)):
            world.add_light(
                type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
                dir=direction,
                diffuse=[diffuse] * 3,
                specular=[0.0] * 3,
                castshadow=False,
            )

    def _camera(self) -> np.ndarray:
        """Add the head camera, nodded until the workspace is in the middle; its pose in the base frame."""
        robot = self.robot
        T = np.array(robot.T_base_camera)
        target = geometry.transform(
            geometry.inverse(self.T_world_base), self.T_world_table[4:] + np.array([0, 0, 0.04])
        )
        p = geometry.transform(geometry.inverse(T), target)  # x right, y down, z forward
        down = float(np.arctan2(p[1], p[2]))
        T = geometry.pose(geometry.quat_mul(T[:4], geometry.quat_exp(np.array([-down, 0.0, 0.0]))), T[4:])
        self.spec.worldbody.add_camera(name="head", fovy=float(np.rad2deg(robot.expected_fov_x_rad)))
        return T
