"""Pictures side by side with words under them: panels of one size in rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

Tone = Literal["plain", "good", "doubtful", "bad"]
GAP_PX = 4
_TONES = {"plain": (120, 128, 138), "good": (38, 150, 84), "doubtful": (214, 140, 20), "bad": (205, 60, 50)}
_INK, _PALE, _PAPER = (25, 30, 36), (90, 98, 108), (255, 255, 255)
_LINE_PX = 17


def caption(
    width_px: int, title: str, lines: Sequence[str], count: int, tone: Tone = "plain"
) -> UInt8[np.ndarray, "h w 3"]:
    """A strip: the title behind a dot of the tone's colour, then `count` lines of text; what is too long is cut."""
    from PIL import Image, ImageDraw

    height = 8 + (count + 1) * _LINE_PX + 4
    strip = Image.new("RGB", (width_px, height), _PAPER)
    pen = ImageDraw.Draw(strip)
    pen.ellipse([7, 9, 17, 19], fill=_TONES[tone])
    pen.text((23, 5), _cut(pen, title, 15, width_px - 29), font=_font(15), fill=_INK)
    for k, line in enumerate(lines[:count]):
        pen.text((7, 8 + (k + 1) * _LINE_PX), _cut(pen, line, 12, width_px - 13), font=_font(12), fill=_PALE)
    return np.asarray(strip)


def word_panel(size_px: tuple[int, int], text: str) -> UInt8[np.ndarray, "h w 3"]:
    """A pale panel (width, height) with words in its middle, for what cannot be shown."""
    from PIL import Image, ImageDraw

    width, height = size_px
    panel = Image.new("RGB", size_px, (237, 240, 243))
    pen = ImageDraw.Draw(panel)
    lines = _wrapped(pen, text, width - 24)
    top = 0.5 * (height - len(lines) * _LINE_PX)
    for k, line in enumerate(lines):
        left = 0.5 * (width - pen.textlength(line, font=_font(13)))
        pen.text((left, top + k * _LINE_PX), line, font=_font(13), fill=_PALE)
    return np.asarray(panel)


def dimmed(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture, paler: what is shown stands still and means nothing now."""
    return (0.35 * frame + 0.65 * 237).astype(np.uint8)


def arrange(panels: Sequence[UInt8[np.ndarray, "h w 3"]], max_width_px: int = 1920) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Panels of one height from left to right, in as few rows as `max_width_px` allows, on white; even sizes."""
    rows: list[list[np.ndarray]] = [[]]
    for panel in panels:
        width = sum(p.shape[1] + GAP_PX for p in rows[-1])
        if rows[-1] and width + panel.shape[1] > max_width_px:
            rows.append([])
        rows[-1].append(panel)
    width = max(sum(p.shape[1] for p in row) + GAP_PX * (len(row) - 1) for row in rows)
    height = sum(row[0].shape[0] for row in rows) + GAP_PX * (len(rows) - 1)
    out = np.full((height + height % 2, width + width % 2, 3), 255, np.uint8)
    top = 0
    for row in rows:
        left = 0
        for panel in row:
            out[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
            left += panel.shape[1] + GAP_PX
        top += row[0].shape[0] + GAP_PX
    return out


@cache
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _cut(pen: Any, text: str, size: int, width_px: float) -> str:
    if pen.textlength(text, font=_font(size)) <= width_px:
        return text
    while text and pen.textlength(text + "...", font=_font(size)) > width_px:
        text = text[:-1]
    return text + "..."


def _wrapped(pen: Any, text: str, width_px: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and pen.textlength(longer, font=_font(13)) > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
