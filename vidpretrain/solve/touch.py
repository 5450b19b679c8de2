"""Contacts of the shapes themselves: capsules tell in which frames to look, convex hulls how near links are there.

The nearest way out of a deep overlap turns round from frame to frame, and neighbours that leave to opposite sides tear
the motion apart. So limbs that are deep in each other leave by one way for a while, and by a little in every round.
"""

from __future__ import annotations

import numpy as np

from vidpretrain.collision import Shapes, Touches
from vidpretrain.collision.near import least_gaps
from vidpretrain.solve.contact import NEAR_M, Collisions, Contacts

_DEEP_M, _AGREE_S = 0.004, 0.2
_MOST_STEP_M = 0.008  # farther off, another normal counts


class ShapeCollisions(Collisions):
    """`Collisions` by shapes; `worst` is the least gap of shapes where capsules are near, else inf."""

    def __init__(self, shapes: Shapes, rate_hz: float, *args) -> None:
        super().__init__(*args)
        self.shapes, self.rate_hz = shapes, rate_hz
        self.limb = self._limbs()

    def find(self, Q: np.ndarray, use: np.ndarray, near_m: float = NEAR_M) -> Contacts:
        """Contacts linearised at Q (t j) among frames `use`; fills `worst`."""
        from vidpretrain.collision.hulls import slopes

        near = near_m + self.margin_m
        frames = np.flatnonzero(use)
        gaps = np.empty(len(frames))
        least_gaps(*self.arrays, Q[frames], near, self.margin_m, gaps)
        found = self.shapes.touches(Q, frames[gaps < self.margin_m], near)
        normal = agreed(found, self.limb, self.frames, _AGREE_S * self.rate_hz)
        widest = 2 * max(1, int(np.diff(self.arrays[0].path_start).max(initial=1)))
        most = len(found.frame)
        at = np.empty(most + 1, dtype=np.int64)
        var, slope = np.empty(most * widest, dtype=np.int64), np.empty(most * widest)
        slopes(self.arrays[0], self.column, Q, found.frame, found.joint, normal, found.p_base, at, var, slope)
        var, slope = var[: at[-1]].copy(), slope[: at[-1]].copy()
        self.update(found.frame * self.shapes.pairs + found.pair, self.margin_m - found.gap_m)
        self.worst[use] = np.inf
        np.minimum.at(self.worst, found.frame, found.gap_m)
        return self.contacts(found.frame, at, var, slope, Q)

    def update(self, key: np.ndarray, short: np.ndarray) -> None:
        """Ask for a part of the way, and without multipliers: those of deep contacts outgrow every target, and the
        stiffness alone leaves tenths of a millimetre."""
        self.key, self.push = key, np.zeros(len(key))
        self.stiff, self.short = np.full(len(key), self.stiffness), np.minimum(short, _MOST_STEP_M)

    def _limbs(self) -> np.ndarray:
        """(j + 1) the component that moves each link, itself last: the first one on the way from the base; -1 the base,
        which is entry 0."""
        tree = self.tree
        out = np.full(len(tree.joint_names) + 1, -1, dtype=np.int64)
        for j, up in enumerate(tree.parent):
            v = self.column[j]
            own = int(np.searchsorted(self.L.var_at, v, side="right")) - 1 if v >= 0 else -1
            out[j + 1] = out[up + 1] if out[up + 1] >= 0 else own
        return out


def agreed(found: Touches, limb: np.ndarray, frames: int, sigma_frames: float) -> np.ndarray:
    """The way (k 3) by which the second link of each touch leaves the first: the normal, and where two limbs are deep
    in each other, the mean of their normals around that time, deep ones counting more.

    `limb` (j + 1) is what belongs together, of the base first.
    """
    from scipy.ndimage import gaussian_filter1d

    out = np.array(found.normal[:, :3], order="C")
    depth = np.maximum(0.0, -found.gap_m)
    if not (depth > _DEEP_M).any():
        return out
    pair = limb[found.joint + 1]
    sign = np.where(pair[:, 0] <= pair[:, 1], 1.0, -1.0)
    key = pair.min(axis=1) * len(limb) + pair.max(axis=1)
    key[pair[:, 0] == pair[:, 1]] = np.iinfo(np.int64).min  # one limb: its own way each
    normal = out.copy()
    for k in np.unique(key[depth > _DEEP_M]):
        if k == np.iinfo(np.int64).min:
            continue
        mine = np.flatnonzero(key == k)
        total = np.zeros((frames, 3))
        np.add.at(total, found.frame[mine], (depth * sign)[mine, None] * normal[mine])
        total = gaussian_filter1d(total, sigma_frames, axis=0, mode="constant")
        length = np.linalg.norm(total, axis=1)
        deep = mine[(depth[mine] > _DEEP_M) & (length[found.frame[mine]] > 1e-9)]
        at = found.frame[deep]
        out[deep] = sign[deep, None] * total[at] / length[at, None]
    return out
