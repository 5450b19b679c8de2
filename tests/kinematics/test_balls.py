"""Ball and free joints: MuJoCo's poses and Jacobians, finite differences on the manifold, the tree's own rules."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import InputError, UnknownName
from vidpretrain.kinematics import joint_poses, orientation_jacobian, point_jacobian, site_poses
from vidpretrain.robot.extract import extract_tree, light_model
from vidpretrain.robot.qpos import qpos_columns
from vidpretrain.tree import Tree, ball_joint, free_joint, hinge_joint, slide_joint, tree_of


def spec_with_balls(seed: int) -> mujoco.MjSpec:
    """Chains of balls, hinges and slides off their bodies' origins on a free root, and a free object beside it."""
    random = np.random.default_rng(seed)
    spec = mujoco.MjSpec()
    root = spec.worldbody.add_body(name="root", mass=1, inertia=[1, 1, 1], pos=random.normal(size=3))
    root.add_freejoint(name="root_free")
    thing = spec.worldbody.add_body(name="thing", mass=1, inertia=[1, 1, 1], pos=random.normal(size=3))
    thing.add_freejoint(name="thing_free")
    bodies, kinds = [root, thing], ("BALL", "HINGE", "BALL", "SLIDE", "BALL")
    for i in range(10):
        parent = bodies[random.integers(len(bodies))]
        q = geometry.normalize(random.normal(size=4))
        body = parent.add_body(name=f"b{i}", mass=1, inertia=[1, 1, 1], pos=0.3 * random.normal(size=3), quat=q)
        own = [kinds[i % 5], *(["SLIDE" if kinds[i % 5] == "BALL" else "BALL"] if i % 2 else [])]  # MuJoCo's rule
        for k, kind in enumerate(own):
            body.add_joint(
                name=f"j{i}{'ab'[k]}",
                type=getattr(mujoco.mjtJoint, f"mjJNT_{kind}"),
                axis=random.normal(size=3),
                pos=0.1 * random.normal(size=3),
                ref=0.0 if kind == "BALL" else 0.3 * random.normal(),
            )
        bodies.append(body)
    for i, b in enumerate(bodies):
        b.add_site(name=f"s{i}", pos=random.normal(size=3), quat=geometry.normalize(random.normal(size=4)))
    return spec


def tree_with_balls(seed: int, base: str = "world") -> tuple[mujoco.MjModel, Tree]:
    model = light_model(spec_with_balls(seed))
    sites = [model.site(i) for i in range(model.nsite)]
    if base != "world":
        below = {int(model.body(base).id)}
        for b in range(1, model.nbody):
            if int(model.body_parentid[b]) in below:
                below.add(b)
        sites = [site for site in sites if int(site.bodyid[0]) in below]
    return model, extract_tree(model, base, tuple(site.name for site in sites))


def posture(tree: Tree, seed: int, frames: int = 4) -> np.ndarray:
    random = np.random.default_rng(seed)
    q = random.uniform(-1.5, 1.5, size=(frames, len(tree.joint_names)))
    for j in tree.balls:  # some of them beyond half a turn
        q[:, j : j + 3] *= np.linspace(0.2, 3.0, frames)[:, None] / np.linalg.norm(q[:, j : j + 3], axis=1)[:, None]
    return q


@pytest.mark.parametrize("seed", range(4))
def test_balls_equal_mujoco(seed):
    model, tree = tree_with_balls(seed)
    assert len(tree.balls) >= 6
    assert tree.joint_names[:6] == tuple(f"root_free{s}" for s in (".tx", ".ty", ".tz", ".x", ".y", ".z"))
    q = posture(tree, seed)
    columns, data = qpos_columns(model, tree.joint_names), mujoco.MjData(model)
    ours = site_poses(tree, q)
    jacobians = [(point_jacobian(tree, q, name), orientation_jacobian(tree, q, name)) for name in tree.site_names]
    for t in range(len(q)):
        columns.put(data.qpos, q[t])
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        to_zero = np.eye(model.nv)  # MuJoCo turns balls about their turned axes
        for j in tree.balls:
            d = columns.dof[j : j + 3]
            to_zero[np.ix_(d, d)] = geometry.matrix_from_quat(geometry.quat_exp(q[t, j : j + 3])).T
        for i, name in enumerate(tree.site_names):
            site = data.site(name)
            np.testing.assert_allclose(ours[t, i, 4:], site.xpos, atol=1e-10)
            np.testing.assert_allclose(geometry.matrix_from_quat(ours[t, i, :4]), site.xmat.reshape(3, 3), atol=1e-10)
            p, r = np.zeros((3, model.nv)), np.zeros((3, model.nv))
            mujoco.mj_jacSite(model, data, p, r, model.site(name).id)
            np.testing.assert_allclose(jacobians[i][0][t], (p @ to_zero)[:, columns.dof], atol=1e-10)
            np.testing.assert_allclose(jacobians[i][1][t], (r @ to_zero)[:, columns.dof], atol=1e-10)


def test_a_subtree_with_balls_equals_mujoco():
    model, tree = tree_with_balls(1, "root")
    assert 0 < len(tree.balls) < len(tree_with_balls(1)[1].balls)
    q, T = posture(tree, 0), geometry.pose(geometry.normalize(np.arange(1.0, 5.0)), np.array([0.1, -2.0, 0.3]))
    columns, data = qpos_columns(model, tree.joint_names), mujoco.MjData(model)
    ours = site_poses(tree, q, T)
    data.qpos[:7] = [*T[4:], *T[:4]]
    for t in range(len(q)):
        columns.put(data.qpos, q[t])
        mujoco.mj_kinematics(model, data)
        for i, name in enumerate(tree.site_names):
            np.testing.assert_allclose(ours[t, i, 4:], data.site(name).xpos, atol=1e-10)


@pytest.mark.parametrize("seed", range(2))
def test_jacobians_equal_finite_differences_on_the_manifold(seed):
    tree, h = tree_with_balls(seed)[1], 1e-6
    q = posture(tree, seed)
    ball_of = {j + k: j for j in tree.balls for k in range(3)}
    for name in tree.site_names:
        point, turn = point_jacobian(tree, q, name), orientation_jacobian(tree, q, name)
        for column in range(len(tree.joint_names)):
            ends = []
            for sign in (1, -1):
                moved = q.copy()
                if column in ball_of:
                    j = ball_of[column]
                    dw = geometry.quat_exp(sign * h * np.eye(3)[column - j])
                    R = geometry.quat_mul(np.broadcast_to(dw, (len(q), 4)), geometry.quat_exp(q[:, j : j + 3]))
                    moved[:, j : j + 3] = geometry.quat_log(R)
                else:
                    moved[:, column] += sign * h
                ends.append(site_poses(tree, moved, None, [name])[:, 0])
            dp = (ends[0][:, 4:] - ends[1][:, 4:]) / (2 * h)
            dw = geometry.quat_log(geometry.quat_mul(ends[0][:, :4], geometry.quat_inverse(ends[1][:, :4]))) / (2 * h)
            np.testing.assert_allclose(point[:, :, column], dp, atol=2e-7)
            np.testing.assert_allclose(turn[:, :, column], dw, atol=2e-7)


def test_columns_and_qpos_are_inverses():
    model, tree = tree_with_balls(2)
    q, columns = posture(tree, 3), qpos_columns(model, tree.joint_names)
    qpos = np.tile(model.qpos0, (len(q), 1))
    columns.put(qpos, q)
    np.testing.assert_allclose(columns.take(qpos), q, atol=1e-12)
    quats = np.stack([qpos[:, i : i + 4] for i in columns.ball_place])
    np.testing.assert_allclose(np.linalg.norm(quats, axis=-1), 1.0)
    with pytest.raises(InputError, match="no joint"):
        qpos_columns(model, (*tree.joint_names, "tail"))


def test_limits_of_a_ball_are_a_box_around_mujocos():
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    body = spec.worldbody.add_body(name="base", mass=1, inertia=[1, 1, 1]).add_body(mass=1, inertia=[1, 1, 1])
    body.add_joint(name="neck", type=mujoco.mjtJoint.mjJNT_BALL, range=[0, 0.8])
    tree = extract_tree(light_model(spec), "base", ())
    np.testing.assert_allclose(tree.bounds(), [[-0.8] * 3, [0.8] * 3])


def arm_parts() -> tuple:
    T = np.array([1.0, 0, 0, 0, 0.0, 0.0, 0.3])
    return (
        free_joint("object", None, geometry.IDENTITY_POSE),
        ball_joint("shoulder", "object", T, -2.0, np.array([2.0, 1.0, 0.5])),
        hinge_joint("elbow", "shoulder", T, np.array([0.0, 1.0, 0.0]), 0.0, 2.5),
        slide_joint("rail", "elbow", T, np.array([0.0, 0.0, 1.0]), -0.1, 0.1),
        ball_joint("wrist", "rail", T),
    )


def test_parts_make_a_tree():
    tip = np.array([1.0, 0, 0, 0, 0, 0, 0.1])
    tree = tree_of(arm_parts(), {"tip": ("wrist", tip), "base": (None, tip), "upper": ("shoulder.x", tip)})
    assert tree.joint_names[3:10] == (
        "object.x", "object.y", "object.z", "shoulder.x", "shoulder.y", "shoulder.z", "elbow",
    )  # fmt: skip
    np.testing.assert_array_equal(tree.balls, [3, 6, 11])
    np.testing.assert_array_equal(tree.parent, np.arange(14) - 1)
    np.testing.assert_array_equal(tree.site_joint, [13, -1, 6])
    np.testing.assert_array_equal(tree.upper[6:9], [2.0, 1.0, 0.5])
    with pytest.raises(UnknownName, match="wrist"):
        tree_of(arm_parts(), {"tip": ("wirst", tip)})
    with pytest.raises(UnknownName, match="joint"):
        tree_of(arm_parts()[1:], {})


def test_what_hangs_on_a_ball_hangs_on_its_turned_frame():
    tip = np.array([1.0, 0, 0, 0, 0, 0, 0.1])
    tree = tree_of(arm_parts(), {name: (name, tip) for name in ("shoulder.x", "shoulder.y", "shoulder.z")})
    q = posture(tree, 0)
    elbows = []
    for entry in (6, 7, 8):
        parent = np.array(tree.parent)
        parent[9] = entry
        other = dataclasses.replace(tree, parent=parent, site_joint=np.full(3, entry))
        elbows.append(joint_poses(other, q)[:, 9:])
        for name in tree.site_names:
            np.testing.assert_array_equal(site_poses(other, q, None, [name]), site_poses(tree, q, None, [name]))
            np.testing.assert_array_equal(point_jacobian(other, q, name), point_jacobian(tree, q, name))
    np.testing.assert_array_equal(elbows[0], elbows[2])
    np.testing.assert_array_equal(elbows[1], elbows[2])
    poses = joint_poses(tree, q)
    np.testing.assert_array_equal(poses[:, 6], poses[:, 8])


def test_the_shortest_rotation_vector_is_the_same_turn():
    tree = tree_of((ball_joint("a", None, geometry.IDENTITY_POSE, -9.0, 9.0),), {"tip": ("a", geometry.IDENTITY_POSE)})
    q = np.array([[3.0, 2.0, 0.0], [0.1, 0.0, 0.2], [0.0, 0.0, 7.0], [0.0, 0.0, 0.0]])
    short = tree.shortest(q)
    assert (np.linalg.norm(short, axis=1) <= np.pi).all()
    np.testing.assert_array_equal(short[[1, 3]], q[[1, 3]])
    turns = [geometry.matrix_from_quat(site_poses(tree, x)[:, 0, :4]) for x in (q, short)]
    np.testing.assert_allclose(turns[0], turns[1], atol=1e-12)
    narrow = dataclasses.replace(tree, lower=np.array([0.0, 0.0, -9.0]))
    np.testing.assert_array_equal(narrow.shortest(q)[0], q[0])


def test_change_is_a_difference_and_a_turn():
    tree = tree_of(arm_parts(), {})
    a, b = posture(tree, 0), posture(tree, 1)
    change = tree.change(a, b)
    np.testing.assert_array_equal(change[:, :3], b[:, :3] - a[:, :3])
    for j in tree.balls:
        turned = geometry.quat_mul(geometry.quat_exp(change[:, j : j + 3]), geometry.quat_exp(a[:, j : j + 3]))
        np.testing.assert_allclose(
            geometry.matrix_from_quat(turned), geometry.matrix_from_quat(geometry.quat_exp(b[:, j : j + 3])), atol=1e-12
        )


@pytest.mark.parametrize("change", ["axis", "parent", "pose", "short", "follower", "leader"])
def test_half_a_ball_is_refused(change):
    tree = tree_of(arm_parts(), {})
    fields = {name: np.array(getattr(tree, name)) for name in ("axis", "parent", "T_parent_zero", "mimic_source")}
    kind = list(tree.kind)
    if change == "axis":
        fields["axis"][7] = [0.0, 0.0, 1.0]
    elif change == "parent":
        fields["parent"][8] = 6
    elif change == "pose":
        fields["T_parent_zero"][8, 4] = 0.1
    elif change == "short":
        kind[13] = "hinge"
    elif change == "follower":
        fields["mimic_source"][6] = 9
    else:
        fields["mimic_source"][9] = 6
    with pytest.raises(ValueError, match="follows" if change.endswith("er") else "three entries"):
        dataclasses.replace(tree, kind=tuple(kind), **fields)
