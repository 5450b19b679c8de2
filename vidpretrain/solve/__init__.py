"""Whole-clip damped least squares over a `Tree`: the one solver.

Door: `Problem` and its terms, `solve_clip(tree, problem, start) -> Solution`; one frame at a time
`Stream(tree, template, start)`, whose `step(targets)` answers a `Step`, and `targets_of(terms)`, its targets of a clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.solve.parameters import FocalParameter, LengthParameter, OffsetParameter, with_parameters
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
    Term,
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
    "LengthParameter",
    "OffsetParameter",
    "FocalParameter",
    "with_parameters",
    "Problem",
    "Start",
    "Term",
    "Solution",
    "solve_clip",
    "Stream",
    "Step",
    "targets_of",
    "point_covariance",
    "parameter_sigma",
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


def point_covariance(tree, problem: Problem, solution: Solution, sites):
    """Covariance (t s 3 3) of the sites' positions in m^2; see `solve.covariance.point_covariance`."""
    from vidpretrain.solve.covariance import point_covariance as compute

    return compute(tree, problem, solution, sites)


def parameter_sigma(tree, problem: Problem, solution: Solution):
    """Standard deviation of every parameter, by name; see `solve.covariance.parameter_sigma`."""
    from vidpretrain.solve.covariance import parameter_sigma as compute

    return compute(tree, problem, solution)
