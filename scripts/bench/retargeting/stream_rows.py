"""Rows about streaming: one frame at a time against the whole clip, and a hand against dex-retargeting."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from retargeting import bodies, hands, support
from retargeting.measures import row, smoothness, vector_errors, violations
from retargeting.setting import Setting, timed

from vidpretrain.robot import Robot, load_robot
from vidpretrain.solve import Problem, Start, Stream, solve_clip, targets_of

Row = dict[str, Any]
_PASSES = 3
_SPEED_RAD_S = 6.0


def streaming(setting: Setting) -> list[Row]:
    """The Shadow hand, then body and both hands."""
    return [*_hand(setting), *_bodies(setting)]


def template(problem: Problem) -> Problem:
    """A clip's problem as the template of a stream: its first frame."""
    terms = []
    for term in problem.terms:
        arrays = {f.name: getattr(term, f.name) for f in dataclasses.fields(term)}
        first = {name: np.array(a[:1]) for name, a in arrays.items() if isinstance(a, np.ndarray)}
        terms.append(dataclasses.replace(term, **first))
    return dataclasses.replace(problem, frames=1, terms=tuple(terms))


def _timed(stream: Stream, vectors: np.ndarray, turns: np.ndarray) -> tuple[tuple[np.ndarray, float], float]:
    """((joint positions, seconds of the first step), seconds of all others): the first tries many postures."""
    stream.reset()
    first, began = timed(lambda: np.array(stream.step(vectors[0], turns[0]).joint_pos))()
    steps = zip(vectors[1:], turns[1:], strict=True)
    others, seconds = timed(lambda: [stream.step(v, q).joint_pos for v, q in steps])()
    return (np.array([first, *others]), began), seconds


def _hand(setting: Setting) -> list[Row]:
    hand = hands.hand_case("shadow", setting.packages, setting.p_hand, setting.work)
    lower, upper = hand.tree.bounds()
    start = Start(joint_pos=np.clip(np.zeros(len(lower)), lower, upper))
    problems = {
        "free": hands.hand_problem(hand, hands.CLEAN),
        "6 rad/s": hands.hand_problem(hand, hands.CLEAN, _SPEED_RAD_S),
    }
    if support.has_collisions():
        shape = support.urdf_shape(Path(hand.case["urdf"]), hand.base)
        problems["apart, 6 rad/s"] = hands.hand_problem(hand, hands.CLEAN, _SPEED_RAD_S, self_collision=shape)
    jobs: dict[str, Any] = {}
    for name, problem in problems.items():
        vectors, turns, _ = targets_of(problem.terms)
        stream = Stream(hand.tree, template(problem), start)
        jobs[name] = lambda s=stream, v=vectors, q=turns: _timed(s, v, q)

    def dex() -> tuple[np.ndarray, float]:
        q, took = setting.peers.run("dex", hand.path, len(hand.target))
        return hand.full(q), took["seconds"]

    done = setting.interleaved(jobs | {"dex": dex})
    frames, peer = len(hand.target), done["dex"][1]
    rows = []
    for name in problems:
        (q, first), seconds = done[name]
        each = seconds / (frames - 1)
        whole = np.asarray(solve_clip(hand.tree, problems[name], start).joint_pos)
        label, bar = f"Shadow, one frame at a time, {name}", ">= 400" if name == "free" else None
        tip, clip = (1e3 * vector_errors(hand.tree, x, hand.case, hand.target)[:, hand.tips].mean() for x in (q, whole))
        rows += [
            row(f"{label}: time after the first frame", 1e6 * each, "us/frame"),
            row(f"{label}: time of the first frame", 1e3 * first, "ms"),
            row(f"{label}, dex-retargeting over ours: time after the first frame", peer / frames / each, "times", bar),
            row(f"{label}, dex-retargeting over ours: time, first frame included", peer / (seconds + first), "times"),
            row(f"{label}: tip error, mean", float(tip), "mm"),
            row(f"{label}: tip error over the whole clip's", float(tip / clip), "times", "<= 1.1"),
            row(f"{label}: jerk p99", smoothness(q, hands.RATE_HZ)["jerk_p99"], "rad/s^3"),
            row(f"{label}: frames beyond a limit", violations(hand.tree, q), "frames", "== 0"),
        ]  # fmt: skip
        if "6" in name:
            fast = np.abs(np.diff(q, axis=0)).max() * hands.RATE_HZ > _SPEED_RAD_S * (1 + 1e-9)
            rows.append(row(f"{label}: speed limit broken", float(fast), "yes or no", "== 0"))
        if "apart" in name:
            share = 100 * support.touching(shape, hand.tree, q)
            rows.append(row(f"{label}: frames with links in each other", share, "%"))
    return rows


def _bodies(setting: Setting) -> list[Row]:
    rows = []
    for name in ("g1_dex3", "g1_inspire"):
        robot = load_robot(name)
        shape = support.robot_shape(robot) if support.has_collisions() else None
        people = [bodies.body_targets(path, robot) for path in setting.motions[::4]]
        table = []
        for targets in [*people, bodies.clasped(people[0])]:
            points = bodies.hand_points(setting.p_hand, targets.frames)
            limit = 0.99 * np.asarray(robot.max_speed)
            more = {} if shape is None else {"self_collision": shape}
            problem = bodies.body_problem(robot, targets, points, max_speed=limit, **more)
            table.append(_body(robot, problem, targets, shape))
        label = f"{name}, one frame at a time, limits, speeds and collisions"
        times = np.concatenate([line["seconds"] for line in table])
        frames = sum(line["frames"] for line in table)
        rows += [
            row(f"{label}: frames", frames, "frames"),
            row(f"{label}: time, median", 1e3 * float(np.median(times)), "ms/frame"),
            row(f"{label}: time, p99", 1e3 * float(np.percentile(times, 99)), "ms/frame", "<= 2"),
        ]
        for what in ("wrist", "tip"):
            ours, clip = (sum(line[f"{kind}{what}"].sum() for line in table) for kind in ("", "clip_"))
            count = sum(line[what].size for line in table)
            rows.append(row(f"{label}: {what} error, mean", 1e3 * ours / count, "mm"))
            rows.append(row(f"{label}: {what} error over the whole clip's", ours / clip, "times", "<= 1.1"))
        for key, words, bar in (("beyond", "a limit", "== 0"), ("fast", "a speed limit", "== 0")):
            rows.append(row(f"{label}: frames beyond {words}", sum(x[key] for x in table), "frames", bar))
        if shape is not None:
            share = 100 * sum(line["touching"] for line in table) / frames
            rows.append(row(f"{label}: frames with links in each other", share, "%"))
    return rows


def _body(robot: Robot, problem: Problem, targets: bodies.BodyTargets, shape: Any) -> dict[str, Any]:
    """Figures of one motion; a frame's time is the least of a few passes, because other processes take turns too."""
    start = Start(joint_pos=bodies.standing(robot), T_world_base=targets.poses["pelvis"][0])
    stream = Stream(robot.tree, template(problem), start)
    vectors, turns, _ = targets_of(problem.terms)
    passes, steps = [], []
    for _ in range(_PASSES):
        stream.reset()
        steps = [stream.step(v, q) for v, q in zip(vectors, turns, strict=True)]
        passes.append([step.seconds for step in steps])
    q = np.array([step.joint_pos for step in steps])
    left = np.array([step.residual for step in steps])
    clip = np.array(bodies.solve_body(robot, problem, targets).residual).T
    names = [getattr(term, "site", getattr(term, "to_site", "")) for term in problem.terms]
    which = {what: [i for i, n in enumerate(names) if n.endswith(f"_{what}")] for what in ("wrist", "tip")}
    fast = np.abs(np.diff(q, axis=0)) * bodies.RATE_HZ > np.asarray(robot.max_speed) * (1 + 1e-9)
    out: dict[str, Any] = {
        "frames": len(q),
        "seconds": np.min(passes, axis=0)[1:],  # the first frame begins: it is solved as a clip of its own
        "beyond": violations(robot.tree, q),
        "fast": int(fast.any(axis=1).sum()),
        "touching": 0.0 if shape is None else support.touching(shape, robot.tree, q) * len(q),
    }
    return out | {k: left[:, i] for k, i in which.items()} | {f"clip_{k}": clip[:, i] for k, i in which.items()}
