"""What the scripts of `accelerate launch` share: the same verbs as the command line, once per process.

    accelerate launch scripts/pretrain.py --config configs/real.yaml pretrain.steps=20000 DATASET

Every process does the verb's work (training shares it out); the first one writes what it has to say.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from vidpretrain.cli.app import run_verb
from vidpretrain.cli.verbs import VERBS


def main(verb: str, words: Sequence[str] | None = None) -> int:
    """Exit code of a verb called as a script: 0 done, 1 the input is bad, 2 the command is wrong."""
    parser = argparse.ArgumentParser(description=VERBS[verb].help)
    parser.add_argument("--config", help="YAML of a run, such as configs/real.yaml")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, nothing else there")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("words", nargs="*", help=f"KEY=VALUE overrides, and {VERBS[verb].inputs}")
    asked = parser.parse_intermixed_args(words)
    told = [asked.config, *asked.words] if asked.config else asked.words
    if int(os.environ.get("RANK", "0")) != 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # below Python, where --json writes
    try:
        return run_verb(verb, told, as_json=asked.json, debug=asked.debug)
    finally:
        _leave()


def _leave() -> None:
    """Close the processes' connection: its threads, still running at the interpreter's end, abort one exit in eight."""
    if "torch.distributed" in sys.modules:  # imported by whoever connected, and by nobody else
        import torch.distributed

        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
