"""The table of estimators, and `extract`, which runs one and refuses clips without a person."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Protocol

import numpy as np

from vidpretrain.errors import MissingExtra, unknown_name
from vidpretrain.pose.config import PoseConfig
from vidpretrain.types import Clip, PoseTrack, Reason, Reject
from vidpretrain.video.info import VideoInfo

ESTIMATORS = {
    "mediapipe": "vidpretrain.pose.mediapipe_tasks:MediaPipe",
    "precomputed": "vidpretrain.pose.precomputed:Precomputed",
}
ENTRY_POINTS = "vidpretrain.pose_estimators"


class Estimator(Protocol):
    """Finds one person: made without arguments, and used for clip after clip in one process."""

    def estimate(
        self, clip: Clip, info: VideoInfo, config: PoseConfig
    ) -> tuple[PoseTrack, PoseTrack, PoseTrack] | Reject:
        """Tracks `hand21_left`, `hand21_right`, `body33` on one rising time grid inside the clip, sides anatomical."""
        ...


def estimator_names() -> tuple[str, ...]:
    """Names that `PoseConfig.estimator` may have: the table and the entry points of installed packages."""
    return tuple(sorted({*ESTIMATORS, *(point.name for point in entry_points(group=ENTRY_POINTS))}))


def load_estimator(name: str) -> Estimator:
    """A new estimator of that name.

    Raises:
        UnknownName: no such estimator.
        MissingExtra: the package that it needs is not installed.
    """
    target = ESTIMATORS.get(name)
    if target is None:
        target = next((point.value for point in entry_points(group=ENTRY_POINTS) if point.name == name), None)
    if target is None:
        raise unknown_name("pose estimator", name, estimator_names())
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except ImportError as error:
        raise MissingExtra(
            f"estimator {name!r} needs a package that is not installed: {error}",
            asked=name,
            next_command="pip install vidpretrain[pose]",
        ) from None


def extract(clip: Clip, info: VideoInfo, config: PoseConfig) -> tuple[PoseTrack, PoseTrack, PoseTrack] | Reject:
    """Tracks of the clip's person: `hand21_left`, `hand21_right`, `body33`, on one time grid.

    The grid is the decoded frames of the clip (thinned to `max_rate_hz`), times in ns since the start of the source.
    Image points are pixels of the full upright picture; relative points are metres in the camera's axes around the
    hand's or the hips' centre. Where nothing was found confidence is 0 and points are NaN.

    Returns a Reject (NO_PERSON, HANDS_TOO_RARE, TOO_SHORT) for clips without use.

    Raises:
        UnknownName: no such estimator.
        MissingAsset, MissingExtra: a model or package is not on this machine.
    """
    tracks = load_estimator(config.estimator).estimate(clip, info, config)
    return tracks if isinstance(tracks, Reject) else judge(tracks, config)


def judge(
    tracks: tuple[PoseTrack, PoseTrack, PoseTrack], config: PoseConfig
) -> tuple[PoseTrack, PoseTrack, PoseTrack] | Reject:
    """The tracks, or the reason why there is not enough of a person in them."""
    left, right, body = (track.found for track in tracks)
    frames = len(body)
    if frames < 2:
        return Reject(reason=Reason.TOO_SHORT, detail=f"{frames} frames in the clip")
    hand_share, body_share = float(np.mean(left | right)), float(np.mean(body))
    if hand_share >= config.min_hand_share or body_share >= config.min_body_share:
        return tracks
    detail = f"hands in {hand_share:.0%} and a body in {body_share:.0%} of {frames} frames"
    seen = float(np.mean(left | right | body))
    if seen < min(config.min_hand_share, config.min_body_share):
        return Reject(reason=Reason.NO_PERSON, detail=detail)
    wanted = f"; {config.min_hand_share:.0%} or {config.min_body_share:.0%} are wanted"
    return Reject(reason=Reason.HANDS_TOO_RARE, detail=detail + wanted)
