"""What the benches of labels are all told on the command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

ROOT = Path(__file__).parents[3]


def parser(doc: str | None) -> tuple[argparse.ArgumentParser, Path]:
    """(a parser with where real clips are and where results go, the folder of the data that all share).

    `doc` is the script's own documentation; its first line is shown by --help.
    """
    shared = Path(os.environ.get("VIDPRETRAIN_SHARED", ROOT.parent / "shared"))
    out = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    out.add_argument("--videos", type=Path, default=shared / "data" / "video", help="folder of real clips")
    out.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    out.add_argument("--docs", type=Path, help="also write the table there as Markdown")
    return out, shared
