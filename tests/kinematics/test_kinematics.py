"""Kinematics against MuJoCo and finite differences, on random trees and on every shipped robot."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import MissingAsset, UnknownName
from vidpretrain.kinematics import joint_poses, orientation_jacobian, point_jacobian, site_poses
from vidpretrain.robot import load_robot, mj_spec, robot_names
from vidpretrain.robot.extract import extract_tree, light_model
from vidpretrain.tree import Tree


def random_spec(seed: int, joints: int = 12, free: bool = True) -> mujoco.MjSpec:
    """Random MJCF: hinges and slides off the bodies' origins, several joints on a body, reference positions."""
    random = np.random.default_rng(seed)
    spec = mujoco.MjSpec()
    root = spec.worldbody.add_body(name="root", mass=1, inertia=[1, 1, 1], pos=random.normal(size=3))
    if free:
        root.add_freejoint(name="free")
    bodies = [root]
    for i in range(joints):
        parent = bodies[random.integers(len(bodies))]
        if i % 4 != 3 or parent is root:
            q = geometry.normalize(random.normal(size=4))
            parent = parent.add_body(name=f"b{i}", mass=1, inertia=[1, 1, 1], pos=0.3 * random.normal(size=3), quat=q)
            bodies.append(parent)
        kind = mujoco.mjtJoint.mjJNT_SLIDE if random.random() < 0.2 else mujoco.mjtJoint.mjJNT_HINGE
        axis, anchor = random.normal(size=3), 0.1 * random.normal(size=3)
        parent.add_joint(name=f"j{i}", type=kind, axis=axis, pos=anchor, ref=0.3 * random.normal(), range=[-1, 1.5])
    for i, b in enumerate(bodies):
        b.add_site(name=f"s{i}", pos=random.normal(size=3), quat=geometry.normalize(random.normal(size=4)))
    return spec


def random_tree(seed: int, free: bool = True) -> tuple[mujoco.MjModel, Tree]:
    model = light_model(random_spec(seed, free=free))
    return model, extract_tree(model, "root", tuple(model.site(i).name for i in range(model.nsite)))


def random_motion(tree: Tree, seed: int, frames: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    q = random.uniform(np.maximum(tree.lower, -2), np.minimum(tree.upper, 2), size=(frames, len(tree.joint_names)))
    return q, geometry.pose(geometry.normalize(random.normal(size=(frames, 4))), random.normal(size=(frames, 3)))


def assert_equals_mujoco(model: mujoco.MjModel, tree: Tree, base: str, seed: int) -> None:
    q, T = random_motion(tree, seed)
    ours, jacobians = site_poses(tree, q, T), {}
    for name in tree.site_names[-3:]:
        jacobians[name] = (
            point_jacobian(dataclasses.replace(tree, mimic_source=np.full(len(q[0]), -1)), q, name, T, with_base=True),
            orientation_jacobian(dataclasses.replace(tree, mimic_source=np.full(len(q[0]), -1)), q, name, T),
        )
    data = mujoco.MjData(model)
    free = int(model.body(base).jntnum[0]) == 1
    assert free
    address = [model.joint(name).qposadr[0] for name in tree.joint_names]
    speed = [model.joint(name).dofadr[0] for name in tree.joint_names]
    for t in range(len(q)):
        data.qpos[:7] = np.concatenate([T[t, 4:], T[t, :4]])
        data.qpos[address] = q[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for i, name in enumerate(tree.site_names):
            site = data.site(name)
            np.testing.assert_allclose(ours[t, i, 4:], site.xpos, atol=1e-10)
            np.testing.assert_allclose(geometry.matrix_from_quat(ours[t, i, :4]), site.xmat.reshape(3, 3), atol=1e-10)
        for name, (point, turn) in jacobians.items():
            p, r = np.zeros((3, model.nv)), np.zeros((3, model.nv))
            mujoco.mj_jacSite(model, data, p, r, model.site(name).id)
            np.testing.assert_allclose(point[t, :, 6:], p[:, speed], atol=1e-10)
            np.testing.assert_allclose(turn[t], r[:, speed], atol=1e-10)
            np.testing.assert_allclose(point[t, :, 3:6], p[:, :3], atol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_random_trees_equal_mujoco(seed):
    model, tree = random_tree(seed)
    assert {"hinge", "slide"} >= set(tree.kind)
    assert len(tree.joint_names) == 12
    assert_equals_mujoco(model, tree, "root", seed)


@pytest.mark.parametrize("name", robot_names())
def test_shipped_robots_equal_mujoco(name):
    try:
        robot = load_robot(name)
    except MissingAsset as error:
        pytest.skip(str(error))
    model = light_model(mj_spec(robot))
    base = model.body(int(model.jnt_bodyid[0])).name
    assert_equals_mujoco(model, robot.tree, base, 0)


def test_a_tree_without_free_joint_stands_at_its_base():
    model, tree = random_tree(3, free=False)
    q, _ = random_motion(tree, 1, frames=2)
    data = mujoco.MjData(model)
    T_world_root = geometry.pose(model.body("root").quat, model.body("root").pos)
    ours = site_poses(tree, q, T_world_root)
    for t in range(2):
        data.qpos[[model.joint(n).qposadr[0] for n in tree.joint_names]] = q[t]
        mujoco.mj_kinematics(model, data)
        for i, name in enumerate(tree.site_names):
            np.testing.assert_allclose(ours[t, i, 4:], data.site(name).xpos, atol=1e-10)


def with_mimic(tree: Tree) -> Tree:
    """The tree with its last two joints following its first."""
    source, ratio, offset = np.full(12, -1), np.ones(12), np.zeros(12)
    source[10:], ratio[10:], offset[10:] = 0, [0.5, -1.5], [0.1, -0.2]
    return dataclasses.replace(tree, mimic_source=source, mimic_ratio=ratio, mimic_offset=offset)


@pytest.mark.parametrize("seed", range(3))
def test_jacobians_equal_finite_differences(seed):
    tree = with_mimic(random_tree(seed)[1])
    q, T = random_motion(tree, seed)
    q, h = tree.with_mimic(q), 1e-6
    for name in tree.site_names:
        point = point_jacobian(tree, q, name, T, with_base=True)
        turn = orientation_jacobian(tree, q, name, T, with_base=True)
        assert not point[:, :, 6 + 10 :].any()
        for column in range(6 + 10):
            ends = []
            for sign in (1, -1):
                q2, T2 = q.copy(), T.copy()
                if column < 3:
                    w = np.zeros(3)
                    w[column] = sign * h
                    T2[:, :4] = geometry.quat_mul(np.broadcast_to(geometry.quat_exp(w), (3, 4)), T[:, :4])
                elif column < 6:
                    T2[:, 4 + column - 3] += sign * h
                else:
                    q2[:, column - 6] += sign * h
                    q2 = tree.with_mimic(q2)
                ends.append(site_poses(tree, q2, T2, [name])[:, 0])
            dp = (ends[0][:, 4:] - ends[1][:, 4:]) / (2 * h)
            dw = geometry.quat_log(geometry.quat_mul(ends[0][:, :4], geometry.quat_inverse(ends[1][:, :4]))) / (2 * h)
            np.testing.assert_allclose(point[:, :, column], dp, atol=1e-7)
            np.testing.assert_allclose(turn[:, :, column], dw, atol=1e-7)


def test_joint_poses_carry_the_sites():
    tree = random_tree(0)[1]
    q, T = random_motion(tree, 0)
    carried = joint_poses(tree, q, T)[:, tree.site_joint]
    carried[:, tree.site_joint < 0] = T[:, None]
    np.testing.assert_allclose(
        geometry.compose(carried, np.broadcast_to(tree.T_joint_site, carried.shape))[..., 4:],
        site_poses(tree, q, T)[..., 4:],
        atol=1e-12,
    )


def test_arguments_are_checked_and_not_changed():
    tree = random_tree(0)[1]
    q, T = random_motion(tree, 0)
    before = q.copy(), T.copy()
    site_poses(tree, q, T)
    point_jacobian(tree, q, tree.site_names[0], T)
    np.testing.assert_array_equal(q, before[0])
    np.testing.assert_array_equal(T, before[1])
    with pytest.raises(ValueError, match="wanted"):
        site_poses(tree, q[:, :-1])
    with pytest.raises(UnknownName, match="site"):
        site_poses(tree, q, T, ["nowhere"])
