"""What the scripts that learn a table of the package from rendered people of the dev split are told."""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).parents[3]


def arguments(words: list[str] | None, description: str, clips: int, table: str) -> argparse.Namespace:
    """Clips, workers, and where things go; `table` is the file of `vidpretrain/motion` that is written."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--clips", type=int, default=clips)
    parser.add_argument("--workers", type=int, default=2, help="of the renderer")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    parser.add_argument("--table", type=Path, default=ROOT / "vidpretrain" / "motion" / table)
    return parser.parse_args(words)
