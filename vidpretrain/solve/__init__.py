"""Whole-clip damped least squares over a `Tree`: the one solver.

Door: `Problem` and its terms, `solve_clip(tree, problem, start) -> Solution`.
"""

from __future__ import annotations

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
]


def solve_clip(tree, problem: Problem, start: Start) -> Solution:
    """The joint motion (and base motion) of least cost over all frames together; see `solve.clip.solve_clip`."""
    from vidpretrain.solve.clip import solve_clip as solve

    return solve(tree, problem, start)
