"""The page: template, style and data joined into one file that needs nothing else."""

from __future__ import annotations

import base64
import contextlib
import errno
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidpretrain.report import svg
from vidpretrain.report.data import ClipRow, Comparison, Picture, ReportData

MAX_BYTES = 24_000_000
_HERE = Path(__file__).parent


def write_report(data: ReportData, out_html: Path | str, *, max_bytes: int = MAX_BYTES) -> Path:
    """Path of the written page: one HTML file, everything inside, at most about `max_bytes`.

    Movies and stills are taken in the order of the clips as long as they fit; the page says what was left out.
    The file is written aside and renamed.

    Raises:
        InputError: the file cannot be written.
        DiskFull: no space left on the device.
    """
    import jinja2

    out_html = Path(out_html)
    media = _Media(max_bytes - 1_000_000)
    clips = [_clip(clip, media) for clip in (*data.accepted, *data.rejected)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number=number, estimate=estimate)
    html = environment.get_template("report.html").render(
        data=data,
        style=_text("report.css"),
        script=_text("report.js"),
        accepted=[clip for clip in clips if clip["row"].accepted],
        rejected=[clip for clip in clips if not clip["row"].accepted],
        reasons=Counter(clip.reason for clip in data.rejected).most_common(),
        judged=[clip for clip in clips if clip["row"].accepted and (clip["row"].verdict or clip["row"].faults)],
        verdicts=Counter(clip.verdict for clip in data.accepted if clip.verdict).most_common(),
        qualities=_qualities(data.accepted),
        charts=[(chart, _safe(svg.line_chart(chart))) for chart in data.charts],
        comparisons=[_comparison(comparison) for comparison in data.comparisons],
        left_out=media.left_out,
    )
    _write(out_html, html)
    return out_html


def number(value: Any) -> str:
    """A number with three significant digits, or a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "\N{EN DASH}"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.1e}"


def estimate(value: Any) -> str:
    """The interval of an estimate as text, empty where there is none."""
    if value is None or not (math.isfinite(value.low) and math.isfinite(value.high)):
        return ""
    return f"{number(value.low)} to {number(value.high)}"


class _Media:
    """Turns bytes into data URIs until the budget is spent."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.left_out = 0

    def uri(self, data: bytes, kind: str) -> str | None:
        size = len(data) * 4 // 3 + 40
        if size > self.budget:
            self.left_out += 1
            return None
        self.budget -= size
        return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _clip(row: ClipRow, media: _Media) -> dict[str, Any]:
    movie = poster = None
    if row.movie is not None and row.movie.is_file():
        still = row.movie.with_suffix(".jpg")
        poster = media.uri(still.read_bytes(), "image/jpeg") if still.is_file() else None
        movie = media.uri(row.movie.read_bytes(), "video/mp4")
    stills = [(picture, media.uri(picture.data, _kind(picture))) for picture in row.stills]
    return {"row": row, "movie": movie, "poster": poster, "stills": [(p, uri) for p, uri in stills if uri]}


def _kind(picture: Picture) -> str:
    return "image/png" if picture.data.startswith(b"\x89PNG") else "image/jpeg"


def _qualities(rows: Sequence[ClipRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.quality))


def _comparison(comparison: Comparison) -> dict[str, Any]:
    best: Mapping[str, str] = {
        group: min(cells, key=lambda name, cells=cells: cells[name].value)
        for group, cells in comparison.cells.items()
        if cells
    }
    charts = [(group, _safe(svg.interval_chart(comparison, group))) for group in comparison.groups]
    return {"table": comparison, "best": best, "charts": [(group, chart) for group, chart in charts if chart]}


def _safe(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)  # made by this package; svg.py escapes every value


def _text(name: str) -> Any:
    return _safe((_HERE / name).read_text(encoding="utf-8"))


def _write(path: Path, html: str) -> None:
    from vidpretrain.errors import DiskFull, InputError

    aside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise DiskFull("no space left for the report", asked=path, next_command="df -h") from None
        raise InputError(f"the report cannot be written: {error.strerror}", asked=path) from None
