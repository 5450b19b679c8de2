"""Rendered people: bodies, poses, motions, files, and that the truth is where the picture shows it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vidpretrain import geometry, skeletons
from vidpretrain.errors import MissingAsset
from vidpretrain.sim import SimConfig, choose_gl, load_truth, render_people
from vidpretrain.sim.body import load_body
from vidpretrain.sim.motions import MOTIONS, Planner, hand_at, perform
from vidpretrain.sim.person import ClipPlan, body_shapes, plan_clips
from vidpretrain.sim.posing import HandTarget, Poser, palm_frame

pytestmark = pytest.mark.skipif(importlib.util.find_spec("anny") is None, reason="Anny is not installed")
TINY = SimConfig(clips=3, bodies=2, duration_s=0.4, width_px=320, height_px=240, motions=("lift", "reach"))


@pytest.fixture(scope="module")
def poser() -> Poser:
    return Poser(load_body(body_shapes(0, 1)[0]))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, poser) -> tuple[Path, list[dict]]:
    out = tmp_path_factory.mktemp("people")
    return out, render_people(TINY, out)


def _frames(path: str) -> np.ndarray:
    import av

    with av.open(path) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_import_is_light():
    code = "import vidpretrain.sim, sys; print([m for m in ('torch', 'mujoco', 'anny', 'av') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_rest_pose_is_the_identity(poser):
    body = poser.body
    pose = poser.fk({}, body.p_rest[0], {})
    np.testing.assert_allclose(pose.p, body.p_rest, atol=1e-12)
    np.testing.assert_allclose(poser.keypoints(pose), body.p_rest_keypoint, atol=1e-12)
    assert body.height_m == pytest.approx(max(p.vertices[:, 2].max() for p in body.parts if p.name == "skin"), abs=0.01)


def test_body_is_clothed_outside_its_skin(poser):
    """Every vertex of the shirt lies farther out than the skin's nearest vertex, seen along the skin's direction."""
    from scipy.spatial import cKDTree

    parts = {part.name: part for part in poser.body.parts}
    skin, shirt = parts["skin"].vertices, parts["shirt"].vertices
    trunk = shirt[np.abs(shirt[:, 1]) < 0.1]  # between the arms "outside" is away from the spine
    distance, nearest = cKDTree(skin).query(trunk)
    close = distance < 0.02
    axis = np.array([poser.body.p_rest[poser.body.bone("spine02")][0], 0.0])
    out = np.linalg.norm(trunk[close, :2] - axis, axis=1) - np.linalg.norm(skin[nearest[close], :2] - axis, axis=1)
    assert close.sum() > 20
    assert np.percentile(out, 5) > -0.002
    assert {"shirt", "trousers", "shoes", "hair"} <= set(parts)


@pytest.mark.parametrize("side", skeletons.SIDES)
def test_wrist_and_palm_reach_their_targets(poser, side):
    sign = 1.0 if side == "left" else -1.0
    p = np.array([0.35, 0.15 * sign, 0.62 * poser.body.height_m])
    R = geometry.matrix_from_quat(geometry.quat_exp(np.array([0.4, 0.2, -0.3])))
    torso = poser.torso(0.1, 0.05, 0.0, 0.3, 0.1)
    pose, miss = poser.pose(torso, poser.body.p_rest[0], {side: HandTarget(p, R, np.full(5, 0.3))})
    hand = poser.keypoints(pose)[skeletons.HAND_SLICES[side]]
    np.testing.assert_allclose(hand[0], p, atol=1e-9)
    np.testing.assert_allclose(palm_frame(hand, side), R, atol=1e-9)
    assert miss[side] == 0.0
    _, far = poser.pose(torso, poser.body.p_rest[0], {side: HandTarget(p + np.array([1.0, 0, 0]), R, np.full(5, 0.3))})
    assert far[side] > 0.5


def test_fingers_close_towards_the_palm(poser):
    for side in skeletons.SIDES:
        open_, half, shut = (poser.hand_at_rest(side, np.full(5, level)) for level in (0.0, 0.45, 0.8))
        tips = list(skeletons.FINGERTIPS)
        assert (half[tips[1:], 2] < open_[tips[1:], 2] - 0.02).all()  # out of the palm's plane, away from the back
        assert (np.linalg.norm(shut[tips[1:]], axis=1) < np.linalg.norm(open_[tips[1:]], axis=1)).all()


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_motions_are_natural_and_bones_keep_their_lengths(poser, motion, seed):
    rng = np.random.default_rng(seed)
    planner = Planner(poser, rng)
    plan = planner.plan(motion, 3.0)
    times = np.arange(90) / 30
    take = perform(plan, poser, times, rng)
    assert take.miss_m < 0.01
    points = np.array([poser.keypoints(pose) for pose in take.poses])
    for a, b in (("left_shoulder", "left_elbow"), ("right_elbow", "right_wrist"), ("left_hip", "left_knee")):
        lengths = np.linalg.norm(points[:, poser.names.index(a)] - points[:, poser.names.index(b)], axis=1)
        assert np.ptp(lengths) < 1e-9
    for side in skeletons.SIDES:
        hand = points[:, skeletons.HAND_SLICES[side]]
        for a, b in skeletons.skeleton("hand21").bones[:20]:
            assert np.ptp(np.linalg.norm(hand[:, a] - hand[:, b], axis=1)) < 1e-9
        speed = np.linalg.norm(np.diff(hand[:, 0], axis=0), axis=1) * 30
        assert speed.max() < 2.5
    rise = take.T_world_object[-1, 6] - take.T_world_object[0, 6]
    assert rise > 0.07 if motion in ("lift", "handover") else abs(rise) < 1e-12
    assert take.T_world_object[:, 6].min() >= take.T_world_object[0, 6] - 1e-6


def test_object_follows_the_hand_rigidly_without_a_jump(poser):
    rng = np.random.default_rng(5)
    plan = Planner(poser, rng).plan("handover", 3.0)
    take = perform(plan, poser, np.arange(180) / 60, rng)
    assert np.linalg.norm(np.diff(take.T_world_object[:, 4:], axis=0), axis=1).max() < 0.05
    for hold in plan.holds:
        rows = [i for i in range(180) if hold.start_s + 0.02 < i / 60 < min(hold.end_s, 3.0) - 0.02]
        hands = [hand_at(plan.keys[hold.side], i / 60) for i in rows]
        T_palm = geometry.pose(np.array([k.q_palm for k in hands]), np.array([k.p_wrist for k in hands]))
        inside = geometry.compose(geometry.inverse(T_palm), take.T_world_object[rows])
        assert np.ptp(inside[:, 4:], axis=0).max() < 1e-6


def test_clips_differ_and_follow_the_seed():
    plans = plan_clips(SimConfig(clips=12))
    assert len({(p.motion, p.view) for p in plans}) == 12
    assert plan_clips(SimConfig(clips=12)) == plans
    other = plan_clips(SimConfig(clips=12, seed=1))
    assert not {p.digest for p in plans} & {p.digest for p in other}
    with pytest.raises(ValueError, match="even"):
        SimConfig(width_px=641)


def test_files_and_sidecars(rendered):
    out, rows = rendered
    assert [row["name"] for row in rows] == [plan.name for plan in plan_clips(TINY)]
    for row in rows:
        frames, truth = _frames(row["video"]), load_truth(row["truth"])
        assert frames.shape == (12, 240, 320, 3)
        assert truth.p_world_keypoint.shape == (12, 75, 3)
        assert row["made"]
        assert row["frames"] == 12
        sidecar = json.loads(Path(row["sidecar"]).read_text())
        assert sidecar["license"] == "generated"
        assert sidecar["instruction"]
        np.testing.assert_allclose(sidecar["K"], truth.K)
        assert 1.4 < truth.height_m < 2.0
    assert not list(out.glob("*.tmp*"))


def test_second_call_renders_nothing_and_other_configuration_does(rendered):
    out, rows = rendered
    stamps = [Path(row["video"]).stat().st_mtime_ns for row in rows]
    again = render_people(TINY, out)
    assert not any(row["made"] for row in again)
    assert [Path(row["video"]).stat().st_mtime_ns for row in again] == stamps
    Path(rows[0]["video"]).unlink()
    assert [row["made"] for row in render_people(TINY, out)] == [True, False, False]


def test_same_seed_same_bytes_other_seed_other_picture(rendered, tmp_path):
    _, rows = rendered
    one = dataclasses.replace(TINY, clips=1)
    again = render_people(one, tmp_path / "again")[0]
    assert np.array_equal(_frames(rows[0]["video"]), _frames(again["video"]))
    a, b = load_truth(rows[0]["truth"]), load_truth(again["truth"])
    assert np.array_equal(a.p_world_keypoint, b.p_world_keypoint, equal_nan=True)
    other = render_people(dataclasses.replace(one, seed=9), tmp_path / "other")[0]
    assert not np.array_equal(_frames(rows[0]["video"]), _frames(other["video"]))


def green_hands(plan: ClipPlan) -> tuple[float, float, int]:
    """Shares of visible hand points, and of the same points 60 pixels higher, on a person whose skin is green.

    Everything else is red or grey. Runs in a process of its own.
    """
    from vidpretrain.sim import scene
    from vidpretrain.sim.person import Stage

    stage = Stage(plan)
    colours = {name: (0.0, 0.8, 0.0) if name == "skin" else (0.5, 0.0, 0.0) for name in stage.look.colours}
    grey = (0.5, 0.5, 0.5)
    look = dataclasses.replace(stage.look, colours=colours, wall=grey, floor=grey, table=grey, thing=(0.5, 0.0, 0.0))
    stage.model = scene.build(stage.body, look, stage.take.plan.object_name, stage.take.plan.table_m)
    with stage:
        frames = list(stage.frames())
    truth = stage.truth()
    p_camera = geometry.transform(geometry.inverse(truth.T_world_camera)[:, None], truth.p_world_keypoint)
    uv = p_camera @ truth.K.T
    uv = uv[..., :2] / uv[..., 2:]
    on, off = [], []
    for t, frame in enumerate(frames):
        points = uv[t, 33:][truth.visible[t, 33:]]
        for out, moved in ((on, points), (off, points - np.array([0.0, 60.0]))):
            column, row = np.clip(moved, 0, [truth.width_px - 1, truth.height_px - 1]).astype(int).T
            pixel = frame[row, column].astype(int)
            out.append(pixel[:, 1] > 2 * np.maximum(pixel[:, 0], pixel[:, 2]))
    return float(np.concatenate(on).mean()), float(np.concatenate(off).mean()), len(np.concatenate(on))


@pytest.mark.parametrize("view", ["head", "chest", "front"])
def test_truth_projects_onto_the_hands(rendered, view):
    """Visible hand points lie on the picture's hands; moved by 60 pixels most do not."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    plan = dataclasses.replace(plan_clips(dataclasses.replace(TINY, duration_s=1.5, rate_hz=8.0))[0], view=view)
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        on, off, count = pool.submit(green_hands, plan).result()
    assert count > 150
    assert on > 0.9
    assert off < 0.5


def test_no_gl_is_a_clear_error(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nImportError: no EGL here")
    monkeypatch.delenv("VIDPRETRAIN_GL", raising=False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(MissingAsset, match="no EGL here") as caught:
        choose_gl()
    assert "apt-get install" in str(caught.value)
