"""The proportions of a person's hands are found in the fit; how large hands are is not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_person import film, look_at

from vidpretrain import geometry, skeletons
from vidpretrain.human import hand_tree, human_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.motion.proportions import GROUPS, common, parameters
from vidpretrain.solve import with_parameters

HEIGHT_M = 1.75
PERSON = {"palm": 0.93, "thumb_base": 1.0, "thumb": 0.88, "proximal": 1.14, "middle": 1.04, "distal": 0.92}
EGO = MotionConfig(fov_x_deg=90.0, height_m=HEIGHT_M, view="ego", ego_pitch_deg=50.0)


def bones_m(p: np.ndarray) -> dict[str, float]:
    """Lengths of the right hand's bones by group, summed over its fingers, from its points (t 21 3)."""
    of = {
        "palm": [(0, k) for k in (5, 9, 13, 17)],
        "thumb": [(1, 2), (2, 3), (3, 4)],
        "proximal": [(k, k + 1) for k in (5, 9, 13, 17)],
        "middle": [(k, k + 1) for k in (6, 10, 14, 18)],
        "distal": [(k, k + 1) for k in (7, 11, 15, 19)],
    }
    return {n: sum(float(np.linalg.norm(p[0, a] - p[0, b])) for a, b in pairs) for n, pairs in of.items()}


def handling() -> np.ndarray:
    """human75 points of somebody with hands of his own who closes and turns them before him."""
    plain = human_tree(HEIGHT_M)
    tree = with_parameters(plain, parameters(plain, skeletons.SIDES, 1.0), dict(PERSON))
    time_s = np.arange(90) / 30
    q = np.repeat(rest(tree)[None], len(time_s), axis=0)
    moves = [("elbow_flex", 85, 12, 0.5), ("forearm_roll", 0, 40, 0.4), ("wrist_flex", 0, 20, 0.7)]
    moves += [("shoulder_raise", 0, 12, 0.3), ("thumb_mcp_flex", 25, 20, 0.6), ("thumb_cmc_flex", 0, 15, 0.5)]
    for k, finger in enumerate(("index", "middle", "ring", "pinky")):
        moves += [(f"{finger}_mcp_flex", 25, 20, 0.5 + 0.1 * k), (f"{finger}_pip_flex", 30, 25, 0.7 - 0.1 * k)]
    for side in skeletons.SIDES:
        for name, middle, swing, hz in moves:
            q[:, tree.joint(f"{side}_{name}")] = np.radians(middle + swing * np.sin(2 * np.pi * hz * time_s))
    pelvis = np.tile(geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, 0.517 * HEIGHT_M])), (len(q), 1))
    return site_poses(tree, tree.with_mimic(q), pelvis, list(skeletons.skeleton("human75").names))[..., 4:]


def test_a_persons_hands_are_found() -> None:
    p_world, camera = handling(), look_at(np.array([0.1, 0, 1.65]), np.array([0.5, 0, 1.1]))
    filmed = film(p_world, camera, fov_x_deg=90.0, body=False, noise_px=1.0)
    part = skeletons.HAND_SLICES["right"]
    true = bones_m(p_world[:, part])
    off, shape_mm = {}, {}
    for sigma in (0.3, 0.08, 1e-4):
        config = dataclasses.replace(EGO, fit=dataclasses.replace(EGO.fit, proportions_sigma=sigma))
        motions = build_motion(filmed.tracks, filmed.clip, config)
        assert isinstance(motions, tuple)
        pose = motions[0].camera.T_world_camera
        assert pose is not None
        own = geometry.transform(geometry.inverse(pose)[:, None], motions[0].p_world_keypoint)[:, part]
        truth = geometry.transform(geometry.inverse(filmed.T_world_camera), filmed.p_world)[:, part]
        found = bones_m(own)
        off[sigma] = {n: abs(np.log(found[n] / true[n] * true["palm"] / found["palm"])) for n in true if n != "palm"}
        size = true["palm"] / found["palm"]
        shape = size * (own - own[:, :1]) - (truth - truth[:, :1])
        shape_mm[sigma] = 1000 * np.median(np.linalg.norm(shape, axis=-1))
    assert max(off[1e-4].values()) > 0.18
    assert max(off[0.3].values()) < 0.05, off[0.3]
    assert max(off[0.08].values()) < 0.8 * max(off[1e-4].values())
    assert max(shape_mm[0.3], shape_mm[0.08]) < 0.9 * shape_mm[1e-4]


def test_two_hands_have_one_set_of_proportions_and_keep_their_size() -> None:
    found = [(10, PERSON), (30, dict.fromkeys(GROUPS, 1.1))]
    assert common([], on_body=True) == {}
    alone = common(found, on_body=False)
    assert alone["palm"] == 1.0
    assert alone["thumb"] == pytest.approx((0.88 / 0.93) ** 0.25)
    plain, factors = hand_tree("left", HEIGHT_M), common(found, on_body=True)
    tree = with_parameters(plain, parameters(plain, ("left",), 1.0), dict(factors))
    names = [f"left_hand_{skeletons.HAND_NAMES[k]}" for k in (0, 9, 10, 11, 12)]
    lengths = [
        np.linalg.norm(np.diff(site_poses(t, rest(t)[None], None, names)[0, :, 4:], axis=0), axis=-1).sum()
        for t in (plain, tree)
    ]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-9)
    assert factors["thumb"] / factors["palm"] == pytest.approx((0.88 / 0.93) ** 0.25)


def test_a_human_and_a_hand_alone_have_the_same_hand() -> None:
    human, hand = human_tree(HEIGHT_M), hand_tree("right", HEIGHT_M)
    human = with_parameters(human, parameters(human, skeletons.SIDES, 1.0), dict(PERSON))
    hand = with_parameters(hand, parameters(hand, ("right",), 1.0), dict(PERSON))
    names = [f"right_hand_{name}" for name in skeletons.HAND_NAMES]
    a, b = (site_poses(t, rest(t)[None], None, names)[0, :, 4:] for t in (human, hand))
    between = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (a, b)]
    np.testing.assert_allclose(between[0], between[1], atol=1e-9)
    index, knuckle = (site_poses(human, rest(human)[None], None, [n])[0, 0, 4:] for n in ("right_index", names[5]))
    np.testing.assert_allclose(index, knuckle, atol=1e-12)
