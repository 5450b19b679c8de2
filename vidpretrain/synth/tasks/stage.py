"""One film of a task: acted, placed in a room, filmed, its truth written down. For worker processes (OpenGL)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.body import load_body
from vidpretrain.sim.posing import Pose, Poser
from vidpretrain.synth import scene
from vidpretrain.synth.cameras import intrinsics, trajectory
from vidpretrain.synth.dress import dress
from vidpretrain.synth.stage import Stage
from vidpretrain.synth.tasks.act import Acted, act
from vidpretrain.synth.tasks.plan import TaskClip
from vidpretrain.synth.tasks.trace import Trace, trace

if TYPE_CHECKING:
    import mujoco

_AIM_M = np.array([0.0, 0.0, 0.04])  # over the middle of the table, where a robot's head camera looks
_MEAN_LEVEL, _GAINS = 0.45, (0.8, 2.2)  # of a picture whose white is 1; what exposure can do
_EYE_M = np.array([0.075, 0.0, 0.035])  # of a camera on a head, ahead of and above the eyes


class TaskStage(Stage):
    """A `synth.stage.Stage` whose person does a task of `sim.worlds`; `held` is the truth of the hands."""

    def __init__(self, job: TaskClip) -> None:
        spec = job.clip
        self.spec, self.job = spec, job
        self.trace = trace(job.task, job.robot, job.world, job.expert_seed)
        person = spec.people[0]
        self.bodies = [dress(load_body(person.shape), person)]
        rng = np.random.default_rng(spec.motions[0].seed)
        acted = act(
            self.trace,
            self.bodies[0],
            speed=job.speed,
            lead_s=job.lead_s,
            tail_s=job.tail_s,
            rate_hz=spec.rate_hz,
            gaze_deg=spec.motions[0].gaze_deg,
            rng=rng,
        )
        self.held, self.times, self.time_ns = acted.held, acted.times, np.array(acted.held.time_ns)
        self.parts, self.places = [acted.part], [geometry.IDENTITY_POSE]
        poser = Poser(self.bodies[0])
        self.points = np.array([poser.keypoints(pose) for pose in acted.part.poses])[None]
        self.K = intrinsics(spec.camera, spec.width_px, spec.height_px)
        if spec.camera.kind == "head":
            self.T_world_camera = _on_head(job, self.bodies[0], acted.part.poses, acted.T_world_table)
        else:
            self.T_world_camera = trajectory(
                spec.camera, self.bodies[0], acted.part.poses, self.times, spec.room.half_m, rng
            )
        self.moved = {f"task_{name}": T for name, T in acted.things.items()}
        self.visible = np.zeros((1, len(self.times), 75), dtype=bool)
        fov_y = float(np.rad2deg(2 * np.arctan2(0.5 * spec.height_px, self.K[1, 1])))
        self.model = _build(job, self.trace, self, acted, fov_y)

    def frames(self) -> Iterator[np.ndarray]:
        """As of any clip, exposed as a camera does by itself: for the first picture's mean to be `_MEAN_LEVEL`."""
        first = next(iter(super().frames()))
        picture = self.spec.picture
        gain = float(np.clip(_MEAN_LEVEL / max(first.mean() / 255.0, 1e-3), *_GAINS))
        self.spec = dataclasses.replace(self.spec, picture=dataclasses.replace(picture, gain=picture.gain * gain))
        yield from super().frames()

    def sidecar(self) -> dict[str, Any]:
        """As of any rendered clip, and whose episode it follows how."""
        job = self.job
        own = {"task": job.task, "robot": job.robot, "expert_seed": job.expert_seed, "speed": job.speed}
        return {**super().sidecar(), **own, "object": next((t.name for t in self.trace.things if t.solid), "")}


def _on_head(job: TaskClip, body, poses: list[Pose], T_world_table: np.ndarray) -> np.ndarray:
    """T_world_camera (t 7): fixed to the head; at first it looks at the table, moved and turned as drawn."""
    b, scale = body.bone("head"), body.height_m / 1.75
    eyes = 0.5 * (body.p_rest[body.bone("eye.L")] + body.p_rest[body.bone("eye.R")])
    first = poses[0]
    p = first.p[b] + first.D[b] @ (eyes + _EYE_M * scale - body.p_rest[b])
    forward = geometry.normalize(geometry.transform(T_world_table, _AIM_M) - p)
    right = geometry.normalize(np.cross(forward, [0.0, 0.0, 1.0]))
    R = np.stack([right, np.cross(forward, right), forward], axis=1)
    moved = geometry.pose(geometry.quat_exp(np.array(job.turn_rad)), np.array(job.shift_m))
    T = geometry.compose(geometry.pose(geometry.quat_from_matrix(R), p), moved)
    q = geometry.quat_from_matrix(np.stack([pose.D[b] for pose in poses]))
    head = geometry.pose(q, np.stack([pose.p[b] for pose in poses]))
    in_head = geometry.compose(geometry.inverse(head[0]), T)
    return geometry.compose(head, np.broadcast_to(in_head, head.shape))


def _build(job: TaskClip, trace: Trace, stage: TaskStage, acted: Acted, fov_y_deg: float) -> mujoco.MjModel:
    """The compiled scene: room, table, the task's things and the person as mocap bodies, one camera."""
    import mujoco

    spec, mj = job.clip, mujoco.MjSpec()
    rng = np.random.default_rng((*spec.seed, 7))
    mj.stat.center, mj.stat.extent = [0.4, 0.0, 1.0], 2.0
    mj.visual.map.znear, mj.visual.map.zfar = 0.01, 12.0
    mj.visual.quality.shadowsize = 2048
    scene.add_lights(mj, spec.room)
    scene.add_room(mj, spec.room, rng)
    for thing in spec.room.things:
        if not scene.in_the_way(thing, stage.T_world_camera[0, 4:]):
            scene.add_thing(mj, thing)
    _table(mj, spec.room, trace, acted.T_world_table)
    for thing in trace.things:
        body = mj.worldbody.add_body(name=f"task_{thing.name}", mocap=True, pos=acted.things[thing.name][0, 4:])
        for shape in thing.shapes:
            kind = getattr(mujoco.mjtGeom, f"mjGEOM_{shape.kind.upper()}")
            T = shape.T_thing_shape
            body.add_geom(type=kind, size=list(shape.size_m), pos=T[4:], quat=T[:4], rgba=list(shape.rgba))
    scene.add_person(mj, 0, spec.people[0], stage.bodies[0])
    holder = mj.worldbody.add_body(name=scene.CAMERA, mocap=True)
    holder.add_camera(name=scene.CAMERA, fovy=fov_y_deg, quat=[0.0, 1.0, 0.0, 0.0])  # MuJoCo: y up, looks along -z
    return mj.compile()


def _table(mj, room, trace: Trace, T_world_table: np.ndarray) -> None:
    """The task's table on four legs, with the room's surface."""
    import mujoco

    box, half = mujoco.mjtGeom.mjGEOM_BOX, trace.table_half_m
    middle = geometry.transform(T_world_table, trace.p_table_middle)
    mj.worldbody.add_geom(type=box, size=list(half), pos=middle, material="table")
    tall = 0.5 * (middle[2] - half[2])
    dark = [*(0.6 * c for c in room.colours["table"]), 1.0]
    for x in (-1, 1):
        for y in (-1, 1):
            at = [middle[0] + x * (half[0] - 0.04), middle[1] + y * (half[1] - 0.04), tall]
            mj.worldbody.add_geom(type=box, size=[0.02, 0.02, tall], pos=at, rgba=dark)
