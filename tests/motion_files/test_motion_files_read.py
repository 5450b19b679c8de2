"""SMPL joints and hand tracks: axes, units, sides, and whatever else can be wrong with them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from motion_file_makers import FRAMES, SMPL, hand, person, write_bvh

from vidpretrain import geometry
from vidpretrain.errors import ConfigError, InputError, UnknownName
from vidpretrain.motion_files import MotionFileConfig, read_motion
from vidpretrain.motion_files.smpl import layout_names
from vidpretrain.retarget import retarget
from vidpretrain.robot import load_robot
from vidpretrain.skeletons import HAND_SLICES, skeleton
from vidpretrain.types import RobotMotion

SK = skeleton("human75")
TURNS = {"z": np.eye(3), "y": np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])}


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_smpl_joints_stand_where_they_were(tmp_path):
    p = person()
    motion = read_motion(save(tmp_path / "a.npz", smpl_joints=p, fps=30))
    lift = motion.p_world_keypoint[0, SK.index("left_hip"), 2] - p[0, SMPL.index("left_hip"), 2]
    for name in ("left_hip", "right_knee", "left_ankle", "right_shoulder", "left_elbow", "right_wrist"):
        np.testing.assert_allclose(motion.p_world_keypoint[:, SK.index(name)], p[:, SMPL.index(name)] + [0, 0, lift])
    assert abs(lift) < 0.05
    assert motion.valid.sum(axis=1).max() == 14 + 2  # 14 joints and two heels
    toe, heel = (motion.p_world_keypoint[:, SK.index(f"left_{part}")] for part in ("foot_index", "heel"))
    assert (toe - heel)[:, 0].min() > 0.15
    assert np.abs((toe - heel)[:, 2]).max() < 0.05  # standing: the sole is level
    x = geometry.rotate(np.asarray(motion.T_world_root)[:, :4], np.array([1.0, 0, 0]))
    np.testing.assert_allclose(x, np.tile([1.0, 0, 0], (FRAMES, 1)), atol=0.02)
    assert motion.contact.min() > 0.5  # both feet stand
    assert motion.camera.T_world_camera is None


@pytest.mark.parametrize("up", ["z", "y"])
@pytest.mark.parametrize("unit", [1.0, 100.0, 1000.0])
def test_axes_and_units(tmp_path, up, unit):
    p = person()
    path = save(tmp_path / "a.npz", joints=unit * p @ TURNS[up].T, mocap_framerate=60.0)
    motion = read_motion(path)
    straight = read_motion(save(tmp_path / "b.npz", joints=p, fps=60))
    np.testing.assert_allclose(motion.p_world_keypoint, straight.p_world_keypoint, atol=1e-6)
    assert motion.time_ns[-1] == round((FRAMES - 1) * 1e9 / 60)


@pytest.mark.parametrize("count", [22, 24, 45, 52, 55, 73, 76, 127, 144])
def test_every_skeleton_of_the_family(tmp_path, count):
    p = np.zeros((FRAMES, count, 3))
    p[:, :22] = person()[:, :22]
    p[:, 22:] = np.random.default_rng(0).normal(size=(1, count - min(22, count), 3))
    motion = read_motion(save(tmp_path / "a.npz", joints=p, fps=30), MotionFileConfig(mirrored="swap"))
    has_hands, has_tips = count in (52, 55, 73, 76, 127, 144), count in (73, 76, 127, 144)
    left = [name for name in SK.names if name.startswith("left_hand") and not name.endswith("tip")]
    assert motion.valid[:, SK.indices(*left)].all() == has_hands
    assert motion.valid[:, SK.index("left_hand_index_tip")].all() == has_tips
    assert motion.valid[:, SK.index("nose")].all() == (count not in (22, 24, 52, 55))


def test_smplx_appends_its_points_in_this_order():
    """The library's order: 52 or 55 joints, nose, eyes, ears, toes and heels, then left and right fingertips."""
    names = layout_names(73)
    assert [names[n] for n in ("nose", "left_heel", "left_hand_thumb_tip", "right_hand_pinky_tip")] == [52, 59, 63, 72]
    assert [names[n] for n in ("left_hand_index_mcp", "left_hand_pinky_mcp", "right_hand_thumb_ip")] == [22, 28, 51]
    names = layout_names(144)
    assert [names[n] for n in ("left_hand_index_mcp", "right_hand_index_mcp", "left_hand_thumb_tip")] == [25, 40, 66]


def test_frames_with_nan_keep_the_others(tmp_path):
    p = person()
    p[5] = np.nan
    p[9, SMPL.index("left_wrist")] = np.inf
    motion = read_motion(save(tmp_path / "a.npz", joints=p, fps=30))
    wrist, hip = SK.index("left_wrist"), SK.index("left_hip")
    assert np.flatnonzero(~motion.valid[:, wrist]).tolist() == [5, 9]
    assert np.flatnonzero(~motion.valid[:, hip]).tolist() == [5]
    assert np.isfinite(motion.p_world_keypoint[motion.valid]).all()
    assert np.isnan(motion.p_world_keypoint[~motion.valid]).all()
    p[2:] = np.nan
    with pytest.raises(InputError, match="too few frames"):
        read_motion(save(tmp_path / "b.npz", joints=p, fps=30))
    with pytest.raises(InputError, match="finite"):
        read_motion(save(tmp_path / "c.npz", joints=np.full_like(p, np.nan), fps=30))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"poses": np.zeros((5, 156)), "trans": np.zeros((5, 3)), "mocap_framerate": 30}, "body model"),
        ({"dof_pos": np.zeros((5, 29)), "root_pos": np.zeros((5, 3))}, "robot's motion"),
        ({"other": np.zeros(3)}, "no joints in the file"),
        ({"joints": np.zeros((5, 17, 3)), "fps": 30}, "17 joints are no skeleton"),
        ({"joints": np.zeros((5, 24, 2)), "fps": 30}, "points in space"),
        ({"joints": np.zeros((0, 24, 3)), "fps": 30}, "points in space"),
        ({"joints": person()}, "no frame rate"),
        ({"joints": person()}, r"motion_files\.rate_hz=30"),
        ({"joints": person(), "fps": 0}, "no frame rate"),
        ({"joints": person(), "fps": np.array([30, 30])}, "no frame rate"),
        ({"joints": 7 * person(), "fps": 30}, "no person's"),
        ({"joints": np.zeros((5, 24, 3)), "fps": 30}, "leg, an arm"),
        ({"joints": person() * [1, 1, -1], "fps": 30}, "upside down"),
        ({"joints": person()[..., [2, 1, 0]] * [1, 1, -1], "fps": 30}, "lies down"),
        ({"joints": person() * [1, -1, 1], "fps": 30}, "exchanged"),
        ({"left_hand": np.zeros((5, 20, 3)), "fps": 30}, "21 points"),
        ({"left_hand": hand("left"), "right_hand": hand("right", 5), "fps": 30}, "equally many"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, arrays, words):
    with pytest.raises(InputError, match=words):
        read_motion(save(tmp_path / "bad.npz", **arrays))


def test_pixels_are_not_points_in_space(tmp_path):
    random = np.random.default_rng(0)
    p = person() * (0.5 + random.random((FRAMES, 1, 1))) * 100
    with pytest.raises(InputError, match="no points in space"):
        read_motion(save(tmp_path / "a.npz", joints=p, fps=30))


def test_upside_down_as_told(tmp_path):
    turned = person() * [1, -1, -1]
    path = save(tmp_path / "a.npz", joints=turned, fps=30)
    with pytest.raises(InputError, match=r"upside down(.|\n)*motion_files\.up="):
        read_motion(path)
    good = read_motion(save(tmp_path / "b.npz", joints=person(), fps=30))
    np.testing.assert_allclose(
        read_motion(path, MotionFileConfig(up="-z")).p_world_keypoint, good.p_world_keypoint, atol=1e-9
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_lone_hand_tells_its_side(tmp_path, side):
    path = save(tmp_path / "a.npz", joints=hand(side))
    motion = read_motion(path, MotionFileConfig(rate_hz=30))
    other = "left" if side == "right" else "right"
    assert motion.valid[:, HAND_SLICES[side]].all()
    assert not motion.valid[:, HAND_SLICES[other]].any()
    assert not motion.body_seen
    with pytest.raises(InputError, match="mirrored hand"):
        read_motion(path, MotionFileConfig(rate_hz=30, side=other))
    swapped = read_motion(path, MotionFileConfig(rate_hz=30, side=other, mirrored="swap"))
    np.testing.assert_array_equal(swapped.valid, motion.valid)
    millimetres = save(tmp_path / "b.npz", joints=1000 * hand(side))
    np.testing.assert_allclose(
        read_motion(millimetres, MotionFileConfig(rate_hz=30)).p_world_keypoint, motion.p_world_keypoint, atol=1e-9
    )


def test_a_mirrored_hand_beside_a_good_one(tmp_path):
    mirrored = hand("right") * [1, -1, 1]
    path = save(tmp_path / "a.npz", left_hand=hand("left"), right_hand=mirrored, fps=30)
    with pytest.raises(InputError, match="right: a mirrored hand"):
        read_motion(path)
    both = save(tmp_path / "b.npz", left_hand=hand("right"), right_hand=hand("left"), fps=30)
    motion = read_motion(both, MotionFileConfig(mirrored="swap"))
    good = read_motion(save(tmp_path / "c.npz", left_hand=hand("left"), right_hand=hand("right"), fps=30))
    np.testing.assert_allclose(motion.p_world_keypoint, good.p_world_keypoint)


def test_a_flat_hand_does_not_tell(tmp_path):
    flat = hand("right", bend=0.0)
    path = save(tmp_path / "a.npz", joints=flat)
    with pytest.raises(InputError, match="left or a right hand"):
        read_motion(path, MotionFileConfig(rate_hz=30))
    assert read_motion(path, MotionFileConfig(rate_hz=30, side="left")).valid[:, HAND_SLICES["left"]].all()


def test_lists_of_hands_with_gaps(tmp_path):
    frames: list = list(hand("right"))
    frames[3] = None
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(frames))
    motion = read_motion(path, MotionFileConfig(rate_hz=30))
    assert np.flatnonzero(~motion.valid[:, HAND_SLICES["right"]].all(axis=1)).tolist() == [3]


def test_several_motions_in_one_pickle(tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"walk": {"joints": person(), "fps": 30}, "run": {"joints": person(8), "fps": 30}}))
    with pytest.raises(InputError, match="2 motions"):
        read_motion(path)
    assert len(read_motion(path, MotionFileConfig(motion="run")).time_ns) == 8
    with pytest.raises(UnknownName, match="did you mean 'walk'"):
        read_motion(path, MotionFileConfig(motion="wlak"))


def test_files_that_are_no_motion(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_motion(tmp_path / "no.npz")
    for name, words in (("a.npz", "broken"), ("a.pkl", "broken"), ("a.bvh", "not a BVH"), ("a.fbx", "unknown kind")):
        (tmp_path / name).write_bytes(b"\x00garbage")
        with pytest.raises(InputError, match=words):
            read_motion(tmp_path / name)
    np.save(tmp_path / "bare.npy", person())
    (tmp_path / "bare.npy").rename(tmp_path / "bare.npz")
    with pytest.raises(InputError, match="bare array"):
        read_motion(tmp_path / "bare.npz")
    np.savez(tmp_path / "objects.npz", joints=np.array([None, 1], dtype=object))
    with pytest.raises(InputError, match="holds objects"):
        read_motion(tmp_path / "objects.npz")
    whole = save(tmp_path / "whole.npz", joints=person(), fps=30).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="broken"):
        read_motion(tmp_path / "cut.npz")


def test_a_configuration_that_makes_no_sense():
    from vidpretrain.config import build

    with pytest.raises(ConfigError, match="rate_hz"):
        build(MotionFileConfig, {"rate_hz": -1})
    with pytest.raises(ConfigError, match="up"):
        build(MotionFileConfig, {"up": "sideways"})


def test_retarget_takes_what_is_read(tmp_path):
    robot = load_robot("g1_inspire")
    motion = retarget(read_motion(write_bvh(tmp_path / "a.bvh")), robot)
    assert isinstance(motion, RobotMotion), motion
    assert motion.whole_body
    assert motion.feasible.all()
    assert np.median(motion.error_m[:, motion.error_names.index("right_wrist")]) < 0.03


@pytest.mark.shared
def test_the_shared_motions(shared):
    """z up, metres, and the root's rotation is xyzw: it agrees with the hips and the trunk, wxyz does not."""
    from vidpretrain.motion_files.safe_pickle import load_pickle

    for path in sorted((shared / "data" / "motion" / "asap_g1").glob("*.pkl")):
        motion = read_motion(path)
        (data,) = load_pickle(path).values()
        assert len(motion.time_ns) == len(data["smpl_joints"])
        assert motion.valid[:, SK.indices("left_shoulder", "right_wrist", "left_ankle")].all()
        assert 1.3 < motion.height_m < 1.5  # bodies shaped like the robot
        xyzw, wxyz = (
            np.median(geometry.angle_between(np.asarray(motion.T_world_root)[:, :4], q))
            for q in (geometry.wxyz_from_xyzw(data["root_rot"]), data["root_rot"].astype(float))
        )
        assert xyzw < 0.6 < 1.5 < wxyz


@pytest.mark.shared
def test_the_shared_hand(shared):
    path = shared / "data" / "motion" / "dexretarget_hand_joints.pkl"
    motion = read_motion(path, MotionFileConfig(rate_hz=30))
    assert motion.valid[:, HAND_SLICES["right"]].all()
    with pytest.raises(InputError, match="mirrored hand"):
        read_motion(path, MotionFileConfig(rate_hz=30, side="left"))


def test_what_to_do_next_is_said_in_the_keys_of_the_command_line():
    from pathlib import Path

    import vidpretrain.motion_files as room

    for path in Path(room.__file__).parent.glob("*.py"):
        for line in path.read_text().splitlines():
            assert "MotionFileConfig(" not in line or ("next_command" not in line and "_NEXT" not in line), line
