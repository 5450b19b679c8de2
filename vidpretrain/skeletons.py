"""Named keypoint sets: names, bones and mirror pairs. Names become indices here, once.

Sources: MediaPipe hand landmarker (21 points) and pose landmarker (33 points), model cards of Google AI Edge.
`human75` is the body's 33 points, then the left hand's 21 (prefix `left_hand_`), then the right hand's
(`right_hand_`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from vidpretrain.errors import unknown_name

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")

HAND_NAMES = (
    "wrist",
    *("thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *(f"{finger}_{part}" for finger in _FINGERS[1:] for part in ("mcp", "pip", "dip", "tip")),
)
_HAND_BONES = (
    *tuple((0 if part == 0 else 4 * finger + part, 4 * finger + part + 1) for finger in range(5) for part in range(4)),
    (5, 9),
    (9, 13),
    (13, 17),
)

BODY_NAMES = (
    "nose",
    *("left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer"),
    *("left_ear", "right_ear", "mouth_left", "mouth_right"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
    *("left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb"),
    *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    *("left_heel", "right_heel", "left_foot_index", "right_foot_index"),
)
_BODY_BONES = (
    *((11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24)),
    *((23, 25), (25, 27), (24, 26), (26, 28), (27, 29), (29, 31), (28, 30), (30, 32), (0, 11), (0, 12)),
)


@dataclass(frozen=True)
class Skeleton:
    """A keypoint set: `bones` are pairs of indices to draw, `mirror[i]` is the index of i's other side."""

    name: str
    names: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    mirror: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Index of a keypoint.

        Raises:
            UnknownName: no keypoint of that name.
        """
        try:
            return self.names.index(name)
        except ValueError:
            raise unknown_name(f"keypoint of {self.name}", name, self.names) from None

    def indices(self, *names: str) -> list[int]:
        """Indices of several keypoints."""
        return [self.index(name) for name in names]


def _mirror(names: tuple[str, ...]) -> tuple[int, ...]:
    def other(name: str) -> str:
        if "left" in name:
            return name.replace("left", "right")
        return name.replace("right", "left")

    return tuple(names.index(other(name)) if other(name) in names else i for i, name in enumerate(names))


def _build() -> dict[str, Skeleton]:
    hand = Skeleton("hand21", HAND_NAMES, _HAND_BONES, tuple(range(21)))
    body = Skeleton("body33", BODY_NAMES, _BODY_BONES, _mirror(BODY_NAMES))
    names = (
        *BODY_NAMES,
        *(f"left_hand_{name}" for name in HAND_NAMES),
        *(f"right_hand_{name}" for name in HAND_NAMES),
    )
    bones = (
        *_BODY_BONES,
        *((a + 33, b + 33) for a, b in _HAND_BONES),
        *((a + 54, b + 54) for a, b in _HAND_BONES),
    )
    table = {s.name: s for s in (hand, body, Skeleton("human75", names, bones, _mirror(names)))}
    for side in ("left", "right"):
        table[f"hand21_{side}"] = Skeleton(f"hand21_{side}", HAND_NAMES, _HAND_BONES, tuple(range(21)))
    return table


@cache
def _table() -> dict[str, Skeleton]:
    return _build()


def skeleton(name: str) -> Skeleton:
    """The keypoint set of that name: hand21, hand21_left, hand21_right, body33 or human75.

    Raises:
        UnknownName: no such set.
    """
    try:
        return _table()[name]
    except KeyError:
        raise unknown_name("skeleton", name, _table()) from None


BODY_SLICE = slice(0, 33)
LEFT_HAND_SLICE = slice(33, 54)
RIGHT_HAND_SLICE = slice(54, 75)
HAND_SLICES = {"left": LEFT_HAND_SLICE, "right": RIGHT_HAND_SLICE}
FINGERTIPS = tuple(HAND_NAMES.index(f"{finger}_tip") for finger in _FINGERS)
SIDES = ("left", "right")
