"""The human tree: sizes from a height, left and right alike, joints that move the way a person's do."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain import geometry, skeletons
from vidpretrain.human import FINGER_JOINTS, Shape, hand_tree, human_tree, rest
from vidpretrain.kinematics import orientation_jacobian, site_poses
from vidpretrain.skeletons import FINGERTIPS, HAND_NAMES

HEIGHT_M = 1.72
TREE = human_tree(HEIGHT_M)
HUMAN75 = skeletons.skeleton("human75")


def points(q: np.ndarray) -> np.ndarray:
    """Points (75 3) of a posture, the pelvis at the origin."""
    return site_poses(TREE, q[None], None, list(HUMAN75.names))[0, :, 4:]


def with_angles(**degrees: float) -> np.ndarray:
    q = rest(TREE)
    for name, angle in degrees.items():
        q[TREE.joint(name)] = np.radians(angle)
    return TREE.with_mimic(q)


def test_every_point_of_human75_is_a_site_and_unknowns_are_about_seventy() -> None:
    assert TREE.site_names[:75] == HUMAN75.names
    assert {"pelvis", "head", "left_palm", "right_palm"} == set(TREE.site_names[75:])
    assert 65 <= TREE.independent.sum() <= 80
    assert set(FINGER_JOINTS) <= set(TREE.joint_names)


def test_bones_have_the_lengths_of_the_shape() -> None:
    shape, at = Shape(), HUMAN75.index
    p = points(np.zeros(len(TREE.joint_names)))
    for side in skeletons.SIDES:
        for a, b, share in (
            ("shoulder", "elbow", shape.upper_arm),
            ("elbow", "wrist", shape.forearm),
            ("hip", "knee", shape.thigh),
            ("knee", "ankle", shape.shank),
        ):
            length = np.linalg.norm(p[at(f"{side}_{a}")] - p[at(f"{side}_{b}")])
            assert length == pytest.approx(share * HEIGHT_M, rel=1e-9)
        hand = p[skeletons.HAND_SLICES[side]]
        chain = np.linalg.norm(np.diff(hand[[0, 9, 10, 11, 12]], axis=0), axis=1).sum()
        assert chain == pytest.approx(0.108 * HEIGHT_M, rel=1e-9)
    width = np.linalg.norm(p[at("left_shoulder")] - p[at("right_shoulder")])
    assert width == pytest.approx(shape.shoulder_width * HEIGHT_M, rel=1e-9)
    eyes, ankles = p[at("left_eye"), 2], p[at("left_ankle"), 2]
    assert 0.85 * HEIGHT_M < eyes - ankles < 0.96 * HEIGHT_M


def test_equal_angles_left_and_right_are_mirror_images() -> None:
    rng = np.random.default_rng(3)
    q = TREE.with_mimic(rng.uniform(0.8 * TREE.lower, 0.8 * TREE.upper))
    other = q.copy()
    for j, name in enumerate(TREE.joint_names):
        if name.startswith(("left", "right")):
            swapped = name.replace("left", "*").replace("right", "left").replace("*", "right")
            other[TREE.joint(swapped)] = q[j]
        elif name.endswith(("roll", "yaw")):
            other[j] = -q[j]
    mirrored = points(q)[list(HUMAN75.mirror)] * [1.0, -1.0, 1.0]
    np.testing.assert_allclose(points(other), mirrored, atol=1e-12)


@pytest.mark.parametrize("side", skeletons.SIDES)
def test_joints_bend_the_way_they_do(side: str) -> None:
    hand = skeletons.HAND_SLICES[side]
    straight, bent = (
        points(with_angles(**{f"{side}_elbow_flex": 5})),
        points(with_angles(**{f"{side}_elbow_flex": 100})),
    )
    assert bent[hand.start, 2] > straight[hand.start, 2] + 0.1, "the forearm goes up"
    assert np.linalg.norm(bent[hand.start] - bent[0]) < np.linalg.norm(straight[hand.start] - straight[0])
    knee = points(with_angles(**{f"{side}_knee_flex": 90}))
    ankle = HUMAN75.index(f"{side}_ankle")
    assert knee[ankle, 0] < points(rest(TREE))[ankle, 0] - 0.2, "the shank goes back"
    toe = HUMAN75.index(f"{side}_foot_index")
    assert points(with_angles(**{f"{side}_hip_flex": 60}))[toe, 0] > 0.3, "the leg goes forward"


@pytest.mark.parametrize("side", skeletons.SIDES)
def test_a_fist_brings_the_tips_to_the_palm(side: str) -> None:
    tree = hand_tree(side, HEIGHT_M)
    names = [f"{side}_hand_{name}" for name in HAND_NAMES]
    open_q, fist = np.zeros(len(tree.joint_names)), np.zeros(len(tree.joint_names))
    for j, name in enumerate(tree.joint_names):
        fist[j] = np.radians(80) if name.endswith("_flex") and "thumb" not in name else 0.0
    opened, closed = (site_poses(tree, tree.with_mimic(q)[None], None, names)[0, :, 4:] for q in (open_q, fist))
    palmwards = -1.0 if side == "right" else 1.0
    for tip in FINGERTIPS[1:]:
        assert np.linalg.norm(closed[tip]) < 0.7 * np.linalg.norm(opened[tip])
        assert palmwards * closed[tip, 2] > 0.01
    spread = opened[5, 1] - opened[17, 1]
    assert spread > 0.04, "y points from the little finger to the index"


@pytest.mark.parametrize("side", skeletons.SIDES)
def test_a_hand_alone_is_the_hand_of_the_whole(side: str) -> None:
    tree = hand_tree(side, HEIGHT_M)
    rng = np.random.default_rng(5)
    q = tree.with_mimic(rng.uniform(0.5 * tree.lower, 0.5 * tree.upper))
    whole = rest(TREE)
    whole[TREE.joints(tree.joint_names)] = q
    names = [f"{side}_hand_{name}" for name in HAND_NAMES]
    palm = site_poses(TREE, whole[None], None, [f"{side}_palm"])[0, 0]
    of_whole = geometry.transform(geometry.inverse(palm), site_poses(TREE, whole[None], None, names)[0, :, 4:])
    np.testing.assert_allclose(site_poses(tree, q[None], None, names)[0, :, 4:], of_whole, atol=1e-12)


@pytest.mark.parametrize(
    "direction",
    [(0, 0, -1), (1, 0, 0), (1, 0, -1), (0, 0.3, 1), (0.7, 0.7, 0), (1, -0.5, 0), (0, 1, 0), (-0.5, 0.2, -1)],
    ids=str,
)
def test_no_gimbal_lock_where_an_upper_arm_points(direction) -> None:
    """The three axes of the shoulder stay apart for a left upper arm that points in that direction."""
    wanted = geometry.normalize(np.array(direction, dtype=float))
    names = ("left_shoulder_swing", "left_shoulder_raise")
    q = np.repeat(rest(TREE)[None], 61 * 41, axis=0)
    grid = np.meshgrid(
        *(
            np.linspace(TREE.lower[TREE.joint(n)], TREE.upper[TREE.joint(n)], k)
            for n, k in zip(names, (61, 41), strict=True)
        )
    )
    for name, values in zip(names, grid, strict=True):
        q[:, TREE.joint(name)] = values.ravel()
    at = site_poses(TREE, q, None, ["left_shoulder", "left_elbow"])[..., 4:]
    arm = geometry.normalize(at[:, 1] - at[:, 0])
    best = int(np.argmax(arm @ wanted))
    assert arm[best] @ wanted > np.cos(np.radians(8)), "within the limits"
    J = orientation_jacobian(TREE, q[best : best + 1], "left_elbow")[0]
    axes = J[:, TREE.joints(["left_shoulder_swing", "left_shoulder_raise", "left_shoulder_twist"])]
    assert np.linalg.svd(axes, compute_uv=False)[-1] > 0.25


def test_rest_is_inside_the_limits_and_upright() -> None:
    q = rest(TREE)
    assert (q >= TREE.lower).all()
    assert (q <= TREE.upper).all()
    p = points(q)
    assert p[HUMAN75.index("nose"), 2] > p[HUMAN75.index("left_shoulder"), 2] > 0 > p[HUMAN75.index("left_heel"), 2]
