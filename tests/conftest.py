"""Fixtures that find the data folder beside the project, and skip with a reason where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_root() -> Path | None:
    """The folder named by VIDPRETRAIN_SHARED, or ../shared beside the project."""
    for candidate in (os.environ.get("VIDPRETRAIN_SHARED"), Path(__file__).parents[2] / "shared"):
        if candidate and (Path(candidate) / "data").is_dir():
            return Path(candidate)
    return None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder."""
    root = shared_root()
    if root is None:
        pytest.skip("no shared data: set VIDPRETRAIN_SHARED or put it at ../shared")
    return root


@pytest.fixture(scope="session")
def shared_video(shared: Path) -> Path:
    """Folder of real clips."""
    return shared / "data" / "video"


@pytest.fixture(scope="session")
def shared_robot(shared: Path) -> Path:
    """The real robot episodes (LeRobot v2.1)."""
    return shared / "data" / "robot" / "g1_inspire_pick_bottle"
