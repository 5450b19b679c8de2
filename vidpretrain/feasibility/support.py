"""Feet and ground: which corners of the soles stand, how soles slide and sink, and where the weight is over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.feasibility.body import Body, Sole


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Corners of both soles in the world, left then right, and which stand on the ground z = 0."""

    soles: tuple[Sole, ...]
    p_world_corner: tuple[Float64[np.ndarray, "t c 3"], ...]
    stands: tuple[Bool[np.ndarray, "t c"], ...]
    p_world_mass: Float64[np.ndarray, "t 3"]

    def standing(self, t: int) -> tuple[Float64[np.ndarray, "n 3"], np.ndarray]:
        """(corners that stand in frame t, index of the sole that each belongs to)."""
        parts = [corner[t][stands[t]] for corner, stands in zip(self.p_world_corner, self.stands, strict=True)]
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return np.concatenate(parts) if parts else np.zeros((0, 3)), owner


def find_ground(body: Body, qpos: Float64[np.ndarray, "t q"], contact_height_m: float) -> Ground:
    """Soles and centre of mass of every frame."""
    import mujoco

    model, data = body.model, body.data
    soles = tuple(body.soles.values())
    corners = [np.empty((len(qpos), len(sole.p_body_corner), 3)) for sole in soles]
    mass = np.empty((len(qpos), 3))
    for t in range(len(qpos)):
        data.qpos[:] = qpos[t]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mass[t] = data.subtree_com[0]
        for corner, sole in zip(corners, soles, strict=True):
            corner[t] = sole.p_body_corner @ data.xmat[sole.body].reshape(3, 3).T + data.xpos[sole.body]
    return Ground(
        soles=soles,
        p_world_corner=tuple(corners),
        stands=tuple(corner[..., 2] < contact_height_m for corner in corners),
        p_world_mass=mass,
    )


def slide_m_s(ground: Ground, rate_hz: float) -> Float64[np.ndarray, "t n"]:
    """Horizontal speed of each sole: its slowest corner's, of those that stand before and after; NaN in the air.

    The slowest, because a foot that rolls over its edge does not slide.
    """
    out = []
    for corner, stands in zip(ground.p_world_corner, ground.stands, strict=True):
        speed = np.full(len(corner), np.nan)
        step = np.linalg.norm(np.diff(corner[..., :2], axis=0), axis=-1) * rate_hz
        both = stands[1:] & stands[:-1]
        least = np.where(both, step, np.inf).min(axis=1) if len(step) else np.zeros(0)
        speed[1:] = np.where(np.isfinite(least), least, np.nan)
        out.append(speed)
    return np.stack(out, axis=1)


def penetration_m(ground: Ground) -> Float64[np.ndarray, "t n"]:
    """How far the lowest corner of each sole is under the ground, 0 above it."""
    return np.stack([np.maximum(0.0, -corner[..., 2].min(axis=1)) for corner in ground.p_world_corner], axis=1)


def balance_m(ground: Ground) -> Float64[np.ndarray, " t"]:
    """Distance of the centre of mass, seen from above, to the edge of the support polygon: negative outside.

    NaN where nothing stands.
    """
    out = np.full(len(ground.p_world_mass), np.nan)
    for t in range(len(out)):
        corners, _ = ground.standing(t)
        if len(corners):
            out[t] = inside_m(ground.p_world_mass[t, :2], corners[:, :2])
    return out


def inside_m(point: Float64[np.ndarray, " 2"], corners: Float64[np.ndarray, "n 2"]) -> float:
    """Distance of a point to the edge of the convex hull of `corners`; positive inside, negative outside."""
    edge = hull(corners)
    if len(edge) == 1:
        return -float(np.linalg.norm(point - edge[0]))
    along = np.roll(edge, -1, axis=0) - edge
    offset = point - edge
    length = np.einsum("ij,ij->i", along, along)
    share = np.clip(np.einsum("ij,ij->i", offset, along) / length, 0.0, 1.0)
    distance = float(np.linalg.norm(offset - share[:, None] * along, axis=1).min())
    left = along[:, 0] * offset[:, 1] - along[:, 1] * offset[:, 0]
    return distance if len(edge) > 2 and (left >= 0).all() else -distance


def hull(points: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "h 2"]:
    """Corners of the convex hull, counter-clockwise (Andrew's monotone chain); one or two for degenerate input."""
    ordered = sorted({(float(x), float(y)) for x, y in points})
    if len(ordered) < 3:
        return np.array(ordered)
    lower, upper = _chain(ordered), _chain(ordered[::-1])
    return np.array(lower[:-1] + upper[:-1])


def _chain(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for point in ordered:
        while len(out) > 1 and _turn(out[-2], out[-1], point) <= 0:
            out.pop()
        out.append(point)
    return out


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
