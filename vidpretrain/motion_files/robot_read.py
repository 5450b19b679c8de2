"""Robot motions back from the files that `write` writes, or that GMR, holosoma and BeyondMimic's users keep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.errors import InputError
from vidpretrain.motion_files.arrays import load_npz, one_motion
from vidpretrain.motion_files.safe_pickle import load_pickle
from vidpretrain.motion_files.write import NPZ_VERSION, columns_of
from vidpretrain.robot import Robot
from vidpretrain.types import RobotMotion

_TEXT = ("clip_id", "robot_name", "robot_digest", "placement")
_ARRAYS = ("time_ns", "T_world_base", "error_m", "converged", "feasible", "valid", "imputed", "confidence",
           "T_base_camera")  # fmt: skip


def read_robot_motion(
    path: Path | str, robot: Robot, rate_hz: float | None = None, joints: tuple[str, ...] | None = None
) -> RobotMotion:
    """The motion on `robot`: .npz of ours, .pkl of GMR's layout (read without running it), .csv.

    `joints` names the columns of a pickle or CSV (None: all joints of the robot's model in order); others stay at home.
    A CSV says no rate: `rate_hz` does. Pickles and CSV say nothing of validity: every frame is valid.

    Raises:
        InputError: the file is broken, has other columns than the robot, values that are not finite, or no rate.
        UnknownName: a joint that the robot does not have.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file", asked=path)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _from_npz(path, robot)
    if suffix == ".csv":
        return _plain(_csv_rows(path), rate_hz, path, robot, joints)
    if suffix not in (".pkl", ".pickle", ".joblib"):
        raise InputError(f"unknown kind of robot motion '{path.suffix}'", asked=path, valid=".npz, .pkl, .csv")
    data = one_motion(load_pickle(path), path, None)
    wanted = ("root_pos", "root_rot", "dof_pos")
    if not isinstance(data, dict) or any(not isinstance(data.get(key), np.ndarray) for key in wanted):
        found = ", ".join(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise InputError(
            "not a robot motion of GMR's layout", asked=path, found=found, valid="fps, " + ", ".join(wanted)
        )
    parts = [np.asarray(data[key], dtype=float) for key in wanted]
    if any(part.ndim != 2 for part in parts) or len({len(part) for part in parts}) != 1:
        raise InputError("the arrays differ in length", asked=path, found=[part.shape for part in parts])
    return _plain(np.concatenate(parts, axis=1), rate_hz or _rate(data.get("fps")), path, robot, joints)


def _rate(value: object) -> float | None:
    return float(value) if isinstance(value, int | float | np.number) and value > 0 else None


def _csv_rows(path: Path) -> np.ndarray:
    try:
        rows = np.loadtxt(path, delimiter=",", ndmin=2)
    except (ValueError, OSError) as error:
        raise InputError(f"not rows of numbers: {error}", asked=path) from None
    return rows


def _plain(rows: np.ndarray, rate_hz: float | None, path: Path, robot: Robot, joints) -> RobotMotion:
    """From rows of root place, root rotation xyzw, joints."""
    columns = columns_of(robot, joints)
    if not len(rows) or rows.shape[1] != 7 + len(columns):
        raise InputError(
            "other columns than the robot has joints",
            asked=path,
            found=f"{rows.shape[1] - 7} joints in {len(rows)} rows",
            valid=f"{len(columns)} joints of {robot.name}, after root place (3) and rotation (4)",
            next_command="name the file's joints in order: joints=(...)",
        )
    if rate_hz is None:
        raise InputError("the file says no frame rate", asked=path, next_command="rate_hz=30")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(axis=1)).sum())
        raise InputError("values that are not finite", asked=path, found=f"{bad} of {len(rows)} frames")
    q = geometry.wxyz_from_xyzw(rows[:, 3:7])
    if (np.abs(np.linalg.norm(q, axis=1) - 1.0) > 0.01).any():
        raise InputError("root rotations are no unit quaternions", asked=path)
    count = len(rows)
    joint_pos = np.tile(robot.home, (count, 1))
    joint_pos[:, columns] = rows[:, 7:]
    if joints is not None and not set(robot.tree.joint_names) <= set(joints):
        followers = np.setdiff1d(np.flatnonzero(~robot.tree.independent), columns)
        joint_pos[:, followers] = robot.tree.with_mimic(joint_pos)[:, followers]
    return RobotMotion(
        clip_id=path.stem,
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=(),
        time_ns=np.round(np.arange(count) * (timebase.NS_PER_S / rate_hz)).astype(np.int64),
        rate_hz=float(rate_hz),
        T_world_base=geometry.pose(geometry.normalize(q), rows[:, :3]),
        joint_pos=joint_pos,
        error_m=np.zeros((count, 0)),
        converged=np.ones(count, dtype=bool),
        feasible=_feasible(robot, joint_pos, float(rate_hz)),
        valid=np.ones((count, 2), dtype=bool),
        imputed=np.zeros((count, 2), dtype=bool),
        confidence=np.ones((count, 2)),
        whole_body=bool(np.ptp(rows[:, :7], axis=0).max() > 1e-6),
        T_base_camera=np.tile(robot.T_base_camera, (count, 1)),
        placement="read",
    )


def _feasible(robot: Robot, joint_pos: np.ndarray, rate_hz: float) -> np.ndarray:
    from vidpretrain.retarget.feasible import feasible_frames

    return feasible_frames(robot, joint_pos, rate_hz)


def _from_npz(path: Path, robot: Robot) -> RobotMotion:
    data = load_npz(path)
    missing = [key for key in (*_ARRAYS, *_TEXT, "version", "joint_pos", "joint_names", "rate_hz") if key not in data]
    if missing:
        raise InputError("not a robot motion of ours", asked=path, found=", ".join(data), valid=f"also {missing}")
    if int(data["version"]) > NPZ_VERSION:
        raise InputError("written by a newer version", asked=path, found=int(data["version"]), valid=NPZ_VERSION)
    names = tuple(str(name) for name in data["joint_names"])
    if names != robot.tree.joint_names:
        raise InputError(
            "the file has another robot's joints, or only some of them",
            asked=robot.name,
            found=f"{len(names)} joints of {data['robot_name']}",
            valid=f"the {len(robot.tree.joint_names)} joints of {robot.name}",
        )
    values: dict[str, Any] = {key: str(data[key]) for key in _TEXT} | {key: data[key] for key in _ARRAYS}
    try:
        return RobotMotion(
            **values,
            joint_names=names,
            joint_pos=data["joint_pos"],
            error_names=tuple(str(name) for name in data["error_names"]),
            rate_hz=float(data["rate_hz"]),
            whole_body=bool(data["whole_body"]),
            hand_valid=data.get("hand_valid"),
            figures=json.loads(str(data["figures"])),
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"the file contradicts itself: {error}", asked=path) from None
