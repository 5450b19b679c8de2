"""Progress bars on stderr; silent when nobody watches."""

from __future__ import annotations

import sys
from typing import Any


class Bars:
    """A context whose call `(what, done, total)` moves the bar of that name."""

    def __init__(self) -> None:
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *exc: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Set the bar `what` to `done` of `total`."""
        if not sys.stderr.isatty():
            return
        if what not in self._bars:
            from tqdm import tqdm

            self._bars[what] = tqdm(total=total, desc=what, file=sys.stderr)
        bar = self._bars[what]
        bar.total = total
        bar.update(done - bar.n)
