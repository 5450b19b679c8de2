"""Arrays under names, from npz files and pickles: which of them are a body's joints or a hand's points."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.errors import InputError, unknown_name
from vidpretrain.motion_files import smpl
from vidpretrain.motion_files.raw import RawMotion, empty
from vidpretrain.motion_files.safe_pickle import load_pickle
from vidpretrain.skeletons import HAND_SLICES, SIDES

_JOINTS = ("smpl_joints", "joints", "Jtr", "joints3d", "joint_positions", "keypoints3d", "keypoints", "hand", "points")
_HANDS = {side: (f"{side}_hand", f"{side}_hand_joints", f"{side}_joints", side, f"{side[0]}h") for side in SIDES}
_RATES = ("fps", "mocap_framerate", "mocap_frame_rate", "frame_rate", "framerate", "rate_hz")
_ROBOT, _POSES = ("dof_pos", "joint_pos", "dof"), ("poses", "pose_aa", "body_pose", "pose_body", "root_orient")


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz; arrays of objects are refused, because they are pickles.

    Raises:
        InputError: the file cannot be read, is no npz, cut short, or holds objects.
    """
    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise InputError("one bare array without names: save it with numpy.savez", asked=path)
        with file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror or error}", asked=path) from None
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise InputError(f"the npz is broken or holds objects: {error}", asked=path) from None


def read_npz(path: Path, motion: str | None) -> RawMotion:
    """Points of an npz with joints of a body or a hand; raises InputError as `raw_of`."""
    return raw_of(load_npz(path), path, motion)


def read_pickle(path: Path, motion: str | None) -> RawMotion:
    """Points of a pickle with joints of a body or a hand; raises InputError as `load_pickle` and `raw_of`."""
    return raw_of(load_pickle(path), path, motion)


def one_motion(data: Any, path: Path, motion: str | None) -> Any:
    """The data of one motion where a file holds motions by their names.

    Raises:
        InputError: several, and none was named.
        UnknownName: the named one is not there.
    """
    if not isinstance(data, dict) or not data or not all(isinstance(value, dict) for value in data.values()):
        return data
    if motion is None:
        if len(data) == 1:
            return next(iter(data.values()))
        raise InputError(
            f"the file holds {len(data)} motions: name one",
            asked=path,
            valid=", ".join(map(str, list(data)[:20])),
            next_command="motion_files.motion=NAME",
        )
    if motion not in data:
        raise unknown_name("motion of the file", motion, map(str, data))
    return data[motion]


def raw_of(data: Any, path: Path, motion: str | None = None) -> RawMotion:
    """Points of human75 from a mapping of arrays, or from one array or list of hands.

    Raises:
        InputError: no joints in it (poses alone need the body model), joints of no known skeleton, or a robot's motion.
    """
    data = one_motion(data, path, motion)
    if not isinstance(data, dict):
        data = {"points": data}
    rate_hz = next((_number(data[key], key, path) for key in _RATES if key in data), None)
    hands = {side: _points(data[k], path) for side in SIDES for k in _HANDS[side] if k in data}
    if hands:
        return RawMotion(p=_with_hands(hands, path), rate_hz=rate_hz)
    key = next((key for key in _JOINTS if key in data), None)
    if key is None:
        raise _no_joints(data, path)
    points = _points(data[key], path)
    if points.shape[1] == 21:
        return RawMotion(p=_with_hands({"left": points}, path), rate_hz=rate_hz, lone_hand=True)
    return RawMotion(p=smpl.points_of_joints(points), rate_hz=rate_hz)


def _no_joints(data: dict, path: Path) -> InputError:
    names = ", ".join(map(str, list(data)[:20]))
    if any(key in data for key in _POSES):
        return InputError(
            "the file has poses but no joints: places of joints need the body model, which may not be shipped",
            asked=path,
            found=names,
            valid=f"an array (t k 3) under one of {', '.join(_JOINTS[:5])}",
            next_command="pass the poses through the smplx library and store its 'joints' with numpy.savez",
        )
    if any(key in data for key in _ROBOT):
        return InputError(
            "this is a robot's motion, not a person's",
            asked=path,
            found=names,
            next_command="vidpretrain.motion_files.read_robot_motion(path, robot)",
        )
    return InputError(
        "no joints in the file",
        asked=path,
        found=names or "nothing",
        valid=f"an array (t k 3) under one of {', '.join(_JOINTS)}, or {_HANDS['left'][0]} and {_HANDS['right'][0]}",
    )


def _number(value: Any, key: str, path: Path) -> float:
    try:
        number = float(np.asarray(value, dtype=float).reshape(()))
    except (TypeError, ValueError):
        number = float("nan")
    if not 0 < number < float("inf"):
        raise InputError(f"{key} is no frame rate", asked=path, found=repr(value)[:60], valid="frames per second")
    return number


def _points(value: Any, path: Path) -> np.ndarray:
    """(t k 3) from an array, or from a list of (k 3) with None where nothing was found."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = list(value)
    if isinstance(value, list | tuple):
        shapes = {np.shape(item) for item in value if item is not None}
        if len(shapes) != 1:
            raise InputError("the frames have different shapes", asked=path, found=sorted(shapes, key=str)[:5])
        shape = shapes.pop()
        value = [np.full(shape, np.nan) if item is None else item for item in value]
    try:
        points = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        points = np.zeros(0)
    if points.ndim != 3 or points.shape[-1] != 3 or len(points) == 0:
        raise InputError("joints are points in space", asked=path, found=f"shape {points.shape}", valid="(t k 3)")
    return points


def _with_hands(hands: dict[str, np.ndarray], path: Path) -> np.ndarray:
    shapes = {(len(points), points.shape[1]) for points in hands.values()}
    if len(shapes) != 1 or next(iter(shapes))[1] != 21:
        raise InputError("a hand has 21 points, both hands equally many frames", asked=path, found=sorted(shapes))
    out = empty(next(iter(shapes))[0])
    for side, points in hands.items():
        out[:, HAND_SLICES[side]] = points
    return out
