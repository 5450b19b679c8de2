"""A training step that stopped its run, once more: which rows, which layer, which weights.

python scripts/replay.py runs/mine/pretrain-1234abcd [--model CHECKPOINT] [--rank 0]
"""

import argparse
import json
import sys
from pathlib import Path

from vidpretrain.errors import VidpretrainError


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the run's folder")
    parser.add_argument("--model", type=Path, help="weights to use instead of the saved ones")
    parser.add_argument("--rank", type=int, default=0, help="the process whose batch is taken")
    asked = parser.parse_args()
    from vidpretrain.training import replay

    try:
        print(json.dumps(replay(asked.folder, asked.model, asked.rank), indent=2))
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
