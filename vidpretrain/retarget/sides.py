"""Left for right: bodies whose sides are exchanged in some frames or all, and hands of the wrong chirality."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.retarget import edits, human
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.skeletons import BODY_SLICE, HAND_SLICES, SIDES
from vidpretrain.types import InputFault

_FACE_M = 0.03
_ABOUT_FACE = -0.5  # cosine of the shoulders' turn between two frames that nobody makes


def face_is_behind(grid: GridMotion) -> tuple[bool, float]:
    """Whether the face is behind the ears, so that left and right are exchanged (or mirrored), and by how much (m)."""
    T_world_torso, seen = human.torso(grid)
    ahead_m = human.face_ahead(grid, T_world_torso) if seen.any() else float("nan")
    return ahead_m < -_FACE_M, ahead_m


def with_sides(grid: GridMotion, config: RetargetConfig) -> tuple[GridMotion, list[InputFault]]:
    """The motion with the body's sides the same in all frames, and with "swap" all sides by the evidence.

    Frames in which the shoulders turn about within one frame, and back later, have their sides exchanged: they are
    dropped, or with "swap" exchanged back. A body whose face is behind its ears all the time is exchanged as a whole
    with "swap", and left alone else (`retarget` refuses it). Hands are exchanged with "swap" only; see `_hands`.
    """
    faults: list[InputFault] = []
    swap = config.on_mirrored == "swap"
    turned = about_face(grid.point("left_shoulder") - grid.point("right_shoulder"))
    if turned.any():
        grid = edits.exchange_body(grid, turned) if swap else edits.drop(grid, turned, BODY_SLICE)
        faults.append(_fault("exchanged", "body", turned, swap))
    if swap and face_is_behind(grid)[0]:
        every = grid.seen("left_shoulder", "right_shoulder")
        grid = edits.exchange_body(grid, every)
        faults.append(_fault("exchanged", "body", every, True))
    if swap:
        grid, more = _hands(grid, config)
        faults += more
    return grid, faults


def _fault(fault, where: str, frames: np.ndarray, swapped: bool) -> InputFault:
    return InputFault(
        fault=fault, where=where, frames=int(frames.sum()), of=len(frames), done="swapped" if swapped else "dropped"
    )


def about_face(across: Float64[np.ndarray, "t 3"]) -> Bool[np.ndarray, " t"]:
    """Frames of the rarer of two directions that a vector takes, when it turns about within single frames."""
    known = np.flatnonzero(np.isfinite(across).all(axis=1))
    out = np.zeros(len(across), dtype=bool)
    if len(known) < 2:
        return out
    unit = geometry.normalize(across[known])
    turns = np.einsum("ij,ij->i", unit[1:], unit[:-1]) < _ABOUT_FACE
    odd = np.concatenate([[False], np.cumsum(turns) % 2 == 1])
    out[known] = odd if odd.mean() <= 0.5 else ~odd
    return out


def mirrored_frames(
    points: Float64[np.ndarray, "t 21 3"], found: Bool[np.ndarray, " t"], side: str, config: RetargetConfig
) -> tuple[Bool[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """(frames in which this is the other hand or a mirror image, frames that show it is not).

    When at least `mirrored_share` of the frames with any evidence are wrong, all are: the side's label is wrong, and
    the flat frames between are no better.
    """
    with np.errstate(invalid="ignore"):
        score = human.handedness(points, side)
        wrong = found & (score < -human.HANDEDNESS_MARGIN)
        right = found & (score > human.HANDEDNESS_MARGIN)
    evidence = int(wrong.sum() + right.sum())
    if evidence and wrong.sum() >= config.mirrored_share * evidence:
        wrong = found
    return wrong, right & ~wrong


def _hands(grid: GridMotion, config: RetargetConfig) -> tuple[GridMotion, list[InputFault]]:
    """Hands exchanged in frames where one is the other side's and the other is too, or is not there.

    A wrong hand beside one that is certainly right stays, to be refused; so does one that sits at its own side's wrist
    of the body, because then its points are mirrored and not its name.
    """
    wrong, right, found = {}, {}, {}
    for side in SIDES:
        found[side] = np.asarray(grid.valid[:, HAND_SLICES[side]].all(axis=1))
        wrong[side], right[side] = mirrored_frames(grid.hand(side), found[side], side, config)
    out = np.zeros(len(grid.time_ns), dtype=bool)
    for side, other in (SIDES, SIDES[::-1]):
        out |= wrong[side] & (wrong[other] | ~found[other] | ~right[other]) & ~_at_own_wrist(grid, side, other)
    if not out.any():
        return grid, []
    grid = edits.exchange_hands(grid, out)
    faults = [
        _fault("mirrored", f"{side} hand", out & found[side], True) for side in SIDES if (out & found[side]).any()
    ]
    return grid, faults


def _at_own_wrist(grid: GridMotion, side: str, other: str) -> np.ndarray:
    """Frames in which a hand is nearer to its own side's wrist of the body than to the other's."""
    hand = grid.point(f"{side}_hand_wrist")
    own = np.linalg.norm(hand - grid.point(f"{side}_wrist"), axis=1)
    cross = np.linalg.norm(hand - grid.point(f"{other}_wrist"), axis=1)
    with np.errstate(invalid="ignore"):
        return own < cross
