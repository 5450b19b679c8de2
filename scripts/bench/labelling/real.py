"""Real clips and what the landmark networks said of them, the same for their mirror images; kept, and made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from labelling.clips import kept_tracks
from vidpretrain import skeletons
from vidpretrain.pose import PoseConfig, extract
from vidpretrain.types import Clip, PoseTrack, Reject
from vidpretrain.video import VideoConfig, probe, split


def real_clips(videos: Path, out: Path, names: tuple[str, ...] = ()) -> list[tuple[Clip, tuple[PoseTrack, ...]]]:
    """Clips with their tracks, of all videos in a folder or of those named; clips without a person are left out."""
    found = []
    for path in sorted(videos.glob("*.m*")):
        if path.suffix not in (".mp4", ".mkv") or (names and path.stem not in names):
            continue
        info = probe(path)
        clips = () if isinstance(info, Reject) else split(info, VideoConfig())
        for clip in () if isinstance(clips, Reject) else clips:
            tracks = kept_tracks(out / f"{clip.clip_id}.tracks.npz", clip.clip_id, clip.clip_id, _look(clip, info))
            if tracks is not None:
                found.append((clip, tracks))
    return found


def _look(clip: Clip, info):
    return lambda: extract(clip, info, PoseConfig())


def mirrored(clip: Clip, tracks: tuple[PoseTrack, ...]) -> tuple[PoseTrack, ...]:
    """The tracks of the mirrored video, had the networks been perfectly symmetrical."""
    import dataclasses

    order = list(skeletons.skeleton("body33").mirror)
    named = {track.skeleton: track for track in tracks}

    def flip(track: PoseTrack, skeleton: str) -> PoseTrack:
        image = track.p_image_keypoint * [-1.0, 1.0] + [clip.width_px, 0.0]
        relative = None if track.p_relative_keypoint is None else track.p_relative_keypoint * [-1.0, 1.0, 1.0]
        confidence = track.confidence
        if skeleton == "body33":
            image, confidence = image[:, order], confidence[:, order]
            relative = None if relative is None else relative[:, order]
        return dataclasses.replace(
            track, skeleton=skeleton, p_image_keypoint=image, p_relative_keypoint=relative, confidence=confidence
        )

    left, right = flip(named["hand21_right"], "hand21_left"), flip(named["hand21_left"], "hand21_right")
    return left, right, flip(named["body33"], "body33")


def seconds(clip: Clip) -> float:
    """Length of a clip."""
    return float(np.round((clip.exclusive_end_ns - clip.start_ns) / 1e9, 2))
