"""One bundle adjustment over a stretch of frames: turn and place of the camera, and where the background's points are.

Points are a direction (unit) and an inverse distance from where the stretch begins, so that what is far away is as
well-behaved as what is near; they are eliminated (Schur complement), which leaves a dense system of the frames. A
picture does not tell the scale. It comes from how such a camera is carried: at the end of a lever about a pivot that
drifts slowly, a head's about its neck. How long levers are is known roughly; which way this one points is found.
Triggs et al. 2000, "Bundle adjustment - a modern synthesis", section 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry

_ROUNDS, _ENOUGH = 10, 1e-4
_WIDE = (30.0, 8.0, 2.0, 1.0)  # factors of the loss's scale, one after the other
_INVERSE, _INVERSE_SIGMA = 1.0, 0.5  # prior of inverse distances, 1/m: of all points together, as if they were one
_NEAREST_M = 0.12
_STEADY_S, _SMOOTH_S = 0.5, 0.1  # times over which the pivot's speed and its accelerations count once
_SPIN_RAD_S2 = 40.0
_SIZE = 0.003  # how closely a scale is kept


@dataclass(frozen=True)
class Carried:
    """How a camera is carried: `lever_m` (3, the camera's axes) from its pivot, one sigma (3) of it, and the pivot's
    drift in m, m/s and m/s2."""

    lever_m: np.ndarray
    lever_sigma_m: np.ndarray
    drift_m: float
    speed_m_s: float
    acceleration_m_s2: float

    @property
    def turns_freely(self) -> bool:
        """Whether turns tell nothing of ways: a camera in a hand."""
        return not self.lever_m.any()


@dataclass(frozen=True)
class Bundle:
    """`T_first_camera` (f 7), `covariance` (f 6 6) of turn (own axes, rad) and place (m), `lever_m` (3) and its
    covariance, `direction` (n 3) and `inverse` (n, 1/m) of the points, `residual` (m) in sigmas, `cost` of it all."""

    T_first_camera: np.ndarray
    covariance: np.ndarray
    lever_m: np.ndarray
    lever_covariance: np.ndarray
    direction: np.ndarray
    inverse: np.ndarray
    residual: np.ndarray
    cost: float


@dataclass(frozen=True)
class Rays:
    """Observation m: point `point[m]` lies at `ray[m]` (x / z, y / z) in the camera of frame `frame[m]`.

    `white` times a difference of rays is in sigmas, `weight` how much it counts.
    """

    frame: Int64[np.ndarray, " m"]
    point: Int64[np.ndarray, " m"]
    ray: Float64[np.ndarray, "m 2"]
    weight: Float64[np.ndarray, " m"]
    white: Float64[np.ndarray, "m 2 2"]

    def part(self, index: np.ndarray, frame: np.ndarray, point: np.ndarray) -> Rays:
        """The observations `index`, of frames and points by other numbers."""
        return Rays(frame, point, self.ray[index], self.weight[index], self.white[index])

    def off(self, guess: np.ndarray) -> np.ndarray:
        """Differences (m 2) of predicted rays, in sigmas."""
        return np.einsum("mab,mb->ma", self.white, guess - self.ray)


def predict(rays: Rays, poses: np.ndarray, direction: np.ndarray, inverse: np.ndarray):
    """(rays (m 2), points up to scale (m 3) in the cameras of their frames)."""
    seen = direction[rays.point] - inverse[rays.point, None] * poses[rays.frame, 4:]
    p = geometry.rotate(geometry.quat_inverse(poses[rays.frame, :4]), seen)
    z = np.where(p[:, 2] > 1e-3, p[:, 2], 1e-3)
    return p[:, :2] / z[:, None], np.concatenate([p[:, :2], z[:, None]], axis=1)


def jacobians(rays: Rays, poses: np.ndarray, direction: np.ndarray, inverse: np.ndarray):
    """Derivatives of `predict` by the frame's turn (own axes) and place (m 2 6), and by the point (m 2 3).

    A point's three are along `tangents` of its direction and its inverse distance.
    """
    _, p = predict(rays, poses, direction, inverse)
    x, y, z = p.T
    zero = np.zeros_like(x)
    J = np.stack([1 / z, zero, -x / z**2, zero, 1 / z, -y / z**2], axis=-1).reshape(-1, 2, 3)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    JR = J @ geometry.matrix_from_quat(geometry.quat_inverse(poses[rays.frame, :4]))
    by_pose = np.concatenate([J @ cross, -inverse[rays.point, None, None] * JR], axis=2)
    by_point = JR @ np.concatenate([tangents(direction)[rays.point], -poses[rays.frame, 4:, None]], axis=2)
    return by_pose, by_point


def tangents(direction: np.ndarray) -> np.ndarray:
    """Two unit vectors (n 3 2, columns) across each direction (n 3)."""
    least = np.eye(3)[np.abs(direction).argmin(axis=1)]
    a = geometry.normalize(np.cross(direction, least))
    return np.stack([a, np.cross(direction, a)], axis=-1)


def adjust(
    rays: Rays,
    start: Float64[np.ndarray, "f 7"],
    direction: Float64[np.ndarray, "n 3"],
    inverse: Float64[np.ndarray, " n"],
    time_s: Float64[np.ndarray, " f"],
    carried: Carried,
    max_depth_m: float,
    held: int = 1,
    keep_size: bool = False,
    wide: tuple[float, ...] = _WIDE,
) -> Bundle:
    """The poses that the rays and the way of carrying agree on best; the first `held` frames stay where they start.

    `keep_size`: the scale is that of the start; else
    it is arbitrary. The frames' poses are those in the first frame's camera.
    """
    problem = _Problem(rays, time_s, carried, 1.0 / max_depth_m, held, start if keep_size else None)
    state = _State(start.copy(), direction.copy(), inverse.copy(), carried.lever_m.copy())
    system, cost = None, np.inf
    for factor in wide:  # a start that is off by degrees is outside the narrow loss's reach
        state, system, cost = problem.descend(state, 3.0 * factor)
    assert system is not None
    covariance = np.linalg.inv(system)
    f = len(start)
    residual = np.linalg.norm(rays.off(predict(rays, state.poses, state.direction, state.inverse)[0]), axis=-1)
    return Bundle(
        state.poses,
        np.stack([covariance[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] for i in range(f)]),
        state.lever,
        covariance[6 * f :, 6 * f :],
        state.direction,
        state.inverse,
        residual,
        cost,
    )


def resect(
    rays: Rays,
    start: Float64[np.ndarray, "f 7"],
    direction: Float64[np.ndarray, "n 3"],
    inverse: Float64[np.ndarray, " n"],
    sigma: tuple[float, float],
) -> Float64[np.ndarray, "f 7"]:
    """Poses of frames on their own, by points that are known; expected where they start within `sigma` (rad, m)."""
    poses = start.copy()
    prior = np.diag([1 / sigma[0] ** 2] * 3 + [1 / sigma[1] ** 2] * 3)
    for _ in range(_ROUNDS):
        r = rays.off(predict(rays, poses, direction, inverse)[0])
        J = rays.white @ jacobians(rays, poses, direction, inverse)[0]
        w = rays.weight / (1 + (r**2).sum(-1) / 9.0)
        off = _apart(start, poses)
        H, g = np.tile(prior, (len(poses), 1, 1)), off @ prior
        np.add.at(H, rays.frame, np.einsum("m,mai,maj->mij", w, J, J))
        np.add.at(g, rays.frame, np.einsum("m,mai,ma->mi", w, J, r))
        step = -np.linalg.solve(H, g[..., None])[..., 0]
        poses = _moved(poses, step)
        if np.abs(step).max() < 1e-6:
            break
    return poses


def _moved(poses: np.ndarray, step: np.ndarray) -> np.ndarray:
    q = geometry.normalize(geometry.quat_mul(poses[:, :4], geometry.quat_exp(step[:, :3])))
    return geometry.pose(q, poses[:, 4:] + step[:, 3:])


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Turn (b's own axes) and way (f 6) from poses a to b."""
    turn = geometry.quat_log(geometry.quat_mul(geometry.quat_inverse(a[:, :4]), b[:, :4]))
    return np.concatenate([turn, b[:, 4:] - a[:, 4:]], axis=1)


@dataclass(frozen=True)
class _State:
    poses: np.ndarray
    direction: np.ndarray
    inverse: np.ndarray
    lever: np.ndarray

    def moved(self, step: np.ndarray, by_point: np.ndarray, least: float) -> _State:
        f = len(self.poses)
        direction = self.direction + (tangents(self.direction) @ by_point[:, :2, None])[..., 0]
        inverse = self.inverse + np.clip(by_point[:, 2], -0.5, 0.5)
        length = np.linalg.norm(direction, axis=1)
        return _State(
            _moved(self.poses, step[: 6 * f].reshape(f, 6)),
            direction / length[:, None],
            np.clip(inverse / length, least, 1.0 / _NEAREST_M),
            self.lever + step[6 * f :],
        )


class _Problem:
    def __init__(self, rays: Rays, time_s, carried: Carried, least: float, held: int, like) -> None:
        self.rays, self.carried, self.least, self.held = rays, carried, least, held
        self.operator, self.spin = _differences(time_s, carried)
        self.size = None
        if like is not None and (like[:, 4:] ** 2).sum() > 0:
            self.size = like[:, 4:] / (like[:, 4:] ** 2).sum()

    def descend(self, state: _State, scale: float) -> tuple[_State, np.ndarray, float]:
        """(the state, its reduced normal equations, its cost) after damped Gauss-Newton steps.

        Beyond `scale` sigma the loss is Cauchy's.
        """
        damping, linear = 1e-4, self._linear(state, scale)
        for _ in range(_ROUNDS):
            cost = linear[0]
            step, by_point, _ = self._step(linear, damping)
            tried = state.moved(step, by_point, self.least)
            new = self._linear(tried, scale)
            if not new[0] <= cost:
                damping *= 10.0
                if damping > 1e6:
                    break
                continue
            state, linear, damping = tried, new, max(damping / 5, 1e-9)
            if cost - new[0] < _ENOUGH * cost:
                break
        return state, self._step(linear, 0.0)[2], linear[0]

    def _linear(self, state: _State, scale: float):
        """(cost, H (d d) and g (d) of frames and lever, W (n 3 d), h (n 3 3) and k (n 3) of the points)."""
        rays, n, f = self.rays, len(state.direction), len(state.poses)
        guess, _ = predict(rays, state.poses, state.direction, state.inverse)
        r = rays.off(guess)
        square = (r**2).sum(-1)
        w = rays.weight / (1 + square / scale**2)
        cost = float((0.5 * rays.weight * scale**2 * np.log1p(square / scale**2)).sum())
        A, B = (rays.white @ J for J in jacobians(rays, state.poses, state.direction, state.inverse))
        Aw = A * w[:, None, None]
        blocks, g = np.zeros((f, 6, 6)), np.zeros(6 * f + 3)
        np.add.at(blocks, rays.frame, np.einsum("mai,maj->mij", Aw, A))
        np.add.at(g[: 6 * f].reshape(f, 6), rays.frame, np.einsum("mai,ma->mi", Aw, r))
        H = np.zeros((6 * f + 3, 6 * f + 3))
        for i in range(f):
            H[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] = blocks[i]
        W = np.zeros((n, f + 1, 3, 6))
        np.add.at(W, (rays.point, rays.frame), np.einsum("mai,maj->mij", B, Aw))
        h, k = np.zeros((n, 3, 3)), np.zeros((n, 3))
        np.add.at(h, rays.point, np.einsum("m,mai,maj->mij", w, B, B))
        np.add.at(k, rays.point, np.einsum("m,mai,ma->mi", w, B, r))
        sigma = _INVERSE_SIGMA * np.sqrt(n)
        off = (state.inverse - _INVERSE) / sigma
        h[:, 2, 2] += 1 / sigma**2
        h[:, [0, 1], [0, 1]] += 1e-6
        k[:, 2] += off / sigma
        cost += float(0.5 * (off**2).sum()) + self._expect(state, H, g)
        return cost, H, g, W[:, :f].transpose(0, 2, 1, 3).reshape(n, 3, 6 * f), h, k

    def _expect(self, state: _State, H: np.ndarray, g: np.ndarray) -> float:
        """Add what is expected of the way of carrying: see `expected`."""
        r, J = expected(state.poses, state.lever, self.carried, self.operator, self.spin)
        if self.size is not None:
            row = np.zeros((1, J.shape[1]))
            row[0, : 6 * len(state.poses)] = np.concatenate([0.0 * self.size, self.size], axis=1).ravel()
            J = np.concatenate([J, row / _SIZE])
            r = np.append(r, ((self.size * state.poses[:, 4:]).sum() - 1.0) / _SIZE)
        H += J.T @ J
        g += J.T @ r
        return float(0.5 * r @ r)

    def _step(self, linear, damping: float):
        _, H, g, W, h, k = linear
        f6 = W.shape[2]
        h = h + damping * np.einsum("nii->ni", h)[:, :, None] * np.eye(3)
        Y = np.linalg.solve(h, W)
        reduced = H + np.diag(damping * np.diag(H))
        reduced[:f6, :f6] -= W.reshape(-1, f6).T @ Y.reshape(-1, f6)
        right = g.copy()
        right[:f6] -= np.einsum("nid,ni->d", Y, k)
        stays = np.arange(6 * self.held)
        reduced[stays, stays] += 1e12
        step = -np.linalg.solve(reduced, right)
        by_point = -np.linalg.solve(h, (k + W @ step[:f6])[..., None])[..., 0]
        return step, by_point, reduced


def _differences(time_s: np.ndarray, carried: Carried) -> tuple[np.ndarray, np.ndarray]:
    """(rows (k f) that weigh the pivot's place, speed and acceleration; rows (f - 2 f) of the turning's)."""
    f = len(time_s)
    step = np.diff(time_s)
    first = (np.eye(f)[1:] - np.eye(f)[:-1]) / step[:, None]
    middle = 0.5 * (step[1:] + step[:-1])
    second = (first[1:] - first[:-1]) / middle[:, None]
    around = np.gradient(time_s) if f > 1 else np.ones(f)
    rows = [
        np.sqrt(around)[:, None] * np.eye(f) / carried.drift_m,
        np.sqrt(step / _STEADY_S)[:, None] * first / carried.speed_m_s,
        np.sqrt(middle / _SMOOTH_S)[:, None] * second / carried.acceleration_m_s2,
    ]  # infinite sigmas leave a row empty
    return np.concatenate(rows), np.sqrt(middle / _SMOOTH_S) / (_SPIN_RAD_S2 * step[1:] * middle)


def expected(poses: np.ndarray, lever: np.ndarray, carried: Carried, operator: np.ndarray, spin: np.ndarray):
    """(residuals (k), their derivatives (k 6f + 3)) of the pivot's drift, of the turning's steadiness and the lever."""
    f = len(poses)
    R = geometry.matrix_from_quat(poses[:, :4])
    drift = poses[:, 4:] - R @ lever + lever
    x, y, z = lever
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    J = np.zeros((f, 3, 6 * f + 3))
    for i in range(f):
        J[i, :, 6 * i : 6 * i + 3] = R[i] @ cross
        J[i, :, 6 * i + 3 : 6 * i + 6] = np.eye(3)
        J[i, :, 6 * f :] = np.eye(3) - R[i]
    r, JJ = [(operator @ drift).ravel()], [np.tensordot(operator, J, axes=1).reshape(-1, 6 * f + 3)]
    if f > 2:
        turn = geometry.quat_log(geometry.quat_mul(geometry.quat_inverse(poses[:-1, :4]), poses[1:, :4]))
        r.append(((turn[1:] - turn[:-1]) * spin[:, None]).ravel())
        S = np.zeros((f - 2, 3, 6 * f + 3))
        for i in range(f - 2):  # to first order in the turn between two frames
            for j, sign in ((i, 1.0), (i + 1, -2.0), (i + 2, 1.0)):
                S[i, :, 6 * j : 6 * j + 3] = sign * spin[i] * np.eye(3)
        JJ.append(S.reshape(-1, 6 * f + 3))
    r.append((lever - carried.lever_m) / carried.lever_sigma_m)
    L = np.zeros((3, 6 * f + 3))
    L[:, 6 * f :] = np.diag(1 / carried.lever_sigma_m)
    JJ.append(L)
    return np.concatenate(r), np.concatenate(JJ)
