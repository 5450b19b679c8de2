"""Landmarks drawn on a video frame: left orange, right blue, the middle of the body white."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from vidpretrain.skeletons import Skeleton, skeleton
from vidpretrain.types import PoseTrack

LEFT, RIGHT, MIDDLE = (255, 150, 40), (70, 190, 255), (245, 245, 245)
_EDGE = (0, 0, 0, 170)
_OVERSAMPLE = 2  # PIL draws without anti-aliasing


def draw_tracks(
    frame: UInt8[np.ndarray, "h w 3"],
    tracks: Sequence[PoseTrack],
    index: int,
    *,
    width_px: int | None = None,
    min_confidence: float = 0.5,
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """A new RGB picture: `frame` scaled to `width_px` (its own width when None) with row `index` of every track on it.

    Points are in pixels of `frame`. Body points under `min_confidence` are left out; a hand is drawn when it was
    found, because its confidence belongs to the hand as a whole. NaN points are never drawn.
    """
    from PIL import Image, ImageDraw

    height, width = frame.shape[:2]
    scale = (width_px or width) / width
    size = (round(width * scale), round(height * scale))
    picture = Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.LANCZOS)
    layer = Image.new("RGBA", (size[0] * _OVERSAMPLE, size[1] * _OVERSAMPLE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    for track in sorted(tracks, key=lambda track: track.skeleton != "body33"):  # hands above the body
        body = track.skeleton == "body33"
        threshold = min_confidence if body else 1e-9
        points = track.p_image_keypoint[index] * scale * _OVERSAMPLE
        shown = np.isfinite(points).all(axis=1) & (track.confidence[index] >= threshold)
        _draw_skeleton(pen, skeleton(track.skeleton), points, shown, max(size) / (220 if body else 320))
    layer = layer.resize(size, Image.Resampling.BOX)
    picture.paste(layer, mask=layer)
    return np.asarray(picture)


def _draw_skeleton(pen: Any, kind: Skeleton, points: Float[np.ndarray, "k 2"], shown: np.ndarray, unit: float) -> None:
    line = max(1, round(unit * _OVERSAMPLE))
    bones = [bone for bone in kind.bones if shown[bone[0]] and shown[bone[1]]]
    for extra, edge in ((_OVERSAMPLE, True), (0, False)):
        for a, b in bones:
            color = _EDGE if edge else bone_colour(kind, a, b)
            pen.line([*points[a], *points[b]], fill=color, width=line + extra, joint="curve")
    radius = max(0.9 * line, 1.5 * _OVERSAMPLE)
    for k in np.flatnonzero(shown).tolist():
        x, y = points[k]
        for size, fill in ((radius + 1, _EDGE), (radius, bone_colour(kind, k, k))):
            pen.ellipse([x - size, y - size, x + size, y + size], fill=fill)


def bone_colour(kind: Skeleton, a: int, b: int) -> tuple[int, int, int]:
    """RGB of the bone between keypoints a and b (a point where they are the same)."""
    if kind.name.startswith("hand21"):
        return LEFT if kind.name.endswith("left") else RIGHT
    sides = {_side(kind.names[a]), _side(kind.names[b])}
    if sides == {"left"}:
        return LEFT
    return RIGHT if sides == {"right"} else MIDDLE


def _side(name: str) -> str:
    return "left" if "left" in name else "right" if "right" in name else "middle"
