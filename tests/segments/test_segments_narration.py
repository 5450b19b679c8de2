"""Words for stretches of a video: files beside it in four formats, and tables of many videos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidpretrain.errors import InputError
from vidpretrain.segments import Said, narration_of

REACH = Said(start_ns=500_000_000, exclusive_end_ns=2_250_000_000, text="reach for the cup")
LIFT = Said(start_ns=2_250_000_000, exclusive_end_ns=4_000_000_000, text="lift it")

SRT = """1
00:00:00,500 --> 00:00:02,250
reach for
<i>the cup</i>

2
00:00:02,250 --> 00:00:04,000
lift it
"""
VTT = """WEBVTT

NOTE nothing

00:00.500 --> 00:02.250 align:start
reach for the cup

00:02.250 --> 00:04.000
lift it
"""


def test_files_of_four_kinds_say_the_same(tmp_path: Path) -> None:
    written = {
        ".json": json.dumps(
            {
                "fx": 1,
                "segments": [
                    {"start_s": 2.25, "end_s": 4, "text": "lift it"},
                    {"start_s": 0.5, "end_s": 2.25, "instruction": "reach for the cup"},
                ],
            }
        ),
        ".srt": SRT.replace("\n", "\r\n"),
        ".vtt": VTT,
        ".txt": "0.5 2.25 reach for the cup\n\n2.25 4 lift it\n",
    }
    for suffix, text in written.items():
        video = tmp_path / f"video_{suffix[1:]}.mp4"
        video.with_suffix(suffix).write_text(text, encoding="utf-8")
        assert narration_of(video) == (REACH, LIFT), suffix


def test_plain_words_are_for_the_whole_video_and_a_sidecar_of_intrinsics_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("wipe the\ntable\n")
    (tmp_path / "a.json").write_text('{"fx": 500, "cx": 1, "cy": 1, "instruction": "clean"}')
    assert narration_of(tmp_path / "a.mp4") == (Said(start_ns=0, exclusive_end_ns=None, text="wipe the table"),)
    assert narration_of(tmp_path / "other.mp4") == ()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_speak_of_videos_by_name(tmp_path: Path, kind: str) -> None:
    rows = [
        {"video": "a.mp4", "start_s": 2.25, "end_s": 4.0, "text": "lift it"},
        {"video": "b", "start_s": 0.0, "end_s": 1.0, "text": "something else"},
        {"video": "a.mp4", "start_s": 0.5, "end_s": 2.25, "text": "reach for the cup"},
    ]
    table = tmp_path / f"said.{kind}"
    if kind == "csv":
        table.write_text(
            "video,start_s,end_s,text\n" + "\n".join(",".join(str(v) for v in row.values()) for row in rows)
        )
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), table)
    assert narration_of(tmp_path / "videos" / "a.mp4", table) == (REACH, LIFT)
    assert [s.text for s in narration_of("b.mkv", table)] == ["something else"]
    assert narration_of("c.mkv", table) == ()
    (tmp_path / "b.txt").write_text("mine")
    assert [s.text for s in narration_of(tmp_path / "b.mkv", table)] == ["mine"], "the file beside the video wins"


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    for suffix, text in (
        (".srt", "1\n00:00:05,000 --> 00:00:02,000\nbackwards\n"),
        (".json", '{"segments": [{"text": "when?"}]}'),
        (".vtt", "WEBVTT\n\nnow --> then\nwhen?\n"),
    ):
        video = tmp_path / f"bad{suffix[1:]}.mp4"
        video.with_suffix(suffix).write_text(text)
        with pytest.raises(InputError, match="narration"):
            narration_of(video)
    with pytest.raises(InputError, match="no such narration table"):
        narration_of("a.mp4", tmp_path / "none.csv")
    (tmp_path / "wrong.csv").write_text("video,text\na.mp4,x\n")
    with pytest.raises(InputError, match="start_s"):
        narration_of("a.mp4", tmp_path / "wrong.csv")
