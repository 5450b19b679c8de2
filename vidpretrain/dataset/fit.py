"""Pictures of any size into one size, and the camera that belongs to the result."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import UInt8

from vidpretrain.dataset.config import FitMode
from vidpretrain.types import Camera


def fit_image(
    frame: UInt8[np.ndarray, "h w 3"], height_px: int, width_px: int, mode: FitMode = "pad"
) -> UInt8[np.ndarray, "H W 3"]:
    """The picture at height_px x width_px: black borders ("pad"), cut edges ("crop") or other proportions ("squash").

    Scaling averages over the pixels it merges (Pillow's antialiased bilinear filter). A picture of the right size
    comes back as it is.
    """
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"a frame is uint8 (h, w, 3), not {frame.dtype} {frame.shape}")
    if frame.shape[:2] == (height_px, width_px):
        return frame
    from PIL import Image

    height, width = frame.shape[:2]
    box, (top, left, inner_h, inner_w) = _geometry(height, width, height_px, width_px, mode)
    scaled = np.asarray(Image.fromarray(frame).resize((inner_w, inner_h), Image.Resampling.BILINEAR, box=box))
    if (inner_h, inner_w) == (height_px, width_px):
        return scaled
    out = np.zeros((height_px, width_px, 3), dtype=np.uint8)
    out[top : top + inner_h, left : left + inner_w] = scaled
    return out


def fit_camera(camera: Camera, height_px: int, width_px: int, mode: FitMode = "pad") -> Camera:
    """The camera of the picture that `fit_image` makes: focal lengths and centre moved and scaled alike.

    A picture spans [0, width] x [0, height]: its left edge is at u = 0, the first pixel's centre at u = 0.5.
    """
    if (camera.height_px, camera.width_px) == (height_px, width_px):
        return camera
    box, (top, left, inner_h, inner_w) = _geometry(camera.height_px, camera.width_px, height_px, width_px, mode)
    scale_x, scale_y = inner_w / (box[2] - box[0]), inner_h / (box[3] - box[1])
    K = camera.K.copy()
    K[0] *= scale_x
    K[1] *= scale_y
    K[0, 2] = (camera.K[0, 2] - box[0]) * scale_x + left
    K[1, 2] = (camera.K[1, 2] - box[1]) * scale_y + top
    return dataclasses.replace(camera, K=K, width_px=width_px, height_px=height_px)


def _geometry(h: int, w: int, H: int, W: int, mode: FitMode):
    """(source box left, top, right, bottom), (target top, left, height, width)."""
    whole = (0.0, 0.0, float(w), float(h))
    if mode == "squash":
        return whole, (0, 0, H, W)
    if mode == "crop":
        scale = max(W / w, H / h)
        cut_w, cut_h = W / scale, H / scale
        left, top = (w - cut_w) / 2, (h - cut_h) / 2
        return (left, top, left + cut_w, top + cut_h), (0, 0, H, W)
    if mode != "pad":
        raise ValueError(f"fit is pad, squash or crop, not {mode!r}")
    scale = min(W / w, H / h)
    inner_w, inner_h = max(1, min(W, round(w * scale))), max(1, min(H, round(h * scale)))
    return whole, ((H - inner_h) // 2, (W - inner_w) // 2, inner_h, inner_w)
