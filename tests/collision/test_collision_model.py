"""Capsules: distances as MuJoCo computes them, slopes by finite differences, pairs that make sense."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vidpretrain.collision import CollisionModel, distances, model_of
from vidpretrain.collision.linear import linearise
from vidpretrain.collision.near import capsule_arrays
from vidpretrain.errors import InputError
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.robot.extract import extract_tree, light_model
from vidpretrain.tree import Tree

TWO_FINGERS = """
<mujoco><compiler angle="radian"/><worldbody><body name="palm"><geom type="box" size=".05 .02 .05"/>
  <body name="a1" pos=".03 0 .06"><joint name="a1" axis="0 1 0" range="-1 1" limited="true"/>
    <geom type="capsule" fromto="0 0 .012 0 0 .04" size=".01"/>
    <body name="a2" pos="0 0 .06"><joint name="a2" axis="1 1 0" range="-1 1" limited="true"/>
      <geom type="capsule" fromto="0 0 .01 0 .01 .05" size=".009"/></body></body>
  <body name="b1" pos="-.03 0 .06"><joint name="b1" axis="0 1 0" range="-1 1" limited="true"/>
    <geom type="capsule" fromto="0 0 .012 0 0 .04" size=".01"/>
    <body name="b2" pos="0 0 .06"><joint name="b2" axis="0 1 0" range="-1 1" limited="true"/>
      <geom type="capsule" fromto="0 0 .01 .01 0 .05" size=".009"/></body></body>
</body></worldbody></mujoco>
"""


def fingers() -> tuple[mujoco.MjSpec, CollisionModel, Tree]:
    spec = mujoco.MjSpec.from_string(TWO_FINGERS)
    model = model_of(spec, "palm")
    copy = spec.copy()
    for finger in "ab":
        copy.body(f"{finger}2").add_site(name=f"{finger}_tip", pos=[0, 0, 0.06])
    return spec, model, extract_tree(light_model(copy), "palm", ("a_tip", "b_tip"))


def postures(tree: Tree, count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(tree.lower, tree.upper, size=(count, len(tree.lower)))


def test_distances_equal_those_of_mujoco():
    spec, model, tree = fingers()
    compiled = spec.compile()
    data = mujoco.MjData(compiled)
    Q = postures(tree, 200)
    found = distances(model, tree, Q)
    geom = {compiled.body(compiled.geom_bodyid[g]).name: g for g in range(compiled.ngeom)}
    capsules = [k for k, (a, b) in enumerate(model.pairs) if "palm" not in (model.names[a], model.names[b])]
    assert len(capsules) >= 3
    for q, row in zip(Q, found, strict=True):
        data.qpos[:] = q
        mujoco.mj_kinematics(compiled, data)
        for k in capsules:
            a, b = (geom[model.names[i]] for i in model.pairs[k])
            wanted = mujoco.mj_geomDistance(compiled, data, a, b, 1.0, None)
            if wanted > 1e-4:  # below, MuJoCo's general algorithm is not exact
                assert row[k] == pytest.approx(wanted, abs=2e-6)


NOTHING = np.zeros(0, dtype=np.int64)


def test_slopes_equal_finite_differences():
    _, model, tree = fingers()
    n, h = len(tree.joint_names), 1e-6
    column = np.arange(n)
    checked = 0
    for q in postures(tree, 40):
        frame, pair, gap = np.zeros(64, dtype=np.int64), np.zeros(64, dtype=np.int64), np.zeros(64)
        at, var, slope = np.zeros(65, dtype=np.int64), np.zeros(640, dtype=np.int64), np.zeros(640)
        args = (tree_arrays(tree), *capsule_arrays(model), column, q[None], np.ones(1, dtype=bool), 0.05, NOTHING, 64)
        count = linearise(*args, frame, pair, gap, at, var, slope)
        for k in range(count):
            dense = np.zeros(n)
            dense[var[at[k] : at[k + 1]]] = slope[at[k] : at[k + 1]]
            for j in range(n):
                ends = [distances(model, tree, (q + s * h * np.eye(n)[j])[None])[0, pair[k]] for s in (1, -1)]
                assert dense[j] == pytest.approx((ends[0] - ends[1]) / (2 * h), abs=1e-5)
            assert gap[k] == pytest.approx(distances(model, tree, q[None])[0, pair[k]], abs=1e-12)
            checked += 1
    assert checked > 20


def test_pairs_asked_for_count_however_far_and_once():
    _, model, tree = fingers()
    q = np.zeros((1, len(tree.joint_names)))
    gaps = distances(model, tree, q)[0]
    near_m = float(np.sort(gaps)[:2].mean())  # the nearest pair alone
    also = np.array([*np.argsort(gaps)[:2], -1, np.argsort(gaps)[-1]])
    frame, pair, gap = np.zeros(8, dtype=np.int64), np.zeros(8, dtype=np.int64), np.zeros(8)
    at, var, slope = np.zeros(9, dtype=np.int64), np.zeros(80, dtype=np.int64), np.zeros(80)
    args = (tree_arrays(tree), *capsule_arrays(model), np.arange(q.shape[1]), q, np.ones(1, dtype=bool), near_m)
    assert linearise(*args, NOTHING, 8, frame, pair, gap, at, var, slope) == 1
    assert linearise(*args, also, 8, frame, pair, gap, at, var, slope) == 2
    np.testing.assert_array_equal(pair[:2], also[:2])
    np.testing.assert_allclose(gap[:2], gaps[also[:2]], atol=1e-12)
    assert (np.diff(at[:3]) > 0).all()


def test_neighbours_and_far_links_are_no_pairs():
    _, model, _ = fingers()
    pairs = {frozenset((model.names[a], model.names[b])) for a, b in model.pairs}
    assert frozenset(("a2", "b2")) in pairs
    for neighbours in (("palm", "a1"), ("a1", "a2"), ("b1", "b2")):
        assert frozenset(neighbours) not in pairs
    wide = TWO_FINGERS.replace(".03 0 .06", ".9 0 .06")
    apart = model_of(mujoco.MjSpec.from_string(wide), "palm")
    assert not any({"a2", "b2"} == {apart.names[i] for i in pair} for pair in apart.pairs)


def test_the_spec_stays_as_it_is_and_a_broken_one_is_refused():
    spec = mujoco.MjSpec.from_string(TWO_FINGERS)
    before = spec.to_xml()
    model_of(spec, "palm")
    assert spec.to_xml() == before
    spec.body("a2").geoms[0].type = mujoco.mjtGeom.mjGEOM_MESH
    with pytest.raises(InputError, match="cannot compile"):
        model_of(spec, "palm")
