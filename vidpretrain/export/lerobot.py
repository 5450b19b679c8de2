"""What makes an exported folder a policy of LeRobot: its config.json and the two lists of processing steps.

LeRobot's own steps do nothing here but add the batch and move tensors: normalising happens inside the file. The class
that reads the folder is that of the package lerobot_policy_vidpretrain (plugins/ in this repository).
"""

from __future__ import annotations

import json
from typing import Any

POLICY_TYPE = "vidpretrain"
CONFIG, BEFORE, AFTER = "config.json", "policy_preprocessor.json", "policy_postprocessor.json"


def lerobot_files(about: dict[str, Any]) -> dict[str, str]:
    """Texts by name, from the content of export.json."""
    image = next(one["shape"][1:] for one in about["inputs"] if one["name"] == "image")
    height, width, channels = image[-3:]
    columns = len(about["columns"])
    views = [f"observation.images.{name}" for name in about["cameras"]]
    seen = {name: {"type": "VISUAL", "shape": [channels, height, width]} for name in views}
    config = {
        "type": POLICY_TYPE,
        "n_obs_steps": 1,
        "input_features": {**seen, "observation.state": {"type": "STATE", "shape": [columns]}},
        "output_features": {"action": {"type": "ACTION", "shape": [columns]}},
        "n_action_steps": about["horizon"],
    }
    before = [_step("rename_observations_processor", rename_map={}), _step("to_batch_processor"), _to("cpu")]
    return {
        CONFIG: _text(config),
        BEFORE: _text({"name": "policy_preprocessor", "steps": before}),
        AFTER: _text({"name": "policy_postprocessor", "steps": [_to("cpu")]}),
    }


def _step(name: str, **config: Any) -> dict[str, Any]:
    return {"registry_name": name, "config": config}


def _to(device: str) -> dict[str, Any]:
    return _step("device_processor", device=device, float_dtype=None)


def _text(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2) + "\n"
