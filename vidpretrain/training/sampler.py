"""Which rows make the batch of a step: a pure function of (seed, step), so that resuming needs no state.

Every cache gets its share of all rows drawn so far (the largest deficits are filled first), taken in order from random
permutations of its rows, one permutation after the other: each row once per pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from vidpretrain.errors import ConfigError

Array = np.ndarray


class Mixture:
    """Row draws over caches of the given sizes, by `weights` (None: by size)."""

    def __init__(self, sizes: Sequence[int], weights: Sequence[float] | None, batch_size: int, seed: int) -> None:
        if weights is not None and len(weights) != len(sizes):
            raise ConfigError(
                "mixture needs one weight per cache", asked=f"{len(weights)} weights", found=f"{len(sizes)} caches"
            )
        share = np.asarray(sizes if weights is None else weights, dtype=float)
        self.sizes, self.batch_size, self.seed = tuple(sizes), batch_size, seed
        self.share = share / share.sum()
        self._counts = [np.zeros(len(sizes), dtype=np.int64)]
        self._permutation = lru_cache(maxsize=2 * len(sizes))(self._shuffle)

    def _shuffle(self, cache: int, turn: int) -> Array:
        return np.random.default_rng((self.seed, 1, cache, turn)).permutation(self.sizes[cache])

    def _count(self, step: int) -> Array:
        """Rows drawn from each cache before `step`, replayed from the first step (microseconds each)."""
        while len(self._counts) <= step:
            done = self._counts[-1]
            deficit = self.share * self.batch_size * len(self._counts) - done
            extra = np.maximum(np.floor(deficit), 0).astype(np.int64)
            while extra.sum() > self.batch_size:  # rounding of several large deficits at once
                extra[int(np.argmin(np.where(extra > 0, deficit - extra, np.inf)))] -= 1
            left = self.batch_size - int(extra.sum())
            order = np.argsort(-(deficit - extra) - 1e9 * (self.share > 0), kind="stable")
            np.add.at(extra, order[np.arange(left) % max(1, int((self.share > 0).sum()))], 1)
            self._counts.append(done + extra)
        return self._counts[step]

    def drawn(self, step: int) -> list[int]:
        """Rows drawn from each cache before `step`."""
        return self._count(step).tolist()

    def batch(self, step: int) -> list[tuple[int, Array]]:
        """(cache, rows) of each cache that takes part in this step; together batch_size rows."""
        before, after = self._count(step), self._count(step + 1)
        out = []
        for cache, size in enumerate(self.sizes):
            position = np.arange(before[cache], after[cache])
            if len(position):
                turns = position // size
                rows = [self._permutation(cache, int(t))[position[turns == t] % size] for t in np.unique(turns)]
                out.append((cache, np.concatenate(rows)))
        return out
