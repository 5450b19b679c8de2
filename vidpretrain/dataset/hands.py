"""What hands do, row by row, and words for parts of an episode, as columns of a data set.

`hands.grasp` and `hands.known` (bool; left, right), `hands.contact` (float32; left, right; 0 where not known: rows of a
data set hold no NaN), and `subtask_index` with meta/subtasks.parquet, LeRobot's layout of subtasks: a table whose index
is the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from vidpretrain import timebase
from vidpretrain.skeletons import SIDES
from vidpretrain.types import Activity, Frozen, Stretch

SUBTASKS = "meta/subtasks.parquet"
GRASP, CONTACT, KNOWN, SUBTASK = "hands.grasp", "hands.contact", "hands.known", "subtask_index"


@dataclass(frozen=True, kw_only=True)
class EpisodeHands(Frozen):
    """Of an episode's rows: which hands are closed, how likely they touch something, whether they are known (columns
    left, right), and words for each row ("" where there are none)."""

    grasp: Bool[np.ndarray, "t 2"]
    contact: Float32[np.ndarray, "t 2"]
    known: Bool[np.ndarray, "t 2"]
    subtask: tuple[str, ...]


def episode_hands(activity: Activity, stretches: tuple[Stretch, ...], row_ns: np.ndarray) -> EpisodeHands:
    """What `activity` says at the rows' times (t) in the source, with the words of `stretches`."""
    at = timebase.nearest_index(activity.time_ns, row_ns)
    known = np.array(activity.known[at])
    starts = np.array([s.start_ns for s in stretches] or [0], dtype=np.int64)
    which = np.clip(np.searchsorted(starts, row_ns, side="right") - 1, 0, None)
    words = [s.instruction for s in stretches] or [""]
    return EpisodeHands(
        grasp=activity.grasp[at] & known,
        contact=np.where(known, np.nan_to_num(activity.contact[at]), 0.0).astype(np.float32),
        known=known,
        subtask=tuple(words[k] for k in which),
    )


def features() -> dict[str, dict[str, Any]]:
    """The columns' entries in info.json."""
    sides = list(SIDES)
    return {
        GRASP: {"dtype": "bool", "shape": [2], "names": sides},
        CONTACT: {"dtype": "float32", "shape": [2], "names": sides},
        KNOWN: {"dtype": "bool", "shape": [2], "names": sides},
        SUBTASK: {"dtype": "int64", "shape": [1], "names": None},
    }


def columns(hands: EpisodeHands, subtasks: dict[str, int]) -> dict[str, np.ndarray]:
    """The columns of an episode; new words are numbered in `subtasks`."""
    index = [subtasks.setdefault(words, len(subtasks)) for words in hands.subtask]
    return {
        GRASP: np.array(hands.grasp),
        CONTACT: np.array(hands.contact),
        KNOWN: np.array(hands.known),
        SUBTASK: np.array(index, dtype=np.int64),
    }


def write_subtasks(root: Path, subtasks: dict[str, int]) -> None:
    """Write the table of words."""
    import pandas as pd

    index = pd.Index(list(subtasks), name="subtask")
    pd.DataFrame({"subtask_index": list(subtasks.values())}, index=index).to_parquet(root / SUBTASKS)
