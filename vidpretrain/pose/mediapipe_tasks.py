"""The `mediapipe` estimator: hands from the whole frame, from crops where they should be, and from tiles as rescue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from vidpretrain import skeletons
from vidpretrain.pose.body import mirrored, real_frames, real_log_odds, side_flips
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.hands import assign, distance, distinct, told_by_body
from vidpretrain.pose.models import find_model
from vidpretrain.pose.networks import find_bodies, find_hands, find_hands_at_edges
from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.pose.people import actor, different, own_hands
from vidpretrain.pose.pictures import Picture, measure
from vidpretrain.pose.quiet import quiet_stderr
from vidpretrain.pose.rejects import refuse_people, refuse_pictures
from vidpretrain.pose.tracks import Tracks, body_track, frame_indices, hand_track
from vidpretrain.types import Clip, Reject
from vidpretrain.video import VideoInfo, open_video

Box = tuple[int, int, int, int]
_SHARP_EVERY = 8  # frames; light is measured in all of them
SMALL_HAND_PX = 32  # as the network sees the whole frame: a shorter hand is looked at again from near


class MediaPipe:
    """Estimator on Google's hand and pose landmarkers (Tasks API, image mode)."""

    def estimate(self, clip: Clip, info: VideoInfo, config: PoseConfig) -> Tracks | Reject:
        """Left hand, right hand and body of a clip on its decoded frames; see `vidpretrain.pose.extract`.

        Raises:
            MissingAsset: a model file is nowhere.
            MissingExtra: mediapipe is not installed.
        """
        indices = frame_indices(clip, info, config)
        looker = Looker(config)
        looks: list[Look] = []
        with open_video(info) as reader:
            for _, _, frame in reader.iterate(indices.start, indices.stop, indices.step):
                looks.append(self.improve(looker.look(frame), frame, config))
        time_ns = info.time_ns[np.arange(indices.start, indices.stop, indices.step)]
        refused = refuse_pictures([look.picture for look in looks], config.rejects) or refuse_people(
            [look.people for look in looks], config.rejects
        )
        return refused or tracks_of(looks, clip, time_ns, info.width_px, info.height_px, config.rejects.min_motion)

    def improve(self, look: Look, frame: UInt8[np.ndarray, "h w 3"], config: PoseConfig) -> Look:
        """What else an estimator of this family knows of a frame; nothing here."""
        del frame, config
        return look


def tracks_of(looks: Sequence[Look], clip: Clip, time_ns, width_px: int, height_px: int, still: float = 0.0) -> Tracks:
    """Tracks of the acting person; `still` as for `actor`."""
    people, others = actor([look.people for look in looks], time_ns, width_px, height_px, still)
    hands = [
        own_hands(look.hands, body, strangers) for look, body, strangers in zip(looks, people, others, strict=True)
    ]
    bodies = judge_bodies(people, hands, time_ns)
    long_side_px = max(width_px, height_px)
    tracks = []
    for number, chosen in enumerate(assign(hands, bodies, time_ns, long_side_px)):
        told = [told_by_body(hand, body, number, long_side_px) for hand, body in zip(chosen, bodies, strict=True)]
        tracks.append(hand_track(clip, time_ns, chosen, skeletons.SIDES[number], told))
    return tracks[0], tracks[1], body_track(clip, time_ns, bodies)


def judge_bodies(bodies, hands, time_ns) -> list[BodySighting | None]:
    """The real bodies, with the person's left as left; None where nobody is."""
    odds = np.array([real_log_odds(body, longest(found)) for body, found in zip(bodies, hands, strict=True)])
    real = real_frames(odds)
    kept = [body if is_real else None for body, is_real in zip(bodies, real, strict=True)]
    flips = side_flips(kept, time_ns)
    return [mirrored(body) if body is not None and flip else body for body, flip in zip(kept, flips, strict=True)]


def longest(hands: Sequence[HandSighting]) -> float:
    """Length in pixels of the longest hand of the whole frame, 0 where there is none."""
    return max((hand.length_px for hand in hands if hand.origin == "frame"), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one frame showed: bodies, real or not, hands from every source, and the picture's light and sharpness."""

    people: tuple[BodySighting, ...]
    hands: tuple[HandSighting, ...]
    picture: Picture


class Looker:
    """Looks at one frame after the other; remembers where hands were in the last one."""

    def __init__(self, config: PoseConfig) -> None:
        self._config = config
        self._hand, self._pose = find_model("hand", config.models), find_model("pose", config.models)
        self._before: list[HandSighting] = []
        self._count = 0

    def look(self, frame: UInt8[np.ndarray, "h w 3"]) -> Look:
        """All people and hands that can be found in one RGB frame; a frame too dark to see anything has none."""
        config = self._config
        picture = measure(frame, sharp=self._count % _SHARP_EVERY == 0)
        self._count += 1
        if picture.bright < config.rejects.dark_luma:
            self._before = []
            return Look(people=(), hands=(), picture=picture)
        height, width = frame.shape[:2]
        with quiet_stderr():
            people = different(find_bodies(frame, self._pose, config.body_confidence, config.network_px))
            hands = self._hands(frame, (0, 0, width, height), "frame", config.hand_confidence)
            real = [body for body in people if real_log_odds(body, longest(hands)) > 0]
            boxes = []
            if config.wrist_crops:
                small_px = SMALL_HAND_PX * max(1.0, max(width, height) / config.network_px)
                for body in real[:2]:
                    boxes += wrist_boxes(body, hands, width, height, small_px)
                boxes += lost_boxes(self._before, hands, width, height)
            for box in boxes:
                hands += self._hands(frame, box, "crop", config.hand_confidence)
            if config.rescue_tiles and not real:
                hands += self._rescue(frame, hands)
        self._before = hands
        return Look(people=tuple(people), hands=tuple(hands), picture=picture)

    def _rescue(self, frame, hands: list[HandSighting]) -> list[HandSighting]:
        """Over the picture's edges while a hand is missing; in tiles, with little confidence, while there is none."""
        config = self._config
        if len(distinct(hands)) >= 2:
            return []
        found = find_hands_at_edges(frame, self._hand, config.hand_confidence, config.network_px)
        if hands or found:
            return found
        tiles = tile_boxes(frame.shape[1], frame.shape[0])
        return [hand for box in tiles for hand in self._hands(frame, box, "tile", config.rescue_confidence)]

    def _hands(self, frame, box: Box, origin: str, confidence: float) -> list[HandSighting]:
        return find_hands(frame, box, origin, self._hand, confidence, self._config.network_px)


def wrist_boxes(
    body: BodySighting, hands: list[HandSighting], width: int, height: int, small_px: float = 0.0
) -> list[Box]:
    """Squares of 1.1 torso lengths around the body's wrists in the picture that have no hand longer than `small_px`."""
    boxes = []
    for elbow, wrist in ((13, 15), (14, 16)):
        at = body.p_image[wrist]
        if body.visibility[wrist] < 0.2 or not (0 <= at[0] < width and 0 <= at[1] < height):
            continue
        near = [hand for hand in hands if np.linalg.norm(hand.p_image[0] - at) < 0.35 * body.size_px]
        if any(hand.length_px >= small_px for hand in near):
            continue
        boxes.append(_square(at + 0.3 * (at - body.p_image[elbow]), 1.1 * body.size_px, width, height))
    return [box for box in boxes if box is not None]


def lost_boxes(before: list[HandSighting], hands: list[HandSighting], width: int, height: int) -> list[Box]:
    """Squares of three hand lengths around hands of the last frame that are not there any more.

    They may reach a quarter of their side over the picture's edge, where hands leave it.
    """
    boxes = []
    for old in before:
        if all(distance(old, hand) > 0.8 for hand in hands):
            boxes.append(_square(old.p_image.mean(0), 3.0 * old.length_px, width, height, over=0.25))
    return [box for box in boxes if box is not None][:2]


def tile_boxes(width: int, height: int) -> list[Box]:
    """Three overlapping squares along the picture's lower edge."""
    side = int(min(max(0.4 * width, 0.5 * height), width, height))
    return [(x, height - side, x + side, height) for x in (0, (width - side) // 2, width - side)]


def _square(centre: np.ndarray, side_px: float, width: int, height: int, over: float = 0.0) -> Box | None:
    side = int(min(max(side_px, 32), width, height))
    margin = int(over * side)
    x = int(np.clip(centre[0] - side / 2, -margin, width - side + margin))
    y = int(np.clip(centre[1] - side / 2, -margin, height - side + margin))
    return (x, y, x + side, y + side)
