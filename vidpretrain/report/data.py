"""What a report shows, as plain data: whoever knows a run folder fills it, `write_report` draws it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number of the summary: `value` as text with its unit, `note` what it compares with."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A still: JPEG or PNG bytes and what one sees, in words."""

    data: bytes
    alt: str
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """A clip that was accepted, or one that was rejected with `reason` (of the closed list) and `detail`.

    `quality` holds label quality by name, as numbers with the unit in the name ("hand seen, share", "wrist error,
    cm"); the same names in the same order for all clips make the columns. `movie` is an H.264 MP4 (`pair_videos`);
    a JPEG of the same name beside it is its poster. `verdict` says whether the robot can do it (feasible, doubtful,
    infeasible; "" where nobody asked), `flaws` what counts against it, `faults` what was wrong with the input.
    """

    clip_id: str
    source: str
    accepted: bool
    reason: str = ""
    detail: str = ""
    frames: int = 0
    seconds: float = 0.0
    view: str = ""
    license: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    stills: tuple[Picture, ...] = ()
    movie: Path | None = None
    movie_caption: str = ""
    verdict: str = ""
    flaws: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LabelError:
    """Error of one labelled quantity against the truth: median and 90th percentile over `frames` frames."""

    quantity: str
    unit: str
    median: float
    p90: float
    frames: int
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Values over training steps."""

    name: str
    steps: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Curves that share axes."""

    title: str
    curves: tuple[Curve, ...]
    y_label: str = "loss"
    x_label: str = "step"
    log_y: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value with the ends of its interval, NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Errors of several policies per action group; smaller is better. `cells[group][policy]` may be absent."""

    title: str
    policies: tuple[str, ...]
    groups: tuple[str, ...]
    units: Mapping[str, str]
    cells: Mapping[str, Mapping[str, Estimate]]
    ours: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Something that was used, under which licence, and where it is from."""

    what: str
    license: str
    origin: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that one report shows. Empty parts are left out of the page."""

    title: str
    created: str
    lede: str = ""
    summary: tuple[Figure, ...] = ()
    clips: tuple[ClipRow, ...] = ()
    label_errors: tuple[LabelError, ...] = ()
    label_note: str = ""
    charts: tuple[Chart, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    licences: tuple[Licence, ...] = ()
    config_yaml: str = ""
    reproduce: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def accepted(self) -> tuple[ClipRow, ...]:
        """Clips that are in the data set."""
        return tuple(clip for clip in self.clips if clip.accepted)

    @property
    def rejected(self) -> tuple[ClipRow, ...]:
        """Clips that are not."""
        return tuple(clip for clip in self.clips if not clip.accepted)
