"""Shared parameters: exact derivatives, and bone lengths, scale, offsets and focal length recovered with the motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from test_solve_clip import arm, motion, problem, targets
from test_solve_pixel import CENTER, FOCAL, camera, pixel_terms, seen

from vidpretrain import geometry
from vidpretrain.errors import UnknownName
from vidpretrain.kinematics import site_poses
from vidpretrain.solve import (
    DistanceTerm,
    FloorTerm,
    FocalParameter,
    LengthParameter,
    OffsetParameter,
    PinholeCamera,
    PixelTerm,
    Start,
    solve_clip,
    state,
    with_parameters,
)
from vidpretrain.solve.shared import SharedSolve
from vidpretrain.tree import Tree

SITES = ("base", "middle", "wrist", "finger", "knob")


def everything():
    """Parameters of every kind, two of which share joints."""
    return (
        LengthParameter(name="upper", joints=("j1", "j2", "j3"), sites=("middle",), sigma=0.2),
        LengthParameter(name="scale", joints=tuple(f"j{i}" for i in range(1, 10)), sites=SITES, prior=1.1, sigma=0.1),
        OffsetParameter(name="wrist offset", site="wrist", sigma_m=0.02),
        FocalParameter(name="focal", prior_px=580.0, sigma_px=30.0),
        OffsetParameter(name="finger offset", site="finger", sigma_m=0.02),
    )


def all_rows(tree, q, base, cam, wrong=0.0, **loss):
    """One term of each kind; exactly met where `wrong` is 0, except for the floor."""
    random, frames = np.random.default_rng(4), len(q)
    poses = site_poses(tree, q, base)
    weight = np.full(frames, 1e3)
    apart = np.linalg.norm(poses[:, 3, 4:] - poses[:, 1, 4:], axis=-1)
    terms = (
        *targets(tree, q, base),
        DistanceTerm(from_site="middle", to_site="finger", distance_m=apart, weight=weight),
        FloorTerm(site="knob", z_world_m=poses[:, 4, 6] + 1e-7 + wrong, weight=weight),
        PixelTerm(site="finger", uv_px=seen(cam, poses[:, 3, 4:]), weight=weight, camera=cam, focal="focal"),
        PixelTerm(site="middle", uv_px=seen(cam, poses[:, 1, 4:]), weight=weight, camera=cam),
    )
    out = []
    for term in terms:
        for name in ("p_world_target", "target_m", "uv_px"):
            if wrong and hasattr(term, name):
                value = getattr(term, name)
                value = value + (100.0 if name == "uv_px" else 1.0) * wrong * random.normal(size=value.shape)
                term = dataclasses.replace(term, **{name: value})
        out.append(term)
    return tuple(dataclasses.replace(t, loss=loss.get("loss", "huber"), **_scale(t, loss)) for t in out)


def _scale(term, loss):
    name = next(n for n in ("huber_m", "huber_rad", "huber_px") if hasattr(term, n))
    return {name: loss["huber"] * (100.0 if name == "huber_px" else 1.0)} if "huber" in loss else {}


def shared_solve(wrong, free_base, **loss):
    tree, frames = arm(), 4
    random = np.random.default_rng(0)
    parameters = everything()
    values = {"upper": 1.2, "scale": 0.9, "wrist offset": np.array([0.01, -0.02, 0.03]), "focal": 610.0}
    values["finger offset"] = np.array([0.02, 0.01, -0.01])
    body = with_parameters(tree, parameters, values)
    q = motion(tree, frames, 1)
    base = geometry.pose(geometry.quat_exp(0.3 * random.normal(size=(frames, 3))), random.normal(size=(frames, 3)))
    cam = camera([3.0, 0.5, 0.5])
    cam = dataclasses.replace(cam, focal_px=np.array([610.0, 630.0]))
    rows = all_rows(body, q, base, cam, wrong, **loss)
    asked = problem(
        tree, rows, frames, parameters=parameters, free_base=free_base, posture=None,
        velocity_weight=None, acceleration_weight=np.full(10, 1e-9) if wrong else None,
    )  # fmt: skip
    work, _ = state.begin(body, asked, Start(joint_pos=q, T_world_base=base))
    return SharedSolve(work, tree, asked, values)


@pytest.mark.parametrize("free_base", [True, False])
@pytest.mark.parametrize(
    "loss", [{}, {"huber": 0.03}, {"huber": 0.05, "loss": "cauchy"}, {"huber": 2.0, "loss": "tukey"}]
)
def test_gradient_by_the_parameters_equals_finite_differences(loss, free_base):
    solve = shared_solve(0.05, free_base, **loss)
    solve.evaluate(False)
    g, vector = solve.border()[1], solve.vector.copy()
    assert len(g) == 9
    for q in range(9):
        h, ends = 1e-6 * max(1.0, abs(vector[q])), []
        for sign in (1, -1):
            solve.vector = vector + sign * h * (np.arange(9) == q)
            solve.put(solve.vector)
            ends.append(solve.evaluate(False))
        assert g[q] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-3), q


@pytest.mark.parametrize("free_base", [True, False])
def test_border_and_corner_are_second_derivatives_where_targets_are_met(free_base):
    """Without residuals the Gauss-Newton matrix is the Hessian, so the gradients' differences show all of it."""
    solve = shared_solve(0.0, free_base)
    solve.evaluate(False)
    C = solve.border()[0]
    B, vector = {c: solve.parts[c].B.copy() for c in solve.components}, solve.vector.copy()
    largest = max(float(np.abs(B[c]).max()) for c in B)
    for q in range(9):
        h, ends = 1e-5 * max(1.0, abs(vector[q])), []
        for sign in (1, -1):
            solve.vector = vector + sign * h * (np.arange(9) == q)
            solve.put(solve.vector)
            solve.evaluate(False)
            ends.append((solve.border()[1], {c: solve.parts[c].G.copy() for c in solve.components}))
        np.testing.assert_allclose((ends[0][0] - ends[1][0]) / (2 * h), C[q], rtol=1e-3, atol=1e-3 * np.sqrt(C[q, q]))
        for c in solve.components:
            numeric = (ends[0][1][c] - ends[1][1][c]).reshape(-1) / (2 * h)
            np.testing.assert_allclose(numeric, B[c][:, q], rtol=1e-3, atol=1e-4 * largest)


@pytest.mark.parametrize("free_base", [True, False])
def test_step_solves_the_whole_normal_equations(free_base):
    """The eliminated system against the assembled dense one."""
    solve = shared_solve(0.05, free_base)
    solve.evaluate(False)
    C, g = solve.border()
    count, sizes = len(g), [solve.parts[c].G.size for c in solve.components]
    total = sum(sizes)
    H, right = np.zeros((total + count, total + count)), np.zeros(total + count)
    damping, at = solve.work.st.damping, 0
    for c, size in zip(solve.components, sizes, strict=True):
        part = solve.parts[c]
        dense, n = band_to_dense(part.A), part.G.shape[1]
        diagonal = np.diag(dense)
        mean = diagonal.mean()
        extra = np.repeat(damping, n) * (diagonal + mean) + 1e-12 * (1 + mean)
        H[at : at + size, at : at + size] = dense + np.diag(extra)
        H[at : at + size, total:], H[total:, at : at + size] = part.B, part.B.T
        right[at : at + size] = -part.G.reshape(-1)
        at += size
    H[total:, total:] = C + np.diag(np.diag(C)) * solve.damping
    right[total:] = -g
    wanted = np.linalg.solve(H, right)
    found = solve.step(C, g)
    np.testing.assert_allclose(found, wanted[total:], rtol=1e-6, atol=1e-12)
    steps = np.concatenate([solve.parts[c].step.reshape(-1) for c in solve.components])
    np.testing.assert_allclose(steps, wanted[:total], rtol=1e-6, atol=1e-10)


def band_to_dense(A):
    count, wide = len(A), A.shape[1] - 1
    out = np.zeros((count, count))
    for i in range(count):
        for j in range(max(0, i - wide), i + 1):
            out[i, j] = out[j, i] = A[i, wide - (i - j)]
    return out


def moving_base(frames):
    t = np.arange(frames) / 30.0
    turn = np.stack([0.1 * np.sin(t), 0.2 * np.sin(2 * t), 0.8 * t], axis=-1)
    return geometry.pose(geometry.quat_exp(turn), 0.2 * np.stack([np.sin(t), t, 0.5 * t], axis=-1))


def limb(ball: bool = False) -> Tree:
    """A trunk with a shoulder (or a ball), an elbow, a wrist and a finger, and a site at both ends of every bone."""
    shoulder = [[1, 0, 0], [0, 1, 0], [0, 0, 1]] if ball else [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    axis = [*shoulder, [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]]
    T = np.tile(geometry.IDENTITY_POSE, (8, 1))
    T[[0, 3, 4, 6, 7], 4:] = [[0, 0.18, 0.45], [0.28, 0, 0], [0.25, 0, 0], [0.09, 0.02, 0], [0.04, 0, 0]]
    sites = {
        "pelvis": (-1, [0, 0, 0]), "left hip": (-1, [0, 0.1, -0.05]), "right hip": (-1, [0, -0.1, -0.05]),
        "neck": (-1, [0, 0, 0.5]), "shoulder": (2, [0, 0, 0]), "elbow": (3, [0, 0, 0]), "wrist": (5, [0, 0, 0]),
        "palm": (5, [0.08, -0.04, 0]), "knuckle": (6, [0, 0, 0]), "joint": (7, [0, 0, 0]), "tip": (7, [0.04, 0, 0]),
    }  # fmt: skip
    T_site = np.tile(geometry.IDENTITY_POSE, (len(sites), 1))
    T_site[:, 4:] = [p for _, p in sites.values()]
    return Tree(
        joint_names=("yaw", "pitch", "roll", "elbow", "wrist roll", "wrist yaw", "knuckle", "joint"),
        kind=(("ball" if ball else "hinge"),) * 3 + ("hinge",) * 5,
        parent=np.arange(8) - 1,
        T_parent_zero=T,
        axis=np.array(axis, dtype=float),
        lower=np.array([-1.5, -1.5, -1.5, -2.4, -1.0, -1.0, -0.2, -0.2]),
        upper=np.array([1.5, 1.5, 1.5, 0.1, 1.0, 1.0, 1.5, 1.5]),
        mimic_source=np.full(8, -1),
        mimic_ratio=np.ones(8),
        mimic_offset=np.zeros(8),
        site_names=tuple(sites),
        site_joint=np.array([joint for joint, _ in sites.values()]),
        T_joint_site=T_site,
    )


BONES = (
    LengthParameter(name="upper arm", joints=("elbow",), sigma=0.3),
    LengthParameter(name="forearm", joints=("wrist roll",), sigma=0.3),
    LengthParameter(name="finger", joints=("joint",), sites=("tip",), sigma=0.3),
    OffsetParameter(name="palm", site="palm", sigma_m=0.05),
)
TRUTH = {"upper arm": 1.2, "forearm": 0.85, "finger": 1.1, "palm": np.array([0.02, -0.01, 0.03])}
CAMERAS = (camera([2.0, 0.5, 0.5]), camera([0.3, 2.0, 1.0], roll=0.5))


def limb_problem(frames, cameras, noise_px, seed=0, parameters=BONES, truth=TRUTH, ball=False, **more):
    """(tree, its true body, true motion, true base, problem) of a limb seen by cameras."""
    tree = limb(ball)
    body, q, base = with_parameters(tree, parameters, truth), motion(tree, frames, 3), moving_base(frames)
    focal = {"focal": "focal"} if "focal" in truth else {}
    terms = pixel_terms(body, q, base, cameras, tree.site_names, noise_px=noise_px, seed=seed, **focal)
    terms = (*terms, *more.pop("terms", ()))
    smooth = {"velocity_weight": np.full(8, 1e-4), "acceleration_weight": np.full(8, 1e-5)}
    asked = problem(tree, terms, frames, parameters=parameters, free_base=True, **{**smooth, **more})
    return tree, body, q, base, asked


def wrong_m(tree, body, q, base, asked, solution) -> np.ndarray:
    """How far all sites are from the truth (t s)."""
    found = with_parameters(tree, asked.parameters, solution.parameters)
    found = site_poses(found, solution.joint_pos, solution.T_world_base)
    return np.linalg.norm((found - site_poses(body, q, base))[..., 4:], axis=-1)


def off(solution, truth=TRUTH) -> dict:
    return {name: float(np.abs(solution.parameters[name] - value).max()) for name, value in truth.items()}


@pytest.mark.parametrize(
    ("cameras", "noise_px", "ball", "most", "most_m"),
    [
        (2, 0, False, 1e-4, 1e-4),
        (1, 0, False, 2e-3, 1e-3),
        (2, 1.0, False, 0.01, 0.004),
        (2, 0, True, 1e-4, 1e-4),
        (2, 1.0, True, 0.01, 0.004),
    ],
)
def test_recovers_bones_offset_and_motion(cameras, noise_px, ball, most, most_m):
    tree, body, q, base, asked = limb_problem(60, CAMERAS[:cameras], noise_px, ball=ball)
    solution = solve_clip(tree, asked, Start(joint_pos=np.zeros(8), T_world_base=base[0]))
    assert max(off(solution).values()) < most
    assert np.median(wrong_m(tree, body, q, base, asked, solution)) < most_m
    assert solution.converged.all()
    without = dataclasses.replace(asked, parameters=())
    fixed = solve_clip(tree, without, Start(joint_pos=np.zeros(8), T_world_base=base[0]))
    assert fixed.cost > 10 * solution.cost


def test_one_camera_needs_a_start_on_the_right_side_of_depth():
    """A finger that points away looks like one that points at the camera: from zero the ball ends in such a minimum."""
    tree, body, q, base, asked = limb_problem(60, CAMERAS[:1], 0.0, ball=True)
    near = tree.shortest(q + 0.05 * np.random.default_rng(0).normal(size=q.shape))
    solution = solve_clip(tree, asked, Start(joint_pos=near, T_world_base=base))
    assert max(off(solution).values()) < 2e-3
    assert np.median(wrong_m(tree, body, q, base, asked, solution)) < 1e-3


def test_the_order_of_magnitude_of_the_start_does_not_matter():
    tree, _, q, base, asked = limb_problem(40, CAMERAS, 1.0)
    ends = [
        solve_clip(tree, asked, start)
        for start in (Start(joint_pos=q, T_world_base=base), Start(joint_pos=np.full(8, 0.3), T_world_base=base[20]))
    ]
    assert ends[0].cost == pytest.approx(ends[1].cost, rel=1e-4)
    for name, value in ends[0].parameters.items():
        np.testing.assert_allclose(ends[1].parameters[name], value, atol=1e-3)


def test_recovers_scale_and_focal_length_where_a_known_length_pins_them():
    """One camera near the limb sees perspective, and one distance is measured in metres."""
    everywhere = limb()
    parameters = (
        LengthParameter(name="scale", joints=everywhere.joint_names, sites=everywhere.site_names, sigma=0.5),
        FocalParameter(name="focal", prior_px=500.0, sigma_px=200.0),
    )
    truth = {"scale": 1.25, "focal": 600.0}
    ruler = DistanceTerm(
        from_site="left hip", to_site="right hip", distance_m=np.full(80, 0.25), weight=np.full(80, 1 / 0.001**2)
    )
    near = (camera([1.2, -0.2, 0.5]),)
    tree, _, q, base, asked = limb_problem(80, near, 0.3, parameters=parameters, truth=truth, terms=(ruler,))
    solution = solve_clip(tree, asked, Start(joint_pos=q, T_world_base=base))
    assert solution.parameters["scale"] == pytest.approx(1.25, abs=0.01)
    assert solution.parameters["focal"] == pytest.approx(600.0, abs=6.0)


def test_factors_multiply_where_bones_are_shared():
    """A tight scale and loose bones: their product is what is seen, their priors share it out."""
    everywhere = limb()
    scale = LengthParameter(name="scale", joints=everywhere.joint_names, sites=everywhere.site_names, sigma=0.3)
    truth = {**TRUTH, "scale": 1.1}
    tree, _, q, base, asked = limb_problem(40, CAMERAS, 0.0, parameters=(*BONES, scale), truth=truth)
    solution = solve_clip(tree, asked, Start(joint_pos=q, T_world_base=base))
    assert max(off(solution, truth).values()) < 1e-3


def test_without_pixels_priors_hold_what_nothing_sees():
    tree, frames = arm(), 5
    parameters = everything()
    q = motion(tree, frames, 0)
    asked = problem(tree, targets(tree, q)[:1], frames, parameters=parameters)
    solution = solve_clip(tree, asked, Start(joint_pos=q))
    assert solution.parameters["focal"] == 580.0
    np.testing.assert_array_equal(solution.parameters["finger offset"], np.zeros(3))
    assert np.isfinite(solution.cost)


def test_speed_and_limits_hold_with_parameters():
    tree, frames = arm(), 30
    parameters = (LengthParameter(name="upper", joints=("j1", "j2", "j3"), sigma=0.3),)
    body, q = with_parameters(tree, parameters, {"upper": 1.2}), motion(tree, frames, 1, share=1.6)
    q = np.clip(q, *tree.bounds())
    terms = targets(body, q)
    speed = np.full(10, 1.5)
    solution = solve_clip(
        tree, problem(tree, terms, frames, parameters=parameters, max_speed=speed), Start(joint_pos=q)
    )
    assert (solution.joint_pos >= tree.lower).all()
    assert (solution.joint_pos <= tree.upper).all()
    assert (np.abs(np.diff(solution.joint_pos, axis=0)) * 30.0 <= speed).all()
    assert solution.parameters["upper"] == pytest.approx(1.2, abs=0.03)


def test_wrong_parameters_are_refused():
    tree = arm()
    with pytest.raises(ValueError, match="not positive"):
        LengthParameter(name="a", joints=("j1",), sigma=0.0)
    twice = (OffsetParameter(name="a", site="wrist", sigma_m=0.1), OffsetParameter(name="a", site="knob", sigma_m=0.1))
    with pytest.raises(ValueError, match="same name"):
        problem(tree, (), 3, parameters=twice)
    nowhere = problem(tree, (), 3, parameters=(LengthParameter(name="a", joints=("elbow",), sigma=0.1),))
    with pytest.raises(UnknownName, match="elbow"):
        solve_clip(tree, nowhere, Start(joint_pos=np.zeros(10)))
    cam = PinholeCamera(T_world_camera=geometry.IDENTITY_POSE, focal_px=FOCAL, center_px=CENTER)
    term = PixelTerm(site="wrist", uv_px=np.zeros((3, 2)), weight=np.ones(3), camera=cam, focal="zoom")
    with pytest.raises(UnknownName, match="zoom"):
        problem(tree, (term,), 3)
    with pytest.raises(UnknownName, match="a"):
        with_parameters(tree, twice[:1], {})
