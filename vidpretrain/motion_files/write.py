"""RobotMotion to the files that others train on, written aside and renamed.

    npz   everything that a RobotMotion has, arrays by the names of its fields (docs/motion_files.md)
    gmr   pickle of one dict: fps, root_pos (t 3) m, root_rot (t 4) xyzw, dof_pos (t j) rad, local_body_pos (t b 3) m in
          the root's axes, link_body_list (b names): what GMR writes and TWIST and its kind train on
    csv   a row per frame, no header: root x y z (m), root rotation x y z w, joints (rad): the layout of the retargeted
          LAFAN1 set, which BeyondMimic's and holosoma's converters (csv_to_npz) read

Joints stand in the order of the robot's MuJoCo model, mimic joints included, unless `joints` names others.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, get_args

import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import DiskFull, InputError, UsageError, unknown_name
from vidpretrain.motion_files.config import OutFormat
from vidpretrain.motion_files.raw import finite
from vidpretrain.robot import Robot, mj_spec
from vidpretrain.types import RobotMotion

NPZ_VERSION = 1
_BY_SUFFIX: dict[str, OutFormat] = {".npz": "npz", ".pkl": "gmr", ".csv": "csv"}


def write_motion(
    path: Path | str,
    motion: RobotMotion,
    robot: Robot,
    format: OutFormat | None = None,
    joints: tuple[str, ...] | None = None,
) -> Path:
    """The path written, in `format` or that of the suffix (.npz, .pkl is gmr, .csv); `joints` (None: all) in order.

    Raises:
        UsageError: no such format, or one that needs pictures (LeRobot).
        InputError: another robot's motion, or one that is not finite.
        UnknownName: a joint that the robot does not have.
        DiskFull: no space left; nothing half-written is kept.
    """
    path = Path(path)
    chosen = format or _BY_SUFFIX.get(path.suffix.lower())
    if chosen == "lerobot":
        raise UsageError(
            "a LeRobot data set is a folder of many files, made from all motions together",
            asked=path,
            next_command="vidpretrain retarget FILE... --format lerobot --out DIR",
        )
    if chosen is None or chosen not in get_args(OutFormat):
        raise UsageError(f"unknown format {format or path.suffix!r}", asked=path, valid=", ".join(get_args(OutFormat)))
    _check(motion, robot)
    columns = columns_of(robot, joints)
    writers: dict[str, Callable[[BinaryIO], None]] = {
        "npz": lambda file: _npz(file, motion, columns),
        "gmr": lambda file: _gmr(file, motion, robot, columns),
        "csv": lambda file: _csv(file, motion, columns),
    }
    _aside(path, writers[chosen])
    return path


def columns_of(robot: Robot, joints: tuple[str, ...] | None) -> np.ndarray:
    """Columns of the named joints, all without names.

    Raises:
        UnknownName: a joint that the robot does not have.
    """
    if joints is None:
        return np.arange(len(robot.tree.joint_names))
    for name in joints:
        if name not in robot.tree.joint_names:
            raise unknown_name("joint", name, robot.tree.joint_names)
    return robot.tree.joints(joints)


def _check(motion: RobotMotion, robot: Robot) -> None:
    if motion.joint_names != robot.tree.joint_names:
        raise InputError(
            "the motion is another robot's", asked=robot.name, found=motion.robot_name,
            valid=f"the {len(robot.tree.joint_names)} joints of {robot.name}",
        )  # fmt: skip
    whole = finite(motion.joint_pos) & finite(motion.T_world_base)
    if not whole.all():
        raise InputError("the motion is not finite", found=f"{int((~whole).sum())} of {len(whole)} frames")


def _aside(path: Path, write: Callable[[BinaryIO], None]) -> None:
    aside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise DiskFull.of(error, path) from None


def _npz(file: BinaryIO, motion: RobotMotion, columns: np.ndarray) -> None:
    arrays: dict[str, Any] = {
        field.name: value if isinstance(value, np.ndarray) else np.array(value)
        for field in dataclasses.fields(motion)
        if (value := getattr(motion, field.name)) is not None and field.name != "figures"
    }
    arrays["joint_pos"] = motion.joint_pos[:, columns]
    arrays["joint_names"] = np.array(motion.joint_names)[columns]
    np.savez(file, version=NPZ_VERSION, figures=json.dumps(motion.figures), **arrays)


def _gmr(file: BinaryIO, motion: RobotMotion, robot: Robot, columns: np.ndarray) -> None:
    names, places = body_places(motion, robot)
    rate_hz = motion.rate_hz
    data = {
        "fps": int(rate_hz) if float(rate_hz).is_integer() else float(rate_hz),
        "root_pos": np.array(motion.T_world_base[:, 4:]),
        "root_rot": geometry.xyzw_from_wxyz(motion.T_world_base[:, :4]),
        "dof_pos": motion.joint_pos[:, columns],
        "local_body_pos": places.astype(np.float32),
        "link_body_list": names,
    }
    pickle.dump(data, file, protocol=4)


def body_places(motion: RobotMotion, robot: Robot) -> tuple[list[str], np.ndarray]:
    """(names of the robot's bodies from its base on, (t b 3) their places in the base's frame)."""
    import mujoco

    from vidpretrain.robot.extract import light_model
    from vidpretrain.robot.qpos import qpos_columns

    model = light_model(mj_spec(robot))
    data = mujoco.MjData(model)
    at = qpos_columns(model, motion.joint_names)
    base = next(
        b for b in range(1, model.nbody) if model.body_jntnum[b] and int(model.jnt_type[model.body_jntadr[b]]) == 0
    )
    root = int(model.jnt_qposadr[model.body_jntadr[base]])
    out = np.empty((len(motion.joint_pos), model.nbody - base, 3))
    for t, q in enumerate(motion.joint_pos):
        data.qpos[root : root + 7] = [0, 0, 0, 1, 0, 0, 0]
        at.put(data.qpos, q)
        mujoco.mj_kinematics(model, data)
        out[t] = data.xpos[base:]
    return [model.body(b).name for b in range(base, model.nbody)], out


def _csv(file: BinaryIO, motion: RobotMotion, columns: np.ndarray) -> None:
    q = geometry.xyzw_from_wxyz(motion.T_world_base[:, :4])
    rows = np.concatenate([motion.T_world_base[:, 4:], q, motion.joint_pos[:, columns]], axis=1)
    np.savetxt(file, rows, delimiter=",", fmt="%.9g")
