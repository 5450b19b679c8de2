"""Adapt a pretrained policy (checkpoint=FOLDER, or the run's own) to robot episodes.

accelerate launch scripts/finetune.py --config configs/real.yaml out=runs/mine robot_data.root=FOLDER
"""

import sys

from vidpretrain.cli.script import main

if __name__ == "__main__":
    sys.exit(main("finetune"))
