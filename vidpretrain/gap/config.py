"""How to measure the gap. Nothing heavy here: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Bridge = Literal["time", "scale", "trust", "feasible", "view", "colour"]
BRIDGES: tuple[Bridge, ...] = ("time", "scale", "trust", "feasible", "view", "colour")


@dataclass(frozen=True, kw_only=True)
class GapConfig:
    """What is compared and how carefully.

    `rows` chunk starts of each side are drawn evenly; distances between distributions use `transport_rows` of them.
    `horizon` is the length of the compared chunks in rows. `folds` and `pixels` belong to the domain probe: a picture
    is described by gradients and colours of its copy of `pixels` by `pixels`. `regularization` is that of the Sinkhorn
    divergence, as a share of the median squared distance. `voxel_m` is the edge of a cell of the workspace. Intervals
    (`confidence`) are over episodes, `bootstrap` draws; `transport_bootstrap` for the distances, which cost more.
    `bridges` are measured one by one and then together.
    """

    rows: int = 1500
    transport_rows: int = 200
    horizon: int = 16
    folds: int = 5
    pixels: int = 64
    regularization: float = 0.05
    voxel_m: float = 0.05
    bootstrap: int = 500
    transport_bootstrap: int = 30
    confidence: float = 0.95
    seed: int = 0
    bridges: tuple[Bridge, ...] = BRIDGES

    def __post_init__(self) -> None:
        for name in ("rows", "transport_rows", "horizon", "bootstrap", "transport_bootstrap"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.folds < 2:
            raise ValueError(f"folds is at least 2, not {self.folds}")
        if self.pixels < 32 or self.pixels % 16:
            raise ValueError(f"pixels is a multiple of 16 from 32 on, not {self.pixels}")
        for name in ("regularization", "voxel_m"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, not {getattr(self, name)}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence lies between 0 and 1, not {self.confidence}")
