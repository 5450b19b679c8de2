"""What is exported, and where. Nothing heavy here: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Format = Literal["torch_export", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """A policy as files that need none of this package: `formats` torch_export (policy.pt2) and onnx (policy.onnx).

    `folder` gets them (None: `export` in the run's folder). `embodiment` has to be named where the checkpoint moves
    several. `steps` is how many Euler steps of the flow are built in (None: the checkpoint's). The file's answers to
    `samples` random questions may differ from torch's by at most `tolerance` (rad, fraction or m), or it is not kept.
    """

    formats: tuple[Format, ...] = ("torch_export",)
    folder: Path | None = None
    embodiment: str | None = None
    steps: int | None = None
    samples: int = 100
    tolerance: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.formats or set(self.formats) - set(FORMATS) or len(set(self.formats)) != len(self.formats):
            raise ValueError(f"formats are some of {', '.join(FORMATS)}, not {', '.join(self.formats) or 'none'}")
        if self.samples < 1 or (self.steps is not None and self.steps < 1):
            raise ValueError("samples and steps are at least 1")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance is above 0, not {self.tolerance}")
