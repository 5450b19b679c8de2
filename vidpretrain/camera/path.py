"""Where the camera was in every frame, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry, timebase
from vidpretrain.types import Camera, Frozen

LEAST_SOLVED = 0.75  # of the frames of a path that counts as solved
Motion = Literal["static", "rotation", "full", "unsolved"]


@dataclass(frozen=True, kw_only=True)
class CameraPath(Frozen):
    """The camera of a clip, frame by frame, in the axes of its first frame.

    `T_first_camera` (t 7) m, identity in the first frame and for a static or unsolved camera. `sigma_rad` and
    `sigma_m` (t) are one standard deviation of the turn and of each axis of the place against the first frame;
    infinite where nothing is known. `quality` (t) is the share of the background's cells that move as the path says.
    `unit_m` is 1, or None for a full path whose scale is unknown (the body fixes it). `up_first` (3) points up in the
    first camera, None where nothing but the person tells. `p_first_point` (n 3) are points of the background in the
    first frame's camera, in the path's unit, and `size_sigma` one sigma of the logarithm of the path's scale where only
    the way of carrying told it (0: it is known); it is in `sigma_m`. `source` is who found it, `detail` a sentence
    with figures.
    """

    clip_id: str
    time_ns: Int64[np.ndarray, " t"]
    T_first_camera: Float64[np.ndarray, "t 7"]
    sigma_rad: Float64[np.ndarray, " t"]
    sigma_m: Float64[np.ndarray, " t"]
    quality: Float64[np.ndarray, " t"]
    motion: Motion
    source: Literal["given", "features", "sfm", "imported"]
    camera: Camera
    unit_m: float | None = 1.0
    up_first: Float64[np.ndarray, " 3"] | None = None
    gravity_from: Literal["metadata", "unknown"] = "unknown"
    detail: str = ""
    p_first_point: Float64[np.ndarray, "n 3"] | None = None
    size_sigma: float = 0.0

    def check(self) -> None:
        t = len(self.time_ns)
        shapes = (self.T_first_camera.shape, self.sigma_rad.shape, self.sigma_m.shape, self.quality.shape)
        if shapes != ((t, 7), (t,), (t,), (t,)):
            raise ValueError(f"CameraPath: {t} times and arrays of shapes {shapes}")

    @property
    def moves(self) -> bool:
        """Whether the pose differs from frame to frame."""
        return self.motion in ("rotation", "full")

    @property
    def range_rad(self) -> float:
        """Largest turn between any two frames."""
        q = self.T_first_camera[:, :4]
        some = q[np.linspace(0, len(q) - 1, min(len(q), 60)).astype(int)]
        return float(geometry.angle_between(some[:, None], some[None]).max())


def still_path(
    clip_id: str,
    time_ns: Int64[np.ndarray, " t"],
    camera: Camera,
    motion: Literal["static", "unsolved"],
    source: Literal["given", "features", "sfm", "imported"],
    detail: str,
    sigma_rad: float = 0.0,
    quality: np.ndarray | None = None,
) -> CameraPath:
    """The path of a camera that stands still, or (infinite sigma) of one that could not be solved."""
    t = len(time_ns)
    known = motion == "static"
    return CameraPath(
        clip_id=clip_id,
        time_ns=time_ns,
        T_first_camera=np.tile(geometry.IDENTITY_POSE, (t, 1)),
        sigma_rad=np.full(t, sigma_rad if known else np.inf),
        sigma_m=np.full(t, 0.0 if known else np.inf),
        quality=np.full(t, 1.0 if known else 0.0) if quality is None else quality,
        motion=motion,
        source=source,
        camera=camera,
        detail=detail,
    )


def bridge(
    time_ns: Int64[np.ndarray, " t"], poses: np.ndarray, sigma_rad: np.ndarray, sigma_m: np.ndarray, longest_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(poses, sigma_rad, sigma_m) with short stretches of infinite sigma interpolated, and doubted by their span."""
    poses, sigma_rad = poses.copy(), sigma_rad.copy()
    known = np.isfinite(sigma_rad)
    sigma_m = np.where(known, sigma_m, np.inf)
    if known.all() or not known.any():
        return poses, sigma_rad, sigma_m
    filled = timebase.interpolate_pose(time_ns[known], poses[known], time_ns)
    held = timebase.interpolate(time_ns[known], np.stack([sigma_rad, sigma_m], axis=1)[known], time_ns)
    for start, end in timebase.runs(~known):
        a, b = max(start - 1, 0), min(end, len(poses) - 1)
        poses[start:end] = filled[start:end]
        if (time_ns[b] - time_ns[a]) / timebase.NS_PER_S <= longest_s and known[a] and known[b]:
            turn = float(geometry.angle_between(poses[a, :4], poses[b, :4]))
            way = float(np.linalg.norm(poses[b, 4:] - poses[a, 4:]))
            sigma_rad[start:end] = held[start:end, 0] + 0.25 * turn + np.radians(0.5)
            sigma_m[start:end] = held[start:end, 1] + 0.25 * way + 0.01
    return poses, sigma_rad, sigma_m
