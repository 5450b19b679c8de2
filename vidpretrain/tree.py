"""An articulated tree as arrays: hinge and slide joints, limits, mimic couplings and named sites.

A robot and a human are both one. Joints stand in tree order (a parent before its children). The frame of joint j is
its parent's frame, moved by `T_parent_zero[j]`, then turned about (hinge) or moved along (slide) `axis[j]`, so the
axis runs through the frame's origin. Parent -1 is the base, whose pose T_world_base is kept beside the joints.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.errors import unknown_name
from vidpretrain.types import Frozen

Kind = Literal["hinge", "slide"]


@dataclass(frozen=True, kw_only=True)
class Tree(Frozen):
    """Joints and sites of one articulated body; radians for hinges, metres for slides.

    `mimic_source[j]` is the joint that j follows (q[j] = ratio * q[source] + offset), -1 where j is independent.
    A mimic joint follows an independent one. `site_joint` -1 is the base.
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
