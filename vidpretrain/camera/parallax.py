"""The camera's turn and place against a keyframe, from features at depths that are found with them.

A camera on a head or in a hand moves as it turns, and what is near goes by faster than what is far. Unknown are the
pose of every frame (6) and the inverse depth of every feature; the depths are eliminated (Schur complement), which
leaves a dense system of the frames. A picture does not tell the scale: it comes from how far such a camera can have
moved, a head's on the arc about its neck. Triggs et al. 2000, "Bundle adjustment - a modern synthesis", section 6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from vidpretrain import geometry

_ROUNDS, _ENOUGH = 12, 1e-4
_WIDE = (30.0, 8.0, 2.0, 1.0)  # factors of the loss's scale, one after the other
_DEPTH_PRIOR, _DEPTH_SIGMA = 0.6, 0.8  # of inverse depth, 1/m: most things are between half a metre and infinity
_NEAREST_M = 0.12
_MOST_FRAMES = 45  # of one dense solve; frames between them are placed with the depths found


@dataclass(frozen=True)
class Arc:
    """Where a camera is expected: at the end of `lever_m` (3, its own axes) from a pivot, within `sigma_m`.

    A hand's lever is zero. `speed_m_s` is how fast the pivot itself drifts.
    """

    lever_m: np.ndarray
    sigma_m: float
    speed_m_s: float


@dataclass(frozen=True)
class Placed:
    """`T_key_camera` (f 7), `covariance` (f 6 6) of turn (rad) and place (m), `residual` (m) as an angle, `inverse` (n)
    depths in 1/m."""

    T_key_camera: np.ndarray
    covariance: np.ndarray
    residual: np.ndarray
    inverse: np.ndarray


def place_frames(
    home: Float64[np.ndarray, "n 2"],
    frame: Int64[np.ndarray, " m"],
    feature: Int64[np.ndarray, " m"],
    ray: Float64[np.ndarray, "m 2"],
    weight: Float64[np.ndarray, " m"],
    start: Float64[np.ndarray, "f 7"],
    after_s: Float64[np.ndarray, " f"],
    T_first_key: Float64[np.ndarray, " 7"],
    arc: Arc,
    noise: float,
    max_depth_m: float,
) -> Placed:
    """Poses of the frames 0 .. f - 1 that see `feature` (of n) at `ray` (x / z, y / z), and the keyframe at `home`.

    `after_s` is the time since the keyframe, `T_first_key` the keyframe's pose where the arc begins, `noise` one sigma
    of a ray.
    """
    f = len(start)
    chosen = np.unique(np.linspace(0, f - 1, min(f, _MOST_FRAMES)).round().astype(int))
    problem = _Problem(home, T_first_key, arc, noise, 1.0 / max_depth_m)
    row = np.full(f, -1)
    row[chosen] = np.arange(len(chosen))
    part = row[frame] >= 0
    poses, inverse, covariance = problem.solve(
        row[frame[part]], feature[part], ray[part], weight[part], start[chosen], after_s[chosen], None
    )
    if len(chosen) < f:
        q = geometry.normalize(start[:, :4])
        place = np.stack([np.interp(np.arange(f), chosen, poses[:, 4 + k]) for k in range(3)], axis=-1)
        poses, _, covariance = problem.solve(frame, feature, ray, weight, geometry.pose(q, place), after_s, inverse)
    residual = np.linalg.norm(problem.predict(frame, feature, poses, inverse)[0] - ray, axis=-1)
    return Placed(poses, covariance, residual, inverse)


class _Problem:
    def __init__(self, home, T_first_key, arc: Arc, noise: float, least: float) -> None:
        self.home = np.concatenate([home, np.ones((len(home), 1))], axis=1)
        self.T_first_key, self.arc, self.noise, self.least = T_first_key, arc, noise, least

    def predict(self, frame, feature, poses, inverse):
        """(rays (m 2), points up to scale (m 3) in the cameras of their frames)."""
        seen = self.home[feature] - inverse[feature, None] * poses[frame, 4:]
        p = geometry.rotate(geometry.quat_inverse(poses[frame, :4]), seen)
        z = np.where(p[:, 2] > 1e-3, p[:, 2], 1e-3)
        return p[:, :2] / z[:, None], np.concatenate([p[:, :2], z[:, None]], axis=1)

    def solve(self, frame, feature, ray, weight, poses, after_s, known):
        """(poses (f 7), inverse depths (n), covariance (f 6 6)); with `known` depths every frame is on its own."""
        poses = poses.copy()
        inverse = np.full(len(self.home), _DEPTH_PRIOR) if known is None else known
        # from a wide loss to the narrow one: a start that is off by a few degrees is outside the narrow one's reach
        for wide in _WIDE if known is None else _WIDE[-1:]:
            poses, inverse, H, reduced = self._descend(
                frame, feature, ray, weight, poses, after_s, inverse, known is None, wide
            )
        return poses, inverse, _covariance(H, reduced, len(poses))

    def _descend(self, frame, feature, ray, weight, poses, after_s, inverse, with_depth: bool, wide: float):
        """(poses, inverse depths, their normal equations) by damped Gauss-Newton steps."""
        damping, last, done = 1e-3, np.inf, False
        reduced, before = None, (poses, inverse)
        H = np.tile(np.eye(6), (len(poses), 1, 1))
        for _ in range(_ROUNDS):
            cost, parts = self._linear(frame, feature, ray, weight, poses, after_s, inverse, with_depth, wide)
            if cost > last * (1 + 1e-9):
                damping *= 8.0
                poses, inverse = before
                if damping > 1e6:
                    break
                cost, parts = self._linear(frame, feature, ray, weight, poses, after_s, inverse, with_depth, wide)
            else:
                damping = max(damping / 4, 1e-8)
                done = last - cost < _ENOUGH * cost
            H, g, W, h, k = parts
            before, last = (poses, inverse), cost
            step, step_depth, reduced = _step(H, g, W, h, k, damping)
            poses = geometry.pose(
                geometry.normalize(geometry.quat_mul(poses[:, :4], geometry.quat_exp(step[:, :3]))),
                poses[:, 4:] + step[:, 3:],
            )
            if step_depth is not None:
                inverse = np.clip(inverse + step_depth, self.least, 1.0 / _NEAREST_M)
            if done:
                break
        return poses, inverse, H, reduced

    def _linear(self, frame, feature, ray, weight, poses, after_s, inverse, with_depth: bool, wide: float):
        """(cost, normal equations): of the poses (H, g), between them and depths (W), of the depths (h, k)."""
        f, n = len(poses), len(self.home)
        guess, p = self.predict(frame, feature, poses, inverse)
        r = (guess - ray) / self.noise
        square = (r**2).sum(-1)
        soft = (3.0 * wide) ** 2  # Cauchy beyond three sigma
        w = weight / (1 + square / soft)
        cost = float((0.5 * weight * soft * np.log1p(square / soft)).sum())
        x, y, z = p.T
        J = np.zeros((len(p), 2, 3))
        J[:, 0, 0] = J[:, 1, 1] = 1 / z
        J[:, 0, 2], J[:, 1, 2] = -x / z**2, -y / z**2
        J /= self.noise
        zero = np.zeros_like(x)
        cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
        R_t = geometry.matrix_from_quat(geometry.quat_inverse(poses[frame, :4]))
        Jp = np.concatenate([J @ cross, -inverse[feature, None, None] * (J @ R_t)], axis=2)
        Jw = Jp * w[:, None, None]
        H, g = np.zeros((f, 6, 6)), np.zeros((f, 6))
        np.add.at(H, frame, np.einsum("mai,maj->mij", Jw, Jp))
        np.add.at(g, frame, np.einsum("mai,ma->mi", Jw, r))
        cost += self._expect(poses, after_s, H, g)
        if not with_depth:
            return cost, (H, g, None, None, None)
        Jd = -np.einsum("mai,mi->ma", J @ R_t, poses[frame, 4:])
        h = np.full(n, 1.0 / _DEPTH_SIGMA**2)
        k = (inverse - _DEPTH_PRIOR) / _DEPTH_SIGMA**2
        cost += float(0.5 * ((inverse - _DEPTH_PRIOR) ** 2).sum() / _DEPTH_SIGMA**2)
        np.add.at(h, feature, w * (Jd**2).sum(-1))
        np.add.at(k, feature, w * (Jd * r).sum(-1))
        W = np.zeros((n, f, 6))
        W[feature, frame] = np.einsum("mai,ma->mi", Jw, Jd)  # a frame sees a feature once
        return cost, (H, g, W.reshape(n, 6 * f), h, k)

    def _expect(self, poses, after_s, H, g) -> float:
        """Add where the camera is expected: on its arc about the first frame's pivot, and not far from the keyframe."""
        lever, cost = self.arc.lever_m, 0.0
        own = geometry.compose(self.T_first_key, poses)
        to_first = geometry.matrix_from_quat(self.T_first_key[:4])
        for sigma, q, turn in (
            (np.full(len(poses), self.arc.sigma_m), own[:, :4], to_first),
            (np.minimum(self.arc.sigma_m, 0.002 + self.arc.speed_m_s * np.abs(after_s)), poses[:, :4], np.eye(3)),
        ):
            place = own[:, 4:] if turn is to_first else poses[:, 4:]
            at_end = geometry.rotate(q, lever)
            r = (place - (at_end - lever)) / sigma[:, None]
            J = np.zeros((len(poses), 3, 6))
            R = geometry.matrix_from_quat(q)
            x, y, z = lever
            J[:, :, :3] = R @ np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])  # d(R exp(w) l) = -R [l] w
            J[:, :, 3:] = turn
            J /= sigma[:, None, None]
            H += np.einsum("fai,faj->fij", J, J)
            g += np.einsum("fai,fa->fi", J, r)
            cost += float(0.5 * (r**2).sum())
        return cost


def _step(H, g, W, h, k, damping: float):
    f = len(H)
    damped = H + damping * np.einsum("fii->fi", H)[:, :, None] * np.eye(6)
    if W is None:
        return -np.linalg.solve(damped, g[..., None])[..., 0], None, None
    stiff = h * (1 + damping)
    full = np.zeros((6 * f, 6 * f))
    for i in range(f):
        full[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] = damped[i]
    reduced = full - W.T @ (W / stiff[:, None])
    step = -np.linalg.solve(reduced, g.reshape(-1) - W.T @ (k / stiff))
    depth = -(k + W @ step) / stiff
    return step.reshape(f, 6), np.clip(depth, -0.5, 0.5), reduced


def _covariance(H, reduced, f: int) -> np.ndarray:
    if reduced is None:
        return np.linalg.inv(H)
    inverse = np.linalg.inv(reduced)
    return np.stack([inverse[6 * i : 6 * i + 6, 6 * i : 6 * i + 6] for i in range(f)])
