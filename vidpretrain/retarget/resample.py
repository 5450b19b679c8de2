"""HumanMotion on the uniform grid of the robot, by time stamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain import skeletons, timebase
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.types import Frozen, HumanMotion

_SAME_NS = 1_000_000  # containers round time stamps, some to milliseconds


@dataclass(frozen=True, kw_only=True)
class GridMotion(Frozen):
    """Points of `human75` on a uniform grid: NaN where not `valid`; contacts, root and camera at the same times."""

    time_ns: Int64[np.ndarray, " t"]
    p_world_keypoint: Float64[np.ndarray, "t k 3"]
    sigma_m: Float64[np.ndarray, "t k"]
    valid: Bool[np.ndarray, "t k"]
    imputed: Bool[np.ndarray, "t k"]
    T_world_root: Float64[np.ndarray, "t 7"]
    T_world_camera: Float64[np.ndarray, "t 7"]
    contact: Float64[np.ndarray, "t c"]

    @staticmethod
    def index(name: str) -> int:
        """Column of a keypoint of `human75`."""
        return skeletons.skeleton("human75").index(name)

    def point(self, name: str) -> Float64[np.ndarray, "t 3"]:
        """Track of one keypoint by its name in `human75`."""
        return self.p_world_keypoint[:, self.index(name)]

    def sigma(self, name: str) -> Float64[np.ndarray, " t"]:
        """Standard deviation of one keypoint in metres."""
        return self.sigma_m[:, self.index(name)]

    def seen(self, *names: str) -> Bool[np.ndarray, " t"]:
        """Frames in which all of these keypoints are valid."""
        return np.all(self.valid[:, [self.index(name) for name in names]], axis=1)

    def hand(self, side: str) -> Float64[np.ndarray, "t 21 3"]:
        """The 21 points of a hand."""
        return self.p_world_keypoint[:, skeletons.HAND_SLICES[side]]


def resample(motion: HumanMotion, config: RetargetConfig) -> GridMotion:
    """The motion at `rate_hz * slow_down` rows per second of video.

    A row's point is valid where both neighbouring samples are and lie within `max_gap_s`; it is imputed where either
    neighbour is, or where the nearest sample is farther away than `max_sample_distance_s` (slow video).
    """
    time_ns = np.asarray(motion.time_ns)
    step_ns = timebase.NS_PER_S / (config.rate_hz * config.slow_down)
    grid = timebase.uniform_grid(int(time_ns[0]), int(time_ns[-1]) + 1, timebase.NS_PER_S / step_ns)
    left = np.clip(np.searchsorted(time_ns, grid, side="right") - 1, 0, max(0, len(time_ns) - 2))
    right = np.minimum(left + 1, len(time_ns) - 1)
    on_left, on_right = np.abs(grid - time_ns[left]) <= _SAME_NS, np.abs(grid - time_ns[right]) <= _SAME_NS
    query = np.where(on_left, time_ns[left], np.where(on_right, time_ns[right], grid))
    points = np.asarray(motion.p_world_keypoint, dtype=float)
    usable = motion.valid & np.isfinite(points).all(axis=-1) & np.isfinite(motion.sigma_m)
    near = (time_ns[right] - time_ns[left]) <= timebase.ns(config.max_gap_s)
    needs_left, needs_right = ~on_right[:, None], ~on_left[:, None]
    valid = (usable[left] | ~needs_left) & (usable[right] | ~needs_right) & (near | on_left | on_right)[:, None]
    distance = np.minimum(np.abs(grid - time_ns[left]), np.abs(time_ns[right] - grid))
    far = distance > timebase.ns(config.max_sample_distance_s)
    imputed = (motion.imputed[left] & needs_left) | (motion.imputed[right] & needs_right) | far[:, None]
    sampled = timebase.interpolate(time_ns, np.where(usable[..., None], points, np.nan), query)
    sigma = timebase.interpolate(time_ns, np.where(usable, motion.sigma_m, np.nan), query)
    return GridMotion(
        time_ns=grid,
        p_world_keypoint=np.where(valid[..., None], sampled, np.nan),
        sigma_m=np.where(valid, sigma, np.nan),
        valid=valid,
        imputed=imputed & valid,
        T_world_root=_poses(time_ns, motion.T_world_root, grid),
        T_world_camera=_poses(time_ns, motion.camera.T_world_camera, grid),
        contact=timebase.interpolate(time_ns, motion.contact, grid),
    )


def _poses(time_ns: np.ndarray, poses: np.ndarray | None, grid: np.ndarray) -> np.ndarray:
    """Poses on the grid: interpolated between finite ones, held at the ends, NaN where there are none at all."""
    if poses is None:
        return np.full((len(grid), 7), np.nan)
    poses = np.asarray(poses, dtype=float)
    if len(poses) == 1:
        return np.repeat(poses, len(grid), axis=0)
    finite = np.isfinite(poses).all(axis=1)
    if not finite.any():
        return np.full((len(grid), 7), np.nan)
    return timebase.interpolate_pose(time_ns[finite], poses[finite], grid)
