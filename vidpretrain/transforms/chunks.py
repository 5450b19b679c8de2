"""Absolute action chunks as motion relative to the state at the chunk's start, and back.

Groups whose representation is "absolute" pass unchanged. Relative groups subtract the state, poses of wrists and base
become T_world_start^-1 T_world_then (the motion in their own frame at the start), kept as translation and rot6d.
Poses whose representation is "offset" become (p_then - p_start, R_then R_start^T): the motion in the axes of the frame
that they are given in, which for a camera are those of its picture.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from vidpretrain import geometry
from vidpretrain.types import ActionSpec

Array = np.ndarray
POSES = ("wrist_pose", "camera_wrist", "base")  # quantities whose columns are a pose9


def relative_chunk(
    state: Float[Array, "*b d"], action: Float[Array, "*b h d"], spec: ActionSpec
) -> Float[Array, "*b h d"]:
    """The chunk relative to `state`, in the columns and dtype of `action`; NaN stays NaN.

    Args:
        state: absolute state at the chunk's start, columns of `spec`.
        action: absolute actions of the chunk's h rows, columns of `spec`.

    Raises:
        ValueError: a width other than the spec's.
    """
    state, action = _checked(state, action, spec)
    out = np.array(action)
    for group, columns in _relative_groups(spec):
        start = state[..., None, columns]
        if group.quantity in POSES:
            into = _pose_offset if group.representation == "offset" else _pose_relative
            out[..., columns] = into(start, action[..., columns])
        else:
            out[..., columns] = action[..., columns] - start
    return out


def absolute_chunk(
    state: Float[Array, "*b d"], relative: Float[Array, "*b h d"], spec: ActionSpec
) -> Float[Array, "*b h d"]:
    """Inverse of `relative_chunk`: absolute actions, rot6d projected onto rotations."""
    state, relative = _checked(state, relative, spec)
    out = np.array(relative)
    for group, columns in _relative_groups(spec):
        start = state[..., None, columns]
        if group.quantity in POSES:
            back = _pose_from_offset if group.representation == "offset" else _pose_absolute
            out[..., columns] = back(start, relative[..., columns])
        else:
            out[..., columns] = relative[..., columns] + start
    return out


def _relative_groups(spec: ActionSpec):
    slices = spec.slices()
    return [(group, slices[group.name]) for group in spec.groups if group.representation != "absolute"]


def _checked(state: Array, action: Array, spec: ActionSpec) -> tuple[Array, Array]:
    state, action = np.asarray(state), np.asarray(action)
    if state.shape[-1] != spec.width or action.shape[-1] != spec.width:
        raise ValueError(
            f"{spec.embodiment} has {spec.width} columns; state has {state.shape[-1]}, action {action.shape[-1]}"
        )
    return state, action


def _pose_relative(start: Array, then: Array) -> Array:
    R_world_start = geometry.matrix_from_rot6d(start[..., 3:])
    R_world_then = geometry.matrix_from_rot6d(then[..., 3:])
    R_start_world = np.swapaxes(R_world_start, -1, -2)
    p_start_then = (R_start_world @ (then[..., :3] - start[..., :3])[..., None])[..., 0]
    return np.concatenate([p_start_then, geometry.rot6d_from_matrix(R_start_world @ R_world_then)], axis=-1)


def _pose_absolute(start: Array, relative: Array) -> Array:
    R_world_start = geometry.matrix_from_rot6d(start[..., 3:])
    R_start_then = geometry.matrix_from_rot6d(relative[..., 3:])
    p_world_then = (R_world_start @ np.asarray(relative[..., :3], dtype=float)[..., None])[..., 0] + start[..., :3]
    return np.concatenate([p_world_then, geometry.rot6d_from_matrix(R_world_start @ R_start_then)], axis=-1)


def _pose_offset(start: Array, then: Array) -> Array:
    R_frame_start = geometry.matrix_from_rot6d(start[..., 3:])
    R_frame_then = geometry.matrix_from_rot6d(then[..., 3:])
    turn = R_frame_then @ np.swapaxes(R_frame_start, -1, -2)
    return np.concatenate([then[..., :3] - start[..., :3], geometry.rot6d_from_matrix(turn)], axis=-1)


def _pose_from_offset(start: Array, offset: Array) -> Array:
    turn = geometry.matrix_from_rot6d(offset[..., 3:])
    R_frame_then = turn @ geometry.matrix_from_rot6d(start[..., 3:])
    p_frame_then = np.asarray(offset[..., :3], dtype=float) + start[..., :3]
    return np.concatenate([p_frame_then, geometry.rot6d_from_matrix(R_frame_then)], axis=-1)
