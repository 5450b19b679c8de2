"""Hands in the camera frame: from relative points and image points to metric hands of one size.

`lift_hand` places each frame on its own; `clean_hand` removes outliers, bridges short gaps and smooths wrist ray,
depth, palm orientation and finger shape apart, so that bones keep their length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain import geometry, timebase
from vidpretrain.motion import bones, clean
from vidpretrain.motion.camera import unproject
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.hand_fit import fit_hand
from vidpretrain.types import Camera, PoseTrack


@dataclass(frozen=True)
class Hand:
    """One hand over a clip in the camera frame; NaN where not `seen`.

    `p_wrist` (t 3) m; `p_point` (t 21 3) m relative to the wrist, camera axes; `sigma_m` (t) of the wrist across the
    ray and `sigma_depth_m` (t) along it; `imputed` frames were bridged.
    """

    p_wrist: np.ndarray
    p_point: np.ndarray
    sigma_m: np.ndarray
    sigma_depth_m: np.ndarray
    seen: np.ndarray
    imputed: np.ndarray

    @property
    def p_camera(self) -> np.ndarray:
        """Points (t 21 3) in the camera frame."""
        return self.p_wrist[:, None] + self.p_point


def found(track: PoseTrack, config: MotionConfig) -> Bool[np.ndarray, " t"]:
    """Frames in which the hand is there, finite and confident enough."""
    finite = np.asarray(np.isfinite(track.p_image_keypoint).all((1, 2)))
    if track.p_relative_keypoint is None:
        return np.zeros(len(finite), dtype=bool)
    relative = track.p_relative_keypoint
    finite &= np.isfinite(relative).all((1, 2))
    finite &= (relative[:, 9] != relative[:, 0]).any(axis=1)  # a point is no hand
    return finite & (np.nan_to_num(track.confidence).mean(axis=1) >= config.min_hand_confidence)


def lift_hand(track: PoseTrack, camera: Camera, side: str, config: MotionConfig) -> Hand:
    """Metric hand of every found frame; frames that do not reproject are dropped."""
    seen = found(track, config)
    t = len(seen)
    p_wrist, p_point = np.full((t, 3), np.nan), np.full((t, 21, 3), np.nan)
    sigma, sigma_depth = np.full(t, np.nan), np.full(t, np.nan)
    if not seen.any() or track.p_relative_keypoint is None:
        return Hand(p_wrist, p_point, sigma, sigma_depth, np.zeros(t, bool), np.zeros(t, bool))
    ray = unproject(camera, track.p_image_keypoint[seen])
    weight = np.nan_to_num(track.confidence[seen])
    shape, spot = fit_hand(np.asarray(track.p_relative_keypoint)[seen], ray, weight, side, config)
    # the size seen, in x / z: what the depth is made of
    hand_m = bones.HAND_OF_HEIGHT * config.person_height_m
    good = np.isfinite(spot.rms) & (spot.rms * np.nan_to_num(spot.p[:, 2]) <= config.max_reprojection * hand_m)
    index = np.flatnonzero(seen)[good]
    spread = np.linalg.norm(ray - ray.mean(axis=1, keepdims=True), axis=-1).mean(axis=1)[good]
    rms, depth = spot.rms[good], spot.p[good, 2]
    p_wrist[index] = spot.p[good]
    p_point[index] = shape[good]
    sigma[index] = np.maximum(rms, 1e-4) * depth
    vague = config.fov_uncertainty if camera.intrinsics_from == "assumed" else 0.0
    relative = np.sqrt((0.5 * rms / np.maximum(spread, 1e-6)) ** 2 + config.size_uncertainty**2 + vague**2)
    sigma_depth[index] = depth * relative
    seen = np.zeros(t, dtype=bool)
    seen[index] = True
    return Hand(p_wrist, p_point, sigma, sigma_depth, seen, np.zeros(t, dtype=bool))


def clean_hand(
    hand: Hand,
    time_ns: Int64[np.ndarray, " t"],
    confidence: Float64[np.ndarray, " t"],
    lengths: Float64[np.ndarray, " 21"],
    config: MotionConfig,
) -> Hand:
    """The hand without outliers, short gaps bridged and marked, smoothed; bones have exactly the lengths given."""
    out = [a.copy() for a in (hand.p_wrist, hand.p_point, hand.sigma_m, hand.sigma_depth_m)]
    p_wrist, p_point, sigma, sigma_depth = out
    calm = _calm_depth(hand, time_ns, config)
    good = hand.seen & ~clean.outliers(time_ns, calm, hand.seen, config)
    fill = clean.fillable(good, clean.longest_gap(time_ns, config))
    keep = good | fill
    step_s = clean.frame_step_s(time_ns)
    for start, end in timebase.runs(keep):
        if (time_ns[end - 1] - time_ns[start]) / timebase.NS_PER_S + step_s < config.min_hand_run_s:
            keep[start:end], fill[start:end] = False, False
            continue
        part = slice(start, end)
        times, real = time_ns[part], good[part]
        weight = np.where(real, np.nan_to_num(confidence[part]) ** 2, 0.05)
        wrist = clean.interpolate_gaps(times, hand.p_wrist[part], real)
        depth = clean.robust_depth(times, wrist[:, 2], weight, config.smooth_depth_hz)
        ray = clean.smooth(times, wrist[:, :2] / wrist[:, 2:], weight, config.smooth_place_hz)
        p_wrist[part] = np.concatenate([ray, np.ones((len(ray), 1))], axis=1) * depth[:, None]
        p_point[part] = _smooth_shape(times, hand.p_point[part], real, weight, lengths, config)
        away = _frames_to_data(real)
        for series, source in ((sigma, hand.sigma_m), (sigma_depth, hand.sigma_depth_m)):
            series[part] = clean.interpolate_gaps(times, source[part], real) * (1 + 0.5 * away)
    for array in out:
        array[~keep] = np.nan
    return Hand(p_wrist, p_point, sigma, sigma_depth, keep, fill)


def _calm_depth(hand: Hand, time_ns, config):
    # outliers are judged across the view: depth is too rough for it, and is made robust on its own
    p = hand.p_wrist.copy()
    if hand.seen.sum() > 3:
        depth = p[hand.seen, 2]
        weight = np.ones(len(depth))
        calm = clean.robust_depth(time_ns[hand.seen], depth, weight, config.smooth_depth_hz)
        p[hand.seen] *= (calm / depth)[:, None]
    return p


def _frames_to_data(real: Bool[np.ndarray, " t"]) -> np.ndarray:
    index = np.arange(len(real))
    data = index[real]
    return np.abs(index - data[timebase.nearest_index(data, index)])


def _smooth_shape(times, points, real, weight, lengths, config):
    q = np.full((len(points), 4), np.nan)
    q[real] = bones.palm_turn(points[real])
    known = np.flatnonzero(real)
    q = timebase.interpolate_pose(times[known], geometry.pose(q[known], np.zeros(3)), times)[:, :4]
    local = np.zeros_like(points)
    local[real] = geometry.rotate(geometry.quat_inverse(q[real])[:, None], bones.hand_directions(points[real]))
    local = clean.interpolate_gaps(times, local, real)
    local = clean.smooth(times, local, weight, config.smooth_shape_hz)
    q = clean.smooth_turn(times, q, weight, config.smooth_turn_hz)
    direction = geometry.rotate(q[:, None], geometry.normalize(local))
    return bones.hang_hand(direction, lengths)
