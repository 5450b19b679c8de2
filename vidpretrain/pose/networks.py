"""MediaPipe's hand and pose landmarkers in image mode, made once per process.

Image mode, because video mode smears left-right mistakes over frames and lags behind; time is dealt with afterwards.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vidpretrain.errors import MissingExtra
from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.pose.quiet import quiet_stderr

_MAX_HANDS, _MAX_PEOPLE = 4, 4
_MARGIN = 0.25  # of the picture's height, repeated from its edge around it


def find_hands(
    frame: UInt8[np.ndarray, "h w 3"],
    box: tuple[int, int, int, int],
    origin: str,
    model: Path,
    confidence: float,
    network_px: int,
) -> list[HandSighting]:
    """Hands in the part (x, y, exclusive end x, exclusive end y) of an RGB frame, in pixels of the whole frame.

    A part may reach over the picture's edges: the pixels there are repeated outwards, and hands are taken that lie in
    the picture by half.
    """
    x, y, x_end, y_end = box
    net = _landmarker("hand", str(model), confidence, os.getpid())
    part, over = _part(frame, box)
    found = net.detect(_image(part, network_px))
    scale, offset = np.array([x_end - x, y_end - y], dtype=float), np.array([x, y], dtype=float)
    out = []
    for points, world, label in zip(found.hand_landmarks, found.hand_world_landmarks, found.handedness, strict=True):
        image = np.array([(p.x, p.y) for p in points]) * scale + offset
        relative = np.array([(p.x, p.y, p.z) for p in world])
        score = float(label[0].score)
        p_left = score if label[0].category_name == "Left" else 1.0 - score
        if over and ((image > 0) & (image < np.array(frame.shape[1::-1]))).all(1).mean() < 0.5:
            continue
        out.append(HandSighting(p_image=image, p_relative=relative, p_left=p_left, origin=origin))  # type: ignore[arg-type]
    return out


def find_bodies(
    frame: UInt8[np.ndarray, "h w 3"], model: Path, confidence: float, network_px: int
) -> list[BodySighting]:
    """Up to four bodies in an RGB frame, the most prominent first; a body that is not there costs no time."""
    found = _landmarker("pose", str(model), confidence, os.getpid()).detect(_image(frame, network_px))
    size = np.array([frame.shape[1], frame.shape[0]], dtype=float)
    return [
        BodySighting(
            p_image=np.array([(p.x, p.y) for p in points]) * size,
            p_relative=np.array([(p.x, p.y, p.z) for p in world]),
            visibility=np.array([min(max(p.visibility, 0.0), 1.0) for p in points]),
        )
        for points, world in zip(found.pose_landmarks, found.pose_world_landmarks, strict=True)
    ]


def find_hands_at_edges(
    frame: UInt8[np.ndarray, "h w 3"], model: Path, confidence: float, network_px: int
) -> list[HandSighting]:
    """Hands in the whole frame with its edge pixels repeated outwards: hands that reach in over the edge are found."""
    height, width = frame.shape[:2]
    margin = round(_MARGIN * height)
    box = (-margin, -margin, width + margin, height + margin)
    return find_hands(frame, box, "edge", model, confidence, network_px)


def _part(frame: np.ndarray, box: tuple[int, int, int, int]) -> tuple[np.ndarray, bool]:
    """The pixels of a box, the edge's repeated where it reaches over it; and whether it does."""
    (x, y, x_end, y_end), (height, width) = box, frame.shape[:2]
    inside = frame[max(y, 0) : y_end, max(x, 0) : x_end]
    over = (max(-y, 0), max(y_end - height, 0), max(-x, 0), max(x_end - width, 0))
    if not any(over):
        return inside, False
    import cv2

    return cv2.copyMakeBorder(inside, *over, cv2.BORDER_REPLICATE), True


@cache
def _landmarker(kind: str, model: str, confidence: float, pid: int) -> Any:
    """One landmarker per process: `pid` keeps a forked child from using its parent's threads."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with quiet_stderr():
            from mediapipe.tasks.python import vision
            from mediapipe.tasks.python.core.base_options import BaseOptions
    except ImportError:
        raise MissingExtra(
            "mediapipe is not installed", asked="pose.estimator=mediapipe", next_command="pip install vidpretrain[pose]"
        ) from None
    base = BaseOptions(model_asset_path=model)
    with quiet_stderr():
        if kind == "hand":
            net: Any = vision.HandLandmarker.create_from_options(
                vision.HandLandmarkerOptions(
                    base_options=base, num_hands=_MAX_HANDS, min_hand_detection_confidence=confidence
                )
            )
        else:
            net = vision.PoseLandmarker.create_from_options(
                vision.PoseLandmarkerOptions(
                    base_options=base, num_poses=_MAX_PEOPLE, min_pose_detection_confidence=confidence
                )
            )
    # One reference too many: its destructor would run while the interpreter is taken apart, and complain.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(net))
    return net


def _image(part: np.ndarray, network_px: int) -> Any:
    import cv2
    import mediapipe

    long_side = max(part.shape[:2])
    if long_side > network_px:
        share = network_px / long_side
        size = (max(1, round(part.shape[1] * share)), max(1, round(part.shape[0] * share)))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(part))
