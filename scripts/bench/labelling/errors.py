"""Errors of a motion's labels against the truth of a rendered clip, per clip and side, frame by frame.

Everything is compared in the camera's frame, in frames in which the labels are valid and the truth is defined. Frames
in which a method says nothing are not compared; `found` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.sim.posing import palm_frame
from vidpretrain.types import HumanMotion

NAMES = ("wrist", "displacement", "orientation", "hand", "acceleration")
_HALF_NS = timebase.ns(0.5)


@dataclass
class Labels:
    """Hand points (t 21 3) by side in the camera's frame on the tracks' times, NaN where there is no label.

    `sigma_m` (t) of the wrist, `filled` (t) where it was imputed; None where the method has none. `every` (t 75 3) are
    all points of the body and both hands and `every_sigma_m` (t 75) their sigma.
    """

    points: dict[str, np.ndarray]
    sigma_m: dict[str, np.ndarray] | None = None
    filled: dict[str, np.ndarray] | None = None
    every: np.ndarray | None = None
    every_sigma_m: np.ndarray | None = None


@dataclass
class Errors:
    """Samples per quantity of one clip and side, and what belongs to the wrist's: its sigma."""

    samples: dict[str, np.ndarray] = field(default_factory=dict)
    sigma_cm: np.ndarray | None = None
    found: int = 0
    wanted: int = 0


def of_motions(motions: tuple[HumanMotion, ...], time_ns: np.ndarray) -> Labels:
    """The labels of a clip's motions on the given times."""
    t = len(time_ns)
    points = {side: np.full((t, 21, 3), np.nan) for side in skeletons.SIDES}
    sigma = {side: np.full(t, np.nan) for side in skeletons.SIDES}
    filled = {side: np.zeros(t, dtype=bool) for side in skeletons.SIDES}
    every, every_sigma = np.full((t, 75, 3), np.nan), np.full((t, 75), np.nan)
    for motion in motions:
        rows = np.searchsorted(time_ns, motion.time_ns)
        pose = motion.camera.T_world_camera
        p = np.where(motion.valid[..., None], motion.p_world_keypoint, np.nan)
        if pose is not None:
            p = geometry.transform(geometry.inverse(pose)[:, None], p)
        every[rows], every_sigma[rows] = p, motion.sigma_m
        for side, part in skeletons.HAND_SLICES.items():
            points[side][rows] = p[:, part]
            sigma[side][rows] = motion.sigma_m[:, part.start]
            filled[side][rows] = motion.imputed[:, part.start]
    return Labels(points, sigma, filled, every, every_sigma)


def true_points(truth, time_ns: np.ndarray) -> np.ndarray:
    """Truth (t 75 3) in the camera's frame at the given times."""
    index = timebase.nearest_index(truth.time_ns, time_ns)
    return geometry.transform(geometry.inverse(truth.T_world_camera)[:, None], truth.p_world_keypoint)[index]


def compare(labels: Labels, truth, time_ns: np.ndarray) -> dict[str, Errors]:
    """Errors by side: cm, cm over half a second, degrees, mm (after Procrustes), m/s2."""
    p_true = true_points(truth, time_ns)
    index = timebase.nearest_index(truth.time_ns, time_ns)
    out = {}
    for side, part in skeletons.HAND_SLICES.items():
        a, b = labels.points[side], p_true[:, part]
        whole = np.isfinite(a).all((1, 2))
        wrist = np.linalg.norm(a[:, 0] - b[:, 0], axis=1)
        at = np.isfinite(wrist)
        samples = {"wrist": 100 * wrist[at], "displacement": 100 * _finite(_displacement(a[:, 0], b[:, 0], time_ns))}
        if whole.any():
            q = [geometry.quat_from_matrix(palm_frame(x[whole], side)) for x in (a, b)]
            samples["orientation"] = np.degrees(geometry.angle_between(*q))
            samples["hand"] = 1000 * aligned(a[whole], b[whole])
        samples["acceleration"] = _finite(_acceleration(a[:, 0], time_ns) - _acceleration(b[:, 0], time_ns))
        wanted = truth.visible[index][:, part].mean(axis=1) >= 0.5
        real = at if labels.filled is None else at & ~labels.filled[side]
        sigma = None if labels.sigma_m is None else 100 * labels.sigma_m[side][at]
        out[side] = Errors(samples, sigma, int((real & wanted).sum()), int(wanted.sum()))
    return out


def aligned(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean distance (t) of points (t k 3) after the best turn, shift and scale of `a` (PA-MPJPE).

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns".
    """
    A, B = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    U, S, Vt = np.linalg.svd(np.einsum("tki,tkj->tij", A, B))
    sign = np.sign(np.linalg.det(U) * np.linalg.det(Vt))
    D = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)
    R = np.einsum("tij,tj,tjk->tik", U, D, Vt)
    scale = (S * D).sum(axis=-1) / (A**2).sum(axis=(1, 2))
    return np.linalg.norm(scale[:, None, None] * np.einsum("tki,tij->tkj", A, R) - B, axis=-1).mean(axis=1)


def _finite(values: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(values, axis=-1)
    return size[np.isfinite(size)]


def _displacement(a: np.ndarray, b: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    later = timebase.nearest_index(time_ns, time_ns + _HALF_NS)
    near = np.abs(time_ns[later] - time_ns - _HALF_NS) <= timebase.ns(0.03)
    return np.where(near[:, None], (a[later] - a) - (b[later] - b), np.nan)


def _acceleration(p: np.ndarray, time_ns: np.ndarray) -> np.ndarray:
    step_s = float(np.median(np.diff(time_ns))) / timebase.NS_PER_S
    return np.diff(p, 2, axis=0) / step_s**2
