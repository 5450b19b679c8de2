"""BVH: a hierarchy of joints with offsets and channels, then one line of numbers per frame.

Rotations are applied in the order in which a joint lists its channels, each about the joint's own turned axes, so any
Euler order is read as it stands. Joints' places in the world follow by forward kinematics in the file's units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import InputError

_AXES = {"X": 0, "Y": 1, "Z": 2}
_MAX_JOINTS, _MAX_NUMBERS = 2000, 200_000_000


@dataclass
class Joint:
    """A joint or an end site; `channels` are (is it a rotation, axis) in the file's order."""

    name: str
    parent: int
    offset: np.ndarray = field(default_factory=lambda: np.zeros(3))
    channels: list[tuple[bool, int]] = field(default_factory=list)
    is_end: bool = False


@dataclass(frozen=True)
class Bvh:
    """Joints in the file's order and `p` (t j 3), where they are, in the file's units and axes."""

    joints: tuple[Joint, ...]
    p: np.ndarray
    rate_hz: float | None


class _Words:
    """The words of the hierarchy, taken one by one."""

    def __init__(self, text: str, path: Path) -> None:
        self._words, self._next, self._path = text.split(), 0, path

    def take(self) -> str:
        if self._next >= len(self._words):
            raise InputError("the BVH ends inside its hierarchy", asked=self._path)
        self._next += 1
        return self._words[self._next - 1]

    def expect(self, *wanted: str) -> str:
        word = self.take()
        if word.upper() not in wanted:
            raise InputError("the BVH's hierarchy is broken", asked=self._path, found=word, valid=" or ".join(wanted))
        return word

    def number(self) -> float:
        word = self.take()
        try:
            return float(word)
        except ValueError:
            raise InputError("a number is missing in the BVH", asked=self._path, found=word) from None

    @property
    def done(self) -> bool:
        return self._next >= len(self._words)


def read_bvh(path: Path) -> Bvh:
    """Joints and their places in every frame.

    Raises:
        InputError: not a BVH, broken, cut short, or with numbers that are none.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}", asked=path) from None
    head, motion, tail = text.partition("MOTION")
    if not head.lstrip("\ufeff \t\r\n").upper().startswith("HIERARCHY"):
        raise InputError("not a BVH: it does not start with HIERARCHY", asked=path, found=repr(text[:40]))
    if not motion:
        raise InputError("the BVH has no MOTION: it is cut short", asked=path)
    joints = _hierarchy(_Words(head.lstrip("\ufeff"), path))
    numbers, rate_hz = _frames(tail, sum(len(joint.channels) for joint in joints), path)
    return Bvh(joints=tuple(joints), p=_places(joints, numbers), rate_hz=rate_hz)


def _hierarchy(words: _Words) -> list[Joint]:
    joints: list[Joint] = []
    open_joints: list[int] = []
    words.expect("HIERARCHY")
    while not words.done:
        word = words.take().upper()
        if word in ("ROOT", "JOINT", "END"):
            name = words.take()
            parent = open_joints[-1] if open_joints else -1
            if word == "END":
                name = f"{joints[parent].name}_end"
            joints.append(Joint(name=name, parent=parent, is_end=word == "END"))
            words.expect("{")
            open_joints.append(len(joints) - 1)
        elif word == "OFFSET" and open_joints:
            joints[open_joints[-1]].offset = np.array([words.number() for _ in range(3)])
        elif word == "CHANNELS" and open_joints:
            joints[open_joints[-1]].channels = _channels(words)
        elif word == "}" and open_joints:
            open_joints.pop()
        else:
            raise InputError("the BVH's hierarchy is broken", asked=words._path, found=word)
        if len(joints) > _MAX_JOINTS:
            raise InputError("the BVH has too many joints", asked=words._path, valid=_MAX_JOINTS)
    if open_joints or not joints:
        raise InputError("the BVH's hierarchy is cut short", asked=words._path)
    return joints


def _channels(words: _Words) -> list[tuple[bool, int]]:
    out = []
    for _ in range(int(words.number())):
        name = words.expect(*(f"{a}{kind}" for a in "XYZ" for kind in ("POSITION", "ROTATION"))).upper()
        out.append((name.endswith("ROTATION"), _AXES[name[0]]))
    return out


def _frames(text: str, channels: int, path: Path) -> tuple[np.ndarray, float | None]:
    """(t channels) numbers and the frame rate."""
    lines = text.split("\n", 3)
    body = "".join(lines[3:])
    found: dict[str, float] = {}
    for line in lines[1:3]:
        key, _, value = line.partition(":")
        try:
            found[" ".join(key.lower().split())] = float(value)
        except ValueError:
            raise InputError("the BVH's 'Frames:' and 'Frame Time:' are not readable", asked=path, found=line) from None
    if "frames" not in found:
        raise InputError("the BVH has no 'Frames:' line", asked=path)
    try:
        flat = np.array(body.split(), dtype=float)
    except ValueError as error:
        raise InputError(f"a number of the BVH's frames is none: {error}", asked=path) from None
    declared, step_s = int(found["frames"]), found.get("frame time", 0.0)
    if declared < 1 or declared * channels > _MAX_NUMBERS:
        raise InputError("the BVH's number of frames makes no sense", asked=path, found=declared)
    if len(flat) != declared * channels:
        raise InputError(
            "the BVH is cut short" if len(flat) < declared * channels else "the BVH has more numbers than frames",
            asked=path,
            found=f"{len(flat) / max(1, channels):.1f} frames of {channels} channels",
            valid=f"{declared} frames, as it says itself",
        )
    return flat.reshape(declared, channels), 1.0 / step_s if np.isfinite(step_s) and step_s > 0 else None


def _places(joints: list[Joint], numbers: np.ndarray) -> np.ndarray:
    """(t j 3): forward kinematics, all frames at once."""
    frames, column = len(numbers), 0
    q = np.zeros((len(joints), frames, 4))
    p = np.zeros((len(joints), frames, 3))
    for i, joint in enumerate(joints):
        own = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
        at = np.tile(joint.offset, (frames, 1))
        if any(not turns for turns, _ in joint.channels):  # positions replace the offset
            at[:, [axis for turns, axis in joint.channels if not turns]] = 0.0
        for turns, axis in joint.channels:
            value, column = numbers[:, column], column + 1
            if turns:
                vector = np.zeros((frames, 3))
                vector[:, axis] = np.radians(value)
                own = geometry.quat_mul(own, geometry.quat_exp(vector))
            else:
                at[:, axis] = value
        if joint.parent < 0:
            q[i], p[i] = own, at
        else:
            q[i] = geometry.quat_mul(q[joint.parent], own)
            p[i] = p[joint.parent] + geometry.rotate(q[joint.parent], at)
    return np.moveaxis(p, 0, 1)
