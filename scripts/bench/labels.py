"""Labels against the exact truth of rendered people whom nobody tuned on, with baselines in the same run.

    python scripts/bench/labels.py [--clips 40] [--split held] [--out runs/bench] [--docs docs/results/labels.md]

Clips are rendered and looked at by the landmark networks once and kept under OUT/labels; everything after the networks
is measured anew. Height and intrinsics are known unless a row says otherwise; offsets learned on rendered people are
used in the rows that say so, which have no bar. Rows go to OUT/labels.json; exit 0 whether the bars are met or not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))


def main(words: list[str] | None = None) -> int:
    """Measure, print the table and write it; 0 when everything could be measured, met or not."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy
    asked = _arguments(words)
    from labelling.clips import samples
    from labelling.rows import bench, table

    start = time.perf_counter()
    every = samples(asked.split, asked.clips, asked.out / "labels", workers=asked.workers, duration_s=asked.seconds)
    ready = time.perf_counter() - start
    rows: list[dict[str, Any]] = bench(every)
    if not asked.rendered_only:
        from labelling.consistency import real_rows

        rows += real_rows(asked.videos, asked.out / "labels" / "real")
    from labelling.gap_rows import gap_rows
    from labelling.rows import VIEWS, row

    rows += gap_rows(every, asked.motions, row, VIEWS)
    from labelling.chunk_rows import chunk_rows

    rows += chunk_rows(every, row, VIEWS)
    if not asked.clean_only:
        from labelling.clips import hard_samples, pair_samples
        from labelling.hard_rows import hard_rows

        pairs = pair_samples(asked.split, asked.out / "labels", workers=asked.workers)
        rows += hard_rows(hard_samples(asked.split, asked.out / "labels", workers=asked.workers), pairs)
    from vidpretrain.workflow.files import write_text

    name = "labels.json" if asked.split == "held" else f"labels_{asked.split}.json"
    write_text(asked.out / name, json.dumps(rows, indent=2))
    text = table(rows)
    print(text)
    print(f"\n{len(every)} clips ready after {ready:.0f} s, measured in {time.perf_counter() - start - ready:.0f} s")
    if asked.docs is not None:
        from labelling.rows import document

        write_text(asked.docs, document(rows, every, asked.split))
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    from labelling.arguments import parser as common

    parser, shared = common(__doc__)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a clip")
    parser.add_argument("--split", choices=("held", "dev"), default="held", help="dev is for trying things out")
    parser.add_argument("--workers", type=int, default=2, help="of the renderer")
    parser.add_argument("--motions", type=Path, default=shared / "data" / "motion", help="real motions, for gaps")
    parser.add_argument("--rendered-only", action="store_true", help="leave the real clips out")
    parser.add_argument("--clean-only", action="store_true", help="leave the hard clips out")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
