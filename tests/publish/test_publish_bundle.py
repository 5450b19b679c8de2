"""A published checkpoint loaded by transformers alone, in a process that cannot import this package."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import numpy as np
import pytest

from vidpretrain.publish import PublishConfig, publish
from vidpretrain.publish.bundle import bundle

_LOAD = """
import sys
for name in ("vidpretrain", "jaxtyping", "beartype"):
    sys.modules[name] = None  # as if it were not installed
import numpy as np, torch
from transformers import AutoConfig, AutoModel, AutoProcessor
folder, batch, out = sys.argv[1:]
assert AutoConfig.from_pretrained(folder, trust_remote_code=True).horizon == 4
model = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
tensors = {name: torch.from_numpy(value) for name, value in np.load(batch).items()}
np.save(out, model.sample(**tensors, steps=3).numpy())
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
state = np.array([[0.1, -0.2, 0.5], [0.0, np.nan, 0.2]], np.float32)
given = processor(tensors["images"].numpy(), state, "toy", seed=3, fov=np.array([1.0, np.nan]))
with torch.no_grad():
    np.save(out + ".whole.npy", processor.decode(model.sample(**given, steps=4), state, "toy"))
"""


def test_transformers_alone_gives_the_same_actions(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from toy_cache import MODEL, toy_cache

    from vidpretrain.training import Policy, TrainConfig, pretrain

    fast = TrainConfig(steps=2, batch_size=4, draws=1, warmup=1, tensorboard=False, representation={})
    pretrain(MODEL, fast, [toy_cache(tmp_path / "cache").path], tmp_path / "run")
    publish(tmp_path / "run", PublishConfig(folder=tmp_path / "out", accept=("unknown", "test")))
    model = Policy.load(tmp_path / "run").model
    slots, rng = model.config.layout().width, np.random.default_rng(0)
    batch = {
        "images": rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8),
        "state": rng.standard_normal((2, slots), dtype=np.float32),
        "state_known": np.ones((2, slots), bool),
        "history": rng.standard_normal((2, 1, slots), dtype=np.float32),
        "history_known": np.ones((2, 1, slots), bool),
        "embodiment": np.zeros(2, np.int64),
        "fov": np.ones(2, np.float32),
        "slot_mask": np.ones((2, slots), np.float32),
        "noise": rng.standard_normal((2, 1, 4, slots), dtype=np.float32),
    }
    np.savez(tmp_path / "batch.npz", **batch)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = [sys.executable, "-c", _LOAD, str(tmp_path / "out"), str(tmp_path / "batch.npz"), str(tmp_path / "a.npy")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    with torch.no_grad():
        here = model.sample(**{name: torch.from_numpy(value) for name, value in batch.items()}, steps=3).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "a.npy"), here, atol=1e-6)
    state = np.array([[0.1, -0.2, 0.5], [0.0, np.nan, 0.2]], np.float32)
    whole = Policy(model).predict(batch["images"], state, "toy", seed=3, fov=np.array([1.0, np.nan]), steps=4)
    np.testing.assert_allclose(np.load(tmp_path / "a.npy.whole.npy"), whole, atol=1e-6)
    assert np.isfinite(whole).sum() > 0
    assert Policy.load(tmp_path / "out").embodiments == ["toy"]  # and with the package as before


def test_the_bundle_names_no_module_of_the_package_and_keeps_the_configuration():
    made = bundle(json.dumps({"horizon": 4}))
    settings = json.loads(made["config.json"])
    assert settings["horizon"] == 4
    assert settings["auto_map"]["AutoModel"] == "modeling_vidpolicy.VidPolicy"
    code = {name: text for name, text in made.items() if name.endswith(".py")}
    assert "modeling_vidpolicy.py" in code
    for name, text in code.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module.split(".")[0] not in ("vidpretrain", "jaxtyping"), f"{name}: {node.module}"
            if isinstance(node, ast.ImportFrom) and node.level:
                assert f"{node.module}.py" in code, f"{name} needs {node.module}"
