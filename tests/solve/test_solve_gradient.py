"""The cost's gradient against finite differences, and the exact speed projection."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_solve_clip import arm, motion, problem, targets

from vidpretrain import geometry
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.solve import PostureTerm, clip, speed
from vidpretrain.solve.arrays import terms, variables
from vidpretrain.solve.speed import Speed, slowed


@pytest.mark.parametrize("huber", [None, 0.05])
def test_gradient_equals_finite_differences(huber):
    tree, frames, h = arm(), 5, 1e-6
    random = np.random.default_rng(0)
    rows = targets(tree, motion(tree, frames, 1))
    rows = tuple(
        dataclasses.replace(term, **{"huber_rad" if hasattr(term, "huber_rad") else "huber_m": huber}) for term in rows
    )
    asked = problem(
        tree,
        rows,
        frames,
        posture=PostureTerm(q_ref=random.normal(size=10), weight=np.full(10, 3.0)),
        velocity_weight=np.full(10, 0.5),
        acceleration_weight=np.full(10, 0.02),
        max_speed=np.full(10, 2.0),
        free_base=True,
        base_velocity_weight=(0.7, 0.4),
        base_acceleration_weight=(0.03, 0.02),
    )
    Q = motion(tree, frames, 2, share=0.5) + 0.05 * random.normal(size=(frames, 10))
    Q = tree.with_mimic(np.clip(Q, tree.bounds()[0] + 0.01, tree.bounds()[1] - 0.01))
    base_q = geometry.quat_exp(np.cumsum(0.6 * random.normal(size=(frames, 3)), axis=0))
    var = variables(tree, asked, Q)
    work = clip._Work(
        tree_arrays(tree), terms(tree, asked, var), var, Q, geometry.matrix_from_quat(base_q),
        random.normal(size=(frames, 3)), np.zeros((frames, 5)), clip._scratch(10, 5, len(var.lower)),
    )  # fmt: skip
    stiff = np.where(np.isfinite(var.step), 50.0, 0.0)
    multiplier = random.uniform(0, 3, size=(frames, len(var.lower))) * (stiff > 0)
    work.speed = Speed(aim=speed.off(frames, var).aim, stiffness=stiff, multiplier=multiplier)
    clip._linearise(work)
    gradient = work.gradient.copy()
    assert (speed.excess(var, Q) > 0).any()
    for t in range(frames):
        for v in range(len(var.lower)):
            ends = []
            for sign in (1, -1):
                work.step = np.zeros_like(gradient)
                work.step[t, v] = sign * h
                args = (work.tree, var, work.step, work.Q, work.Rb, work.pb, work.Q_new, work.Rb_new, work.pb_new)
                clip.bands.move_all(*args)
                clip._evaluate(work)
                ends.append(work.cost_new.sum())
            numeric = (ends[0] - ends[1]) / (2 * h)
            assert gradient[t, v] == pytest.approx(numeric, rel=2e-5, abs=1e-3), (t, v)


def test_slowed_is_exact_and_nearest():
    random = np.random.default_rng(0)
    path = np.cumsum(random.normal(size=(200, 6)), axis=0)
    step = random.uniform(0.05, 1.0, size=6)
    out = slowed(path, step)
    assert (np.abs(np.diff(out, axis=0)) <= step).all()
    assert (out >= path.min(axis=0)).all()
    assert (out <= path.max(axis=0)).all()
    np.testing.assert_allclose(slowed(out, step), out, atol=1e-7)
    # no slower path can be nearer than half of the worst jump beyond what is allowed
    gap = np.abs(path[:, None] - path[None]) - step * np.abs(
        np.arange(200)[:, None, None] - np.arange(200)[None, :, None]
    )
    np.testing.assert_allclose(np.abs(out - path).max(axis=0), 0.5 * gap.max(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_array_equal(slowed(path, np.full(6, np.inf)), path)
