"""Points seen by cameras: exact gradients, motions recovered from pixels, points that are behind a camera."""

from __future__ import annotations

import numpy as np
import pytest
from test_solve_clip import arm, assert_inside, motion, problem
from test_solve_gradient import check_gradient

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import PinholeCamera, PixelTerm, Start, solve_clip, state
from vidpretrain.types import Camera

FOCAL, CENTER = np.array([600.0, 620.0]), np.array([320.0, 240.0])


def looking_at(position, target, roll: float = 0.0) -> np.ndarray:
    """T_world_camera of a camera at `position` with z towards `target` and y downwards, then rolled about z."""
    z = geometry.normalize(np.asarray(target, float) - position)
    x = geometry.normalize(np.cross(z, [0.0, 0.0, 1.0]))
    q = geometry.quat_from_matrix(np.stack([x, np.cross(z, x), z], axis=1))
    return geometry.pose(geometry.quat_mul(q, geometry.quat_exp(np.array([0.0, 0.0, roll]))), np.asarray(position))


def camera(position, target=(0.0, 0.0, 0.3), roll: float = 0.0) -> PinholeCamera:
    return PinholeCamera(T_world_camera=looking_at(position, target, roll), focal_px=FOCAL, center_px=CENTER)


def seen(cam: PinholeCamera, p_world: np.ndarray) -> np.ndarray:
    """Pixels (t 2) of points (t 3), by the textbook."""
    p = geometry.transform(geometry.inverse(cam.T_world_camera), p_world)
    return cam.focal_px * p[..., :2] / p[..., 2:] + cam.center_px


def pixel_terms(tree, q, base, cameras, sites, noise_px=0.0, seed=0, **more):
    random, out = np.random.default_rng(seed), []
    poses = site_poses(tree, q, base)
    for cam in cameras:
        for site in sites:
            uv = seen(cam, poses[:, tree.site(site), 4:])
            uv = uv + noise_px * random.normal(size=uv.shape)
            weight = np.full(len(q), 1.0 / max(noise_px, 1.0) ** 2)
            out.append(PixelTerm(site=site, uv_px=uv, weight=weight, camera=cam, **more))
    return tuple(out)


@pytest.mark.parametrize("free_base", [True, False])
@pytest.mark.parametrize(("huber", "loss"), [(None, "huber"), (5.0, "huber"), (5.0, "cauchy"), (3000.0, "tukey")])
def test_gradient_in_front_of_at_and_behind_the_camera(huber, loss, free_base):
    tree, frames = arm(), 5
    random = np.random.default_rng(3)
    q, base = motion(tree, frames, 1), np.array([1.0, 0, 0, 0, 0.1, 0.2, 0.3])
    moving = looking_at([2.0, -1.0, 1.0], [0.0, 0.0, 0.3], 0.4) + 0.01 * random.normal(size=(frames, 7))
    middle = site_poses(tree, q, base, ["middle"])[0, 0, 4:]
    cameras = (
        PinholeCamera(T_world_camera=moving, focal_px=FOCAL, center_px=CENTER),
        PinholeCamera(T_world_camera=looking_at(middle + 0.2, [3.0, 3, 3]), focal_px=FOCAL, center_px=CENTER),  # behind
        PinholeCamera(
            T_world_camera=looking_at(middle - 0.1, [3.0, 3, 3]), focal_px=FOCAL, center_px=CENTER, near_m=0.25
        ),
    )
    rows = tuple(
        PixelTerm(
            site=site,
            uv_px=CENTER + 60.0 * random.normal(size=(frames, 2)),
            weight=np.full(frames, 0.01),
            camera=cam,
            huber_px=huber,
            loss=loss,
        )
        for cam in cameras
        for site in ("wrist", "finger", "middle", "knob")
    )
    asked = problem(tree, rows, frames, free_base=free_base)
    q = np.clip(q + 0.05 * random.normal(size=q.shape), tree.bounds()[0] + 0.01, tree.bounds()[1] - 0.01)
    start = Start(joint_pos=tree.with_mimic(q), T_world_base=base)
    work, _ = state.begin(tree, asked, start)
    for c in np.flatnonzero(np.diff(work.L.var_at)):
        check_gradient(work, int(c), 0, frames)
        check_gradient(work, int(c), 1, 3)
    assert all(np.isfinite(work.st.left[:, i]).all() for i in range(len(rows)))


@pytest.mark.parametrize("free_base", [True, False])
def test_recovers_a_motion_from_two_cameras(free_base):
    tree, frames = arm(), 40
    truth = motion(tree, frames, 2)
    t = np.arange(frames) / 30.0
    base = geometry.pose(
        geometry.quat_exp(np.stack([0.1 * np.sin(t), 0.2 * t, 0.8 * t], axis=-1)), 0.1 * np.stack([t, -t, t], axis=-1)
    )
    base = base if free_base else np.broadcast_to(geometry.IDENTITY_POSE, (frames, 7)).copy()
    cameras = (camera([2.0, 0.5, 0.5]), camera([0.3, 2.0, 1.0], roll=0.5))
    sites = ("base", "middle", "wrist", "finger", "knob")
    terms = pixel_terms(tree, truth, base, cameras, sites)
    asked = problem(tree, terms, frames, free_base=free_base, tolerance=1e-9)
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(10), T_world_base=base[0]))
    found = site_poses(tree, solution.joint_pos, solution.T_world_base)[..., 4:]
    assert np.linalg.norm(found - site_poses(tree, truth, base)[..., 4:], axis=-1).max() < 2e-3
    assert max(float(r.max()) for r in solution.residual) < 0.5
    assert_inside(tree, solution.joint_pos)


def test_residual_is_the_distance_in_pixels_and_holes_do_not_count():
    tree, frames = arm(), 4
    q = motion(tree, frames, 0)
    (term,) = pixel_terms(tree, q, None, (camera([2.0, 0.5, 0.5]),), ("wrist",))
    uv = term.uv_px + np.array([3.0, -4.0])
    uv[2] = np.nan
    shifted = PixelTerm(site="wrist", uv_px=uv, weight=np.ones(frames), camera=term.camera)
    asked = problem(tree, (shifted,), frames, active_joints=np.zeros(10, dtype=bool))
    solution = solve_clip(tree, asked, Start(joint_pos=q))
    np.testing.assert_allclose(solution.residual[0], [5.0, 5.0, np.nan, 5.0], atol=1e-9)


def test_a_point_behind_the_camera_comes_forward():
    """Starting behind the camera, exactly on the line of sight where x = y = 0 hides everything else."""
    tree, frames = arm(), 6
    q = np.tile(tree.with_mimic(0.5 * (tree.lower + tree.upper)), (frames, 1))
    cam = camera([0.0, -1.5, 0.3])
    truth = np.tile(geometry.IDENTITY_POSE, (frames, 1))
    sites = ("base", "middle", "wrist", "knob", "finger")
    start = truth.copy()
    start[:, 5] -= 3.5  # mirrored behind it: the arm's whole length is beyond the camera
    terms = pixel_terms(tree, q, truth, (cam,), sites)
    asked = problem(
        tree, terms, frames, free_base=True, active_joints=np.zeros(10, dtype=bool), max_iterations=200, tolerance=1e-10
    )
    solution = solve_clip(tree, asked, Start(joint_pos=q, T_world_base=start))
    depth = geometry.transform(geometry.inverse(cam.T_world_camera), solution.T_world_base[:, 4:])[:, 2]
    assert (depth > 0.5).all()
    np.testing.assert_allclose(solution.T_world_base[:, 4:], truth[:, 4:], atol=5e-3)


def test_an_outlier_behind_the_camera_is_let_go_by_a_redescending_loss():
    tree, frames = arm(), 5
    q = motion(tree, frames, 0)
    cams = (camera([2.0, 0.5, 0.5]), camera([0.3, 2.0, 1.0]))
    good = pixel_terms(tree, q, None, cams, ("wrist", "finger", "knob", "middle"))
    away = PinholeCamera(T_world_camera=looking_at([1.0, 0, 0.3], [5.0, 0, 0.3]), focal_px=FOCAL, center_px=CENTER)
    bad = PixelTerm(
        site="wrist",
        uv_px=np.tile(CENTER, (frames, 1)),
        weight=np.ones(frames),
        camera=away,
        huber_px=50.0,
        loss="tukey",
    )
    asked = problem(tree, (*good, bad), frames)
    solution = solve_clip(tree, asked, Start(joint_pos=q))
    assert max(float(r.max()) for r in solution.residual[:-1]) < 1e-3
    assert np.isfinite(solution.cost)


def test_camera_is_checked_and_made_from_the_vocabulary():
    K = np.array([[500.0, 0, 310], [0, 510.0, 250], [0, 0, 1]])
    pose = looking_at([2.0, 0, 1.0], [0.0, 0, 0])
    full = Camera(K=K, distortion=np.zeros(5), width_px=640, height_px=480, T_world_camera=pose[None])
    made = PinholeCamera.of(full)
    np.testing.assert_array_equal(made.focal_px, [500.0, 510.0])
    np.testing.assert_array_equal(made.center_px, [310.0, 250.0])
    with pytest.raises(ValueError, match="distortion"):
        PinholeCamera.of(
            Camera(K=K, distortion=np.full(5, 0.1), width_px=640, height_px=480, T_world_camera=pose[None])
        )
    with pytest.raises(ValueError, match="positive"):
        PinholeCamera(T_world_camera=pose, focal_px=np.array([500.0, -1.0]), center_px=CENTER)
    tree = arm()
    cam = PinholeCamera(T_world_camera=np.tile(pose, (3, 1)), focal_px=FOCAL, center_px=CENTER)
    term = PixelTerm(site="wrist", uv_px=np.zeros((4, 2)), weight=np.ones(4), camera=cam)
    with pytest.raises(ValueError, match="T_world_camera"):
        solve_clip(tree, problem(tree, (term,), 4), Start(joint_pos=np.zeros(10)))
