"""Fine-tune a policy (train.init=CHECKPOINT) on robot episodes; the summary is printed as JSON.

accelerate launch scripts/finetune.py --config JOB.yaml train.steps=2000
python scripts/finetune.py 'caches=[runs/x/cache]' out=runs/x/finetune model.preset=nano
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from vidpretrain.config import load
from vidpretrain.errors import VidpretrainError
from vidpretrain.training import TrainJob


def main(words: list[str] | None = None) -> int:
    """Run the job; 0 done, 1 the input is bad, 2 the command is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", help="YAML of a TrainJob: caches, out, model, train")
    parser.add_argument("overrides", nargs="*", help="KEY=VALUE, for example train.lr=3e-4")
    asked = parser.parse_args(words)
    try:
        job = load(TrainJob, asked.config, asked.overrides)
        from vidpretrain.training import finetune

        summary = finetune(job.model, job.train, list(job.caches), job.out)
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if int(os.environ.get("RANK", "0")) == 0:
        print(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
