"""Looking at a frame: hands of the whole picture, of crops where they should be, in other lights, and of tiles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from vidpretrain.pose.arms import arm_of
from vidpretrain.pose.body import real_log_odds
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.hands import distinct
from vidpretrain.pose.lights import LightChoice
from vidpretrain.pose.models import find_model
from vidpretrain.pose.near import HAND_OF_TORSO, find_near, presence_of, squares_around, squares_at_wrist
from vidpretrain.pose.networks import find_bodies, find_hands, find_hands_at_edges
from vidpretrain.pose.observations import BodySighting, HandSighting, Origin, distance
from vidpretrain.pose.people import different
from vidpretrain.pose.pictures import Picture, measure
from vidpretrain.pose.quiet import quiet_stderr
from vidpretrain.pose.reject_config import USUAL

Box = tuple[int, int, int, int]
_SHARP_EVERY = 8  # frames; light is measured in all of them
SMALL_HAND_PX = 32  # as the network sees the whole frame: a shorter hand is looked at again from near
_MOST_PEOPLE, _MOST_LOST = 2, 2  # whose wrists, and how many lost hands, are looked at from near
_PRESENT, _AGREED = 0.5, 0.12  # mean presence asked for in two squares, or of tiny hands; in four
_TINY_PX = 16.0
_LOST = 0.8  # hand lengths without a hand around a place where one was
_AT_WRIST = 0.35  # torso lengths from the body's wrist in which its hand is
_SURE = 0.8  # of its label: hands of the whole frame that are less sure are asked for twice
_TILE = (
    0.7  # presence at a second look that a hand of a tile has to have: found with so little confidence, most are none
)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one frame showed: bodies, real or not, hands from every source, and the picture's light and sharpness."""

    people: tuple[BodySighting, ...]
    hands: tuple[HandSighting, ...]
    picture: Picture


class Looker:
    """Looks at one frame after the other; remembers where hands were in the last one, and which light showed them."""

    def __init__(self, config: PoseConfig, dark_luma: float = USUAL.dark_luma) -> None:
        self._config, self._dark_luma = config, dark_luma
        self._hand, self._pose = find_model("hand", config.models), find_model("pose", config.models)
        self._before: list[HandSighting] = []
        self._count = 0
        self._light = LightChoice()

    def look(self, frame: UInt8[np.ndarray, "h w 3"]) -> Look:
        """All people and hands that can be found in one RGB frame; a frame too dark to see anything has none."""
        config = self._config
        picture = measure(frame, sharp=self._count % _SHARP_EVERY == 0)
        self._count += 1
        if picture.bright < self._dark_luma:
            self._before = []
            return Look(people=(), hands=(), picture=picture)
        height, width = frame.shape[:2]
        with quiet_stderr():
            people = different(find_bodies(frame, self._pose, config.body_confidence, config.network_px))
            hands = self._hands(frame, (0, 0, width, height), "frame", config.hand_confidence)
            real = [body for body in people if real_log_odds(body, longest(hands)) > 0][:_MOST_PEOPLE]
            small_px = SMALL_HAND_PX * max(1.0, max(width, height) / config.network_px)
            boxes = []
            if config.wrist_crops:
                for body in real:
                    boxes += wrist_boxes(body, hands, width, height, small_px)
                boxes += lost_boxes(self._before, hands, width, height)
            for box in boxes:
                hands += self._hands(frame, box, "crop", config.hand_confidence)
            if config.near_looks:
                hands += self._near(frame, hands, real)
            if config.rescue_lights:
                hands += self._lit(frame, hands, real)
            if config.rescue_tiles and not real:
                hands += self._rescue(frame, hands)
            if config.near_looks:
                hands = [self._asked(frame, hand, small_px) for hand in hands]
        self._before = hands
        return Look(people=tuple(people), hands=tuple(hands), picture=picture)

    def _near(self, frame, hands: list[HandSighting], real: list[BodySighting]) -> list[HandSighting]:
        """Hands at bare wrists of bodies; where nobody's body is, around hands of the last frame that are lost."""
        found: list[HandSighting] = []
        for body in real:
            for side in bare_wrists(body, hands + found, frame.shape[1], frame.shape[0]):
                length = HAND_OF_TORSO * body.size_px
                least = _PRESENT if length < _TINY_PX else _AGREED
                hand = find_near(frame, squares_at_wrist(body, side), self._hand, length, least)
                found += [] if hand is None or wrist_share(hand, body, side) > _AT_WRIST else [hand]
        for old in [] if real else distinct(self._before)[:_MOST_LOST]:
            if all(distance(old, hand) > _LOST for hand in hands + found):
                hand = find_near(frame, squares_around(old), self._hand, old.length_px, _PRESENT)
                found += [] if hand is None or distance(old, hand) > _LOST else [hand]
        return found

    def _lit(self, frame, hands: list[HandSighting], real: list[BodySighting]) -> list[HandSighting]:
        """Missing hands in another light: around bare wrists, or in the whole frame where nobody's body is."""
        height, width = frame.shape[:2]
        boxes = [box for body in real for box in wrist_boxes(body, hands, width, height)]
        if not real and (len(distinct(hands)) < 2 or any(arm_of(hand, width, height).too_long > 0 for hand in hands)):
            boxes = [(0, 0, width, height)]
        light = self._light.choose() if boxes else None
        if light is None:
            return []
        lit = light(frame)
        found = [
            dataclasses.replace(hand, presence=presence_of(lit, hand, self._hand))
            for box in boxes
            for hand in self._hands(lit, box, "light", self._config.hand_confidence)
        ]
        new = [hand for hand in found if all(distance(hand, other) > _LOST for other in hands)]
        self._light.found(bool(new))
        return new

    def _asked(self, frame, hand: HandSighting, small_px: float) -> HandSighting:
        """A doubtful hand with what the network says to it at a second look; others as they are."""
        sure = hand.origin == "frame" and hand.length_px >= small_px and hand.score >= _SURE
        if sure or hand.presence is not None:
            return hand
        return dataclasses.replace(hand, presence=presence_of(frame, hand, self._hand))

    def _rescue(self, frame, hands: list[HandSighting]) -> list[HandSighting]:
        """Over the picture's edges while a hand is missing; in tiles, with little confidence, while there is none."""
        config = self._config
        if len(distinct(hands)) >= 2:
            return []
        found = find_hands_at_edges(frame, self._hand, config.hand_confidence, config.network_px)
        if hands or found:
            return found
        tiles = tile_boxes(frame.shape[1], frame.shape[0])
        found = [hand for box in tiles for hand in self._hands(frame, box, "tile", config.rescue_confidence)]
        if not config.near_looks:
            return found
        asked = [dataclasses.replace(hand, presence=presence_of(frame, hand, self._hand)) for hand in found]
        return [hand for hand in asked if min(hand.presence or 0.0, hand.score) >= _TILE]

    def _hands(self, frame, box: Box, origin: Origin, confidence: float) -> list[HandSighting]:
        return find_hands(frame, box, origin, self._hand, confidence, self._config.network_px)


def bare_wrists(body: BodySighting, hands: Sequence[HandSighting], width: int, height: int) -> list[int]:
    """Sides (0 left) whose wrist is in the picture and has no hand."""
    out = []
    for side in (0, 1):
        at = body.p_image[15 + side]
        seen = body.visibility[15 + side] >= 0.2 and 0 <= at[0] < width and 0 <= at[1] < height
        if seen and all(np.linalg.norm(hand.p_image[0] - at) >= 0.35 * body.size_px for hand in hands):
            out.append(side)
    return out


def wrist_share(hand: HandSighting, body: BodySighting, side: int) -> float:
    """Torso lengths between a hand's wrist and the body's of that side."""
    return float(np.linalg.norm(hand.p_image[0] - body.p_image[15 + side]) / body.size_px)


def longest(hands: Sequence[HandSighting]) -> float:
    """Length in pixels of the longest hand of the whole frame, 0 where there is none."""
    return max((hand.length_px for hand in hands if hand.origin == "frame"), default=0.0)


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
