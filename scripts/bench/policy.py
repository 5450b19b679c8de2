"""The policy as its users meet it: what a chunk costs, in process and served to an unmodified openpi-client.

    python scripts/bench/policy.py [--only inference,serving] [--out runs/bench]

Rows go to OUT/policy.json; exit 0 whether the bars are met or not. The peer lives in an environment of its own,
.venv-openpi (make bench-env-policy).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
PARTS = ("inference", "serving")


def main(words: list[str] | None = None) -> int:
    """Measure, print the table and write it; 0 when everything could be measured, met or not."""
    for name in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy or torch
    asked = _arguments(words)
    from labelling.rows import row
    from policies import inference_rows

    from vidpretrain.workflow.files import write_text

    parts = {"inference": inference_rows.flow_rows, "serving": inference_rows.serving_rows}
    rows: list[dict[str, Any]] = []
    for name in asked.only:
        rows += parts[name](row)
    write_text(asked.out / "policy.json", json.dumps(rows, indent=2))
    for one in rows:
        met = {True: "yes", False: "NO", None: ""}[one["met"]]
        print(f"{one['name']:<72} {one['value']:>9.4g} {one['unit']:<8} {one['bar'] or '':<8} {met}")
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=", ".join(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    asked = parser.parse_args(words)
    if set(asked.only) - set(PARTS):
        parser.error(f"--only: {', '.join(PARTS)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
