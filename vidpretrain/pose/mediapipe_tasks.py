"""The `mediapipe` estimator: what every frame shows (`looking`), and one person's hands and body made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from vidpretrain import skeletons
from vidpretrain.pose.body import bridged, mirrored, real_frames, real_log_odds, side_flips
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.hands import assign, distinct, told_by_body
from vidpretrain.pose.looking import Look, Looker, longest
from vidpretrain.pose.observations import BodySighting, HandSighting
from vidpretrain.pose.people import actor, own_hands
from vidpretrain.pose.reject_config import USUAL, RejectConfig
from vidpretrain.pose.rejects import refuse_people, refuse_pictures
from vidpretrain.pose.tracks import Tracks, body_track, frame_indices, hand_track
from vidpretrain.pose.trust import sure_hands
from vidpretrain.types import Clip, Reject
from vidpretrain.video import VideoInfo, open_video

_BODILESS = 0.1  # share of the frames with a body below which hands are those of somebody out of the picture


class MediaPipe:
    """Estimator on Google's hand and pose landmarkers (Tasks API, image mode)."""

    def estimate(
        self, clip: Clip, info: VideoInfo, config: PoseConfig, rejects: RejectConfig = USUAL
    ) -> Tracks | Reject:
        """Left hand, right hand and body of a clip on its decoded frames; see `vidpretrain.pose.extract`.

        Raises:
            MissingAsset: a model file is nowhere.
            MissingExtra: mediapipe is not installed.
        """
        indices = frame_indices(clip, info, config)
        looker = Looker(config, rejects.dark_luma)
        looks: list[Look] = []
        with open_video(info) as reader:
            for _, _, frame in reader.iterate(indices.start, indices.stop, indices.step):
                looks.append(self.improve(looker.look(frame), frame, config))
        time_ns = info.time_ns[np.arange(indices.start, indices.stop, indices.step)]
        refused = refuse_pictures([look.picture for look in looks], rejects) or refuse_people(
            [look.people for look in looks], rejects
        )
        return refused or tracks_of(
            looks, clip, time_ns, info.width_px, info.height_px, rejects.min_motion, config.least_trust
        )

    def improve(self, look: Look, frame: UInt8[np.ndarray, "h w 3"], config: PoseConfig) -> Look:
        """What else an estimator of this family knows of a frame; nothing here."""
        del frame, config
        return look


def tracks_of(
    looks: Sequence[Look],
    clip: Clip,
    time_ns,
    width_px: int,
    height_px: int,
    still: float = 0.0,
    least_trust: float = PoseConfig.least_trust,
) -> Tracks:
    """Tracks of the acting person; `still` as for `actor`, hands are one with a probability of `least_trust`."""
    hands, bodies, held = candidates_of(looks, time_ns, width_px, height_px, still)
    hands, long_side_px, tracks = sure_hands(hands, held, time_ns, least_trust), max(width_px, height_px), []
    seen = [body is not None for body in bodies]
    size_px = (width_px, height_px) if np.mean(seen) < _BODILESS else None
    for number, chosen in enumerate(assign(hands, held, time_ns, long_side_px, size_px, seen)):
        told = [told_by_body(hand, body, number, long_side_px) for hand, body in zip(chosen, bodies, strict=True)]
        tracks.append(hand_track(clip, time_ns, chosen, skeletons.SIDES[number], told))
    return tracks[0], tracks[1], body_track(clip, time_ns, bodies)


def candidates_of(
    looks: Sequence[Look], time_ns, width_px: int, height_px: int, still: float = 0.0
) -> tuple[list[list[HandSighting]], list[BodySighting | None], list[BodySighting | None]]:
    """Of the acting person, frame by frame: what may be a hand, the body, and the body with gaps bridged."""
    people, others = actor([look.people for look in looks], time_ns, width_px, height_px, still)
    near = zip(looks, bridged(people, time_ns), others, strict=True)
    hands = [distinct(own_hands(look.hands, body, strangers)) for look, body, strangers in near]
    bodies = judge_bodies(people, hands, time_ns)
    return hands, bodies, bridged(bodies, time_ns)


def judge_bodies(bodies, hands, time_ns) -> list[BodySighting | None]:
    """The real bodies, with the person's left as left; None where nobody is."""
    odds = np.array([real_log_odds(body, longest(found)) for body, found in zip(bodies, hands, strict=True)])
    real = real_frames(odds)
    kept = [body if is_real else None for body, is_real in zip(bodies, real, strict=True)]
    flips = side_flips(kept, time_ns)
    return [mirrored(body) if body is not None and flip else body for body, flip in zip(kept, flips, strict=True)]
