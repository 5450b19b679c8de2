"""A world that is upside down, in some frames or all: told by the trunk, or by the camera where only hands are seen."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.retarget import edits
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.retarget.sides import mirrored_frames
from vidpretrain.skeletons import HAND_SLICES, SIDES
from vidpretrain.timebase import runs
from vidpretrain.types import Camera, InputFault

_DOWN = -0.3  # height of a unit vector that ought to point up
_ABRUPT = 0.5  # cosine of a trunk's turn between two frames that nobody makes
_BORDER = 0.25  # of the picture, beyond its edge
_PLACE_M = 1.0  # hands are within this of their usual place


def upright(grid: GridMotion, camera: Camera, config: RetargetConfig) -> tuple[GridMotion, list[InputFault], str]:
    """(the motion with its upside-down frames dropped or righted, what was found, why the clip is refused or "").

    A trunk that is upside down all the time, or within one frame's turn, is a world that is upside down: people who do
    cartwheels get there step by step. Where no trunk is seen the camera tells: its picture's up points down, or the
    hands are outside its picture and would be inside it in a world turned over.
    """
    trunk_over, trunk_known = _trunk_over(grid)
    camera_over = _camera_over(grid)
    hands_known = _hands_known(grid)
    astray = ~camera_over & _in_view_only_turned(grid, camera)
    over = trunk_over | (~trunk_known & hands_known & (camera_over | astray))
    known = trunk_known | hands_known
    if not over.any():
        return grid, [], ""
    told = "the trunk" if (over & trunk_over).any() else "the camera"
    frames, total = int(over.sum()), len(over)
    if config.on_upside_down == "right":
        mirror = _chirality_is_wrong(grid, over, config)
        grid = edits.turn_over(grid, over & camera_over, mirror)
        grid = edits.turn_over(grid, over & ~camera_over, mirror, camera=False)
        fault = InputFault(
            fault="upside_down",
            where="world",
            frames=frames,
            of=total,
            done="righted",
            detail=f"told by {told}; {'its z axis inverted' if mirror else 'turned by half a turn'}",
        )
        return grid, [fault], ""
    whole = frames > 0.5 * int(known.sum())
    fault = InputFault(
        fault="upside_down",
        where="world",
        frames=frames,
        of=total,
        done="refused" if whole else "dropped",
        detail=f"told by {told}",
    )
    if whole:
        advice = "retarget.on_upside_down=right turns it over"
        return grid, [fault], f"the world is upside down in {frames} of {total} frames (told by {told}); {advice}"
    return edits.drop(grid, over, slice(0, grid.valid.shape[1])), [fault], ""


def _trunk_over(grid: GridMotion) -> tuple[Bool[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """(frames with a trunk that is upside down and cannot have got there, frames with a trunk)."""
    known = grid.seen("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    middle = [0.5 * (grid.point(f"left_{part}") + grid.point(f"right_{part}")) for part in ("shoulder", "hip")]
    up = geometry.normalize(middle[0] - middle[1])
    down = np.zeros(len(known), dtype=bool)
    down[known] = up[known, 2] < _DOWN
    if not down.any() or down.sum() > 0.5 * known.sum():
        return down, known
    rows = np.flatnonzero(known)
    for start, end in runs(down[rows]):
        edges = [(i - 1, i) for i in (start, end) if 0 < i < len(rows)]
        if not any(up[rows[i]] @ up[rows[j]] < _ABRUPT for i, j in edges):
            down[rows[start:end]] = False
    return down, known


def _camera_over(grid: GridMotion) -> Bool[np.ndarray, " t"]:
    known = np.asarray(np.isfinite(grid.T_world_camera).all(axis=1))
    out = np.zeros(len(known), dtype=bool)
    out[known] = geometry.rotate(grid.T_world_camera[known, :4], np.array([0.0, -1.0, 0.0]))[:, 2] < _DOWN
    return out


def _hands_known(grid: GridMotion) -> Bool[np.ndarray, " t"]:
    return np.any([grid.seen(f"{side}_hand_wrist") for side in SIDES], axis=0)


def _in_view_only_turned(grid: GridMotion, camera: Camera) -> Bool[np.ndarray, " t"]:
    """Frames whose hands lie outside the camera's picture, and would lie inside if the world were turned over."""
    wrists = np.stack([grid.point(f"{side}_hand_wrist") for side in SIDES], axis=1)
    known = np.asarray(np.isfinite(grid.T_world_camera).all(axis=1))
    known = known & np.any(np.all(np.isfinite(wrists), axis=-1), axis=1)
    out = np.zeros(len(known), dtype=bool)
    if not known.any():
        return out
    T, p = grid.T_world_camera[known], wrists[known]
    as_is = _in_picture(T, p, camera)
    for flip in (np.array([1.0, -1.0, -1.0]), np.array([1.0, 1.0, -1.0])):
        would = ~as_is & _in_picture(T, p * flip, camera)
        if as_is.any() and would.mean() <= 0.5:  # few frames: back in their place, not just anywhere
            usual = np.nanmedian(np.concatenate(p[as_is]), axis=0)
            away = np.linalg.norm(p * flip - usual, axis=-1)
            would &= np.where(np.isfinite(away), away, np.inf).min(axis=1) < _PLACE_M
        elif would.mean() <= 0.5:
            continue
        out[known] |= would
    return out


def _in_picture(T_world_camera: Float64[np.ndarray, "t 7"], p_world: Float64[np.ndarray, "t n 3"], camera: Camera):
    """Frames (t) in which any of the points is before the camera and within a border of its picture."""
    p = geometry.transform(geometry.inverse(T_world_camera)[:, None], p_world)
    with np.errstate(invalid="ignore", divide="ignore"):
        uv = (p[..., :2] / p[..., 2:]) * np.diag(camera.K)[:2] + camera.K[:2, 2]
        size = np.array([camera.width_px, camera.height_px])
        inside = (p[..., 2] > 0) & np.all((uv > -_BORDER * size) & (uv < (1 + _BORDER) * size), axis=-1)
    return np.asarray(inside).any(axis=1)


def _chirality_is_wrong(grid: GridMotion, frames: np.ndarray, config: RetargetConfig) -> bool:
    """Whether the hands of these frames are mirror images: then an axis was inverted and nothing turned."""
    wrong = right = 0
    for side in SIDES:
        found = np.asarray(grid.valid[:, HAND_SLICES[side]].all(axis=1)) & frames
        bad, good = mirrored_frames(grid.hand(side), found, side, config)
        wrong, right = wrong + int(bad.sum()), right + int(good.sum())
    return wrong > right
