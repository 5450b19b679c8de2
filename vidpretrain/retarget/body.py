"""The whole body, where the legs were seen: pelvis, trunk and soles in the robot's world.

The person's world is scaled about a point on the ground by the ratio of leg lengths, turned so that the first heading
is the robot's x axis, and moved so that the first pelvis stands over the origin. The middle of the person's hips is the
middle of the robot's, and the feet stand apart by what the robot's own stance is wider. Feet that stand are held still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.retarget import human
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.feet import Planted, plant
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.robot.sizes import RobotSize
from vidpretrain.skeletons import SIDES
from vidpretrain.types import Frozen

_ANKLE_BY_HEIGHT = 0.039  # ankle over sole, Drillis and Contini 1966


@dataclass(frozen=True, kw_only=True)
class PlacedBody(Frozen):
    """Targets in the robot's world. `seen` says in which frames they were observed; elsewhere they are filled in.

    `stands` says which feet (left, right) are held still on the ground, `lift_m` how high the others are at least;
    `p_foot_corner` are the soles' corners (4 3).
    """

    seen: Bool[np.ndarray, " t"]
    T_world_pelvis: Float64[np.ndarray, "t 7"]
    q_world_torso: Float64[np.ndarray, "t 4"]
    T_world_foot: dict[str, Float64[np.ndarray, "t 7"]]
    sigma_m: Float64[np.ndarray, " t"]
    stands: Bool[np.ndarray, "t 2"]
    lift_m: Float64[np.ndarray, "t 2"]
    T_world_camera: Float64[np.ndarray, "t 7"]
    scale: float
    p_foot_corner: dict[str, Float64[np.ndarray, "4 3"]]


def legs_seen(grid: GridMotion) -> Bool[np.ndarray, " t"]:
    """Frames with both hips, knees and ankles and a pelvis."""
    names = [f"{side}_{part}" for side in SIDES for part in ("hip", "knee", "ankle")]
    return grid.seen(*names) & np.isfinite(grid.T_world_root).all(axis=1)


def is_whole_body(grid: GridMotion, size: RobotSize, kind: str, config: RetargetConfig) -> bool:
    """Whether base and legs follow the person: upright, legs seen often enough, on a robot that has some."""
    if config.whole_body != "auto" or kind != "torso" or not np.isfinite(size.leg_m):
        return False
    legs = legs_seen(grid)
    if legs.mean() < config.min_leg_share:
        return False
    up = geometry.rotate(grid.T_world_root[legs, :4], np.array([0.0, 0.0, 1.0]))[:, 2]
    return bool(np.median(up) > 0.3)


def place_body(
    grid: GridMotion,
    size: RobotSize,
    height_m: float,
    corners: dict[str, Float64[np.ndarray, "4 3"]],
    config: RetargetConfig,
) -> PlacedBody:
    """Pelvis, trunk and soles of the robot by the person's; call only where `is_whole_body`."""
    seen = legs_seen(grid)
    ankle_m = _ANKLE_BY_HEIGHT * height_m
    leg = np.nanmean([human.limb_length(grid, f"{s}_hip", f"{s}_knee", f"{s}_ankle") for s in SIDES])
    scale = float(size.leg_m / (leg + ankle_m))
    root = grid.T_world_root
    feet = {side: _foot(grid, side, root, ankle_m, seen) for side in SIDES}
    soles = np.concatenate([feet[side][seen, 6] for side in SIDES])
    first = root[int(np.argmax(seen))]
    ahead = geometry.rotate(first[:4], np.array([1.0, 0, 0]))
    q_new_old = geometry.quat_exp(np.array([0.0, 0.0, -np.arctan2(ahead[1], ahead[0])]))
    origin = np.array([first[4], first[5], np.percentile(soles, 5)])

    def move(T: np.ndarray) -> np.ndarray:
        return geometry.pose(
            geometry.quat_mul(q_new_old, T[:, :4]), scale * geometry.rotate(q_new_old, T[:, 4:] - origin)
        )

    T_world_torso, _ = human.torso(grid)
    sigma = _ankle_sigma(grid) if seen.any() else np.zeros(len(seen))
    hips = move(_filled(root, seen))
    middle = size.p_base_hips
    apart = np.nanmedian(np.linalg.norm(grid.point("left_hip") - grid.point("right_hip"), axis=1))
    soles_at = {}
    for side, sign in zip(SIDES, (0.5, -0.5), strict=True):
        wider = sign * (size.stance_m - scale * apart)
        across = geometry.rotate(hips[:, :4], np.array([0.0, 1.0, 0.0])) * np.array([1.0, 1.0, 0.0])
        sole = move(_filled(feet[side], seen))
        soles_at[side] = geometry.pose(sole[:, :4], sole[:, 4:] + wider * geometry.normalize(across))
    reach = {side: (float(at[:, 0].max()), float(-at[:, 0].min())) for side, at in corners.items()}
    planted = plant(soles_at, reach, seen, config) if config.plant_feet else _as_they_are(soles_at)
    camera = move(grid.T_world_camera)
    pelvis = hips[:, 4:] - geometry.rotate(hips[:, :4], middle) + planted.shift_m
    return PlacedBody(
        seen=seen,
        T_world_pelvis=geometry.pose(hips[:, :4], pelvis),
        q_world_torso=geometry.quat_mul(q_new_old, T_world_torso[:, :4]),
        T_world_foot=planted.T_world_foot,
        sigma_m=scale * human.fill(sigma[:, None], np.isfinite(sigma))[:, 0],
        stands=planted.stands,
        lift_m=planted.lift_m,
        T_world_camera=geometry.pose(camera[:, :4], camera[:, 4:] + planted.shift_m),
        scale=scale,
        p_foot_corner=corners,
    )


def _as_they_are(soles: dict[str, np.ndarray]) -> Planted:
    count = len(soles["left"])
    nothing = np.zeros((count, 2))
    return Planted(T_world_foot=soles, stands=nothing > 0, lift_m=nothing, shift_m=np.zeros((count, 3)))


def _foot(grid: GridMotion, side: str, root: np.ndarray, ankle_m: float, seen: np.ndarray) -> np.ndarray:
    """T_world_foot (t 7): the sole under the ankle, x towards the toes, z up the shin as far as x allows."""
    ankle, knee = grid.point(f"{side}_ankle"), grid.point(f"{side}_knee")
    toes = grid.point(f"{side}_foot_index") - grid.point(f"{side}_heel")
    ahead = geometry.rotate(root[:, :4], np.array([1.0, 0, 0]))
    x = np.where(np.isfinite(toes), toes, ahead)
    q = human.frame(np.where(seen[:, None], x, np.nan), knee - ankle)
    return geometry.pose(q, ankle - ankle_m * geometry.rotate(q, np.array([0.0, 0, 1.0])))


def _ankle_sigma(grid: GridMotion) -> np.ndarray:
    """Mean sigma (t) of the ankles that are known; NaN where neither is."""
    each = np.stack([grid.sigma(f"{side}_ankle") for side in SIDES])
    known = np.isfinite(each)
    total = np.where(known, each, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _filled(T: np.ndarray, known: np.ndarray) -> np.ndarray:
    from vidpretrain import timebase

    index = np.arange(len(T), dtype=np.int64)
    known = known & np.isfinite(T).all(axis=1)
    return timebase.interpolate_pose(index[known], T[known], index)
