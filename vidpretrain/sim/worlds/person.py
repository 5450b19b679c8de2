"""Level-1 people in a task's scene: the expert's motion through another body and camera, faster. Worker processes only.

The robot does the task at its own pace and is not seen; a person's arms and hands are drawn where its are
(`person_look`), through the person's head camera, and only every so many rows are kept, so that at the frame rate of
the film the person is `speed` times as fast. So things move exactly as the robot moved them, and a held thing stays in
the hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.jobs import Job
from vidpretrain.sim.worlds.person_look import PersonLook, arm_capsules

FILM_HZ = 30.0
_SIDES = ("left", "right")
_HIDDEN = 5  # geometry group that is not drawn
_WORLDS: dict[Any, Any] = {}  # one table per worker process


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """A person's episode as it truly was: t rows at 30 Hz of the film.

    `hands` are the hands' columns (left, right) as the robot measured them; `T_base_camera` is the person's camera,
    `T_base_head` where the robot's would be.
    """

    seed: int
    dropped: str
    frames: np.ndarray | None = None
    T_base_wrist: np.ndarray | None = None
    hands: np.ndarray | None = None
    T_base_camera: np.ndarray | None = None
    T_base_head: np.ndarray | None = None
    fov_rad: float = float("nan")
    speed: float = float("nan")


def film(job: Job, ranges: dict[str, Any]) -> Filmed:
    """The person of the job's seed does the job's task; `ranges` are those of `PersonLook.draw`.

    `job.world.rate_hz` has to be `FILM_HZ`.
    """
    from vidpretrain.sim.worlds.rollout import ExpertPolicy
    from vidpretrain.sim.worlds.stage import Unstable

    world, policy = _world(job), ExpertPolicy(job.noise_rad, job.noise_fraction)
    stage = world.stage
    look = PersonLook.draw(job.seed, stage.robot.expected_fov_x_rad, **ranges)
    try:
        observation, info = world.reset(options={"episode_seed": job.seed})
    except Unstable:
        return Filmed(seed=job.seed, dropped="unstable")
    policy.reset(world, job.seed)
    T_base_camera = geometry.compose(world.T_base_camera, look.T_camera_own)
    camera = _Camera(world, look, T_base_camera)
    rows, row, over = [], 0, False
    while not over:
        if row == round(len(rows) * look.speed):
            rows.append((camera.picture(), info["T_base_wrist"], _hands(stage, observation["state"])))
        observation, _, done, cut, info = world.step(policy.act(observation))
        row, over = row + 1, done or cut
    if info["unstable"] or not info["success"]:
        return Filmed(seed=job.seed, dropped="unstable" if info["unstable"] else "not done")
    frames, wrists, hands = (np.stack(part) for part in zip(*rows, strict=True))
    return Filmed(
        seed=job.seed,
        dropped="",
        frames=frames,
        T_base_wrist=wrists,
        hands=hands,
        T_base_camera=T_base_camera,
        T_base_head=np.array(stage.built.T_base_camera),
        fov_rad=look.fov_rad,
        speed=look.speed,
    )


def _world(job: Job):
    from vidpretrain.sim.worlds.env import World

    key = (job.task, job.robot, job.world)
    if key not in _WORLDS:
        world = World(job.task, job.robot, job.world, images=False)
        model = world.stage.model
        for g in range(model.ngeom):
            if model.geom(g).name.startswith(("arm:", "hand:")):
                model.geom_group[g] = _HIDDEN
        _WORLDS[key] = world
    return _WORLDS[key]


def _hands(stage, state: np.ndarray) -> np.ndarray:
    slices = stage.spec.slices()
    return np.concatenate([state[slices[g.name]] for g in stage.spec.groups if g.quantity == "hand"])


class _Camera:
    """The person's head camera, and the person in its picture."""

    def __init__(self, world, look: PersonLook, T_base_camera: np.ndarray) -> None:
        self._world, self._stage, self._look = world, world.stage, look
        model = self._stage.model
        T = geometry.compose(self._stage.built.T_world_base, T_base_camera)
        camera = model.camera("head").id
        model.cam_pos[camera] = T[4:]
        model.cam_quat[camera] = geometry.quat_mul(T[:4], np.array([0.0, 1.0, 0.0, 0.0]))  # looks along -z
        model.cam_fovy[camera] = np.rad2deg(look.fov_rad)
        import mujoco

        mujoco.mj_forward(model, self._stage.data)

    def picture(self) -> np.ndarray:
        """(h w 3) uint8 of this moment."""
        world = self._world
        if world._renderer is None:
            from vidpretrain.sim.gl import Renderer

            px = world.config.image_px
            world._renderer = Renderer(self._stage.model, px, px)
        return world._renderer.render(self._stage.data, "head", draw=self._draw)[0]

    def _draw(self, scene) -> None:
        import mujoco

        stage, look = self._stage, self._look
        table = stage.built.T_world_table[4:]
        for side in _SIDES:
            shoulder, palm = stage.site(f"{side}_shoulder")[4:] + table, stage.palm(side)
            palm[4:] += table
            capsules = arm_capsules(look, side, shoulder, palm, self._closed(side), stage.config.masked_arms)
            for start, end, radius, colour in capsules:
                if scene.ngeom >= scene.maxgeom:
                    return
                geom = scene.geoms[scene.ngeom]
                rgba = np.array([*colour, 1.0], dtype=np.float32)
                kind = mujoco.mjtGeom.mjGEOM_CAPSULE
                mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).ravel(), rgba)
                mujoco.mjv_connector(geom, kind, radius, np.asarray(start, float), np.asarray(end, float))
                scene.ngeom += 1

    def _closed(self, side: str) -> np.ndarray:
        """Closures of index, middle, ring, little finger and thumb from the hand's columns, 0 straight."""
        part = self._stage.spec.slices().get(f"{side}_hand")
        if part is None:
            return np.full(5, 0.3)
        value = 1.0 - np.clip(np.asarray(self._stage.state[part], dtype=float), 0, 1)
        names = next(g.names for g in self._stage.spec.groups if g.name == f"{side}_hand")
        every = float(value.mean())
        found = [[v for n, v in zip(names, value, strict=True) if finger in n] for finger in _FINGERS]
        return np.array([np.mean(values) if values else every for values in found])


_FINGERS = ("index", "middle", "ring", "pinky", "thumb_bend")
