"""The robots of this machine, listed or one in full."""

from __future__ import annotations

from typing import Any

from vidpretrain.errors import UsageError, VidpretrainError


def robots(config: Any = None, inputs: tuple[str, ...] = (), out: str | None = None) -> dict[str, Any]:
    """Every shipped robot in a row, or the one that `inputs` names (a shipped name or a YAML file) in full.

    `add` and a model file instead write a robot file (`out`, or the model's name in this folder) and a page beside it.

    Raises:
        UsageError: more than one robot asked for, or `out` without `add`.
        UnknownName, ConfigError, MissingAsset: from loading the one asked for.
        InputError: the model to be added cannot be read, or is neither a humanoid nor a hand.
    """
    if inputs[:1] == ("add",):
        return _add(inputs[1:], out)
    if out is not None:
        raise UsageError("--out goes with add", asked=f"--out {out}", valid="robots add MODEL.xml --out MY_ROBOT.yaml")
    if len(inputs) > 1:
        raise UsageError("one robot at a time", asked=" ".join(inputs), valid="a robot's name or YAML file")
    return _one(inputs[0]) if inputs else _all()


def _add(inputs: tuple[str, ...], out: str | None) -> dict[str, Any]:
    from vidpretrain.robot_import import add_robot

    if len(inputs) != 1:
        raise UsageError(
            "one model file to add", asked=" ".join(inputs) or None, valid="robots add MODEL.xml --out MY_ROBOT.yaml"
        )
    added = add_robot(inputs[0], out)
    return {
        "ok": True,
        "message": f"look at {added.page}; then use it: robot={added.yaml}",
        "yaml": str(added.yaml),
        "page": str(added.page),
        "kind": added.kind,
        "mapped": [{"group": group, "joints": list(names)} for group, names in added.groups.items()],
        "doubtful": [{"remark": remark} for remark in added.remarks],
    }


def _all() -> dict[str, Any]:
    from vidpretrain.robot import load_robot, robot_names

    rows = []
    for name in robot_names():
        try:
            rows.append({"name": name, **_summary(load_robot(name))})
        except VidpretrainError as error:
            rows.append({"name": name, "found": error.message, "next": error.next_command or "vidpretrain doctor"})
    return {"ok": True, "message": "vidpretrain robots NAME shows one in full", "robots": rows}


def _summary(robot: Any) -> dict[str, Any]:
    from vidpretrain.robot import mj_spec

    return {
        "dof": int((robot.tree.mimic_source < 0).sum()),
        "columns": len(robot.columns),
        "groups": {group: len(joints) for group, joints in robot.groups.items()},
        "license": robot.license,
        "found": mj_spec(robot).modelfiledir or robot.source,
    }


def _one(name: str) -> dict[str, Any]:
    from vidpretrain.robot import load_robot

    robot = load_robot(name)
    rows = []
    columns = {column.joint: column for column in robot.columns}
    for group, joints in robot.groups.items():
        for joint, index in zip(joints, robot.joints(group), strict=True):
            column = columns.get(joint)
            rows.append(
                {
                    "group": group,
                    "joint": joint,
                    "lower_rad": float(robot.tree.lower[index]),
                    "upper_rad": float(robot.tree.upper[index]),
                    "max_speed_rad_s": float(robot.max_speed[index]),
                    "action_column": "" if column is None else column.name,
                }
            )
    return {
        "ok": True,
        "name": robot.name,
        **_summary(robot),
        "expected_fov_x_rad": robot.expected_fov_x_rad,
        "base_height_m": robot.base_height_m,
        "digest": robot.digest,
        "assumptions": list(robot.assumptions),
        "joints": rows,
    }
