"""Rows about detection alone: hands found, wrong, exchanged or mirrored, bodies where nobody's body is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from detection import against_truth

from labelling.clips import Sample

_BARS = {"front": 0.97, "head": 0.99}
_WORDS = {"front": "third person", "head": "egocentric"}


def detection_rows(samples: list[Sample], row: Callable[..., dict[str, Any]]) -> list[dict[str, Any]]:
    """Shares of the hands in sight, and of those emitted, over all clips of a view; `row` makes a row."""
    rows = []
    for view, word in _WORDS.items():
        chosen = [s for s in samples if s.truth.view == view]
        if not chosen:
            continue
        counts = [against_truth(s.tracks, s.truth) for s in chosen]
        total = {name: sum(c[name] for c in counts) for name in counts[0]}
        emitted = max(total["emitted"], 1.0)
        found = total["hit"] / max(total["wanted"], 1.0)
        rows += [
            row(f"{word}: detection, hands found", found, "share", _BARS[view], at_least=True),
            row(f"{word}: detection, wrong hands", total["wrong"] / emitted, "share", 0.003),
            row(f"{word}: detection, side right", 1 - total["exchanged_true"] / emitted, "share", 0.995, at_least=True),
            row(f"{word}: detection, palm facing backwards", total["backwards"] / max(total["hit"], 1.0), "share"),
        ]
        if view == "head":
            false = float(np.mean(np.concatenate([s.tracks[2].found for s in chosen])))
            rows.append(row(f"{word}: detection, bodies that are none", false, "share", 0.002))
    return rows
