"""`retarget` on files: several robots, a film and a recording that rerun reads back, data sets, and wrong asks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from vidpretrain.dataset import check_dataset, open_dataset
from vidpretrain.errors import ConfigError, InputError, MissingExtra, UnknownName, UsageError
from vidpretrain.motion_files import read_robot_motion
from vidpretrain.robot import load_robot
from vidpretrain.workflow import recording, retargeting, view
from vidpretrain.workflow.config import RunConfig

sys.path.append(str(Path(__file__).parents[1] / "motion_files"))
import motion_file_makers as makers

FRAMES = 26
needs_rerun = pytest.mark.skipif(
    importlib.util.find_spec("rerun") is None, reason=f"rerun-sdk is not installed: {recording.RERUN_COMMAND}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A person's motion, and a file that is none."""
    root = tmp_path_factory.mktemp("motions")
    np.savez(root / "wave.npz", smpl_joints=makers.person(FRAMES), fps=30)
    (root / "broken.bvh").write_text("HIERARCHY")
    return root


@pytest.fixture(scope="module")
def seen(folder, tmp_path_factory):
    """What the command says and leaves for two robots that can and a hand that cannot, with --view."""
    out = tmp_path_factory.mktemp("seen")
    config = RunConfig(out=out / "run", workers=2)
    inputs = (str(folder / "wave.npz"), str(folder / "broken.bvh"))
    result = retargeting.retarget(config, inputs, robot="g1_inspire, t1,inspire_right", out=str(out), view=True)
    return result, out


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.slow
def test_every_pair_of_file_and_robot_is_accounted_for(seen):
    result, out = seen
    assert result["ok"]
    assert (result["in"], result["accepted"], result["rejected"]) == (6, 2, 4)
    reasons = {(row["file"], row["robot"]): row["reason"] for row in result["motions"]}
    assert reasons["wave.npz", "g1_inspire"] is None
    assert reasons["wave.npz", "t1"] is None
    assert reasons["wave.npz", "inspire_right"] == "no_usable_segment"
    assert {reasons["broken.bvh", name] for name in ("g1_inspire", "t1", "inspire_right")} == {"unreadable"}
    for name in ("g1_inspire", "t1"):
        assert {p.name for p in (out / name).iterdir()} == {"wave.npz", "wave.pkl", "wave.csv"}
        assert len(read_robot_motion(out / name / "wave.npz", load_robot(name)).time_ns) == FRAMES


@pytest.mark.slow
def test_the_film_shows_everybody_at_the_same_time(seen):
    _, out = seen
    film = frames_of(out / "wave.mp4").astype(int)
    assert len(film) == FRAMES
    height, width = film.shape[1:3]
    panel, gap = 360, 4
    assert (height % 2, width) == (0, 4 * panel + 3 * gap)
    moved = np.abs(film[20] - film[0]).max(axis=-1) > 40
    shares = [moved[:panel, k * (panel + gap) : k * (panel + gap) + panel].mean() for k in range(4)]
    assert min(shares[:3]) > 0.001  # the person and both robots wave
    assert shares[3] == 0.0  # the hand has nothing to follow
    words = film[0, panel:, :panel] < 150
    assert words.any(axis=-1).mean() > 0.005  # there is text under the panel
    person = film[:, :panel, :panel]
    orange = (person[..., 0] > 200) & (person[..., 2] < 90)
    assert orange.any(axis=(1, 2)).all()  # the left side is drawn in every frame


@pytest.mark.slow
@needs_rerun
def test_the_recording_holds_person_robots_and_curves_on_one_timeline(seen):
    _, out = seen
    chunks = read_recording(out / "wave.rrd")
    robot = load_robot("g1_inspire")
    motion = read_robot_motion(out / "g1_inspire" / "wave.npz", robot)
    groups = {f"/curves/g1_inspire/joints/{name}" for name, joints in robot.groups.items() if joints}
    wanted = {"/person/points", "/person/bones", "/notes/g1_inspire", "/notes/inspire_right", "/curves/t1/error"}
    assert wanted | groups <= set(chunks)
    assert "/curves/inspire_right/error" not in chunks
    times = np.asarray(motion.time_ns)
    for entity, name in (("/curves/g1_inspire/joints/left_arm", "Scalars:scalars"), ("/curves/g1_inspire/error", None)):
        at, values = column(chunks[entity], name or "Scalars:scalars")
        np.testing.assert_array_equal(at, times)
        truth = motion.error_m if name is None else motion.joint_pos[:, list(robot.joints("left_arm"))]
        np.testing.assert_allclose(np.array(values), truth, atol=1e-12)
    at, places = column(chunks["/robots/g1_inspire/links/pelvis"], "Transform3D:translation")
    np.testing.assert_array_equal(at, times)
    np.testing.assert_allclose(np.array(places)[:, 0], motion.T_world_base[:, 4:], atol=1e-5)
    mesh = next(batch for batch in chunks["/robots/g1_inspire/links/pelvis"] if "Mesh3D:vertex_positions" in batch)
    assert len(mesh["Mesh3D:vertex_positions"][0].as_py()) > 100
    _, bones = column(chunks["/person/bones"], "LineStrips3D:strips")
    assert len(bones) == FRAMES
    assert np.isfinite(np.array(bones[0], dtype=float)).all()
    text = next(b for b in chunks["/notes/inspire_right"] if "TextDocument:text" in b)["TextDocument:text"][0].as_py()
    assert "no motion" in str(text)


def read_recording(path: Path) -> dict[str, list[dict]]:
    """Columns of every chunk by entity, through rerun's own reader."""
    from rerun.chunk import RrdReader

    reader = RrdReader(path)
    assert len(reader.recordings()) == len(reader.blueprints()) == 1
    out: dict[str, list[dict]] = {}
    for chunk in reader.stream().to_chunks():
        batch = chunk.to_record_batch()
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        out.setdefault(chunk.entity_path, []).append(columns)
    return out


def column(chunks: list[dict], name: str) -> tuple[np.ndarray, list]:
    """(times in ns, values) of a column that has a timeline."""
    chunk = next(c for c in chunks if name in c and recording.TIMELINE in c)
    return np.array(chunk[recording.TIMELINE].cast("int64")), chunk[name].to_pylist()


@pytest.mark.slow
def test_without_rerun_there_is_a_film_and_the_command_to_type(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "have_rerun", lambda: False)
    result = retargeting.retarget(RunConfig(out=tmp_path / "run", workers=1), (str(folder / "wave.npz"),), view=True)
    assert result["ok"]
    assert recording.RERUN_COMMAND in result["message"]
    assert [p.name for p in (tmp_path / "run" / "view").iterdir()] == ["wave.mp4"]
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtra, match="rerun-sdk") as caught:
        recording.write_recording(tmp_path / "a.rrd", [], [])
    assert caught.value.next_command == recording.RERUN_COMMAND
    assert not list(tmp_path.glob("*.rrd"))


@pytest.mark.slow
@pytest.mark.parametrize("pictures", [False, True])
def test_motions_of_files_become_a_lerobot_data_set(folder, tmp_path, pictures):
    out = tmp_path / "set"
    config = RunConfig(out=tmp_path / "run", workers=1)
    asked = {"robot": "g1_inspire", "out": str(out), "format": "lerobot", "view": pictures}
    result = retargeting.retarget(config, (str(folder / "wave.npz"),), **asked)
    assert result["datasets"][0]["episodes"] == 1
    report = check_dataset(out, decode=True)
    assert report["ok"], report["problems"]
    assert report["cameras"] == (["observation.images.front"] if pictures else [])
    dataset = open_dataset(out)
    robot = load_robot("g1_inspire")
    moved = retargeting.retarget(config, (str(folder / "wave.npz"),), robot="g1_inspire", format="npz")
    motion = read_robot_motion(config.out / "motions" / "g1_inspire" / "wave.npz", robot)
    assert moved["ok"]
    rows, names = dataset.columns(0), list(dataset.spec.names)
    for group in ("left_leg", "waist", "right_arm"):
        columns = [names.index(name) for name in robot.groups[group]]
        truth = motion.joint_pos[: len(rows["observation.state"]), list(robot.joints(group))]
        np.testing.assert_allclose(rows["observation.state"][:, columns], truth, atol=1e-6)
        np.testing.assert_allclose(rows["action"][:-1, columns], truth[1:], atol=1e-6)
    base = [names.index(f"base_{axis}") for axis in "xyz"]
    places = motion.T_world_base[: len(rows["action"]), 4:]
    np.testing.assert_allclose(rows["observation.state"][:, base], places, atol=1e-6)
    assert set(rows["source.sha256"]) == {dataset.episodes[0].source["sha256"]}
    assert rows["source.frame"].tolist() == list(range(len(rows["source.frame"])))
    if pictures:
        frames = dataset.frames(0).astype(int)
        changed = (np.abs(frames[-1] - frames[0]).max(axis=-1) > 40).mean()
        assert 0.0005 < changed < 0.3
        again = retargeting.retarget(config, (str(folder / "wave.npz"),), **{**asked, "view": False})
        assert again["ok"]  # one that is there is replaced
        assert check_dataset(out)["cameras"] == []


def test_a_folder_that_is_no_data_set_is_left_alone(folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    config = RunConfig(out=tmp_path / "run", workers=1)
    with pytest.raises(InputError, match="folder already"):
        retargeting.retarget(config, (str(folder / "wave.npz"),), out=str(tmp_path / "mine"), format="lerobot")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"robot": "g1_inspire,inspire_rigth"}, UnknownName, "did you mean 'inspire_right'"),
        ({"robot": " , "}, UsageError, "no robot"),
        ({"format": "lerobt"}, UnknownName, "did you mean 'lerobot'"),
    ],
)
def test_wrong_names_end_the_command_before_any_work(folder, tmp_path, asked, error, words):
    with pytest.raises(error, match=words):
        retargeting.retarget(RunConfig(out=tmp_path / "run"), (str(folder / "wave.npz"),), **asked)
    assert not (tmp_path / "run").exists()


def test_a_robot_whose_arms_are_too_short_does_not_keep_others_from_moving(folder, tmp_path, monkeypatch):
    import vidpretrain.retarget

    whole = vidpretrain.retarget.retarget

    def picky(person, robot, config):
        if robot.name == "t1":
            raise ConfigError("the arms of t1 are too short")
        return whole(person, robot, config)

    monkeypatch.setattr(vidpretrain.retarget, "retarget", picky)
    config, wave = RunConfig(out=tmp_path / "run"), (str(folder / "wave.npz"),)
    result = retargeting.retarget(config, wave, robot="t1,g1_inspire", format="csv")
    assert (result["accepted"], result["rejected"]) == (1, 1)
    assert "too short" in result["motions"][0]["detail"]
    with pytest.raises(ConfigError, match="too short"):
        retargeting.retarget(config, wave, robot="t1")


def test_text_says_why_a_file_was_refused_and_what_to_do(folder, tmp_path):
    from vidpretrain.cli import render

    timeless = tmp_path / "timeless.npz"
    np.savez(timeless, joints=np.zeros((5, 24, 3)))
    other = tmp_path / "other.npz"
    np.savez(other, nothing=np.zeros(3))
    config = RunConfig(out=tmp_path / "run")
    result = retargeting.retarget(config, (str(timeless), str(other)), robot="t1", format="csv")
    text = render.to_text(result)
    for words in (
        "timeless (t1): unreadable: the file says no frame rate",
        "motion_files.rate_hz=30",
        "no joints in the",
    ):
        assert words in text


def test_motions_of_one_reason_are_one_line():
    rows = [
        {"motion": f"m{i}", "robot": "t1", "reason": "too_short", "detail": "2 frames\n  valid: 8"} for i in range(5)
    ]
    lines = retargeting._refusals([*rows, {"motion": "good", "robot": "t1", "reason": None, "detail": None}])
    assert lines == ["rejected m0 (t1), m1 (t1), m2 (t1) and 2 more: too_short: 2 frames\n      valid: 8"]


def test_inputs_that_do_not_go_together(folder, tmp_path):
    config = RunConfig(out=tmp_path / "run")
    with pytest.raises(UsageError, match="motion files and others"):
        retargeting.retarget(config, (str(folder / "wave.npz"), str(folder / "a.mp4")))
    with pytest.raises(InputError, match="not a run folder"):
        retargeting.retarget(config, (str(folder),))
    with pytest.raises(InputError, match="no such file"):
        retargeting.retarget(config, (str(folder / "nowhere.mp4"),))


def test_between_stretches_the_last_picture_stays_paler():
    times = [np.array([0, 10, 20]), np.array([50, 60])]
    mine = view._owner(times, np.arange(0, 90, 10))
    assert mine.tolist() == [0, 0, 0, -1, -1, 1, 1, -1, -1]
    pictures = [iter([np.full((2, 2, 3), 10 * k, np.uint8) for k in range(1, 4)]) for _ in range(2)]
    shown = list(view._one_after_another(pictures, mine, np.full((2, 2, 3), 99, np.uint8)))
    assert [int(p[0, 0, 0]) for p in (*shown[:3], *shown[5:7])] == [10, 20, 30, 10, 20]
    assert shown[3][0, 0, 0] > 100
    assert np.array_equal(shown[3], shown[4])


@pytest.mark.slow
def test_a_video_goes_through_the_pipeline_once(shared_video, tmp_path):
    config = RunConfig(out=tmp_path / "run", workers=1)
    clip = str(shared_video / "intel_asl_want.mkv")
    first = retargeting.retarget(config, (clip,), robot="g1_inspire,inspire_right", view=True)
    assert first["accepted"] >= 1
    row = first["views"][0]
    film = frames_of(Path(row["film"])).astype(int)
    assert len(film) == 47
    width = 360 * 640 // 480
    person = film[20, :360, :width]
    assert person.std() > 20  # a photograph, not a drawing
    assert set(row["verdicts"]) == {"g1_inspire", "inspire_right"}
    if row["recording"]:
        pictures = read_recording(Path(row["recording"]))["/video"]
        assert sum(len(c["EncodedImage:blob"]) for c in pictures if "EncodedImage:blob" in c) == 47
    again = retargeting.retarget(config, (clip,), robot="g1_inspire,inspire_right")
    assert "nothing to compute" in again["message"]
    by_folder = retargeting.retarget(config, (str(config.out),), robot="t1")
    assert by_folder["motions"][0]["robot"] == "t1"
