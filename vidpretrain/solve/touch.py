"""Contacts of the shapes themselves: capsules tell in which frames to look, convex hulls how near links are there."""

from __future__ import annotations

import numpy as np

from vidpretrain.collision import Shapes
from vidpretrain.collision.near import least_gaps
from vidpretrain.solve.contact import NEAR_M, Collisions, Contacts


class ShapeCollisions(Collisions):
    """`Collisions` by shapes; `worst` is the least gap of shapes where capsules are near, else inf."""

    def __init__(self, shapes: Shapes, *args) -> None:
        super().__init__(*args)
        self.shapes = shapes

    def find(self, Q: np.ndarray, use: np.ndarray, near_m: float = NEAR_M) -> Contacts:
        """Contacts linearised at Q (t j) among frames `use`; grows multipliers, fills `worst`."""
        from vidpretrain.collision.hulls import slopes

        near = near_m + self.margin_m
        frames = np.flatnonzero(use)
        gaps = np.empty(len(frames))
        least_gaps(*self.arrays, Q[frames], near, self.margin_m, gaps)
        found = self.shapes.touches(Q, frames[gaps < self.margin_m], near)
        widest = 2 * max(1, int(np.diff(self.arrays[0].path_start).max(initial=1)))
        most = len(found.frame)
        at = np.empty(most + 1, dtype=np.int64)
        var, slope = np.empty(most * widest, dtype=np.int64), np.empty(most * widest)
        slopes(self.arrays[0], self.column, Q, found.frame, found.joint, found.normal, found.p_base, at, var, slope)
        var, slope = var[: at[-1]].copy(), slope[: at[-1]].copy()
        self.update(found.frame * self.shapes.pairs + found.pair, self.margin_m - found.gap_m)
        self.worst[use] = np.inf
        np.minimum.at(self.worst, found.frame, found.gap_m)
        owner = np.repeat(found.frame, np.diff(at))
        return self.contacts(found.frame, at, var, slope, np.ascontiguousarray(Q[owner, self.L.var_column[var]]))
