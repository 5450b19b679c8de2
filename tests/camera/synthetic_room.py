"""A room with textured walls seen by a camera on a known path: pictures by casting rays, and a figure that walks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry
from vidpretrain.types import Camera, Clip, PoseTrack
from vidpretrain.video import H264Writer, VideoInfo, probe

HALF = np.array([2.5, 2.2, 1.4])  # of the room, m; the camera starts near its middle
FORWARD = geometry.quat_from_matrix(np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]]))  # looks along x, up is z
SIZE = (320, 240)


@dataclass(frozen=True)
class Film:
    """A film on disk with its camera, true poses (t 7) and tracks of nobody."""

    info: VideoInfo
    clip: Clip
    camera: Camera
    T_world_camera: np.ndarray
    tracks: tuple[PoseTrack, ...]

    @property
    def T_first_camera(self) -> np.ndarray:
        return geometry.compose(geometry.inverse(self.T_world_camera[0]), self.T_world_camera)


def camera_of(fov_x_deg: float = 70.0, size: tuple[int, int] = SIZE, **more) -> Camera:
    f = 0.5 * size[0] / np.tan(np.radians(fov_x_deg) / 2)
    K = np.array([[f, 0, size[0] / 2], [0, f, size[1] / 2], [0, 0, 1.0]])
    return Camera(K=K, distortion=np.zeros(5), width_px=size[0], height_px=size[1], intrinsics_from="given", **more)


def texture(seed: int, contrast: float = 1.0) -> np.ndarray:
    """A picture (512 512) of blotches of all sizes."""
    import cv2

    rng = np.random.default_rng(seed)
    out = np.zeros((512, 512), np.float32)
    for n in (8, 16, 32, 64, 128):
        out += cv2.resize(rng.normal(size=(n, n)).astype(np.float32), (512, 512), interpolation=cv2.INTER_CUBIC)
    return 128 + contrast * 25 * out


class Room:
    def __init__(self, contrast: float = 1.0, half: np.ndarray = HALF) -> None:
        self.half = half
        self.walls = [texture(k, contrast) for k in range(6)]

    def look(self, camera: Camera, T_world_camera: np.ndarray, figure: np.ndarray | None = None) -> np.ndarray:
        """The picture (h w 3); `figure` (2) is where in the picture somebody in a striped shirt stands."""
        import cv2

        h, w = camera.height_px, camera.width_px
        u, v = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
        ray = np.stack(
            [(u - camera.K[0, 2]) / camera.K[0, 0], (v - camera.K[1, 2]) / camera.K[1, 1], np.ones_like(u)], -1
        )
        ray = ray @ geometry.matrix_from_quat(T_world_camera[:4]).T
        with np.errstate(divide="ignore"):
            far = (np.sign(ray) * self.half - T_world_camera[4:]) / ray
        axis = far.argmin(-1)
        p = T_world_camera[4:] + ray * far.min(-1, keepdims=True)
        out = np.zeros((h, w), np.float32)
        for k in range(3):
            a, b = [i for i in range(3) if i != k]
            for side in (0, 1):
                here = (axis == k) & ((ray[..., k] > 0) == bool(side))
                x, y = (p[..., i] / (2 * self.half.max()) * 511 + 255.5 for i in (a, b))
                looked = cv2.remap(
                    self.walls[2 * k + side], x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR
                )
                out[here] = looked[here]
        if figure is not None:
            stripes = 128 + 100 * np.sign(np.sin((u - figure[0]) * 0.7) * np.sin((v - figure[1]) * 0.5))
            inside = (np.abs(u - figure[0]) < 0.16 * w) & (v > figure[1])
            out[inside] = stripes[inside]
        noise = np.random.default_rng(int(1e6 * abs(T_world_camera.sum())) % 2**31).normal(0, 1.5, (h, w))
        return np.repeat(np.clip(out + noise, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def nobody(time_ns: np.ndarray) -> tuple[PoseTrack, ...]:
    t = len(time_ns)
    return tuple(
        PoseTrack(
            clip_id="room",
            person_id="p0",
            skeleton=name,
            time_ns=time_ns,
            p_image_keypoint=np.full((t, k, 2), np.nan),
            p_relative_keypoint=np.full((t, k, 3), np.nan),
            confidence=np.zeros((t, k)),
        )
        for name, k in (("hand21_left", 21), ("hand21_right", 21), ("body33", 33))
    )


def film(path, T_world_camera: np.ndarray, camera: Camera, room: Room, rate_hz: float = 30.0, figure=None) -> Film:
    """The film of a room along a path, as H.264 at `path`; `figure` (t 2) walks through it."""
    with H264Writer(path, camera.width_px, camera.height_px, rate_hz) as writer:
        for i, T in enumerate(T_world_camera):
            writer.write(room.look(camera, T, None if figure is None else figure[i]))
    info = probe(path)
    assert isinstance(info, VideoInfo)
    clip = Clip(
        clip_id="room",
        source_id="room",
        path=str(path),
        start_ns=0,
        exclusive_end_ns=int(info.time_ns[-1] + info.frame_ns),
        width_px=camera.width_px,
        height_px=camera.height_px,
    )
    return Film(info, clip, camera, T_world_camera, nobody(info.time_ns))


def nodding(time_s: np.ndarray, lever_m: np.ndarray | None = None, swing_deg: float = 25.0) -> np.ndarray:
    """Poses (t 7) of a camera that looks around, about its own centre or at the end of a lever (3, its own axes)."""
    yaw = np.radians(swing_deg) * np.sin(2 * np.pi * 0.35 * time_s)
    pitch = 0.25 + np.radians(0.5 * swing_deg) * np.sin(2 * np.pi * 0.5 * time_s + 0.4)
    roll = np.radians(4) * np.sin(2 * np.pi * 0.4 * time_s)
    q = geometry.quat_mul(geometry.quat_exp(yaw[:, None] * np.array([0, 0, 1.0])), FORWARD)
    q = geometry.quat_mul(q, geometry.quat_exp(pitch[:, None] * np.array([-1.0, 0, 0])))
    q = geometry.quat_mul(q, geometry.quat_exp(roll[:, None] * np.array([0, 0, 1.0])))
    p = np.zeros(3) if lever_m is None else geometry.rotate(q, lever_m)
    return geometry.pose(q, p)
