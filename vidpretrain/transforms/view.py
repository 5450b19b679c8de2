"""A camera that is turned about its own centre: its picture and everything measured in its frame, together.

With K the intrinsics and R = R_new_old the turn, a point p_old in camera coordinates becomes p_new = R p_old, and what
was seen at the pixel (u, v, 1) is seen at K R K^-1 (u, v, 1): for a turn about the centre this holds at every depth
(Hartley and Zisserman, Multiple View Geometry, section 8.4.2). Moving the content of a picture by d pixels is the same
to first order, with a turn of atan(d / focal); what is left out is what bends towards the corners. So a picture may be
moved at random, and state and actions in the camera's frame be turned with it: a pair that another camera would have
seen.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from vidpretrain import geometry
from vidpretrain.types import ActionSpec

Array = np.ndarray


def view_turn(shift_px: Float[Array, "b 2"], fov_x_rad: Float[Array, " b"], side_px: int) -> Float[Array, "b 3 3"]:
    """R_new_old: the smallest turn after which the ray of the pixel centre + shift (down, right) is the optical axis.

    Identity where the field of view is not known.
    """
    known = np.isfinite(fov_x_rad)
    focal_px = focal(np.where(known, fov_x_rad, 1.0), side_px)
    v, u = np.asarray(shift_px, dtype=float).T
    ray = geometry.normalize(np.stack([u, v, focal_px], axis=-1))
    axis = np.stack([ray[:, 1], -ray[:, 0], np.zeros(len(ray))], axis=-1)  # ray x (0, 0, 1)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine[:, 0], ray[:, 2]) * known
    turn = angle[:, None] * axis / np.maximum(sine, 1e-12)
    return geometry.matrix_from_quat(geometry.quat_exp(turn))


def focal(fov_x_rad: Float[Array, " b"], side_px: int) -> Float[Array, " b"]:
    """Focal length in pixels of a square picture."""
    return 0.5 * side_px / np.tan(0.5 * np.asarray(fov_x_rad, dtype=float))


def turn_poses(
    vector: Float[Array, "b *m d"], R_new_old: Float[Array, "b 3 3"], spec: ActionSpec
) -> Float[Array, "b *m d"]:
    """Absolute vectors whose poses in the camera's frame are told in the turned camera's; all else stays; NaN stays."""
    out = np.array(vector)
    R = np.asarray(R_new_old).reshape(len(R_new_old), *(1,) * (out.ndim - 2), 3, 3)
    slices = spec.slices()
    for group in spec.groups:
        if group.quantity != "camera_wrist":
            continue
        if group.representation == "relative":
            raise ValueError(f"group {group.name} moves in its own frame: a turned picture needs offset or absolute")
        nine = out[..., slices[group.name]].reshape(*out.shape[:-1], 3, 3)  # place, first and second column of R
        out[..., slices[group.name]] = (R @ np.swapaxes(nine, -1, -2)).swapaxes(-1, -2).reshape(*out.shape[:-1], 9)
    return out


def source_pixels(
    R_new_old: Float[Array, "b 3 3"], fov_x_rad: Float[Array, " b"], side_px: int
) -> Float[Array, "b s s 2"]:
    """(u, v) in the old picture of every pixel of the turned one, K R^T K^-1 (u, v, 1), pixel centres at integers."""
    known = np.isfinite(fov_x_rad)
    focal_px = focal(np.where(known, fov_x_rad, 1.0), side_px)[:, None, None]
    centre = 0.5 * (side_px - 1)
    v, u = np.meshgrid(np.arange(side_px) - centre, np.arange(side_px) - centre, indexing="ij")
    ray = np.stack([np.broadcast_to(u / focal_px, (len(focal_px), side_px, side_px)),
                    np.broadcast_to(v / focal_px, (len(focal_px), side_px, side_px)),
                    np.ones((len(focal_px), side_px, side_px))], axis=-1)  # fmt: skip
    old = ray @ np.asarray(R_new_old)[:, None]  # rows: (R^T p)^T = p^T R
    depth = np.maximum(old[..., 2:], 1e-3)
    return focal_px[..., None] * old[..., :2] / depth + centre
