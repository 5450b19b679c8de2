"""Films of people doing a task: how long they take, and the real extraction's labels against their truth.

    python scripts/bench/film.py [--task pick_lift] [--clips 12] [--views head,third] [--out runs/bench/film]

Clips are filmed and extracted once and kept under OUT; figures go to OUT/film_TASK.json. Exit 0 whatever comes out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main(words: list[str] | None = None) -> int:
    """Film, extract, measure, print and write."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy
    asked = _arguments(words)
    from vidpretrain.errors import VidpretrainError
    from vidpretrain.synth.tasks import TaskFilmConfig, film_task

    try:
        config = TaskFilmConfig(
            task=asked.task,
            clips=asked.clips,
            views=tuple(asked.views.split(",")),
            split=asked.split,
            workers=asked.workers,
            first_seed=asked.first_seed,
        )
        folder = asked.out / Path(asked.task).stem
        made = film_task(config, folder / "films")
        row = measured(made, config.robot, folder, asked.workers)
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    from vidpretrain.workflow.files import write_text

    write_text(asked.out / f"film_{Path(asked.task).stem}.json", json.dumps(row, indent=2))
    print(json.dumps(row, indent=2))
    return 0


def measured(made: Any, robot: str, folder: Path, workers: int) -> dict[str, Any]:
    """Seconds per clip (films as each says itself, extraction as its stages say), and errors by camera."""
    import numpy as np

    from vidpretrain.pipeline import DataConfig, serialize
    from vidpretrain.pipeline.stages import extract_all, sources_of
    from vidpretrain.sim import load_truth
    from vidpretrain.synth.tasks import load_held
    from vidpretrain.synth.tasks.held import held_path
    from vidpretrain.synth.tasks.measure import film_errors
    from vidpretrain.video.config import VideoConfig

    paths = tuple(Path(row["video"]) for row in made.rows)
    data = DataConfig(video=VideoConfig(paths=paths, license="generated"), robot=robot, workers=workers)
    began = time.perf_counter()
    done = extract_all(sources_of(data), data, folder / "store")
    ended = time.perf_counter() - began
    views: dict[str, list] = {}
    for source in done.sources:
        truth, held = (
            load_truth(Path(source.source.uri).with_suffix(".truth.npz")),
            load_held(held_path(source.source.uri)),
        )
        pieces = [s for clip in done.clips if clip.source_id == source.source.source_id for s in clip.segments]
        motions = tuple(serialize.load(s.motion_path)[s.index] for s in pieces)
        acts = tuple(serialize.load(s.activity_path) for s in pieces if s.activity_path)
        views.setdefault(truth.view, []).append((motions, acts, truth, held))
    seconds = [sum(clip.seconds.values()) for clip in done.clips if clip.stages]
    return {
        "clips": len(made.rows),
        "failed": made.failed,
        "frames": int(sum(row["frames"] for row in made.rows)),
        "film_seconds_median": float(np.median([row["seconds"] for row in made.rows])),
        "extract_seconds_median": float(np.median(seconds)) if seconds else None,
        "extract_wall_seconds": ended,
        "unreached_m": max(row["unreached_m"] for row in made.rows),
        "rejects": [str(clip.reject) for clip in done.clips if clip.reject is not None],
        "views": {view: film_errors(every) for view, every in sorted(views.items())},
    }


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--task", default="pick_lift")
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--views", default="head")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--first-seed", type=int, default=300_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/film"))
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
