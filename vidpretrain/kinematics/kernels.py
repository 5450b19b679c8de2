"""Compiled forward kinematics and Jacobian columns (numba, cached on disk).

Rotations are matrices in here. Source of the Jacobians: the velocity of a point carried by a hinge is axis x lever,
by a slide the axis (Lynch and Park, Modern Robotics, section 5.1).
"""

from __future__ import annotations

import numpy as np
from numba import njit


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
def forward(parent, hinge, R_zero, p_zero, axis, q, R_base, p_base, R, p, a, work):
    """Write rotation R (j 3 3), origin p (j 3) and axis a (j 3) of every joint, in the world; work is (2 3 3)."""
    for j in range(len(parent)):
        i = parent[j]
        Rp = R_base if i < 0 else R[i]
        pp = p_base if i < 0 else p[i]
        multiply(Rp, R_zero[j], work[0])
        for r in range(3):
            p[j, r] = pp[r] + Rp[r, 0] * p_zero[j, 0] + Rp[r, 1] * p_zero[j, 1] + Rp[r, 2] * p_zero[j, 2]
            a[j, r] = work[0, r, 0] * axis[j, 0] + work[0, r, 1] * axis[j, 1] + work[0, r, 2] * axis[j, 2]
        if hinge[j]:
            turn(axis[j], q[j], work[1])
            multiply(work[0], work[1], R[j])
        else:
            for r in range(3):
                p[j, r] += a[j, r] * q[j]
                for k in range(3):
                    R[j, r, k] = work[0, r, k]


@njit(cache=True)
def place_site(site, site_joint, R_site, p_site, R, p, R_base, p_base, R_out, p_out):
    """Write the world rotation and origin of one site."""
    j = site_joint[site]
    Rj = R_base if j < 0 else R[j]
    pj = p_base if j < 0 else p[j]
    multiply(Rj, R_site[site], R_out)
    for r in range(3):
        p_out[r] = pj[r] + Rj[r, 0] * p_site[site, 0] + Rj[r, 1] * p_site[site, 1] + Rj[r, 2] * p_site[site, 2]


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
    R, p, a, work = np.empty((n, 3, 3)), np.empty((n, 3)), np.empty((n, 3)), np.empty((2, 3, 3))
    for t in range(len(joint_pos)):
        forward(parent, hinge, R_zero, p_zero, axis, joint_pos[t], R_base[t], p_base[t], R, p, a, work)
        for j in range(n):
            quat_of(R[j], out[t, j, :4])
            out[t, j, 4:] = p[j]


@njit(cache=True)
def all_site_poses(
    parent, hinge, R_zero, p_zero, axis, site_joint, R_site, p_site, sites, joint_pos, R_base, p_base, out
):
    """Write T_world_site (t s 7) of the sites with indices `sites`."""
    n = len(parent)
    R, p, a, work = np.empty((n, 3, 3)), np.empty((n, 3)), np.empty((n, 3)), np.empty((2, 3, 3))
    R_out, p_out = np.empty((3, 3)), np.empty(3)
    for t in range(len(joint_pos)):
        forward(parent, hinge, R_zero, p_zero, axis, joint_pos[t], R_base[t], p_base[t], R, p, a, work)
        for k in range(len(sites)):
            place_site(sites[k], site_joint, R_site, p_site, R, p, R_base[t], p_base[t], R_out, p_out)
            quat_of(R_out, out[t, k, :4])
            out[t, k, 4:] = p_out


@njit(cache=True)
def all_jacobians(
    parent, hinge, R_zero, p_zero, axis, site_joint, R_site, p_site, path_start, path, source, ratio,
    site, joint_pos, R_base, p_base, point, orientation,
):  # fmt: skip
    """Add one site's Jacobians (t 3 6+j): base rotation, base translation, joints; mimic joints into their sources."""
    n = len(parent)
    R, p, a, work = np.empty((n, 3, 3)), np.empty((n, 3)), np.empty((n, 3)), np.empty((2, 3, 3))
    R_out, p_out = np.empty((3, 3)), np.empty(3)
    column = np.empty(3)
    i = site_joint[site]
    for t in range(len(joint_pos)):
        forward(parent, hinge, R_zero, p_zero, axis, joint_pos[t], R_base[t], p_base[t], R, p, a, work)
        place_site(site, site_joint, R_site, p_site, R, p, R_base[t], p_base[t], R_out, p_out)
        for k in range(3):
            orientation[t, k, k] = 1.0
            point[t, k, 3 + k] = 1.0
        lever = p_out - p_base[t]
        point[t, 0, 1], point[t, 0, 2] = lever[2], -lever[1]
        point[t, 1, 0], point[t, 1, 2] = -lever[2], lever[0]
        point[t, 2, 0], point[t, 2, 1] = lever[1], -lever[0]
        for s in range(path_start[i + 1], path_start[i + 2]):
            j = path[s]
            v = 6 + source[j]
            point_column(hinge[j], a[j], p[j], p_out, column)
            for r in range(3):
                point[t, r, v] += ratio[j] * column[r]
                if hinge[j]:
                    orientation[t, r, v] += ratio[j] * a[j, r]


@njit(cache=True)
def point_column(hinge, a, origin, at, out):
    """Write the velocity of a point `at` when the joint moves at 1 rad/s (or 1 m/s)."""
    if hinge:
        x, y, z = at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]
        out[0] = a[1] * z - a[2] * y
        out[1] = a[2] * x - a[0] * z
        out[2] = a[0] * y - a[1] * x
    else:
        out[0], out[1], out[2] = a[0], a[1], a[2]
