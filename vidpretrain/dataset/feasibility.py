"""What an episode's robot can do of it: one line per episode in meta/feasibility.jsonl, and columns if they are asked.

A line is `Feasibility.summary()` with `episode_index`, `first_row` (of the assessed frames) and `rows`. Columns are
`feasibility.measures` (float32, named after the measures, 0 where one was not taken) and `feasibility.measured`
(bool, where one was): rows of a data set hold no NaN.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from vidpretrain.dataset.config import DatasetConfig
from vidpretrain.errors import DatasetError
from vidpretrain.feasibility import Feasibility, Verdict
from vidpretrain.types import Reason, Reject

FILE = "meta/feasibility.jsonl"
MEASURES, MEASURED = "feasibility.measures", "feasibility.measured"
RANK = {Verdict.INFEASIBLE: 0, Verdict.DOUBTFUL: 1, Verdict.FEASIBLE: 2}
_NEEDED = {"episode_index": int, "first_row": int, "rows": int, "frames": int, "verdict": str, "reasons": list}
_NEEDED |= {"findings": list, "measures": dict, "playable_share": (int, float), "robot": str, "robot_digest": str}


@dataclass(frozen=True, kw_only=True)
class EpisodeFeasibility:
    """The summary of an episode's motion, and its measures row by row with the mask of those that were taken."""

    summary: dict[str, Any]
    names: tuple[str, ...]
    measures: Float32[np.ndarray, "t m"]
    measured: Bool[np.ndarray, "t m"]


def episode_feasibility(found: Feasibility, rows: slice) -> EpisodeFeasibility:
    """What was found of a whole motion, for the episode that consists of `rows` of it."""
    columns = found.frame_columns()
    values = np.stack(list(columns.values()), axis=1)[rows].astype(np.float32)
    known = np.isfinite(values)
    first = rows.start or 0
    return EpisodeFeasibility(
        summary={**found.summary(), "first_row": int(first), "rows": len(values)},
        names=tuple(columns),
        measures=np.where(known, values, np.float32(0)),
        measured=known,
    )


def is_at_least(found: Verdict | str, wanted: Verdict | str) -> bool:
    """Whether a verdict is as good as another, or better."""
    return RANK[Verdict(found)] >= RANK[Verdict(wanted)]


def too_bad(found: Feasibility, config: DatasetConfig) -> Reject | None:
    """A Reject with all that counts against a motion whose verdict is worse than `config.min_verdict`, else None."""
    if is_at_least(found.verdict, config.min_verdict):
        return None
    counting = "; ".join(str(finding) for finding in found.findings if finding.counts)
    detail = f"{found.verdict}, at least {config.min_verdict} is asked for (dataset.min_verdict): {counting}"
    return Reject(reason=Reason.NOT_FEASIBLE, detail=detail)


def write_summaries(root: Path, summaries: Sequence[dict[str, Any]]) -> None:
    """Write the file of a data set that is being made.

    Raises:
        ValueError: a summary holds a number that is not finite.
    """
    with open(root / FILE, "w", encoding="utf-8") as file:
        for index, summary in enumerate(summaries):
            line = {"episode_index": index, **summary}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_summaries(root: Path) -> tuple[dict[str, Any], ...]:
    """The lines of a data set's file in their order; none where it has no such file.

    Raises:
        DatasetError: a line is not JSON, or no object.
    """
    path = root / FILE
    if not path.is_file():
        return ()
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"not valid JSON lines: {error}", asked=path) from None
    if not all(isinstance(line, dict) for line in lines):
        raise DatasetError("a line is no object", asked=path)
    return tuple(lines)


def verdict_counts(root: Path) -> dict[str, int]:
    """Number of episodes by verdict, empty where the data set does not tell."""
    return dict(Counter(str(line.get("verdict")) for line in read_summaries(root)))


def problems_of_file(root: Path, lengths: Sequence[int], expected: bool) -> list[str]:
    """What is wrong with the file of a data set whose episodes have these lengths; one sentence each."""
    try:
        lines = read_summaries(root)
    except DatasetError as error:
        return [f"{FILE}: {error.message}"]
    if not lines:
        return [f"{FILE} is missing"] if expected else []
    out = []
    if len(lines) != len(lengths):
        out.append(f"{FILE} has {len(lines)} lines for {len(lengths)} episodes")
    for place, (line, length) in enumerate(zip(lines, lengths, strict=False)):
        out += [f"{FILE}, line {place + 1}: {text}" for text in _problems_of_line(line, place, length)]
    return out


def _problems_of_line(line: dict[str, Any], index: int, length: int) -> list[str]:
    wrong = [name for name, kind in _NEEDED.items() if not isinstance(line.get(name), kind)]
    if wrong:
        return [f"{', '.join(wrong)} missing or of another type"]
    out = []
    if line["episode_index"] != index:
        out.append(f"it is of episode {line['episode_index']}, expected {index}")
    if line["verdict"] not in [verdict.value for verdict in Verdict]:
        out.append(f"unknown verdict {line['verdict']!r}")
    if line["rows"] != length:
        out.append(f"{line['rows']} rows, the episode has {length}")
    if not (line["first_row"] >= 0 and line["first_row"] + line["rows"] <= line["frames"]):
        out.append(f"rows {line['first_row']} to {line['first_row'] + line['rows']} of {line['frames']} frames")
    if not 0 <= line["playable_share"] <= 1:
        out.append(f"a playable share of {line['playable_share']}")
    counting = {finding.get("flaw") for finding in line["findings"] if finding.get("counts")}
    if counting != set(line["reasons"]):
        out.append("its reasons are not its findings that count")
    if (line["verdict"] == Verdict.FEASIBLE.value) != (not counting):
        out.append(f"{line['verdict']} does not fit its reasons")
    return out


def problems_of_rows(names: Sequence[str], columns: dict[str, np.ndarray]) -> list[str]:
    """What is wrong with the columns of one episode, if it has them."""
    if MEASURES not in columns and MEASURED not in columns:
        return []
    if MEASURES not in columns or MEASURED not in columns:
        return [f"{MEASURES} and {MEASURED} belong together"]
    values, known = columns[MEASURES], columns[MEASURED]
    if values.shape != known.shape or values.shape[1:] != (len(names),):
        return [f"{MEASURES} {values.shape} and {MEASURED} {known.shape} do not fit {len(names)} names"]
    out = []
    if (values[~known] != 0).any():
        out.append(f"{MEASURES} is not 0 where nothing was measured")
    if "playable" in names and not np.isin(values[:, list(names).index("playable")], (0.0, 1.0)).all():
        out.append(f"playable of {MEASURES} is neither 0 nor 1")
    return out
