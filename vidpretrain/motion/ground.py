"""Feet keep a body at its distance: slow drift of depth that lifts the feet off the floor, or sinks them, is undone.

In the fit of one human a foot that stands keeps its place, on the one floor of the clip (`stance_terms`); where hands
and body were placed apart, the body is moved afterwards (`stand_on_floor`).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.motion import clean
from vidpretrain.motion.body import HIPS, Body
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.world import feet_above_floor
from vidpretrain.solve import PointTerm


def stand_on_floor(
    body: Body,
    hands: dict[str, Hand],
    T_world_camera: Float64[np.ndarray, "t 7"],
    time_ns: Int64[np.ndarray, " t"],
    config: MotionConfig,
) -> tuple[Body, dict[str, Hand]]:
    """(body, hands) moved along the viewing ray of the pelvis so that the lower foot stays near the floor.

    Depth by size is good to a few percent, the floor to a few centimetres; along a ray of slope s the height e of the
    lower foot asks for a move of -e s / (s^2 + r^2), r the ratio of the two sigmas (ridge regression), so a level
    view changes nothing. Only slow parts are taken (`ground_hz`): who jumps, jumps.
    """
    height, known = feet_above_floor(geometry.transform(T_world_camera[:, None], body.p_camera), body, config)
    if known.sum() < max(4, 0.3 * body.found.sum()):
        return body, hands
    move = np.zeros_like(body.p_camera[:, 0])
    for start, end in timebase.runs(body.found):
        part = slice(start, end)
        if known[part].sum() < 4:
            continue
        e = clean.interpolate_gaps(time_ns[part], height[part], known[part])
        e = clean.smooth(time_ns[part], e, np.where(known[part], 1.0, 0.1), config.ground_hz)
        ray = geometry.normalize(body.p_camera[part][:, HIPS].mean(axis=1))
        depth = body.p_camera[part][:, HIPS, 2].mean(axis=1)
        slope = geometry.rotate(T_world_camera[part, :4], ray)[:, 2]
        ratio = config.floor_sigma_m / (config.size_uncertainty * depth)
        along = np.clip(-e * slope / (slope**2 + ratio**2), -0.2 * depth, 0.2 * depth)
        move[part] = along[:, None] * ray
    moved = {side: dataclasses.replace(hand, p_wrist=hand.p_wrist + move) for side, hand in hands.items()}
    return dataclasses.replace(body, p_camera=body.p_camera + move[:, None]), moved


FEET = tuple((f"{side}_heel", f"{side}_foot_index") for side in skeletons.SIDES)
"""Sites of the soles, by side."""

_SHORTEST_S = 0.2  # of a stance
_TRIM = 0.05  # of the way up the feet's heights, where the lowest one is taken


def standing(
    p_world: Float64[np.ndarray, "t 2 2 3"],
    p_world_camera: Float64[np.ndarray, "t 3"],
    up: Float64[np.ndarray, " 3"],
    seen: Bool[np.ndarray, "t 2"],
    rate_hz: float,
    config: FitConfig,
) -> Bool[np.ndarray, "t 2"]:
    """Frames in which the left and the right foot stand: seen, low, and still across the view.

    `p_world` are heel and toe of each foot by a first solve, whose depths are rough: speed along the viewing ray does
    not count.
    """
    out = np.zeros(seen.shape, dtype=bool)
    if len(out) < 3 or not seen.any():
        return out
    ray = geometry.normalize(p_world - p_world_camera[:, None, None])
    velocity = np.gradient(p_world, axis=0) * rate_hz
    across = velocity - (velocity * ray).sum(-1, keepdims=True) * ray
    still = (np.linalg.norm(across, axis=-1) < config.standing_m_s).all(axis=-1)
    height = (p_world @ up).min(axis=-1)
    low = height < np.quantile(height[seen], _TRIM) + config.standing_m
    for foot in range(2):
        for start, end in timebase.runs(seen[:, foot] & still[:, foot] & low[:, foot]):
            out[start:end, foot] = end - start >= max(3, _SHORTEST_S * rate_hz)
    return out


def stance_terms(
    p_world: Float64[np.ndarray, "t 2 2 3"],
    p_world_camera: Float64[np.ndarray, "t 3"],
    up: Float64[np.ndarray, " 3"],
    stands: Bool[np.ndarray, "t 2"],
    config: FitConfig,
) -> list[PointTerm]:
    """Terms that keep each foot that `stands` where it is on average over its stance, on one floor.

    The floor is the median height of all stances. A stance off it is moved along its viewing ray, as far as the two
    sigmas say (ridge regression, as in `stand_on_floor`).
    """
    runs = [(foot, start, end) for foot in range(2) for start, end in timebase.runs(stands[:, foot])]
    if not runs:
        return []
    middle = [np.median(p_world[start:end, foot], axis=0) for foot, start, end in runs]
    height = np.array([float((m @ up).min()) for m in middle])
    order, length = np.argsort(height), np.array([end - start for _, start, end in runs], dtype=float)
    floor = height[order[np.searchsorted(np.cumsum(length[order]), 0.5 * length.sum())]]
    target = np.full_like(p_world, np.nan)
    for (foot, start, end), place, above in zip(runs, middle, height - floor, strict=True):
        seen_from = place.mean(axis=0) - p_world_camera[start:end].mean(axis=0)
        ray, depth = geometry.normalize(seen_from), float(np.linalg.norm(seen_from))
        slope, ratio = float(ray @ up), config.stance_floor_m / (config.stance_depth * depth)
        target[start:end, foot] = place - above * slope / (slope**2 + ratio**2) * ray
    weight = 1.0 / config.stance_m**2
    return [
        PointTerm(
            site=site,
            p_world_target=target[:, foot, k].copy(),
            weight=np.where(stands[:, foot], weight, 0.0),
            huber_m=config.robust * config.stance_m,
            loss="cauchy",
        )
        for foot, sites in enumerate(FEET)
        for k, site in enumerate(sites)
    ]
