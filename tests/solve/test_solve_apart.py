"""Hands that are asked to be in each other: clasped, and crossing through each other. Nothing may overlap in the end,
by the capsules and by MuJoCo's own shapes."""

from __future__ import annotations

from functools import lru_cache

import mujoco
import numpy as np
import pytest

from vidpretrain.collision import distances, model_of
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import load_robot, mj_spec
from vidpretrain.solve import PointTerm, PostureTerm, Problem, Start, solve_clip
from vidpretrain.solve.retreat import LEVELS, cheapest

RATE, FRAMES = 30.0, 75
SIDES = {"left": 1.0, "right": -1.0}


@lru_cache(maxsize=1)
def robot():
    return load_robot("g1_inspire")


def clasped() -> dict[str, np.ndarray]:
    """Wrists come together to 7 cm, stay, and part again; half of the palms' thickness is 3 cm."""
    way = np.clip(np.minimum(np.arange(FRAMES), FRAMES - 1 - np.arange(FRAMES)) / 15.0, 0.0, 1.0)
    return {
        s: np.stack([0.27 + 0 * way, sign * (0.2 - 0.165 * way), 0.12 + 0 * way], axis=1) for s, sign in SIDES.items()
    }


def crossing() -> dict[str, np.ndarray]:
    """Wrists change places, straight through each other."""
    y = 0.12 * np.cos(np.pi * np.arange(FRAMES) / (FRAMES - 1))
    return {s: np.stack([0.28 + 0 * y, sign * y, 0.12 + 0 * y], axis=1) for s, sign in SIDES.items()}


def problem(wrists: dict[str, np.ndarray], **more) -> Problem:
    tree, home = robot().tree, np.asarray(robot().home)
    legs = [*robot().joints("left_leg"), *robot().joints("right_leg")]
    active = np.ones(len(home), dtype=bool)
    active[legs] = False
    return Problem(
        rate_hz=RATE,
        frames=FRAMES,
        terms=tuple(
            PointTerm(site=f"{s}_wrist", p_world_target=p, weight=np.full(FRAMES, 2500.0)) for s, p in wrists.items()
        ),
        posture=PostureTerm(q_ref=home, weight=np.full(len(home), 0.25)),
        acceleration_weight=np.full(len(home), 300.0**-2),
        active_joints=active & tree.independent,
        max_speed=0.99 * np.asarray(robot().max_speed),
        **more,
    )


def deepest_by_mujoco(shape, q: np.ndarray) -> np.ndarray:
    """How deep MuJoCo's geoms are in each other (t), over the links whose capsules may not overlap."""
    model = mj_spec(robot()).compile()
    data = mujoco.MjData(model)
    at = [int(model.joint(name).qposadr[0]) for name in robot().tree.joint_names]
    solid = {}
    for name in set(shape.names):
        geoms = np.flatnonzero(model.geom_bodyid == model.body(name).id)
        solid[name] = [g for g in geoms if model.geom_contype[g] or model.geom_conaffinity[g]] or list(geoms)
    links = {(shape.names[a], shape.names[b]) for a, b in shape.pairs}
    geoms = np.array([(g, h) for a, b in links for g in solid[a] for h in solid[b]])
    rest = np.array(robot().home)
    out = np.zeros(len(q) + 1)
    always: set[int] = set()
    for t, posture in enumerate([rest, *q]):
        data.qpos[at] = posture
        mujoco.mj_kinematics(model, data)
        apart = np.linalg.norm(data.geom_xpos[geoms[:, 0]] - data.geom_xpos[geoms[:, 1]], axis=1)
        for k in np.flatnonzero(apart < model.geom_rbound[geoms].sum(axis=1)):
            gap = mujoco.mj_geomDistance(model, data, int(geoms[k, 0]), int(geoms[k, 1]), 0.001, None)
            if t == 0 and gap < 0.0:
                always.add(int(k))  # hulls of neighbours that meet at rest
            elif gap < 0.0 and k not in always:
                out[t] = max(out[t], -gap)
    return out[1:]


@pytest.mark.parametrize(("wrists", "median_m", "most_m"), [(clasped, 0.06, 0.15), (crossing, 0.1, 0.3)])
def test_hands_that_should_be_in_each_other_end_clean(wrists, median_m, most_m):
    tree, shape = robot().tree, model_of(robot())
    begin = Start(joint_pos=np.asarray(robot().home))
    free = solve_clip(tree, problem(wrists()), begin)
    gaps = distances(shape, tree, np.asarray(free.joint_pos)).min(axis=1)
    assert gaps.min() < -0.015  # it is asked for a lot
    assert not free.gave_way.any()
    held = solve_clip(tree, problem(wrists(), self_collision=shape), begin)
    q = np.asarray(held.joint_pos)
    assert distances(shape, tree, q).min() >= 0.0
    lower, upper = tree.bounds()
    assert (q >= lower - 1e-9).all()
    assert (q <= upper + 1e-9).all()
    assert (np.abs(np.diff(q, axis=0)) * RATE <= np.asarray(robot().max_speed)).all()
    assert held.gave_way[gaps < 0].all()
    depth = deepest_by_mujoco(shape, q)
    assert (depth > 1e-4).mean() <= 0.02
    assert depth.max() <= 0.003
    places = site_poses(tree, q, None, ("left_wrist", "right_wrist"))[..., 4:]
    missed = np.linalg.norm(places - np.stack(list(wrists().values()), axis=1), axis=-1)
    assert np.median(missed) < median_m  # crossing hands may stay on their own sides
    assert missed.max() < most_m


def test_the_path_of_least_retreat_goes_around_what_is_not_clean():
    frames = 12
    Q, away = np.zeros((frames, 1)), np.ones((frames, 1))
    clean = np.ones((frames, len(LEVELS)), dtype=bool)
    clean[5:7, LEVELS < 0.5] = False
    share, ends, step = np.empty(frames), np.array([True, True]), np.array([0.25])
    assert cheapest(Q, away, clean, LEVELS, np.array([0]), step, ends, share)
    assert share[0] == share[-1] == 0.0
    assert (share[5:7] >= 0.5).all()
    assert (np.abs(np.diff(share)) <= 0.25).all()
    assert not cheapest(Q, away, clean, LEVELS, np.array([0]), np.array([0.05]), ends, share)
