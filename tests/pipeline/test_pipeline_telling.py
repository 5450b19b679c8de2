"""A captioner's words for the stretches of a segment: asked once, kept, never where somebody told already."""

from __future__ import annotations

import dataclasses
import sys
import types as modules

import numpy as np
import pytest

from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.clips import Segment
from vidpretrain.pipeline.store import Store
from vidpretrain.pipeline.telling import Telling
from vidpretrain.segments import CAPTIONERS, SegmentConfig
from vidpretrain.types import Activity, Stretch
from vidpretrain.video import H264Writer, probe

SECOND = 10**9


def activity(*stretches: Stretch) -> Activity:
    return Activity(
        clip_id="c_s00",
        time_ns=np.arange(30, dtype=np.int64) * 33_333_333,
        wrist_speed_m_s=np.zeros((30, 2)),
        grasp=np.zeros((30, 2), dtype=bool),
        contact=np.full((30, 2), np.nan),
        known=np.zeros((30, 2), dtype=bool),
        stretches=stretches,
    )


@pytest.fixture
def video(tmp_path):
    """A second of pictures that grow brighter."""
    path = tmp_path / "video.mp4"
    with H264Writer(path, 64, 64, 30.0) as writer:
        for k in range(30):
            writer.write(np.full((64, 64, 3), 8 * k, dtype=np.uint8))
    return probe(path)


@pytest.fixture
def asked(monkeypatch) -> list:
    """What a captioner of this test, which tells how bright its pictures are, was asked."""
    calls = []

    class Brightness:
        def __init__(self, name: str) -> None:
            calls.append(name)

        def caption(self, pictures, prompt, tokens) -> str:
            calls.append((len(pictures), prompt, tokens))
            return "brightness " + " ".join(str(int(np.round(p.mean() / 40))) for p in pictures)

    module = modules.ModuleType("captioner_of_this_test")
    module.Brightness = Brightness  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(CAPTIONERS, "transformers", "captioner_of_this_test:Brightness")
    return calls


def segment_of(path) -> Segment:
    return Segment(segment_id="c_s00", index=0, motion_path=path, robot_path=None, reject=None, activity_path=path)


def test_words_come_from_the_pictures_of_the_stretch_once(tmp_path, video, asked) -> None:
    path = tmp_path / "store" / "segments" / "abc.npz"
    found = activity(
        Stretch(start_ns=0, exclusive_end_ns=SECOND // 2),
        Stretch(start_ns=SECOND // 2, exclusive_end_ns=SECOND, instruction="wave", told_by="narration"),
    )
    serialize.save(path, found)
    config = SegmentConfig(captioner="some/model", captioner_frames=2, captioner_prompt="how bright?")
    for _ in range(2):
        told = Telling(config, Store(tmp_path / "store")).activity(segment_of(path), None, video)  # type: ignore[arg-type]
        assert [s.instruction for s in told.stretches] == ["brightness 1 2", "wave"]
        assert [s.told_by for s in told.stretches] == ["captioner", "narration"]
    assert asked == ["some/model", (2, "how bright?", 40)], "the second time the words are in the store"
    other = dataclasses.replace(config, captioner_prompt="and now?")
    Telling(other, Store(tmp_path / "store")).activity(segment_of(path), None, video)  # type: ignore[arg-type]
    assert len(asked) == 4, "another question is another result"


def test_nobody_is_asked_where_all_is_told_or_idle_or_none_is_configured(tmp_path, video, asked) -> None:
    path = tmp_path / "a.npz"
    found = activity(
        Stretch(start_ns=0, exclusive_end_ns=SECOND // 2, idle=True),
        Stretch(start_ns=SECOND // 2, exclusive_end_ns=SECOND, instruction="wave", told_by="narration"),
    )
    serialize.save(path, found)
    told = Telling(SegmentConfig(captioner="m")).activity(segment_of(path), None, video)  # type: ignore[arg-type]
    assert told.stretches == found.stretches
    serialize.save(path, activity(Stretch(start_ns=0, exclusive_end_ns=SECOND)))
    told = Telling(SegmentConfig()).activity(segment_of(path), None, video)  # type: ignore[arg-type]
    assert told.stretches[0].instruction == ""
    assert asked == []
