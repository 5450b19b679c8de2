"""From a file's units and axes to metres with z up, with what a person's own proportions say about both."""

from __future__ import annotations

import numpy as np

from vidpretrain.errors import InputError
from vidpretrain.motion_files.config import MotionFileConfig
from vidpretrain.motion_files.raw import HUMAN
from vidpretrain.skeletons import SIDES

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
# Winter, "Biomechanics and Motor Control of Human Movement", figure 4.1: hip to ankle, shoulder to wrist
_LEG, _ARM, _HEIGHTS_M, _PALM_M = 0.491, 0.332, (1.25, 2.15), (0.05, 0.14)
_UP = {f"{sign}{axis}": (s, k) for sign, s in (("", 1.0), ("-", -1.0)) for k, axis in enumerate("xyz")}
_TO_Z_UP = {0: (1, 2, 0), 1: (2, 0, 1), 2: (0, 1, 2)}  # cyclic, so that a rotation and no mirror


def _track(p: np.ndarray, name: str) -> np.ndarray:
    return p[:, HUMAN.index(name)]


def _length(p: np.ndarray, *names: str) -> np.ndarray:
    """(t) length of a polyline."""
    track = np.stack([_track(p, name) for name in names], axis=1)
    return np.linalg.norm(np.diff(track, axis=1), axis=-1).sum(axis=1)


def _spread(length: np.ndarray) -> tuple[float, float]:
    """(median, spread of the middle half over the median) of what is known; NaN where nothing is."""
    known = length[np.isfinite(length)]
    if not len(known) or np.median(known) <= 0:
        return float("nan"), float("nan")
    low, middle, high = np.percentile(known, [25, 50, 75])
    return float(middle), float((high - low) / middle)


def _size(p: np.ndarray, path) -> tuple[float, float, str, tuple[float, float], float]:
    """(size in the file's units, spread, what it is, what it is in metres, share of the height)."""
    for parts, share, what in ((("hip", "knee", "ankle"), _LEG, "leg"), (("shoulder", "elbow", "wrist"), _ARM, "arm")):
        both = np.concatenate([_length(p, *(f"{side}_{part}" for part in parts)) for side in SIDES])
        middle, spread = _spread(both)
        if np.isfinite(middle):
            low, high = _HEIGHTS_M
            return middle, spread, what, (share * low, share * high), share
    palms = [_length(p, f"{side}_hand_wrist", f"{side}_hand_middle_mcp") for side in SIDES]
    middle, spread = _spread(np.concatenate(palms))
    if np.isfinite(middle):
        return middle, spread, "palm", _PALM_M, float("nan")
    raise InputError("no frame has a leg, an arm or a palm with finite points", asked=path)


def unit_m(p: np.ndarray, config: MotionFileConfig, path) -> tuple[float, float]:
    """(metres per unit of the file, the person's height in metres or NaN).

    Raises:
        InputError: limbs of no constant length (pixels, or no skeleton), or of no human size in any unit.
    """
    size, spread, what, (low, high), share = _size(p, path)
    if spread > config.max_length_spread:
        raise InputError(
            f"the {what} changes its length by {spread:.0%}: these are no points in space (pixels?)",
            asked=path,
            valid=f"at most {config.max_length_spread:.0%}",
        )
    unit = config.unit_m
    if unit is None:
        fits = [value for value in UNITS.values() if low <= size * value <= high]
        if not fits:
            raise InputError(
                f"a {what} of {size:.3g} is no person's in {', '.join(UNITS)}",
                asked=path,
                valid=f"{low:.2f} to {high:.2f} m",
                next_command="motion_files.unit_m=METRES_PER_UNIT",
            )
        unit = fits[0]
    return unit, unit * size / share


def to_z_up(p: np.ndarray, config: MotionFileConfig, path) -> np.ndarray:
    """Points turned so that the file's vertical axis is z; a lone hand, which has none, stays as it is.

    Raises:
        InputError: the body is upside down, or along no axis, and `up` was not given.
    """
    up = config.up
    if up == "auto":
        body = np.isfinite(_track(p, "left_shoulder")).any()
        up = _vertical(p, path) if body else "z"
    sign, axis = _UP[up]
    turned = p[..., list(_TO_Z_UP[axis])]
    return turned if sign > 0 else turned * np.array([1.0, -1.0, -1.0])


def _vertical(p: np.ndarray, path) -> str:
    """The axis along which the shoulders are over the hips, feet or, without both, the hands."""
    top = 0.5 * (_track(p, "left_shoulder") + _track(p, "right_shoulder"))
    for low in ("ankle", "hip", "wrist"):
        spine = top - 0.5 * (_track(p, f"left_{low}") + _track(p, f"right_{low}"))
        spine = spine[np.isfinite(spine).all(axis=1)]
        if len(spine):
            break
    else:
        raise InputError("no frame shows which way is up", asked=path, next_command="motion_files.up=z")
    mean = np.median(spine / np.linalg.norm(spine, axis=1, keepdims=True), axis=0)
    axis = int(np.argmax(np.abs(mean)))
    if axis == 0 or mean[axis] < 0.5:
        found = "lies down" if abs(mean[axis]) < 0.5 or axis == 0 else "is upside down"
        raise InputError(
            f"the person {found}: shoulders over feet point along {np.round(mean, 2).tolist()}",
            asked=path,
            valid="y or z up",
            next_command="motion_files.up=-y, or another of x y z -x -y -z, if that is right",
        )
    return "xyz"[axis]
