"""One clip: acted, filmed, and its truth written down while it is filmed. For worker processes (OpenGL)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.sim.body import load_body
from vidpretrain.sim.posing import Pose, Poser
from vidpretrain.sim.truth import Truth
from vidpretrain.synth import scene, sensor
from vidpretrain.synth.acting import Performance, play
from vidpretrain.synth.cameras import intrinsics, trajectory
from vidpretrain.synth.dress import dress
from vidpretrain.synth.files import ClipTruth
from vidpretrain.synth.specs import ClipSpec
from vidpretrain.types import Camera, HumanMotion

ATTRIBUTION = "Rendered by vidpretrain; body shape and skin weights from Anny (NAVER Corp., Apache-2.0)"
_VIEWS = {"third": "front", "head": "head", "chest": "chest"}  # as in `sim.Truth`
_SECOND_PLACE = (-0.42, 0.92)  # of the second person, m behind and beside the first
# a joint this far behind the surface that is seen in front of it still counts as seen
_NEAR_BODY_M, _NEAR_WRIST_M, _NEAR_FINGER_M = 0.10, 0.035, 0.018
_SAMPLES = 4
_FLOOR_M, _STANDS_M_S = 0.06, 0.15  # a foot below and slower than this stands


class Stage:
    """A clip being filmed: `frames` gives the pictures (h w 3), then `truth`, `motion` and `sidecar` are complete.

    `moved` are the poses (t 7) of the scene's mocap bodies that are neither bones nor the camera, by name.
    """

    def __init__(self, spec: ClipSpec) -> None:
        self.spec = spec
        count = max(4, round(spec.duration_s * spec.rate_hz))
        self.times = np.arange(count) / spec.rate_hz
        self.time_ns = np.round(self.times * 1e9).astype(np.int64)
        self.bodies = [dress(load_body(person.shape), person) for person in spec.people]
        self.parts = [play(motion, body, self.times) for motion, body in zip(spec.motions, self.bodies, strict=True)]
        rng = np.random.default_rng((*spec.seed, 3))
        self.places = _places(len(self.bodies), rng)
        for i, place in enumerate(self.places):
            self.parts[i] = _standing_at(self.parts[i], place)
        self.points = np.array(
            [
                [Poser(body).keypoints(pose) for pose in part.poses]
                for body, part in zip(self.bodies, self.parts, strict=True)
            ]
        ).reshape(len(self.bodies), count, 75, 3)
        self.K = intrinsics(spec.camera, spec.width_px, spec.height_px)
        whole = bool(spec.motions) and spec.motions[0].motion == "file" and self.parts[0].table_m == 0
        body, poses = (self.bodies[0], self.parts[0].poses) if self.bodies else (None, [])
        self.T_world_camera = trajectory(spec.camera, body, poses, self.times, spec.room.half_m, rng, whole)
        self.moved = {"thing0": self.parts[0].T_object} if self.parts and self.parts[0].object_name else {}
        self.visible = np.zeros((len(self.bodies), count, 75), dtype=bool)
        hands = np.array([0.4, 0.0, 1.0])
        if self.bodies:
            wrists = [part.start for part in skeletons.HAND_SLICES.values()]
            hands = self.points[0][:, wrists].mean(axis=(0, 1))
        fov_y = float(np.rad2deg(2 * np.arctan2(0.5 * spec.height_px, self.K[1, 1])))
        self.model = scene.build(spec, self.bodies, self.parts, self.places, fov_y, self.T_world_camera[0, 4:], hands)

    def __enter__(self) -> Stage:
        from vidpretrain.sim.gl import Renderer

        spec = self.spec
        self._renderer = Renderer(self.model, spec.width_px, spec.height_px, samples=_SAMPLES, shadows=spec.shadows)
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.close()

    def frames(self) -> Iterator[np.ndarray]:
        """Pictures (h w 3) uint8, one per time of the clip, as the camera of the specification gives them."""
        import mujoco

        data = mujoco.MjData(self.model)
        at = _Places(self.model, self)
        owner = self._owners()
        moments = sensor.moments(self.spec.picture.shutter)
        middle = len(moments) // 2
        for t in range(len(self.times)):
            light = []
            for k, moment in enumerate(moments):
                at.set(data, t + moment)
                mujoco.mj_kinematics(self.model, data)
                mujoco.mj_camlight(self.model, data)
                picture, depth = self._renderer.render(data, scene.CAMERA, depth=k == middle)
                light.append(picture)
                if depth is not None:
                    self._see(t, depth, owner)
            noise = np.random.default_rng((*self.spec.seed, 11, t))
            yield sensor.develop(sensor.expose(light), self.spec.picture, noise)

    def _owners(self) -> np.ndarray:
        """Person of every skin of the model, by the skin's number."""
        import mujoco

        names = [mujoco.mj_id2name(self.model, mujoco.mjtObj.mjOBJ_SKIN, i) for i in range(self.model.nskin)]
        return np.array([int(name.removeprefix("person").split("_")[0]) for name in names] or [-1])

    def _see(self, t: int, depth: np.ndarray, owner: np.ndarray) -> None:
        """Points in the picture whose pixel, or one beside it, shows their person about as far away as they are."""
        if not self.bodies:
            return
        skin = self._renderer.skins()
        person = np.where(skin >= 0, owner[np.maximum(skin, 0)], -1)
        width, height = self.spec.width_px, self.spec.height_px
        slack = np.full(75, _NEAR_FINGER_M)
        slack[[part.start for part in skeletons.HAND_SLICES.values()]] = _NEAR_WRIST_M
        slack[skeletons.BODY_SLICE] = _NEAR_BODY_M
        for i, points in enumerate(self.points[:, t]):
            p = geometry.transform(geometry.inverse(self.T_world_camera[t]), points)
            z = p[:, 2]
            with np.errstate(invalid="ignore", divide="ignore"):
                uv = (p @ self.K.T)[:, :2] / z[:, None]
                inside = (z > 0.02) & (uv >= 0).all(axis=1) & (uv < [width, height]).all(axis=1)
            column, row = np.where(inside[:, None], uv, 0).astype(int).T
            seen = np.zeros(75, dtype=bool)
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    y, x = np.clip(row + dy, 0, height - 1), np.clip(column + dx, 0, width - 1)
                    seen |= (person[y, x] == i) & (np.where(inside, z, np.inf) < depth[y, x] + slack)
            self.visible[i, t] = inside & seen

    def motion(self) -> ClipTruth:
        """All people's truth, of the frames that were rendered."""
        K = np.repeat(self.K[None], len(self.times), axis=0)
        people = tuple(self._human(i) for i in range(len(self.bodies)))
        return ClipTruth(people=people, visible=self.visible, K=K, T_world_camera=self.T_world_camera)

    def _human(self, i: int) -> HumanMotion:
        p = self.points[i]
        valid = np.isfinite(p).all(axis=2)
        spec = self.spec
        return HumanMotion(
            clip_id=f"{spec.name}_p{i}",
            skeleton="human75",
            time_ns=self.time_ns,
            T_world_root=_roots(p),
            p_world_keypoint=p,
            sigma_m=np.where(valid, 0.0, np.nan),
            valid=valid,
            imputed=np.zeros_like(valid),
            contact=_contact(p, self.times),
            height_m=self.bodies[i].height_m,
            height_from="given",
            view="third" if spec.camera.kind == "third" else "ego",
            body_seen=True,
            camera=Camera(
                K=self.K,
                distortion=np.zeros(0),
                width_px=spec.width_px,
                height_px=spec.height_px,
                T_world_camera=self.T_world_camera,
                intrinsics_from="given",
                gravity_from="given",
            ),
        )

    def truth(self) -> Truth:
        """The first person's truth as the benches read it; nothing is defined or visible in an empty room."""
        t = len(self.times)
        nowhere = np.full((t, 7), np.nan)
        spec, someone = self.spec, bool(self.bodies)
        return Truth(
            time_ns=self.time_ns,
            p_world_keypoint=self.points[0] if someone else np.full((t, 75, 3), np.nan),
            visible=self.visible[0] if someone else np.zeros((t, 75), dtype=bool),
            K=self.K,
            T_world_camera=self.T_world_camera,
            T_world_root=_roots(self.points[0]) if someone else nowhere,
            T_world_object=self.parts[0].T_object if someone else nowhere,
            height_m=self.bodies[0].height_m if someone else float("nan"),
            width_px=spec.width_px,
            height_px=spec.height_px,
            view=_VIEWS[spec.camera.kind],
            motion=spec.motions[0].motion if someone else "",
            side=self.parts[0].side if someone else "",
            object_name=self.parts[0].object_name if someone else "",
        )

    def sidecar(self) -> dict[str, Any]:
        """What goes beside the video: licence, instruction, intrinsics, and what the clip was made from."""
        spec = self.spec
        return {
            "instruction": self.parts[0].instruction if self.parts else "",
            "license": "generated",
            "attribution": ATTRIBUTION,
            "consent": "not needed: rendered",
            "K": self.K.tolist(),
            "view": "third" if spec.camera.kind == "third" else "ego",
            "camera": _VIEWS[spec.camera.kind],
            "group": spec.group,
            "split": spec.split,
            "people": [person.name for person in spec.people],
            "room": spec.room.name,
            "camera_name": spec.camera.name,
            "motions": [motion.name for motion in spec.motions],
            "motion": spec.motions[0].motion if spec.motions else "",
            "object": self.parts[0].object_name if self.parts else "",
            "sleeves": [person.sleeves for person in spec.people],
            "gloves": [person.glove is not None for person in spec.people],
            "fov_x_deg": spec.camera.fov_x_deg,
            "crf": spec.picture.crf,
            "height_m": self.bodies[0].height_m if self.bodies else None,
            "hands_seen": float(np.mean([self.visible[0][:, s].mean() for s in skeletons.HAND_SLICES.values()]))
            if self.bodies
            else 0.0,
            "unreached_m": max((part.unreached_m for part in self.parts), default=0.0),
            "frames": len(self.times),
            "rate_hz": spec.rate_hz,
            "digest": spec.digest,
        }


class _Places:
    """Poses of all that moves, at any time between the frames: positions on lines, orientations on arcs."""

    def __init__(self, model, stage: Stage) -> None:
        import mujoco

        names, p, q = [], [], []
        for i, (body, part) in enumerate(zip(stage.bodies, stage.parts, strict=True)):
            names += [scene.bone_name(i, name) for name in body.names]
            p.append(np.array([pose.p for pose in part.poses]))
            q.append(np.array([geometry.quat_from_matrix(pose.D @ body.R_rest) for pose in part.poses]))
        for name, T in {**stage.moved, scene.CAMERA: stage.T_world_camera}.items():
            names.append(name)
            p.append(T[:, None, 4:])
            q.append(T[:, None, :4])
        self.p, self.q = np.concatenate(p, axis=1), np.concatenate(q, axis=1)
        found = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name) for name in names]
        self.index = model.body_mocapid[found]

    def set(self, data, frame: float) -> None:
        """Put everything where it is at a frame number with a fraction."""
        last = len(self.p) - 1
        low = int(np.clip(np.floor(frame), 0, last))
        high, part = min(low + 1, last), float(np.clip(frame - low, 0.0, 1.0))
        if part == 0.0 or low == high:
            data.mocap_pos[self.index], data.mocap_quat[self.index] = self.p[low], self.q[low]
            return
        data.mocap_pos[self.index] = (1 - part) * self.p[low] + part * self.p[high]
        data.mocap_quat[self.index] = geometry.slerp(self.q[low], self.q[high], np.array(part))


def _places(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Where people stand (7 each): the first at the origin, a second one behind and to one side, turned a little."""
    out = [geometry.IDENTITY_POSE][:count]
    if count > 1:
        side = rng.choice([-1.0, 1.0])
        place = np.array(
            [_SECOND_PLACE[0] + rng.uniform(-0.1, 0.1), side * (_SECOND_PLACE[1] + rng.uniform(-0.1, 0.1))]
        )
        yaw = -side * rng.uniform(0.0, 0.5)
        out.append(geometry.pose(geometry.quat_exp(np.array([0.0, 0.0, yaw])), np.array([*place, 0.0])))
    return out


def _standing_at(part: Performance, place: np.ndarray) -> Performance:
    import dataclasses

    if np.array_equal(place, geometry.IDENTITY_POSE):
        return part
    R = geometry.matrix_from_quat(place[:4])
    poses = [Pose(R @ pose.D, pose.p @ R.T + place[4:]) for pose in part.poses]
    return dataclasses.replace(part, poses=poses, T_object=geometry.compose(place, part.T_object))


def _contact(p: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(t 2) left and right: 1 where the foot stands, its lowest point on the floor and none of it fast."""
    at = skeletons.skeleton("human75").index
    out = np.zeros((len(p), 2))
    for column, side in enumerate(skeletons.SIDES):
        foot = p[:, [at(f"{side}_heel"), at(f"{side}_foot_index")]]
        speed = np.linalg.norm(np.gradient(foot, times, axis=0), axis=2).min(axis=1)
        out[:, column] = (foot[..., 2].min(axis=1) < _FLOOR_M) & (speed < _STANDS_M_S)
    return out


def _roots(p: np.ndarray) -> np.ndarray:
    """T_world_root (t 7) of points (t 75 3): between the hips, y from right hip to left, z up the trunk."""
    at = skeletons.skeleton("human75").index
    left, right = p[:, at("left_hip")], p[:, at("right_hip")]
    y = geometry.normalize(left - right)
    up = 0.5 * (p[:, at("left_shoulder")] + p[:, at("right_shoulder")] - left - right)
    z = geometry.normalize(up - (up * y).sum(axis=1, keepdims=True) * y)
    R = np.stack([np.cross(y, z), y, z], axis=2)
    return geometry.pose(geometry.quat_from_matrix(R), 0.5 * (left + right))
