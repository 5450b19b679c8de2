"""Whether the start matters: random frames as first frames, the solver's own start against others, per robot."""

from __future__ import annotations

from typing import Any

import numpy as np
from retargeting import bodies
from retargeting.measures import row
from retargeting.setting import Setting

from vidpretrain import geometry
from vidpretrain.errors import VidpretrainError
from vidpretrain.robot import Robot, load_robot, robot_names
from vidpretrain.solve import PostureTerm, Problem, Start, VectorTerm, solve_clip

Row = dict[str, Any]
_STARTS, _WINDOW, _WITHIN, _OTHERS = 100, 8, 1.05, 8


def starts(setting: Setting) -> list[Row]:
    """Every shipped robot: does the solver's own start reach the best cost that any start found?

    A body stands under a random heading, and the others are eight headings; a hand's others are random postures.
    """
    rows = []
    for name in robot_names():
        try:
            robot = load_robot(name)
        except VidpretrainError as error:
            setting.skipped.append(f"{name}: {error.message}")
            continue
        random = np.random.default_rng(0)
        body = "pelvis" in robot.tree.site_names
        people = [bodies.body_targets(path, robot) for path in setting.motions] if body else []
        count = 10 if setting.quick else _STARTS
        ratios = []
        for _ in range(count):
            if body:
                motion = people[int(random.integers(len(people)))]
                first = int(random.integers(motion.frames - _WINDOW))
                targets = motion.turned(float(random.uniform(-np.pi, np.pi)), first, _WINDOW)
                ratios.append(_body(robot, targets))
            else:
                first = int(random.integers(len(setting.p_hand) - _WINDOW))
                ratios.append(_hand(robot, setting.p_hand[first : first + _WINDOW], random))
        label = f"{name}, {count} starts"
        good = 100 * float(np.mean(np.array(ratios) <= _WITHIN))
        rows.append(row(f"{label}: within 5 % of the best of {_OTHERS}", good, "%", "== 100"))
        rows.append(row(f"{label}: worst over best cost", max(ratios), "times"))
    return rows


def _body(robot: Robot, targets: bodies.BodyTargets) -> float:
    """Cost from our own start over the least from any heading."""
    problem = bodies.body_problem(robot, targets)
    own = float(bodies.solve_body(robot, problem, targets).cost)
    best, pelvis = own, targets.poses["pelvis"]
    for k in range(1, _OTHERS):
        turn = geometry.quat_exp(np.array([0.0, 0.0, 2 * np.pi * k / _OTHERS]))
        base = geometry.pose(geometry.quat_mul(pelvis[:, :4], turn), pelvis[:, 4:])
        start = Start(joint_pos=bodies.standing(robot), T_world_base=base)
        best = min(best, float(solve_clip(robot.tree, problem, start).cost))
    return own / best


def _hand(robot: Robot, p_hand: np.ndarray, random: np.random.Generator) -> float:
    """Cost from the posture of rest over the least from any random one; the tips follow the person's, seen from the
    wrist."""
    tree = robot.tree
    side = "left" if "left_wrist" in tree.site_names else "right"
    points, joints = bodies.hand_points(p_hand, len(p_hand))[side], len(tree.joint_names)
    terms = tuple(
        VectorTerm(
            from_site=f"{side}_wrist",
            to_site=f"{side}_{finger}_tip",
            target_m=np.ascontiguousarray(points[:, 4 * f + 4]),
            weight=np.full(len(points), bodies.TIP_SIGMA_M**-2),
            frame_site=f"{side}_wrist",
        )
        for f, finger in enumerate(bodies.FINGERS)
        if f"{side}_{finger}_tip" in tree.site_names
    )
    problem = Problem(
        rate_hz=bodies.RATE_HZ,
        frames=len(points),
        terms=terms,
        posture=PostureTerm(q_ref=np.array(robot.home), weight=np.full(joints, bodies.POSTURE_RAD**-2)),
        acceleration_weight=np.full(joints, bodies.ACCELERATION_RAD_S2**-2),
    )
    lower, upper = (np.clip(limit, -np.pi, np.pi) for limit in tree.bounds())
    own = float(solve_clip(tree, problem, Start(joint_pos=robot.home)).cost)
    best = own
    for _ in range(_OTHERS):
        start = Start(joint_pos=random.uniform(lower, upper))
        best = min(best, float(solve_clip(tree, problem, start).cost))
    return own / best
