"""The robot as the rest of the toolkit sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from vidpretrain.tree import Tree
from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class Column:
    """One action column: value = scale * joint_pos + offset.

    For unit "rad" scale is 1 and offset 0; for "fraction" 0 is the closed and 1 the open joint.
    """

    name: str
    group: str
    joint: str
    unit: Literal["rad", "fraction"]
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Robot(Frozen):
    """A humanoid, or a hand of its own: its tree and what the tree does not say.

    Sites have fixed names, those that exist on the robot: pelvis, torso, head_camera, and with left_ and right_:
    shoulder, elbow, wrist, palm, thumb_tip, index_tip, middle_tip, ring_tip, pinky_tip, foot.
    wrist and palm frames (the same for every robot and for human hands): x from the wrist towards the knuckle of the
    middle finger, z out of the back of the hand, y = z cross x; wrist at the wrist, palm at the middle of the palm.
    foot: the middle of the sole, x forward, z up. pelvis, torso: x forward, y left, z up.
    head_camera: x right, y down, z forward. shoulder and elbow: only their origins mean anything; the shoulder is where
    the arm's first two axes meet (or come closest), the elbow the joint that bends the arm.
    A finger's knuckle (index_knuckle to pinky_knuckle) is its first bending joint.

    `groups` are joint names under left_arm, right_arm, left_hand, right_hand, waist, left_leg, right_leg, head, and
    other for joints that are none of these.
    A hand of its own has one side's wrist, palm, knuckles and tips, the group of its hand (the joints of its wrist, if
    any, are its arm), the hand's mount as base, no camera (NaN) and base height 0.
    `home` stands with bent arms in front of the body; `max_speed` is rad/s and `max_torque` N m.
    `base_height_m` is the height of the base's origin over the soles at home.
    `T_base_camera` is the head camera at home.
    """

    name: str
    tree: Tree
    groups: dict[str, tuple[str, ...]]
    home: Float64[np.ndarray, " j"]
    max_speed: Float64[np.ndarray, " j"]
    max_torque: Float64[np.ndarray, " j"]
    columns: tuple[Column, ...]
    T_base_camera: Float64[np.ndarray, " 7"]
    expected_fov_x_rad: float
    base_height_m: float
    license: str
    assumptions: tuple[str, ...]
    source: str
    digest: str

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides that have a wrist: both on a humanoid, one on a hand of its own."""
        return tuple(side for side in ("left", "right") if f"{side}_wrist" in self.tree.site_names)

    @property
    def is_hand(self) -> bool:
        """Whether this is a hand of its own."""
        return len(self.sides) == 1 and "torso" not in self.tree.site_names

    def joints(self, group: str) -> tuple[int, ...]:
        """Indices of a group's joints in the tree's columns; none for a group that the robot does not have."""
        return tuple(self.tree.joint(name) for name in self.groups.get(group, ()))

    def group_columns(self, group: str) -> tuple[Column, ...]:
        """Action columns of a group, in order."""
        return tuple(column for column in self.columns if column.group == group)
