"""Video of rendered people with exact truth beside it: PATH.mp4, PATH.truth.npz and PATH.json per clip.

Rendering happens in worker processes, because an EGL context does not live well with torch. The same seed gives the
same frames, byte for byte, on the same machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import config as configuration
from vidpretrain import geometry, skeletons
from vidpretrain.sim.body import Body, BodyShape, load_body
from vidpretrain.sim.config import SimConfig
from vidpretrain.sim.truth import Truth, save_truth

_VERSION = 4  # of what is drawn; a new number renders everything anew
_ATTRIBUTION = "Rendered by vidpretrain; body shape and skin weights from Anny (NAVER Corp., Apache-2.0)"
_CAMERA_REST = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # columns: right, down, forward
_NEAR_BODY_M, _NEAR_WRIST_M, _NEAR_FINGER_M = (
    0.10,
    0.035,
    0.018,
)  # a joint this far behind the surface in front of it still counts as seen


@dataclass(frozen=True)
class ClipPlan:
    """Everything that one worker needs to render one clip."""

    name: str
    index: int
    motion: str
    view: str
    shape: BodyShape
    config: SimConfig
    digest: str


def body_shapes(seed: int, count: int) -> list[BodyShape]:
    """`count` different adults by seed, women and men in turn."""
    rng = np.random.default_rng([seed, 7])
    shapes = []
    for k in range(count):
        gender = 0.05 if k % 2 == 0 else 0.95
        shapes.append(
            BodyShape(
                gender=gender,
                age=float(rng.uniform(0.6, 0.85)),
                muscle=float(rng.uniform(0.4, 0.6)),
                weight=float(rng.uniform(0.35, 0.55)),
                height=float(rng.uniform(0.25, 0.5)),
                proportions=float(rng.uniform(0.5, 0.8)),
                sleeves="long" if k % 3 else "short",
            )
        )
    return shapes


def plan_clips(config: SimConfig) -> list[ClipPlan]:
    """The clips of a configuration; consecutive ones differ in motion, view and body."""
    shapes = body_shapes(config.seed, config.bodies)
    plans = []
    for i in range(config.clips):
        motion = config.motions[i % len(config.motions)]
        view = config.views[(i + i // len(config.motions)) % len(config.views)]
        shape = shapes[i % len(shapes)]
        drawn = (config.seed, i, motion, view, shape, config.duration_s, config.rate_hz)
        digest = configuration.digest(_VERSION, drawn, config.width_px, config.height_px)
        plans.append(ClipPlan(f"person_{i:03d}_{motion}_{view}", i, motion, view, shape, config, digest))
    return plans


def render_people(
    config: SimConfig, out_dir: Path | str, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """One row per clip: name, video, truth, sidecar (paths), motion, view, instruction, frames, height_m, digest, made.

    `made` is false where the clip was already there with the same digest; those cost nothing.

    Raises:
        MissingExtra: Anny is not installed and a body is not in the cache.
        MissingAsset: no off-screen OpenGL works.
        DiskFull: no space left.
    """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    from vidpretrain.sim.gl import choose_gl

    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    plans = plan_clips(config)
    rows = {plan.index: row for plan in plans if (row := _existing(plan, out)) is not None}
    todo = [plan for plan in plans if plan.index not in rows]
    if todo:
        choose_gl()
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:  # torch stays out of this process
            pool.submit(_prepare_bodies, list(dict.fromkeys(plan.shape for plan in todo))).result()
        workers = min(config.workers, len(todo))
        with ProcessPoolExecutor(max_workers=workers, mp_context=spawn) as pool:
            futures = [pool.submit(render_clip, plan, str(out)) for plan in todo]
            for done, future in enumerate(as_completed(futures), start=1):
                row = future.result()
                rows[row["index"]] = row
                if progress is not None:
                    progress(done, len(todo))
    return [rows[plan.index] for plan in plans]


def _prepare_bodies(shapes: list[BodyShape]) -> None:
    for shape in shapes:
        load_body(shape)


def _existing(plan: ClipPlan, out: Path) -> dict[str, Any] | None:
    sidecar = out / f"{plan.name}.json"
    if not (sidecar.is_file() and (out / f"{plan.name}.mp4").is_file() and (out / f"{plan.name}.truth.npz").is_file()):
        return None
    try:
        data = json.loads(sidecar.read_text())
    except ValueError:
        return None
    return _row(plan, out, data, made=False) if data.get("digest") == plan.digest else None


def _row(plan: ClipPlan, out: Path, sidecar: dict[str, Any], made: bool) -> dict[str, Any]:
    return {
        "index": plan.index,
        "name": plan.name,
        "motion": plan.motion,
        "view": plan.view,
        "made": made,
        "video": str(out / f"{plan.name}.mp4"),
        "truth": str(out / f"{plan.name}.truth.npz"),
        "sidecar": str(out / f"{plan.name}.json"),
        **{key: sidecar[key] for key in ("instruction", "frames", "height_m", "digest")},
    }


def render_clip(plan: ClipPlan, out_dir: str) -> dict[str, Any]:
    """Render one clip and write its three files, the sidecar last; the row of `render_people`. For worker processes."""
    from vidpretrain.video import H264Writer

    out, config = Path(out_dir), plan.config
    video = out / f"{plan.name}.mp4"
    stage = Stage(plan)
    with stage, H264Writer(video, config.width_px, config.height_px, config.rate_hz) as writer:
        for frame in stage.frames():
            writer.write(frame)
    save_truth(out / f"{plan.name}.truth.npz", stage.truth())
    sidecar = stage.sidecar()
    beside = out / f"{plan.name}.json.tmp"
    beside.write_text(json.dumps(sidecar, indent=1))
    os.replace(beside, out / f"{plan.name}.json")
    return _row(plan, out, sidecar, made=True)


class Stage:
    """One clip being rendered: `frames` gives the pictures (h w 3), then `truth` and `sidecar` are complete."""

    def __init__(self, plan: ClipPlan) -> None:
        from vidpretrain.sim import scene
        from vidpretrain.sim.motions import Planner, perform
        from vidpretrain.sim.posing import Poser

        config = plan.config
        self.plan, self.config = plan, config
        rng = np.random.default_rng([config.seed, plan.index, 1])
        self.body: Body = load_body(plan.shape)
        self.poser = Poser(self.body)
        self.look = scene.draw_look(rng)
        count = max(2, round(config.duration_s * config.rate_hz))
        times = np.arange(count) / config.rate_hz
        duration = max(config.duration_s - 1.0 / config.rate_hz, 1e-3)
        self.take = perform(Planner(self.poser, rng).plan(plan.motion, duration), self.poser, times, rng)
        self.time_ns = np.round(times * 1e9).astype(np.int64)
        self._mount = self._camera_mount(rng)
        action = self.take.plan
        self.model = scene.build(self.body, self.look, action.object_name, action.table_m)
        self._points, self._cameras, self._visible = [], [], []

    def __enter__(self) -> Stage:
        from vidpretrain.sim.gl import Renderer

        self._renderer = Renderer(self.model, self.config.width_px, self.config.height_px)
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.close()

    def _camera_mount(self, rng: np.random.Generator) -> tuple[str, np.ndarray, np.ndarray]:
        """Bone that carries the camera ("" for the room), its position and orientation at rest."""
        from vidpretrain.sim.posing import turn

        body, jitter = self.body, rng.uniform(-1, 1, 4)
        scale = body.height_m / 1.75
        if self.plan.view == "head":
            eyes = 0.5 * (body.p_rest[body.bone("eye.L")] + body.p_rest[body.bone("eye.R")])
            position = eyes + np.array([0.06, 0.0, 0.035]) * scale
            return "head", position, turn("y", 0.47 + 0.04 * jitter[0]) @ _CAMERA_REST
        if self.plan.view == "chest":
            front = max(p.vertices[:, 0].max() for p in body.parts if p.name == "shirt")
            height = body.p_rest[body.bone("clavicle.L")][2] - 0.09 * scale
            position = np.array([front + 0.02, 0.0, height + 0.03])
            return "spine01", position, turn("y", 0.62 + 0.05 * jitter[0]) @ _CAMERA_REST
        azimuth = self.look.front_azimuth_rad
        target = np.array([0.2, 0.0, 0.72 * body.height_m])
        away = np.array([np.cos(azimuth), np.sin(azimuth), 0.28 + 0.08 * jitter[0]])
        position = target + (1.45 + 0.1 * jitter[1]) * scale * away / np.linalg.norm(away)
        forward = geometry.normalize(target - position)
        right = geometry.normalize(np.cross(forward, [0.0, 0.0, 1.0]))
        return "", position, np.stack([right, np.cross(forward, right), forward], axis=1)

    def _camera(self, pose: Any) -> np.ndarray:
        bone, position, R = self._mount
        if bone:
            b = self.body.bone(bone)
            position, R = pose.p[b] + pose.D[b] @ (position - self.body.p_rest[b]), pose.D[b] @ R
        return geometry.pose(geometry.quat_from_matrix(R), position)

    def frames(self) -> Iterator[np.ndarray]:
        """Pictures (h w 3) uint8, one per time of the clip."""
        import mujoco

        data = mujoco.MjData(self.model)
        mocap = {
            name: self.model.body_mocapid[mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, name)]
            for name in (*(f"bone_{n}" for n in self.body.names), "object", f"camera_{self.plan.view}")
        }
        bones = np.array([mocap[f"bone_{n}"] for n in self.body.names])
        for pose, T_object in zip(self.take.poses, self.take.T_world_object, strict=True):
            T_camera = self._camera(pose)
            data.mocap_pos[bones], data.mocap_quat[bones] = (
                pose.p,
                geometry.quat_from_matrix(pose.D @ self.body.R_rest),
            )
            for name, T in (("object", T_object), (f"camera_{self.plan.view}", T_camera)):
                data.mocap_quat[mocap[name]], data.mocap_pos[mocap[name]] = T[:4], T[4:]
            mujoco.mj_kinematics(self.model, data)
            mujoco.mj_camlight(self.model, data)
            picture, depth = self._renderer.render(data, self.plan.view, depth=True)
            points = self.poser.keypoints(pose)
            self._points.append(points)
            self._cameras.append(T_camera)
            self._visible.append(self._seen(points, T_camera, depth))
            yield picture

    @property
    def K(self) -> np.ndarray:
        """Intrinsics (3 3): the principal point is the centre of the picture."""
        import mujoco

        camera = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_CAMERA, self.plan.view)
        width, height = self.config.width_px, self.config.height_px
        focal = 0.5 * height / np.tan(np.deg2rad(self.model.cam_fovy[camera]) / 2)
        return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])

    def _seen(self, points: np.ndarray, T_camera: np.ndarray, depth: np.ndarray | None) -> np.ndarray:
        """Points (75) inside the picture with nothing much nearer in front of them."""
        if depth is None:
            raise ValueError("visibility needs the depth picture")
        p_camera = geometry.transform(geometry.inverse(T_camera), points)
        z = p_camera[:, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            uv = (p_camera @ self.K.T)[:, :2] / z[:, None]
            inside = (z > 0.02) & (uv >= 0).all(1) & (uv < [self.config.width_px, self.config.height_px]).all(1)
        column, row = np.where(inside[:, None], uv, 0).astype(int).T
        slack = np.full(len(points), _NEAR_FINGER_M)
        slack[[part.start for part in skeletons.HAND_SLICES.values()]] = _NEAR_WRIST_M
        slack[skeletons.BODY_SLICE] = _NEAR_BODY_M
        return inside & (np.where(inside, z, np.inf) < depth[row, column] + slack)

    def truth(self) -> Truth:
        """The truth of the frames rendered so far."""
        points, cameras = np.array(self._points), np.array(self._cameras)
        hip = {s: self.poser.names.index(f"{s}_hip") for s in skeletons.SIDES}
        root = 0.5 * (points[:, hip["left"]] + points[:, hip["right"]])
        plan = self.take.plan
        return Truth(
            time_ns=self.time_ns[: len(points)],
            p_world_keypoint=points,
            visible=np.array(self._visible),
            K=self.K,
            T_world_camera=cameras,
            T_world_root=geometry.pose(np.array([1.0, 0, 0, 0]), root),
            T_world_object=self.take.T_world_object[: len(points)],
            height_m=self.body.height_m,
            width_px=self.config.width_px,
            height_px=self.config.height_px,
            view=self.plan.view,
            motion=plan.motion,
            side=plan.side,
            object_name=plan.object_name,
        )

    def sidecar(self) -> dict[str, Any]:
        """What goes beside the video: licence, instruction, intrinsics, and how it was made."""
        plan = self.take.plan
        return {
            "instruction": plan.instruction,
            "license": "generated",
            "attribution": _ATTRIBUTION,
            "consent": "not needed: rendered",
            "K": self.K.tolist(),
            "view": "third" if self.plan.view == "front" else "ego",
            "camera": self.plan.view,
            "motion": plan.motion,
            "object": plan.object_name,
            "side": plan.side,
            "height_m": self.body.height_m,
            "frames": len(self._points),
            "rate_hz": self.config.rate_hz,
            "unreached_m": self.take.miss_m,
            "digest": self.plan.digest,
        }
