"""The peers' process, seen from ours."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
}  # fmt: skip


class PeerError(Exception):
    """A peer cannot solve a case."""


class Peers:
    """A running process of `peers.py`; `run` asks it to solve a case and waits."""

    def __init__(self, python: Path, work: Path) -> None:
        self._out = work / "peer.npy"
        self._log = open(work / "peers.log", "w")  # noqa: SIM115 (closed in `close`)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | ONE_THREAD
        self._process = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("peers.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment,
        )  # fmt: skip

    def run(
        self, solver: str, case: Path, frames: int, iterations: int = 0, first_iterations: int = 0
    ) -> tuple[np.ndarray, dict[str, float]]:
        """(joint positions (t j) in the case's order, {"seconds", "p99_s"}).

        Raises:
            PeerError: the peer failed on this case.
            RuntimeError: its process ended.
        """
        asked: dict[str, Any] = {"solver": solver, "case": str(case), "out": str(self._out), "frames": frames}
        asked |= {"iterations": iterations, "first_iterations": first_iterations or iterations}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            raise RuntimeError(f"the peers' process ended at {solver}: see {self._log.name}")
        took = json.loads(answer)
        if "error" in took:
            raise PeerError(f"{solver}: {took['error'].splitlines()[0][:120]}")
        return np.load(self._out), took

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)
        self._log.close()
