"""Covariance: against the dense inverse with Jacobians by finite differences, and against many noisy solves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_solve_clip import arm, motion, problem, targets
from test_solve_parameters import BONES, CAMERAS, band_to_dense, limb, limb_problem

from vidpretrain.errors import UnknownName
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import (
    LengthParameter,
    PixelTerm,
    PointTerm,
    PostureTerm,
    Solution,
    Start,
    descend,
    parameter_sigma,
    point_covariance,
    solve_clip,
    with_parameters,
)
from vidpretrain.solve.band import factor
from vidpretrain.solve.covariance import inverse_blocks
from vidpretrain.solve.shared import SharedSolve
from vidpretrain.solve.state import begin


@pytest.mark.parametrize(("n", "reach", "frames"), [(1, 1, 6), (3, 2, 7), (5, 1, 4), (4, 2, 2), (4, 2, 1)])
def test_inverse_blocks_are_those_of_the_dense_inverse(n, reach, frames):
    random = np.random.default_rng(n)
    A = random.normal(size=(n * frames, reach * n + 1))
    A[:, -1] = 4.0 * reach * n
    dense = band_to_dense(A)
    assert factor(A, len(A))
    wanted = np.linalg.inv(dense)
    for i, block in enumerate(inverse_blocks(A, n)):
        np.testing.assert_allclose(block, wanted[i * n : (i + 1) * n, i * n : (i + 1) * n], atol=1e-12)


@pytest.mark.parametrize(("n", "frames", "rate_hz"), [(14, 40, 30.0), (3, 300, 30.0), (3, 300, 120.0)])
def test_inverse_blocks_of_long_smooth_bands_are_those_of_the_dense_inverse(n, frames, rate_hz):
    """Accelerations tie frames far beyond the band where only some of them are seen: rounding must not grow."""
    random = np.random.default_rng(0)
    dense, second = np.zeros((n * frames,) * 2), np.array([1.0, -2.0, 1.0]) * (rate_hz / 20.0) ** 2
    for t in range(frames):
        own = slice(t * n, (t + 1) * n)
        if t % 40 < 20:
            J = random.normal(size=(n, n))
            dense[own, own] += J.T @ J + 0.1 * np.eye(n)
        for i, j in np.ndindex(3, 3) if t + 2 < frames else ():
            rows, columns = (t + i) * n + np.arange(n), (t + j) * n + np.arange(n)
            dense[rows, columns] += second[i] * second[j]
    A = np.zeros((n * frames, 2 * n + 1))
    for d in range(2 * n + 1):
        A[d:, 2 * n - d] = np.diagonal(dense, -d)
    assert factor(A, len(A))
    wanted = np.linalg.inv(dense).reshape(frames, n, frames, n)[np.arange(frames), :, np.arange(frames)]
    found = inverse_blocks(A, n)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
    np.testing.assert_array_equal(found, np.swapaxes(found, 1, 2))


@pytest.mark.parametrize("rate_hz", [30.0, 120.0])
def test_long_clips_without_parameters_have_a_covariance(rate_hz):
    """Half of the frames unseen, 600 in all; it was NaN from 120 on."""
    frames = 600
    tree, _, q, base, asked = limb_problem(frames, CAMERAS, 1.0, parameters=(), truth={})
    seen = np.arange(frames) % 40 < 20
    terms = tuple(dataclasses.replace(t, weight=np.where(seen, t.weight, 0.0)) for t in asked.terms)
    smooth = {"acceleration_weight": np.full(8, 20.0**-2), "base_acceleration_weight": (10.0**-2, 2.0**-2)}
    asked = dataclasses.replace(asked, terms=terms, rate_hz=rate_hz, max_iterations=30, **smooth)
    solution = solve_clip(tree, asked, Start(joint_pos=q, T_world_base=base))
    found = point_covariance(tree, asked, solution, ("tip", "pelvis"))
    assert np.isfinite(found).all()
    assert np.linalg.eigvalsh(found).min() > 0
    deviation = np.sqrt(np.einsum("tsii->ts", found))
    assert deviation[30, 0] > 3 * deviation[10, 0]  # in a gap, and seen
    assert deviation.max() < 10.0


def dense_covariance(tree, asked, solution, sites, h=1e-6):
    """Covariance (t s 3 3) the long way: everything assembled and inverted, points moved by finite differences."""
    values = solution.parameters
    start = Start(joint_pos=solution.joint_pos, T_world_base=solution.T_world_base)
    solve = SharedSolve(begin(with_parameters(tree, asked.parameters, values), asked, start)[0], tree, asked, values)
    solve.evaluate(False)
    C = solve.border()[0]
    L, D, st, scratch = solve.work.L, solve.work.D, solve.work.st, solve.work.scratch
    sizes = [solve.parts[c].G.size for c in solve.components]
    total, count = sum(sizes), len(C)
    H, J, held = np.zeros((total + count,) * 2), np.zeros((asked.frames, len(sites), 3, total + count)), []

    def places(vector):
        body = with_parameters(tree, asked.parameters, {**values, **vector})
        base = np.concatenate([quat(st.Rb_new), st.pb_new], axis=1)
        return site_poses(body, tree.with_mimic(st.Q_new), base, sites)[..., 4:]

    from vidpretrain.geometry import quat_from_matrix as quat

    at = 0
    for c, size in zip(solve.components, sizes, strict=True):
        part = solve.parts[c]
        H[at : at + size, at : at + size] = band_to_dense(part.A)
        H[at : at + size, total:], H[total:, at : at + size] = part.B, part.B.T
        held += list(at + np.flatnonzero(solve.held(c).reshape(-1)))
        for i in range(size):
            ends = []
            for sign in (1, -1):
                step = np.zeros(part.G.shape)
                step.reshape(-1)[i] = sign * h
                st.Q_new[:], st.Rb_new[:], st.pb_new[:] = st.Q, st.Rb, st.pb
                descend.move(L, D, c, 0, asked.frames, step, st, scratch.work)
                ends.append(places({}))
            J[..., at + i] = (ends[0] - ends[1]) / (2 * h)
        at += size
    H[total:, total:] = C
    st.Q_new[:], st.Rb_new[:], st.pb_new[:] = st.Q, st.Rb, st.pb
    for q in range(count):
        ends = []
        for sign in (1, -1):
            solve.vector = solve.vector + sign * h * (np.arange(count) == q)
            ends.append(places(solve.values))
            solve.vector = solve.vector - sign * h * (np.arange(count) == q)
        J[..., total + q] = (ends[0] - ends[1]) / (2 * h)
    free = np.setdiff1d(np.arange(total + count), held)
    inverse = np.linalg.inv(H[np.ix_(free, free)])
    return np.einsum("tsia,ab,tsjb->tsij", J[..., free], inverse, J[..., free]), inverse, len(held)


@pytest.mark.parametrize("ball", [False, True])
def test_equals_the_dense_inverse_with_parameters_base_and_cameras(ball):
    tree, _, q, base, asked = limb_problem(5, CAMERAS, 1.0, ball=ball)
    asked = dataclasses.replace(asked, base_acceleration_weight=(1e-3, 1e-2))
    solution = solve_clip(tree, asked, Start(joint_pos=q, T_world_base=base))
    sites = ("tip", "palm", "pelvis", "elbow")
    found = point_covariance(tree, asked, solution, sites)
    wanted, inverse, _ = dense_covariance(tree, asked, solution, sites)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())
    sigma = parameter_sigma(tree, asked, solution)
    flat = np.concatenate([np.atleast_1d(sigma[p.name]) for p in BONES])
    np.testing.assert_allclose(flat, np.sqrt(np.diag(inverse)[-6:]), rtol=1e-6)


@pytest.mark.parametrize("huber", [None, 0.01])
def test_equals_the_dense_inverse_where_components_and_limits_meet(huber):
    """An arm and its fingers fall into components of their own; some joints end on their limits."""
    tree, frames = arm(), 6
    q = np.clip(motion(tree, frames, 1, share=2.4), *tree.bounds())
    q = tree.with_mimic(q)
    rows = tuple(
        dataclasses.replace(t, **{("huber_rad" if hasattr(t, "huber_rad") else "huber_m"): huber})
        for t in targets(tree, q)
    )
    rows = (rows[0], rows[1], rows[3], rows[4])
    shifted = dataclasses.replace(rows[1], p_world_target=1.3 * rows[1].p_world_target)  # beyond reach: limits
    parameters = (LengthParameter(name="upper", joints=("j1", "j2"), sigma=0.02),)
    posture = PostureTerm(q_ref=np.zeros(10), weight=np.full(10, 1.0))
    asked = problem(
        tree, (rows[0], shifted, *rows[2:]), frames, parameters=parameters, posture=posture,
        velocity_weight=np.full(10, 0.1), acceleration_weight=np.full(10, 0.01),
    )  # fmt: skip
    solution = solve_clip(tree, asked, Start(joint_pos=q))
    sites = ("finger", "wrist", "base", "knob")
    found = point_covariance(tree, asked, solution, sites)
    wanted, _, held = dense_covariance(tree, asked, solution, sites)
    assert held > 0
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6 * np.abs(wanted).max())
    np.testing.assert_array_equal(found[:, 2], 0.0)  # the base does not move


def test_predicts_the_scatter_of_noisy_solves():
    frames, draws, noise_px = 6, 150, 0.5
    weak = {
        "velocity_weight": np.full(8, 1e-8), "acceleration_weight": np.full(8, 1e-10), "tolerance": 1e-7,
        "posture": PostureTerm(q_ref=np.zeros(8), weight=np.full(8, 1e-8)),
    }  # fmt: skip
    tree, body, q, base, clean = limb_problem(frames, CAMERAS, 0.0, **weak)
    random, sites = np.random.default_rng(1), ("tip", "palm", "elbow", "pelvis")
    start, found, lengths = Start(joint_pos=q, T_world_base=base), [], []
    solution = None
    for _ in range(draws):
        terms = []
        for term in clean.terms:
            assert isinstance(term, PixelTerm)
            uv = term.uv_px + noise_px * random.normal(size=term.uv_px.shape)
            terms.append(dataclasses.replace(term, uv_px=uv, weight=np.full(frames, noise_px**-2)))
        asked = dataclasses.replace(clean, terms=tuple(terms))
        solution = solve_clip(tree, asked, start)
        seen = with_parameters(tree, asked.parameters, solution.parameters)
        found.append(site_poses(seen, solution.joint_pos, solution.T_world_base, sites)[..., 4:])
        lengths.append(solution.parameters["upper arm"])
    assert solution is not None
    wrong = np.stack(found) - site_poses(body, q, base, sites)[None, ..., 4:]
    told = point_covariance(tree, asked, solution, sites)
    variance = np.einsum("tsii->ts", told)
    np.testing.assert_allclose((wrong**2).sum(axis=-1).mean(axis=0) / variance, 1.0, atol=0.35)
    assert ((wrong**2).sum(axis=-1).mean(axis=0) / variance).mean() == pytest.approx(1.0, abs=0.1)
    normalised = np.einsum("dtsi,tsij,dtsj->dts", wrong, np.linalg.inv(told), wrong)
    assert (normalised < 6.25).mean() == pytest.approx(0.9, abs=0.04)  # chi squared with three degrees of freedom
    assert np.std(lengths) == pytest.approx(parameter_sigma(tree, asked, solution)["upper arm"], rel=0.2)


def test_what_sees_more_is_surer_and_unseen_frames_lean_on_their_neighbours():
    tree = limb()
    _, _, q, base, asked = limb_problem(21, CAMERAS, 1.0, parameters=(), truth={})
    hidden = tuple(
        dataclasses.replace(t, weight=np.where((np.arange(21) > 5) & (np.arange(21) < 15), 0.0, t.weight))
        for t in asked.terms
    )
    smooth = {"acceleration_weight": np.full(8, 0.05), "base_acceleration_weight": (0.05, 0.05)}
    spread = []
    for terms in (asked.terms, asked.terms[: len(asked.terms) // 2], hidden):
        now = dataclasses.replace(asked, terms=terms, **smooth)
        solution = solve_clip(tree, now, Start(joint_pos=q, T_world_base=base))
        spread.append(np.sqrt(np.einsum("tii->t", point_covariance(tree, now, solution, ("tip",))[:, 0])))
    both, one, gap = spread
    assert (one > 1.5 * both).all()
    assert gap[10] > 3 * both[10]
    assert gap[10] > gap[7] > gap[5]
    np.testing.assert_allclose(gap[0], both[0], rtol=0.05)


def test_unknown_sites_and_unheld_unknowns():
    tree = arm()
    q = motion(tree, 3, 0)
    term = PointTerm(
        site="wrist", p_world_target=site_poses(tree, q, None, ["wrist"])[:, 0, 4:], weight=np.full(3, 1e4)
    )
    asked = problem(tree, (term,), 3)
    solution = solve_clip(tree, asked, Start(joint_pos=q))
    assert isinstance(solution, Solution)
    with pytest.raises(UnknownName, match="toe"):
        point_covariance(tree, asked, solution, ("toe",))
    loose = point_covariance(tree, asked, solution, ("knob", "wrist"))
    assert np.isfinite(loose).all()
    assert np.trace(loose[0, 0]) > 100 * np.trace(loose[0, 1])
