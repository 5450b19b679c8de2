"""Shipped robots are complete and mirror-symmetric, and the postures of all come back from their keypoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.errors import MissingAsset
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot, load_robot, mj_spec, robot_names
from vidpretrain.solve import OrientationTerm, PointTerm, Problem, Start, solve_clip

HANDS = tuple(n for n in robot_names() if n.endswith(("_left", "_right")))
HUMANOIDS = tuple(n for n in robot_names() if n not in HANDS)
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
TIPS = tuple(f"{finger}_tip" for finger in FINGERS)


def robot(name: str) -> Robot:
    try:
        return load_robot(name)
    except MissingAsset as error:
        pytest.skip(str(error))


def poses(r: Robot, q: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return dict(zip(r.tree.site_names, site_poses(r.tree, (r.home if q is None else q)[None])[0], strict=True))


def hand(r: Robot, fraction: float) -> np.ndarray:
    """Home with both hands at a fraction: 0 closed, 1 open."""
    q = np.array(r.home)
    for column in r.columns:
        if column.unit == "fraction":
            q[r.tree.joint(column.joint)] = (fraction - column.offset) / column.scale
    return r.tree.with_mimic(q)


@pytest.mark.parametrize("name", robot_names())
def test_shipped_robots_are_complete(name):
    r = robot(name)
    tree = r.tree
    assert r.name == name
    assert r.license
    lower, upper = tree.bounds()
    assert ((lower <= r.home) & (r.home <= upper))[tree.independent].all()
    np.testing.assert_array_equal(r.home, tree.with_mimic(r.home))
    assert (r.max_speed > 0).all()
    assert np.isfinite(r.max_speed).all()
    assert (r.max_torque > 0).all()
    grouped = [joint for joints in r.groups.values() for joint in joints]
    assert sorted(grouped) == sorted(tree.joint_names)
    columns = [column.joint for column in r.columns]
    assert len(set(columns)) == len(columns)
    assert len({column.name for column in r.columns}) == len(columns)
    assert all(tree.independent[tree.joint(joint)] for joint in columns)
    assert {tree.joint_names[j] for j in np.flatnonzero(tree.independent)} == set(columns)
    both = ("wrist", "palm", "elbow", "shoulder", "foot")
    wanted = {"pelvis", "torso", "head_camera", *(f"{side}_{part}" for side in ("left", "right") for part in both)}
    if r.is_hand:
        (side,) = r.sides
        fingers = [f for f in FINGERS if f"{side}_{f}_tip" in tree.site_names]
        assert name.endswith(f"_{side}")
        assert len(fingers) >= 3
        assert np.isnan(r.T_base_camera).all()
        assert set(r.groups) <= {f"{side}_hand", f"{side}_arm"}
        wanted = {f"{side}_{part}" for part in ("wrist", "palm", "thumb_tip")}
        wanted |= {f"{side}_{f}_{part}" for f in fingers if f != "thumb" for part in ("tip", "knuckle")}
    assert wanted <= set(tree.site_names)
    assert r.is_hand == (name in HANDS)


@pytest.mark.parametrize("name", robot_names())
def test_fractions_come_back_and_stay_inside_the_limits(name):
    r = robot(name)
    random = np.random.default_rng(0)
    for column in r.columns:
        j = r.tree.joint(column.joint)
        q = random.uniform(r.tree.lower[j], min(r.tree.upper[j], 6.0), size=5)
        np.testing.assert_allclose(((column.scale * q + column.offset) - column.offset) / column.scale, q, atol=1e-12)
        if column.unit == "rad":
            assert (column.scale, column.offset) == (1.0, 0.0)
            continue
        lower, upper = r.tree.bounds()
        for end in (0.0, 1.0):
            value = (end - column.offset) / column.scale
            assert lower[j] - 1e-9 <= value <= upper[j] + 1e-9, column.name


@pytest.mark.parametrize("name", HUMANOIDS)
def test_left_mirrors_right_and_stands_on_its_soles(name):
    """Sites mirror about the x-z plane; handedness of the frames flips with it."""
    r = robot(name)
    at = poses(r)
    for site, left in at.items():
        if site.startswith("left_"):
            right = at[site.replace("left_", "right_")]
            np.testing.assert_allclose(left[4:] * [1, -1, 1], right[4:], atol=0.012, err_msg=site)
            assert left[5] > 0, site
    for side in ("left", "right"):
        sole = at[f"{side}_foot"]
        assert sole[6] == pytest.approx(-r.base_height_m, abs=0.012)
        assert geometry.rotate(sole[:4], np.array([0, 0, 1.0]))[2] > 0.99
        assert at[f"{side}_wrist"][4] > 0.09  # arms are bent: hands in front of the body


@pytest.mark.parametrize("name", [n for n in robot_names() if n.startswith("g1")])
def test_hand_frames_follow_the_convention(name):
    """x to the middle knuckle, z out of the back: palms face each other, thumbs on top; y to the pinky on the left."""
    r = robot(name)
    for side, inwards in (("left", -1.0), ("right", 1.0)):
        opened, half, closed = (poses(r, hand(r, fraction)) for fraction in (1.0, 0.5, 0.0))
        wrist = opened[f"{side}_wrist"]
        x, y, z = np.moveaxis(geometry.matrix_from_quat(wrist[:4]), -1, 0)
        np.testing.assert_allclose(geometry.matrix_from_quat(opened[f"{side}_palm"][:4]).T, [x, y, z], atol=1e-9)
        knuckle = geometry.transform(geometry.inverse(wrist), opened[f"{side}_middle_knuckle"][4:])
        assert knuckle[0] > 0.9 * np.linalg.norm(knuckle[[0, 2]])
        assert -z[1] * inwards > 0.9  # the back looks away from the other hand
        for finger in ("index", "middle"):
            tip, bent, shut = (
                geometry.transform(geometry.inverse(wrist), at[f"{side}_{finger}_tip"][4:])
                for at in (opened, half, closed)
            )
            assert tip[0] > knuckle[0] + 0.05  # open: fingers reach beyond the knuckles
            assert bent[2] < tip[2] - 0.04  # closing goes to the palm's side
            assert shut[0] < bent[0] - 0.02
        index, middle = (opened[f"{side}_{f}_knuckle"][4:] for f in ("index", "middle"))
        assert index[2] > middle[2]  # thumb's side up
        assert np.dot(index - middle, y) * (1 if side == "left" else -1) < 0


@pytest.mark.parametrize("name", [n for n in robot_names() if not n.startswith(("h1", "t1", "apollo", "icub"))])
def test_every_hand_closes_towards_its_palm(name):
    """Chirality and palm of every hand with fingers: tips go from the back's side to the palm's, index on the thumb's.

    y = z cross x points from index to little finger on a left hand, from little finger to index on a right one.
    """
    r = robot(name)
    for side in r.sides:
        opened, half = (poses(r, hand(r, fraction)) for fraction in (1.0, 0.35))
        into_wrist = geometry.inverse(opened[f"{side}_wrist"])
        knuckles = [
            geometry.transform(into_wrist, opened[f"{side}_{f}_knuckle"][4:])
            for f in FINGERS
            if f"{side}_{f}_knuckle" in opened
        ]
        assert np.mean(knuckles, axis=0)[0] > 0.03
        along = np.diff([k[1] for k in knuckles]) * (1 if side == "left" else -1)
        assert (along > 0.008).all()
        for finger in FINGERS[1 : len(knuckles) + 1]:
            before, after = (
                geometry.transform(geometry.inverse(at[f"{side}_wrist"]), at[f"{side}_{finger}_tip"][4:])
                for at in (opened, half)
            )
            assert after[2] < before[2] - 0.01
            assert before[0] > knuckles[0][0] + 0.01


@pytest.mark.parametrize("name", HUMANOIDS)
def test_shoulders_are_where_the_arm_begins(name):
    """The distance from shoulder to elbow is the same in every posture of the first two joints."""
    r = robot(name)
    lengths = []
    for turn in (0.0, 0.3):
        q = np.array(r.home)
        q[list(r.joints("left_arm")[:2])] += turn
        at = poses(r, q)
        lengths.append(np.linalg.norm(at["left_elbow"][4:] - at["left_shoulder"][4:]))
        assert at["left_shoulder"][5] > 0.05
    assert lengths[0] == pytest.approx(lengths[1], abs=0.025)


@pytest.mark.parametrize("name", robot_names())
def test_postures_come_back_from_their_keypoints(name):
    """q -> sites -> q: below a millimetre at every wrist, elbow, palm and fingertip, fingers included."""
    r = robot(name)
    tree = r.tree
    sites = [s for s in tree.site_names if s.endswith(("_wrist", "_elbow", "_palm", "_tip", "_foot"))]
    random = np.random.default_rng(7)
    lower, upper = tree.bounds()
    ends = np.stack([np.maximum(lower, r.home - 0.8), np.minimum(upper, r.home + 0.8)])
    keys = r.home + 0.7 * (random.uniform(ends[0], ends[1], size=(3, len(lower))) - r.home)
    share = np.linspace(0, 2, 21)
    truth = tree.with_mimic(np.stack([np.interp(share, [0, 1, 2], keys[:, j]) for j in range(len(lower))], axis=1))
    target = site_poses(tree, truth, None, sites)
    full = np.full(len(truth), 1e6)
    terms = [PointTerm(site=s, p_world_target=target[:, k, 4:], weight=full) for k, s in enumerate(sites)]
    terms += [
        OrientationTerm(site=s, q_world_target=target[:, k, :4], weight=0.01 * full)
        for k, s in enumerate(sites)
        if s.endswith(("_wrist", "_foot"))
    ]
    problem = Problem(rate_hz=30.0, frames=len(truth), terms=tuple(terms), max_iterations=200, tolerance=1e-10)
    solution = solve_clip(tree, problem, Start(joint_pos=r.home))
    error = np.linalg.norm(site_poses(tree, solution.joint_pos, None, sites)[..., 4:] - target[..., 4:], axis=-1)
    assert error.max() < 1e-3
    inside = (solution.joint_pos >= lower - 1e-9) & (solution.joint_pos <= upper + 1e-9)
    assert inside[:, tree.independent].all()


def test_inspire_columns_are_those_of_the_real_episodes():
    r = robot("g1_inspire")
    names = [column.name for column in r.columns][:26]
    assert [n.split("_", 1)[1] for n in names[:7]] == [
        f"{n}_joint"
        for n in ("shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw")
    ]
    fingers = ["pinky", "ring", "middle", "index", "thumb_bend", "thumb_rotation"]
    assert names[14:20] == [f"left_hand_{f}" for f in fingers]
    assert names[20:26] == [f"right_hand_{f}" for f in fingers]
    assert [c.group for c in r.columns][:26] == ["left_arm"] * 7 + ["right_arm"] * 7 + ["left_hand"] * 6 + [
        "right_hand"
    ] * 6
    assert len(r.tree.joint_names) == 53
    assert int(r.tree.independent.sum()) == 41
    q = r.tree.with_mimic(hand(r, 0.5))
    follower, source = (r.tree.joint(f"inspire_L_thumb_{n}_joint") for n in ("distal", "proximal_pitch"))
    assert q[follower] == pytest.approx(2.4 * q[source])
    assert set(r.joints("left_hand")) >= {follower, source}
    assert r.joints("head") == ()
    assert r.group_columns("left_hand")[0].joint == "inspire_L_pinky_proximal_joint"


def test_the_whole_model_compiles_with_meshes_and_the_same_kinematics():
    import mujoco

    r = robot("g1_inspire")
    model = mj_spec(r).compile()
    meshes = {model.mesh(i).name for i in range(model.nmesh)}
    assert not any("rubber" in name for name in meshes)
    assert sum("Link" in name for name in meshes) == 24
    data = mujoco.MjData(model)
    data.qpos[:7] = [0, 0, 0, 1, 0, 0, 0]
    for name, value in zip(r.tree.joint_names, r.home, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = value
    mujoco.mj_kinematics(model, data)
    for name, T in poses(r).items():
        np.testing.assert_allclose(data.site(name).xpos, T[4:], atol=1e-9)
    assert model.neq == 12


@pytest.mark.shared
def test_real_states_lie_inside_the_limits():
    pandas = pytest.importorskip("pandas")
    files = sorted(Path(__file__).parents[3].glob("shared/data/robot/g1_inspire_pick_bottle/data/*/*.parquet"))
    if not files:
        pytest.skip("the data folder is not beside the project")
    r = robot("g1_inspire")
    states = np.concatenate([np.stack(pandas.read_parquet(f)["observation.state"]) for f in files])
    lower, upper = r.tree.bounds()
    for i, column in enumerate(r.columns[:26]):
        q = (states[:, i] - column.offset) / column.scale
        j = r.tree.joint(column.joint)
        assert lower[j] - 1e-6 <= q.min(), column.name
        assert q.max() <= upper[j] + 1e-6, column.name


def test_arrays_are_read_only_and_fields_matter():
    r = robot("g1_dex3")
    with pytest.raises(ValueError, match="read-only"):
        r.home[0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.name = "x"  # type: ignore[misc]
