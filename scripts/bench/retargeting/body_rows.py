"""Rows about bodies: G1 against mink, body and hands together."""

from __future__ import annotations

from typing import Any

import numpy as np
from retargeting import bodies, support
from retargeting.measures import row, smoothness, violations
from retargeting.setting import Setting, timed

from vidpretrain.robot import load_robot

Row = dict[str, Any]
_STEPS, _FIRST_STEPS = 20, 60


def body(setting: Setting) -> list[Row]:
    """All motions on the G1's body, fingers fixed: mink with many steps a frame has the same targets and weights."""
    robot = load_robot("g1_dex3")
    model = bodies.mink_model(robot, setting.work)
    columns = robot.tree.joints(model[1])
    table = []
    for count, path in enumerate(setting.motions):
        targets = bodies.body_targets(path, robot)
        problem = bodies.body_problem(robot, targets)
        case = bodies.mink_case(robot, model, targets, setting.work)
        if count == 0:
            bodies.solve_body(robot, problem, targets)  # compiles
        solution, ours_s = timed(lambda p=problem, t=targets: bodies.solve_body(robot, p, t))()
        q, took = setting.peers.run("mink", case, targets.frames, _STEPS, _FIRST_STEPS)
        theirs = np.tile(robot.home, (targets.frames, 1))
        theirs[:, columns] = q[:, 7:]
        ours = np.asarray(solution.joint_pos)
        table.append(
            {
                "frames": targets.frames,
                "ours": ours_s,
                "mink": took["seconds"],
                "cost": bodies.cost(robot, targets, ours, np.asarray(solution.T_world_base)),
                "mink_cost": bodies.cost(robot, targets, theirs, q[:, :7]),
                "jerk": smoothness(ours, bodies.RATE_HZ)["jerk_p99"],
                "mink_jerk": smoothness(theirs, bodies.RATE_HZ)["jerk_p99"],
                "beyond": violations(robot.tree, ours),
            }
        )
    at = {key: np.array([line[key] for line in table], dtype=float) for key in table[0]}
    rate, mink_rate = np.median(at["frames"] / at["ours"]), np.median(at["frames"] / at["mink"])
    return [
        row("G1 body, motions", len(table), "motions"),
        row("G1 body, frames", at["frames"].sum(), "frames"),
        row("G1 body, ours: speed, median", rate, "frames/s"),
        row("G1 body, mink with 20 steps: speed, median", mink_rate, "frames/s"),
        row("G1 body, ours over mink: speed", rate / mink_rate, "times", ">= 10"),
        row("G1 body, ours over mink: cost, median of the motions", np.median(at["cost"] / at["mink_cost"]), "times",
            "<= 1.01"),
        row("G1 body, ours over mink: cost, sum of the motions", at["cost"].sum() / at["mink_cost"].sum(), "times"),
        row("G1 body, ours over mink: cost, worst motion", (at["cost"] / at["mink_cost"]).max(), "times"),
        row("G1 body, ours over mink: jerk p99, median", np.median(at["jerk"] / at["mink_jerk"]), "times", "<= 0.5"),
        row("G1 body, ours: jerk p99, median", np.median(at["jerk"]), "rad/s^3"),
        row("G1 body, ours: frames beyond a limit", at["beyond"].sum(), "frames", "== 0"),
    ]  # fmt: skip


def body_and_hands(setting: Setting) -> list[Row]:
    """Body and both hands at once: the hand's track on both sides, every fourth motion and clasped hands."""
    rows = []
    for name in ("g1_dex3", "g1_inspire"):
        robot = load_robot(name)
        limit = 0.99 * np.asarray(robot.max_speed)
        settings: dict[str, dict[str, Any]] = {"free": {}, "speed limits": {"max_speed": limit}}
        shape = None
        if support.has_collisions():
            shape = support.robot_shape(robot)
            settings["everything"] = {"max_speed": limit, "self_collision": shape}
        rates: dict[str, list[float]] = {kind: [] for kind in settings}
        beyond = dict.fromkeys(settings, 0)
        too_fast, frames, touching = 0, 0, dict.fromkeys(settings, 0.0)
        people = [bodies.body_targets(path, robot) for path in setting.motions[::4]]
        for count, targets in enumerate([*people, bodies.clasped(people[0])]):
            frames += targets.frames
            hands = bodies.hand_points(setting.p_hand, targets.frames)
            for kind, more in settings.items():
                problem = bodies.body_problem(robot, targets, hands, **more)
                if count == 0:
                    bodies.solve_body(robot, problem, targets)
                solution, seconds = timed(lambda p=problem, t=targets, r=robot: bodies.solve_body(r, p, t))()
                q = np.asarray(solution.joint_pos)
                rates[kind].append(targets.frames / seconds)
                beyond[kind] += violations(robot.tree, q)
                if shape is not None:
                    touching[kind] += support.touching(shape, robot.tree, q) * targets.frames
                if more:
                    fast = np.abs(np.diff(q, axis=0)) * bodies.RATE_HZ > np.asarray(robot.max_speed) * (1 + 1e-9)
                    too_fast += int(fast.any(axis=1).sum())
        label = f"{name}, body and hands"
        rows += [
            row(f"{label}, free: speed, median", float(np.median(rates["free"])), "frames/s", ">= 3000"),
            row(f"{label}, speed limits: speed, median", float(np.median(rates["speed limits"])), "frames/s"),
            row(f"{label}: frames beyond a limit", sum(beyond.values()), "frames", "== 0"),
            row(f"{label}: frames beyond a speed limit", too_fast, "frames", "== 0"),
        ]
        if shape is not None:
            rate = float(np.median(rates["everything"]))
            rows.append(row(f"{label}, limits, speeds and collisions: speed, median", rate, "frames/s", ">= 600"))
            for kind, bar in (("free", None), ("everything", "<= 0.1")):
                share = 100 * touching[kind] / frames
                rows.append(row(f"{label}, {kind}: frames with links in each other", share, "%", bar))
    return rows
