"""Tracks that jump: the frames that lie on the longest way a person could have moved, and those that do not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.retarget import edits
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.skeletons import BODY_SLICE, HAND_SLICES, SIDES
from vidpretrain.types import InputFault

_LEAST_SHARE = 0.5  # a track of which less than this hangs together is no track
_MOST_PIECES = 400


def without_jumps(grid: GridMotion, config: RetargetConfig) -> tuple[GridMotion, list[InputFault]]:
    """The motion without the frames in which the trunk, an arm or a hand is where it cannot have got to.

    Arms count relative to the trunk, so that a body that jumps does so once; hands count in the world.
    """
    faults: list[InputFault] = []
    neck = 0.5 * (grid.point("left_shoulder") + grid.point("right_shoulder"))
    tracks: list[tuple[str, np.ndarray, slice | list[int]]] = [("body", neck, BODY_SLICE)]
    for side in SIDES:
        parts = [grid.index(f"{side}_{part}") for part in ("wrist", "pinky", "index", "thumb")]
        tracks.append((f"{side} arm", grid.point(f"{side}_wrist") - neck, parts))
        tracks.append((f"{side} elbow", grid.point(f"{side}_elbow") - neck, [grid.index(f"{side}_elbow")]))
        tracks.append((f"{side} hand", grid.point(f"{side}_hand_wrist"), HAND_SLICES[side]))
    for where, track, columns in tracks:
        away = jumped(track, grid.time_ns, config.max_person_speed_m_s, config.jump_m)
        finite = np.asarray(np.isfinite(track).all(axis=1))
        known = int(finite.sum())
        if not away.any():
            continue
        detail = ""
        if away.sum() > (1 - _LEAST_SHARE) * known:
            detail, away = f"only {known - int(away.sum())} of {known} hang together", finite
        grid = edits.drop(grid, away, columns)
        faults.append(
            InputFault(fault="jump", where=where, frames=int(away.sum()), of=len(away), done="dropped", detail=detail)
        )
    return grid, faults


def jumped(
    track: Float64[np.ndarray, "t 3"], time_ns: np.ndarray, speed_m_s: float, slack_m: float
) -> Bool[np.ndarray, " t"]:
    """Frames (finite ones) outside the longest chain of frames that a speed of `speed_m_s` can connect.

    A step of up to `slack_m` more is noise. Unbroken pieces are linked by dynamic programming over pairs of them.
    """
    known = np.flatnonzero(np.isfinite(track).all(axis=1))
    out = np.zeros(len(track), dtype=bool)
    if len(known) < 2:
        return out
    p, t = track[known], np.asarray(time_ns)[known] * 1e-9
    broken = np.linalg.norm(np.diff(p, axis=0), axis=1) > speed_m_s * np.diff(t) + slack_m
    if not broken.any():
        return out
    edges = np.concatenate([[0], np.flatnonzero(broken) + 1, [len(known)]])
    first, stop = edges[:-1], edges[1:]
    if len(first) > _MOST_PIECES:
        out[known] = True
        return out
    length, before = (stop - first).astype(float), np.full(len(first), -1)
    best = length.copy()
    for i in range(1, len(first)):
        gap = np.linalg.norm(p[first[i]] - p[stop[:i] - 1], axis=1)
        linked = gap <= speed_m_s * (t[first[i]] - t[stop[:i] - 1]) + slack_m
        if linked.any():
            j = int(np.argmax(np.where(linked, best[:i], -1)))
            best[i], before[i] = length[i] + best[j], j
    kept, i = np.zeros(len(known), dtype=bool), int(np.argmax(best))
    while i >= 0:
        kept[first[i] : stop[i]] = True
        i = int(before[i])
    out[known[~kept]] = True
    return out
