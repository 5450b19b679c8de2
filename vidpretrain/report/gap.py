"""The gap's table as a page of its own: one small chart per measure and group, and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from vidpretrain.gap import GapRow

_LEFT, _WIDTH, _STEP = 90, 420, 18


def gap_markdown(rows: Sequence[GapRow]) -> str:
    """A Markdown table: a line per measure, group and bridge."""
    lines = ["| measure | group | bridge | value | interval | robot against itself | no gap | unit |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for row in rows:
        interval = f"{_number(row.low)} to {_number(row.high)}"
        parts = (row.measure, row.group, row.bridge, _number(row.value), interval, _number(row.floor))
        lines.append("| " + " | ".join((*parts, _number(row.perfect), row.unit)) + " |")
    return "\n".join(lines) + "\n"


def gap_page(rows: Sequence[GapRow], title: str) -> str:
    """A self-contained HTML page: per measure and group a dot with its interval for every bridge.

    The solid line is where sides without a gap are, the dashed one where the robot's own two halves are.
    """
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    figures = []
    for measure, group in dict.fromkeys((row.measure, row.group) for row in rows):
        figures.append(_figure([row for row in rows if (row.measure, row.group) == (measure, group)]))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}'
        ".floor { stroke: var(--soft); stroke-dasharray: 4 3; } .perfect { stroke: var(--s2); }"
        "svg text { font-size: 11px; fill: var(--ink); }</style></head>"
        f'<body><header class="page"><h1>{escape(title)}</h1><p class="lede">Solid line: no gap. Dashed: the robot '
        "against itself. Bars: intervals over episodes.</p></header>"
        f'<main class="page"><div class="clips">{"".join(figures)}</div></main></body></html>\n'
    )


def _figure(rows: list[GapRow]) -> str:
    values = [v for r in rows for v in (r.value, r.low, r.high, r.floor, r.perfect) if math.isfinite(v)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return _LEFT + (value - low) / span * (_WIDTH - _LEFT - 50)

    height = _STEP * len(rows) + 26
    parts = [
        _line(x(value), height, kind)
        for value, kind in ((rows[0].perfect, "perfect"), (rows[0].floor, "floor"))
        if math.isfinite(value)
    ]
    for i, row in enumerate(rows):
        y = 12 + _STEP * i
        parts.append(f'<text x="0" y="{y + 4}">{escape(row.bridge)}</text>')
        if math.isfinite(row.low) and math.isfinite(row.high):
            parts.append(f'<line class="whisker s0" x1="{x(row.low):.1f}" x2="{x(row.high):.1f}" y1="{y}" y2="{y}"/>')
        if math.isfinite(row.value):
            parts.append(f'<circle class="dot s0" cx="{x(row.value):.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{_WIDTH - 42}" y="{y + 4}">{_number(row.value)}</text>')
    for value, anchor in ((low, "start"), (high, "end")):
        parts.append(f'<text x="{x(value):.1f}" y="{height - 2}" text-anchor="{anchor}">{_number(value)}</text>')
    name = f"{rows[0].measure}, {rows[0].group}"
    unit = f"{rows[0].unit}." if rows[0].unit else ""
    note = next((f" {row.note}." for row in rows if row.note), "")
    return (
        f'<figure class="chart"><svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(name)}">'
        f"{''.join(parts)}</svg><figcaption>{escape(name)}"
        f'<span class="meta"> {escape(unit)}{escape(note)}</span></figcaption></figure>'
    )


def _line(x: float, height: int, kind: str) -> str:
    return f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{height - 16}"/>'


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-"
