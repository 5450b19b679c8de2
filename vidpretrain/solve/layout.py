"""The structure of a problem as flat arrays: components that share no unknown, each with its own short chains.

Rows that measure a vector in the axes of a site do not feel the joints that carry all of it, so a hand falls into its
fingers and an arm comes free of the trunk. Union-find over the unknowns of each row finds these components. Inside
one, joints that stand still are folded away and every moving frame is turned so that its axis is z. A component whose
rows are all relative starts at its sites' last common joint instead of at the base.

A ball is three unknowns, small turns dw about the axes of its zero frame: R <- exp(dw) R. Each axis has a frame that
stands still in the zero frame and carries its lever, and a fourth frame is the turned one.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from vidpretrain.kinematics.arrays import BALL, BALL_REST, SLIDE, TreeArrays, tree_arrays
from vidpretrain.kinematics.kernels import exp_of
from vidpretrain.tree import Tree

WORLD = -1
_TO, _FROM, _BETWEEN, _SLIDE = 0, 1, 2, 3
_KEPT = 64
_layouts: OrderedDict[tuple, Layout] = OrderedDict()


class Layout(NamedTuple):
    """Flat arrays; `*_at` (c + 1) are where each component's part begins. Slot 0 of a component is its root.

    Frames (f): parent's slot, SLIDE, HINGE or BALL, zero pose (axis on z; a ball's is its zero frame), and angle =
    ratio Q[column] + offset; a ball, whose ratio is 0, turns by the rotation vector Q[column : column + 3].
    Vector rows (m): sites, and levers (joints that move the row): frame slot, place among the row's unknowns, signed
    ratio, which lever arm (to, from, between, slide). Orientation rows (k) likewise. Unknowns (v): six of the base
    first in the one component that has it, then hinges and slides, then from `ball_at` on the balls, by threes.
    """

    frame_at: np.ndarray
    site_at: np.ndarray
    row_at: np.ndarray
    turn_at: np.ndarray
    var_at: np.ndarray
    base: np.ndarray  # (c), 6 where the component has the base's unknowns, else 0
    rooted: np.ndarray  # (c), whether the root is the base, else the root is the identity
    newton: np.ndarray  # (c), whether second derivatives are worth having
    has_ball: np.ndarray  # (c), whether one of its frames is a ball
    ball_at: np.ndarray  # (c), how many of its unknowns stand before its balls
    up: np.ndarray
    hinge: np.ndarray
    R_up: np.ndarray
    p_up: np.ndarray
    column: np.ndarray
    ratio: np.ndarray
    offset: np.ndarray
    site_slot: np.ndarray
    R_site: np.ndarray
    p_site: np.ndarray
    row: np.ndarray  # (m), the row's place among the problem's vectors
    to_site: np.ndarray
    from_site: np.ndarray
    axes_site: np.ndarray
    base_kind: np.ndarray  # (m), 0 the base does not matter, 1 a point, 2 a vector
    simple: np.ndarray  # (m), whether all its levers end at `to`
    lever_at: np.ndarray
    lever_slot: np.ndarray
    lever_var: np.ndarray
    lever_ratio: np.ndarray
    lever_kind: np.ndarray
    rowvar_at: np.ndarray
    rowvar: np.ndarray
    turn: np.ndarray  # (k), the row's place among the problem's orientations
    turn_site: np.ndarray
    turn_lever_at: np.ndarray
    turn_lever_slot: np.ndarray
    turn_lever_var: np.ndarray
    turn_lever_ratio: np.ndarray
    turnvar_at: np.ndarray
    turnvar: np.ndarray
    var_column: np.ndarray  # (v), column of Q, -1 - i for unknown i of the base


class Rows(NamedTuple):
    """What the structure is made of: site indices of the vector rows (WORLD: none) and of the orientations."""

    to_site: tuple[int, ...]
    from_site: tuple[int, ...]
    axes_site: tuple[int, ...]
    turn_site: tuple[int, ...]


def layout(tree: Tree, rows: Rows, active: np.ndarray, free_base: bool, Q: np.ndarray) -> Layout:
    """The layout of a problem, remembered for problems of the same structure. `Q` (t j) is the start."""
    still = ~active & tree.independent & (Q[:1] == Q).all(axis=0) if len(Q) else ~active & tree.independent
    for j in tree.balls:
        still[j : j + 3] = still[j : j + 3].all()
    values = Q[0, still] if len(Q) else np.zeros(int(still.sum()))
    key = (tree.digest, rows, active.tobytes(), free_base, still.tobytes(), values.tobytes())
    if key not in _layouts:
        posture = Q[0] if len(Q) else np.zeros(len(active))
        _layouts[key] = _Builder(tree, rows, active, free_base, still, posture).build()
        while len(_layouts) > _KEPT:
            _layouts.popitem(last=False)
    _layouts.move_to_end(key)
    return _layouts[key]


_STARTS = {
    "frame_at": "up", "site_at": "site_slot", "row_at": "row", "turn_at": "turn", "var_at": "var_column",
    "lever_at": "", "rowvar_at": "", "turn_lever_at": "", "turnvar_at": "",
}  # fmt: skip
_ROW_STARTS = ("lever_at", "rowvar_at", "turn_lever_at", "turnvar_at")  # these grow row by row


def _joined(every: list[int], nodes: list[list[int]], blocks: list[list[int]]) -> list[tuple[list[int], list[int]]]:
    """Union-find: (unknowns, rows) of every component; rows without unknowns come last, in one of their own.

    `nodes` are the unknowns of each row, `blocks` those that stay together though no row may have them.
    """
    group = {i: i for i in every}

    def find(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for own in (*nodes, *blocks):
        for i in own[1:]:
            group[find(i)] = find(own[0])
    members: dict[int, tuple[list[int], list[int]]] = {}
    for i in every:
        members.setdefault(find(i), ([], []))[0].append(i)
    lost = []
    for r, own in enumerate(nodes):
        (members[find(own[0])][1] if own else lost).append(r)
    return [*members.values(), *([([], lost)] if lost else [])]


class _Builder:
    """Collects the components of one layout."""

    def __init__(self, tree: Tree, rows: Rows, active, free_base: bool, still, posture) -> None:
        self.arrays: TreeArrays = tree_arrays(tree)
        self.rows, self.free_base, self.posture = rows, free_base, posture
        a = self.arrays
        self.site_joint = [int(j) for j in a.site_joint]
        self.unknown = active & tree.independent
        self.moving = ~still[a.source]  # joints whose angle is not the same in all frames
        self.ball = a.hinge >= BALL
        self.paths = [
            [int(j) for j in a.path[a.path_start[j + 1] : a.path_start[j + 2]]] for j in range(-1, len(a.parent))
        ]
        self.out: dict[str, list] = {name: [] for name in Layout._fields}

    def path(self, site: int) -> list[int]:
        return [] if site == WORLD else self.paths[self.site_joint[site] + 1]

    def relative(self, m: int) -> bool:
        """Whether vector row m feels only the joints between its sites."""
        return self.rows.axes_site[m] != WORLD

    def levers(self, m: int) -> list[tuple[int, float, int]]:
        """(joint, sign, lever arm) of every joint that moves row m; still joints and joints that cancel are out."""
        to, frm, axes = (set(self.path(s[m])) for s in (self.rows.to_site, self.rows.from_site, self.rows.axes_site))
        out = []
        for j in sorted(to | frm | axes):
            if not self.unknown[self.arrays.source[j]]:
                continue
            flags = (j in to) + 2 * (j in frm) + 4 * (j in axes)
            if self.arrays.hinge[j] != SLIDE:
                sign, arm = {
                    1: (1.0, _TO), 2: (-1.0, _FROM), 3: (1.0, _BETWEEN), 4: (-1.0, _BETWEEN),
                    5: (1.0, _FROM), 6: (-1.0, _TO), 7: (0.0, _TO),
                }[flags]  # fmt: skip
            else:
                sign, arm = {1: 1.0, 5: 1.0, 2: -1.0, 6: -1.0}.get(flags, 0.0), _SLIDE
            if sign:
                out.append((j, sign, arm))
        return out

    def build(self) -> Layout:
        a, rows = self.arrays, self.rows
        count, base = len(rows.to_site), len(a.parent)  # the node after the last joint stands for the base
        vector_levers = [self.levers(m) for m in range(count)]
        turn_levers = [
            [j for j in self.path(s) if a.hinge[j] != SLIDE and self.unknown[a.source[j]]] for s in rows.turn_site
        ]
        nodes = [[int(a.source[j]) for j, _, _ in levers] for levers in vector_levers]
        nodes += [[int(a.source[j]) for j in levers] for levers in turn_levers]
        for r, own in enumerate(nodes):
            if self.free_base and (r >= count or not self.relative(r)):
                own.append(base)
        for name in _STARTS:
            self.out[name].append(0)
        every = [*([base] if self.free_base else []), *(int(j) for j in np.flatnonzero(self.unknown))]
        blocks = [[int(j), int(j) + 1, int(j) + 2] for j in np.flatnonzero(self.unknown & (a.hinge == BALL))]
        for members, mine in _joined(every, nodes, blocks):
            vectors, turns = [r for r in mine if r < count], [r - count for r in mine if r >= count]
            self.component(members, base, vectors, turns, vector_levers, turn_levers)
        return self.arrays_out()

    def component(self, members, base, vectors, turns, vector_levers, turn_levers) -> None:
        o, a, rows = self.out, self.arrays, self.rows
        has_base = base in members
        flat = [i for i in members if i != base and not self.ball[i]]
        balls = [i for i in members if i != base and self.ball[i]]
        place = {i: (6 if has_base else 0) + k for k, i in enumerate((*flat, *balls))}
        rooted = bool(turns) or any(not self.relative(m) for m in vectors)
        used = sorted(
            {s[m] for m in vectors for s in (rows.to_site, rows.from_site, rows.axes_site) if s[m] != WORLD}
            | {rows.turn_site[k] for k in turns}
        )
        slots, lever_slots, poses = self.frames(used, rooted)
        first_site = len(o["site_slot"])
        local = {site: first_site + u for u, site in enumerate(used)} | {WORLD: WORLD}
        for site in used:
            joint = self.site_joint[site]
            R, p = poses[joint]
            o["site_slot"].append(slots[joint])
            o["R_site"].append(R @ a.R_site[site])
            o["p_site"].append(R @ a.p_site[site] + p)
        for m in vectors:
            levers = vector_levers[m]
            kind = 0 if not has_base or self.relative(m) else (1 if rows.from_site[m] == WORLD else 2)
            own = sorted({place[int(a.source[j])] for j, _, _ in levers} | set(range(6 if kind else 0)))
            o["row"].append(m)
            o["to_site"].append(local[rows.to_site[m]])
            o["from_site"].append(local[rows.from_site[m]])
            o["axes_site"].append(local[rows.axes_site[m]])
            o["base_kind"].append(kind)
            carried = set(self.path(rows.from_site[m])) | set(self.path(rows.axes_site[m]))
            simple = not kind and all(s > 0 and k in (_TO, _SLIDE) for _, s, k in levers)
            o["simple"].append(simple and not (carried - set(self.path(rows.to_site[m]))))
            for j, sign, arm in levers:
                o["lever_slot"].append(lever_slots[j])
                o["lever_var"].append(own.index(place[int(a.source[j])]))
                o["lever_ratio"].append(sign * a.ratio[j])
                o["lever_kind"].append(arm)
            o["rowvar"].extend(own)
            o["lever_at"].append(len(o["lever_slot"]))
            o["rowvar_at"].append(len(o["rowvar"]))
        for k in turns:
            levers = turn_levers[k]
            own = sorted({place[int(a.source[j])] for j in levers} | set(range(3 if has_base else 0)))
            o["turn"].append(k)
            o["turn_site"].append(local[rows.turn_site[k]])
            for j in levers:
                o["turn_lever_slot"].append(lever_slots[j])
                o["turn_lever_var"].append(own.index(place[int(a.source[j])]))
                o["turn_lever_ratio"].append(a.ratio[j])
            o["turnvar"].extend(own)
            o["turn_lever_at"].append(len(o["turn_lever_slot"]))
            o["turnvar_at"].append(len(o["turnvar"]))
        if has_base:
            o["var_column"].extend(-1 - i for i in range(6))
        o["var_column"].extend(place)
        o["base"].append(6 if has_base else 0)
        o["rooted"].append(rooted)
        o["newton"].append(not turns and not rooted and not balls)
        o["has_ball"].append(any(self.ball[j] and self.moving[j] for j in slots if j >= 0))
        o["ball_at"].append((6 if has_base else 0) + len(flat))
        for name, field in _STARTS.items():
            if name not in _ROW_STARTS:
                o[name].append(len(o[field]))

    def frames(self, used: list[int], rooted: bool) -> tuple[dict[int, int], dict[int, int], dict[int, tuple]]:
        """Add a component's frames. By joint on the way: slot that carries it, slot of its lever's axis, pose of the
        joint's own frame in its slot's."""
        a = self.arrays
        root = -1
        paths = [self.path(site) for site in used]
        if not rooted and paths:
            for joints in zip(*paths, strict=False):
                if any(j != joints[0] for j in joints):
                    break
                root = joints[0]
        above = set(self.paths[root + 1])
        slots: dict[int, int] = {root: 0}
        lever_slots: dict[int, int] = {}
        poses = {root: (np.eye(3), np.zeros(3))}
        first = len(self.out["up"]) - 1  # slot 0 is the root
        for j in sorted({j for path in paths for j in path} - above):
            up = int(a.parent[j])
            if a.hinge[j] == BALL_REST:  # placed by the first entry
                slots[j], poses[j] = slots[up], poses[up]
                continue
            R, p = poses[up]
            R, p = R @ a.R_zero[j], R @ a.p_zero[j] + p
            if a.hinge[j] == BALL:
                slots[j], poses[j] = self.ball_frames(j, slots[up], R, p, lever_slots, first)
                continue
            if not self.moving[j]:
                angle = a.ratio[j] * self.posture[a.source[j]] + a.offset[j]
                turned = a.hinge[j] != SLIDE
                poses[j] = (R @ _turn(a.axis[j], angle), p) if turned else (R, p + R @ a.axis[j] * angle)
                slots[j] = slots[up]
                continue
            N = _z_to(a.axis[j])
            self.frame(slots[up], int(a.hinge[j]), R @ N, p, int(a.source[j]), a.ratio[j], a.offset[j])
            slots[j] = lever_slots[j] = len(self.out["up"]) - 1 - first
            poses[j] = (N.T, np.zeros(3))
        return slots, lever_slots, poses

    def ball_frames(self, j: int, up: int, R, p, lever_slots: dict, first: int) -> tuple[int, tuple]:
        """(slot, pose in it) of a ball's turned frame; R and p are its zero frame's pose in slot `up`."""
        if not self.moving[j]:
            E = np.array(exp_of(*self.posture[j : j + 3])).reshape(3, 3)
            return up, (R @ E, p)
        for k in range(3):
            if self.unknown[j]:
                self.frame(up, SLIDE, R @ _z_to(np.eye(3)[k]), p, j, 0.0, 0.0)
                lever_slots[j + k] = len(self.out["up"]) - 1 - first
        self.frame(up, BALL, R, p, j, 0.0, 0.0)
        return len(self.out["up"]) - 1 - first, (np.eye(3), np.zeros(3))

    def frame(self, up: int, kind: int, R, p, column: int, ratio: float, offset: float) -> None:
        """Add one frame."""
        values = {
            "up": up, "hinge": kind, "R_up": R, "p_up": p, "column": column, "ratio": ratio, "offset": offset,
        }  # fmt: skip
        for name, value in values.items():
            self.out[name].append(value)

    def arrays_out(self) -> Layout:
        shapes = {"R_up": (-1, 3, 3), "p_up": (-1, 3), "R_site": (-1, 3, 3), "p_site": (-1, 3)}
        floats = {"ratio", "offset", "lever_ratio", "turn_lever_ratio", *shapes}
        bools = {"rooted", "newton", "simple", "has_ball"}
        out = {}
        for name, values in self.out.items():
            kind = np.float64 if name in floats else np.bool_ if name in bools else np.int64
            out[name] = np.ascontiguousarray(np.array(values, dtype=kind).reshape(shapes.get(name, (-1,))))
        return Layout(**out)


def _z_to(axis: np.ndarray) -> np.ndarray:
    """A rotation that takes z to a unit axis."""
    z = (float(axis[0]), float(axis[1]), float(axis[2]))
    k = min(range(3), key=lambda i: abs(z[i]))
    x = _cross((float(k == 0), float(k == 1), float(k == 2)), z)
    length = math.sqrt(x[0] ** 2 + x[1] ** 2 + x[2] ** 2)
    x = (x[0] / length, x[1] / length, x[2] / length)
    y = _cross(z, x)
    return np.array([[x[0], y[0], z[0]], [x[1], y[1], z[1]], [x[2], y[2], z[2]]])


def _cross(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple[float, float, float]:
    """Their cross product, thirty times as fast as NumPy's for one pair."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rodrigues' formula."""
    K = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.eye(3) + np.sin(angle) * K + (1.0 - np.cos(angle)) * (K @ K)


def ball_unknowns(L: Layout) -> np.ndarray:
    """The first unknown of every ball."""
    return np.array(
        [i for c in range(len(L.base)) for i in range(L.var_at[c] + L.ball_at[c], L.var_at[c + 1], 3)], dtype=np.int64
    )
