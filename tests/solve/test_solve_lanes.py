"""Eight stretches side by side give what one frame after the other gives, and wrong turns are found and undone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numba import njit

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import PointTerm, PostureTerm, Problem, Start, VectorTerm, begin, descend, solve_clip, state
from vidpretrain.solve.band import factor, solve
from vidpretrain.solve.lane_band import lane_band, lane_solve
from vidpretrain.solve.lane_clip import lane_cost, lane_curvature, lane_descend
from vidpretrain.solve.lane_rows import pair_at, suits
from vidpretrain.solve.lanes import LANES, load, sine_cosine, store
from vidpretrain.solve.speed import curvature
from vidpretrain.tree import Tree

RATE = 30.0


def hand(fingers: int = 2, joints: int = 4, mimic: bool = True, seed: int = 3) -> Tree:
    """Fingers of hinges on a palm, each with a knuckle in its middle and a tip; the last joint follows the one before,
    and one finger has a slide."""
    random = np.random.default_rng(seed)
    count = fingers * joints
    finger = np.arange(count) // joints
    place = np.arange(count) % joints
    axis = np.where((place == 0)[:, None], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0])
    T = np.tile(geometry.IDENTITY_POSE, (count, 1))
    knuckles = np.stack([0.08 + 0 * finger, 0.03 * finger, 0 * finger], axis=1)
    T[:, 4:] = np.where((place == 0)[:, None], knuckles, [0.03, 0, 0])
    T[:, :4] = geometry.quat_exp(0.2 * random.normal(size=(count, 3)))
    source = np.where((place == joints - 1) & mimic, np.arange(count) - 1, -1)
    kind = ["hinge"] * count
    if not mimic:
        kind[1] = "slide"
    slide = np.array([k == "slide" for k in kind])
    offset = np.tile(np.array([1.0, 0, 0, 0, 0.02, 0.0, 0.0]), (2 * fingers + 1, 1))
    return Tree(
        joint_names=tuple(f"j{i}" for i in range(count)),
        kind=tuple(kind),
        parent=np.where(place == 0, -1, np.arange(count) - 1),
        T_parent_zero=T,
        axis=axis,
        lower=np.where(slide, -0.01, np.where(place == 0, -0.5, -0.2)),
        upper=np.where(slide, 0.02, np.where(place == 0, 0.5, 1.6)),
        mimic_source=source,
        mimic_ratio=np.where(source >= 0, 0.7, 1.0),
        mimic_offset=np.where(source >= 0, 0.03, 0.0),
        site_names=("palm", *(f"{part}{f}" for f in range(fingers) for part in ("knuckle", "tip"))),
        site_joint=np.array([-1, *(f * joints + j for f in range(fingers) for j in (joints - 2, joints - 1))]),
        T_joint_site=offset,
    )


def wave(tree: Tree, frames: int, seed: int = 0) -> np.ndarray:
    """A quick motion that touches its limits."""
    random = np.random.default_rng(seed)
    lower, upper = tree.bounds()
    t = np.arange(frames)[:, None] / RATE
    phase, rate = random.uniform(0, 6, len(lower)), random.uniform(0.3, 1.5, len(lower))
    q = 0.5 * (lower + upper) + 0.6 * (upper - lower) * np.sin(2 * np.pi * rate * t + phase)
    return tree.with_mimic(np.clip(q, lower, upper))


def problem(tree: Tree, frames: int, noise_m: float = 0.0, **changes) -> Problem:
    """Tips and knuckles as vectors from the palm, some missing."""
    places = site_poses(tree, wave(tree, frames))[..., 4:]
    random = np.random.default_rng(1)
    terms = []
    for i, site in enumerate(tree.site_names[1:], start=1):
        target = places[:, i] - places[:, 0] + noise_m * random.normal(size=(frames, 3))
        target[5:8] = np.nan
        terms.append(
            VectorTerm(
                from_site="palm", to_site=site, frame_site="palm", target_m=target, weight=np.full(frames, 1e4),
                huber_m=0.01 if i % 2 else None,
            )
        )  # fmt: skip
    n = len(tree.joint_names)
    settings = {
        "posture": PostureTerm(q_ref=np.full(n, 0.1), weight=np.full(n, 1e-3)),
        "velocity_weight": np.full(n, 1e-4),
        "acceleration_weight": np.full(n, 1e-5),
    }
    return Problem(rate_hz=RATE, frames=frames, terms=tuple(terms), **(settings | changes))


@njit
def _both(x, sine, cosine):
    for k in range(len(x)):
        s, c = sine_cosine(load(x, (k,)))
        store(sine, (k,), s)
        store(cosine, (k,), c)


def test_sine_and_cosine_are_exact():
    x = np.random.default_rng(0).uniform(-100, 100, (500, LANES))
    x[0] = [0.0, np.pi, -np.pi, np.pi / 2, -np.pi / 2, np.pi / 4, 1e-300, -0.0]
    sine, cosine = np.empty_like(x), np.empty_like(x)
    _both(x, sine, cosine)
    np.testing.assert_allclose(sine, np.sin(x), atol=3e-16)
    np.testing.assert_allclose(cosine, np.cos(x), atol=3e-16)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("frames", [8, 21])
@pytest.mark.parametrize("tied", [1e-3, 10.0])
def test_stretches_solve_the_whole_band(n, frames, tied):
    random = np.random.default_rng(n)
    count, wide = LANES * frames, 2 * n
    J = random.normal(size=(count, n + 1, n))
    H = np.einsum("tij,tik->tjk", J, J) + 0.01 * np.eye(n)
    bend = np.diff(np.eye(count), 2, axis=0)
    smooth = tied * bend.T @ bend
    b = random.normal(size=(count, n))
    A, E = np.zeros((count * n, wide + 1)), lane_band(frames, n)
    for t in range(count):
        k, lane = t % frames, t // frames
        for v in range(n):
            for u in range(v + 1):
                own = H[t, v, u] + (smooth[t, t] if u == v else 0.0)
                A[t * n + v, wide - v + u] = E.H[k, pair_at(v, u), lane] = own
            if t >= 1:
                A[t * n + v, wide - n] = E.near[k, v, lane] = smooth[t, t - 1]
            if t >= 2:
                A[t * n + v, wide - 2 * n] = E.far[k, v, lane] = smooth[t, t - 2]
            E.b[k * n + v, lane] = b[t, v]
    wanted = b.reshape(-1).copy()
    assert factor(A, count * n)
    solve(A, count * n, wanted)
    assert lane_solve(E)
    found = np.moveaxis(E.b.reshape(frames, n, LANES), -1, 0).reshape(-1)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    E.H[frames // 2, 0, 3] = -1.0
    assert not lane_solve(E)


@pytest.mark.parametrize("mimic", [True, False])
@pytest.mark.parametrize("frames", [64, 131])
def test_lanes_do_what_frames_one_by_one_do(mimic, frames):
    tree = hand(mimic=mimic)
    asked = problem(tree, frames, noise_m=0.003)
    begun = wave(tree, frames) + 0.1 * np.random.default_rng(2).normal(size=(frames, len(tree.joint_names)))
    results = []
    for fast in (True, False):
        work, _ = state.begin(tree, asked, Start(joint_pos=begun))
        L, D, st, found = work.L, work.D, work.st, []
        for c in np.flatnonzero(np.diff(L.var_at)):
            assert suits(L, D, c)
            st.damping[:] = descend.FIRST_DAMPING
            if fast:
                done, cost = lane_descend(L, D, c, st, 60, 1e-10, True)
                np.testing.assert_allclose(lane_cost(L, D, c, st), cost, rtol=1e-9)
            else:
                done, cost = descend.descend(L, D, c, 0, frames, st, 60, 1e-10, True, work.scratch)
            found.append((cost, done))
        results.append((found, st.Q[:, L.var_column].copy(), st.left.copy()))
    for (a, _), (b, _) in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_allclose(results[0][1], results[1][1], atol=2e-3)
    known = np.isfinite(asked.terms[0].target_m).all(axis=1)
    np.testing.assert_allclose(results[0][2][known], results[1][2][known], atol=1e-4)


def test_a_limit_of_speed_weighs_the_same_in_lanes():
    tree = hand()
    asked = problem(tree, 90, max_speed=np.full(8, 3.0))
    work, _ = state.begin(tree, asked, Start(joint_pos=wave(tree, 90, 4)))
    L, D, st = work.L, work.D, work.st
    random = np.random.default_rng(0)
    st.stiffness[:] = 5.0
    st.multiplier[:-1] = random.uniform(0, 0.3, st.multiplier[:-1].shape)
    slow, fast = np.zeros(len(L.var_column)), np.zeros(len(L.var_column))
    begun = st.Q.copy()
    for c in np.flatnonzero(np.diff(L.var_at)):
        curvature(L, D, c, st, work.scratch, slow)
        lane_curvature(L, D, c, st, fast)
        paths, costs = [], []
        for lanes in (True, False):
            st.Q[:], st.damping[:] = begun, descend.FIRST_DAMPING
            if lanes:
                costs.append(lane_descend(L, D, c, st, 40, 1e-12, False)[1])
            else:
                costs.append(descend.descend(L, D, c, 0, 90, st, 40, 1e-12, False, work.scratch)[1])
            paths.append(st.Q.copy())
        np.testing.assert_allclose(costs[0], costs[1], rtol=1e-6)
        np.testing.assert_allclose(paths[0], paths[1], atol=5e-3)
    assert (slow > 0).all()


def test_fingers_find_the_motion_that_made_their_targets():
    tree = hand(fingers=3, joints=4)
    truth = wave(tree, 150)
    asked = problem(tree, 150)
    asked = dataclasses.replace(
        asked,
        posture=None,
        velocity_weight=None,
        acceleration_weight=np.full(12, 1e-12),
        tolerance=1e-9,
    )
    places = site_poses(tree, truth)[..., 4:]
    for first in (np.zeros(12), np.array(tree.upper), np.array(tree.lower)):
        found = solve_clip(tree, asked, Start(joint_pos=tree.with_mimic(first)))
        seen = np.r_[0:5, 8:150]
        assert np.linalg.norm(site_poses(tree, found.joint_pos)[..., 4:] - places, axis=-1)[seen].max() < 1e-3
        assert (found.joint_pos >= tree.lower).all()
        assert (found.joint_pos <= tree.upper).all()


def _two_links() -> Tree:
    """A planar arm whose elbow bends both ways, a wrist beyond it, more joints than lanes take."""
    count = 12
    axis = np.zeros((count, 3))
    axis[:, 1] = 1.0
    axis[4:, :] = [0.0, 0.0, 1.0]
    T = np.tile(geometry.IDENTITY_POSE, (count, 1))
    T[1:4, 4] = 0.3
    T[4, 4] = 0.1
    T[5:, 4] = 0.05
    return Tree(
        joint_names=tuple(f"j{i}" for i in range(count)),
        kind=("hinge",) * count,
        parent=np.arange(count) - 1,
        T_parent_zero=T,
        axis=axis,
        lower=np.array([-2.0, -0.3, -2.0, *[-1.0] * 9]),
        upper=np.array([2.0, 2.4, 2.0, *[1.0] * 9]),
        mimic_source=np.full(count, -1),
        mimic_ratio=np.ones(count),
        mimic_offset=np.zeros(count),
        site_names=("wrist", "middle", "tip"),
        site_joint=np.array([3, 7, 11]),
        T_joint_site=np.tile(np.array([1.0, 0, 0, 0, 0.05, 0.0, 0.0]), (3, 1)),
    )


def test_a_wrong_turn_is_undone():
    """The elbow is almost straight at first and may bend back a little; the way on is only forwards."""
    tree = _two_links()
    frames = 60
    t = np.linspace(0, 1, frames)[:, None]
    truth = np.zeros((frames, 12))
    truth[:, :1], truth[:, 1:2] = -1.0 * t, 0.02 + 2.0 * t
    truth[:, 2:3] = -1.0 * t
    truth[:, 5:8] = 0.2 * np.sin(3 * t)
    places = site_poses(tree, truth)[..., 4:]
    terms = tuple(
        PointTerm(site=s, p_world_target=np.ascontiguousarray(places[:, i]), weight=np.full(frames, 1e6))
        for i, s in enumerate(tree.site_names)
    )
    weak = PostureTerm(q_ref=np.zeros(12), weight=np.full(12, 1e-4))
    asked = Problem(rate_hz=RATE, frames=frames, terms=terms, posture=weak, tolerance=1e-9)
    bent = np.zeros(12)
    bent[:3] = 0.3, -0.25, 0.2

    work, _ = state.begin(tree, asked, Start(joint_pos=bent))
    wrong = np.zeros((frames, 12))
    wrong[:, :3] = bent[:3]  # every frame on the other side of the stretched arm
    work.st.Q[:] = wrong
    c = int(np.argmax(np.diff(work.L.var_at)))
    assert not suits(work.L, work.D, c)
    args = (work.L, work.D, c, 0, frames, work.st, 60, 1e-9, True, work.scratch)
    before = descend.descend(*args)[1]
    assert before > 100.0
    tried = begin.repair(work, c, np.tile(bent, (1, 1)), begin.single.single(12))
    work.st.damping[:] = descend.FIRST_DAMPING
    after = descend.descend(*args)[1]
    assert tried
    assert after < 0.01 * before
    left = np.linalg.norm(site_poses(tree, work.st.Q)[..., 4:] - places, axis=-1)
    assert left.mean(axis=0).max() < 1e-3
