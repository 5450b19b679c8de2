"""Publish a checkpoint or a data set: card, licences, files; to the Hub or to a folder laid out the same.

python scripts/publish.py --config configs/real.yaml publish.folder=runs/published CHECKPOINT
"""

import sys

from vidpretrain.cli.script import main

if __name__ == "__main__":
    sys.exit(main("publish"))
