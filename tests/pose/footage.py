"""Rendered clips with truth for bad input: people, empty rooms, a mannequin, feet; and videos altered frame by frame.

Rendering needs a process without torch: `python footage.py FOLDER` makes everything that the tests use.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.sim.config import SimConfig
from vidpretrain.sim.person import Stage, plan_clips
from vidpretrain.sim.truth import load_truth, save_truth
from vidpretrain.types import Clip, Reject
from vidpretrain.video import H264Writer, VideoConfig, VideoInfo, open_video, probe, split

RATE_HZ, WIDTH, HEIGHT = 12.0, 640, 480
_PALM, _MIDDLE = [0, 5, 9, 13, 17], [0, 9, 10, 11, 12]
_AWAY = np.array([0.0, 0.0, -50.0])


class _Room(Stage):
    """The same room and camera, and the person far below the floor."""

    def __init__(self, plan: Any) -> None:
        super().__init__(plan)
        away = [dataclasses.replace(pose, p=pose.p + _AWAY) for pose in self.take.poses]
        self.take = dataclasses.replace(self.take, poses=away)

    def _camera(self, pose: Any) -> np.ndarray:
        return super()._camera(dataclasses.replace(pose, p=pose.p - _AWAY))


class _Mannequin(Stage):
    """Somebody who stands in one posture."""

    def __init__(self, plan: Any) -> None:
        super().__init__(plan)
        self.take = dataclasses.replace(self.take, poses=[self.take.poses[0]] * len(self.take.poses))


class _Feet(Stage):
    """A camera near the floor that sees the legs from the knees down."""

    def _camera(self, pose: Any) -> np.ndarray:
        position, target = np.array([0.35, 1.1, 0.45]), np.array([0.0, 0.0, 0.12])
        forward = geometry.normalize(target - position)
        right = geometry.normalize(np.cross(forward, [0.0, 0.0, 1.0]))
        R = np.stack([right, np.cross(forward, right), forward], axis=1)
        return geometry.pose(geometry.quat_from_matrix(R), position)


_MADE: dict[str, tuple[type[Stage], str, str, float, float]] = {  # stage, view, motion, rate in Hz, seconds
    "front": (Stage, "front", "handover", RATE_HZ, 2.0),
    "other": (Stage, "front", "lift", RATE_HZ, 2.0),
    "head": (Stage, "head", "handover", RATE_HZ, 2.0),
    "room": (_Room, "front", "handover", RATE_HZ, 2.0),
    "room_head": (_Room, "head", "handover", RATE_HZ, 2.0),
    "mannequin": (_Mannequin, "front", "handover", RATE_HZ, 2.0),
    "feet": (_Feet, "front", "handover", RATE_HZ, 2.0),
    "slow": (Stage, "front", "reach", 5.0, 4.0),
    "fast": (Stage, "front", "reach", 240.0, 1.0),
}


def render(out: Path) -> None:
    """All of `_MADE` as NAME.mp4, NAME.truth.npz and NAME.json."""
    for name, (kind, view, motion, rate_hz, seconds) in _MADE.items():
        config = SimConfig(
            seed=51,
            clips=1,
            bodies=1,
            motions=(motion,),  # type: ignore[arg-type]
            views=(view,),  # type: ignore[arg-type]
            rate_hz=rate_hz,
            duration_s=seconds,
            width_px=WIDTH,
            height_px=HEIGHT,
        )
        plan = plan_clips(config)[0]
        if name == "other":
            plan = dataclasses.replace(plan, shape=dataclasses.replace(plan.shape, gender=0.95, sleeves="short"))
        stage = kind(plan)
        with stage, H264Writer(out / f"{name}.mp4", WIDTH, HEIGHT, rate_hz) as writer:
            for frame in stage.frames():
                writer.write(frame)
        save_truth(out / f"{name}.truth.npz", stage.truth())
        (out / f"{name}.json").write_text(json.dumps({"K": stage.K.tolist()}))


@dataclasses.dataclass(frozen=True)
class Truth:
    """Hand points in pixels (t 2 21 2) and the camera's metres (t 2 21 3), and which hands are in sight (t 2)."""

    time_ns: np.ndarray
    image: np.ndarray
    points: np.ndarray
    seen: np.ndarray
    K: np.ndarray
    height_m: float

    @classmethod
    def of(cls, path: Path) -> Truth:
        """Of a rendered clip."""
        truth = load_truth(path.with_suffix(".truth.npz"))
        p = geometry.transform(geometry.inverse(truth.T_world_camera)[:, None], truth.p_world_keypoint)
        points = np.stack([p[:, skeletons.HAND_SLICES[side]] for side in skeletons.SIDES], axis=1)
        seen = np.stack([truth.visible[:, skeletons.HAND_SLICES[side]].mean(1) for side in skeletons.SIDES], axis=1)
        image = points[..., :2] / points[..., 2:] * truth.K[[0, 1], [0, 1]] + truth.K[:2, 2]
        return cls(truth.time_ns, image, points, seen >= 0.5, truth.K, truth.height_m)


def frames(path: Path) -> Iterator[np.ndarray]:
    """Pictures of a video."""
    info = probe(path)
    assert isinstance(info, VideoInfo)
    with open_video(info) as reader:
        for _, _, frame in reader.iterate():
            yield frame


def altered(source: Path, target: Path, change: Callable[[int, np.ndarray], np.ndarray]) -> Path:
    """The video with its frames changed by `change(t, frame)`, at the rate of the source."""
    first, writer = True, None
    info = probe(source)
    assert isinstance(info, VideoInfo)
    for t, frame in enumerate(frames(source)):
        picture = np.ascontiguousarray(change(t, frame))
        if first:
            writer = H264Writer(target, picture.shape[1], picture.shape[0], info.average_rate_hz).__enter__()
            first = False
        assert writer is not None
        writer.write(picture)
    assert writer is not None
    writer.__exit__(None, None, None)
    return target


def clip_of(path: Path, config: VideoConfig | None = None) -> tuple[Clip, VideoInfo]:
    """The whole video as one clip."""
    config = dataclasses.replace(config or VideoConfig(), cut_threshold=1.0)
    info = probe(path, config)
    assert isinstance(info, VideoInfo)
    clips = split(info, config)
    assert not isinstance(clips, Reject)
    assert len(clips) == 1
    return clips[0], info


def shares(tracks, truth: Truth, place: Callable[[np.ndarray], np.ndarray] = lambda uv: uv, swap: bool = False):
    """(share of the hands in sight that are found, share of those emitted that are elsewhere).

    `place` takes the truth's pixels to the altered picture's, `swap` exchanges the sides.
    """
    at = timebase.nearest_index(truth.time_ns, tracks[0].time_ns)
    hit = wanted = wrong = emitted = 0
    for side, track in enumerate(tracks[:2]):
        own = place(truth.image[at, 1 - side if swap else side])
        seen = truth.seen[at, 1 - side if swap else side]
        size = np.linalg.norm(np.diff(own[:, _MIDDLE], axis=1), axis=-1).sum(-1)
        off = np.linalg.norm(track.p_image_keypoint[:, _PALM] - own[:, _PALM], axis=-1).mean(-1) / size
        right = track.found & (off < 0.5)
        hit, wanted = hit + int((right & seen).sum()), wanted + int(seen.sum())
        wrong, emitted = wrong + int((track.found & ~right).sum()), emitted + int(track.found.sum())
    return hit / max(wanted, 1), wrong / max(emitted, 1)


if __name__ == "__main__":
    render(Path(sys.argv[1]))
