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
from vidpretrain.solve.ball import by_vector
from vidpretrain.solve.layout import Layout, ball_unknowns
from vidpretrain.tree import Tree

NEAR_M = 0.015
_STIFFER, _STALLED, _MOST_STIFFER = 4.0, 0.5, 1e4
_PER_FRAME = 400
_NONE = np.zeros(0, dtype=np.int64)


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
    turn: np.ndarray  # the slope by a small turn, of a ball's unknowns, whose `slope` is by its vector; else `slope`


def no_contacts(frames: int) -> Contacts:
    """None at all."""
    none = np.zeros(0)
    nowhere = np.zeros(0, dtype=np.int64)
    return Contacts(
        np.zeros(frames + 1, dtype=np.int64), np.zeros(1, dtype=np.int64), nowhere, none, none, none, none, none, none
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
                G[k0, v] -= push * K.turn[e]
                for f in range(K.at[k], K.at[k + 1]):
                    u = K.var[f] - first
                    if 0 <= u <= v:
                        A[k0 * n + v, wide - (v - u)] += s * K.turn[e] * K.turn[f]


def of_component(L: Layout, c: int, lo: int, hi: int, Q: np.ndarray, contacts: Contacts) -> Contacts:
    """The contacts that component c moves in frames [lo, hi), the other components standing as they do in Q (t j)."""
    args = (*contacts[:6], contacts.turn)
    at_frame, at, var, slope, where, short, kept, turn = own(L.var_at, L.var_column, c, lo, hi, Q, *args)
    push, stiffness = contacts.push[kept], contacts.stiffness[kept]
    return Contacts(at_frame, at, var, slope, where, short, push, stiffness, turn)


@njit(cache=True, error_model="numpy")
def own(var_at, var_column, c, lo, hi, Q, at_frame, at, var, slope, where, short, turn):
    """The arrays of `of_component`, and which contacts they are."""
    first, last = var_at[c], var_at[c + 1]
    begin, end = at_frame[lo], at_frame[hi]
    most = at[end] - at[begin]
    at_frame_to, at_to = np.zeros(len(at_frame), dtype=np.int64), np.zeros(end - begin + 1, dtype=np.int64)
    var_to, slope_to, where_to = np.empty(most, dtype=np.int64), np.empty(most), np.empty(most)
    turn_to = np.empty(most)
    short_to, kept = np.empty(end - begin), np.empty(end - begin, dtype=np.int64)
    count, used = 0, 0
    for t in range(lo, hi):
        for k in range(at_frame[t], at_frame[t + 1]):
            rest, before = short[k], used
            for e in range(at[k], at[k + 1]):
                i = var[e]
                if first <= i < last:
                    var_to[used], slope_to[used], where_to[used], turn_to[used] = i, slope[e], where[e], turn[e]
                    used += 1
                else:
                    rest -= slope[e] * (Q[t, var_column[i]] - where[e])
            if used > before:
                short_to[count], kept[count] = rest, k
                count += 1
                at_to[count] = used
        at_frame_to[t + 1] = count
    at_frame_to[hi + 1 :] = count
    return (
        at_frame_to, at_to[: count + 1], var_to[:used], slope_to[:used], where_to[:used], short_to[:count],
        kept[:count], turn_to[:used]
    )  # fmt: skip


@dataclass
class Collisions:
    """Multipliers and stiffness of the near pairs, as they were last linearised."""

    model: CollisionModel
    tree: Tree
    L: Layout
    margin_m: float
    stiffness: float
    frames: int
    firm_joints: np.ndarray | None = None  # (j), that give way only where nothing else does
    worst: np.ndarray = field(init=False)  # (t), the least gap of every frame that was looked at, inf: nothing near

    def __post_init__(self) -> None:
        self.worst = np.full(self.frames, np.inf)
        self.arrays = (tree_arrays(self.tree), *capsule_arrays(self.model))
        self.column = np.full(len(self.tree.joint_names), -1, dtype=np.int64)
        joints = np.flatnonzero(self.L.var_column >= 0)
        self.column[self.L.var_column[joints]] = joints
        followers = np.flatnonzero(self.tree.mimic_source >= 0)
        self.column[followers] = self.column[self.tree.mimic_source[followers]]
        self.firm = np.zeros(len(self.L.var_column), dtype=bool)
        if self.firm_joints is not None:
            self.firm[joints] = self.firm_joints[self.L.var_column[joints]]
        self.balls = np.full(len(self.L.var_column), -1, dtype=np.int64)  # (v), the first unknown of its ball
        for i in ball_unknowns(self.L):
            self.balls[i : i + 3] = i
        self.forget()

    def forget(self) -> None:
        """Begin again: no multipliers."""
        self.key = np.zeros(0, dtype=np.int64)
        self.push = self.stiff = self.short = np.zeros(0)

    def find(self, Q: np.ndarray, use: np.ndarray, near_m: float = NEAR_M) -> Contacts:
        """Contacts linearised at Q (t j), followers included, among frames `use`; grows multipliers, fills `worst`."""
        most = max(64, _PER_FRAME * int(use.sum()))
        widest = 2 * max(1, int(np.diff(self.arrays[0].path_start).max(initial=1)))
        frame, pair = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        gap, at = np.empty(most), np.empty(most + 1, dtype=np.int64)
        var, slope = np.empty(most * widest, dtype=np.int64), np.empty(most * widest)
        near = near_m + self.margin_m
        count = linearise(*self.arrays, self.column, Q, use, near, _NONE, most, frame, pair, gap, at, var, slope)
        frame, pair, gap, at = frame[:count], pair[:count], gap[:count], at[: count + 1].copy()
        var, slope = var[: at[-1]].copy(), slope[: at[-1]].copy()
        self.update(frame * len(self.model.pairs) + pair, self.margin_m - gap)
        self.worst[use] = np.inf
        np.minimum.at(self.worst, frame, gap)
        return self.contacts(frame, at, var, slope, Q)

    def contacts(
        self, frame: np.ndarray, at: np.ndarray, var: np.ndarray, slope: np.ndarray, Q: np.ndarray
    ) -> Contacts:
        """The contacts just found at Q (t j), with the multipliers as they have become."""
        if self.firm.any() and len(var):
            kept = ~self._held(at, var)
            at = np.insert(np.cumsum(kept), 0, 0)[at]
            var, slope = var[kept], slope[kept]
        turn = slope
        if len(var) and (self.balls[var] >= 0).any():
            at, var, turn, slope = self._through_balls(frame, at, var, slope, Q)
        where = np.ascontiguousarray(Q[np.repeat(frame, np.diff(at)), self.L.var_column[var]])
        at_frame = np.searchsorted(frame, np.arange(self.frames + 1)).astype(np.int64)
        return Contacts(at_frame, at, var, slope, where, self.short, self.push, self.stiff, turn)

    def _through_balls(self, frame: np.ndarray, at: np.ndarray, var: np.ndarray, turn: np.ndarray, Q: np.ndarray):
        """(at, var, turn, slope) with all three unknowns of every ball that moves a contact, and slopes by vector."""
        starts, unknowns, turns, slopes = [0], [], [], []
        for k in range(len(at) - 1):
            own = slice(at[k], at[k + 1])
            flat = self.balls[var[own]] < 0
            unknowns += var[own][flat].tolist()
            turns += turn[own][flat].tolist()
            slopes += turn[own][flat].tolist()
            for i in np.unique(self.balls[var[own]][~flat]):
                mine, by_turn = self.balls[var[own]] == i, np.zeros(3)
                by_turn[var[own][mine] - i] = turn[own][mine]
                unknowns += [i, i + 1, i + 2]
                turns += by_turn.tolist()
                slopes += by_vector(by_turn, Q[frame[k], self.L.var_column[i : i + 3]]).tolist()
            starts.append(len(unknowns))
        return np.array(starts), np.array(unknowns, dtype=np.int64), np.array(turns), np.array(slopes)

    def _held(self, at: np.ndarray, var: np.ndarray) -> np.ndarray:
        """True (e) for firm unknowns in contacts that another unknown moves as well."""
        owner = np.repeat(np.arange(len(at) - 1), np.diff(at))
        yields = np.bincount(owner, ~self.firm[var], minlength=len(at) - 1) > 0
        return self.firm[var] & yields[owner]

    def update(self, key: np.ndarray, short: np.ndarray) -> None:
        """Grow the multipliers by how much too near the pairs are; stiffen those that hardly got better."""
        push, stiff, before = np.zeros(len(key)), np.full(len(key), self.stiffness), np.full(len(key), np.inf)
        if len(self.key):
            place = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
            known = self.key[place] == key
            push[known], stiff[known] = self.push[place[known]], self.stiff[place[known]]
            before[known] = self.short[place[known]]
        stalled = (short > 0.1 * self.margin_m) & (short > _STALLED * before)
        stiff = np.minimum(stiff * np.where(stalled, _STIFFER, 1.0), _MOST_STIFFER * self.stiffness)
        grown = push + np.where(np.isfinite(before), stiff * short, 0.0)
        self.key, self.push, self.stiff, self.short = key, np.maximum(0.0, grown), stiff, short
