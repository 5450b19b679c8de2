"""What a run has to remember beside weights: where the sampler is, and how well it did so far."""

from __future__ import annotations

import math

from vidpretrain.errors import CheckpointError
from vidpretrain.training.sampler import Mixture


class Progress:
    """Steps done, rows drawn from every cache, and the best validation; kept in every training state.

    The sampler is a function of (seed, step) over all processes, and a process takes its part by its rank, so one
    state serves any number of processes. The rows drawn are kept to notice a sampler that would go on elsewhere.
    """

    def __init__(self, sampler: Mixture) -> None:
        self.sampler, self.step = sampler, 0
        self.best, self.best_step, self.worse = math.inf, 0, 0

    def validated(self, step: int, error: float) -> bool:
        """Count a validation; whether it is the best one."""
        if error < self.best:
            self.best, self.best_step, self.worse = error, step, 0
            return True
        self.worse += 1
        return False

    def state_dict(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {
            "step": self.step,
            "drawn": self.sampler.drawn(self.step),
            "best": self.best,
            "best_step": self.best_step,
            "worse": self.worse,
        }

    def load_state_dict(self, state: dict) -> None:
        """Inverse of `state_dict`.

        Raises:
            CheckpointError: the sampler would not go on where the run stopped.
        """
        drawn = self.sampler.drawn(int(state["step"]))
        if drawn != list(state["drawn"]):
            raise CheckpointError(
                "the sampler does not go on where the run stopped: the caches, their weights or the batch changed",
                asked=f"step {state['step']}: {state['drawn']} rows of each cache",
                found=drawn,
                next_command="train.resume=false",
            )
        self.step, self.best = int(state["step"]), float(state["best"])
        self.best_step, self.worse = int(state["best_step"]), int(state["worse"])
