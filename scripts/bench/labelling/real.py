"""Real clips and what the landmark networks said of them, of their mirror images and of them run backwards."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labelling.clips import kept_tracks
from vidpretrain import skeletons
from vidpretrain.pose import PoseConfig, extract, load_estimator
from vidpretrain.types import Clip, PoseTrack, Reject
from vidpretrain.video import H264Writer, VideoConfig, VideoInfo, open_video, probe, split

Tracks = tuple[PoseTrack, ...]


@dataclass(frozen=True)
class RealClip:
    """The first frames of a real video, and the tracks of it, of its mirror image and of it run backwards.

    All three are in the pixels and on the times of the plain video: mirrored ones flipped back, sides exchanged.
    """

    name: str
    clip: Clip
    info: VideoInfo
    tracks: Tracks
    flipped: Tracks
    turned_back: Tracks


def real_views(path: Path, frames: int, out: Path) -> RealClip | None:
    """The clip of a video's first `frames` frames, looked at three times; None where nobody can be looked at."""
    info = probe(path)
    if isinstance(info, Reject):
        return None
    clip = _first(path, info, frames)
    plain = _kept(out, "plain", clip, info)
    other = probe(path, VideoConfig(mirrored=not info.mirrored))
    assert not isinstance(other, Reject)
    mirror = _kept(out, "mirrored", clip, other)
    film = _backwards(clip, info, out / f"{clip.clip_id}.backwards.mp4")
    last = probe(film)
    assert not isinstance(last, Reject)
    back = _kept(out, "backwards", _first(film, last, last.frame_count), last)
    if plain is None or mirror is None or back is None:
        return None
    return RealClip(path.stem, clip, info, plain, mirrored(clip, mirror), _reversed(back, plain))


def _first(path: Path, info: VideoInfo, frames: int) -> Clip:
    end = min(frames, info.frame_count) - 1
    return Clip(
        clip_id=path.stem,
        source_id=path.stem,
        path=str(path),
        start_ns=0,
        exclusive_end_ns=int(info.time_ns[end] + info.frame_ns // 2),
        width_px=info.width_px,
        height_px=info.height_px,
    )


def _kept(out: Path, kind: str, clip: Clip, info: VideoInfo) -> Tracks | None:
    """Unjudged tracks: a clip that would be refused shows here why."""
    digest = f"{info.sha256} {info.mirrored} {clip.exclusive_end_ns}"
    look = lambda: load_estimator("mediapipe").estimate(clip, info, PoseConfig())  # noqa: E731
    return kept_tracks(out / f"{clip.clip_id}.{kind}.npz", clip.clip_id, digest, look)


def _backwards(clip: Clip, info: VideoInfo, film: Path) -> Path:
    if not film.is_file():
        film.parent.mkdir(parents=True, exist_ok=True)
        with open_video(info) as reader:
            pictures = [f for _, t, f in reader.iterate() if t < clip.exclusive_end_ns]
        height, width = (2 * (n // 2) for n in pictures[0].shape[:2])
        with H264Writer(film, width, height, info.average_rate_hz, crf=12) as writer:
            for picture in reversed(pictures):
                writer.write(np.ascontiguousarray(picture[:height, :width]))
    return film


def _reversed(tracks: Tracks, plain: Tracks) -> Tracks:
    """Tracks of the reversed film, frame by frame those of the plain one."""
    if len(tracks[0].time_ns) != len(plain[0].time_ns):
        raise ValueError(f"{len(tracks[0].time_ns)} frames backwards, {len(plain[0].time_ns)} forwards")
    out = []
    for track, like in zip(tracks, plain, strict=True):
        relative = None if track.p_relative_keypoint is None else track.p_relative_keypoint[::-1]
        out.append(
            dataclasses.replace(
                like,
                p_image_keypoint=track.p_image_keypoint[::-1],
                p_relative_keypoint=relative,
                confidence=track.confidence[::-1],
            )
        )
    return tuple(out)


def real_clips(videos: Path, out: Path, names: tuple[str, ...] = ()) -> list[tuple[Clip, Tracks]]:
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


def mirrored(clip: Clip, tracks: Tracks) -> Tracks:
    """The tracks of the mirrored video, had the networks been perfectly symmetrical; its own inverse."""
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
