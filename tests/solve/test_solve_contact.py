"""Self-collision: targets give way, contacts and limits do not."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "collision"))
from test_collision_model import fingers

from vidpretrain.collision import distances
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import PointTerm, PostureTerm, Problem, Start, contact, descend, solve_clip, state

RATE = 30.0


def clasping(tree, frames: int = 60, **changes) -> Problem:
    """Two fingertips that should go into each other and come back."""
    tips = site_poses(tree, np.zeros((1, 4)))[0, :, 4:]
    way = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frames) / frames))[:, None]
    terms = []
    for i, site in enumerate(("a_tip", "b_tip")):
        across = tips[i] + way * 1.3 * (tips[1 - i] - tips[i]) * [1, 0, 1] - way * [0, 0, 0.01]
        terms.append(PointTerm(site=site, p_world_target=across, weight=np.full(frames, 1e4)))
    return Problem(
        rate_hz=RATE,
        frames=frames,
        terms=tuple(terms),
        posture=PostureTerm(q_ref=np.zeros(4), weight=np.full(4, 0.1)),
        acceleration_weight=np.full(4, 3e1 / RATE**4),
        **changes,
    )


@pytest.mark.parametrize("speed", [None, 3.0])
def test_contacts_hold_where_targets_ask_for_less(speed):
    _, model, tree = fingers()
    limit = None if speed is None else np.full(4, speed)
    asked = clasping(tree, max_speed=limit)
    free = solve_clip(tree, asked, Start(joint_pos=np.zeros(4)))
    assert (distances(model, tree, np.array(free.joint_pos)).min(axis=1) < -0.003).mean() > 0.1
    held = solve_clip(tree, dataclasses.replace(asked, self_collision=model), Start(joint_pos=np.zeros(4)))
    q = np.array(held.joint_pos)
    assert distances(model, tree, q).min() > 0.0
    assert (q >= tree.lower).all()
    assert (q <= tree.upper).all()
    if speed is not None:
        assert (np.abs(np.diff(q, axis=0)) * RATE <= speed).all()
    apart = distances(model, tree, np.array(free.joint_pos)).min(axis=1) > 0.02
    apart[:-12] &= apart[12:]
    apart[12:] &= apart[:-12]
    np.testing.assert_allclose(q[apart], free.joint_pos[apart], atol=0.05)  # nothing changes far from contacts


def test_a_motion_without_contacts_is_left_alone():
    _, model, tree = fingers()
    q = np.tile([0.5, 0.0, -0.5, 0.0], (20, 1))
    tips = site_poses(tree, q)
    terms = tuple(
        PointTerm(site=s, p_world_target=tips[:, i, 4:], weight=np.full(20, 1e4)) for i, s in enumerate(tree.site_names)
    )
    asked = dataclasses.replace(clasping(tree, 20), terms=terms)
    free = solve_clip(tree, asked, Start(joint_pos=np.zeros(4)))
    held = solve_clip(tree, dataclasses.replace(asked, self_collision=model), Start(joint_pos=np.zeros(4)))
    np.testing.assert_array_equal(held.joint_pos, free.joint_pos)


def test_gradient_of_contacts_equals_finite_differences():
    _, model, tree = fingers()
    frames, random = 5, np.random.default_rng(0)
    asked = dataclasses.replace(clasping(tree, frames), self_collision=model)
    work, _ = state.begin(tree, asked, Start(joint_pos=random.uniform(-0.6, 0.6, size=(frames, 4))))
    found = contact.Collisions(model, tree, work.L, 0.03, 1e5, frames)
    contacts = found.find(work.st.Q, np.ones(frames, dtype=bool))
    assert len(contacts.push) >= 3
    st = work.st._replace(contacts=contacts._replace(push=random.uniform(10, 100, size=len(contacts.push))))
    for c in range(len(work.L.base)):
        check(dataclasses.replace(work, st=st), c)


def check(work, c, h=1e-6):
    L, D, st = work.L, work.D, work.st
    frames, n = len(st.Q), L.var_at[c + 1] - L.var_at[c]
    G, cost = np.empty((frames, n)), np.empty(frames)
    A = np.empty((frames * n, descend.width(L, D, c, frames) + 1))
    tail = (st, True, False, G, A, cost, work.scratch)
    descend.component_pass(L, D, c, 0, frames, st.Q, st.Rb, st.pb, *tail)
    gradient = G.copy()
    for t in range(frames):
        for v in range(n):
            ends = []
            for sign in (1, -1):
                Q = np.array(st.Q)
                Q[t, L.var_column[L.var_at[c] + v]] += sign * h
                descend.component_pass(L, D, c, 0, frames, Q, st.Rb, st.pb, *tail)
                ends.append(cost.sum())
            assert gradient[t, v] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=2e-5, abs=1e-3)
