"""Recording the scripted robot: episodes with pictures from its head camera, as a LeRobot v3 data set."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import config as configuration
from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot, load_robot
from vidpretrain.sim.config import RobotTaskConfig, SimConfig
from vidpretrain.sim.rendered_episode import rendered_episode
from vidpretrain.sim.robot_task import HALF_HEIGHT_M, LIFTED_M, RADIUS_M, TABLE_BELOW_BASE_M, Rollout, roll_out
from vidpretrain.types import Episode

INSTRUCTION = "pick up the bottle"
_VERSION = 1  # of what is recorded; a new number records everything anew
_RECORD = "sim.json"
_COLOURS = ((0.15, 0.45, 0.75), (0.20, 0.55, 0.30), (0.75, 0.25, 0.20), (0.85, 0.75, 0.35), (0.35, 0.30, 0.55))
_TABLES = ((0.62, 0.50, 0.38), (0.75, 0.74, 0.72), (0.45, 0.36, 0.30), (0.50, 0.55, 0.58))
_WALLS = ((0.80, 0.78, 0.74), (0.68, 0.72, 0.76), (0.74, 0.74, 0.68))


@dataclass(frozen=True)
class _Attempt:
    """What comes back from a worker: the rollout and, where the bottle was lifted, the pictures (t h w 3)."""

    number: int
    rollout: Rollout
    frames: np.ndarray | None


def record_robot_episodes(config: SimConfig, robot_name: str, out_root: Path | str) -> dict[str, Any]:
    """Record `config.robot_task.episodes` lifted bottles at `out_root`; what happened, as plain data.

    Keys: root, robot, episodes, rows, attempts, dropped (attempts in which the bottle was not lifted), lifted_m (the
    smallest), digest, made (false where the same data set was there already).

    Raises:
        InputError: fewer bottles are lifted than wanted within twice as many attempts.
        DatasetError: `out_root` holds something that is not a recording of this function.
        MissingAsset: the robot's files or an off-screen OpenGL are missing.
    """
    from vidpretrain.actions import ActionConfig, spec_for
    from vidpretrain.dataset import DatasetWriter

    root, task = Path(out_root), config.robot_task
    robot = load_robot(robot_name)
    digest = configuration.digest(_VERSION, config.seed, task, robot.digest)
    earlier = _earlier(root)
    if earlier is not None and earlier.get("digest") == digest:
        return {**earlier, "root": str(root), "made": False}
    spec = spec_for(robot, ActionConfig(rate_hz=task.rate_hz, wrist_poses=False))
    rows, attempts, lifted = 0, 0, []
    size = (task.height_px, task.width_px)
    writer = DatasetWriter(
        root, spec, rate_hz=task.rate_hz, image_size=size, robot_type=robot.name, overwrite=earlier is not None
    )
    with writer:
        for attempt in _attempts(config, robot_name):
            attempts += 1
            if attempt.frames is not None:
                episode = _episode(attempt, robot, spec, task, digest)
                writer.add_episode(episode, iter(attempt.frames))
                rows += len(attempt.frames)
                lifted.append(attempt.rollout.lifted_m)
            if len(lifted) == task.episodes:
                break
        if len(lifted) < task.episodes:
            raise InputError(
                f"{robot.name} lifted the bottle too seldom",
                asked=f"{task.episodes} episodes",
                found=f"{len(lifted)} of {attempts} attempts",
                next_command="choose another sim.seed, or a robot whose hands reach",
            )
    result = {
        "robot": robot.name,
        "episodes": len(lifted),
        "rows": rows,
        "attempts": attempts,
        "dropped": attempts - len(lifted),
        "lifted_m": float(min(lifted)),
        "digest": digest,
    }
    beside = root / f"{_RECORD}.tmp"
    beside.write_text(json.dumps(result, indent=1))
    os.replace(beside, root / _RECORD)
    return {**result, "root": str(root), "made": True}


def _earlier(root: Path) -> dict[str, Any] | None:
    try:
        return json.loads((root / _RECORD).read_text())
    except (OSError, ValueError):
        return None


def _attempts(config: SimConfig, robot_name: str) -> Iterator[_Attempt]:
    """Attempts 0, 1, 2, ... in order, made by worker processes a few ahead of the reader."""
    import multiprocessing
    from collections import deque
    from concurrent.futures import ProcessPoolExecutor

    from vidpretrain.sim.gl import choose_gl

    choose_gl()
    most = 2 * config.robot_task.episodes
    workers = min(config.workers, most)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=spawn) as pool:
        waiting, started = deque(), 0
        try:
            for _ in range(most):
                while started < most and len(waiting) < workers + 1:
                    waiting.append(pool.submit(attempt, config, robot_name, started))
                    started += 1
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


_STAGES: dict[tuple[str, int, int], RobotStage] = {}  # one per worker process: compiling takes longer than rendering


def attempt(config: SimConfig, robot_name: str, number: int) -> _Attempt:
    """Attempt `number`, rendered where the bottle was lifted. For worker processes."""
    task = config.robot_task
    key = (robot_name, task.width_px, task.height_px)
    if key not in _STAGES:
        _STAGES[key] = RobotStage(load_robot(robot_name), task.width_px, task.height_px)
    stage = _STAGES[key]
    rng = np.random.default_rng([config.seed, number, 3])
    rollout = roll_out(stage.robot, task, rng)
    if rollout.lifted_m < LIFTED_M:
        return _Attempt(number, rollout, None)
    stage.dress(rng)
    return _Attempt(number, rollout, stage.render(rollout))


class RobotStage:
    """The robot at its table with a bottle, compiled once and dressed anew for each episode."""

    def __init__(self, robot: Robot, width_px: int, height_px: int) -> None:
        from vidpretrain.sim.gl import Renderer, choose_gl

        choose_gl()
        import mujoco

        from vidpretrain.robot.qpos import qpos_columns
        from vidpretrain.sim.robot_model import base_address

        self.robot = robot
        self.T_world_base = geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, robot.base_height_m]))
        self.T_world_camera = geometry.compose(self.T_world_base, robot.T_base_camera)
        self.model = self._build(width_px, height_px)
        self.data = mujoco.MjData(self.model)
        self._base = base_address(self.model)
        self._joints = qpos_columns(self.model, robot.tree.joint_names)
        self._bottle = int(self.model.body("bottle").mocapid[0])
        self._renderer = Renderer(self.model, width_px, height_px)

    def _build(self, width_px: int, height_px: int):
        import mujoco

        from vidpretrain.sim.robot_model import add_material, light_up, visual_spec

        spec = visual_spec(self.robot, cell_m=0.012)
        spec.stat.extent, spec.visual.map.znear, spec.visual.map.zfar = 2.0, 0.01, 10.0
        light_up(spec)
        world, box = spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
        cylinder = mujoco.mjtGeom.mjGEOM_CYLINDER
        add_material(spec, "room_floor", (0.45, 0.44, 0.42), (0.40, 0.39, 0.38), 12)
        world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 0.1], material="room_floor")
        top = self.robot.base_height_m - TABLE_BELOW_BASE_M
        world.add_geom(name="table", type=box, size=[0.30, 0.55, 0.015], pos=[0.55, 0, top - 0.015])
        for x in (0.3, 0.8):
            for y in (-0.5, 0.5):
                world.add_geom(
                    type=box, size=[0.02, 0.02, top / 2], pos=[x, y, top / 2 - 0.03], rgba=[0.3, 0.3, 0.3, 1]
                )
        world.add_geom(name="wall", type=box, size=[0.02, 4, 2], pos=[2.2, 0, 2])
        bottle = world.add_body(name="bottle", mocap=True)
        r, h = RADIUS_M, HALF_HEIGHT_M
        bottle.add_geom(name="bottle", type=cylinder, size=[r, 0.72 * h], pos=[0, 0, -0.28 * h])
        bottle.add_geom(type=cylinder, size=[r + 1e-3, 0.2 * h], pos=[0, 0, -0.2 * h], rgba=[0.93, 0.93, 0.9, 1])
        bottle.add_geom(name="neck", type=cylinder, size=[0.42 * r, 0.2 * h], pos=[0, 0, 0.64 * h])
        bottle.add_geom(type=cylinder, size=[0.5 * r, 0.08 * h], pos=[0, 0, 0.92 * h], rgba=[0.95, 0.95, 0.95, 1])
        T = self.T_world_camera
        fovy = 2 * np.arctan(np.tan(self.robot.expected_fov_x_rad / 2) * height_px / width_px)
        q = geometry.quat_mul(T[:4], np.array([0.0, 1.0, 0.0, 0.0]))  # MuJoCo: y up, looks along -z
        world.add_camera(name="head", pos=T[4:], quat=q, fovy=float(np.rad2deg(fovy)))
        return spec.compile()

    def dress(self, rng: np.random.Generator) -> None:
        """Draw colours and light."""
        for names, table in ((("bottle", "neck"), _COLOURS), (("table",), _TABLES), (("wall",), _WALLS)):
            colour = np.clip(np.array(table[rng.integers(len(table))]) + rng.uniform(-0.06, 0.06, 3), 0.02, 1)
            for name in names:
                self.model.geom(name).rgba[:3] = colour
        strength = rng.uniform(0.75, 1.15)
        self.model.light_diffuse[:] = strength * np.array([[0.5] * 3, [0.3] * 3])
        self.model.vis.headlight.ambient[:] = 0.34 * strength
        self.model.light_dir[0] = geometry.normalize(np.array([rng.uniform(-0.8, 0.2), rng.uniform(-0.6, 0.6), -1.0]))

    def render(self, rollout: Rollout) -> np.ndarray:
        """Pictures (t h w 3) uint8 of the executed posture, from the head camera."""
        import mujoco

        frames = []
        self.data.qpos[self._base : self._base + 7] = [*self.T_world_base[4:], *self.T_world_base[:4]]
        bottle = geometry.compose(self.T_world_base, rollout.T_base_bottle)
        for t in range(len(rollout.joint_pos)):
            self._joints.put(self.data.qpos, rollout.joint_pos[t])
            self.data.mocap_quat[self._bottle], self.data.mocap_pos[self._bottle] = bottle[t, :4], bottle[t, 4:]
            mujoco.mj_kinematics(self.model, self.data)
            mujoco.mj_camlight(self.model, self.data)
            frames.append(self._renderer.render(self.data, "head")[0])
        return np.stack(frames)


def _columns(robot: Robot, spec, joint_pos: np.ndarray) -> np.ndarray:
    """Joint positions (t j) as the vector's columns (t d): radians for arms, fractions for hands."""
    columns = [c for group in spec.groups for c in robot.group_columns(group.name)]
    joints = robot.tree.joints([c.joint for c in columns])
    scale, offset = np.array([c.scale for c in columns]), np.array([c.offset for c in columns])
    return (joint_pos[:, joints] * scale + offset).astype(np.float32)


def _episode(attempt: _Attempt, robot: Robot, spec, task: RobotTaskConfig, digest: str) -> Episode:
    return rendered_episode(
        robot=robot,
        spec=spec,
        state=_columns(robot, spec, attempt.rollout.joint_pos),
        action=_columns(robot, spec, attempt.rollout.command),
        T_base_camera=robot.T_base_camera,
        width_px=task.width_px,
        height_px=task.height_px,
        rate_hz=task.rate_hz,
        name=f"sim_{robot.name}_{attempt.number:04d}",
        uri=f"generated:vidpretrain.sim/{robot.name}/{attempt.number}",
        sha256=configuration.digest(digest, attempt.number),
        instruction=INSTRUCTION,
    )
