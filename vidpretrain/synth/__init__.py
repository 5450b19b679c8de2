"""Video of rendered people with exact truth: many people, rooms, cameras and motions, easy and hard, by seed and split.

Door: `SynthConfig`, `plan`, `synthesize` -> `Synthesized`, `load_motion` -> `ClipTruth`, `GROUPS`. Rendering happens in
worker processes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from vidpretrain.synth.config import SynthConfig

if TYPE_CHECKING:
    from vidpretrain.synth.files import ClipTruth, load_motion
    from vidpretrain.synth.groups import GROUPS
    from vidpretrain.synth.planning import plan
    from vidpretrain.synth.render import Synthesized, synthesize

_DOOR = {
    "ClipTruth": "files",
    "load_motion": "files",
    "GROUPS": "groups",
    "plan": "planning",
    "Synthesized": "render",
    "synthesize": "render",
}

__all__ = ["GROUPS", "ClipTruth", "SynthConfig", "Synthesized", "load_motion", "plan", "synthesize"]


def __getattr__(name: str) -> Any:
    if name not in _DOOR:
        raise AttributeError(name)
    return getattr(importlib.import_module(f"vidpretrain.synth.{_DOOR[name]}"), name)
