"""Predict action chunks for every row of training caches into parquet; the summary is printed as JSON.

    python scripts/predict.py checkpoint=runs/x/finetune 'caches=[runs/x/cache]' out=runs/x/predictions samples=4

A stopped job goes on where it was. For other sources than caches (a folder of videos) see
`vidpretrain.training.predict_rows`.
"""

from __future__ import annotations

import argparse
import json
import sys

from vidpretrain.config import load
from vidpretrain.errors import VidpretrainError
from vidpretrain.training import PredictJob


def main(words: list[str] | None = None) -> int:
    """Run the job; 0 done, 1 the input is bad, 2 the command is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", help="YAML of a PredictJob: checkpoint, caches, out, ...")
    parser.add_argument("overrides", nargs="*", help="KEY=VALUE, for example samples=4")
    asked = parser.parse_args(words)
    try:
        job = load(PredictJob, asked.config, asked.overrides)
        from vidpretrain.training import predict

        summary = predict(
            job.checkpoint,
            list(job.caches),
            job.out,
            episodes=job.episodes,
            every=job.every,
            batch_size=job.batch_size,
            shard_rows=job.shard_rows,
            seed=job.seed,
            steps=job.steps,
            samples=job.samples,
        )
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
