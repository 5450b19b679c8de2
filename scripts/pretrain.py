"""Pretrain a policy on a data set of pseudo-actions (the run's own, or the folder that is named).

accelerate launch scripts/pretrain.py --config configs/real.yaml out=runs/mine pretrain.steps=20000
"""

import sys

from vidpretrain.cli.script import main

if __name__ == "__main__":
    sys.exit(main("pretrain"))
