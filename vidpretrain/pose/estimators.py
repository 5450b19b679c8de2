"""The table of estimators, and `extract`, which runs one and refuses clips without a person."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Protocol

from vidpretrain.errors import MissingExtra, unknown_name
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.reject_config import USUAL, RejectConfig
from vidpretrain.pose.rejects import judge
from vidpretrain.types import Clip, PoseTrack, Reject
from vidpretrain.video.info import VideoInfo

ESTIMATORS = {
    "mediapipe": "vidpretrain.pose.mediapipe_tasks:MediaPipe",
    "precomputed": "vidpretrain.pose.precomputed:Precomputed",
    "transformers": "vidpretrain.model.hub_pose:HubPose",
}
ENTRY_POINTS = "vidpretrain.pose_estimators"


class Estimator(Protocol):
    """Finds one person: made without arguments, and used for clip after clip in one process."""

    def estimate(
        self, clip: Clip, info: VideoInfo, config: PoseConfig, rejects: RejectConfig = USUAL
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


def extract(
    clip: Clip, info: VideoInfo, config: PoseConfig, rejects: RejectConfig = USUAL
) -> tuple[PoseTrack, PoseTrack, PoseTrack] | Reject:
    """Tracks of the clip's person: `hand21_left`, `hand21_right`, `body33`, on one time grid.

    The grid is the decoded frames of the clip (thinned to `max_rate_hz`), times in ns since the start of the source.
    Image points are pixels of the full upright picture; relative points are metres in the camera's axes around the
    hand's or the hips' centre. Where nothing was found confidence is 0 and points are NaN.

    Returns a Reject for clips without use; the reasons and their thresholds are `rejects`.

    Raises:
        UnknownName: no such estimator.
        MissingAsset, MissingExtra: a model or package is not on this machine.
    """
    tracks = load_estimator(config.estimator).estimate(clip, info, config, rejects)
    return tracks if isinstance(tracks, Reject) else judge(tracks, rejects, info.width_px, info.height_px)
