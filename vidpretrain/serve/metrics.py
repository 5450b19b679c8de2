"""Counters of a server, as JSON for people and as Prometheus text."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

_KEPT = 2048
QUANTILES = (0.5, 0.9, 0.99)


class Metrics:
    """Counts since the start, and the seconds that the latest answers waited and took."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.connected = 0
        self._waited_s: deque[float] = deque(maxlen=_KEPT)
        self._took_s: deque[float] = deque(maxlen=_KEPT)

    def answered(self, waited_s: float, took_s: float) -> None:
        """Count an answer."""
        self.counts["answered"] += 1
        self._waited_s.append(waited_s)
        self._took_s.append(took_s)

    def refused(self, why: str) -> None:
        """Count a question or connection that got no answer, under its reason."""
        self.counts[f"refused/{why}"] += 1

    def summary(self) -> dict[str, Any]:
        """Counts and quantiles."""
        refused = {name.removeprefix("refused/"): n for name, n in self.counts.items() if name.startswith("refused/")}
        return {
            "answered": self.counts["answered"],
            "refused": refused,
            "connected": self.connected,
            "wait_s": self._quantiles(self._waited_s),
            "infer_s": self._quantiles(self._took_s),
        }

    def text(self) -> str:
        """The exposition format of Prometheus."""
        lines = [
            "# TYPE vidpretrain_answers_total counter",
            f"vidpretrain_answers_total {self.counts['answered']}",
            "# TYPE vidpretrain_refused_total counter",
        ]
        found = self.summary()
        lines += [f'vidpretrain_refused_total{{reason="{why}"}} {n}' for why, n in sorted(found["refused"].items())]
        lines += ["# TYPE vidpretrain_connections gauge", f"vidpretrain_connections {self.connected}"]
        for name in ("wait_s", "infer_s"):
            metric = f"vidpretrain_{name.removesuffix('_s')}_seconds"
            lines.append(f"# TYPE {metric} summary")
            lines += [f'{metric}{{quantile="{q}"}} {value:.6f}' for q, value in found[name].items()]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _quantiles(values: deque[float]) -> dict[str, float]:
        ordered = sorted(values)
        return {str(q): ordered[min(int(q * len(ordered)), len(ordered) - 1)] for q in QUANTILES} if ordered else {}
