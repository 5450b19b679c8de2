"""Which code made a row."""

from __future__ import annotations

import vidpretrain
from vidpretrain.pipeline.store import room_digest

DATA_ROOMS = (
    *("video", "pose", "motion", "segments", "tree", "kinematics", "robot", "collision", "solve", "retarget"),
    *("actions", "pipeline"),
)


def code_version() -> str:
    """The package's version and eight digits of the source code of the rooms that turn video into actions."""
    return f"{vidpretrain.__version__}+{room_digest(*DATA_ROOMS)[:8]}"
