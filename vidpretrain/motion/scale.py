"""The scale of a camera's path from the body that it saw: feet and hands come to rest, so the least motion is right.

A person of known height is placed in metres in every frame; a path from pictures alone is in units of its own. Of all
scales the one is taken under which points of the body move least in the world, in the sense of the sum of lengths, not
of squares: points that rest decide, and those that move do not.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.camera import CameraPath
from vidpretrain.motion.body import HIPS, SHOULDERS, Body
from vidpretrain.motion.hands import Hand
from vidpretrain.motion.surface import sized_by_hands

_APART_S = 0.25
_ROUNDS, _LEAST_M = 30, 0.003
_BODY_SIZE = 0.12  # one sigma of how far away a body is taken to be, as a share
_FEET = [27, 28, 31, 32]  # ankles and toes
_LEAST_FRAMES, _TOGETHER = 8, 0.05  # share of the frames that counts: neighbours err together


def scaled(path: CameraPath | None, body: Body | None, hands: dict[str, Hand]) -> CameraPath | None:
    """The path in metres; as it is where its unit is known. Where nothing tells the scale the camera counts as turning.

    Points are those of feet, or of shoulders and hips, whichever are left with less motion; without a body the wrists'.
    For a camera on a head, and no body, the hands before what they work at tell it (`sized_by_hands`).
    """
    if path is not None and body is None:
        path = sized_by_hands(path, hands)
    if path is None or path.unit_m is not None or not path.moves:
        return path
    apart = max(1, round(_APART_S / (float(np.median(np.diff(path.time_ns))) / timebase.NS_PER_S)))
    tried = [found for points in _groups(body, hands) if (found := _of_points(path, points, apart)) is not None]
    if not tried:
        return _turning(path, "no point of the body tells its scale")
    scale, sigma, _ = min(tried, key=lambda found: found[2])
    sigma = float(np.hypot(sigma, _BODY_SIZE * scale))
    if not np.isfinite(scale) or scale <= 0 or sigma > 0.5 * scale:
        return _turning(path, f"the body does not tell its scale ({scale:.3g} with sigma {sigma:.2g})")
    poses = geometry.pose(path.T_first_camera[:, :4], scale * path.T_first_camera[:, 4:])
    far = np.linalg.norm(poses[:, 4:], axis=1)
    return dataclasses.replace(
        path,
        T_first_camera=poses,
        sigma_m=np.hypot(path.sigma_m * (scale if path.p_first_point is not None else 1.0), far * sigma / scale),
        p_first_point=None if path.p_first_point is None else scale * path.p_first_point,
        unit_m=1.0,
        detail=f"{path.detail}; {scale:.3g} m per unit by the body, within {sigma / scale:.0%}",
    )


def least_motion(own: np.ndarray, camera: np.ndarray) -> tuple[float, float]:
    """(scale s, its sigma) that minimises the sum of |own + s camera| (n 3 each), by weighted least squares."""
    weight = np.ones(len(own))
    scale = 0.0
    for _ in range(_ROUNDS):
        scale = -float((weight[:, None] * own * camera).sum() / max((weight[:, None] * camera**2).sum(), 1e-12))
        rest = np.linalg.norm(own + scale * camera, axis=1)
        weight = 1.0 / np.maximum(rest, _LEAST_M)
    information = float((weight[:, None] * camera**2).sum())
    variance = float((weight**2 * ((own + scale * camera) * camera).sum(axis=1) ** 2).sum())
    return scale, float(np.sqrt(variance / _TOGETHER)) / max(information, 1e-12)


def _of_points(path: CameraPath, points: list[np.ndarray], apart: int) -> tuple[float, float, float] | None:
    """(scale, its sigma, what of the points' motion is left) by points (t 3, NaN where not seen), None if they tell
    nothing."""
    steps, turned = [np.zeros((0, 3))], [np.zeros((0, 3))]
    for point in points:
        p = geometry.rotate(path.T_first_camera[:, :4], point)
        steps.append(p[apart:] - p[:-apart])
        turned.append(path.T_first_camera[apart:, 4:] - path.T_first_camera[:-apart, 4:])
    own, camera = np.concatenate(steps), np.concatenate(turned)
    ok = np.isfinite(own).all(axis=1) & np.isfinite(camera).all(axis=1)
    own, camera = own[ok], camera[ok]
    # a point that rests goes against the camera's way; of one with the camera's tremble only, nothing can be told
    if len(own) < _LEAST_FRAMES or not (np.linalg.norm(camera, axis=1) > 0).any():
        return None
    scale, sigma = least_motion(own, camera)
    return scale, sigma, float(np.linalg.norm(own + scale * camera, axis=1).mean())


def _groups(body: Body | None, hands: dict[str, Hand]) -> list[list[np.ndarray]]:
    """Points that may come to rest: feet and trunk each on their own (feet of who walks, the trunk of who stands)."""
    if body is not None:
        out = []
        for group in (_FEET, [*SHOULDERS, *HIPS]):
            seen = body.seen[:, group] & body.found[:, None]
            if seen.mean() > 0.3:
                out.append([np.where(seen[:, [k]], body.p_camera[:, j], np.nan) for k, j in enumerate(group)])
        if out:
            return out
    return [[np.where(hand.seen[:, None], hand.p_wrist, np.nan) for hand in hands.values()]]


def _turning(path: CameraPath, why: str) -> CameraPath:
    """The path without its places: what is left of it when nobody knows how large they are."""
    poses = geometry.pose(path.T_first_camera[:, :4], np.zeros(3))
    moved = np.linalg.norm(path.T_first_camera[:, 4:], axis=1) > 0
    return dataclasses.replace(
        path,
        T_first_camera=poses,
        sigma_m=np.where(moved, 0.2, path.sigma_m),
        motion="rotation",
        unit_m=1.0,
        detail=f"{path.detail}; {why}",
    )
