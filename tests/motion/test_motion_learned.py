"""Learned offsets: marks that were shifted by known ones are undone; nothing changes while the switch is off."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml
from synthetic_person import Filmed, film, look_at

from vidpretrain import geometry, skeletons
from vidpretrain.errors import ConfigError
from vidpretrain.human import hand_tree, human_tree, rest
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import MotionConfig, build_motion, learned
from vidpretrain.motion.learned import Learned, bone_parameters, built, marked, offsets, read, with_bones

HEIGHT_M = 1.75
THIRD = MotionConfig(fov_x_deg=60.0, height_m=HEIGHT_M, view="third")
NAMES = list(skeletons.skeleton("human75").names)
BONES = {"hand": 1.08, "upper_arm": 0.92, "proximal": 0.94, "torso": 1.05}
WRISTS, SHOULDERS = [33, 54], [11, 12]


def table() -> Learned:
    """Offsets as large as those of rendered people: shoulders, elbows and hips by 3 to 5 cm, hands by up to 1."""
    body = np.zeros((33, 3))
    mirror = list(skeletons.skeleton("body33").mirror)
    for k, own in {11: (5, -10, 18), 13: (-14, 8, 10), 23: (12, -8, 28), 15: (4, 3, -4)}.items():
        body[k], body[mirror[k]] = own, np.array(own) * [1, -1, 1]
    hand = np.zeros((21, 3))
    hand[[5, 9, 13, 17]] = (-6, 1, 3)
    hand[[4, 8, 12, 16, 20]] = (-3, 2, 0)
    return Learned(body33=body, hand21=hand, bones=BONES)


def written(path: Path, said: Learned) -> str:
    rows = {
        "bones": said.bones,
        "body33": dict(zip(skeletons.BODY_NAMES, said.body33.tolist(), strict=True)),
        "hand21": dict(zip(skeletons.HAND_NAMES, said.hand21.tolist(), strict=True)),
    }
    path.write_text(yaml.safe_dump(rows))
    return str(path)


def person(said: Learned) -> tuple[np.ndarray, np.ndarray]:
    """(points, marks) (t 75 3) of somebody with the table's bones who works with both hands."""
    tree, time_s = with_bones(human_tree(HEIGHT_M), said.bones), np.arange(60) / 30
    q = np.tile(rest(tree), (len(time_s), 1))
    for side, hz in zip(skeletons.SIDES, (0.5, 0.6), strict=True):
        for name, middle, swing in (("elbow_flex", 75, 20), ("shoulder_raise", 0, 12), ("wrist_flex", 0, 15)):
            q[:, tree.joint(f"{side}_{name}")] = np.radians(middle + swing * np.sin(2 * np.pi * hz * time_s))
    pelvis = np.tile(geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, 0.517 * HEIGHT_M])), (len(q), 1))
    place = offsets(tree, said, HEIGHT_M)
    seen = np.array(tree.T_joint_site)
    for site, own in place.items():
        seen[tree.site(site), 4:] += own
    shifted = dataclasses.replace(tree, T_joint_site=seen)
    q = tree.with_mimic(q)
    a, b = (site_poses(t, q, pelvis, NAMES)[..., 4:] for t in (tree, shifted))
    return a, b


def off_cm(filmed: Filmed, p_world: np.ndarray, config: MotionConfig) -> dict[str, float]:
    """Median errors in the camera's frame of wrists, shoulders, and the right hand's points around its wrist."""
    motions = build_motion(filmed.tracks, filmed.clip, config)
    assert isinstance(motions, tuple)
    pose = motions[0].camera.T_world_camera
    assert pose is not None
    own = geometry.transform(geometry.inverse(pose)[:, None], motions[0].p_world_keypoint)
    true = geometry.transform(geometry.inverse(filmed.T_world_camera), p_world)
    hand = (own[:, 54:] - own[:, 54:55]) - (true[:, 54:] - true[:, 54:55])
    values = {"wrist": (own - true)[:, WRISTS], "shoulder": (own - true)[:, SHOULDERS], "hand": hand}
    return {n: 100 * float(np.median(np.linalg.norm(v, axis=-1))) for n, v in values.items()}


def test_shifted_marks_and_other_bones_are_undone(tmp_path: Path) -> None:
    said = table()
    p_world, p_marks = person(said)
    camera = look_at(np.array([2.4, 0.3, 1.4]), np.array([0, 0, 1.0]))
    filmed = film(p_marks, camera, noise_px=0.5, noise_m=0.005)
    plain = off_cm(filmed, p_world, THIRD)
    own = off_cm(filmed, p_world, dataclasses.replace(THIRD, learned_offsets=written(tmp_path / "offsets.yaml", said)))
    assert own["wrist"] < 0.5 * plain["wrist"], (own, plain)
    assert own["shoulder"] < 0.5 * plain["shoulder"], (own, plain)
    assert own["hand"] < 0.6 * plain["hand"], (own, plain)


def test_off_reads_nothing_and_a_table_of_nothings_changes_nothing(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = human_tree(HEIGHT_M)
    nothing = Learned(body33=np.zeros((33, 3)), hand21=np.zeros((21, 3)), bones={})
    config = dataclasses.replace(THIRD, learned_offsets=written(tmp_path / "nothing.yaml", nothing))
    for same in (marked(tree, config), built(tree, config)):
        np.testing.assert_array_equal(same.T_joint_site, tree.T_joint_site)
        np.testing.assert_array_equal(same.T_parent_zero, tree.T_parent_zero)
    assert MotionConfig().learned_offsets is None

    def refuse(name: str) -> Learned:
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(learned, "read", refuse)
    assert marked(tree, THIRD) is tree
    assert built(tree, THIRD) is tree


def test_a_human_and_a_hand_alone_are_marked_alike() -> None:
    config = dataclasses.replace(THIRD, learned_offsets="rendered")
    human = marked(built(human_tree(HEIGHT_M), config), config)
    shapes = []
    for side in skeletons.SIDES:
        alone = marked(built(hand_tree(side, HEIGHT_M), config), config)
        names = [f"{side}_hand_{n}" for n in skeletons.HAND_NAMES]
        of_human, of_hand = (site_poses(t, rest(t)[None], None, names)[0, :, 4:] for t in (human, alone))
        between = [np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (of_human, of_hand)]
        np.testing.assert_allclose(*between, atol=1e-9)
        shapes.append(between[0])
    np.testing.assert_allclose(*shapes, atol=1e-9)
    body = site_poses(human, rest(human)[None], None, list(skeletons.BODY_NAMES))[0, :, 4:]
    mirror = list(skeletons.skeleton("body33").mirror)
    np.testing.assert_allclose(body[mirror], body * [1.0, -1.0, 1.0], atol=1e-9)


def test_the_shipped_table_is_whole_and_others_are_refused(tmp_path: Path) -> None:
    said = read("rendered")
    assert set(said.bones) == {p.name for p in bone_parameters(human_tree(HEIGHT_M))}
    assert 0.7 < min(said.bones.values()) < max(said.bones.values()) < 1.4
    assert np.abs(said.hand21).max() < 15
    with pytest.raises(ConfigError, match="no such table"):
        read(str(tmp_path / "nowhere.yaml"))
    (tmp_path / "other.yaml").write_text("bones: {}\n")
    with pytest.raises(ConfigError, match="no table"):
        read(str(tmp_path / "other.yaml"))
