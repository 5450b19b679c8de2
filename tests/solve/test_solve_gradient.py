"""The cost's gradient against finite differences, and the exact speed projection."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_solve_clip import arm, motion, problem, targets

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import DistanceTerm, FloorTerm, PostureTerm, Start, descend, speed, state
from vidpretrain.solve.speed import slowed


@pytest.mark.parametrize("free_base", [True, False])
@pytest.mark.parametrize(("huber", "loss"), [(None, "huber"), (0.05, "huber"), (0.05, "cauchy"), (1.0, "tukey")])
def test_gradient_equals_finite_differences(huber, loss, free_base):
    tree, frames = arm(), 5
    random = np.random.default_rng(0)
    rows = targets(tree, motion(tree, frames, 1))
    high = site_poses(tree, motion(tree, frames, 1), None, ["knob"])[:, 0, 6]
    rows = (
        *rows,
        DistanceTerm(
            from_site="middle", to_site="finger", distance_m=np.full(frames, 0.1), weight=np.full(frames, 1e3)
        ),
        FloorTerm(site="knob", z_world_m=high + 0.2, weight=np.full(frames, 1e3)),
    )
    rows = tuple(
        dataclasses.replace(term, **{"huber_rad" if hasattr(term, "huber_rad") else "huber_m": huber, "loss": loss})
        for term in rows
    )
    asked = problem(
        tree,
        rows,
        frames,
        posture=PostureTerm(q_ref=random.normal(size=10), weight=np.full(10, 3.0)),
        velocity_weight=np.full(10, 0.5),
        acceleration_weight=np.full(10, 0.02),
        max_speed=np.full(10, 2.0),
        free_base=free_base,
        base_velocity_weight=(0.7, 0.4),
        base_acceleration_weight=(0.03, 0.02),
    )
    Q = motion(tree, frames, 2, share=0.5) + 0.05 * random.normal(size=(frames, 10))
    Q = tree.with_mimic(np.clip(Q, tree.bounds()[0] + 0.01, tree.bounds()[1] - 0.01))
    base_q = geometry.quat_exp(np.cumsum(0.6 * random.normal(size=(frames, 3)), axis=0))
    start = Start(joint_pos=Q, T_world_base=geometry.pose(base_q, random.normal(size=(frames, 3))))
    work, _ = state.begin(tree, asked, start)
    stiff = np.where(np.isfinite(work.D.step), 50.0, 0.0)
    work.st.stiffness[:] = stiff
    work.st.multiplier[:] = random.uniform(0, 3, size=work.st.multiplier.shape) * (stiff > 0)
    assert max(speed.excess(work.L, work.D, c, work.st) for c in range(len(work.L.base))) > 0
    for c in np.flatnonzero(np.diff(work.L.var_at)):
        for lo, hi in ((0, frames), (1, 4), (2, 3)):
            check_gradient(work, int(c), lo, hi)


def check_gradient(work, c, lo, hi, h=1e-6):
    """The gradient of frames [lo, hi) of one component, those beside them held still; and the band's first order."""
    L, D, st = work.L, work.D, work.st
    n = L.var_at[c + 1] - L.var_at[c]
    G, cost = np.empty((hi - lo, n)), np.empty(hi - lo)
    A = np.empty(((hi - lo) * n, descend.width(L, D, c, hi - lo) + 1))
    args = (st, True, False, G, A, cost, work.scratch)
    descend.component_pass(L, D, c, lo, hi, st.Q, st.Rb, st.pb, *args)
    gradient = G.copy()
    for t in range(hi - lo):
        for v in range(n):
            ends = []
            for sign in (1, -1):
                step = np.zeros((hi - lo, n))
                step[t, v] = sign * h
                st.Q_new[:], st.Rb_new[:], st.pb_new[:] = st.Q, st.Rb, st.pb
                descend.move(L, D, c, lo, hi, step, st, work.scratch.work)
                new = (st.Q_new, st.Rb_new, st.pb_new, st, False, False, G, A, cost, work.scratch)
                descend.component_pass(L, D, c, lo, hi, *new)
                ends.append(cost.sum())
            numeric = (ends[0] - ends[1]) / (2 * h)
            assert gradient[t, v] == pytest.approx(numeric, rel=2e-5, abs=1e-3), (c, lo, hi, t, v)


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
