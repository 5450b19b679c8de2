"""The LeRobot plugin: its copies of what we do give the same numbers, and LeRobot gets our actions."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vidpretrain.control import ColumnLimits, project
from vidpretrain.dataset import fit_image
from vidpretrain.export.lerobot import lerobot_files
from vidpretrain.export.questions import noise_of
from vidpretrain.model.text import hashed

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "plugins" / "lerobot_policy_vidpretrain" / "lerobot_policy_vidpretrain"


@pytest.fixture(scope="module")
def exported():
    """The plugin's module without LeRobot in it."""
    spec = importlib.util.spec_from_file_location("exported_of_the_plugin", PLUGIN / "exported.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", ["", "Pick up the RED cup!", "öffne die Schublade", "a"])
def test_words_become_the_same_numbers(exported, text):
    np.testing.assert_array_equal(exported.hashed(text, 64), hashed([text], 64)[0])


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (32, 32), (7, 200)])
def test_pictures_are_fitted_alike(exported, size):
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    np.testing.assert_array_equal(exported.fitted(frame, 32), fit_image(frame, 32, 32))


def test_limits_are_kept_alike(exported):
    rng = np.random.default_rng(0)
    chunk, state = rng.normal(0, 2, (6, 4)).astype(np.float32), np.array([0.1, 3.0, np.nan, 0.0], np.float32)
    limits = ColumnLimits(
        lower=np.array([-1.0, -1.0, -np.inf, -2.0]), upper=np.array([1.0, 1.0, np.inf, 2.0]), step=np.full(4, 0.3)
    )
    before, rows = state, []
    for target in chunk:
        before = exported.kept(target, before, (limits.lower, limits.upper, limits.step))
        rows.append(before)
    np.testing.assert_allclose(np.stack(rows), project(chunk, state, limits), atol=1e-6)


def test_a_folder_is_read_and_what_is_wrong_with_it_is_said(exported, tmp_path):
    with pytest.raises(FileNotFoundError, match="vidpretrain export"):
        exported.Exported(tmp_path)
    about = {
        "format_version": 1,
        "horizon": 4,
        "history_rows": [-1],
        "cameras": ["head"],
        "columns": [{"name": "a", "quantity": "joint"}, {"name": "w", "quantity": "wrist_pose"}],
        "inputs": [{"name": "image", "shape": ["batch", 8, 8, 3]}, {"name": "noise", "shape": ["batch", 4, 2]}],
        "text": None,
        "limits": {"lower": [-1.0, None], "upper": [1.0, None], "step": [0.1, None]},
        "files": {"onnx": {"file": "policy.onnx", "sha256": "0" * 64}},
    }
    (tmp_path / "policy.onnx").write_bytes(b"something else")
    (tmp_path / "export.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="is not the file"):
        exported.Exported(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps({**about, "format_version": 2}))
    with pytest.raises(ValueError, match="format 2"):
        exported.Exported(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps({**about, "files": {}}))
    with pytest.raises(ModuleNotFoundError, match="onnxruntime"):
        exported.Exported(tmp_path)
    config = json.loads(lerobot_files(about)["config.json"])
    assert config["input_features"]["observation.images.head"] == {"type": "VISUAL", "shape": [3, 8, 8]}
    assert config["output_features"]["action"]["shape"] == [2]


def test_noise_is_drawn_as_the_policy_draws_it(exported):
    folder = object.__new__(exported.Exported)
    folder.noise_shape = (4, 3)
    np.testing.assert_array_equal(folder.noise(5, 11), noise_of(np.array([11]), 5, 4, 3)[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_lerobot_eval_finds_the_policy_and_sends_our_actions():
    if not os.environ.get("VIDPRETRAIN_INTEROP"):
        pytest.skip("two minutes in another environment: make interop-policy, or VIDPRETRAIN_INTEROP=1")
    if not (ROOT / ".venv-interop" / "bin" / "lerobot-eval").is_file():
        pytest.skip("lerobot's environment is not there: make interop")
    pytest.importorskip("onnxscript")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [str(ROOT / "scripts" / "lerobot_policy.sh")], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "100 % were sent our actions" in done.stdout
