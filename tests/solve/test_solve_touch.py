"""Contacts of shapes: limbs agree on one way out, and what is firm gives way only where nothing else can."""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain.collision import CollisionModel, Touches, distances
from vidpretrain.solve import PointTerm, Problem, Start, solve_clip
from vidpretrain.solve.touch import agreed
from vidpretrain.tree import slide_joint, tree_of


def touches(frame, joint, gap_m, normal) -> Touches:
    return Touches(
        frame=np.array(frame),
        pair=np.arange(len(frame)),
        gap_m=np.array(gap_m),
        joint=np.array(joint),
        normal=np.array(normal, dtype=float),
        p_base=np.zeros((len(frame), 3)),
    )


def test_frames_deep_in_each_other_leave_by_one_way_whichever_link_is_named_first():
    """A hand swings through a thigh: in at the front, out at the back, and deepest in the middle, outwards."""
    limb = np.array([-1, 0, 0, 1])  # base, two links of an arm, a leg
    frame = [0, 1, 2, 3, 4]
    joint = [[2, 1], [2, 0], [1, 2], [2, 1], [2, 1]]  # leg and arm, in either order
    normal = [[0.9, 0.4, 0.0], [0.5, 0.9, 0.0], [0.0, -1.0, 0.0], [-0.5, 0.9, 0.0], [-0.9, 0.4, 0.0]]
    deep = agreed(touches(frame, joint, [-0.01, -0.02, -0.04, -0.02, -0.01], normal), limb, 5, 6.0)
    sign = np.array([1, 1, -1, 1, 1])
    assert ((sign[:, None] * deep)[:, 1] > 0.95).all()
    np.testing.assert_allclose(np.linalg.norm(deep, axis=1), 1.0, atol=1e-9)
    shallow = agreed(touches(frame, joint, [-0.001, 0.002, -0.003, 0.004, -0.001], normal), limb, 5, 6.0)
    np.testing.assert_array_equal(shallow, normal)


def test_parts_of_one_limb_go_their_own_way():
    normal = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]
    found = touches([0, 1, 2], [[0, 1]] * 3, [-0.02, -0.02, -0.02], normal)
    np.testing.assert_array_equal(agreed(found, np.array([-1, 0, 0]), 3, 6.0), normal)


def test_what_is_firm_stays_where_something_else_can_move():
    T = np.array([1.0, 0, 0, 0, 0, 0, 0])
    x = np.array([1.0, 0, 0])
    tree = tree_of(
        (slide_joint("arm", None, T, x, -1, 1), slide_joint("leg", None, T, x, -1, 1)),
        {"arm": ("arm", T), "leg": ("leg", T)},
    )
    balls = CollisionModel(
        names=("arm", "leg"),
        joint=np.array([0, 1]),
        p_joint_start=np.zeros((2, 3)),
        p_joint_end=np.full((2, 3), 1e-6),
        radius_m=np.full(2, 0.05),
        pairs=np.array([[0, 1]]),
    )
    frames = 20
    still = np.tile([0.02, 0.0, 0.0], (frames, 1))
    terms = tuple(
        PointTerm(site=name, p_world_target=still * (name == "arm"), weight=np.full(frames, 1e4))
        for name in ("arm", "leg")
    )
    asked = Problem(
        rate_hz=30.0, frames=frames, terms=terms, self_collision=balls, acceleration_weight=np.full(2, 1e-4)
    )
    start = Start(joint_pos=np.zeros(2))
    free = solve_clip(tree, dataclasses.replace(asked, self_collision=None), start).joint_pos
    assert distances(balls, tree, np.asarray(free)).max() < -0.05
    for firm in ([False, True], [True, False], [True, True]):
        held = solve_clip(tree, dataclasses.replace(asked, firm_joints=np.array(firm)), start).joint_pos
        assert distances(balls, tree, np.asarray(held)).min() >= 0.0
        if not all(firm):
            np.testing.assert_allclose(held[:, firm], free[:, firm], atol=1e-6)
