"""The solver recovers known motions, never leaves its limits, and takes targets that are not there."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import UnknownName
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
    solve_clip,
    state,
)
from vidpretrain.tree import Tree

RATE = 30.0


def arm(joints: int = 7, links: float = 0.2) -> Tree:
    """A chain of hinges with two sites on the base, one on the middle, a hand with a mimic finger at the end."""
    random = np.random.default_rng(5)
    count = joints + 3
    axis = np.zeros((count, 3))
    axis[np.arange(count), np.arange(count) % 3] = 1.0
    T = np.tile(geometry.IDENTITY_POSE, (count, 1))
    T[1:, 4:] = links * geometry.normalize(random.normal(size=(count - 1, 3)))
    parent = np.arange(count) - 1
    parent[joints + 2] = joints - 1  # a slide beside the finger
    axis[joints : joints + 2] = [0.0, 0.0, 1.0]
    source = np.full(count, -1)
    source[joints + 1] = joints
    offset = np.tile(np.array([1.0, 0, 0, 0, 0.1, 0.02, 0.0]), (5, 1))
    return Tree(
        joint_names=tuple(f"j{i}" for i in range(count)),
        kind=("hinge",) * (count - 1) + ("slide",),
        parent=parent,
        T_parent_zero=T,
        axis=axis,
        lower=np.array([-1.5] * joints + [0.0, 0.0, -0.1]),
        upper=np.array([1.5] * joints + [1.2, 1.0, 0.1]),
        mimic_source=source,
        mimic_ratio=np.where(source >= 0, 0.8, 1.0),
        mimic_offset=np.where(source >= 0, 0.05, 0.0),
        site_names=("base", "middle", "wrist", "finger", "knob"),
        site_joint=np.array([-1, joints // 2, joints - 1, joints + 1, joints + 2]),
        T_joint_site=offset,
    )


def motion(tree: Tree, frames: int, seed: int = 0, share: float = 0.6) -> np.ndarray:
    """A smooth motion inside the limits."""
    random = np.random.default_rng(seed)
    lower, upper = tree.bounds()
    t = np.arange(frames)[:, None] / RATE
    wave = np.sin(2 * np.pi * random.uniform(0.1, 0.4, len(lower)) * t + random.uniform(0, 6, len(lower)))
    return tree.with_mimic(0.5 * (lower + upper) + 0.5 * share * (upper - lower) * wave)


def targets(tree: Tree, q: np.ndarray, base: np.ndarray | None = None) -> tuple:
    """Terms that pin the whole arm down: points, an orientation, a vector in the wrist's frame."""
    poses = dict(zip(tree.site_names, np.moveaxis(site_poses(tree, q, base), 1, 0), strict=True))
    one = np.ones(len(q))
    wrist = poses["wrist"]
    return (
        PointTerm(site="middle", p_world_target=poses["middle"][:, 4:], weight=one / 0.01**2),
        PointTerm(site="wrist", p_world_target=wrist[:, 4:], weight=one / 0.01**2),
        OrientationTerm(site="wrist", q_world_target=2.0 * wrist[:, :4], weight=one / 0.1**2),
        VectorTerm(
            from_site="wrist",
            to_site="finger",
            frame_site="wrist",
            target_m=geometry.transform(geometry.inverse(wrist), poses["finger"][:, 4:]),
            weight=one / 0.01**2,
        ),
        VectorTerm(
            from_site="wrist",
            to_site="knob",
            target_m=poses["knob"][:, 4:] - wrist[:, 4:],
            weight=one / 0.01**2,
        ),
    )


def problem(tree: Tree, terms: tuple, frames: int, **changes) -> Problem:
    n = len(tree.joint_names)
    weak = {
        "posture": PostureTerm(q_ref=np.zeros(n), weight=np.full(n, 1e-6)),
        "velocity_weight": np.full(n, 1e-6),
        "acceleration_weight": np.full(n, 1e-8),
    }
    return Problem(rate_hz=RATE, frames=frames, terms=terms, **{**weak, **changes})


def assert_inside(tree: Tree, q: np.ndarray, max_speed: np.ndarray | None = None) -> None:
    """Exactly: no tolerance."""
    assert np.isfinite(q).all()
    assert (q >= tree.lower).all()
    assert (q <= tree.upper).all()
    np.testing.assert_array_equal(q, tree.with_mimic(q))
    if max_speed is not None:
        assert (np.abs(np.diff(q, axis=0)) * RATE <= max_speed).all()


@pytest.mark.parametrize("seed", range(4))
def test_recovers_a_known_motion(seed):
    tree = arm()
    truth = motion(tree, 60, seed)
    solution = solve_clip(tree, problem(tree, targets(tree, truth), 60), Start(joint_pos=np.zeros(10)))
    found, wanted = site_poses(tree, solution.joint_pos), site_poses(tree, truth)
    assert np.linalg.norm(found - wanted, axis=-1)[..., 4:].max() < 1e-3
    assert np.linalg.norm((found - wanted)[..., 4:], axis=-1).max() < 1e-3
    assert np.abs(solution.joint_pos - truth).max() < 0.02
    assert solution.converged.all()
    assert all((r < 2e-3).all() for r in solution.residual)
    assert_inside(tree, solution.joint_pos)


def test_recovers_a_motion_with_a_moving_base():
    tree = arm()
    truth = motion(tree, 50, 7)
    t = np.arange(50) / RATE
    turn = np.stack([0.3 * np.sin(t), 0.2 * np.cos(2 * t), 1.5 * t], axis=-1)  # more than a right angle about z
    base = geometry.pose(geometry.quat_exp(turn), np.stack([t, 0.3 * np.sin(3 * t), 0.1 * t], axis=-1))
    terms = (
        *targets(tree, truth, base),
        PointTerm(
            site="base", p_world_target=site_poses(tree, truth, base, ["base"])[:, 0, 4:], weight=np.full(50, 1e4)
        ),
        OrientationTerm(site="base", q_world_target=base[:, :4], weight=np.full(50, 1e2)),
    )
    asked = problem(
        tree, terms, 50, free_base=True, base_velocity_weight=(1e-6, 1e-6), base_acceleration_weight=(1e-8, 1e-8)
    )
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(10)))
    assert np.abs(solution.T_world_base[:, 4:] - base[:, 4:]).max() < 1e-3
    assert geometry.angle_between(solution.T_world_base[:, :4], base[:, :4]).max() < 5e-3
    found = site_poses(tree, solution.joint_pos, solution.T_world_base)
    assert np.abs(found[..., 4:] - site_poses(tree, truth, base)[..., 4:]).max() < 1e-3
    assert_inside(tree, solution.joint_pos)


def test_reported_residuals_are_the_distances():
    tree = arm()
    truth = motion(tree, 20, 1)
    terms = targets(tree, truth)
    far = dataclasses.replace(terms[1], p_world_target=terms[1].p_world_target + np.array([0, 0, 3.0]))
    turned = geometry.quat_mul(terms[2].q_world_target, np.broadcast_to(geometry.quat_exp([1.0, 0, 0]), (20, 4)))
    terms = (dataclasses.replace(terms[2], q_world_target=turned), far, *terms[3:])
    solution = solve_clip(tree, problem(tree, terms, 20), Start(joint_pos=np.zeros(10)))
    found = site_poses(tree, solution.joint_pos)
    wrist, finger = found[:, 2], found[:, 3]
    angle = geometry.angle_between(wrist[:, :4], geometry.normalize(turned))
    np.testing.assert_allclose(solution.residual[0], angle, atol=1e-9)
    np.testing.assert_allclose(
        solution.residual[1], np.linalg.norm(wrist[:, 4:] - far.p_world_target, axis=-1), atol=1e-9
    )
    local = geometry.transform(geometry.inverse(wrist), finger[:, 4:])
    np.testing.assert_allclose(solution.residual[2], np.linalg.norm(local - terms[2].target_m, axis=-1), atol=1e-9)
    assert (solution.residual[1] > 0.5).all()
    assert_inside(tree, solution.joint_pos)


@pytest.mark.parametrize("speed", [0.3, 1.0, 4.0])
def test_limits_hold_exactly_when_targets_jump(speed):
    tree = arm()
    random = np.random.default_rng(0)
    truth = np.repeat(motion(tree, 90, 2, share=1.0)[::10], 10, axis=0) + random.normal(scale=0.05, size=(90, 10))
    max_speed = np.full(10, speed)
    max_speed[8] = 0.4 * speed  # the follower holds its source back
    asked = problem(tree, targets(tree, truth), 90, max_speed=max_speed)
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(10)))
    assert_inside(tree, solution.joint_pos, max_speed)
    fast = (np.abs(np.diff(solution.joint_pos, axis=0)) * RATE > 0.9 * max_speed).any(axis=0)
    assert fast[:7].any()  # the limit is used, not dodged


def test_a_speed_limit_costs_less_than_clamping_afterwards():
    tree = arm()
    truth = np.repeat(motion(tree, 60, 3)[::15], 15, axis=0)
    terms = targets(tree, truth)
    max_speed = np.full(10, 3.0)
    free = solve_clip(tree, problem(tree, terms, 60), Start(joint_pos=np.zeros(10)))
    held = solve_clip(tree, problem(tree, terms, 60, max_speed=max_speed), Start(joint_pos=np.zeros(10)))
    clamped = np.array(free.joint_pos)
    for t in range(1, 60):
        clamped[t] = clamped[t - 1] + np.clip(clamped[t] - clamped[t - 1], -3.0 / RATE, 3.0 / RATE)
    wanted = site_poses(tree, truth, None, ["wrist"])[:, 0, 4:]

    def squared(q):
        return float((np.linalg.norm(site_poses(tree, q, None, ["wrist"])[:, 0, 4:] - wanted, axis=-1) ** 2).sum())

    assert squared(held.joint_pos) < 0.8 * squared(clamped)


def test_narrower_limits_and_fixed_joints_are_kept():
    tree = arm()
    truth = motion(tree, 30, 4)
    lower, upper = np.full(10, -0.2), np.full(10, 0.3)
    active = np.ones(10, dtype=bool)
    active[[2, 5]] = False
    start = np.full(10, 0.1)
    asked = problem(tree, targets(tree, truth), 30, lower=lower, upper=upper, active_joints=active)
    solution = solve_clip(tree, asked, Start(joint_pos=start))
    q = solution.joint_pos
    assert_inside(tree, q)
    independent = tree.independent
    assert (q[:, independent] >= lower[independent]).all()
    assert (q[:, independent] <= upper[independent]).all()
    np.testing.assert_array_equal(q[:, [2, 5]], 0.1)
    touching = (q[:, :7] == 0.3) | (q[:, :7] == -0.2)
    assert touching.any()


def test_missing_targets_are_bridged():
    tree = arm()
    truth = motion(tree, 60, 5, share=0.4)
    terms = []
    for term in targets(tree, truth):
        name = next(f for f in ("p_world_target", "q_world_target", "target_m") if hasattr(term, f))
        value, weight = np.array(getattr(term, name)), np.array(term.weight)
        value[20:24] = np.nan
        weight[40], weight[41] = 0.0, np.nan
        value[41] = 1e6  # weightless, so it does not matter
        terms.append(dataclasses.replace(term, **{name: value, "weight": weight}))
    asked = problem(tree, tuple(terms), 60, acceleration_weight=np.full(10, 1e-4))
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(10)))
    assert_inside(tree, solution.joint_pos)
    for residual in solution.residual:
        assert np.isnan(residual[[20, 23, 40, 41]]).all()
        assert np.isfinite(np.delete(residual, [20, 21, 22, 23, 40, 41])).all()
    gap = site_poses(tree, solution.joint_pos)[20:24, 2, 4:] - site_poses(tree, truth)[20:24, 2, 4:]
    assert np.linalg.norm(gap, axis=-1).max() < 0.02


def test_nothing_to_do_keeps_the_posture():
    tree = arm()
    q_ref = np.array([0.3] * 7 + [0.4, 0.0, 0.05])
    nothing = PointTerm(site="wrist", p_world_target=np.full((8, 3), np.nan), weight=np.ones(8))
    asked = problem(tree, (nothing,), 8, posture=PostureTerm(q_ref=q_ref, weight=np.ones(10)))
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(10)))
    np.testing.assert_allclose(solution.joint_pos, np.tile(tree.with_mimic(q_ref), (8, 1)), atol=1e-6)
    assert solution.converged.all()
    one = solve_clip(tree, problem(tree, (), 1), Start(joint_pos=q_ref))
    assert one.joint_pos.shape == (1, 10)
    none = solve_clip(tree, problem(tree, (), 3, active_joints=np.zeros(10, dtype=bool)), Start(joint_pos=q_ref))
    np.testing.assert_array_equal(none.joint_pos, np.tile(tree.with_mimic(q_ref), (3, 1)))


def test_a_robust_loss_ignores_an_outlier():
    tree = arm()
    truth = motion(tree, 40, 6, share=0.3)
    terms = list(targets(tree, truth))
    p = np.array(terms[1].p_world_target)
    p[20] += [0.3, -0.3, 0.2]
    smooth = {"acceleration_weight": np.full(10, 1e-3)}
    errors = {}
    for huber in (None, 0.005):
        terms[1] = dataclasses.replace(terms[1], p_world_target=p, huber_m=huber)
        solution = solve_clip(tree, problem(tree, tuple(terms), 40, **smooth), Start(joint_pos=np.zeros(10)))
        off = site_poses(tree, solution.joint_pos)[20, 2, 4:] - site_poses(tree, truth)[20, 2, 4:]
        errors[huber] = np.linalg.norm(off)
    assert errors[0.005] < 0.3 * errors[None]


def test_weights_do_not_depend_on_the_rate():
    tree = arm()
    results = {}
    for every in (1, 2):
        truth = motion(tree, 120, 8)[::every]
        random = np.random.default_rng(0)
        noise = np.repeat(random.normal(scale=0.02, size=(60, 3)), 2, axis=0)[::every]
        terms = targets(tree, truth)
        terms = (terms[0], dataclasses.replace(terms[1], p_world_target=terms[1].p_world_target + noise), *terms[2:])
        asked = dataclasses.replace(
            problem(tree, terms, len(truth), velocity_weight=np.full(10, 0.3), acceleration_weight=np.full(10, 1e-3)),
            rate_hz=RATE / every,
        )
        results[every] = solve_clip(tree, asked, Start(joint_pos=np.zeros(10))).joint_pos[:: 2 // every]
    assert np.abs(results[1] - results[2]).mean() < 0.01
    assert np.abs(np.diff(results[1], axis=0)).mean() > 0.02


def test_the_same_question_has_the_same_answer_and_arguments_stay():
    tree = arm()
    truth = motion(tree, 30, 9)
    start = np.zeros(10)
    asked = problem(tree, targets(tree, truth), 30, max_speed=np.full(10, 2.0))
    before = truth.copy()
    first = solve_clip(tree, asked, Start(joint_pos=start))
    second = solve_clip(tree, asked, Start(joint_pos=start))
    np.testing.assert_array_equal(first.joint_pos, second.joint_pos)
    np.testing.assert_array_equal(truth, before)
    assert not start.any()


def test_memory_grows_with_frames_only():
    tree = arm()
    truth = motion(tree, 1200, 0)
    asked = problem(tree, targets(tree, truth), 1200)
    solve_clip(tree, problem(tree, targets(tree, truth[:4]), 4), Start(joint_pos=np.zeros(10)))
    tracemalloc.start()
    solve_clip(tree, asked, Start(joint_pos=np.zeros(10)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1200 * 16_000  # the band is 9 x 19 numbers a frame


@pytest.mark.parametrize(
    ("changes", "start", "words"),
    [
        ({"frames": 9}, np.zeros(10), "term 0"),
        ({}, np.zeros(9), "start is"),
        ({}, np.full(10, np.nan), "not finite"),
        ({"lower": np.full(10, 2.0)}, np.zeros(10), "limits"),
        ({"max_speed": np.zeros(10)}, np.zeros(10), "max_speed"),
        ({"velocity_weight": np.zeros(3)}, np.zeros(10), "wanted"),
    ],
)
def test_contradictions_are_refused(changes, start, words):
    tree = arm()
    asked = dataclasses.replace(problem(tree, targets(tree, motion(tree, 8)), 8), **changes)
    with pytest.raises(ValueError, match=words):
        solve_clip(tree, asked, Start(joint_pos=start))


def test_unknown_sites_are_named():
    tree = arm()
    term = PointTerm(site="rist", p_world_target=np.zeros((4, 3)), weight=np.ones(4))
    with pytest.raises(UnknownName, match="did you mean 'wrist'"):
        solve_clip(tree, problem(tree, (term,), 4), Start(joint_pos=np.zeros(10)))


def test_a_hand_falls_apart_into_fingers_and_costs_the_same():
    tree = arm()
    truth = motion(tree, 20, 3)
    terms = targets(tree, truth)
    local = (*terms[:3], terms[3])  # the finger is measured in the wrist's axes, the knob in the world's
    work, _ = state.begin(tree, problem(tree, local, 20), Start(joint_pos=np.zeros(10)))
    assert sorted(np.diff(work.L.var_at)) == [1, 1, 7]  # the knob's slide, the finger, the arm
    whole, _ = state.begin(tree, problem(tree, terms, 20), Start(joint_pos=np.zeros(10)))
    assert sorted(np.diff(whole.L.var_at)) == [1, 8]  # the knob in the world's axes turns with the arm


def test_a_pinch_and_a_floor():
    tree = arm()
    truth = motion(tree, 30, 2, share=0.3)
    terms = targets(tree, truth)[:3]
    poses = site_poses(tree, truth)
    floor = poses[:, 4, 6] + 0.01
    one = np.ones(30)
    terms = (
        *terms,
        DistanceTerm(from_site="finger", to_site="knob", distance_m=0.15 * one, weight=one / 0.001**2),
        FloorTerm(site="knob", z_world_m=floor, weight=one / 0.001**2),
    )
    solution = solve_clip(tree, problem(tree, terms, 30), Start(joint_pos=np.zeros(10)))
    found = site_poses(tree, solution.joint_pos)
    distance = np.linalg.norm(found[:, 3, 4:] - found[:, 4, 4:], axis=-1)
    np.testing.assert_allclose(solution.residual[3], np.abs(distance - 0.15), atol=1e-9)
    assert np.median(np.abs(distance - 0.15)) < 2e-3
    assert (found[:, 4, 6] > floor - 2e-3).mean() > 0.9
    assert (poses[:, 4, 6] < floor - 5e-3).all()
    assert_inside(tree, solution.joint_pos)


@pytest.mark.parametrize("loss", ["cauchy", "tukey"])
def test_a_redescending_loss_forgets_an_outlier(loss):
    tree = arm()
    truth = motion(tree, 40, 6, share=0.3)
    terms = list(targets(tree, truth))
    p = np.array(terms[1].p_world_target)
    p[20:22] += [0.3, -0.3, 0.2]
    smooth = {"acceleration_weight": np.full(10, 1e-3)}
    errors = {}
    for kind, scale in ((None, None), ("huber", 0.02), (loss, 0.02)):
        changes = {} if kind is None else {"loss": kind}
        terms[1] = dataclasses.replace(terms[1], p_world_target=p, huber_m=scale, **changes)
        solution = solve_clip(tree, problem(tree, tuple(terms), 40, **smooth), Start(joint_pos=np.zeros(10)))
        off = site_poses(tree, solution.joint_pos)[20, 2, 4:] - site_poses(tree, truth)[20, 2, 4:]
        errors[kind] = np.linalg.norm(off)
    assert errors[loss] < 0.5 * errors["huber"] < errors[None]
