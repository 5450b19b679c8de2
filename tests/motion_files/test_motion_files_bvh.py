"""BVH: forward kinematics against SciPy's rotations, names of several makers, and files that are cut or broken."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from motion_file_makers import FRAMES, bvh_text, write_bvh
from scipy.spatial.transform import Rotation

from vidpretrain.errors import InputError, UnknownName
from vidpretrain.motion_files import MotionFileConfig, read_motion
from vidpretrain.motion_files.bvh import Joint, read_bvh
from vidpretrain.motion_files.bvh_names import points_by_name, split_side
from vidpretrain.skeletons import skeleton


@pytest.mark.parametrize("order", ["".join(o) for o in itertools.permutations("XYZ")] + ["ZXZ"])
def test_any_euler_order_equals_scipy(tmp_path, order):
    bvh = read_bvh(write_bvh(tmp_path / "a.bvh", order=order))
    numbers = np.array([line.split() for line in bvh_text(order=order).split("Frame Time:")[1].splitlines()[1:]], float)
    at, column = {}, 3
    for i, joint in enumerate(bvh.joints):
        if joint.parent < 0:
            where, turn = numbers[:, :3], Rotation.identity()
        else:
            where, turn = at[joint.parent][0] + at[joint.parent][1].apply(joint.offset), at[joint.parent][1]
        if not joint.is_end:
            turn = turn * Rotation.from_euler(order, numbers[:, column : column + 3], degrees=True)
            column += 3
        at[i] = where, turn
        np.testing.assert_allclose(bvh.p[:, i], where, atol=1e-6)
    assert bvh.rate_hz == pytest.approx(30.0, abs=0.01)


@pytest.mark.parametrize("unit", [1.0, 0.01, 10.0, 1 / 2.54])
def test_units_are_found(tmp_path, unit):
    motion = read_motion(write_bvh(tmp_path / "a.bvh", unit=unit))
    sk, p = skeleton("human75"), np.asarray(motion.p_world_keypoint)
    for side in ("left", "right"):
        for (a, b), length in {("hip", "knee"): 0.42, ("knee", "ankle"): 0.41, ("shoulder", "elbow"): 0.28}.items():
            got = np.linalg.norm(p[:, sk.index(f"{side}_{a}")] - p[:, sk.index(f"{side}_{b}")], axis=1)
            np.testing.assert_allclose(got, length, atol=1e-4)
    assert motion.height_m == pytest.approx(0.83 / 0.491, abs=1e-3)
    assert (motion.body_seen, motion.height_from, len(motion.time_ns)) == (True, "fitted", FRAMES)
    head = p[:, sk.index("left_shoulder"), 2] - p[:, sk.index("left_ankle"), 2]
    assert np.median(head) > 1.0  # y of the file became z
    forward = np.asarray(motion.T_world_root)[:, :4]
    assert np.isfinite(forward).all()
    assert not motion.valid[:, sk.index("nose")].any()
    assert motion.imputed[:, sk.index("left_heel")].all()


def test_unit_and_up_that_the_user_gives_win(tmp_path):
    path = write_bvh(tmp_path / "a.bvh")
    motion = read_motion(path, MotionFileConfig(unit_m=0.02, height_m=3.0, rate_hz=60, up="y"))
    assert (motion.height_m, motion.height_from) == (3.0, "given")
    assert motion.time_ns[1] == round(1e9 / 60)
    sk = skeleton("human75")
    thigh = motion.p_world_keypoint[:, sk.index("left_hip")] - motion.p_world_keypoint[:, sk.index("left_knee")]
    np.testing.assert_allclose(np.linalg.norm(thigh, axis=1), 0.84, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s[: len(s) // 2], "cut short|broken"),
        (lambda s: s.partition("MOTION")[0], "no MOTION"),
        (lambda s: s.partition("Frame Time")[0], "not readable"),
        (lambda s: s.replace("HIERARCHY", "HIERACHY", 1), "not a BVH"),
        (lambda s: s.rsplit("\n", 2)[0], "cut short"),
        (lambda s: s + "1 2 3\n", "more numbers"),
        (lambda s: s.replace("ROOT Hips\n{", "ROOT Hips\n", 1), "broken"),
        (lambda s: s.replace("Zrotation", "Wrotation", 1), "broken"),
        (lambda s: s.replace("OFFSET", "OFFSET x", 1), "number is missing"),
        (lambda s: s[:-8] + "nonsense", "none"),
        (lambda s: "", "not a BVH"),
        (lambda s: s.replace("}", "", 1), "cut short|broken"),
        (lambda s: s.replace(f"Frames: {FRAMES}", "Frames: 99999999"), "no sense|cut short"),
        (lambda s: s.replace(f"Frames: {FRAMES}", "Frames: 0"), "no sense"),
        (lambda s: s.replace("Frame Time: 0.033333", "Frame Time: 0"), "frame rate"),
    ],
)
def test_broken_files_say_what_is_wrong(tmp_path, change, words):
    path = tmp_path / "broken.bvh"
    path.write_text(change(bvh_text()))
    with pytest.raises(InputError, match=words):
        read_motion(path)


def test_numbers_that_are_nan_hide_their_frames(tmp_path):
    lines = bvh_text().splitlines()
    bad = lines[-5].split()
    lines[-5] = " ".join(["nan"] * len(bad))
    path = tmp_path / "nan.bvh"
    path.write_text("\n".join(lines))
    motion = read_motion(path)
    body = skeleton("human75").indices("left_shoulder", "left_wrist", "right_hip")
    expected = np.ones(FRAMES, dtype=bool)
    expected[-5] = False
    np.testing.assert_array_equal(motion.valid[:, body].all(axis=1), expected)
    assert np.isnan(motion.p_world_keypoint[-5]).all()


def test_wrong_units_pixels_and_another_skeleton(tmp_path):
    with pytest.raises(InputError, match="no person's"):
        read_motion(write_bvh(tmp_path / "a.bvh", unit=0.2))
    path = tmp_path / "b.bvh"
    path.write_text(bvh_text().replace("LeftForeArm", "Tentacle"))
    with pytest.raises(InputError, match="another skeleton") as caught:
        read_motion(path)
    assert "left_elbow" in str(caught.value)
    motion = read_motion(path, MotionFileConfig(names={"left_elbow": "Tentacle"}))
    assert motion.valid[:, skeleton("human75").index("left_elbow")].all()
    with pytest.raises(UnknownName, match="did you mean 'Tentacle'"):
        read_motion(path, MotionFileConfig(names={"left_elbow": "Tentacel"}))
    with pytest.raises(UnknownName):
        read_motion(path, MotionFileConfig(names={"left_elbo": "Tentacle"}))


def test_left_and_right_exchanged_are_refused_or_put_right(tmp_path):
    text = bvh_text().replace("Left", "~").replace("Right", "Left").replace("~", "Right")
    path = tmp_path / "mirror.bvh"
    path.write_text(text)
    with pytest.raises(InputError, match="exchanged"):
        read_motion(path)
    mended = read_motion(path, MotionFileConfig(mirrored="swap"))
    good = read_motion(write_bvh(tmp_path / "good.bvh"))
    np.testing.assert_allclose(mended.p_world_keypoint, good.p_world_keypoint, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "side", "rest"),
    [
        ("mixamorig:LeftUpLeg", "left", "upleg"), ("LeftUpLeg", "left", "upleg"), ("Bip01 L Thigh", "left", "thigh"),
        ("lShldr", "left", "shldr"), ("rForeArm", "right", "forearm"), ("L_Hip", "left", "hip"),
        ("hand.R", "right", "hand"),
        ("upper_arm.L", "left", "upperarm"), ("RHipJoint", "right", "hipjoint"), ("Spine", None, "spine"),
        ("Root", None, "root"), ("LowerBack", None, "lowerback"), ("Skeleton:RightToeBase", "right", "toebase"),
        ("lHand", "left", "hand"), ("RightHandThumb1", "right", "handthumb1"), ("Reference", None, "reference"),
    ],
)  # fmt: skip
def test_sides_of_names(name, side, rest):
    assert split_side(name) == (side, rest)


MAKERS = {
    "lafan": "{S}UpLeg {S}Leg {S}Foot {S}Toe {S}Shoulder {S}Arm {S}ForeArm {S}Hand",
    "xsens": "{S}Hip {S}Knee {S}Ankle {S}Toe {S}Collar {S}Shoulder {S}Elbow {S}Wrist",
    "rokoko": "{S}Thigh {S}Shin {S}Foot {S}Toe {S}Shoulder {S}Arm {S}ForeArm {S}Hand",
    "biped": "Bip01_{X}_Thigh Bip01_{X}_Calf Bip01_{X}_Foot Bip01_{X}_Toe0 Bip01_{X}_Clavicle Bip01_{X}_UpperArm "
    "Bip01_{X}_Forearm Bip01_{X}_Hand",
    "poser": "{x}Thigh {x}Shin {x}Foot {x}Toe {x}Collar {x}Shldr {x}ForeArm {x}Hand",
    "smpl": "{X}_Hip {X}_Knee {X}_Ankle {X}_Foot {X}_Collar {X}_Shoulder {X}_Elbow {X}_Wrist",
}


@pytest.mark.parametrize("maker", MAKERS)
def test_names_of_makers(maker):
    points = ("hip", "knee", "ankle", "foot_index", None, "shoulder", "elbow", "wrist")
    joints, expected = [Joint("Hips", -1)], {}
    for side in ("left", "right"):
        words = {"S": side.capitalize(), "X": side[0].upper(), "x": side[0]}
        for point, name in zip(points, MAKERS[maker].format(**words).split(), strict=True):
            if point:
                expected[f"{side}_{point}"] = len(joints)
            joints.append(Joint(name, 0))
    assert points_by_name(tuple(joints), {}) == expected


@pytest.mark.parametrize("style", ["LeftHand{F}{n}", "Left{F}{word}"])
def test_fingers_with_their_tips(style):
    body = [f"{s}{p}" for s in ("Left", "Right") for p in ("Arm", "ForeArm", "Hand")]
    joints = [Joint("Hips", -1), *(Joint(name, 0) for name in body)]
    words = {1: "Proximal", 2: "Intermediate", 3: "Distal"}
    for finger in ("Thumb", "Index", "Middle", "Ring", "Pinky"):
        for n in (1, 2, 3):
            joints.append(Joint(style.format(F=finger, n=n, word=words[n]), 3 if n == 1 else len(joints) - 1))
        joints.append(Joint(f"{joints[-1].name}_end", len(joints) - 1, is_end=True))
    found = points_by_name(tuple(joints), {})
    hand = [name for name in skeleton("human75").names if name.startswith("left_hand_")]
    assert {name for name in found if name.startswith("left_hand_")} == set(hand)
    assert joints[found["left_hand_index_tip"]].is_end
    assert found["left_hand_wrist"] == found["left_wrist"]
    assert joints[found["left_hand_thumb_cmc"]].name == style.format(F="Thumb", n=1, word="Proximal")
