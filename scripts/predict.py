"""Actions of a policy for every row of a data set, or for a folder of videos, as parquet files.

python scripts/predict.py --config configs/real.yaml checkpoint=FOLDER DATASET_OR_VIDEOS
"""

import sys

from vidpretrain.cli.script import main

if __name__ == "__main__":
    sys.exit(main("predict"))
