"""Small edits of a motion on its grid: dropping points, exchanging sides, turning the world over."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool

from vidpretrain import geometry
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.skeletons import BODY_SLICE, HAND_SLICES, skeleton

_HALF_TURN_X = np.array([0.0, 1.0, 0.0, 0.0])
_HALF_TURN_Z = np.array([0.0, 0.0, 0.0, 1.0])


def drop(grid: GridMotion, frames: Bool[np.ndarray, " t"], columns: slice | list[int]) -> GridMotion:
    """The motion without these keypoints in these frames; without the body's, the pelvis is not known either."""
    lost = np.zeros_like(grid.valid)
    lost[:, columns] = frames[:, None]
    root = np.where(frames[:, None], np.nan, grid.T_world_root) if columns == BODY_SLICE else grid.T_world_root
    return dataclasses.replace(
        grid,
        p_world_keypoint=np.where(lost[..., None], np.nan, grid.p_world_keypoint),
        sigma_m=np.where(lost, np.nan, grid.sigma_m),
        valid=grid.valid & ~lost,
        imputed=grid.imputed & ~lost,
        T_world_root=root,
    )


def exchange_body(grid: GridMotion, frames: Bool[np.ndarray, " t"]) -> GridMotion:
    """The body's left and right exchanged in these frames: keypoints, contacts, and the pelvis turned about."""
    order = np.arange(len(skeleton("human75")))
    order[BODY_SLICE] = np.array(skeleton("human75").mirror)[BODY_SLICE]
    turned = geometry.pose(geometry.quat_mul(grid.T_world_root[:, :4], _HALF_TURN_Z), grid.T_world_root[:, 4:])
    return dataclasses.replace(
        _permuted(grid, frames, order),
        T_world_root=np.where(frames[:, None], turned, grid.T_world_root),
        contact=np.where(frames[:, None], grid.contact[:, ::-1], grid.contact),
    )


def exchange_hands(grid: GridMotion, frames: Bool[np.ndarray, " t"]) -> GridMotion:
    """The left hand's points taken for the right hand's, and the other way round, in these frames."""
    order = np.arange(grid.valid.shape[1])
    left, right = HAND_SLICES["left"], HAND_SLICES["right"]
    order[left], order[right] = np.arange(right.start, right.stop), np.arange(left.start, left.stop)
    return _permuted(grid, frames, order)


def _permuted(grid: GridMotion, frames: np.ndarray, order: np.ndarray) -> GridMotion:
    def take(value: np.ndarray) -> np.ndarray:
        mask = frames.reshape(-1, *([1] * (value.ndim - 1)))
        return np.where(mask, value[:, order], value)

    return dataclasses.replace(
        grid,
        p_world_keypoint=take(grid.p_world_keypoint),
        sigma_m=take(grid.sigma_m),
        valid=take(grid.valid),
        imputed=take(grid.imputed),
    )


def turn_over(
    grid: GridMotion, frames: Bool[np.ndarray, " t"], mirror: bool = False, camera: bool = True
) -> GridMotion:
    """The world turned by half a turn about its x axis in these frames, or with `mirror` its z axis inverted."""
    flip = np.array([1.0, 1.0, -1.0]) if mirror else np.array([1.0, -1.0, -1.0])
    root, eye = grid.T_world_root, grid.T_world_camera
    if mirror:  # z axes stay up, and the camera keeps its downward y axis, so its picture is mirrored
        turned_root, turned_eye = _inverted(root, (1, 1, -1)), _inverted(eye, (-1, 1, 1))
    else:
        half = geometry.pose(_HALF_TURN_X, np.zeros(3))
        turned_root, turned_eye = geometry.compose(half, root), geometry.compose(half, eye)
    return dataclasses.replace(
        grid,
        p_world_keypoint=np.where(frames[:, None, None], grid.p_world_keypoint * flip, grid.p_world_keypoint),
        T_world_root=np.where(frames[:, None], turned_root, root),
        T_world_camera=np.where(frames[:, None] & camera, turned_eye, eye),
    )


def _inverted(T: np.ndarray, axes: tuple[int, int, int]) -> np.ndarray:
    flip = np.array([1.0, 1.0, -1.0])
    known = np.isfinite(T).all(axis=1)
    out = np.full_like(T, np.nan)
    R = flip[:, None] * geometry.matrix_from_quat(T[known, :4]) * np.array(axes)
    out[known] = geometry.pose(geometry.quat_from_matrix(R), T[known, 4:] * flip)
    return out
