"""Real clips, of which no truth exists, held against themselves: mirrored, run backwards, bones, networks, pixels.

    python scripts/bench/consistency.py [--videos FOLDER] [--frames 60] [--out runs/bench] [--docs PAGE.md]

Each clip goes through networks and fit three times: as it is, as its mirror image, and run backwards. Rows go to
OUT/consistency.json, the worst frames to OUT/consistency.html. What the networks said is kept under OUT/consistency.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
_WORDS = """A page with the worst frames is made with it, `runs/bench/consistency.html`. No truth exists; height and
lens are assumed. Reprojections are medians in hand or torso lengths; bones are the standard deviation of
their lengths over time, as a share; the hand's distance from the body's wrist is in torso lengths. Of the
hands found in a clip or in its mirrored or reversed film, `found alike` is the share at the same place on
the same side in both, `sides exchanged` at the same place on the other side."""
REFERENCE = ("dexretarget_hand", "dexretarget_hand_joints.pkl")


def main(words: list[str] | None = None) -> int:
    """Look, measure, print and write."""
    asked = _arguments(words)
    from detection import against_reference
    from labelling.agreement import agreement
    from labelling.real import real_views
    from labelling.worst import page

    from vidpretrain.workflow.files import write_text

    clips, rows = [], []
    for path in sorted(p for p in asked.videos.glob("*") if p.suffix in (".mp4", ".mkv")):
        real = real_views(path, asked.frames, asked.out / "consistency")
        if real is None:
            print(f"{path.name}: cannot be looked at")
            continue
        checked = agreement(real)
        row: dict[str, Any] = {"clip": real.name, "frames": len(real.tracks[0].time_ns), **checked.summary}
        reference = asked.videos.parent / "motion" / REFERENCE[1]
        if real.name == REFERENCE[0] and reference.is_file():
            row["reference, mm"] = against_reference(real.tracks, reference)
        clips.append((real, checked))
        rows.append(row)
    rows.append(_middle(rows))
    write_text(asked.out / "consistency.json", json.dumps(rows, indent=2))
    write_text(asked.out / "consistency.html", page(clips, asked.worst, _table(rows, html=True)))
    print(_table(rows))
    if asked.docs is not None:
        write_text(asked.docs, _document(rows, asked.frames))
    return 0


def _middle(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the clips."""
    out: dict[str, Any] = {"clip": "median of the clips", "frames": sum(row["frames"] for row in rows)}
    for name in rows[0]:
        if name not in out:
            values = [row[name] for row in rows if np.isfinite(row[name])]
            out[name] = float(np.median(values)) if values else float("nan")
    return out


def _table(rows: list[dict[str, Any]], html: bool = False) -> str:
    """One line per clip and one column per check, as Markdown or HTML."""
    names = [name for name in dict.fromkeys(k for row in rows for k in row) if name != "clip"]
    lines = [["clip", *names]]
    lines += [[row["clip"], *(_number(row.get(name, float("nan"))) for name in names)] for row in rows]
    if html:
        cells = ["".join(f"<td>{cell}</td>" for cell in line) for line in lines]
        return "<table>" + "".join(f"<tr>{line}</tr>" for line in cells) + "</table>"
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ["---"] * len(lines[0]), *lines[1:]])


def _number(value: float) -> str:
    if not np.isfinite(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3g}"


def _document(rows: list[dict[str, Any]], frames: int) -> str:
    return "\n".join(
        [
            "# Real clips, held against themselves",
            "",
            f"Made by `python scripts/bench/consistency.py --frames {frames} --docs docs/results/consistency.md`.",
            _WORDS,
            "",
            _table(rows),
            "",
        ]
    )


def _arguments(words: list[str] | None) -> argparse.Namespace:
    from labelling.arguments import parser as common

    parser, _ = common(__doc__)
    parser.add_argument("--frames", type=int, default=60, help="of each clip, from its start")
    parser.add_argument("--worst", type=int, default=20, help="frames on the page")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
