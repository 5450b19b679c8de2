"""Compiled forward kinematics and Jacobian columns (numba, cached on disk).

Rotations are matrices in here. Source of the Jacobians: the velocity of a point carried by a hinge is axis x lever,
by a slide the axis (Lynch and Park, Modern Robotics, section 5.1). A ball's entries are three hinges about the axes of
its zero frame: their columns are derivatives by the small turn dw of R <- exp(dw) R, not by its rotation vector.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from vidpretrain.compiled import drop_stale_caches

drop_stale_caches()  # every compiled room imports this module


@njit(cache=True)
def turn(axis, angle, R):
    """Write the rotation matrix of an angle about a unit axis into R (Rodrigues)."""
    c, s = np.cos(angle), np.sin(angle)
    x, y, z = axis[0], axis[1], axis[2]
    k = 1.0 - c
    R[0, 0], R[0, 1], R[0, 2] = c + k * x * x, k * x * y - s * z, k * x * z + s * y
    R[1, 0], R[1, 1], R[1, 2] = k * x * y + s * z, c + k * y * y, k * y * z - s * x
    R[2, 0], R[2, 1], R[2, 2] = k * x * z - s * y, k * y * z + s * x, c + k * z * z


@njit(cache=True)
def multiply(A, B, out):
    """Write A B into out, which is neither of them."""
    for i in range(3):
        for k in range(3):
            out[i, k] = A[i, 0] * B[0, k] + A[i, 1] * B[1, k] + A[i, 2] * B[2, k]


@njit(cache=True)
def exp_of(x, y, z):
    """The rotation matrix of a rotation vector, row by row."""
    angle2 = x * x + y * y + z * z
    if angle2 < 1e-6:  # sin(a) / a and (1 - cos(a)) / a^2 to the last digit
        s, k = 1.0 - angle2 / 6.0 * (1.0 - angle2 / 20.0), 0.5 - angle2 / 24.0
    else:
        angle = np.sqrt(angle2)
        s, k = np.sin(angle) / angle, (1.0 - np.cos(angle)) / angle2
    xx, yy, zz, xy, xz, yz = k * x * x, k * y * y, k * z * z, k * x * y, k * x * z, k * y * z
    x, y, z = s * x, s * y, s * z
    return 1.0 - yy - zz, xy - z, xz + y, xy + z, 1.0 - xx - zz, yz - x, xz - y, yz + x, 1.0 - xx - yy


@njit(cache=True)
def turn_by(x, y, z, o, R):
    """Multiply R[o] by exp((x, y, z)) from the right."""
    e00, e01, e02, e10, e11, e12, e20, e21, e22 = exp_of(x, y, z)
    for r in range(3):
        a, b, c = R[o, r, 0], R[o, r, 1], R[o, r, 2]
        R[o, r, 0] = a * e00 + b * e10 + c * e20
        R[o, r, 1] = a * e01 + b * e11 + c * e21
        R[o, r, 2] = a * e02 + b * e12 + c * e22


@njit(cache=True)
def forward(order, parent, hinge, R_zero, p_zero, axis, q, R, p, a):
    """Write rotation R[1 + j], origin p[1 + j] and axis a[j] of the joints in `order`, in the world.

    Row 0 of R (1 + j 3 3) and p (1 + j 3) is the base's pose, given. `order` has every parent before its children.
    Whole matrices are not passed on: slices cost more than the arithmetic. A ball's axes are those of its zero frame.
    """
    for s in range(len(order)):
        j = order[s]
        i = parent[j] + 1
        o = j + 1
        for r in range(3):
            x, y, z = R[i, r, 0], R[i, r, 1], R[i, r, 2]
            p[o, r] = p[i, r] + x * p_zero[j, 0] + y * p_zero[j, 1] + z * p_zero[j, 2]
            for c in range(3):
                R[o, r, c] = x * R_zero[j, 0, c] + y * R_zero[j, 1, c] + z * R_zero[j, 2, c]
        if hinge[j] >= 2:
            if hinge[j] == 2:  # it turns here; its other two entries are copies
                for r in range(3):
                    a[j, r], a[j + 1, r], a[j + 2, r] = R[o, r, 0], R[o, r, 1], R[o, r, 2]
                turn_by(q[j], q[j + 1], q[j + 2], o, R)
            continue
        u, v, w = axis[j, 0], axis[j, 1], axis[j, 2]
        for r in range(3):
            a[j, r] = R[o, r, 0] * u + R[o, r, 1] * v + R[o, r, 2] * w
        if hinge[j]:
            cos, sin = np.cos(q[j]), np.sin(q[j])
            k = 1.0 - cos
            for r in range(3):
                x, y, z, along = R[o, r, 0], R[o, r, 1], R[o, r, 2], k * a[j, r]
                R[o, r, 0] = cos * x + along * u + sin * (y * w - z * v)
                R[o, r, 1] = cos * y + along * v + sin * (z * u - x * w)
                R[o, r, 2] = cos * z + along * w + sin * (x * v - y * u)
        else:
            for r in range(3):
                p[o, r] += a[j, r] * q[j]


@njit(cache=True)
def place_base(R_base, p_base, R, p):
    """Write the base's pose into row 0."""
    for r in range(3):
        p[0, r] = p_base[r]
        for c in range(3):
            R[0, r, c] = R_base[r, c]


@njit(cache=True)
def place_site(site, row, site_joint, R_site, p_site, R, p, R_out, p_out):
    """Write the world rotation and origin of one site into row `row` of R_out (u 3 3) and p_out (u 3)."""
    i = site_joint[site] + 1
    for r in range(3):
        x, y, z = R[i, r, 0], R[i, r, 1], R[i, r, 2]
        p_out[row, r] = p[i, r] + x * p_site[site, 0] + y * p_site[site, 1] + z * p_site[site, 2]
        for c in range(3):
            R_out[row, r, c] = x * R_site[site, 0, c] + y * R_site[site, 1, c] + z * R_site[site, 2, c]


@njit(cache=True)
def quat_of(R, q):
    """Write the unit quaternion (wxyz, w >= 0) of a rotation matrix, by the largest of four pivots (Shepperd)."""
    trace = R[0, 0] + R[1, 1] + R[2, 2]
    if trace >= R[0, 0] and trace >= R[1, 1] and trace >= R[2, 2]:
        q[0], q[1] = 1.0 + trace, R[2, 1] - R[1, 2]
        q[2], q[3] = R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]
    elif R[0, 0] >= R[1, 1] and R[0, 0] >= R[2, 2]:
        q[0], q[1] = R[2, 1] - R[1, 2], 1.0 + R[0, 0] - R[1, 1] - R[2, 2]
        q[2], q[3] = R[0, 1] + R[1, 0], R[0, 2] + R[2, 0]
    elif R[1, 1] >= R[2, 2]:
        q[0], q[1] = R[0, 2] - R[2, 0], R[0, 1] + R[1, 0]
        q[2], q[3] = 1.0 - R[0, 0] + R[1, 1] - R[2, 2], R[1, 2] + R[2, 1]
    else:
        q[0], q[1] = R[1, 0] - R[0, 1], R[0, 2] + R[2, 0]
        q[2], q[3] = R[1, 2] + R[2, 1], 1.0 - R[0, 0] - R[1, 1] + R[2, 2]
    norm = np.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    if q[0] < 0:
        norm = -norm
    for i in range(4):
        q[i] /= norm


@njit(cache=True)
def all_joint_poses(parent, hinge, R_zero, p_zero, axis, joint_pos, R_base, p_base, out):
    """Write T_world_joint (t j 7)."""
    n = len(parent)
    order = np.arange(n)
    R, p, a = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3))
    for t in range(len(joint_pos)):
        place_base(R_base[t], p_base[t], R, p)
        forward(order, parent, hinge, R_zero, p_zero, axis, joint_pos[t], R, p, a)
        for j in range(n):
            quat_of(R[j + 1], out[t, j, :4])
            out[t, j, 4:] = p[j + 1]


@njit(cache=True)
def all_site_poses(
    parent, hinge, R_zero, p_zero, axis, site_joint, R_site, p_site, sites, joint_pos, R_base, p_base, out
):
    """Write T_world_site (t s 7) of the sites with indices `sites`."""
    n = len(parent)
    order = np.arange(n)
    R, p, a = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3))
    R_out, p_out = np.empty((1, 3, 3)), np.empty((1, 3))
    for t in range(len(joint_pos)):
        place_base(R_base[t], p_base[t], R, p)
        forward(order, parent, hinge, R_zero, p_zero, axis, joint_pos[t], R, p, a)
        for k in range(len(sites)):
            place_site(sites[k], 0, site_joint, R_site, p_site, R, p, R_out, p_out)
            quat_of(R_out[0], out[t, k, :4])
            out[t, k, 4:] = p_out[0]


@njit(cache=True)
def all_jacobians(
    parent, hinge, R_zero, p_zero, axis, site_joint, R_site, p_site, path_start, path, source, ratio,
    site, joint_pos, R_base, p_base, point, orientation,
):  # fmt: skip
    """Add one site's Jacobians (t 3 6+j): base rotation, base translation, joints; mimic joints into their sources."""
    n = len(parent)
    order = np.arange(n)
    R, p, a = np.empty((n + 1, 3, 3)), np.empty((n + 1, 3)), np.empty((n, 3))
    R_out, p_out = np.empty((1, 3, 3)), np.empty((1, 3))
    i = site_joint[site]
    for t in range(len(joint_pos)):
        place_base(R_base[t], p_base[t], R, p)
        forward(order, parent, hinge, R_zero, p_zero, axis, joint_pos[t], R, p, a)
        place_site(site, 0, site_joint, R_site, p_site, R, p, R_out, p_out)
        for k in range(3):
            orientation[t, k, k] = 1.0
            point[t, k, 3 + k] = 1.0
        x, y, z = p_out[0, 0] - p[0, 0], p_out[0, 1] - p[0, 1], p_out[0, 2] - p[0, 2]
        point[t, 0, 1], point[t, 0, 2] = z, -y
        point[t, 1, 0], point[t, 1, 2] = -z, x
        point[t, 2, 0], point[t, 2, 1] = y, -x
        for s in range(path_start[i + 1], path_start[i + 2]):
            j = path[s]
            v = 6 + source[j]
            add_column(ratio[j], hinge[j], j, a, p, p_out[0, 0], p_out[0, 1], p_out[0, 2], point[t], v)
            if hinge[j]:
                for r in range(3):
                    orientation[t, r, v] += ratio[j] * a[j, r]


@njit(cache=True)
def add_column(factor, hinge, j, a, p, x, y, z, J, v):
    """Add factor times the velocity of the point (x, y, z), when joint j moves at 1 rad/s (m/s), to column v of J."""
    if hinge:
        x, y, z = x - p[j + 1, 0], y - p[j + 1, 1], z - p[j + 1, 2]
        J[0, v] += factor * (a[j, 1] * z - a[j, 2] * y)
        J[1, v] += factor * (a[j, 2] * x - a[j, 0] * z)
        J[2, v] += factor * (a[j, 0] * y - a[j, 1] * x)
    else:
        for r in range(3):
            J[r, v] += factor * a[j, r]
