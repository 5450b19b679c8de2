#!/usr/bin/env python3
"""The few-demo benchmark: pretrain on people, fine-tune on few robot episodes, play; 'make bench-transfer'.

    python scripts/bench/transfer.py [--config configs/bench/transfer.yaml] [--out runs/bench/transfer]
                                     [--limit CELLS] [--arms scratch,pretrained] [--demos 5,100] [--sets 0]
                                     [--flips none,time] [--recipes none,distil] [--tune]
                                     [--lines docs/results/transfer.jsonl] [--docs docs/results/transfer.md]
                                     [--smoke] [KEY=VALUE ...]

Every finished cell is one line of OUT/transfer.jsonl (also written to --lines when given, after every cell); one that
is there is not run again, one that was killed starts again with the training it had done. `--arms`, `--demos`,
`--sets`, `--flips`, `--recipes` choose cells to run now, KEY=VALUE changes the configuration (and so the cells).
`--tune` runs the grid of rates instead, on demonstrations and starts kept apart (OUT/tuning.jsonl). `--table` prints
what is there and runs nothing. `--smoke` makes everything small: it runs through in minutes and says nothing about
transfer. The figures that are asked for go to OUT.json with their bars; exit 0 whether they are met or not.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SMOKE = (
    "demos=[5]",
    "scratch_demos=[]",
    "recipes={}",
    "flip=[time]",
    "flip_demos=[5]",
    "sets=1",
    "robot_episodes=10",
    "people.episodes=10",
    "arms=[scratch,pretrained,shuffled,zero]",
    "pretrain.steps=30",
    "finetune.steps=30",
    "play.starts=4",
    "play.slots=4",
    "play.outside=false",
)


def main(words: list[str] | None = None) -> int:
    """Run what is missing, print the table; 0 when it was run, whatever came out."""
    asked = arguments(words)
    from vidpretrain import config as configs
    from vidpretrain.errors import VidpretrainError
    from vidpretrain.transfer import TransferConfig, best_rates, run_cells, run_tuning, table

    def tell(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        if asked.lines is not None:  # at once: the next cell may be the one that is killed
            keep(asked)

    try:
        changes = [*(SMOKE if asked.smoke else ()), *asked.changes]
        config = configs.load(TransferConfig, asked.config, changes)
        if asked.tune and not asked.table:
            lines = run_tuning(config, asked.out, chosen=lambda cell: wanted(asked, cell), tell=tell)
            tell(f"rates: {best_rates(lines)}")
        limit = 0 if asked.table or asked.tune else asked.limit
        run_cells(config, asked.out, limit=limit, chosen=lambda cell: wanted(asked, cell), tell=tell)
        write(asked, config)
    except VidpretrainError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for row in table(run_cells(config, asked.out, limit=0, chosen=lambda cell: wanted(asked, cell))):
        print(said(row))
    return 0


def write(asked: argparse.Namespace, config: Any) -> None:
    """OUT.json with the figures asked for, the lines at --lines and the page at --docs, from all cells there are."""
    from vidpretrain.dataset.files import write_json
    from vidpretrain.transfer import bars, page, run_cells
    from vidpretrain.transfer.cells import read_lines
    from vidpretrain.transfer.tuning import TUNING

    lines = run_cells(config, asked.out, limit=0)
    rows = bars(lines, hours(config, lines))
    write_json(asked.out.with_suffix(".json"), rows)
    tuned = read_lines(asked.out, TUNING)
    if asked.lines is not None:
        keep(asked)
    if asked.docs is not None:
        keys = {line["key"] for line in lines}
        kept = asked.docs.with_suffix(".jsonl")
        earlier = [line for line in read(kept) if line["key"] not in keys]
        asked.docs.write_text(page(lines, tuned, earlier, rows))


def keep(asked: argparse.Namespace) -> None:
    """All finished lines of OUT at --lines, those of the grid of rates beside them."""
    from vidpretrain.transfer.cells import read_lines
    from vidpretrain.transfer.tuning import TUNING

    copy(read_lines(asked.out), asked.lines)
    copy(read_lines(asked.out, TUNING), asked.lines.with_name(f"{asked.lines.stem}_tuning.jsonl"))


def hours(config: Any, lines: list[dict[str, Any]]) -> float | None:
    """What all cells take, by the mean of those there are."""
    from vidpretrain.transfer.cells import cells

    if not lines:
        return None
    return sum(line["seconds"] for line in lines) / len(lines) * sum(1 for _ in cells(config)) / 3600


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, none where there is none."""
    import json

    return [json.loads(text) for text in path.read_text().splitlines()] if path.is_file() else []


def arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "bench" / "transfer.yaml")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench" / "transfer")
    parser.add_argument("--lines", type=Path, help="a file that gets all finished lines, too")
    parser.add_argument("--limit", type=int, help="run at most so many cells")
    parser.add_argument("--arms", help="run these arms only")
    parser.add_argument("--demos", help="run these sizes only (zero counts as 0)")
    parser.add_argument("--sets", help="run these demonstration sets only")
    parser.add_argument("--flips", help="run these flipped bridges only; 'none' are the cells without")
    parser.add_argument("--recipes", help="run these ways of keeping only; 'none' are the cells without")
    parser.add_argument("--tune", action="store_true", help="run the grid of rates")
    parser.add_argument(
        "--docs", type=Path, help="a page that is made anew; lines of other configurations beside it stay"
    )
    parser.add_argument("--smoke", action="store_true", help="everything small")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is there")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
    return parser.parse_args(words)


def wanted(asked: argparse.Namespace, cell: Any) -> bool:
    """Whether a cell is among those asked for."""
    return (
        (asked.arms is None or cell.arm in asked.arms.split(","))
        and (asked.demos is None or str(cell.demos) in asked.demos.split(","))
        and (asked.flips is None or (cell.flip or "none") in asked.flips.split(","))
        and (asked.recipes is None or (cell.recipe or "none") in asked.recipes.split(","))
        and (asked.sets is None or str(cell.number) in asked.sets.split(","))
    )


def copy(lines: list[dict[str, Any]], path: Path) -> None:
    """The lines, whole, at `path`; those of other cells that are there stay."""
    import json

    if not lines:
        return
    fresh = {line["key"] for line in lines}
    every = [*(line for line in read(path) if line["key"] not in fresh), *lines]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text("".join(json.dumps(line) + "\n" for line in every))
    os.replace(aside, path)


def said(row: dict[str, Any]) -> str:
    """A row of the table in words."""
    name = row["arm"] + (f", {row['flip']} flipped" if row["flip"] else "")
    name += f", {row['recipe']}" if row["recipe"] else ""
    text = (
        f"{row['where']:<4} N={row['demos']:<4} {name:<24} {row['success']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
    )
    text += f" over {row['sets']} sets"
    if row["gain"] is not None:
        text += f"; gain {row['gain']:+.3f} [{row['gain_low']:+.3f}, {row['gain_high']:+.3f}]"
    return text


if __name__ == "__main__":
    sys.exit(main())
