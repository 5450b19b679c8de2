"""The camera's turn in every frame: against its keyframe, along the chain of keyframes, and around its loops.

A frame is turned against its keyframe directly, so drift only comes with a new keyframe; where an earlier view comes
back, the keyframes' turns are averaged over all links by Gauss-Newton on rotations with robust weights (Hartley et al.
2013, "Rotation averaging").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry
from vidpretrain.camera.background import Background
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.lens import directions
from vidpretrain.camera.rotation import Turn, turn_between
from vidpretrain.types import Camera

_ROUNDS = 10
_STEPS = 5.0  # how many times the tolerance a link between keyframes may be off before it stops counting
_LEAST_RAD = 2e-4  # no link between keyframes is better than this


@dataclass(frozen=True)
class Turning:
    """`q_first_camera` (t 4), `sigma_rad` (t, infinite where unsolved), `agreement` (t), `agrees` (m observations)."""

    q_first_camera: np.ndarray
    sigma_rad: np.ndarray
    agreement: np.ndarray
    agrees: np.ndarray


def tolerance_rad(seen: Background, camera: Camera, config: CameraConfig) -> float:
    """The angle that `tolerance_px` is in the middle of the picture."""
    return config.tolerance_px * seen.pixel / float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))


def cell_weight(seen: Background, p_image: np.ndarray) -> np.ndarray:
    """Weight (m) of points: every cell of the picture counts alike, one with two points or fewer less."""
    cell = seen.cell(p_image)
    count = np.bincount(cell, minlength=cell.max() + 1 if len(cell) else 1)
    return 1.0 / np.maximum(count[cell], 2)


def turning(seen: Background, camera: Camera, config: CameraConfig, loose: float = 1.0) -> Turning:
    """The turns of all frames; frames with too little background are left unsolved.

    `loose` widens the tolerance: near things go by as a camera moves, and the middle of them is where a search starts.
    """
    t, tolerance = len(seen.time_ns), loose * tolerance_rad(seen, camera, config)
    home_ray, ray = directions(camera, seen.p_home), directions(camera, seen.p_image)
    key_of = np.searchsorted(seen.key_frame, np.arange(t), side="left") - 1  # a keyframe is seen from the one before
    key_of = np.maximum(key_of, 0)
    start = np.searchsorted(seen.frame, np.arange(t + 1))
    own: list[Turn | None] = [None] * t
    agrees = np.zeros(len(seen.frame), dtype=bool)
    near, row = None, -1
    for i in range(t):
        part = np.arange(start[i], start[i + 1])
        if key_of[i] != row:
            near, row = None, int(key_of[i])
        part = part[np.isfinite(ray[part]).all(1) & np.isfinite(home_ray[seen.feature[part]]).all(1)]
        turn = _turn(
            seen, home_ray[seen.feature[part]], ray[part], seen.p_home[seen.feature[part]], tolerance, near, config
        )
        if turn is None:
            continue
        own[i], near = turn, turn.q_a_b
        agrees[part] = turn.agrees
    q_key, sigma_key = _keys(seen, camera, own, tolerance, config)
    return _frames(seen, own, key_of, q_key, sigma_key, agrees)


def _turn(seen, ray_a, ray_b, p_a, tolerance: float, near, config: CameraConfig) -> Turn | None:
    if len(ray_a) < config.min_features or len(np.unique(seen.cell(p_a))) < config.min_cells:
        return None
    turn = turn_between(ray_a, ray_b, cell_weight(seen, p_a), tolerance, near)
    return turn if turn is not None and turn.agreement >= config.min_agreement else None


def _keys(seen: Background, camera: Camera, own, tolerance: float, config: CameraConfig):
    """Turns (k 4) of the keyframes against the first and their sigma (k), infinite where nothing leads to the first."""
    links: list[tuple[int, int, np.ndarray, float]] = []
    for row in range(1, len(seen.key_frame)):
        turn = own[int(seen.key_frame[row])]
        if turn is not None:
            links.append((row - 1, row, turn.q_a_b, turn.sigma_rad))
    for a, b in np.unique(seen.link, axis=0):
        pair = seen.p_link[(seen.link == (a, b)).all(axis=1)]
        rays = directions(camera, pair)
        rays = rays[np.isfinite(rays).all((1, 2))]
        if len(rays) < config.min_features:
            continue
        turn = turn_between(rays[:, 0], rays[:, 1], cell_weight(seen, pair[: len(rays), 0]), 1.5 * tolerance)
        if (
            turn is not None
            and turn.agreement >= max(config.min_agreement, 0.5)
            and turn.agrees.sum() >= config.min_features
        ):
            links.append((int(a), int(b), turn.q_a_b, 1.5 * turn.sigma_rad))
    return average(len(seen.key_frame), links, tolerance)


def average(
    count: int, links: list[tuple[int, int, np.ndarray, float]], tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """(q_first_key (k 4), sigma (k) rad of one axis) that fit all links (a, b, q_a_b, sigma_rad) best."""
    q, reached = np.tile([1.0, 0, 0, 0], (count, 1)), np.zeros(count, dtype=bool)
    if count:
        reached[0] = True
    waiting = sorted(links, key=lambda link: (link[1] - link[0], link[3]))
    while True:  # along the shortest links first
        step = next(((a, b, r) for a, b, r, _ in waiting if reached[a] != reached[b]), None)
        if step is None:
            break
        a, b, r = step
        if reached[a]:
            q[b], reached[b] = geometry.quat_mul(q[a], r), True
        else:
            q[a], reached[a] = geometry.quat_mul(q[b], geometry.quat_inverse(r)), True
    sigma = np.where(reached, 0.0, np.inf)
    used = [link for link in links if reached[link[0]] and reached[link[1]]]
    index = np.flatnonzero(reached)[1:]
    if not len(index):
        return q, sigma
    place = {int(k): i for i, k in enumerate(index)}
    H = np.eye(3 * len(index))
    for _ in range(_ROUNDS):
        H, g = 1e-9 * np.eye(3 * len(index)), np.zeros(3 * len(index))
        for a, b, r, own in used:
            # q_b = q_a r exp(e); a turn of a key by d is from the left, so that e = R_b^T (d_b - d_a) to first order
            off = geometry.quat_log(geometry.quat_mul(geometry.quat_inverse(geometry.quat_mul(q[a], r)), q[b]))
            off = geometry.rotate(q[b], off)
            scale = _STEPS * tolerance
            w = 1.0 / max(own, _LEAST_RAD) ** 2 / (1.0 + float(off @ off) / scale**2) ** 2
            for k, sign in ((a, -1.0), (b, 1.0)):
                if k in place:
                    i = slice(3 * place[k], 3 * place[k] + 3)
                    H[i, i] += w * np.eye(3)
                    g[i] += sign * w * off
            if a in place and b in place:
                i, j = slice(3 * place[a], 3 * place[a] + 3), slice(3 * place[b], 3 * place[b] + 3)
                H[i, j] -= w * np.eye(3)
                H[j, i] -= w * np.eye(3)
        step = -np.linalg.solve(H, g).reshape(-1, 3)
        q[index] = geometry.normalize(geometry.quat_mul(geometry.quat_exp(step), q[index]))
        if np.abs(step).max() < 1e-7:
            break
    sigma[index] = np.sqrt(np.diag(np.linalg.inv(H)).reshape(-1, 3).mean(axis=1))
    return q, sigma


def _frames(seen: Background, own, key_of, q_key, sigma_key, agrees) -> Turning:
    t = len(own)
    q, sigma, agreement = np.tile([1.0, 0, 0, 0], (t, 1)), np.full(t, np.inf), np.zeros(t)
    row_of = {int(frame): row for row, frame in enumerate(seen.key_frame)}
    for i in range(t):
        turn, row = own[i], row_of.get(i)
        if turn is not None:
            agreement[i] = turn.agreement
        if row is not None and np.isfinite(sigma_key[row]):
            q[i], sigma[i] = q_key[row], sigma_key[row]
            agreement[i] = 1.0 if i == 0 else agreement[i]
        elif turn is not None and np.isfinite(sigma_key[key_of[i]]):
            q[i] = geometry.quat_mul(q_key[key_of[i]], turn.q_a_b)
            sigma[i] = np.hypot(sigma_key[key_of[i]], turn.sigma_rad)
    return Turning(q, sigma, agreement, agrees)
