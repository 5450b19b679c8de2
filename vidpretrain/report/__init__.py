"""One self-contained HTML file per run: what went in, what came out, how good it is, and how to do it again.

Door: `ReportData` and its parts, `write_report`, `draw_tracks`, `draw_person`, `heading`, `pair_videos`, `jpeg`,
`caption`, `word_panel`, `dimmed`, `arrange` (panels side by side), `curves_from_metrics`,
`comparison_from_evaluation`, `horizon_chart`.
"""

from __future__ import annotations

from vidpretrain.report.data import (
    Chart,
    ClipRow,
    Comparison,
    Curve,
    Estimate,
    Figure,
    LabelError,
    Licence,
    Picture,
    ReportData,
)
from vidpretrain.report.draw import draw_tracks
from vidpretrain.report.media import jpeg, pair_videos
from vidpretrain.report.panels import Tone, arrange, caption, dimmed, word_panel
from vidpretrain.report.person import draw_person, heading
from vidpretrain.report.read import comparison_from_evaluation, curves_from_metrics, horizon_chart
from vidpretrain.report.write import write_report

__all__ = [
    "Chart",
    "ClipRow",
    "Comparison",
    "Curve",
    "Estimate",
    "Figure",
    "LabelError",
    "Licence",
    "Picture",
    "ReportData",
    "write_report",
    "draw_tracks",
    "draw_person",
    "heading",
    "pair_videos",
    "jpeg",
    "Tone",
    "arrange",
    "caption",
    "dimmed",
    "word_panel",
    "curves_from_metrics",
    "comparison_from_evaluation",
    "horizon_chart",
]
