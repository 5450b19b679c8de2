"""The second half of the hand network by itself: 21 points in a square in which a hand should be.

MediaPipe looks for palms first, and what its palm detector misses is lost, though the network of the points sees it:
hands of twenty pixels, blurred ones, hands behind things. It also says how sure it is that there is a hand at all
(`HandSighting.presence`), which is how doubtful findings are judged. Squares come from the body's arm, or from where
the hand was in the last frame; the points give the next square (Zhang et al. 2020, MediaPipe Hands: its tracking).
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from vidpretrain.errors import MissingExtra
from vidpretrain.pose.observations import BodySighting, HandSighting, Origin, distance
from vidpretrain.pose.quiet import quiet_stderr

_NET_PX = 224
_ROOTS = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]  # points that fingers do not move far
_MEMBER = "hand_landmarks_detector.tflite"
HAND_OF_TORSO = 0.38  # an adult's hand, wrist to fingertip, over the torso
_AHEAD, _SIZES = 0.45, (1.7, 2.4)  # of a hand's length: from the wrist to the square's middle; the squares' sides
_WIDER = 1.25
_SAME, _STEADY = 0.3, 0.25  # hand lengths between two looks at one hand: of two squares; of a finding and its square
_LONG, _SHORT = 2.0, 0.4  # of the length to be expected


@dataclass(frozen=True)
class Square:
    """Where a hand is looked for: middle and side in pixels, and the angle (rad) of its fingers, 0 up, clockwise."""

    centre: np.ndarray
    side_px: float
    turn_rad: float


def square_of(p_image: Float64[np.ndarray, "21 2"]) -> Square:
    """The square around a hand's points, along its palm."""
    along = 0.5 * p_image[9] + 0.25 * (p_image[5] + p_image[13]) - p_image[0]
    turn = float(np.arctan2(along[0], -along[1]))
    R = _rotation(turn)
    points = p_image[_ROOTS] @ R
    low, high = points.min(0), points.max(0)
    middle = 0.5 * (low + high) - [0.0, 0.1 * (high - low)[1]]
    return Square(R @ middle, float(max(2.0 * (high - low).max(), 8.0)), turn)


def squares_at_wrist(body: BodySighting, side: int) -> list[Square]:
    """Four squares before the body's wrist of a side (0 left): along its hand and along its forearm, of two sizes."""
    elbow, wrist, little, index = (body.p_image[k + side] for k in (13, 15, 17, 19))
    length = HAND_OF_TORSO * body.size_px
    out = []
    for share in _SIZES:
        for along in (0.5 * (little + index) - wrist, wrist - elbow):
            unit = along / max(float(np.linalg.norm(along)), 1e-6)
            turn = float(np.arctan2(unit[0], -unit[1]))
            out.append(Square(wrist + _AHEAD * length * unit, share * length, turn))
    return out


def squares_around(hand: HandSighting) -> list[Square]:
    """Two squares of different size where a hand was."""
    square = square_of(hand.p_image)
    return [square, replace(square, side_px=_WIDER * square.side_px)]


def look_in(
    frame: UInt8[np.ndarray, "h w 3"], square: Square, model: Path, origin: Origin = "near"
) -> HandSighting | None:
    """The hand that the network sees in a square, whether it is there (`presence`) or not; pixels of the frame.

    Raises:
        MissingExtra: the interpreter of TFLite models is not installed.
    """
    import cv2

    net = _network(str(model), os.getpid())
    scale, R = square.side_px / _NET_PX, _rotation(square.turn_rad)
    A = np.zeros((2, 3))
    A[:, :2] = scale * R
    A[:, 2] = square.centre - A[:, :2] @ [_NET_PX / 2, _NET_PX / 2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(frame, A, (_NET_PX, _NET_PX), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    points, presence, right, relative = net(part.astype(np.float32)[None] / 255.0)
    image = points.reshape(21, 3)[:, :2].astype(np.float64) @ A[:, :2].T + A[:, 2]
    world = relative.reshape(21, 3).astype(np.float64)
    world[:, :2] = world[:, :2] @ R.T
    if not (np.isfinite(image).all() and np.isfinite(world).all()):
        return None
    return HandSighting(
        p_image=image,
        p_relative=world,
        p_left=float(np.clip(1.0 - right.ravel()[0], 0.0, 1.0)),
        origin=origin,
        presence=float(np.clip(presence.ravel()[0], 0.0, 1.0)),
    )


def find_near(
    frame: UInt8[np.ndarray, "h w 3"], squares: Sequence[Square], model: Path, length_px: float, least: float
) -> HandSighting | None:
    """The hand that is to be seen in every one of the squares around one place, or None.

    All looks, and a last one around the points of the surest, must see one hand at one place, of a length like the one
    expected: something that is no hand looks otherwise in each of them, however sure the network is of it. `least` is
    the mean presence that is asked for beyond that.
    """
    seen: list[HandSighting] = []
    for square in squares:
        hand = look_in(frame, square, model)
        if hand is None or not _SHORT <= hand.length_px / max(length_px, 1.0) <= _LONG:
            return None
        if seen and distance(seen[0], hand) > _SAME:
            return None
        seen.append(hand)
    surest = max(seen, key=lambda hand: hand.presence or 0.0)
    last = look_in(frame, square_of(surest.p_image), model)
    if last is None or distance(last, surest) > _SAME or not _inside(last, frame):
        return None
    presence = float(np.mean([hand.presence or 0.0 for hand in (*seen, last)]))
    return replace(last, presence=presence) if presence >= least else None


def presence_of(frame: UInt8[np.ndarray, "h w 3"], hand: HandSighting, model: Path) -> float:
    """How sure the network is of a hand found otherwise, at a second look; little where it sees other points there."""
    again = look_in(frame, square_of(hand.p_image), model)
    if again is None:
        return 0.0
    return (again.presence or 0.0) * float(np.clip(1.5 - distance(hand, again) / _STEADY / 2, 0.3, 1.0))


def _inside(hand: HandSighting, frame: np.ndarray) -> bool:
    size = np.array(frame.shape[1::-1])
    return bool(((hand.p_image > 0) & (hand.p_image < size)).all(1).mean() >= 0.5)


def _rotation(turn_rad: float) -> np.ndarray:
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    return np.array([[c, -s], [s, c]])


@cache
def _network(model: str, pid: int) -> Any:
    """One interpreter per process, of one thread: a function from a picture to points, presence, right, metres."""
    del pid
    try:
        with quiet_stderr():
            from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise MissingExtra(
            "ai-edge-litert is not installed", asked="pose.near_looks", next_command="pip install vidpretrain[pose]"
        ) from None
    with zipfile.ZipFile(model) as task, quiet_stderr():
        net = Interpreter(model_content=task.read(_MEMBER), num_threads=1)
        net.allocate_tensors()
    into = net.get_input_details()[0]["index"]
    by_name = {d["name"]: d["index"] for d in net.get_output_details()}
    out_of = [by_name[name] for name in ("Identity", "Identity_1", "Identity_2", "Identity_3")]

    def run(picture: np.ndarray) -> list[np.ndarray]:
        net.set_tensor(into, picture)
        net.invoke()
        return [net.get_tensor(index) for index in out_of]

    return run
