"""An articulated tree as arrays: hinge, slide and ball joints, limits, mimic couplings and named sites.

A robot and a human are both one. Joints stand in tree order (a parent before its children). The frame of joint j is
its parent's frame, moved by `T_parent_zero[j]`, then turned about (hinge) or moved along (slide) `axis[j]`, so the
axis runs through the frame's origin. Parent -1 is the base, whose pose T_world_base is kept beside the joints.

A ball joint is three entries one after the other. Their positions w are the rotation vector (rad) of its turn exp(w),
in the axes of the first entry's zero frame, and the frame of all three is the turned one. A free joint is three slides
and a ball. `tree_of` builds a tree from `hinge_joint`, `slide_joint`, `ball_joint` and `free_joint`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain import geometry
from vidpretrain.errors import unknown_name
from vidpretrain.types import Frozen

BALL_SUFFIXES = (".x", ".y", ".z")
FREE_SUFFIXES = (".tx", ".ty", ".tz", *BALL_SUFFIXES)
REACH_M = 100.0  # limits of a free joint's slides

Kind = Literal["hinge", "slide", "ball"]


@dataclass(frozen=True, kw_only=True)
class Tree(Frozen):
    """Joints and sites of one articulated body; radians for hinges and balls, metres for slides.

    The second and third entry of a ball hang on the entry before with identity poses, and the three axes are x, y, z.
    Its limits are a box on the rotation vector. What hangs on a ball hangs on its turned frame, whichever entry is
    named as parent (or site_joint).

    `mimic_source[j]` is the joint that j follows (q[j] = ratio * q[source] + offset), -1 where j is independent.
    A mimic joint follows an independent one, and neither is a ball's entry. `site_joint` -1 is the base.
    """

    joint_names: tuple[str, ...]
    kind: tuple[Kind, ...]
    parent: Int64[np.ndarray, " j"]
    T_parent_zero: Float64[np.ndarray, "j 7"]
    axis: Float64[np.ndarray, "j 3"]
    lower: Float64[np.ndarray, " j"]
    upper: Float64[np.ndarray, " j"]
    mimic_source: Int64[np.ndarray, " j"]
    mimic_ratio: Float64[np.ndarray, " j"]
    mimic_offset: Float64[np.ndarray, " j"]
    site_names: tuple[str, ...]
    site_joint: Int64[np.ndarray, " s"]
    T_joint_site: Float64[np.ndarray, "s 7"]

    def check(self) -> None:
        count = len(self.joint_names)
        shapes = {
            "kind": (len(self.kind),),
            "parent": self.parent.shape,
            "T_parent_zero": self.T_parent_zero.shape[:1],
            "axis": self.axis.shape[:1],
            "lower": self.lower.shape,
            "upper": self.upper.shape,
            "mimic_source": self.mimic_source.shape,
            "mimic_ratio": self.mimic_ratio.shape,
            "mimic_offset": self.mimic_offset.shape,
        }
        wrong = {name: shape for name, shape in shapes.items() if shape != (count,)}
        if wrong:
            raise ValueError(f"Tree: {count} joints, but {wrong}")
        if not len(self.site_names) == len(self.site_joint) == len(self.T_joint_site):
            raise ValueError("Tree: site_names, site_joint and T_joint_site differ in length")
        for names in (self.joint_names, self.site_names):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"Tree: names given twice: {twice}")
        if (self.parent >= np.arange(count)).any() or (self.parent < -1).any():
            raise ValueError("Tree: a joint stands before its parent")
        if (self.lower > self.upper).any():
            bad = [self.joint_names[i] for i in np.flatnonzero(self.lower > self.upper)]
            raise ValueError(f"Tree: lower limit above upper limit: {bad}")
        followers = np.flatnonzero(self.mimic_source >= 0)
        if (self.mimic_source[self.mimic_source[followers]] >= 0).any():
            raise ValueError("Tree: a mimic joint follows another mimic joint")
        self._check_balls()

    def _check_balls(self) -> None:
        is_ball = np.array([kind == "ball" for kind in self.kind], dtype=bool)
        for j in self.balls:
            rest = np.arange(j + 1, j + 3)
            whole = (
                j + 2 < len(is_ball)
                and is_ball[rest].all()
                and (self.parent[rest] == rest - 1).all()
                and (self.T_parent_zero[rest] == [1.0, 0, 0, 0, 0, 0, 0]).all()
                and (self.axis[j : j + 3] == np.eye(3)).all()
            )
            if not whole:
                raise ValueError(
                    f"Tree: ball {self.joint_names[j]!r} is not three entries, each on the one before at its pose, "
                    "with axes x, y, z"
                )
        followers = np.flatnonzero(self.mimic_source >= 0)
        if is_ball[followers].any() or is_ball[self.mimic_source[followers]].any():
            raise ValueError("Tree: a ball's entry follows another joint, or leads one")

    @cached_property
    def balls(self) -> Int64[np.ndarray, " n"]:
        """The first entry of every ball; the other two are the next ones."""
        out, j = [], 0
        while j < len(self.kind):
            if self.kind[j] == "ball":
                out.append(j)
                j += 3
            else:
                j += 1
        return np.array(out, dtype=np.int64)

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits that change when any field does."""
        state = hashlib.sha256()
        state.update(repr((self.joint_names, self.kind, self.site_names)).encode())
        for array in (self.parent, self.mimic_source, self.site_joint):
            state.update(np.ascontiguousarray(array, dtype=np.int64).tobytes())
        for array in (
            *(self.T_parent_zero, self.axis, self.lower, self.upper),
            *(self.mimic_ratio, self.mimic_offset, self.T_joint_site),
        ):
            state.update(np.ascontiguousarray(array, dtype=np.float64).tobytes())
        return state.hexdigest()[:16]

    @property
    def independent(self) -> Bool[np.ndarray, " j"]:
        """True where a joint moves on its own, false where it mimics another."""
        return self.mimic_source < 0

    def joint(self, name: str) -> int:
        """Index of a joint.

        Raises:
            UnknownName: no joint of that name.
        """
        if name not in self.joint_names:
            raise unknown_name("joint", name, self.joint_names)
        return self.joint_names.index(name)

    def joints(self, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
        """Indices of several joints, in the given order."""
        return np.array([self.joint(name) for name in names], dtype=np.int64)

    def site(self, name: str) -> int:
        """Index of a site.

        Raises:
            UnknownName: no site of that name.
        """
        if name not in self.site_names:
            raise unknown_name("site", name, self.site_names)
        return self.site_names.index(name)

    def with_mimic(self, joint_pos: Float64[np.ndarray, "*b j"]) -> Float64[np.ndarray, "*b j"]:
        """Joint positions in which every mimic joint follows its source; other columns as given."""
        joint_pos = np.array(joint_pos, dtype=float)
        followers = np.flatnonzero(self.mimic_source >= 0)
        source = joint_pos[..., self.mimic_source[followers]]
        joint_pos[..., followers] = self.mimic_ratio[followers] * source + self.mimic_offset[followers]
        return joint_pos

    def shortest(self, joint_pos: Float64[np.ndarray, "*b j"]) -> Float64[np.ndarray, "*b j"]:
        """The same posture, every ball by its rotation vector of at most pi where that is inside the limits."""
        joint_pos = np.array(joint_pos, dtype=float)
        for j in self.balls:
            w = joint_pos[..., j : j + 3]
            angle = np.linalg.norm(w, axis=-1, keepdims=True)
            rest = angle - 2 * np.pi * np.round(angle / (2 * np.pi))
            short = w * np.where(angle > np.pi, rest / np.maximum(angle, np.pi), 1.0)
            inside = (short >= self.lower[j : j + 3]) & (short <= self.upper[j : j + 3])
            joint_pos[..., j : j + 3] = np.where(inside.all(axis=-1, keepdims=True), short, w)
        return joint_pos

    def change(
        self, start: Float64[np.ndarray, "*b j"], end: Float64[np.ndarray, "*b j"]
    ) -> Float64[np.ndarray, "*b j"]:
        """From `start` to `end`: differences, of balls log(R_end R_start^T) in the axes of their zero frame (rad)."""
        out = np.asarray(end, dtype=float) - np.asarray(start, dtype=float)
        for j in self.balls:
            R_start, R_end = (geometry.quat_exp(np.asarray(q, dtype=float)[..., j : j + 3]) for q in (start, end))
            out[..., j : j + 3] = geometry.quat_log(geometry.quat_mul(R_end, geometry.quat_inverse(R_start)))
        return out

    def speed(self, joint_pos: Float64[np.ndarray, "t j"], rate_hz: float) -> Float64[np.ndarray, "t-1 j"]:
        """How fast the joints are from row to row (rad/s, m/s); a ball is as fast as it turns, in all three entries."""
        out = np.abs(self.change(joint_pos[:-1], joint_pos[1:])) * rate_hz
        for j in self.balls:
            out[:, j : j + 3] = np.linalg.norm(out[:, j : j + 3], axis=1, keepdims=True)
        return out

    def bounds(self) -> tuple[Float64[np.ndarray, " j"], Float64[np.ndarray, " j"]]:
        """(lower, upper) of the joints, those of sources narrowed so that their mimic joints stay inside theirs."""
        lower, upper = np.array(self.lower), np.array(self.upper)
        for j in np.flatnonzero((self.mimic_source >= 0) & (self.mimic_ratio != 0)):
            ends = np.sort((np.array([self.lower[j], self.upper[j]]) - self.mimic_offset[j]) / self.mimic_ratio[j])
            for i, inwards in enumerate((np.inf, -np.inf)):  # rounding may put the follower a hair outside
                while not self.lower[j] <= self.mimic_ratio[j] * ends[i] + self.mimic_offset[j] <= self.upper[j]:
                    ends[i] = np.nextafter(ends[i], inwards)
                    if ends[0] > ends[1]:
                        break
            s = self.mimic_source[j]
            lower[s], upper[s] = max(lower[s], ends[0]), min(upper[s], ends[1])
        return lower, upper


@dataclass(frozen=True, kw_only=True)
class JointPart(Frozen):
    """Entries that stand one after the other, to be put into a tree by `tree_of`.

    `parent` is the name of the joint (of one part, or of one entry) that the first entry hangs on, None: the base;
    the others hang on the entry before.
    """

    name: str
    parent: str | None
    joint_names: tuple[str, ...]
    kind: tuple[Kind, ...]
    T_parent_zero: Float64[np.ndarray, "n 7"]
    axis: Float64[np.ndarray, "n 3"]
    lower: Float64[np.ndarray, " n"]
    upper: Float64[np.ndarray, " n"]


def hinge_joint(
    name: str, parent: str | None, T_parent_zero: Float64[np.ndarray, " 7"], axis: Float64[np.ndarray, " 3"],
    lower: float, upper: float,
) -> JointPart:  # fmt: skip
    """A hinge about `axis`, limits in rad."""
    return _single(name, parent, T_parent_zero, axis, lower, upper, "hinge")


def slide_joint(
    name: str, parent: str | None, T_parent_zero: Float64[np.ndarray, " 7"], axis: Float64[np.ndarray, " 3"],
    lower: float, upper: float,
) -> JointPart:  # fmt: skip
    """A slide along `axis`, limits in m."""
    return _single(name, parent, T_parent_zero, axis, lower, upper, "slide")


def ball_joint(
    name: str,
    parent: str | None,
    T_parent_zero: Float64[np.ndarray, " 7"],
    lower: float | Float64[np.ndarray, " 3"] = -np.pi,
    upper: float | Float64[np.ndarray, " 3"] = np.pi,
) -> JointPart:
    """A ball: entries `name.x`, `name.y`, `name.z`, the rotation vector in the zero frame's axes, limits in rad."""
    T = np.tile(geometry.IDENTITY_POSE, (3, 1))
    T[0] = T_parent_zero
    return JointPart(
        name=name,
        parent=parent,
        joint_names=tuple(name + suffix for suffix in BALL_SUFFIXES),
        kind=("ball",) * 3,
        T_parent_zero=T,
        axis=np.eye(3),
        lower=np.broadcast_to(np.asarray(lower, dtype=float), (3,)).copy(),
        upper=np.broadcast_to(np.asarray(upper, dtype=float), (3,)).copy(),
    )


def free_joint(
    name: str, parent: str | None, T_parent_zero: Float64[np.ndarray, " 7"], reach_m: float = REACH_M
) -> JointPart:
    """Slides `name.tx`, `name.ty`, `name.tz` within +-`reach_m` along the zero frame's axes, then a ball `name`."""
    ball = ball_joint(name, parent, geometry.IDENTITY_POSE)
    T = np.tile(geometry.IDENTITY_POSE, (6, 1))
    T[0] = T_parent_zero
    return JointPart(
        name=name,
        parent=parent,
        joint_names=tuple(name + suffix for suffix in FREE_SUFFIXES),
        kind=("slide", "slide", "slide", "ball", "ball", "ball"),
        T_parent_zero=T,
        axis=np.tile(np.eye(3), (2, 1)),
        lower=np.concatenate([np.full(3, -reach_m), ball.lower]),
        upper=np.concatenate([np.full(3, reach_m), ball.upper]),
    )


def tree_of(parts: Sequence[JointPart], sites: Mapping[str, tuple[str | None, Float64[np.ndarray, " 7"]]]) -> Tree:
    """The tree of the parts, parents first, without mimic couplings; `sites` are (joint or None, T_joint_site).

    Raises:
        UnknownName: a part or a site hangs on a joint that does not stand before it.
    """
    last: dict[str, int] = {}  # the entry that carries what hangs on a part (by its name) or on an entry
    names: list[str] = []
    parent: list[int] = []

    def carrier(name: str | None) -> int:
        if name is not None and name not in last:
            raise unknown_name("joint", name, tuple(last))
        return -1 if name is None else last[name]

    for part in parts:
        parent += [carrier(part.parent), *range(len(names), len(names) + len(part.joint_names) - 1)]
        names += part.joint_names
        last |= {name: len(names) - len(part.joint_names) + i for i, name in enumerate(part.joint_names)}
        last[part.name] = len(names) - 1
    count = len(names)
    return Tree(
        joint_names=tuple(names),
        kind=tuple(kind for part in parts for kind in part.kind),
        parent=np.array(parent, dtype=np.int64),
        T_parent_zero=np.concatenate([part.T_parent_zero for part in parts]).reshape(-1, 7),
        axis=np.concatenate([part.axis for part in parts]).reshape(-1, 3),
        lower=np.concatenate([part.lower for part in parts]),
        upper=np.concatenate([part.upper for part in parts]),
        mimic_source=np.full(count, -1),
        mimic_ratio=np.ones(count),
        mimic_offset=np.zeros(count),
        site_names=tuple(sites),
        site_joint=np.array([carrier(joint) for joint, _ in sites.values()], dtype=np.int64),
        T_joint_site=np.array([T for _, T in sites.values()], dtype=float).reshape(-1, 7),
    )


def _single(name, parent, T_parent_zero, axis, lower: float, upper: float, kind: Kind) -> JointPart:
    return JointPart(
        name=name,
        parent=parent,
        joint_names=(name,),
        kind=(kind,),
        T_parent_zero=np.asarray(T_parent_zero, dtype=float)[None],
        axis=np.asarray(axis, dtype=float)[None],
        lower=np.array([lower], dtype=float),
        upper=np.array([upper], dtype=float),
    )
