from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # toy_cache.py


@pytest.fixture
def checkpoint(tmp_path):
    """A run's folder: weights, configuration, and an evaluation beside them."""
    from safetensors.numpy import save_file

    run = tmp_path / "run" / "finetune-1a2b3c4d"
    (run / "model").mkdir(parents=True)
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float32)}, run / "model" / "model.safetensors")
    groups = [
        {"name": "left_arm", "names": ["a", "b"], "quantity": "joint", "representation": "relative", "unit": "rad"}
    ]
    spec = {"embodiment": "toy", "groups": groups, "rate_hz": 10.0, "horizon": 4}
    source = {"dataset": "kitchen", "embodiment": "toy", "episodes": 3, "hours": 0.5, "licences": ["cc-by-4.0"]}
    settings = {
        "embodiments": [{"spec": spec}],
        "model": {"image_px": 96},
        "horizon": 4,
        "code_version": "0.1.0",
        "sources": [source],
    }
    (run / "model" / "config.json").write_text(json.dumps(settings))
    methods = {
        "policy": {"error": 0.15, "interval": [0.12, 0.18]},
        "hold_state": {"error": 0.24, "interval": [0.2, 0.3]},
    }
    found = {"embodiment": "toy", "horizon": 4, "episodes": [1, 2], "methods": methods, "config": {"confidence": 0.9}}
    (run.parent / "evaluation.json").write_text(json.dumps(found))
    return run
