"""A person's motion drawn as a skeleton that stands on a floor, seen from in front: what to show where no video is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from vidpretrain import geometry
from vidpretrain.report.draw import bone_colour
from vidpretrain.skeletons import BODY_SLICE, SIDES, skeleton
from vidpretrain.types import HumanMotion

_BACKGROUND, _GRID, _EDGE = (237, 240, 243), (205, 210, 216), (60, 66, 74)
_OVERSAMPLE = 2
_TURN_RAD, _TILT_RAD = np.deg2rad(22.0), np.deg2rad(-10.0)  # as the robots are seen: a little from the left and above
_FOV_RAD, _CALM_S, _MARGIN_M = np.deg2rad(45.0), 0.5, 0.15
_GRID_M, _HEAD_M = 0.5, 0.24


@dataclass(frozen=True, kw_only=True)
class _Eye:
    """A camera: right, up and ahead as rows, where it is, pixels per unit of slope, the middle of the picture."""

    axes: np.ndarray
    p: np.ndarray
    focal_px: float
    middle: np.ndarray

    def project(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(pixels (... 2), depth (...)); points behind the eye are NaN."""
        seen = (p - self.p) @ self.axes.T
        depth = np.where(seen[..., 2] > 0.05, seen[..., 2], np.nan)
        slope = seen[..., :2] / depth[..., None] * np.array([1.0, -1.0])
        return self.middle + self.focal_px * slope, depth


def draw_person(
    motion: HumanMotion, rows: Int64[np.ndarray, " n"], size_px: tuple[int, int]
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Pictures of these rows, (width, height) pixels: left orange, right blue, the middle white, unseen points absent.

    The eye goes along with a person who walks. A motion of hands alone has no floor.
    """
    eyes = _eyes(motion, size_px)
    kind = skeleton(motion.skeleton)
    known = np.asarray(motion.valid) & np.isfinite(motion.p_world_keypoint).all(axis=2)
    for t in rows.tolist():
        yield _picture(motion.p_world_keypoint[t], known[t], kind, eyes[t], size_px, bool(motion.body_seen))


def heading(motion: HumanMotion) -> np.ndarray:
    """The horizontal unit vector (3) that the person faces at first; x where no trunk was seen."""
    known = np.isfinite(motion.T_world_root).all(axis=1)
    if not known.any():
        return np.array([1.0, 0.0, 0.0])
    forward = geometry.rotate(motion.T_world_root[known][0, :4], np.array([1.0, 0.0, 0.0])) * np.array([1.0, 1.0, 0.0])
    length = float(np.linalg.norm(forward))
    return forward / length if length > 1e-6 else np.array([1.0, 0.0, 0.0])


def _eyes(motion: HumanMotion, size_px: tuple[int, int]) -> list[_Eye]:
    forward = heading(motion)
    azimuth = np.arctan2(forward[1], forward[0]) + np.pi + _TURN_RAD
    level, tilt = np.cos(_TILT_RAD), np.sin(_TILT_RAD)
    ahead = np.array([np.cos(azimuth) * level, np.sin(azimuth) * level, tilt])
    right = geometry.normalize(np.cross(ahead, [0.0, 0.0, 1.0]))
    axes = np.stack([right, np.cross(right, ahead), ahead])
    path = _path(motion)
    seen = (motion.p_world_keypoint - path[:, None])[np.asarray(motion.valid)] @ axes.T
    seen = seen[np.isfinite(seen).all(axis=1)]
    low, high = np.quantile(seen, [0.005, 0.995], axis=0) if len(seen) else (np.zeros(3), np.ones(3))
    margin = _MARGIN_M if motion.body_seen else 0.25 * _MARGIN_M
    if motion.body_seen and not np.asarray(motion.valid)[:, skeleton(motion.skeleton).index("nose")].any():
        high[1] += _HEAD_M  # the head that is drawn instead
    half = 0.5 * (high - low) + margin
    slope = np.tan(0.5 * _FOV_RAD)
    away = max(half[1] / slope, half[0] / (slope * size_px[0] / size_px[1])) + half[2]
    middle = 0.5 * (low + high) @ axes
    focal = 0.5 * size_px[1] / slope
    centre = 0.5 * np.array(size_px, dtype=float)
    return [_Eye(axes=axes, p=place + middle - away * ahead, focal_px=focal, middle=centre) for place in path]


def _path(motion: HumanMotion) -> np.ndarray:
    """Where the eye goes (t 3): the middle of the points that are known, without what is quick; height 0."""
    from scipy.ndimage import gaussian_filter1d

    known = np.asarray(motion.valid) & np.isfinite(motion.p_world_keypoint).all(axis=2)
    weight = known.sum(axis=1)
    middle = np.where(known[..., None], motion.p_world_keypoint, 0.0).sum(axis=1) / np.maximum(weight, 1)[:, None]
    some = np.flatnonzero(weight)
    if len(some) == 0:
        return np.zeros_like(middle)
    rows = np.arange(len(middle))
    filled = np.stack([np.interp(rows, some, middle[some, k]) for k in range(3)], axis=1)
    step_s = float(np.median(np.diff(motion.time_ns))) * 1e-9 if len(middle) > 1 else 1.0
    out = gaussian_filter1d(filled, _CALM_S / max(step_s, 1e-3), axis=0, mode="nearest")
    out[:, 2] = 0.0 if motion.body_seen else np.median(filled[:, 2])
    return out


def _picture(p, known, kind, eye: _Eye, size_px: tuple[int, int], floor: bool) -> np.ndarray:
    from PIL import Image, ImageDraw

    big = (size_px[0] * _OVERSAMPLE, size_px[1] * _OVERSAMPLE)
    picture = Image.new("RGB", big, _BACKGROUND)
    pen = ImageDraw.Draw(picture)
    if floor:
        _draw_floor(pen, eye)
    pixel, depth = eye.project(np.where(known[:, None], p, np.nan))
    pixel = pixel * _OVERSAMPLE
    shown = np.asarray(np.isfinite(pixel).all(axis=1))
    bones = [(a, b) for a, b in (*kind.bones, *_trunk(kind)) if shown[a] and shown[b]]
    unit = eye.focal_px * _OVERSAMPLE
    for a, b in sorted(bones, key=lambda bone: -(depth[bone[0]] + depth[bone[1]])):  # the far ones first
        body = a < BODY_SLICE.stop and b < BODY_SLICE.stop
        width = max(2.0, (0.028 if body else 0.011) * unit / (0.5 * (depth[a] + depth[b])))
        colour = _hand_colour(kind, a) if not body else bone_colour(kind, a, b)
        for extra, fill in ((2 * _OVERSAMPLE, _EDGE), (0, colour)):
            _limb(pen, pixel[a], pixel[b], width + extra, fill)
    if floor and not shown[kind.index("nose")]:
        _draw_head(pen, eye, p, known, kind)
    return np.asarray(picture.resize(size_px, Image.Resampling.BOX))


def _draw_head(pen: Any, eye: _Eye, p: np.ndarray, known: np.ndarray, kind) -> None:
    """A ring above the shoulders where the motion says nothing of the head: only for the eye, so it is empty."""
    names = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    corners = kind.indices(*names)
    if not known[corners].all():
        return
    shoulders, hips = p[corners[:2]].mean(axis=0), p[corners[2:]].mean(axis=0)
    middle = shoulders + _HEAD_M * geometry.normalize(shoulders - hips)
    pixel, depth = eye.project(middle[None])
    if np.isfinite(pixel).all():
        x, y = pixel[0] * _OVERSAMPLE
        radius = 0.105 * eye.focal_px * _OVERSAMPLE / float(depth[0])
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=_EDGE, width=2 * _OVERSAMPLE)


def _trunk(kind) -> tuple[tuple[int, int], ...]:
    """Ears to nose: without them a head is one point."""
    return tuple((kind.index("nose"), kind.index(f"{side}_ear")) for side in SIDES) if kind.name == "human75" else ()


def _hand_colour(kind, a: int) -> tuple[int, int, int]:
    return bone_colour(kind, a, a)


def _limb(pen: Any, a: np.ndarray, b: np.ndarray, width: float, fill: tuple[int, int, int]) -> None:
    radius = 0.5 * width
    pen.line([*a, *b], fill=fill, width=max(1, round(width)))
    for x, y in (a, b):
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=fill)


def _draw_floor(pen: Any, eye: _Eye) -> None:
    """Lines every half metre on z = 0 around the place that the eye looks at."""
    flat = eye.axes[2] * np.array([1.0, 1.0, 0.0])
    at = np.floor((eye.p + 4.0 * flat)[:2] / _GRID_M) * _GRID_M
    steps = np.arange(-6, 7) * _GRID_M
    reach = np.linspace(steps[0], steps[-1], 25)
    for step in steps:
        for line in (
            np.stack([at[0] + reach, np.full(25, at[1] + step), np.zeros(25)], axis=1),
            np.stack([np.full(25, at[0] + step), at[1] + reach, np.zeros(25)], axis=1),
        ):
            pixel, _ = eye.project(line)
            pixel = pixel[np.isfinite(pixel).all(axis=1)] * _OVERSAMPLE
            if len(pixel) > 1:
                pen.line([tuple(xy) for xy in pixel], fill=_GRID, width=_OVERSAMPLE)
