"""What somebody said of a video, with times: a file beside it, or a table of many videos.

Beside `NAME.mp4`: `NAME.json` (`segments`: a list of {start_s, end_s, text}), `NAME.srt`, `NAME.vtt`, `NAME.txt` (lines
`start end text` in seconds, or words for the whole video). The first that says something wins. `instruction` of a
sidecar or manifest is the whole video's and read by the video room. Tables are csv or parquet with the columns video
(file name, with or without its suffix, or path), start_s, end_s, text.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidpretrain import timebase
from vidpretrain.errors import InputError

COLUMNS = ("video", "start_s", "end_s", "text")
_STAMP = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})")
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True, kw_only=True)
class Said:
    """Words for [start_ns, exclusive_end_ns) of a video; the end is None where it goes on to the video's end."""

    start_ns: int
    exclusive_end_ns: int | None
    text: str


def narration_of(video: Path | str, table: Path | None = None) -> tuple[Said, ...]:
    """What is said of a video by the file beside it, else by the table; empty where neither says anything.

    Raises:
        InputError: a file is there and cannot be understood.
    """
    return beside(video) or (from_table(table, video) if table is not None else ())


def beside(video: Path | str) -> tuple[Said, ...]:
    """What the files beside a video say."""
    video = Path(video)
    for suffix, read in ((".json", _json), (".srt", _subtitles), (".vtt", _subtitles), (".txt", _text)):
        path = video.with_suffix(suffix)
        if path == video or not path.is_file():
            continue
        try:
            said = read(path.read_text(encoding="utf-8-sig"))
        except (UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"a narration that cannot be read: {error!r}", asked=path, valid="see `vidpretrain.segments.narration`"
            ) from None
        if said:
            return said
    return ()


def from_table(table: Path | str, video: Path | str) -> tuple[Said, ...]:
    """The rows of a table that speak of a video.

    Raises:
        InputError: no such table, or columns are missing.
    """
    table, video = Path(table), Path(video)
    names = {str(video), video.name, video.stem, video.as_posix()}
    rows = [row for row in _rows(table) if str(row["video"]) in names or Path(str(row["video"])).name == video.name]
    try:
        return _sorted(_said(row["start_s"], row["end_s"], row["text"]) for row in rows)
    except (ValueError, TypeError) as error:
        raise InputError(f"times are seconds: {error}", asked=table, found=video.name) from None


def _rows(table: Path) -> list[dict[str, Any]]:
    if not table.is_file():
        raise InputError("no such narration table", asked=table, next_command=f"ls {table.parent}")
    if table.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            rows = pq.read_table(table).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"not a parquet table: {error}", asked=table) from None
    else:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    missing = [name for name in COLUMNS if rows and name not in rows[0]]
    if missing:
        raise InputError(f"no column {', '.join(missing)}", asked=table, found=", ".join(rows[0]), valid=COLUMNS)
    return rows


def _json(text: str) -> tuple[Said, ...]:
    data = json.loads(text)
    entries = data.get("segments", ())
    return _sorted(_said(e["start_s"], e.get("end_s"), e.get("text") or e.get("instruction")) for e in entries)


def _subtitles(text: str) -> tuple[Said, ...]:
    """SubRip and WebVTT alike: a line with an arrow between two times, then lines of words up to an empty one."""
    out: list[Said] = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = block.strip().split("\n")
        at = next((i for i, line in enumerate(lines) if "-->" in line), None)
        if at is None:
            continue
        stamps = [_seconds(match) for match in _STAMP.finditer(lines[at])]
        if len(stamps) < 2:
            raise ValueError(f"two times are wanted in {lines[at]!r}")
        words = " ".join(_TAG.sub("", line).strip() for line in lines[at + 1 :])
        out.append(_said(stamps[0], stamps[1], words))
    return _sorted(out)


def _seconds(match: re.Match[str]) -> float:
    hours, minutes, seconds, fraction = match.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction) / 10 ** len(fraction)


def _text(text: str) -> tuple[Said, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    timed = [re.fullmatch(r"(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s+(\S.*)", line) for line in lines]
    if lines and all(timed):
        return _sorted(_said(*match.groups()) for match in timed if match)
    return _sorted([_said(0.0, None, " ".join(lines))])


def _said(start: Any, end: Any, text: Any) -> Said:
    start_ns = timebase.ns(float(start))
    end_ns = None if end in (None, "") else timebase.ns(float(end))
    if end_ns is not None and end_ns <= start_ns:
        raise ValueError(f"an end at {end} s is not after {start} s")
    return Said(start_ns=start_ns, exclusive_end_ns=end_ns, text=" ".join(str(text or "").split()))


def _sorted(said: Iterable[Said]) -> tuple[Said, ...]:
    return tuple(sorted((s for s in said if s.text), key=lambda s: s.start_ns))
