"""Balls under speed limits and in contact: what is promised is measured by rotation angles and distances alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.collision import CollisionModel, distances
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import PointTerm, Problem, Start, ball, solve_clip
from vidpretrain.tree import Tree, ball_joint, hinge_joint, tree_of

RATE, FRAMES = 30.0, 60
UPPER_M, FORE_M = 0.3, 0.25


def pose(*p: float) -> np.ndarray:
    return np.array([1.0, 0, 0, 0, *p])


def arm(shoulder: str) -> Tree:
    """An arm that hangs down at zero: a shoulder of a ball or of three hinges, and an elbow."""
    if shoulder == "ball":
        parts = [ball_joint("shoulder", None, pose(0, 0, 0))]
    else:
        axes = (("pitch", [0.0, 1, 0]), ("roll", [1.0, 0, 0]), ("yaw", [0.0, 0, 1]))
        up = [None, "pitch", "roll"]
        parts = [
            hinge_joint(name, parent, pose(0, 0, 0), np.array(axis), -3.1, 3.1)
            for (name, axis), parent in zip(axes, up, strict=True)
        ]
    last = "shoulder.z" if shoulder == "ball" else "yaw"
    parts.append(hinge_joint("elbow", last, pose(0, 0, -UPPER_M), np.array([0.0, 1, 0]), -2.6, 0.0))
    sites = {"elbow": (last, pose(0, 0, -UPPER_M)), "wrist": ("elbow", pose(0, 0, -FORE_M))}
    return tree_of(tuple(parts), sites)


def sweep(tree: Tree, cycles: float, to: np.ndarray) -> Problem:
    """The wrist goes to and fro between straight down and `to`."""
    t = np.arange(FRAMES) / FRAMES
    share = 0.5 - 0.5 * np.cos(2 * np.pi * cycles * t)
    target = (1 - share[:, None]) * np.array([0.1, 0.0, -0.5]) + share[:, None] * to
    n = len(tree.lower)
    return Problem(
        rate_hz=RATE,
        frames=FRAMES,
        terms=(PointTerm(site="wrist", p_world_target=target, weight=np.full(FRAMES, 1e4)),),
        velocity_weight=np.full(n, 1e-3),
        acceleration_weight=np.full(n, 1e-4),
    )


def turn_rad(tree: Tree, q: np.ndarray) -> np.ndarray:
    """(t - 1) the angle between a ball's rotation matrices of neighbouring frames."""
    j = int(tree.balls[0])
    R = geometry.matrix_from_quat(geometry.quat_exp(q[:, j : j + 3]))
    cosine = 0.5 * (np.einsum("tij,tij->t", R[1:], R[:-1]) - 1.0)
    sine = 0.5 * np.linalg.norm(np.swapaxes(R[1:], 1, 2) @ R[:-1] - np.swapaxes(R[:-1], 1, 2) @ R[1:], axis=(1, 2))
    return np.arctan2(sine / np.sqrt(2.0), cosine)


def bent(tree: Tree) -> Start:
    q = np.zeros(len(tree.lower))
    q[-1] = -0.5
    return Start(joint_pos=q)


@pytest.mark.parametrize("limit", [4.0, 1.5])
def test_a_ball_is_never_faster_than_its_limit(limit):
    tree = arm("ball")
    asked = sweep(tree, 2.0, np.array([0.2, 0.45, 0.1]))
    free = solve_clip(tree, asked, bent(tree))
    assert (turn_rad(tree, free.joint_pos) * RATE > limit).mean() > 0.3  # the targets do ask for more
    speeds = np.full(len(tree.lower), 9.0)
    speeds[:3] = limit, 2 * limit, np.inf  # the least of the three holds
    held = solve_clip(tree, dataclasses.replace(asked, max_speed=speeds), bent(tree))
    assert (turn_rad(tree, held.joint_pos) * RATE <= limit * (1 + 1e-6)).all()
    assert (tree.speed(held.joint_pos, RATE)[:, 3] <= 9.0).all()
    inside = (held.joint_pos >= tree.lower - 1e-12) & (held.joint_pos <= tree.upper + 1e-12)
    assert inside.all()
    assert np.median(turn_rad(tree, held.joint_pos)) * RATE > 0.5 * limit  # and it does move as fast as it may


@pytest.mark.parametrize("limit", [1.5, 2.5])
def test_under_a_speed_limit_a_ball_does_no_worse_than_the_one_hinge_it_contains(limit):
    """The way is in a plane, where the pitch alone is one of the ball's choices (three hinges have three limits)."""
    costs = {}
    for kind, speeds in (("ball", (limit, limit, limit, limit)), ("hinges", (limit, 1e-3, 1e-3, limit))):
        tree = arm(kind)
        asked = sweep(tree, 1.0, np.array([0.3, 0.0, 0.1]))
        free = solve_clip(tree, asked, bent(tree))
        held = solve_clip(tree, dataclasses.replace(asked, max_speed=np.array(speeds)), bent(tree))
        assert held.cost > 1.5 * free.cost
        assert (tree.speed(np.asarray(held.joint_pos), RATE) <= limit * (1 + 1e-6)).all()
        costs[kind] = held.cost
    assert costs["ball"] <= costs["hinges"]


def test_the_projection_stays_inside_limits_and_reaches_the_speed_exactly():
    random = np.random.default_rng(0)
    lower, upper, i = np.array([-0.4, -2.0, -3.0]), np.array([2.5, 0.3, 3.0]), 0
    for _ in range(20):
        Q = random.uniform(lower, upper, (30, 3))
        ball.slow_ball(Q, 0, lower, upper, i, 0.2)
        change = geometry.quat_mul(geometry.quat_exp(Q[1:]), geometry.quat_inverse(geometry.quat_exp(Q[:-1])))
        angle = np.linalg.norm(geometry.quat_log(change), axis=1)
        assert angle.max() <= 0.2 * (1 + 1e-6)
        assert ((lower <= Q) & (upper >= Q)).all()
        assert np.median(angle) > 0.19


def boxed(tree: Tree) -> CollisionModel:
    """A bar of the base's across the way of the forearm."""
    return CollisionModel(
        names=("bar", "forearm"),
        joint=np.array([-1, len(tree.lower) - 1]),
        p_joint_start=np.array([[0.25, -0.3, -0.35], [0.0, 0.0, -0.02]]),
        p_joint_end=np.array([[0.25, 0.3, -0.35], [0.0, 0.0, -FORE_M]]),
        radius_m=np.array([0.06, 0.03]),
        pairs=np.array([[0, 1]]),
    )


def test_an_arm_with_a_ball_shoulder_stays_out_of_a_bar_where_one_with_hinges_does():
    costs = {}
    for kind in ("ball", "hinges"):
        tree = arm(kind)
        asked = dataclasses.replace(
            sweep(tree, 1.0, np.array([0.42, 0.05, -0.2])), max_speed=np.full(len(tree.lower), 9.0)
        )
        free = solve_clip(tree, asked, bent(tree))
        gaps = distances(boxed(tree), tree, np.asarray(free.joint_pos))
        assert gaps.min() < -0.02  # the targets lead through the bar
        kept = solve_clip(tree, dataclasses.replace(asked, self_collision=boxed(tree)), bent(tree))
        assert distances(boxed(tree), tree, np.asarray(kept.joint_pos)).min() >= 0.0
        assert (tree.speed(np.asarray(kept.joint_pos), RATE) <= 9.0 * (1 + 1e-6)).all()
        assert kept.gave_way is not None
        assert kept.gave_way.any()
        clear = ~kept.gave_way
        wrist = [site_poses(tree, np.asarray(s.joint_pos), None, ["wrist"])[clear, 0, 4:] for s in (free, kept)]
        assert clear.sum() > 5
        np.testing.assert_allclose(wrist[0], wrist[1], atol=5e-3)
        costs[kind] = kept.cost
    assert costs["ball"] <= 1.5 * costs["hinges"]  # 1.32 when this was written
