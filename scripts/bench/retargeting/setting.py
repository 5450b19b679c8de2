"""What every part of the benchmark needs: data, peers, folder, rounds; and a clock for two things in turn."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from retargeting.peer import Peers

from vidpretrain.motion_files.safe_pickle import load_pickle


@dataclass(frozen=True)
class Setting:
    """`p_hand` (t 21 3) is the hand's track, `motions` are the files of bodies, `packages` where the peers are."""

    peers: Peers
    work: Path
    rounds: int
    quick: bool
    p_hand: np.ndarray
    motions: tuple[Path, ...]
    packages: Path
    skipped: list[str]

    @staticmethod
    def of(asked: argparse.Namespace, peers: Peers, work: Path, skipped: list[str]) -> Setting:
        """From the command's arguments."""
        p_hand = np.asarray(load_pickle(asked.data / "dexretarget_hand_joints.pkl"), dtype=float)
        motions = tuple(sorted((asked.data / "asap_g1").glob("*.pkl")))
        return Setting(
            peers=peers,
            work=work,
            rounds=1 if asked.quick else asked.rounds,
            quick=asked.quick,
            p_hand=p_hand[:120] if asked.quick else p_hand,
            motions=motions[::13] if asked.quick else motions,
            packages=next((asked.env / "lib").glob("python3*/site-packages")),
            skipped=skipped,
        )

    def interleaved(self, jobs: dict[str, Callable[[], tuple[Any, float]]]) -> dict[str, tuple[Any, float]]:
        """(last result, median seconds) of every job, in turn round after round; a first round is not counted."""
        seconds: dict[str, list[float]] = {name: [] for name in jobs}
        results: dict[str, Any] = {}
        for count in range(self.rounds + 1):
            for name, job in jobs.items():
                results[name], spent = job()
                if count:
                    seconds[name].append(spent)
        return {name: (results[name], float(np.median(seconds[name]))) for name in jobs}


def timed(function: Callable[[], Any]) -> Callable[[], tuple[Any, float]]:
    """A job that returns what `function` does and how long it took."""

    def job() -> tuple[Any, float]:
        start = time.perf_counter()
        result = function()
        return result, time.perf_counter() - start

    return job
