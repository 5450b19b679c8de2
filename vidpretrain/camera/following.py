"""Turn and place of a camera that moves as it turns: stretch after stretch of a clip, each one bundle adjustment."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.camera.background import Background
from vidpretrain.camera.bundle import Carried, Rays, adjust, predict, resect
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.lens import unproject
from vidpretrain.camera.lever import lever_size
from vidpretrain.camera.rotation import turn_between
from vidpretrain.camera.turning import cell_weight, tolerance_rad
from vidpretrain.types import Camera

_AGREES = 4.0  # sigmas
_NODE_HZ = 15.0  # frames that are solved together; those between them are placed with the points found
_BETWEEN = (np.radians(0.3), 0.003)  # one sigma of turn and place between two of them
_STRETCH, _OVERLAP = 60, 20  # nodes
_LOOSE = 2.5  # tolerance of the first guess: near things go by as a camera moves
_MOVER_S, _MOST, _LEAVES, _TRIALS = 0.1, 0.5, 0.25, 120
_ORBITS = (1.5, 2.5)  # turns of a camera that goes around what it looks at, over those of a camera that only turns
_LASTS = 5  # nodes that see a point of the background that is given on
_START = 0.7  # inverse distance, 1/m


@dataclass(frozen=True)
class Followed:
    """`T_first_camera` (t 7), `sigma_rad` and `sigma_m` (t, infinite where nothing tells), `agreement` (t).

    `p_first_point` (n 3) are the background's points. `size_sigma` is one sigma of the logarithm of the scale of
    places and points, infinite where it is arbitrary; `sigma_m` is without it.
    """

    T_first_camera: np.ndarray
    sigma_rad: np.ndarray
    sigma_m: np.ndarray
    agreement: np.ndarray
    lever_m: np.ndarray
    p_first_point: np.ndarray
    size_sigma: float


def follow(seen: Background, camera: Camera, config: CameraConfig, carried: Carried) -> Followed:
    """Poses of all frames, at the scale of the way of carrying."""
    rays = _rays(seen, camera, config)
    t, tolerance = len(seen.time_ns), tolerance_rad(seen, camera, config)
    time_s = np.asarray(seen.time_ns - seen.time_ns[0]) / timebase.NS_PER_S
    rays = _without_movers(rays, t, max(1, round(_MOVER_S / float(np.median(np.diff(time_s))))), tolerance)
    q = _guess(rays, t, _LOOSE * tolerance)
    lever = carried.lever_m
    poses = geometry.pose(q, geometry.rotate(q, lever) - lever)
    sigma = np.full((t, 2), np.inf)
    sigma[0] = 0.0
    stride = max(1, round(_NODE_HZ**-1 / float(np.median(np.diff(time_s)))))
    nodes = np.unique(np.r_[np.arange(0, t, stride), t - 1])
    inverse = np.full(int(rays.point.max()) + 1 if len(rays.point) else 0, _START)
    agreement, found = np.zeros(t), np.full((len(inverse), 3), np.nan)
    begin = 0
    while True:
        part = nodes[begin : begin + _STRETCH]
        held = 1 if begin == 0 else min(_OVERLAP, len(part) - 1)
        lever, inverse = _stretch(rays, part, held, time_s, poses, sigma, agreement, inverse, found, carried, config)
        if begin + _STRETCH >= len(nodes):
            break
        begin += _STRETCH - _OVERLAP
    found = found[np.isfinite(found).all(axis=1)]
    sigma[agreement < config.min_agreement] = np.inf
    if carried.turns_freely:
        return Followed(poses, sigma[:, 0], sigma[:, 1], agreement, lever, found, np.inf)
    size = lever_size(poses, time_s, carried)
    poses = geometry.pose(poses[:, :4], size.factor * poses[:, 4:])
    return Followed(poses, sigma[:, 0], size.factor * sigma[:, 1], agreement, lever, size.factor * found, size.sigma)


def _stretch(rays, part, held, time_s, poses, sigma, agreement, inverse, found, carried, config):
    """Solve the nodes `part`, then the frames between them, in place; (lever, inverse distances)."""
    first, last = int(part[0]), int(part[-1])
    base = poses[first].copy()
    inside = (rays.frame >= first) & (rays.frame <= last)
    row = np.full(last + 1, -1)
    row[part] = np.arange(len(part))
    at_node = inside.copy()
    at_node[inside] = row[rays.frame[inside]] >= 0
    count = np.bincount(rays.point[at_node], minlength=len(inverse))
    at_node &= count[rays.point] >= 2
    points, at = np.unique(rays.point[at_node], return_inverse=True)
    if not len(points):
        return carried.lever_m, inverse
    own = rays.part(at_node, row[rays.frame[at_node]], at)
    start = geometry.compose(geometry.inverse(base), poses[part])
    direction, near = _towards(own, start, inverse[points])
    how = (time_s[part], carried, config.max_depth_m, held)
    if held == 1:
        loose = dataclasses.replace(carried, lever_m=np.zeros(3), drift_m=np.inf, speed_m_s=np.inf)
        first_try = adjust(own, start, direction, near, time_s[part], loose, config.max_depth_m)
        if carried.turns_freely:
            for more in _ORBITS:
                q = geometry.quat_exp(more * geometry.quat_log(start[:, :4]))
                lever = np.array([0.0, 0.0, -1.0])
                orbit = geometry.pose(q, geometry.rotate(q, lever) - lever)
                towards = _towards(own, orbit, np.full(len(inverse), 1.0 - 1.0 / more)[points])
                other = adjust(own, orbit, *towards, time_s[part], loose, config.max_depth_m)
                first_try = other if other.cost < first_try.cost else first_try
        size = 1.0 if carried.turns_freely else lever_size(first_try.T_first_camera, time_s[part], carried).factor
        start = geometry.pose(first_try.T_first_camera[:, :4], size * first_try.T_first_camera[:, 4:])
        direction, near = first_try.direction, first_try.inverse / size
        solved = adjust(own, start, direction, near, *how, keep_size=True, wide=(2.0, 1.0))
    else:
        solved = adjust(own, start, direction, near, *how)
    poses[part] = geometry.compose(base, solved.T_first_camera)
    inverse = inverse.copy()
    inverse[points] = solved.inverse
    fits = np.bincount(at, own.weight * (solved.residual < _AGREES)) > 0.7 * np.bincount(at, own.weight)
    found[points] = np.where(
        (fits & (np.bincount(at) >= _LASTS))[:, None],
        geometry.transform(base, solved.direction / solved.inverse[:, None]),
        np.nan,
    )
    spread = np.einsum("fii->fi", solved.covariance)
    new = part[held:]
    sigma[new, 0] = np.hypot(sigma[part[held - 1], 0], np.sqrt(spread[held:, :3].mean(axis=1)))
    sigma[new, 1] = np.hypot(sigma[part[held - 1], 1], np.sqrt(spread[held:, 3:].mean(axis=1)))
    # frames between nodes, and how well all of them agree with the points
    frames = np.arange(first, last + 1)
    poses[frames] = timebase.interpolate_pose(_ns(time_s[part]), poses[part], _ns(time_s[frames]))
    known = np.full(len(inverse), -1)
    known[points] = np.arange(len(points))
    use = inside & (known[rays.point] >= 0)
    every = rays.part(use, rays.frame[use] - first, known[rays.point[use]])
    own_poses = geometry.compose(geometry.inverse(base), poses[frames])
    between = np.setdiff1d(np.arange(len(frames)), part - first)
    if len(between):
        chosen = np.isin(every.frame, between)
        some = every.part(chosen, np.searchsorted(between, every.frame[chosen]), every.point[chosen])
        own_poses[between] = resect(some, own_poses[between], solved.direction, solved.inverse, _BETWEEN)
        poses[frames[between]] = geometry.compose(base, own_poses[between])
        for k in range(2):
            sigma[frames, k] = np.interp(frames, part, sigma[part, k])
    off = np.linalg.norm(every.off(predict(every, own_poses, solved.direction, solved.inverse)[0]), axis=-1)
    total = np.bincount(every.frame, every.weight, len(frames))
    agreement[frames] = np.bincount(every.frame, every.weight * (off < _AGREES), len(frames)) / np.maximum(total, 1e-9)
    return solved.lever_m, inverse


def _ns(time_s: np.ndarray) -> np.ndarray:
    return np.round(time_s * timebase.NS_PER_S).astype(np.int64)


def _towards(rays: Rays, poses: np.ndarray, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (n 3) and inverse distances (n) of points from the first camera, by their first observations."""
    order = np.argsort(rays.frame, kind="stable")
    points, first = np.unique(rays.point[order], return_index=True)
    index = order[first]
    seen = geometry.normalize(np.concatenate([rays.ray[index], np.ones((len(index), 1))], axis=1))
    pose = poses[rays.frame[index]]
    place = geometry.rotate(pose[:, :4], seen) + inverse[points, None] * pose[:, 4:]
    return geometry.normalize(place), inverse[points] / np.linalg.norm(place, axis=1)


def _rays(seen: Background, camera: Camera, config: CameraConfig) -> Rays:
    """All observations: in the features' keyframes, in the frames they were followed to, and between keyframes."""
    point = np.arange(len(seen.home)) if seen.point is None else seen.point
    home = seen.key_frame[seen.home]
    frame = np.concatenate([seen.frame, home]).astype(int)
    which = np.concatenate([point[seen.feature], point]).astype(int)
    place = np.concatenate([seen.p_image, seen.p_home]).astype(float)
    _, once = np.unique(np.stack([which, frame]), axis=1, return_index=True)
    frame, which, place = frame[once], which[once], place[once]
    number = int(which.max()) + 1 if len(which) else 0
    links = len(seen.link)
    frame = np.concatenate([frame, seen.key_frame[seen.link].astype(int).ravel()])
    which = np.concatenate([which, np.repeat(number + np.arange(links), 2)])
    place = np.concatenate([place, seen.p_link.reshape(-1, 2).astype(float)])
    weight = np.zeros(len(frame))
    for t in np.unique(frame):
        here = frame == t
        weight[here] = 2.0 * cell_weight(seen, place[here])
    n = len(seen.home)
    spread = np.tile(np.array([1.0, 0, 1.0]), (n, 1)) if seen.spread is None else seen.spread.astype(float)
    spread = np.concatenate([np.concatenate([spread[seen.feature], spread])[once], np.tile([1, 0, 1], (2 * links, 1))])
    cov = spread[:, [0, 1, 1, 2]].reshape(-1, 2, 2) * (tolerance_rad(seen, camera, config) / config.tolerance_px) ** 2
    white = np.linalg.inv(np.linalg.cholesky(cov))
    ray = unproject(camera, place)
    ok = np.isfinite(ray).all(axis=1)
    return Rays(frame[ok], which[ok], ray[ok], weight[ok], white[ok])


def _without_movers(rays: Rays, frames: int, apart: int, tolerance: float) -> Rays:
    """Observations without points that leave, again and again, the one homography that most of the picture follows.

    Over a tenth of a second a worn or a carried camera moves by centimetres: what does not fit then moves by itself.
    """
    order = np.argsort(rays.frame, kind="stable")
    start = np.searchsorted(rays.frame[order], np.arange(frames + 1))
    asked, left = (np.zeros(int(rays.point.max(initial=0)) + 1, int) for _ in range(2))
    for i in range(apart, frames):
        a, b = (order[start[j] : start[j + 1]] for j in (i - apart, i))
        _, k, m = np.intersect1d(rays.point[a], rays.point[b], return_indices=True)
        if len(k) < 12:
            continue
        a, b = a[k], b[m]
        off = _off_homography(rays.ray[a], rays.ray[b], rays.weight[b], tolerance)
        if np.average(off < tolerance, weights=rays.weight[b]) > _MOST:
            asked[rays.point[b]] += 1
            left[rays.point[b]] += off > 1.25 * tolerance
    keep = left[rays.point] <= _LEAVES * np.maximum(asked[rays.point], 1)
    return rays.part(keep, rays.frame[keep], rays.point[keep])


def _off_homography(a: np.ndarray, b: np.ndarray, weight: np.ndarray, tolerance: float) -> np.ndarray:
    """How far (n) rays b (n 2) are from where the homography that most weight agrees with takes rays a."""
    rng = np.random.default_rng(len(a))
    share = weight / weight.sum()
    pick = rng.choice(len(a), (_TRIALS, 4), p=share)
    one = np.concatenate([a, np.ones((len(a), 1))], axis=1)
    zero = np.zeros_like(one)
    rows = np.stack(
        [np.concatenate([one, zero, -b[:, :1] * one], 1), np.concatenate([zero, one, -b[:, 1:] * one], 1)], axis=1
    )  # (n 2 9)

    def off(H: np.ndarray) -> np.ndarray:
        p = np.einsum("...ij,nj->...ni", H, one)
        z = np.where(np.abs(p[..., 2:]) < 1e-6, 1e-6, p[..., 2:])
        return np.linalg.norm(p[..., :2] / z - b, axis=-1)

    H = np.linalg.svd(rows[pick].reshape(_TRIALS, 8, 9))[2][:, -1].reshape(-1, 3, 3)
    score = np.maximum(0.0, 1.0 - (off(H) / (2 * tolerance)) ** 2) @ share
    best = H[int(score.argmax())]
    for _ in range(5):
        w = share / (1.0 + (off(best) / tolerance) ** 2) ** 2
        M = np.einsum("n,nai,naj->ij", w, rows, rows)
        best = np.linalg.eigh(M)[1][:, 0].reshape(3, 3)
    return off(best)


def _guess(rays: Rays, frames: int, tolerance: float) -> np.ndarray:
    """Turns (t 4) against the first frame, chained from frame to frame by the points that both see."""
    q = np.tile([1.0, 0, 0, 0], (frames, 1))
    order = np.argsort(rays.frame, kind="stable")
    start = np.searchsorted(rays.frame[order], np.arange(frames + 1))
    unit = geometry.normalize(np.concatenate([rays.ray, np.ones((len(rays.ray), 1))], axis=1))
    last = np.array([1.0, 0, 0, 0])
    for i in range(1, frames):
        a, b = (order[start[j] : start[j + 1]] for j in (i - 1, i))
        _, k, m = np.intersect1d(rays.point[a], rays.point[b], return_indices=True)
        turn = turn_between(unit[a[k]], unit[b[m]], rays.weight[b[m]], tolerance) if len(k) >= 3 else None
        last = last if turn is None else turn.q_a_b
        q[i] = geometry.quat_mul(q[i - 1], last)
    return q
