"""Whole-clip damped least squares over a `Tree`: the one solver.

Door: `Problem` and its terms, `solve_clip(tree, problem, start) -> Solution`; one frame at a time
`Stream(tree, template, start)`, whose `step(targets)` answers a `Step`, and `targets_of(terms)`, its targets of a clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.solve.problem import (
    DistanceTerm,
    FloorTerm,
    OrientationTerm,
    PinholeCamera,
    PixelTerm,
    PointTerm,
    PostureTerm,
    Problem,
    Solution,
    Start,
    VectorTerm,
)

__all__ = [
    "PointTerm",
    "OrientationTerm",
    "VectorTerm",
    "DistanceTerm",
    "FloorTerm",
    "PixelTerm",
    "PinholeCamera",
    "PostureTerm",
    "Problem",
    "Start",
    "Solution",
    "solve_clip",
    "Stream",
    "Step",
    "targets_of",
]

if TYPE_CHECKING:
    from vidpretrain.solve.stream import Step, Stream, targets_of


def __getattr__(name: str) -> Any:
    if name not in ("Stream", "Step", "targets_of"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vidpretrain.solve import stream  # compiled code is not loaded before it is wanted

    return getattr(stream, name)


def solve_clip(tree, problem: Problem, start: Start) -> Solution:
    """The joint motion (and base motion) of least cost over all frames together; see `solve.clip.solve_clip`."""
    from vidpretrain.solve.clip import solve_clip as solve

    return solve(tree, problem, start)
