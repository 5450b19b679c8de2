"""A short video without anybody, and the models where they are installed."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.errors import MissingAsset
from vidpretrain.pose import find_model
from vidpretrain.video import H264Writer, VideoConfig, VideoInfo, probe, split


@pytest.fixture(scope="session")
def landmarkers() -> None:
    """Skips where mediapipe or its models are not installed."""
    pytest.importorskip("mediapipe")
    try:
        find_model("hand", download=False)
        find_model("pose", download=False)
    except MissingAsset as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def empty_room(tmp_path_factory):
    """(clip, info) of twenty frames of a wall."""
    path = tmp_path_factory.mktemp("room") / "wall.mp4"
    wall = np.linspace(90, 140, 320)[None, :, None] + np.zeros((240, 1, 3))
    with H264Writer(path, 320, 240, 30) as writer:
        for _ in range(20):
            writer.write(wall.astype(np.uint8))
    info = probe(path)
    assert isinstance(info, VideoInfo)
    clips = split(info, VideoConfig())
    assert isinstance(clips, tuple)
    return clips[0], info
