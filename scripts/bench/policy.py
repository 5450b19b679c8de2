"""The policy as its users meet it: training (exact, to scale, fast), chunks in process and served, real episodes.

    python scripts/bench/policy.py [--only resume,scale,speed,chunk,real,inference,serving] [--out runs/bench]
                                   [--seconds 60]      training per fold and method of `real`

Rows go to OUT/policy.json; exit 0 whether the bars are met or not. The peers live in environments of their own:
.venv-openpi (make bench-env-policy) and lerobot's .venv-interop (make interop).
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
PARTS = ("resume", "scale", "speed", "chunk", "real", "inference", "serving")


def main(words: list[str] | None = None) -> int:
    """Measure, print the table and write it; 0 when everything could be measured, met or not."""
    for name in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy or torch
    asked = _arguments(words)
    from labelling.rows import row
    from policies import inference_rows, training_rows
    from policies.real_rows import RealConfig, real_rows

    from vidpretrain.dataset import build_cache, open_dataset
    from vidpretrain.workflow.files import write_text

    work = asked.out / "policy"
    cache = functools.cache(lambda: build_cache(open_dataset(asked.data), work / "cache", image_size_px=96))
    parts = {
        "resume": lambda: training_rows.resume_rows(row, cache().path, work),
        "scale": lambda: training_rows.scale_rows(row, cache().path, work),
        "speed": lambda: training_rows.speed_rows(row, cache().path),
        "chunk": lambda: training_rows.chunk_rows(row, inference_rows.chunk_seconds),
        "real": lambda: real_rows(row, cache(), work, RealConfig(seconds=asked.seconds, preset=asked.preset)),
        "inference": lambda: inference_rows.flow_rows(row),
        "serving": lambda: inference_rows.serving_rows(row),
    }
    rows: list[dict[str, Any]] = []
    for name in asked.only:
        rows += parts[name]()
    write_text(asked.out / "policy.json", json.dumps(rows, indent=2))
    for one in rows:
        met = {True: "yes", False: "NO", None: ""}[one["met"]]
        print(f"{one['name']:<96} {one['value']:>9.4g} {one['unit']:<8} {one['bar'] or '':<8} {met}")
    return 0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(PARTS), help=", ".join(PARTS))
    shared = Path(os.environ.get("VIDPRETRAIN_SHARED", ROOT.parent / "shared"))
    parser.add_argument("--data", type=Path, default=shared / "data/robot/g1_inspire_pick_bottle")
    parser.add_argument("--seconds", type=float, default=60.0, help="training per fold and method of the part real")
    parser.add_argument("--preset", default="micro", help="network of the part real")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    asked = parser.parse_args(words)
    if set(asked.only) - set(PARTS):
        parser.error(f"--only: {', '.join(PARTS)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
