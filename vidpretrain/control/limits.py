"""Limits of a robot in the columns of its action vector, and actions that keep them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vidpretrain.actions import robot_groups
from vidpretrain.actions.spec import columns_of
from vidpretrain.errors import InputError
from vidpretrain.robot import Robot
from vidpretrain.types import ActionSpec, Frozen, Trajectory

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class ColumnLimits(Frozen):
    """Bounds of each column and the largest change from row to row, in the column's unit; infinite where none."""

    lower: Float[Array, " d"]
    upper: Float[Array, " d"]
    step: Float[Array, " d"]

    def check(self) -> None:
        if not (self.lower.shape == self.upper.shape == self.step.shape):
            raise ValueError("ColumnLimits: lower, upper and step have one entry per column")
        if (self.lower > self.upper).any() or (self.step <= 0).any():
            raise ValueError("ColumnLimits: lower lies above upper, or a step is not positive")


def limits_of(robot: Robot, spec: ActionSpec, speed_share: float = 1.0) -> ColumnLimits:
    """The robot's joint limits and speed limits in the columns of `spec`, at its rate.

    A column is scale * joint + offset, so a joint's bounds become the column's and its speed |scale| * speed / rate a
    row. Grasp bits lie in [0, 1]. Poses of wrists and base have no limits: they are not commands of motors.

    Raises:
        InputError: a joint or hand group of `spec` has other columns than the robot's.
    """
    lower, upper = np.full(spec.width, -np.inf), np.full(spec.width, np.inf)
    step = np.full(spec.width, np.inf)
    slices, (low, high) = spec.slices(), robot.tree.bounds()
    for group in robot_groups(spec):
        columns = columns_of(robot, group.name)
        if tuple(column.name for column in columns) != group.names:
            raise InputError(
                f"group {group.name} has other columns than {robot.name}",
                asked=", ".join(group.names),
                valid=", ".join(column.name for column in columns) or "no such group",
            )
        joints = np.array(robot.tree.joints([column.joint for column in columns]))
        scale = np.array([column.scale for column in columns])
        ends = np.stack([low[joints], high[joints]]) * scale + np.array([column.offset for column in columns])
        where = slices[group.name]
        lower[where], upper[where] = ends.min(axis=0), ends.max(axis=0)
        step[where] = speed_share * np.abs(scale) * np.asarray(robot.max_speed)[joints] / spec.rate_hz
    for group in spec.groups:
        if group.quantity == "grasp":
            lower[slices[group.name]], upper[slices[group.name]] = 0.0, 1.0
    return ColumnLimits(lower=lower, upper=upper, step=step)


def project(
    action: Float[Array, "*b h d"], state: Float[Array, "*b d"], limits: ColumnLimits
) -> Float[Array, "*b h d"]:
    """The actions inside the bounds and, walking forward from `state`, inside the speed limits.

    a_t = clip(a_t, a_{t-1} - step, a_{t-1} + step) after clipping to the bounds, with a_{-1} the state clipped to the
    bounds (where it is not NaN). This is causal: a row is not moved for what comes after it, so the rows that are
    executed first stay nearest to what was predicted. It is not the nearest sequence in the least-squares sense.
    Applying it twice changes nothing. NaN stays NaN and lets the next row start afresh.
    """
    action = np.asarray(action)
    inside = np.clip(action, limits.lower, limits.upper)
    before = np.clip(np.asarray(state, dtype=inside.dtype), limits.lower, limits.upper)
    out = np.empty_like(inside)
    for t in range(inside.shape[-2]):
        row = inside[..., t, :]
        near = np.clip(row, before - limits.step, before + limits.step)
        out[..., t, :] = np.where(np.isnan(before), row, near)
        before = out[..., t, :]
    return out


def planned(
    chunk: Float[Array, "h d"], state: Float[Array, " d"], spec: ActionSpec, limits: ColumnLimits | None = None
) -> Trajectory:
    """The chunk as a trajectory: action row t is its target, state row t the target before it (row 0: `state`).

    With `limits` the actions keep them. Columns are valid where the action is known.
    """
    chunk = np.asarray(chunk, dtype=np.float32)
    if chunk.ndim != 2 or chunk.shape[1] != spec.width or np.shape(state) != (spec.width,):
        raise InputError(
            f"chunk or state does not fit {spec.embodiment}",
            found=f"chunk {chunk.shape}, state {np.shape(state)}",
            valid=f"(h, {spec.width}) and ({spec.width},)",
        )
    action = chunk if limits is None else project(chunk, state, limits).astype(np.float32)
    valid = np.isfinite(action)
    return Trajectory(
        spec=spec,
        state=np.concatenate([np.asarray(state, dtype=np.float32)[None], action[:-1]]),
        action=action,
        valid=valid,
        confidence=valid.astype(np.float32),
        imputed=np.zeros(action.shape, dtype=bool),
    )
