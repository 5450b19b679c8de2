"""What a real clip can be held against without truth: itself mirrored, itself run backwards, its bones, its networks.

All distances in the picture are in lengths of the hand (or torso), so that large and small people count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labelling.errors import Labels, of_motions
from labelling.real import RealClip, Tracks, mirrored
from vidpretrain import skeletons
from vidpretrain.motion import MotionConfig, build_motion, project
from vidpretrain.motion.bones import HAND_PARENT
from vidpretrain.types import Camera, PoseTrack, Reject

_PALM, _MIDDLE = [0, 5, 9, 13, 17], [0, 9, 10, 11, 12]
_SAME = 0.5  # hand lengths between two palms that are one hand's
_BONES = list(range(1, 21))
# what a frame is worth looking at for, each over a size that would be clearly wrong
LIMITS = {"reprojection": 0.2, "mirror image": 0.5, "run backwards": 0.5, "from the body's wrist": 0.5, "step": 1.0}


@dataclass(frozen=True)
class Agreement:
    """Summary by name, and per frame and side (t 2) how far each check is off; `points` (t 2 21 2) is the fit, px."""

    summary: dict[str, float]
    off: dict[str, np.ndarray]
    points: np.ndarray


def agreement(real: RealClip) -> Agreement:
    """All checks of a clip; NaN where one does not apply."""
    time_ns = np.asarray(real.tracks[0].time_ns)
    labels, camera = _labels(real, real.tracks, "plain")
    flipped, _ = _labels(real, mirrored(real.clip, real.flipped), "mirrored")
    back, _ = _labels(real, _run_back(real.turned_back), "backwards")
    points = np.full((len(time_ns), 2, 21, 2), np.nan)
    if camera is not None:
        points = np.stack([project(camera, labels.points[s]) for s in skeletons.SIDES], axis=1)
    off = {
        "reprojection": _by_side(lambda i: _reprojection(real.tracks[i], points[:, i])),
        "mirror image": _by_side(lambda i: _apart(real.tracks[i], real.flipped[i])),
        "run backwards": _by_side(lambda i: _apart(real.tracks[i], real.turned_back[i])),
        "from the body's wrist": _by_side(lambda i: _from_body(real.tracks[i], real.tracks[2], i)),
        "step": _by_side(lambda i: _step(real.tracks[i])),
    }
    summary = {
        "hand": float(np.mean(real.tracks[0].found | real.tracks[1].found)),
        "body": float(real.tracks[2].found.mean()),
        "hand reprojection": _median(off["reprojection"]),
        "body reprojection": _body_reprojection(real, camera),
        "bones of the network": _bone_spread([np.asarray(t.p_relative_keypoint)[t.found] for t in real.tracks[:2]]),
        "bones of the fit": _bone_spread([labels.points[s] for s in skeletons.SIDES]),
        "hand from the body's wrist": _median(off["from the body's wrist"]),
    }
    for name, other, moved in (
        ("mirrored", real.flipped, _unmirrored(flipped)),
        ("backwards", real.turned_back, _unreversed(back)),
    ):
        found, exchanged = _both(real.tracks, other)
        summary[f"{name}: found alike"] = found
        summary[f"{name}: sides exchanged"] = exchanged
        apart = np.stack([np.linalg.norm(labels.points[s] - moved[s], axis=-1)[:, 0] for s in skeletons.SIDES], axis=1)
        summary[f"{name}: wrist, cm"] = 100 * _median(apart)
        summary[f"{name}: wrist's way over .5 s, cm"] = 100 * _median(_way(labels, moved, time_ns))
    return Agreement(summary, off, points)


def _labels(real: RealClip, tracks: Tracks, what: str) -> tuple[Labels, Camera | None]:
    motions = build_motion(tracks, real.clip, MotionConfig())
    time_ns = np.asarray(tracks[0].time_ns)
    if isinstance(motions, Reject):
        return of_motions((), time_ns), None
    return of_motions(motions, time_ns), motions[0].camera


def _run_back(tracks: Tracks) -> Tracks:
    """Tracks in the film's own order again, on the same grid of times from its start."""
    import dataclasses

    time_ns = np.asarray(tracks[0].time_ns)
    times = time_ns[-1] - time_ns[::-1] + time_ns[0]
    out = []
    for track in tracks:
        relative = None if track.p_relative_keypoint is None else track.p_relative_keypoint[::-1]
        out.append(
            dataclasses.replace(
                track,
                time_ns=times,
                p_image_keypoint=track.p_image_keypoint[::-1],
                p_relative_keypoint=relative,
                confidence=track.confidence[::-1],
            )
        )
    return tuple(out)


def _unmirrored(labels: Labels) -> dict[str, np.ndarray]:
    left, right = (labels.points[s] * [-1.0, 1.0, 1.0] for s in skeletons.SIDES)
    return {"left": right, "right": left}


def _unreversed(labels: Labels) -> dict[str, np.ndarray]:
    return {side: labels.points[side][::-1] for side in skeletons.SIDES}


def _by_side(measure) -> np.ndarray:
    return np.stack([measure(0), measure(1)], axis=1)


def _length(track: PoseTrack) -> np.ndarray:
    return np.linalg.norm(np.diff(track.p_image_keypoint[:, _MIDDLE], axis=1), axis=-1).sum(-1)


def _reprojection(track: PoseTrack, points: np.ndarray) -> np.ndarray:
    """Mean over the points (the network's wrist left out) in lengths of the hand, at least those of its median."""
    length = _length(track)
    usual = np.nanmedian(length) if track.found.any() else np.nan
    return np.linalg.norm(points - track.p_image_keypoint, axis=-1)[:, 1:].mean(1) / np.fmax(length, usual)


def _apart(a: PoseTrack, b: PoseTrack) -> np.ndarray:
    """Palm to palm in hand lengths; a hand that only one of them has is one length off."""
    length = np.fmax(_length(a), _length(b))
    apart = np.linalg.norm(a.p_image_keypoint - b.p_image_keypoint, axis=-1)[:, _PALM].mean(1) / length
    return np.where(a.found & b.found, apart, np.where(a.found | b.found, 1.0, np.nan))


def _from_body(track: PoseTrack, body: PoseTrack, side: int) -> np.ndarray:
    p = body.p_image_keypoint
    torso = np.linalg.norm(p[:, 11:13].mean(1) - p[:, 23:25].mean(1), axis=-1)
    torso = np.fmax(torso, np.linalg.norm(p[:, 11] - p[:, 12], axis=-1))
    return np.linalg.norm(track.p_image_keypoint[:, 0] - p[:, 15 + side], axis=-1) / torso


def _step(track: PoseTrack) -> np.ndarray:
    step = np.linalg.norm(np.diff(track.p_image_keypoint, axis=0), axis=-1)[:, _PALM].mean(1) / _length(track)[1:]
    return np.concatenate([[np.nan], step])


def _both(a: Tracks, b: Tracks) -> tuple[float, float]:
    """Shares of the frames and sides with a hand in either: those with one in both; those exchanged with the other."""
    alike, exchanged, either = 0, 0, 0
    for side in (0, 1):
        either += int((a[side].found | b[side].found).sum())
        alike += int((a[side].found & b[side].found & (_apart(a[side], b[side]) < _SAME)).sum())
        crossed = a[side].found & b[1 - side].found & (_apart(a[side], b[1 - side]) < _SAME)
        exchanged += int((crossed & ~(_apart(a[side], b[side]) < _SAME)).sum())
    return (alike / either, exchanged / either) if either else (float("nan"), float("nan"))


def _bone_spread(hands: list[np.ndarray]) -> float:
    """Median over the bones of their lengths' standard deviation over time, as a share; of the worse hand."""
    spreads = []
    for points in hands:
        points = points[np.isfinite(points).all((1, 2))]
        if len(points) > 5:
            bones = np.linalg.norm(points[:, _BONES] - points[:, [HAND_PARENT[k] for k in _BONES]], axis=-1)
            spreads.append(float(np.median(bones.std(0) / bones.mean(0))))
    return max(spreads, default=float("nan"))


def _body_reprojection(real: RealClip, camera: Camera | None) -> float:
    """Shoulders, elbows and wrists that are seen, median over frames in torso lengths."""
    motions = build_motion(real.tracks, real.clip, MotionConfig())
    if camera is None or isinstance(motions, Reject) or not motions[0].body_seen:
        return float("nan")
    from vidpretrain import geometry

    off = []
    body = real.tracks[2]
    for motion in motions:
        assert motion.camera.T_world_camera is not None
        rows = np.searchsorted(body.time_ns, motion.time_ns)
        p = geometry.transform(geometry.inverse(motion.camera.T_world_camera)[:, None], motion.p_world_keypoint)
        pixel = project(motion.camera, p[:, skeletons.BODY_SLICE])
        seen = body.p_image_keypoint[rows]
        torso = np.linalg.norm(seen[:, 11:13].mean(1) - seen[:, 23:25].mean(1), axis=-1)
        error = np.linalg.norm(pixel - seen, axis=-1) / torso[:, None]
        off.append(np.where(body.confidence[rows] > 0.5, error, np.nan)[:, 11:17])
    return _median(np.concatenate(off))


def _way(labels: Labels, moved: dict[str, np.ndarray], time_ns: np.ndarray) -> np.ndarray:
    later = np.searchsorted(time_ns, time_ns + 500_000_000)
    inside = later < len(time_ns)
    rows, later = np.flatnonzero(inside), later[inside]
    ways = []
    for side in skeletons.SIDES:
        a, b = labels.points[side][:, 0], moved[side][:, 0]
        ways.append(np.linalg.norm((a[later] - a[rows]) - (b[later] - b[rows]), axis=-1))
    return np.concatenate(ways) if ways else np.zeros(0)


def _median(values: np.ndarray) -> float:
    values = np.asarray(values)[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")
