"""Exported policies: the file answers as `Policy.predict` does, and one that does not is not kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # toy_cache.py
from toy_cache import MODEL, arm, hand, spec, toy_cache  # noqa: E402

from vidpretrain.errors import ConfigError, InputError, MissingExtra  # noqa: E402
from vidpretrain.export import ExportConfig, export  # noqa: E402
from vidpretrain.export import write as writing  # noqa: E402
from vidpretrain.export.graph import PolicyGraph  # noqa: E402
from vidpretrain.export.questions import apart, inputs_of, questions  # noqa: E402
from vidpretrain.training import Policy, TrainConfig, pretrain  # noqa: E402
from vidpretrain.types import Group  # noqa: E402

FAST = TrainConfig(steps=3, batch_size=8, draws=1, warmup=1, tensorboard=False, representation={})


def pose(name: str, quantity: str, representation: str) -> Group:
    names = tuple(f"{name}_{i}" for i in range(9))
    return Group(name=name, names=names, quantity=quantity, representation=representation, unit="m")


def layout(embodiment: str = "toy"):
    """A group of every kind that transforms know: relative, absolute, poses relative to the start and as offsets."""
    wrists = pose("left_wrist", "wrist_pose", "relative"), pose("left_camera_wrist", "camera_wrist", "offset")
    return spec(embodiment, arm(), hand(), *wrists, pose("base", "base", "absolute"))


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    root = tmp_path_factory.mktemp("export")
    cache = toy_cache(root / "cache", layout(), episodes=1, length=30)
    pretrain(MODEL.replace(text="hash", text_width=16), FAST, [cache.path], root / "run")
    torch.set_num_threads(1)
    return Policy.load(root / "run")


def asked(policy, count=24, seed=1):
    return questions(policy.paired["toy"], policy.history, (32, 32, 3), count, seed)


def predicted(policy, what, **options):
    return policy.predict(
        what.images,
        what.state,
        "toy",
        history=what.history,
        fov=what.fov,
        seed=what.seed,
        keys=what.keys,
        instructions=what.instructions,
        **options,
    )


def test_the_graph_is_the_policy_with_everything_inside(policy):
    what, slots = asked(policy), policy.layout.width
    given = inputs_of(what, 4, slots, ("hash", 16))
    right = predicted(policy, what, steps=3)
    with torch.no_grad():
        found = PolicyGraph(policy.model, "toy", 3)(*(torch.from_numpy(v) for v in given.values())).numpy()
    told = apart(right, found, policy.spec("toy"))
    assert told["max_abs_difference"] < 1e-5
    assert 0 < told["values"] < right.size  # some columns had no state, so that nobody knows them
    assert apart(right, found + 0.01, policy.spec("toy"))["max_abs_difference"] == pytest.approx(0.01, abs=1e-4)
    assert apart(right, np.nan_to_num(found), policy.spec("toy"))["max_abs_difference"] == np.inf


@pytest.mark.parametrize("head", ["regression", "tokens"])
def test_other_heads_have_a_graph_as_well(head, tmp_path):
    cache = toy_cache(tmp_path / "cache", episodes=1, length=12)
    pretrain(MODEL.replace(head=head), FAST, [cache.path], tmp_path / "run")
    policy = Policy.load(tmp_path / "run")
    what = asked(policy, 8)
    given = inputs_of(what, 4, 3, None)
    with torch.no_grad():
        found = PolicyGraph(policy.model, "toy", 1)(*(torch.from_numpy(v) for v in given.values())).numpy()
    assert apart(predicted(policy, what), found, policy.spec("toy"))["max_abs_difference"] < 1e-5


def test_questions_leave_things_out_and_are_the_same_again(policy):
    what, again = asked(policy, 200), asked(policy, 200)
    np.testing.assert_array_equal(what.state, again.state)
    assert 0.05 < np.isnan(what.state).mean() < 0.3
    assert 0 < np.isnan(what.fov).sum() < 200
    six = what.state[:, 3 + 3 : 3 + 9]  # the wrist's rotation
    known = np.isfinite(six).all(axis=1)
    np.testing.assert_allclose(np.linalg.norm(six[known][:, :3], axis=1), 1.0, atol=1e-5)


@pytest.mark.slow
def test_both_files_answer_as_torch_does_and_say_what_they_take(policy, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "out"
    told = export(policy, out, ExportConfig(formats=("torch_export", "onnx"), samples=20, steps=2))
    assert sorted(p.name for p in out.iterdir()) == [
        "config.json",
        "export.json",
        "policy.onnx",
        "policy.pt2",
        "policy_postprocessor.json",
        "policy_preprocessor.json",
    ]
    about = json.loads((out / "export.json").read_text())
    assert about == {name: value for name, value in told.items() if name != "folder"}
    assert {name: one["check"]["samples"] for name, one in about["files"].items()} == {"torch_export": 20, "onnx": 20}
    assert all(one["check"]["max_abs_difference"] < 1e-4 for one in about["files"].values())
    assert [(one["name"], one["shape"][1:]) for one in about["inputs"]] == [
        ("image", [32, 32, 3]),
        ("state", [30]),
        ("history", [1, 30]),
        ("fov", []),
        ("noise", [4, 30]),
        ("text", [16]),
    ]
    assert [column["unit"] for column in about["columns"][:3]] == ["rad", "rad", "fraction"]
    assert json.loads((out / "config.json").read_text())["type"] == "vidpretrain"
    what = asked(policy, 7, seed=5)
    given = inputs_of(what, 4, 30, ("hash", 16))
    session = onnxruntime.InferenceSession(str(out / "policy.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 7):  # any number of questions, other ones than those of the check
        found = session.run(["actions"], {name: value[:count] for name, value in given.items()})[0]
        np.testing.assert_allclose(found, predicted(policy, what, steps=2)[:count], atol=1e-4)


def test_a_file_that_answers_otherwise_is_an_error_and_not_kept(policy, tmp_path, monkeypatch):
    def off(graph, given, out, config):
        """A file that is off by .01 in one column, without the time that exporting takes."""

        def ask(some):
            with torch.no_grad():
                found = graph(*(torch.from_numpy(value) for value in some.values())).numpy()
            found[:, :, 2] += 0.01
            return found

        (out / "policy.pt2").write_bytes(b"")
        return {"torch_export": (ask, {"file": "policy.pt2"})}

    monkeypatch.setattr(writing, "_written", off)
    with pytest.raises(InputError, match="does not answer as torch does") as caught:
        export(policy, tmp_path / "out", ExportConfig(samples=40))
    assert "most in left_hand" in str(caught.value.found)
    assert list(tmp_path.iterdir()) == []
    kept = export(policy, tmp_path / "out", ExportConfig(samples=40, tolerance=0.02))  # as much as was asked for
    assert kept["files"]["torch_export"]["check"]["max_abs_difference"] == pytest.approx(0.01, abs=1e-4)


def test_what_cannot_be_exported_is_said_before_any_work(policy, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ConfigError, match="not empty"):
        export(policy, tmp_path / "mine")
    with pytest.raises(ValueError, match="formats are some of"):
        ExportConfig(formats=("pickle",))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        export(policy, tmp_path / "out", ExportConfig(formats=("onnx",)))
