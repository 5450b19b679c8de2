"""The layout of a robot's vector."""

from __future__ import annotations

from vidpretrain.actions.config import ActionConfig
from vidpretrain.robot import Column, Robot
from vidpretrain.skeletons import SIDES
from vidpretrain.types import ActionSpec, Group

_POSE9 = ("x", "y", "z", "xx", "xy", "xz", "yx", "yy", "yz")


_BODY_GROUPS = ("waist", "head", "left_leg", "right_leg")


def spec_for(robot: Robot, config: ActionConfig, embodiment: str | None = None, whole_body: bool = False) -> ActionSpec:
    """The robot's groups in the order of the real episodes: arms, hands, then the wrists' poses when asked for.

    Arms are relative joints in rad; hands absolute, in the unit of the robot's columns; wrists relative `pose9`
    (translation, then the first two columns of R) of the wrist in the base frame; grasp bits absolute, for sides with a
    hand. `embodiment` defaults to the robot's name; people who move through it get another one. `whole_body` adds
    waist, head and legs (relative, rad) and the base's pose in the world (`pose9`, relative): what a motion that
    walks, or a hand that flies, consists of.
    """
    groups = [_joints(robot, f"{side}_arm", "joint", "relative") for side in SIDES]
    groups += [_joints(robot, f"{side}_hand", "hand", "absolute") for side in SIDES]
    groups = [group for group in groups if group is not None]
    if config.wrist_poses:
        groups += [
            Group(
                name=f"{side}_wrist",
                names=tuple(f"{side}_wrist_{part}" for part in _POSE9),
                quantity="wrist_pose",
                representation="relative",
                unit="pose9",
            )
            for side in SIDES
            if f"{side}_wrist" in robot.tree.site_names
        ]
    if config.grasp:
        hands = [group.name for group in groups if group.quantity == "hand"]
        groups += [
            Group(
                name=f"{side}_grasp",
                names=(f"{side}_grasp",),
                quantity="grasp",
                representation="absolute",
                unit="fraction",
            )
            for side in SIDES
            if f"{side}_hand" in hands
        ]
    if whole_body:
        groups += [group for name in _BODY_GROUPS if (group := _joints(robot, name, "joint", "relative")) is not None]
        names = tuple(f"base_{part}" for part in _POSE9)
        groups.append(Group(name="base", names=names, quantity="base", representation="relative", unit="pose9"))
    return ActionSpec(
        embodiment=embodiment or robot.name, groups=tuple(groups), rate_hz=config.rate_hz, horizon=config.horizon
    )


def robot_groups(spec: ActionSpec) -> tuple[Group, ...]:
    """Groups whose columns are the robot's own (joints and hands), in order: what a real episode records."""
    return tuple(group for group in spec.groups if group.quantity in ("joint", "hand"))


def columns_of(robot: Robot, group: str) -> tuple[Column, ...]:
    """The action columns of a group: the robot's own, or where its file names none every joint with a motor, in rad."""
    own = robot.group_columns(group)
    if own or group not in _BODY_GROUPS:
        return own
    free = [j for j in robot.joints(group) if robot.tree.mimic_source[j] < 0]
    names = [robot.tree.joint_names[j] for j in free]
    return tuple(Column(name=name, group=group, joint=name, unit="rad") for name in names)


def _joints(robot: Robot, name: str, quantity, representation) -> Group | None:
    columns = columns_of(robot, name)
    if not columns:
        return None
    units = {column.unit for column in columns}
    if len(units) > 1:
        raise ValueError(f"robot {robot.name}: group {name} mixes units {sorted(units)}")
    return Group(
        name=name,
        names=tuple(column.name for column in columns),
        quantity=quantity,
        representation=representation,
        unit=columns[0].unit,
    )
