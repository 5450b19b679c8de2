"""Rotations and poses on wxyz quaternions, batched over leading axes. The only module that reorders quaternions.

Poses are (qw, qx, qy, qz, x, y, z). Source for the formulas: Sola, Deray, Atchuthan, "A micro Lie theory for state
estimation in robotics" (arXiv 1812.01537), sections on S3 and SE(3).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Array = np.ndarray

IDENTITY_POSE = np.array([1.0, 0, 0, 0, 0, 0, 0])
IDENTITY_POSE.flags.writeable = False


def normalize(vector: Float[Array, "*b n"], eps: float = 1e-12) -> Float[Array, "*b n"]:
    """Unit vectors along the last axis; vectors shorter than `eps` come back as they are."""
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / np.where(norm < eps, 1.0, norm)


def quat_mul(a: Float[Array, "*b 4"], b: Float[Array, "*b 4"]) -> Float[Array, "*b 4"]:
    """Hamilton product: rotate by `b` first, then by `a`."""
    aw, ax, ay, az = np.moveaxis(np.asarray(a), -1, 0)
    bw, bx, by, bz = np.moveaxis(np.asarray(b), -1, 0)
    return np.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


def quat_inverse(q: Float[Array, "*b 4"]) -> Float[Array, "*b 4"]:
    """Inverse of unit quaternions."""
    return np.asarray(q) * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(q: Float[Array, "*b 4"], p: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """Points turned by unit quaternions."""
    q, p = np.asarray(q), np.asarray(p)
    w, v = q[..., :1], q[..., 1:]
    twice = 2.0 * np.cross(v, p)
    return p + w * twice + np.cross(v, twice)


def quat_from_matrix(R: Float[Array, "*b 3 3"]) -> Float[Array, "*b 4"]:
    """Unit quaternions with w >= 0 from rotation matrices (Shepperd's method: the largest of four pivots)."""
    R = np.asarray(R, dtype=float)
    m00, m11, m22 = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    pivots = np.stack([m00 + m11 + m22, m00, m11, m22], axis=-1)
    choice = np.argmax(pivots, axis=-1)
    q0 = np.stack(
        [1 + m00 + m11 + m22, R[..., 2, 1] - R[..., 1, 2], R[..., 0, 2] - R[..., 2, 0], R[..., 1, 0] - R[..., 0, 1]],
        axis=-1,
    )
    q1 = np.stack(
        [R[..., 2, 1] - R[..., 1, 2], 1 + m00 - m11 - m22, R[..., 0, 1] + R[..., 1, 0], R[..., 0, 2] + R[..., 2, 0]],
        axis=-1,
    )
    q2 = np.stack(
        [R[..., 0, 2] - R[..., 2, 0], R[..., 0, 1] + R[..., 1, 0], 1 - m00 + m11 - m22, R[..., 1, 2] + R[..., 2, 1]],
        axis=-1,
    )
    q3 = np.stack(
        [R[..., 1, 0] - R[..., 0, 1], R[..., 0, 2] + R[..., 2, 0], R[..., 1, 2] + R[..., 2, 1], 1 - m00 - m11 + m22],
        axis=-1,
    )
    every = np.stack([q0, q1, q2, q3], axis=-2)
    q = normalize(np.take_along_axis(every, choice[..., None, None], axis=-2)[..., 0, :])
    return np.where(q[..., :1] < 0, -q, q)


def matrix_from_quat(q: Float[Array, "*b 4"]) -> Float[Array, "*b 3 3"]:
    """Rotation matrices from unit quaternions."""
    w, x, y, z = np.moveaxis(np.asarray(q, dtype=float), -1, 0)
    return np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
        ],
        axis=-2,
    )


def quat_exp(rotvec_rad: Float[Array, "*b 3"]) -> Float[Array, "*b 4"]:
    """Unit quaternions from rotation vectors (axis times angle)."""
    rotvec_rad = np.asarray(rotvec_rad, dtype=float)
    angle = np.linalg.norm(rotvec_rad, axis=-1, keepdims=True)
    half_sinc = 0.5 * np.sinc(angle / (2 * np.pi))  # sin(angle / 2) / angle
    return np.concatenate([np.cos(angle / 2), half_sinc * rotvec_rad], axis=-1)


def quat_log(q: Float[Array, "*b 4"]) -> Float[Array, "*b 3"]:
    """Rotation vectors of length at most pi from unit quaternions."""
    q = np.asarray(q, dtype=float)
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, q[..., :1])
    return q[..., 1:] * np.where(sine < 1e-9, 2.0, angle / np.where(sine < 1e-9, 1.0, sine))


def slerp(a: Float[Array, "*b 4"], b: Float[Array, "*b 4"], share: Float[Array, "*b"]) -> Float[Array, "*b 4"]:
    """Rotations a fraction `share` of the shortest way from `a` to `b`."""
    return quat_mul(a, quat_exp(np.asarray(share)[..., None] * quat_log(quat_mul(quat_inverse(a), b))))


def angle_between(a: Float[Array, "*b 4"], b: Float[Array, "*b 4"]) -> Float[Array, "*b"]:
    """Angle of the rotation from `a` to `b`, in [0, pi] rad."""
    return np.linalg.norm(quat_log(quat_mul(quat_inverse(a), b)), axis=-1)


def pose(q: Float[Array, "*b 4"], p: Float[Array, "*b 3"]) -> Float[Array, "*b 7"]:
    """Poses from unit quaternions and translations in metres."""
    q, p = np.asarray(q, dtype=float), np.asarray(p, dtype=float)
    lead = np.broadcast_shapes(q.shape[:-1], p.shape[:-1])
    return np.concatenate([np.broadcast_to(q, (*lead, 4)), np.broadcast_to(p, (*lead, 3))], axis=-1)


def compose(T_a_b: Float[Array, "*b 7"], T_b_c: Float[Array, "*b 7"]) -> Float[Array, "*b 7"]:
    """T_a_c."""
    T_a_b, T_b_c = np.asarray(T_a_b), np.asarray(T_b_c)
    return pose(quat_mul(T_a_b[..., :4], T_b_c[..., :4]), rotate(T_a_b[..., :4], T_b_c[..., 4:]) + T_a_b[..., 4:])


def inverse(T_a_b: Float[Array, "*b 7"]) -> Float[Array, "*b 7"]:
    """T_b_a."""
    T_a_b = np.asarray(T_a_b)
    q = quat_inverse(T_a_b[..., :4])
    return pose(q, -rotate(q, T_a_b[..., 4:]))


def transform(T_a_b: Float[Array, "*b 7"], p_b: Float[Array, "*b 3"]) -> Float[Array, "*b 3"]:
    """p_a: points of frame b in frame a."""
    T_a_b = np.asarray(T_a_b)
    return rotate(T_a_b[..., :4], p_b) + T_a_b[..., 4:]


def rot6d_from_matrix(R: Float[Array, "*b 3 3"]) -> Float[Array, "*b 6"]:
    """The first two columns of R, one after the other (Zhou et al., arXiv 1812.07035)."""
    R = np.asarray(R)
    return np.concatenate([R[..., :, 0], R[..., :, 1]], axis=-1)


def matrix_from_rot6d(six: Float[Array, "*b 6"]) -> Float[Array, "*b 3 3"]:
    """Rotation matrices by Gram-Schmidt on the two columns (Zhou et al., equation 15)."""
    six = np.asarray(six, dtype=float)
    first = normalize(six[..., :3])
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdims=True) * first
    second = normalize(second)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def pose9(T: Float[Array, "*b 7"]) -> Float[Array, "*b 9"]:
    """Translation (3) and rot6d (6) of poses: what a network sees."""
    T = np.asarray(T)
    return np.concatenate([T[..., 4:], rot6d_from_matrix(matrix_from_quat(T[..., :4]))], axis=-1)


def pose_from_pose9(nine: Float[Array, "*b 9"]) -> Float[Array, "*b 7"]:
    """Inverse of `pose9`, projecting any six numbers to a rotation."""
    nine = np.asarray(nine, dtype=float)
    return pose(quat_from_matrix(matrix_from_rot6d(nine[..., 3:])), nine[..., :3])


def wxyz_from_xyzw(q: Float[Array, "*b 4"]) -> Float[Array, "*b 4"]:
    """Reorder to this toolkit's order."""
    return np.roll(np.asarray(q), 1, axis=-1)


def xyzw_from_wxyz(q: Float[Array, "*b 4"]) -> Float[Array, "*b 4"]:
    """Reorder for libraries such as SciPy."""
    return np.roll(np.asarray(q), -1, axis=-1)


def two_link(
    p_start: Float[Array, "*b 3"],
    p_end: Float[Array, "*b 3"],
    first_m: Float[Array, "*b"] | float,
    second_m: Float[Array, "*b"] | float,
    pole: Float[Array, "*b 3"],
    fullest: float = 1.0,
) -> tuple[Float[Array, "*b 3"], Float[Array, "*b 3"]]:
    """Middle joint and end of a chain of two bones from `p_start` towards `p_end`: the law of cosines.

    The middle joint bends towards `pole` (a direction, of which the part across the chain counts). An end that is out
    of reach comes back on the way to it, no farther than the share `fullest` of both lengths and never folded flat.
    """
    a, b = np.asarray(first_m)[..., None], np.asarray(second_m)[..., None]
    way = p_end - p_start
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    reach = np.clip(distance, np.abs(a - b) * 1.02, (a + b) * fullest)
    ahead = way / np.maximum(distance, 1e-12)
    across = normalize(pole - (pole * ahead).sum(axis=-1, keepdims=True) * ahead)
    along = (a * a - b * b + reach * reach) / (2 * reach)
    middle = p_start + along * ahead + np.sqrt(np.maximum(a * a - along * along, 0.0)) * across
    return middle, p_start + reach * ahead


def rigid_fit(
    p_a: Float[Array, "n 3"], p_b: Float[Array, "n 3"], weight: Float[Array, " n"] | None = None
) -> Float[Array, " 7"]:
    """T_a_b that maps points of frame b onto their partners in frame a in the (weighted) least-squares sense.

    Source: Umeyama 1991, equations 38 to 42, without scale.
    """
    w = np.ones(len(p_a)) if weight is None else np.asarray(weight, dtype=float)
    w = w / w.sum()
    mean_a, mean_b = w @ p_a, w @ p_b
    U, _, Vt = np.linalg.svd((p_a - mean_a).T @ ((p_b - mean_b) * w[:, None]))
    sign = np.diag([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
    R = U @ sign @ Vt
    return pose(quat_from_matrix(R), mean_a - R @ mean_b)
