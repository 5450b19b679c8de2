"""Self-collision: capsules stay apart by linearised distance constraints, kept by an augmented Lagrangian.

Round by round the near pairs are linearised where the clip stands, their multipliers grow where they are too near, and
only the frames around contacts are solved again, component after component. A penalty instead pushes deep
contacts through each other; a constraint lets the targets give way. Source of the multipliers: Nocedal and Wright,
Numerical Optimization, section 17.4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit

from vidpretrain.collision import CollisionModel
from vidpretrain.collision.linear import linearise
from vidpretrain.collision.near import capsule_arrays
from vidpretrain.kinematics.arrays import tree_arrays
from vidpretrain.solve.layout import Layout
from vidpretrain.tree import Tree

NEAR_M = 0.015
_STIFFER, _STALLED, _MOST_STIFFER = 4.0, 0.5, 1e4
_AROUND = 8
_PER_FRAME = 160


class Contacts(NamedTuple):
    """Linearised contacts; `at_frame` (t + 1) is where a frame's begin, `at` (k + 1) where a contact's slopes do."""

    at_frame: np.ndarray
    at: np.ndarray
    var: np.ndarray
    slope: np.ndarray
    where: np.ndarray  # the value of each of `var` where it was linearised
    short: np.ndarray  # (k), the margin less the gap there
    push: np.ndarray  # (k), the multiplier
    stiffness: np.ndarray  # (k)


def no_contacts(frames: int) -> Contacts:
    """None at all."""
    none = np.zeros(0)
    nowhere = np.zeros(0, dtype=np.int64)
    return Contacts(
        np.zeros(frames + 1, dtype=np.int64), np.zeros(1, dtype=np.int64), nowhere, none, none, none, none, none
    )


@njit(cache=True, error_model="numpy")
def contacts_pass(var_at, var_column, base, c, lo, hi, Q, K, wanted, G, A, cost):
    """Add the contacts of frames [lo, hi) to a component's cost, gradient and matrix."""
    first, last, wide = var_at[c], var_at[c + 1], A.shape[1] - 1
    n = last - first
    for t in range(lo, hi):
        k0 = t - lo
        for k in range(K.at_frame[t], K.at_frame[t + 1]):
            mine = False
            short = K.short[k]
            for e in range(K.at[k], K.at[k + 1]):
                i = K.var[e]
                mine = mine or (first <= i < last)
                short -= K.slope[e] * (Q[t, var_column[i]] - K.where[e])
            if not mine:
                continue
            m, s = K.push[k], K.stiffness[k]
            push = max(0.0, m + s * short)
            cost[k0] += (push * push - m * m) / (2.0 * s)
            if not wanted or push == 0.0:
                continue
            for e in range(K.at[k], K.at[k + 1]):
                v = K.var[e] - first
                if v < 0 or v >= n:
                    continue
                G[k0, v] -= push * K.slope[e]
                for f in range(K.at[k], K.at[k + 1]):
                    u = K.var[f] - first
                    if 0 <= u <= v:
                        A[k0 * n + v, wide - (v - u)] += s * K.slope[e] * K.slope[f]


@dataclass
class Collisions:
    """Multipliers and stiffness of every pair in every frame, and the contacts as they were last linearised."""

    model: CollisionModel
    tree: Tree
    L: Layout
    margin_m: float
    stiffness: float
    frames: int
    worst: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.model.pairs)
        self.push = np.zeros((self.frames, count))
        self.stiff = np.full((self.frames, count), self.stiffness)
        self.before = np.full((self.frames, count), np.inf)
        self.worst = np.full(self.frames, np.inf)
        self.column = np.full(len(self.tree.joint_names), -1, dtype=np.int64)
        joints = np.flatnonzero(self.L.var_column >= 0)
        self.column[self.L.var_column[joints]] = joints
        followers = np.flatnonzero(self.tree.mimic_source >= 0)
        self.column[followers] = self.column[self.tree.mimic_source[followers]]

    def find(self, Q: np.ndarray, use: np.ndarray) -> tuple[Contacts, np.ndarray]:
        """(contacts linearised at Q, followers included, overlapping frames) among frames `use`; grows multipliers."""
        most = max(64, _PER_FRAME * int(use.sum()))
        widest = 2 * max(1, int(np.diff(tree_arrays(self.tree).path_start).max(initial=1)))
        frame, pair = np.zeros(most, dtype=np.int64), np.zeros(most, dtype=np.int64)
        gap, at = np.zeros(most), np.zeros(most + 1, dtype=np.int64)
        var, slope = np.zeros(most * widest, dtype=np.int64), np.zeros(most * widest)
        arrays = (tree_arrays(self.tree), *capsule_arrays(self.model), self.column)
        near = NEAR_M + self.margin_m
        count = linearise(*arrays, Q, use, near, most, frame, pair, gap, at, var, slope)
        frame, pair, gap, at = frame[:count], pair[:count], gap[:count], at[: count + 1]
        var, slope = var[: at[-1]], slope[: at[-1]]
        short = self.margin_m - gap
        self.update(frame, pair, short)
        self.worst[use] = np.inf
        np.minimum.at(self.worst, frame, gap)
        owner = np.repeat(frame, np.diff(at))
        contacts = Contacts(
            at_frame=np.searchsorted(frame, np.arange(self.frames + 1)).astype(np.int64),
            at=at,
            var=var,
            slope=slope,
            where=np.ascontiguousarray(Q[owner, self.L.var_column[var]]),
            short=short,
            push=np.ascontiguousarray(self.push[frame, pair]),
            stiffness=np.ascontiguousarray(self.stiff[frame, pair]),
        )
        return contacts, np.unique(frame[gap < 0.0])

    def update(self, frame: np.ndarray, pair: np.ndarray, short: np.ndarray) -> None:
        """Grow the multipliers by how much too near the pairs are; stiffen those that hardly got better."""
        stalled = (short > 0.1 * self.margin_m) & (short > _STALLED * self.before[frame, pair])
        stiff = self.stiff[frame, pair] * np.where(stalled, _STIFFER, 1.0)
        self.stiff[frame, pair] = np.minimum(stiff, _MOST_STIFFER * self.stiffness)
        known = np.isfinite(self.before[frame, pair])
        grown = self.push[frame, pair] + np.where(known, self.stiff[frame, pair] * short, 0.0)
        self.push[frame, pair] = np.maximum(0.0, grown)
        self.before[frame, pair] = short


def windows(frames: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Half-open stretches of a clip of `count` frames around the given ones, `_AROUND` frames on each side."""
    out: list[tuple[int, int]] = []
    for t in frames:
        lo, hi = max(0, int(t) - _AROUND), min(count, int(t) + _AROUND + 1)
        if out and lo <= out[-1][1] + 2:
            out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out
