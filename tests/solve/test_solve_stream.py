"""A stream follows motions frame by frame, and nothing that comes in gets it beyond limits, speeds or contacts."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import NamedTuple

import mujoco
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "collision"))
sys.path.insert(0, str(Path(__file__).parent))
from test_collision_model import fingers
from test_solve_clip import RATE, arm, motion, targets
from test_solve_contact import clasping

from vidpretrain import geometry
from vidpretrain.collision import distances, model_of
from vidpretrain.errors import UnknownName
from vidpretrain.kinematics import site_poses
from vidpretrain.robot.extract import extract_tree, light_model
from vidpretrain.solve import (
    DistanceTerm,
    FloorTerm,
    OrientationTerm,
    PointTerm,
    PostureTerm,
    Problem,
    Start,
    Stream,
    solve_clip,
    targets_of,
)
from vidpretrain.solve.pack import Pack, kernel


def first(terms, frame: int = 0) -> tuple:
    """The terms in one frame alone."""
    out = []
    for term in terms:
        arrays = {f.name: getattr(term, f.name) for f in dataclasses.fields(term)}
        rows = {n: np.array(a[frame : frame + 1]) for n, a in arrays.items() if isinstance(a, np.ndarray)}
        out.append(dataclasses.replace(term, **rows))
    return tuple(out)


def template(tree, terms, **changes) -> Problem:
    count = len(tree.joint_names)
    settings = {
        "posture": PostureTerm(q_ref=np.zeros(count), weight=np.full(count, 1e-4)),
        "acceleration_weight": np.full(count, 1.0 / 300.0**2),
    }
    return Problem(rate_hz=RATE, frames=1, terms=first(terms), **(settings | changes))


def run(stream: Stream, terms):
    """(joint_pos (t j), base (t 7), steps) of a whole motion."""
    vectors, turns, weights = targets_of(terms)
    steps = [stream.step(v, q, weights=w) for v, q, w in zip(vectors, turns, weights, strict=True)]
    return np.array([s.joint_pos for s in steps]), np.array([s.T_world_base for s in steps]), steps


def test_a_smooth_motion_is_recovered():
    tree = arm()
    q = motion(tree, 120)
    found, base, steps = run(Stream(tree, template(tree, targets(tree, q)), Start(joint_pos=q[0])), targets(tree, q))
    assert np.abs(found - q)[5:].max() < 0.02
    assert np.nanmax([s.residual for s in steps][5:]) < 1e-3
    np.testing.assert_allclose(base, np.tile(geometry.IDENTITY_POSE, (120, 1)), atol=1e-12)
    followers = tree.mimic_source >= 0
    np.testing.assert_allclose(found[:, followers], tree.with_mimic(found)[:, followers])


def test_a_moving_base_is_followed():
    tree, time = arm(), np.arange(90)[:, None] / RATE
    q = motion(tree, 90)
    turn = geometry.quat_exp(np.sin(time) * [0.2, -0.4, 0.9])
    pin = np.full(90, 1e4)
    base = geometry.pose(turn, np.sin(1.3 * time) * [0.3, 0.1, -0.2])
    terms = (
        *targets(tree, q, base),
        PointTerm(site="base", p_world_target=geometry.transform(base, np.array([0.1, 0.02, 0])), weight=pin),
        OrientationTerm(site="base", q_world_target=np.array(base[:, :4]), weight=pin),
    )
    asked = template(tree, terms, free_base=True, base_acceleration_weight=(1 / 180.0**2, 1 / 60.0**2))
    _, T, steps = run(Stream(tree, asked, Start(joint_pos=q[0], T_world_base=base[0])), terms)
    assert np.nanmax([s.residual for s in steps][5:]) < 5e-3
    assert np.linalg.norm(T[5:, 4:] - base[5:, 4:], axis=1).max() < 0.01
    assert geometry.angle_between(T[5:, :4], base[5:, :4]).max() < 0.02
    np.testing.assert_allclose(np.linalg.norm(T[:, :4], axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize("loss", ["huber", "cauchy", "tukey", None])
def test_held_targets_lead_to_the_answer_of_one_frame(loss):
    tree = arm()
    q = motion(tree, 30)
    terms = [t for t in targets(tree, q) if isinstance(t, PointTerm)]
    lie = terms[0].p_world_target + np.array([0.02, 0.0, -0.01])
    scale = None if loss is None else 0.05
    terms = [dataclasses.replace(terms[0], p_world_target=lie, huber_m=scale, loss=loss or "huber"), *terms[1:]]
    rest = PostureTerm(q_ref=np.zeros(len(q[0])), weight=np.full(len(q[0]), 0.1))
    asked = template(tree, terms, posture=rest, velocity_weight=np.full(len(q[0]), 1e-3))
    one = solve_clip(tree, dataclasses.replace(asked, tolerance=1e-10), Start(joint_pos=q[0]))
    stream = Stream(tree, asked, Start(joint_pos=q[0]))
    vectors, turns, _ = targets_of(asked.terms)
    begun = stream.step(vectors[0], turns[0])
    np.testing.assert_allclose(begun.joint_pos, one.joint_pos[0], atol=2e-3)
    stream.reset(Start(joint_pos=np.clip(one.joint_pos[0] + 0.05, tree.lower, tree.upper)), standing=True)
    for _ in range(200):
        held = stream.step()
    np.testing.assert_allclose(held.residual, [r[0] for r in one.residual], atol=1e-4)
    np.testing.assert_allclose(held.joint_pos, one.joint_pos[0], atol=2e-3)
    assert held.cost <= one.cost * 1.001 + 1e-9


def test_distances_and_floors_and_weights_of_their_own():
    tree = arm()
    q = motion(tree, 60)
    terms = (
        DistanceTerm(from_site="base", to_site="wrist", distance_m=np.full(60, 0.45), weight=np.full(60, 1e4)),
        FloorTerm(site="finger", z_world_m=np.full(60, 0.1), weight=np.full(60, 1e4)),
    )
    stream = Stream(tree, template(tree, terms), Start(joint_pos=q[0]))
    _, _, steps = run(stream, terms)
    assert np.abs(steps[-1].residual).max() < 2e-3
    vectors, _, _ = targets_of(terms)
    assert np.isnan(stream.step(vectors[0], weights=np.array([1e4, 0.0])).residual[1])
    assert np.isfinite(stream.step(vectors[0]).residual).all()


@pytest.mark.parametrize("free_base", [False, True])
def test_jumping_targets_break_no_limit_and_no_speed(free_base):
    tree, random = arm(), np.random.default_rng(3)
    speed = np.full(len(tree.joint_names), 2.0)
    lower, upper = tree.bounds()
    at = motion(tree, 20)
    terms = targets(tree, at)
    asked = template(tree, terms, max_speed=speed, free_base=free_base)
    stream = Stream(tree, asked, Start(joint_pos=at[0]), standing=True)
    before, jumps = at[0], 0
    vectors, turns, _ = targets_of(terms)
    for _ in range(400):
        k = int(random.integers(20))
        size = random.choice([0.0, 1.0, 100.0])
        step = stream.step(vectors[k] + size * random.normal(size=vectors[k].shape), turns[k])
        q = step.joint_pos
        assert np.isfinite(q).all()
        assert (q >= lower).all()
        assert (q <= upper).all()
        assert (np.abs(q - before) * RATE <= speed * (1 + 1e-9)).all()
        assert step.iterations <= 8
        jumps += np.abs(q - before).max() * RATE > 1.9
        before = q
    assert jumps > 100  # the limit was met
    for _ in range(90):  # and afterwards it finds its way back
        step = stream.step(vectors[3], turns[3])
    assert np.nanmax(step.residual) < (0.01 if not free_base else 0.05)


def test_nothing_to_follow_slows_down_and_goes_home():
    tree = arm()
    q = motion(tree, 80)
    stream = Stream(tree, template(tree, targets(tree, q)), Start(joint_pos=q[0]))
    found, _, _ = run(stream, first_frames(targets(tree, q), 40))
    speed = np.abs(found[-1] - found[-2]).max()
    assert speed > 0.005
    vectors, turns, _ = targets_of(targets(tree, q))
    last, moves = found[-1], []
    for k in range(60):
        nothing = np.full_like(vectors[0], [np.nan, np.inf, -np.inf][k % 3])
        step = stream.step(nothing, turns[0] * np.nan)
        assert np.isfinite(step.joint_pos).all()
        assert np.isnan(step.residual).all()
        moves.append(np.abs(step.joint_pos - last).max())
        last = step.joint_pos
    assert moves[-1] < 0.1 * speed
    assert np.abs(last - found[-1]).max() < 10 * speed  # it coasts, it does not drift away
    for _ in range(60):
        step = stream.step(vectors[40], turns[40])
    assert np.nanmax(step.residual) < 2e-3


def first_frames(terms, count: int) -> tuple:
    """The terms in their first frames."""
    out = []
    for term in terms:
        arrays = {f.name: getattr(term, f.name) for f in dataclasses.fields(term)}
        out.append(dataclasses.replace(term, **{n: a[:count] for n, a in arrays.items() if isinstance(a, np.ndarray)}))
    return tuple(out)


def test_one_target_that_is_missing_leaves_the_others_alone():
    tree = arm()
    q = motion(tree, 60)
    stream = Stream(tree, template(tree, targets(tree, q)), Start(joint_pos=q[0]))
    vectors, turns, _ = targets_of(targets(tree, q))
    vectors[20:30, 1] = np.nan  # the wrist's place; its turn and the finger are still there
    turns[25:28] = 0.0
    for v, t in zip(vectors, turns, strict=True):
        step = stream.step(v, t)
        assert np.isfinite(step.joint_pos).all()
        assert np.nanmax(step.residual) < 0.03
    assert np.nanmax(step.residual) < 3e-3


def test_reset_begins_again_and_standing_begins_slowly():
    tree = arm()
    q = motion(tree, 30)
    terms = targets(tree, q)
    asked = template(tree, terms, max_speed=np.full(len(q[0]), 3.0))
    stream = Stream(tree, asked, Start(joint_pos=q[0]))
    once, _, _ = run(stream, terms)
    stream.reset()
    again, _, _ = run(stream, terms)
    np.testing.assert_array_equal(once, again)
    far = np.clip(q[0] + 0.4, tree.lower, tree.upper)
    stream.reset(Start(joint_pos=tree.with_mimic(far)), standing=True)
    slow, _, _ = run(stream, terms)
    assert np.abs(slow[0] - far)[tree.independent].max() <= 3.0 / RATE
    assert np.abs(once[0] - far).max() > 3.0 / RATE
    np.testing.assert_allclose(slow[-1], again[-1], atol=0.03)


@pytest.mark.parametrize("speed", [None, 3.0])
def test_links_stay_apart_and_targets_give_way(speed):
    _, model, tree = fingers()
    whole = clasping(tree, max_speed=None if speed is None else np.full(4, speed))
    asked = dataclasses.replace(whole, frames=1, terms=first(whole.terms), self_collision=model)
    free, _, _ = run(Stream(tree, dataclasses.replace(asked, self_collision=None), zeros()), whole.terms)
    assert (distances(model, tree, free).min(axis=1) < -0.003).mean() > 0.1
    q, _, steps = run(Stream(tree, asked, zeros()), whole.terms)
    gap = distances(model, tree, q).min(axis=1)
    assert gap.min() >= 0.0
    assert max(s.depth_m for s in steps) == 0.0
    assert (q >= tree.lower).all()
    assert (q <= tree.upper).all()
    if speed is not None:
        assert (np.abs(np.diff(q, axis=0)) * RATE <= speed * (1 + 1e-9)).all()
    clip = solve_clip(tree, dataclasses.replace(whole, self_collision=model), zeros())
    assert (np.array([s.residual for s in steps]) ** 2).sum() <= 1.1 * (np.array(clip.residual) ** 2).sum()


TWO_ARMS = """
<mujoco><compiler angle="radian"/><worldbody><body name="chest"><geom type="box" size=".1 .05 .2"/><site name="chest"/>
  <body name="a1" pos=".2 0 .15"><joint name="a1" axis="0 1 0" range="-2 2" limited="true"/>
    <geom type="capsule" fromto=".06 0 0 .24 0 0" size=".04"/>
    <body name="a2" pos=".3 0 0"><joint name="a2" axis="0 1 .05" range="-2.5 2.5" limited="true"/>
      <geom type="capsule" fromto=".05 0 0 .3 0 0" size=".04"/><site name="a_tip" pos=".3 0 0"/></body></body>
  <body name="b1" pos="-.2 0 .15"><joint name="b1" axis="0 1 0" range="-2 2" limited="true"/>
    <geom type="capsule" fromto="-.06 0 0 -.24 0 0" size=".04"/>
    <body name="b2" pos="-.3 0 0"><joint name="b2" axis="0 1 -.05" range="-2.5 2.5" limited="true"/>
      <geom type="capsule" fromto="-.05 0 0 -.3 0 0" size=".04"/><site name="b_tip" pos="-.3 0 0"/></body></body>
</body></worldbody></mujoco>
"""


@pytest.mark.parametrize("turn", [0.0, 3.0])
def test_long_arms_that_meet_stop_neither_each_other_nor_the_base(turn):
    spec = mujoco.MjSpec.from_string(TWO_ARMS)
    model = model_of(spec, "chest")
    tree = extract_tree(light_model(spec), "chest", ("a_tip", "b_tip", "chest"))
    time = np.arange(90)
    way = 0.5 - 0.5 * np.cos(2 * np.pi * time / 60)
    q = np.stack([-1.2 - 0.2 * way, -0.3 - 1.7 * way, 1.2 + 0.2 * way, 0.3 + 1.7 * way], axis=1)  # through each other
    swing = geometry.quat_exp(turn * np.sin(time / 10)[:, None] * [0.1, 0.2, 0.9])
    base = geometry.pose(swing, np.outer(np.sin(time / 9), [0.4, 0.2, 0.3]))
    at = np.moveaxis(site_poses(tree, q, base), 1, 0)
    pin = np.full(90, 0.02**-2)
    terms = (
        *(
            PointTerm(site=site, p_world_target=np.ascontiguousarray(poses[:, 4:]), weight=pin)
            for site, poses in zip(tree.site_names, at, strict=True)
        ),
        OrientationTerm(site="chest", q_world_target=np.ascontiguousarray(base[:, :4]), weight=np.full(90, 25.0)),
    )
    asked = template(tree, terms, free_base=True, base_acceleration_weight=(1 / 180.0**2, 1 / 60.0**2))
    assert (distances(model, tree, q).min(axis=1) < -0.05).mean() > 0.2
    asked = dataclasses.replace(
        asked, self_collision=model, posture=PostureTerm(q_ref=np.zeros(4), weight=np.full(4, 0.25))
    )
    found, T, steps = run(Stream(tree, asked, Start(joint_pos=q[0], T_world_base=base[0])), terms)
    assert distances(model, tree, found).min() >= 0.0
    assert np.linalg.norm(T[:, 4:] - base[:, 4:], axis=1).max() < 0.05
    assert np.max([step.residual[:2] for step in steps]) < 0.12  # the tips were to go 10 cm through each other


def test_links_that_overlap_at_the_start_never_go_deeper():
    _, model, tree = fingers()
    whole = clasping(tree)
    asked = dataclasses.replace(whole, frames=1, terms=first(whole.terms, 30), self_collision=model)
    free = solve_clip(tree, dataclasses.replace(asked, self_collision=None), zeros())
    deep = np.minimum(distances(model, tree, np.asarray(free.joint_pos)), 0.0).sum()
    begun = deep
    assert begun < -0.003
    stream = Stream(tree, asked, Start(joint_pos=free.joint_pos[0]), standing=True)
    vectors, _, _ = targets_of(asked.terms)
    for _ in range(20):
        step = stream.step(vectors[0])
        now = np.minimum(distances(model, tree, step.joint_pos[None]), 0.0).sum()
        assert now >= deep - 1e-12
        assert step.depth_m == pytest.approx(-now, abs=1e-12)
        deep = now
    assert deep > 0.1 * begun  # nine tenths are undone; crossed fingers in a corner of their ranges need not come free


def zeros() -> Start:
    return Start(joint_pos=np.zeros(4))


def test_what_does_not_fit_is_refused():
    tree = arm()
    q = motion(tree, 5)
    terms = targets(tree, q)
    asked = template(tree, terms)
    with pytest.raises(ValueError, match="one frame"):
        Stream(tree, dataclasses.replace(asked, frames=5, terms=terms), Start(joint_pos=q[0]))
    lost = PointTerm(site="nose", p_world_target=np.zeros((1, 3)), weight=np.ones(1))
    with pytest.raises(UnknownName):
        Stream(tree, dataclasses.replace(asked, terms=(lost,)), Start(joint_pos=q[0]))
    stream = Stream(tree, asked, Start(joint_pos=q[0]))
    with pytest.raises(ValueError, match="vectors are"):
        stream.step(np.zeros(3))
    with pytest.raises(ValueError, match="turns are"):
        stream.step(None, np.zeros(4))
    with pytest.raises(ValueError, match="start is"):
        stream.reset(Start(joint_pos=np.full(len(q[0]), np.nan)))


class _Some(NamedTuple):
    numbers: np.ndarray
    flags: np.ndarray
    p: np.ndarray
    more: NamedTuple


class _More(NamedTuple):
    counts: np.ndarray


@kernel
def _total(some):
    out = 0.0
    for i in range(some.numbers.shape[0]):
        for k in range(some.numbers.shape[1]):
            if some.flags[i]:
                out += some.numbers[i, k] * some.more.counts[k]
    some.p[1, 2] = out
    return out


def test_kernels_read_and_write_packs_as_tuples():
    numbers = np.arange(6.0).reshape(3, 2)
    some = _Some(numbers, np.array([True, False, True]), np.zeros((2, 3)), _More(np.array([2, 3])))
    expected = (numbers * [2, 3])[[0, 2]].sum()
    assert _total(some) == expected
    some.p[:] = 0.0
    packed = Pack(some)
    assert _total(packed) == expected
    assert some.p[1, 2] == expected
