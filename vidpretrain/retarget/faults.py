"""What an input got wrong: times, numbers, units, jumps, sides and which way is up. Found, counted, and left out."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.retarget import edits, human, jumps, sides
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.retarget.upright import upright
from vidpretrain.skeletons import BODY_SLICE, HAND_SLICES, SIDES
from vidpretrain.types import FaultName, HumanMotion, InputFault

_HAND_M, _SHOULDERS_M = 0.09, 0.36
_OTHER_UNIT = 8.0  # so many times larger or smaller is no person but another unit
_PARTS = {"body": BODY_SLICE, **{f"{side} hand": HAND_SLICES[side] for side in SIDES}}


def in_order(motion: HumanMotion) -> tuple[HumanMotion, list[InputFault]]:
    """The motion without frames whose time does not come after all before, or not before all after (the fewer)."""
    time_ns = np.asarray(motion.time_ns)
    late = time_ns[1:] <= np.maximum.accumulate(time_ns)[:-1]
    early = time_ns[:-1] >= np.minimum.accumulate(time_ns[::-1])[::-1][1:]
    bad = np.append(early, False) if early.sum() < late.sum() else np.insert(late, 0, False)
    if not bad.any():
        return motion, []
    kept = {
        field.name: getattr(motion, field.name)[~bad]
        for field in dataclasses.fields(motion)
        if isinstance(getattr(motion, field.name), np.ndarray)
    }
    poses = motion.camera.T_world_camera
    if poses is not None and len(poses) == len(time_ns):
        kept["camera"] = dataclasses.replace(motion.camera, T_world_camera=poses[~bad])
    fault = InputFault(fault="bad_time", where="clip", frames=int(bad.sum()), of=len(bad), done="dropped")
    return dataclasses.replace(motion, **kept), [fault]


def bad_numbers(motion: HumanMotion) -> list[InputFault]:
    """Frames whose valid points, or their sigma, are no numbers; `resample` leaves such points out."""
    finite = np.isfinite(motion.p_world_keypoint).all(axis=-1) & np.isfinite(motion.sigma_m) & (motion.sigma_m >= 0)
    wrong = np.asarray(motion.valid & ~finite)
    return [
        _fault("not_finite", name, np.any(wrong[:, columns], axis=1), "dropped")
        for name, columns in _PARTS.items()
        if wrong[:, columns].any()
    ]


def clean(grid: GridMotion, motion: HumanMotion, config: RetargetConfig) -> tuple[GridMotion, list[InputFault], str]:
    """(the motion without what lies, what was found, why the whole clip is refused or "").

    Mirrored hands are refused later, by `hands.seen_hand`, unless `on_mirrored` is "swap".
    """
    found = _missing(grid)
    grid, more, refused = _sizes(grid, config)
    found += more
    if refused:
        return grid, found, refused
    grid, more, refused = upright(grid, motion.camera, config)
    found += more
    if refused:
        return grid, found, refused
    grid, more = sides.with_sides(grid, config)
    found += more
    grid, more = jumps.without_jumps(grid, config)
    return grid, found + more, ""


def _fault(fault: FaultName, where: str, frames: np.ndarray, done, detail: str = "") -> InputFault:
    return InputFault(fault=fault, where=where, frames=int(frames.sum()), of=len(frames), done=done, detail=detail)


def _missing(grid: GridMotion) -> list[InputFault]:
    """Frames without a hand, or without both shoulders, that was seen in others."""
    out = []
    for name, columns in _PARTS.items():
        if name == "body":
            seen = grid.seen("left_shoulder", "right_shoulder")
        else:
            seen = np.asarray(grid.valid[:, columns].all(axis=1))
        if seen.any() and not seen.all():
            out.append(_fault("missing", name, ~seen, "bridged"))
    if not grid.valid.any():
        out.append(_fault("missing", "clip", np.ones(len(grid.valid), dtype=bool), "refused"))
    return out


def _sizes(grid: GridMotion, config: RetargetConfig) -> tuple[GridMotion, list[InputFault], str]:
    """Hands of no human size, and frames whose shoulders are far wider or narrower than the clip's, left out.

    The text says why the clip is refused: most of it is in another unit.
    """
    out: list[InputFault] = []
    for side in SIDES:
        points = grid.hand(side)
        found = grid.valid[:, HAND_SLICES[side]].all(axis=1)
        span = np.where(found, human.hand_span(points), _HAND_M)
        odd = (span < config.min_hand_span_m) | (span > config.max_hand_span_m)
        grid = edits.drop(grid, odd, HAND_SLICES[side])
        out += _named(f"{side} hand", odd, span / _HAND_M, points)
    width = np.linalg.norm(grid.point("left_shoulder") - grid.point("right_shoulder"), axis=1)
    known = np.isfinite(width) & (width > 0)
    if known.any():
        middle = float(np.median(width[known]))
        usual = middle if 1 / _OTHER_UNIT < middle / _SHOULDERS_M < _OTHER_UNIT else _SHOULDERS_M
        ratio = np.where(known, width / usual, 1.0)
        odd = (ratio > _OTHER_UNIT) | (ratio < 1 / _OTHER_UNIT)
        body = grid.p_world_keypoint[:, BODY_SLICE]
        guess = unit_guess(float(np.median(ratio[odd])), body[odd]) if odd.any() else ""
        if odd.sum() > 0.5 * known.sum():
            out.append(_fault("units", "body", odd, "refused", guess))
            return grid, out, f"shoulders {middle:.3g} m apart in the middle of the clip: not in metres ({guess})"
        grid = edits.drop(grid, odd, BODY_SLICE)
        out += _named("body", odd, ratio, body)
    return grid, out, ""


def _named(
    where: str, odd: Bool[np.ndarray, " t"], ratio: Float64[np.ndarray, " t"], points: np.ndarray
) -> list[InputFault]:
    """Frames of another unit and frames of another size, one fault each."""
    unit = odd & ((ratio > _OTHER_UNIT) | (ratio < 1 / _OTHER_UNIT))
    out = []
    if unit.any():
        out.append(_fault("units", where, unit, "dropped", unit_guess(float(np.median(ratio[unit])), points[unit])))
    if (odd & ~unit).any():
        times = float(np.median(ratio[odd & ~unit]))
        out.append(_fault("size", where, odd & ~unit, "dropped", f"{times:.2g} times a person's"))
    return out


def unit_guess(ratio: float, points: Float64[np.ndarray, "n k 3"]) -> str:
    """In words, what a person `ratio` times as large as one in metres is measured in; flat ones in pixels."""
    known = np.isfinite(points).all(axis=-1)
    if known.any() and ratio > _OTHER_UNIT:
        extent = np.sort(np.ptp(points[known], axis=0))
        if extent[0] < 0.02 * extent[1]:
            return f"flat and {ratio:.0f} times a person in metres: in pixels"
    if 300 < ratio < 3000:
        return f"{ratio:.0f} times a person in metres: in millimetres, or in pixels"
    if 30 < ratio <= 300:
        return f"{ratio:.0f} times a person in metres: in centimetres, or in pixels"
    return f"{ratio:.2g} times a person in metres"
