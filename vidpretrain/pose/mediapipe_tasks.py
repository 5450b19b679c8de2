"""The `mediapipe` estimator: hands from the whole frame, from crops where they should be, and from tiles as rescue."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from vidpretrain.pose.body import mirrored, real_frames, real_log_odds, side_flips
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.hands import assign, distance
from vidpretrain.pose.models import find_model
from vidpretrain.pose.networks import find_body, find_hands
from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.pose.quiet import quiet_stderr
from vidpretrain.pose.tracks import Tracks, body_track, frame_indices, hand_track
from vidpretrain.types import Clip
from vidpretrain.video import VideoInfo, open_video

Box = tuple[int, int, int, int]


class MediaPipe:
    """Estimator on Google's hand and pose landmarkers (Tasks API, image mode)."""

    def estimate(self, clip: Clip, info: VideoInfo, config: PoseConfig) -> Tracks:
        """Left hand, right hand and body of a clip on its decoded frames; see `vidpretrain.pose.extract`.

        Raises:
            MissingAsset: a model file is nowhere.
            MissingExtra: mediapipe is not installed.
        """
        indices = frame_indices(clip, info, config)
        looker = Looker(config)
        bodies: list[BodySighting | None] = []
        hands: list[list[HandSighting]] = []
        with open_video(info) as reader:
            for _, _, frame in reader.iterate(indices.start, indices.stop, indices.step):
                body, found = looker.look(frame)
                bodies.append(body)
                hands.append(found)
        time_ns = info.time_ns[np.arange(indices.start, indices.stop, indices.step)]
        bodies = judge_bodies(bodies, hands, time_ns)
        left, right = assign(hands, bodies, time_ns, max(info.width_px, info.height_px))
        return (
            hand_track(clip, time_ns, left, "left"),
            hand_track(clip, time_ns, right, "right"),
            body_track(clip, time_ns, bodies),
        )


def judge_bodies(bodies, hands, time_ns) -> list[BodySighting | None]:
    """The real bodies, with the person's left as left; None where nobody is."""
    odds = np.array([real_log_odds(body, longest(found)) for body, found in zip(bodies, hands, strict=True)])
    real = real_frames(odds)
    kept = [body if is_real else None for body, is_real in zip(bodies, real, strict=True)]
    flips = side_flips(kept, time_ns)
    return [mirrored(body) if body is not None and flip else body for body, flip in zip(kept, flips, strict=True)]


def longest(hands: list[HandSighting]) -> float:
    """Length in pixels of the longest hand of the whole frame, 0 where there is none."""
    return max((hand.length_px for hand in hands if hand.origin == "frame"), default=0.0)


class Looker:
    """Looks at one frame after the other; remembers where hands were in the last one."""

    def __init__(self, config: PoseConfig) -> None:
        self._config = config
        self._hand, self._pose = find_model("hand", config.models), find_model("pose", config.models)
        self._before: list[HandSighting] = []
        self._count = 0

    def look(self, frame: UInt8[np.ndarray, "h w 3"]) -> tuple[BodySighting | None, list[HandSighting]]:
        """The body, real or not, and all hands that can be found in one RGB frame."""
        config = self._config
        height, width = frame.shape[:2]
        with quiet_stderr():
            body = find_body(frame, self._pose, config.body_confidence, config.network_px)
            hands = self._hands(frame, (0, 0, width, height), "frame", config.hand_confidence)
            somebody = body is not None and real_log_odds(body, longest(hands)) > 0
            boxes = []
            if config.wrist_crops:
                boxes += wrist_boxes(body, hands, width, height) if body is not None and somebody else []
                boxes += lost_boxes(self._before, hands, width, height)
            for box in boxes:
                hands += self._hands(frame, box, "crop", config.hand_confidence)
            lonely = not hands or (len(hands) == 1 and self._count % 3 == 0)  # the second hand need not be there
            if config.rescue_tiles and not somebody and lonely:
                for box in tile_boxes(width, height):
                    hands += self._hands(frame, box, "tile", config.rescue_confidence)
        self._before, self._count = hands, self._count + 1
        return body, hands

    def _hands(self, frame, box: Box, origin: str, confidence: float) -> list[HandSighting]:
        return find_hands(frame, box, origin, self._hand, confidence, self._config.network_px)


def wrist_boxes(body: BodySighting, hands: list[HandSighting], width: int, height: int) -> list[Box]:
    """Squares of 1.1 torso lengths around the body's wrists that are in the picture and have no hand yet."""
    boxes = []
    for elbow, wrist in ((13, 15), (14, 16)):
        at = body.p_image[wrist]
        if body.visibility[wrist] < 0.2 or not (0 <= at[0] < width and 0 <= at[1] < height):
            continue
        if any(np.linalg.norm(hand.p_image[0] - at) < 0.35 * body.size_px for hand in hands):
            continue
        boxes.append(_square(at + 0.3 * (at - body.p_image[elbow]), 1.1 * body.size_px, width, height))
    return [box for box in boxes if box is not None]


def lost_boxes(before: list[HandSighting], hands: list[HandSighting], width: int, height: int) -> list[Box]:
    """Squares of three hand lengths around hands of the last frame that are not there any more."""
    boxes = []
    for old in before:
        if all(distance(old, hand) > 0.8 for hand in hands):
            boxes.append(_square(old.p_image.mean(0), 3.0 * old.length_px, width, height))
    return [box for box in boxes if box is not None][:2]


def tile_boxes(width: int, height: int) -> list[Box]:
    """Three overlapping squares along the picture's lower edge."""
    side = int(min(max(0.4 * width, 0.5 * height), width, height))
    return [(x, height - side, x + side, height) for x in (0, (width - side) // 2, width - side)]


def _square(centre: np.ndarray, side_px: float, width: int, height: int) -> Box | None:
    side = int(min(max(side_px, 32), width, height))
    x = int(np.clip(centre[0] - side / 2, 0, width - side))
    y = int(np.clip(centre[1] - side / 2, 0, height - side))
    return (x, y, x + side, y + side)
