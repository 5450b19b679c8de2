"""A person drawn as numbers: bodies and hands whose truth is known."""

from __future__ import annotations

import numpy as np

from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.skeletons import BODY_NAMES

_UPRIGHT = {  # metres: x to the person's left, y up, z to the front, hips at the origin
    "shoulder": (0.18, 0.5, 0.0),
    "elbow": (0.24, 0.24, 0.0),
    "wrist": (0.26, 0.0, 0.05),
    "hip": (0.1, 0.0, 0.0),
    "knee": (0.11, -0.42, 0.03),
    "ankle": (0.12, -0.82, -0.02),
    "eye": (0.03, 0.72, 0.08),
}


def body(turn: float = 0.0, at=(640.0, 360.0), scale: float = 300.0, swing: float = 0.0) -> BodySighting:
    """A body turned by `turn` rad about the vertical (0: facing the camera), `scale` px per metre, arms swinging."""
    points = np.zeros((33, 3))
    for i, name in enumerate(BODY_NAMES):
        side = 1.0 if "left" in name else -1.0 if "right" in name else 0.0
        part = next((key for key in _UPRIGHT if key in name), None)
        x, y, z = _UPRIGHT[part] if part else (0.02, 0.7, 0.1) if "heel" not in name else (0.12, -0.85, 0)
        forward = z + (side * swing if part in ("wrist", "knee", "ankle") else 0.0)
        right = side * x  # to the picture's right when facing the camera
        cos, sin = np.cos(turn), np.sin(turn)
        points[i] = (right * cos + forward * sin, -y, right * sin - forward * cos)
    return BodySighting(
        p_image=points[:, :2] * scale + np.asarray(at, dtype=float),
        p_relative=points,
        visibility=np.full(33, 0.98),
    )


def hand(at, p_left: float, length: float = 60.0, origin="frame") -> HandSighting:
    """An open hand pointing down with its wrist at a pixel."""
    shape = np.zeros((21, 3))
    for finger in range(5):
        for part in range(4):
            shape[1 + 4 * finger + part] = (0.02 * (finger - 2), 0.06 + 0.03 * part, 0.0)
    scale = length / 0.15
    return HandSighting(
        p_image=shape[:, :2] * scale + np.asarray(at, dtype=float),
        p_relative=shape - shape.mean(0),
        p_left=p_left,
        origin=origin,
    )


def frames_ns(count: int, rate: float = 30.0) -> np.ndarray:
    """Times of frames."""
    return np.round(np.arange(count) * 1e9 / rate).astype(np.int64)


def tiny_pose_model(folder):
    """A ViTPose of one layer with random weights, in a folder as the Hub would have it."""
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessor

    backbone = VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    target = folder / "tiny_vitpose"
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).save_pretrained(target)
    VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(target)
    return target
