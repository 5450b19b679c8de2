"""Balls and free joints in the solver: gradients, known motions through large turns, limits, structure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_solve_gradient import check_gradient

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import (
    DistanceTerm,
    FloorTerm,
    OrientationTerm,
    PointTerm,
    PostureTerm,
    Problem,
    Start,
    VectorTerm,
    ball,
    solve_clip,
    state,
)
from vidpretrain.solve.clip import total_cost
from vidpretrain.tree import Tree, ball_joint, free_joint, hinge_joint, slide_joint, tree_of

RATE = 30.0
TIP = np.array([1.0, 0, 0, 0, 0.05, 0.02, 0.2])


def arm() -> Tree:
    """A ball shoulder, a hinge elbow, a slide, a ball wrist, and a ball that no site hangs on."""
    T = np.array([0.9, 0.1, -0.3, 0.3, 0.02, 0.05, 0.3])
    T[:4] = geometry.normalize(T[:4])
    parts = (
        ball_joint("shoulder", None, T),
        hinge_joint("elbow", "shoulder", T, np.array([0.0, 0.6, 0.8]), -1.5, 2.5),
        slide_joint("rail", "elbow", T, np.array([0.0, 0.0, 1.0]), -0.1, 0.1),
        ball_joint("wrist", "rail", T),
        hinge_joint("finger", "wrist", T, np.array([1.0, 0.0, 0.0]), -1.0, 1.0),
        ball_joint("loose", "elbow", T),
    )
    sites = {
        "base": (None, TIP), "upper": ("shoulder", TIP), "lower": ("elbow", TIP), "hand": ("wrist.y", TIP),
        "tip": ("finger", TIP),
    }  # fmt: skip
    return tree_of(parts, sites)


def motion(tree: Tree, frames: int, seed: int = 0, turn_rad: float = 2.2) -> np.ndarray:
    """A smooth motion inside the limits whose balls turn far from their zero pose, and come through half a turn."""
    random = np.random.default_rng(seed)
    lower, upper = tree.bounds()
    t = np.arange(frames)[:, None] / RATE
    wave = np.sin(2 * np.pi * random.uniform(0.1, 0.3, len(lower)) * t + random.uniform(0, 6, len(lower)))
    q = 0.5 * (lower + upper) + 0.3 * np.minimum(upper - lower, 2.0) * wave
    for j in tree.balls:
        axis = geometry.normalize(random.normal(size=3) + 0.5 * wave[:, j : j + 3])
        q[:, j : j + 3] = axis * np.linspace(0.3, 0.3 + turn_rad, frames)[:, None]
    return tree.shortest(q)


def targets(tree: Tree, q: np.ndarray, base: np.ndarray | None = None) -> tuple:
    """Terms that pin the arm down: points, an orientation, vectors in the hand's and in the world's axes."""
    poses = dict(zip(tree.site_names, np.moveaxis(site_poses(tree, q, base), 1, 0), strict=True))
    one = np.ones(len(q)) / 0.01**2
    tip_m = geometry.transform(geometry.inverse(poses["hand"]), poses["tip"][:, 4:])
    return (
        PointTerm(site="upper", p_world_target=poses["upper"][:, 4:], weight=one),
        PointTerm(site="lower", p_world_target=poses["lower"][:, 4:], weight=one),
        PointTerm(site="hand", p_world_target=poses["hand"][:, 4:], weight=one),
        OrientationTerm(site="hand", q_world_target=poses["hand"][:, :4], weight=one / 10),
        VectorTerm(from_site="hand", to_site="tip", frame_site="hand", target_m=tip_m, weight=one),
        VectorTerm(from_site="lower", to_site="tip", target_m=poses["tip"][:, 4:] - poses["lower"][:, 4:], weight=one),
    )


def problem(tree: Tree, terms: tuple, frames: int, **changes) -> Problem:
    n = len(tree.joint_names)
    weak = {
        "posture": PostureTerm(q_ref=np.zeros(n), weight=np.full(n, 1e-6)),
        "velocity_weight": np.full(n, 1e-6),
        "acceleration_weight": np.full(n, 1e-8),
    }
    return Problem(rate_hz=RATE, frames=frames, terms=terms, **{**weak, **changes})


@pytest.mark.parametrize("free_base", [True, False])
@pytest.mark.parametrize("huber", [None, 0.05])
def test_gradient_equals_finite_differences(huber, free_base):
    tree, frames = arm(), 5
    random = np.random.default_rng(1)
    n = len(tree.joint_names)
    truth = motion(tree, frames, 1)
    high = site_poses(tree, truth, None, ["tip"])[:, 0, 6]
    one = np.full(frames, 1e3)
    rows = (
        *targets(tree, truth),
        DistanceTerm(from_site="upper", to_site="tip", distance_m=np.full(frames, 0.1), weight=one),
        FloorTerm(site="tip", z_world_m=high + 0.5, weight=one),
    )
    rows = tuple(
        dataclasses.replace(term, **{"huber_rad" if hasattr(term, "huber_rad") else "huber_m": huber}) for term in rows
    )
    asked = problem(
        tree,
        rows,
        frames,
        posture=PostureTerm(q_ref=random.normal(size=n), weight=random.uniform(1, 5, size=n)),
        velocity_weight=random.uniform(0.2, 1.0, size=n),
        acceleration_weight=random.uniform(0.01, 0.04, size=n),
        free_base=free_base,
        base_velocity_weight=(0.7, 0.4),
        base_acceleration_weight=(0.03, 0.02),
    )
    Q = truth + 0.1 * random.normal(size=(frames, n))
    Q = np.clip(tree.shortest(Q), tree.lower + 0.01, tree.upper - 0.01)
    for j in tree.balls:
        assert np.linalg.norm(Q[:, j : j + 3], axis=1).max() > 0.6 * np.pi
    base_q = geometry.quat_exp(np.cumsum(0.6 * random.normal(size=(frames, 3)), axis=0))
    start = Start(joint_pos=Q, T_world_base=geometry.pose(base_q, random.normal(size=(frames, 3))))
    work, _ = state.begin(tree, asked, start)
    for c in np.flatnonzero(np.diff(work.L.var_at)):
        for lo, hi in ((0, frames), (1, 4), (2, 3)):
            check_gradient(work, int(c), lo, hi)


@pytest.mark.parametrize("seed", range(4))
def test_recovers_a_known_motion_through_large_turns(seed):
    tree = arm()
    truth = motion(tree, 60, seed, turn_rad=5.5)
    ends = [np.linalg.norm(truth[:, j : j + 3], axis=1) for j in tree.balls]
    assert max(end.max() for end in ends) > 3.0  # the rotation vector comes to its end and begins again
    solution = solve_clip(tree, problem(tree, targets(tree, truth), 60), Start(joint_pos=truth[0]))
    apart = np.linalg.norm(site_poses(tree, solution.joint_pos)[..., 4:] - site_poses(tree, truth)[..., 4:], axis=-1)
    assert apart.max() < 1e-3
    assert solution.converged.mean() > 0.9
    turned = tree.change(truth, solution.joint_pos)
    assert np.abs(turned[:, [tree.joint(f"wrist.{a}") for a in "xyz"]]).max() < 0.02
    assert (np.abs(tree.change(solution.joint_pos[:-1], solution.joint_pos[1:])) < 0.3).all()
    assert (solution.joint_pos >= tree.lower).all()
    assert (solution.joint_pos <= tree.upper).all()


@pytest.mark.parametrize("seed", range(3))
def test_recovers_from_a_start_far_away(seed):
    tree = arm()
    truth = motion(tree, 40, seed, turn_rad=1.0)
    solution = solve_clip(tree, problem(tree, targets(tree, truth), 40), Start(joint_pos=np.zeros(len(tree.lower))))
    apart = np.linalg.norm(site_poses(tree, solution.joint_pos)[..., 4:] - site_poses(tree, truth)[..., 4:], axis=-1)
    assert apart.max() < 1e-3


def test_a_free_object_is_followed():
    tree = tree_of(
        (free_joint("cup", None, TIP),),
        {f"p{i}": ("cup", np.array([1.0, 0, 0, 0, *p])) for i, p in enumerate(np.eye(3))},
    )
    frames, random = 90, np.random.default_rng(0)
    t = np.linspace(0, 1, frames)[:, None]
    truth = tree.shortest(np.concatenate([np.sin(3 * t + [0, 1, 2]), t * [2.0, 5.0, 1.0]], axis=1))
    poses = site_poses(tree, truth)
    noise = 0.005 * random.normal(size=(frames, 3, 3))
    terms = tuple(
        PointTerm(site=f"p{i}", p_world_target=poses[:, i, 4:] + noise[:, i], weight=np.full(frames, 1 / 0.005**2))
        for i in range(3)
    )
    asked = problem(tree, terms, frames, acceleration_weight=np.full(6, 1e-2))
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(6)))
    error = tree.change(truth, solution.joint_pos)
    assert np.sqrt((error**2).mean(axis=0)).max() < 0.005  # frames help each other: below the noise of one
    assert solution.converged.all()


def test_limits_are_never_violated_and_the_best_inside_is_found():
    tree, frames = arm(), 40
    truth = motion(tree, frames, 2, turn_rad=2.0)
    lower, upper = np.array(tree.lower), np.array(tree.upper)
    for name, low, high in (("shoulder.x", -0.4, 0.4), ("shoulder.z", -0.2, 0.3), ("wrist.y", -0.5, 0.1)):
        lower[tree.joint(name)], upper[tree.joint(name)] = low, high
    asked = problem(tree, targets(tree, truth), frames, lower=lower, upper=upper, max_iterations=200, tolerance=1e-9)
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(len(lower))))
    q = solution.joint_pos
    assert (q >= lower).all()
    assert (q <= upper).all()
    at_limit = (q[:, tree.joint("shoulder.x")] <= lower[0]) | (q[:, tree.joint("shoulder.x")] >= upper[0])
    assert at_limit.any()
    # no small change inside the limits is cheaper, in any frame and any direction of the rotation vectors
    random = np.random.default_rng(0)
    work, _ = state.begin(tree, asked, Start(joint_pos=q))
    least = total_cost(work)
    np.testing.assert_allclose(least, solution.cost, rtol=1e-9)
    worse = []
    for _ in range(300):
        work.st.Q[:] = q
        t, size = random.integers(frames), 10.0 ** random.uniform(-4, -2)
        work.st.Q[t] = np.clip(q[t] + size * random.normal(size=len(lower)), lower, upper)
        worse.append(total_cost(work) / least - 1.0)
    assert min(worse) > -1e-6


def test_an_inactive_ball_stays_and_is_folded_away():
    tree, frames = arm(), 20
    truth = motion(tree, frames, 0)
    active = np.ones(len(tree.lower), dtype=bool)
    active[tree.balls[0] : tree.balls[0] + 3] = False
    for still in (True, False):
        start = np.array(truth)
        start[:, 3:] = 0.1
        if still:
            start[:] = start[5]
            truth[:, :3] = start[:, :3]
        asked = problem(tree, targets(tree, truth), frames, active_joints=active)
        solution = solve_clip(tree, asked, Start(joint_pos=start))
        np.testing.assert_array_equal(solution.joint_pos[:, :3], start[:, :3])
        sites = [site_poses(tree, q)[..., 4:] for q in (solution.joint_pos, truth)]
        np.testing.assert_allclose(sites[0], sites[1], atol=2e-3)
    active[0] = True
    with pytest.raises(ValueError, match="as a whole"):
        solve_clip(tree, dataclasses.replace(asked, active_joints=active), Start(joint_pos=start))


def test_components_keep_balls_whole_and_last():
    tree = arm()
    asked = problem(tree, targets(tree, motion(tree, 3)), 3)
    L = state.begin(tree, asked, Start(joint_pos=np.zeros(len(tree.lower))))[0].L
    loose = tree.joint("loose.x")
    for c in range(len(L.base)):
        own = L.var_column[L.var_at[c] : L.var_at[c + 1]].tolist()
        flat, balls = own[: L.ball_at[c]], own[L.ball_at[c] :]
        assert all(tree.kind[j] != "ball" for j in flat)
        assert set(balls[::3]) <= set(tree.balls.tolist())
        assert balls == [j + k for j in balls[::3] for k in range(3)]
        assert not (L.newton[c] and balls)
        assert (loose not in own) or own == [loose, loose + 1, loose + 2]


def test_a_turn_is_written_short_or_the_way_that_fits():
    random = np.random.default_rng(0)
    Q, wide, i = np.zeros((1, 3)), np.full(3, np.pi), 0
    for _ in range(200):
        a, b = random.normal(size=3) * 1.5, random.normal(size=3) * 1.5
        w = np.array(ball.composed(a[0], a[1], a[2], b[0], b[1], b[2]))
        both = geometry.quat_mul(geometry.quat_exp(a), geometry.quat_exp(b))
        np.testing.assert_allclose(
            geometry.matrix_from_quat(geometry.quat_exp(w)), geometry.matrix_from_quat(both), atol=1e-12
        )
        assert np.linalg.norm(w) <= np.pi + 1e-12
        ball.put_ball(Q, 0, 0, w[0], w[1], w[2], -wide, wide, i)
        np.testing.assert_array_equal(Q[0], w)
    low, high = np.array([0.0, -1.0, -1.0]), np.array([4.0, 1.0, 1.0])
    ball.put_ball(Q, 0, 0, -3.0, 0.0, 0.0, low, high, i)
    np.testing.assert_allclose(Q[0], [2 * np.pi - 3.0, 0.0, 0.0])
    ball.put_ball(Q, 0, 0, -0.3, 0.2, 0.0, low, high, i)
    np.testing.assert_allclose(Q[0], [0.0, 0.2, 0.0])


def test_gradients_by_rotation_vector_and_by_turn_fit_together():
    random, h = np.random.default_rng(0), 1e-6
    for _ in range(50):
        w, g, out, back = random.normal(size=3), random.normal(size=3), np.empty(3), np.empty(3)
        ball.push(w, g, out)
        ball.pull(1.0, w, out, back)
        np.testing.assert_allclose(back, g, atol=1e-12)
        R = geometry.quat_inverse(geometry.quat_exp(w))
        columns = [
            geometry.quat_log(geometry.quat_mul(geometry.quat_exp(w + h * e), R))
            - geometry.quat_log(geometry.quat_mul(geometry.quat_exp(w - h * e), R))
            for e in np.eye(3)
        ]
        np.testing.assert_allclose(np.array(columns) / (2 * h) @ g, out, atol=1e-8)
