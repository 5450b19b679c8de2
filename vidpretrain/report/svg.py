"""Charts as inline SVG: lines over steps, and estimates with intervals. Colours are CSS classes of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from vidpretrain.report.data import Chart, Comparison, Curve, Estimate

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 42
_MOST_POINTS = 400
SERIES = 6  # classes s0 to s5


def line_chart(chart: Chart) -> str:
    """An <svg> of the chart's curves: the values faint, their running mean strong where they are noisy."""
    curves = [_clean(curve, chart.log_y) for curve in chart.curves]
    curves = [curve for curve in curves if len(curve.steps)]
    if not curves:
        return ""
    x_ticks = ticks(min(c.steps[0] for c in curves), max(c.steps[-1] for c in curves))
    y_low, y_high = _range(curves)
    y_ticks = log_ticks(y_low, y_high) if chart.log_y else ticks(y_low, y_high)
    to_x = _scale(x_ticks[0], x_ticks[-1], _LEFT, _WIDTH - _RIGHT, log=False)
    to_y = _scale(y_ticks[0], y_ticks[-1], _HEIGHT - _BOTTOM, _TOP, log=chart.log_y)
    parts = [_axes(x_ticks, y_ticks, to_x, to_y, chart.x_label, chart.y_label)]
    for i, curve in enumerate(curves):
        x, y = np.asarray(curve.steps), np.asarray(curve.values)
        smooth = running_mean(y)
        if len(y) > 20:
            parts.append(_path(to_x(x), to_y(y), f"raw s{i % SERIES}"))
            y = smooth
        parts.append(_path(to_x(x), to_y(y), f"line s{i % SERIES}"))
        if len(y) == 1:  # a line of one point cannot be seen
            at = f'cx="{float(to_x(x)[0]):.1f}" cy="{float(to_y(y)[0]):.1f}"'
            parts.append(f'<circle class="dot s{i % SERIES}" {at} r="4"/>')
    names = "; ".join(f"{c.name}: {c.values[0]:.3g} to {running_mean(np.asarray(c.values))[-1]:.3g}" for c in curves)
    return _svg(_WIDTH, _HEIGHT, f"{chart.title}. {names}.", parts)


def interval_chart(comparison: Comparison, group: str) -> str:
    """An <svg> with a dot and its interval for each policy of one group, from 0 to the largest value."""
    cells = comparison.cells.get(group, {})
    rows = [(name, cells[name]) for name in comparison.policies if name in cells]
    if not rows:
        return ""
    row_height, left = 30, 150
    height = row_height * len(rows) + 34
    top = max(max(e.value, e.high if math.isfinite(e.high) else e.value) for _, e in rows)
    marks = ticks(0.0, top or 1.0, 4)
    to_x = _scale(0.0, marks[-1], left, _WIDTH - 30, log=False)
    parts = []
    for mark in marks:
        x = float(to_x(np.float64(mark)))
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 26}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 10}" text-anchor="middle">{_number(mark)}</text>')
    for i, (name, estimate) in enumerate(rows):
        parts.append(_dot(name, estimate, to_x, 4 + row_height * (i + 0.5), left, name == comparison.ours))
    text = "; ".join(f"{name} {e.value:.3g}" for name, e in rows)
    return _svg(_WIDTH, height, f"{group}: {text}", parts)


def _dot(name: str, estimate: Estimate, to_x, y: float, left: int, ours: bool) -> str:
    kind = "s0" if ours else "other"
    x = float(to_x(np.float64(estimate.value)))
    out = [f'<text class="label{" ours" if ours else ""}" x="{left - 12}" y="{y + 4.5:.1f}" text-anchor="end">']
    out.append(f"{escape(name)}</text>")
    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        a, b = float(to_x(np.float64(estimate.low))), float(to_x(np.float64(estimate.high)))
        out.append(f'<line class="whisker {kind}" x1="{a:.1f}" x2="{b:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
    out.append(f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    return "".join(out)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers at equal distances that enclose [low, high]."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten that enclose [low, high], thinned to powers of ten when there are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [m * 10.0**p for p in range(first, last + 1) for m in (1, 2, 5)]
    start = max((t for t in every if t <= low), default=every[0])
    stop = min((t for t in every if t >= high), default=every[-1])
    inside = [t for t in every if start <= t <= stop]
    if len(inside) > 7:
        inside = [t for t in inside if t in (start, stop) or abs(math.log10(t) - round(math.log10(t))) < 1e-9]
    return inside if len(inside) > 1 else [start, start * 10]


def running_mean(values: np.ndarray, share: float = 0.05) -> np.ndarray:
    """Centred mean over `share` of the length, with shorter windows at the ends."""
    half = max(0, int(len(values) * share) // 2)
    total = np.concatenate([[0.0], np.cumsum(values)])
    i = np.arange(len(values))
    reach = np.minimum(half, np.minimum(i, len(values) - 1 - i))
    return (total[i + reach + 1] - total[i - reach]) / (2 * reach + 1)


def _clean(curve: Curve, log_y: bool) -> Curve:
    x, y = np.asarray(curve.steps, float), np.asarray(curve.values, float)
    keep = np.isfinite(x) & np.isfinite(y) & ((y > 0) if log_y else True)
    x, y = x[keep], y[keep]
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    if len(x) > _MOST_POINTS:  # means of equal parts, so that no spike is lost by chance
        x, y = ([part.mean() for part in np.array_split(v, _MOST_POINTS)] for v in (x, y))
    return Curve(name=curve.name, steps=tuple(map(float, x)), values=tuple(map(float, y)))


def _range(curves: Sequence[Curve]) -> tuple[float, float]:
    """Lowest and highest value, leaving out the few highest of the noisy start."""
    values = np.concatenate([np.asarray(c.values) for c in curves])
    high = values.max() if len(values) < 50 else max(np.quantile(values, 0.99), *(c.values[-1] for c in curves))
    return float(values.min()), float(high)


def _scale(low: float, high: float, start: float, stop: float, *, log: bool):
    if log:
        low, high = math.log10(low), math.log10(high)
    span = (high - low) or 1.0

    def to_pixels(value):
        value = np.log10(value) if log else value
        return start + (np.clip(value, low, high) - low) / span * (stop - start)

    return to_pixels


def _axes(x_ticks, y_ticks, to_x, to_y, x_label: str, y_label: str) -> str:
    out = []
    for tick in y_ticks:
        y = float(to_y(np.float64(tick)))
        out.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(tick)}</text>')
    for tick in x_ticks:
        x = float(to_x(np.float64(tick)))
        out.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{_number(tick)}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    out.append(f'<text class="axis" x="{middle}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_label)}</text>')
    y_middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    out.append(
        f'<text class="axis" x="14" y="{y_middle}" text-anchor="middle" '
        f'transform="rotate(-90 14 {y_middle})">{escape(y_label)}</text>'
    )
    return "".join(out)


def _number(value: float) -> str:
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _path(x: np.ndarray, y: np.ndarray, css: str) -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return f'<polyline class="{css}" points="{points}"/>'


def _svg(width: int, height: int, text: str, parts: Sequence[str]) -> str:
    label = escape(text, quote=True)
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
