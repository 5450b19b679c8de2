"""A scene that runs: physics under joint commands, and what tasks read from it, in the table's frame."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from jaxtyping import Float, Float32, Float64

from vidpretrain import geometry
from vidpretrain.actions import ActionConfig, spec_for
from vidpretrain.errors import ConfigError, InputError
from vidpretrain.robot import Robot
from vidpretrain.sim.worlds.begin import start_posture
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.scene import Scene
from vidpretrain.sim.worlds.task import Task
from vidpretrain.sim.worlds.vary import Variation, Varier
from vidpretrain.types import ActionSpec

_SETTLE_S, _SETTLE_PIECES, _PIECES = 0.5, 4, 6
_MOST_SPEED = 0.15  # m/s of a thing that should stand still after settling
_START_RAD = 0.04


class Unstable(InputError):
    """The physics of a scene blew up, or things do not come to rest where the task puts them."""


class Stage:
    """A task's scene with one robot, compiled once; `reset`, then `advance` step by step.

    Raises:
        MissingAsset: the robot's files are not on this machine.
        InputError: the task needs hands and the robot has none.
        ConfigError: the task has no scene or success of its own, or MuJoCo cannot compile its scene.
    """

    def __init__(self, task: Task, robot: Robot, config: WorldConfig) -> None:
        require_whole(task)
        if task.needs_hands and not (robot.joints("left_hand") and robot.joints("right_hand")):
            raise InputError(
                f"task {task.name} needs hands, {robot.name} has none",
                asked=robot.name,
                valid="a robot with two hands, for example g1_inspire",
                next_command="vidpretrain tasks",
            )
        self.task, self.robot, self.config = task, robot, config
        self.spec: ActionSpec = spec_for(robot, ActionConfig(rate_hz=config.rate_hz, wrist_poses=False))
        scene = Scene(robot)
        task.scene(scene)
        self.built = scene.build(config)
        self.model = self.built.model
        self.data = mujoco.MjData(self.model)
        self.scale = self.built.scale
        self._varier = Varier(self.built)
        self._map()
        T_base_table = geometry.compose(geometry.inverse(self.built.T_world_base), self.built.T_world_table)
        self.start = start_posture(robot, T_base_table, self.scale)
        self.rng = np.random.default_rng(0)
        self.variation: Variation | None = None
        self.unstable = ""

    def _map(self) -> None:
        """Columns of the vector, driven joints and actuators as indices."""
        model, tree = self.model, self.robot.tree
        columns = [c for group in self.spec.groups for c in self.robot.group_columns(group.name)]
        self._column = np.array([tree.joint(c.joint) for c in columns])
        self._column_qpos = np.array([int(model.joint(c.joint).qposadr[0]) for c in columns])
        self._gain, self._offset = np.array([c.scale for c in columns]), np.array([c.offset for c in columns])
        self._driven = tree.joints(self.built.joints)
        self._driven_qpos = np.array([int(model.joint(j).qposadr[0]) for j in self.built.joints])
        self._motor = np.array([model.actuator(j).id for j in self.built.joints])
        lower, upper = tree.bounds()
        limits = np.stack([lower[self._column], upper[self._column]]) * self._gain + self._offset
        self.action_low, self.action_high = limits.min(axis=0), limits.max(axis=0)
        self._owner = self._owners()
        self._number = {name: k for k, name in enumerate(sorted({*self._owner, "left", "right", "table"} - {""}))}
        self._owners_number = np.array([self._number.get(name, -1) for name in self._owner])
        self._p_table = self.built.T_world_table[4:]  # the table's axes are the world's

    def _owners(self) -> list[str]:
        """For every geom the thing it belongs to, "left", "right" for the hands, "table", or ""."""
        model, names = self.model, {*self.built.free, *self.built.mocap, *self.built.parts}
        wrist = {side: int(model.site(f"{side}_wrist").bodyid[0]) for side in ("left", "right")}
        out = []
        for g in range(model.ngeom):
            b, owner = int(model.geom_bodyid[g]), "table" if model.geom(g).name == "table" else ""
            while b > 0 and not owner:
                owner = model.body(b).name if model.body(b).name in names else ""
                owner = owner or next((side for side, w in wrist.items() if w == b), "")
                b = int(model.body_parentid[b])
            out.append(owner)
        return out

    # ---- time ----

    def reset(self, seed: int) -> None:
        """Begin an episode: draw the variation, let the task place its things, let them settle.

        Raises:
            Unstable: the physics blows up, or a thing does not come to rest.
        """
        self.rng = np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self.data)
        self.unstable = ""
        self.variation = self._varier.draw(self.config, self.rng, self.data)
        distractors = self.data.mocap_pos.copy(), self.data.mocap_quat.copy()
        mujoco.mj_resetData(self.model, self.data)  # what mj_setConst has left
        self.data.mocap_pos[:], self.data.mocap_quat[:] = distractors
        q = self.start.copy()
        q[self._column] += self.rng.uniform(-_START_RAD, _START_RAD, len(self._column)) * (self._gain == 1.0)
        q = self.robot.tree.with_mimic(np.clip(q, *self.robot.tree.bounds()))
        self.data.qpos[self._driven_qpos] = q[self._driven]
        self.data.ctrl[self._motor] = q[self._driven]
        self._command = self.columns_of(q)
        self._knots = [q[self._driven]] * 3
        self._drawn = False
        self.task.reset(self)
        moving = ""
        for _ in range(_SETTLE_PIECES):
            mujoco.mj_step(self.model, self.data, nstep=round(_SETTLE_S / self.model.opt.timestep))
            self._watch()
            moving = self._moving()
            if self.unstable or not moving:
                break
        if self.unstable or moving:
            raise Unstable(
                f"task {self.task.name}: the scene is not stable at its start",
                asked=f"seed {seed}",
                found=self.unstable or f"{moving} still moves after {_SETTLE_PIECES * _SETTLE_S:g} s",
                next_command="put things above the table and apart; vidpretrain tasks check shows which",
            )

    def advance(self, action: Float[np.ndarray, " d"]) -> None:
        """One step of `rate_hz`: the motors' targets go from the last command to this one, late and noisy as drawn."""
        assert self.variation is not None
        command = np.clip(np.asarray(action, dtype=float), self.action_low, self.action_high)
        q = self.start.copy()
        q[self._column] = (command - self._offset) / self._gain
        target = self.robot.tree.with_mimic(q)[self._driven]
        target = target + self.variation["motor_noise_rad"] * self.rng.normal(size=len(target))
        self._command = command
        self._knots = [*self._knots[1:], target]
        late = self.variation["latency_s"] * self.config.rate_hz  # in steps
        substeps, done = self.built.substeps, 0
        for piece in range(_PIECES):
            upto = round((piece + 1) * substeps / _PIECES)
            if upto > done:
                self.data.ctrl[self._motor] = self._target((piece + 1) / _PIECES - late)
                mujoco.mj_step(self.model, self.data, nstep=upto - done)
            done = upto
        self._watch()

    def _target(self, at: float) -> np.ndarray:
        """Between the knots; 1 is this command, 0 the last one, below that the one before, held from there."""
        older, last, this = self._knots
        if at >= 0:
            return last + at * (this - last)
        return older + max(0.0, 1.0 + at) * (last - older)

    def _watch(self) -> None:
        if self.unstable:
            return
        bad = [w for w in ("BADQPOS", "BADQVEL", "BADQACC") if self._warned(w)]
        if bad or not np.isfinite(self.data.qpos).all():
            self.unstable = f"physics: {', '.join(bad) or 'not finite'}"

    def _warned(self, name: str) -> bool:
        return bool(self.data.warning[int(getattr(mujoco.mjtWarning, f"mjWARN_{name}"))].number)

    def _moving(self) -> str:
        for name in self.built.free:
            if self.speed(name) > _MOST_SPEED:
                return name
        return ""

    # ---- placing, for `Task.reset` ----

    def draw(self, low: float, high: float) -> float:
        """A number of a range; with the axis `placement` shifted, one that is beyond the range by what was drawn."""
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        assert self.variation is not None
        reach, most = self.variation["placement"], self.config.placement.inside[1]
        at = self.rng.uniform(-1, 1)
        beyond = self.rng.uniform() < 0.5 or not self._drawn
        self._drawn = True
        if reach > most and beyond:  # the first number of an episode, and half of the others
            return float(middle + half * reach * np.sign(at))
        return float(middle + half * most * at)

    def put(self, name: str, x: float, y: float, z: float, yaw_rad: float = 0.0) -> None:
        """Put a thing's origin at (x, y, z) on the table; x and y stretch with the robot's reach."""
        T = geometry.pose(
            np.array([np.cos(yaw_rad / 2), 0, 0, np.sin(yaw_rad / 2)]), np.array([x * self.scale, y * self.scale, z])
        )
        T = geometry.compose(self.built.T_world_table, T)
        if name in self.built.free:
            self.data.joint(name).qpos[:] = [*T[4:], *T[:4]]
        elif name in self.built.mocap:
            mocap = int(self.model.body(name).mocapid[0])
            self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = T[4:], T[:4]
        else:
            valid = ", ".join((*self.built.free, *self.built.mocap))
            raise ConfigError(f"the scene has no thing {name!r}", asked=name, valid=valid)

    @property
    def fov_rad(self) -> float:
        """Field of view of the head camera, across and down alike: its picture is square."""
        return float(np.deg2rad(self.model.camera("head").fovy[0]))

    @property
    def has_fingers(self) -> bool:
        """Whether the robot's hands have joints."""
        return bool(self.robot.joints("right_hand"))

    # ---- reading, for `success`, `progress` and `expert` ----

    def pose(self, name: str) -> Float64[np.ndarray, " 7"]:
        """T_table_body of a thing or any body."""
        body = self._body(name)
        return np.concatenate([self.data.xquat[body], self.data.xpos[body] - self._p_table])

    def at(self, name: str, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Float64[np.ndarray, " 3"]:
        """Where a thing's origin is, or a place that far from it along the table's axes."""
        return self.data.xpos[self._body(name)] - self._p_table + np.array([x, y, z])

    def palm(self, side: str) -> Float64[np.ndarray, " 7"]:
        """T_table_palm."""
        return self.site(f"{side}_palm")

    def site(self, name: str) -> Float64[np.ndarray, " 7"]:
        """T_table_site of one of the robot's sites."""
        site = self._index(mujoco.mjtObj.mjOBJ_SITE, name)
        out = np.empty(7)
        mujoco.mju_mat2Quat(out[:4], self.data.site_xmat[site])
        out[4:] = self.data.site_xpos[site] - self._p_table
        return out

    def _body(self, name: str) -> int:
        return self._index(mujoco.mjtObj.mjOBJ_BODY, name)

    def _index(self, kind: mujoco.mjtObj, name: str) -> int:
        found = mujoco.mj_name2id(self.model, kind, name)
        if found < 0:
            raise ConfigError(
                f"the scene has no {name!r}", asked=name, valid=", ".join(sorted(set(self._owner) - {""}))
            )
        return found

    def skin(self, side: str) -> float:
        """Metres from the palm's site to the skin of the palm, along the palm's inner normal."""
        site, model = self.data.site(f"{side}_palm"), self.model
        body, normal = int(model.site(f"{side}_palm").bodyid[0]), -np.array(site.xmat).reshape(3, 3)[:, 2]
        stiff = {body}
        for b in range(body + 1, model.nbody):
            if int(model.body_parentid[b]) in stiff and not model.body_jntnum[b]:
                stiff.add(b)
        out = 0.0
        for g in np.flatnonzero(np.isin(model.geom_bodyid, sorted(stiff))):
            half = np.abs(self.data.geom_xmat[g].reshape(3, 3).T @ normal) @ model.geom_size[g]
            out = max(out, float(normal @ (self.data.geom_xpos[g] - site.xpos) + half))
        return out

    def speed(self, name: str) -> float:
        """m/s of a free thing."""
        return float(np.linalg.norm(self.data.joint(name).qvel[:3]))

    def joint(self, name: str) -> float:
        """Position of a joint that the task has added, rad or m."""
        return float(self.data.joint(name).qpos[0])

    def touching(self, one: str, other: str) -> bool:
        """Whether two of things, "left", "right" (hands) and "table" are in contact."""
        if one not in self._number or other not in self._number:
            asked = one if one not in self._number else other
            raise ConfigError(f"the scene has no {asked!r}", asked=asked, valid=", ".join(sorted(self._number)))
        first, second = self._number[one], self._number[other]
        pairs = self._owners_number[self.data.contact.geom[: self.data.ncon]]
        return bool(((pairs == (first, second)).all(axis=1) | (pairs == (second, first)).all(axis=1)).any())

    # ---- the vector ----

    def columns_of(self, joint_pos: Float64[np.ndarray, " j"]) -> Float64[np.ndarray, " d"]:
        """The ActionSpec's columns of the tree's joints: arms in rad, hands as fractions."""
        return joint_pos[self._column] * self._gain + self._offset

    def joint_pos(self) -> Float64[np.ndarray, " j"]:
        """Positions of all of the tree's joints: what is driven as measured, the rest at home."""
        q = np.array(self.robot.home)
        q[self._driven] = self.data.qpos[self._driven_qpos]
        return q

    @property
    def state(self) -> Float32[np.ndarray, " d"]:
        """Measured positions in the ActionSpec's columns."""
        return (self.data.qpos[self._column_qpos] * self._gain + self._offset).astype(np.float32)

    @property
    def command(self) -> Float64[np.ndarray, " d"]:
        """The last action, clipped to the limits."""
        return self._command


def require_whole(task: Task) -> None:
    """Check that a task has all its own parts.

    Raises:
        ConfigError: it has no name, instruction, scene, reset, success or expert of its own.
    """
    missing: Sequence[str] = [
        *(part for part in ("name", "instruction") if not getattr(task, part, "")),
        *(
            part
            for part in ("scene", "reset", "success", "expert")
            if getattr(type(task), part, None) in (None, getattr(Task, part))
        ),
    ]
    if missing:
        raise ConfigError(
            f"task {getattr(task, 'name', '') or type(task).__name__!r} is not whole",
            found=f"without {', '.join(missing)}",
            valid="name, instruction, scene, reset, success, expert (progress has a default)",
        )
