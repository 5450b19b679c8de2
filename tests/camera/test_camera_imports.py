"""Trajectories of other tools: COLMAP by its own writer, TUM, ARKit; wrong ones are found out."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from synthetic_room import Film, Room, camera_of, film, nodding

from vidpretrain import geometry
from vidpretrain.camera import Background, CameraConfig, CameraPath, camera_facts, observe, solve_path
from vidpretrain.camera.imported import on_frames, read_trajectory, upright_lens
from vidpretrain.camera.pose_files import read_arkit, read_tum
from vidpretrain.errors import InputError

CONFIG = CameraConfig(picture_px=320)
TIME_S = np.arange(45) / 30
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Film:
    poses = nodding(TIME_S, np.array([0.0, -0.1, 0.12]))
    poses[:, 4:] += 0.2 * np.sin(np.outer(TIME_S, [2.0, 3.0, 1.0]))
    return film(tmp_path_factory.mktemp("room") / "a.mp4", poses, camera_of(), Room())


@pytest.fixture(scope="module")
def seen(made) -> Background:
    return observe(made.clip, made.info, made.tracks, CONFIG)


def matrices(poses: np.ndarray) -> np.ndarray:
    out = np.tile(np.eye(4), (len(poses), 1, 1))
    out[:, :3, :3], out[:, :3, 3] = geometry.matrix_from_quat(poses[:, :4]), poses[:, 4:]
    return out


def tum(path, poses, times) -> str:
    rows = np.concatenate([times[:, None], poses[:, 4:], geometry.xyzw_from_wxyz(poses[:, :4])], axis=1)
    path.write_text("# time tx ty tz qx qy qz qw\n" + "\n".join(" ".join(f"{v:.9f}" for v in row) for row in rows))
    return str(path)


def arkit(path, poses, times, **more) -> str:
    """As ARKit has it: y up in the world, and in the camera y up and z back; simd's columns one after the other."""
    to_y_up = np.array([[0, -1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 0], [0, 0, 0, 1.0]])  # x right of a camera along x
    frames = [
        {"timestamp": float(t), "transform": (to_y_up @ M @ FLIP).T.reshape(-1).tolist()} | more
        for t, M in zip(times, matrices(poses), strict=True)
    ]
    path.write_text(json.dumps({"frames": frames}))
    return str(path)


def solve(seen: Background, made: Film, path: str, config: CameraConfig = CONFIG, **facts) -> CameraPath:
    found = solve_path(seen, made.camera, config, "third", {"trajectory": path} | facts)
    assert isinstance(found, CameraPath)
    return found


def errors(path: CameraPath, made: Film) -> tuple[float, float]:
    angle = geometry.angle_between(path.T_first_camera[:, :4], made.T_first_camera[:, :4])
    place = np.linalg.norm(path.T_first_camera[:, 4:] - made.T_first_camera[:, 4:], axis=-1)
    return float(np.degrees(angle.max())), float(place.max())


def test_a_tum_trajectory_is_taken_with_a_clock_of_its_own_and_another_rate(tmp_path, made, seen):
    dense = nodding(np.arange(0, 1.6, 0.01), np.array([0.0, -0.1, 0.12]))
    dense[:, 4:] += 0.2 * np.sin(np.outer(np.arange(0, 1.6, 0.01), [2.0, 3.0, 1.0]))
    path = solve(seen, made, tum(tmp_path / "t.txt", dense, 1.7e9 + np.arange(0, 1.6, 0.01)))
    assert (path.motion, path.source, path.unit_m) == ("full", "imported", 1.0)
    assert errors(path, made)[0] < 0.05
    assert errors(path, made)[1] < 0.002
    assert path.gravity_from == "unknown"


def test_a_trajectory_that_starts_earlier_is_moved_in_time(tmp_path):
    times = np.arange(-0.5, 2.5, 1 / 30)
    poses = nodding(times)
    made = film(tmp_path / "a.mp4", nodding(TIME_S), camera_of(), Room())
    seen = observe(made.clip, made.info, made.tracks, CONFIG)
    path = solve(seen, made, tum(tmp_path / "t.txt", poses, times + 0.5))
    assert "-0.50 s" in path.detail
    assert errors(path, made)[0] < 0.1
    told = solve(seen, made, tum(tmp_path / "t.txt", poses, times + 0.5), trajectory_offset_s=-0.5)
    assert errors(told, made)[0] < 0.05


def test_arkit_tells_gravity_and_unit(tmp_path, made, seen):
    path = solve(seen, made, arkit(tmp_path / "t.json", made.T_world_camera, 100.0 + TIME_S))
    assert max(errors(path, made)) < 1e-3
    assert path.gravity_from == "metadata"
    assert path.up_first is not None
    up = geometry.rotate(geometry.quat_inverse(made.T_world_camera[0, :4]), np.array([0, 0, 1.0]))
    np.testing.assert_allclose(path.up_first, up, atol=1e-6)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_arkit_follows_a_picture_that_was_turned_upright(tmp_path, made, seen, turn):
    """The sensor's axes are those of the stored picture; a point keeps its place through either."""
    path = arkit(tmp_path / "t.json", made.T_world_camera, TIME_S)
    turned = dataclasses.replace(seen, rotation_deg=turn)
    poses, _ = on_frames(read_trajectory(tmp_path / "t.json", {}, CONFIG), turned, 0.0, path)
    lens = upright_lens(made.camera, turn)
    p_world = geometry.transform(made.T_world_camera[:1], np.array([[0.3, 0.2, 2.0]]))[0]
    for t in (0, 20, 44):
        p = geometry.transform(geometry.inverse(made.T_world_camera[t]), p_world)
        stored = (made.camera.K @ p)[:2] / p[2]
        width, height = made.camera.width_px, made.camera.height_px
        wanted = {90: (stored[1], width - stored[0]), 180: (width - stored[0], height - stored[1])}
        wanted[270] = (height - stored[1], stored[0])
        first = geometry.rotate(
            geometry.quat_exp(np.array([0, 0, -np.radians(turn)])), np.array([0.3, 0.2, 2.0])
        )  # the same point in the first upright camera
        q = geometry.transform(geometry.inverse(poses[t]), first)
        np.testing.assert_allclose((lens.K @ q)[:2] / q[2], wanted[turn], atol=0.05)


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_a_colmap_model_is_read_as_colmap_writes_it(tmp_path, made, seen, kind):
    """Written here by the format's page; `test_a_model_that_pycolmap_wrote` holds the reader against COLMAP itself."""
    from_world = geometry.inverse(made.T_world_camera) / np.array([1, 1, 1, 1, 0.25, 0.25, 0.25])  # a scale of its own
    K = made.camera.K
    values = [K[0, 0], K[1, 1], K[0, 2], K[1, 2], 0.1, -0.02, 0.001, 0.002]
    model = tmp_path / "model"
    model.mkdir()
    rows = list(enumerate(from_world))[::2]
    if kind == "text":
        (model / "cameras.txt").write_text("# CAMERA_ID\n1 OPENCV 320 240 " + " ".join(map(repr, map(float, values))))
        lines = [
            f"{i + 1} " + " ".join(f"{v:.12f}" for v in pose) + f" 1 frame {i:04d}.png\n1 2 -1 3 4 5"
            for i, pose in rows
        ]
        (model / "images.txt").write_text("# IMAGE_ID\n# POINTS2D\n" + "\n".join(lines) + "\n")
    else:
        import struct

        (model / "cameras.bin").write_bytes(struct.pack("<QIiQQ8d", 1, 1, 4, 320, 240, *values))
        out = struct.pack("<Q", len(rows))
        for i, pose in rows:
            out += struct.pack("<I7dI", i + 1, *pose, 1) + f"frame {i:04d}.png".encode() + b"\0"
            out += struct.pack("<Qddqddq", 2, 1, 2, -1, 3, 4, 5)
        (model / "images.bin").write_bytes(out)
    path = solve(seen, made, str(model))
    assert path.unit_m is None
    assert errors(path, made)[0] < 0.6  # every second frame, interpolated
    scaled = dataclasses.replace(CONFIG, trajectory_unit_m=0.25)
    assert errors(solve(seen, made, str(model), scaled), made)[1] < 0.01
    facts = camera_facts(made.clip.path, made.info, dataclasses.replace(CONFIG, trajectory=model))
    np.testing.assert_allclose(facts["K"], K)
    assert facts["distortion"] == [0.1, -0.02, 0.001, 0.002]


def test_a_model_that_pycolmap_wrote(tmp_path):
    pytest.importorskip("pycolmap")
    import subprocess
    import sys

    script = f"""
import pycolmap, numpy as np, json
o = pycolmap.SyntheticDatasetOptions()
o.num_rigs, o.num_frames_per_rig, o.num_points3D = 1, 5, 30
r = pycolmap.synthesize_dataset(o)
for name in ("text", "binary"):
    import os; os.makedirs("{tmp_path}/" + name)
r.write_text("{tmp_path}/text"); r.write_binary("{tmp_path}/binary")
poses = sorted((im.name, im.cam_from_world().inverse().matrix().tolist()) for im in r.images.values())
json.dump(poses, open("{tmp_path}/poses.json", "w"))
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    theirs = json.loads((tmp_path / "poses.json").read_text())
    M = np.array([pose for _, pose in theirs])
    for name in ("text", "binary"):
        ours = read_trajectory(tmp_path / name, {}, CONFIG)
        order = np.argsort([int(n.split("frame")[-1].split(".")[0]) for n, _ in theirs])
        np.testing.assert_allclose(ours.T_world_camera[:, 4:], M[order, :3, 3], atol=1e-6)
        np.testing.assert_allclose(geometry.matrix_from_quat(ours.T_world_camera[:, :4]), M[order, :, :3], atol=1e-6)


def test_poses_the_wrong_way_round_do_not_fit_the_pictures(tmp_path, made, seen):
    """World-to-camera poses, or another video's: what turns here has to turn there."""
    path = solve(seen, made, tum(tmp_path / "t.txt", geometry.inverse(made.T_world_camera), TIME_S))
    assert path.motion == "unsolved"
    assert "background's" in path.detail
    gl = geometry.compose(made.T_world_camera, geometry.pose(np.array([0.0, 1, 0, 0]), np.zeros(3)))
    assert solve(seen, made, tum(tmp_path / "t.txt", gl, TIME_S)).motion == "unsolved"


def test_millimetres_left_hands_and_short_trajectories_are_told(tmp_path, made, seen):
    far = made.T_world_camera * np.array([1, 1, 1, 1, 1e3, 1e3, 1e3])
    assert "unit is not the metre" in solve(seen, made, tum(tmp_path / "t.txt", far, TIME_S)).detail
    fixed = solve(seen, made, str(tmp_path / "t.txt"), trajectory_unit_m=0.001)
    assert errors(fixed, made)[1] < 1e-3
    late = solve(seen, made, tum(tmp_path / "t.txt", made.T_world_camera, TIME_S), trajectory_offset_s=1.2)
    assert late.motion == "unsolved"
    data = json.loads((tmp_path / arkit(tmp_path / "l.json", made.T_world_camera, TIME_S).split("/")[-1]).read_text())
    for frame in data["frames"]:
        frame["transform"] = (
            (np.diag([1, 1, -1, 1.0]) @ np.array(frame["transform"]).reshape(4, 4)).reshape(-1).tolist()
        )
    (tmp_path / "l.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match="left-handed"):
        read_arkit(tmp_path / "l.json")
    (tmp_path / "x.txt").write_text("0 1 2 3\n")
    with pytest.raises(InputError, match="trajectory"):
        read_tum(tmp_path / "x.txt")


def test_arkits_lens_goes_with_the_picture(tmp_path, made):
    K = (2 * made.camera.K[:2]).T  # a picture of twice the size
    K = np.concatenate([K, [[0], [0], [1]]], axis=1) if K.shape == (3, 2) else K
    arkit(tmp_path / "t.json", made.T_world_camera, TIME_S, intrinsics=K.tolist(), imageResolution=[640, 480])
    facts = camera_facts(made.clip.path, made.info, dataclasses.replace(CONFIG, trajectory=tmp_path / "t.json"))
    np.testing.assert_allclose(np.array(facts["K"]), made.camera.K)
