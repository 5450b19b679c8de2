"""Torque, ground reaction, balance, feet and collisions against cases whose answer is known on paper."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.feasibility import support
from vidpretrain.feasibility.body import build
from vidpretrain.feasibility.collision import self_collision
from vidpretrain.feasibility.dynamics import differences, inverse_dynamics

G = 9.81

# A point mass of 2 kg, 0.5 m from a hinge about y, on a heavy base.
PENDULUM = """
<mujoco><option gravity="0 0 -9.81"/><compiler inertiafromgeom="false"/><worldbody>
  <body name="base" pos="0 0 1"><freejoint/><inertial pos="0 0 0" mass="10" diaginertia=".1 .1 .1"/>
    <body name="arm"><joint name="hinge" axis="0 1 0"/>
      <inertial pos="0.5 0 0" mass="2" diaginertia="1e-9 1e-9 1e-9"/></body></body>
</worldbody></mujoco>"""

# A foot plate of 0.2 x 0.1 m, an ankle 0.1 m above its sole, and a mass of 20 kg at 0.5 m above the ankle.
STANDER = """
<mujoco><option gravity="0 0 -9.81"/><compiler inertiafromgeom="false"/><worldbody>
  <body name="top" pos="0 0 0.6"><freejoint/><inertial pos="0 0 0" mass="20" diaginertia=".1 .1 .1"/>
    <body name="foot" pos="0 0 -0.5"><joint name="ankle" axis="0 1 0"/>
      <inertial pos="0 0 0" mass="1e-6" diaginertia="1e-9 1e-9 1e-9"/>
      <geom name="plate" type="box" size="0.1 0.05 0.01" pos="0 0 -0.09"/>
      <site name="sole" pos="0 0 -0.1"/></body></body>
</worldbody></mujoco>"""

# Two spheres of 5 cm and 3 cm radius, three links apart, that a slide moves together; at home they are 0.5 m apart.
SPHERES = """
<mujoco><compiler inertiafromgeom="false"/><worldbody>
  <body name="base"><freejoint/><inertial pos="0 0 0" mass="1" diaginertia=".1 .1 .1"/>
    <geom type="sphere" size="0.05"/>
    <body name="a" pos="0 0 0.4"><joint name="ja" axis="1 0 0"/><inertial pos="0 0 0" mass="1" diaginertia=".1 .1 .1"/>
      <body name="b"><joint name="jb" axis="1 0 0"/><inertial pos="0 0 0" mass="1" diaginertia=".1 .1 .1"/>
        <body name="c" pos="0.5 0 0"><joint name="slide" type="slide" axis="-1 0 -0.8"/>
          <inertial pos="0 0 0" mass="1" diaginertia=".1 .1 .1"/>
          <geom type="sphere" size="0.03"/><site name="wrist"/></body></body></body></body>
</worldbody></mujoco>"""


def made(xml: str, joints: tuple[str, ...], height: float, feet=None, wrists=()):
    base = np.array([[1.0, 0, 0, 0, 0, 0, height]])
    return build(
        mujoco.MjSpec.from_string(xml), joints, base, np.zeros((1, len(joints))), list(wrists), feet or {}, 0.002
    )


def still(frames: int, height: float):
    return np.tile([1.0, 0, 0, 0, 0, 0, height], (frames, 1))


def test_damping_of_a_model_is_its_servo_and_no_load():
    body = made(PENDULUM.replace('name="hinge"', 'name="hinge" damping="200"'), ("hinge",), 1.0)
    angle = 0.7 * np.sin(np.arange(60) / 30.0)
    plain = made(PENDULUM, ("hinge",), 1.0)
    found, expected = (
        inverse_dynamics(b, b.positions(still(60, 1.0), angle[:, None]), 30.0, None, 0.8).torque_Nm
        for b in (body, plain)
    )
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, 0.6, -1.2])
def test_a_pendulum_that_is_held_needs_its_weight_times_its_lever(angle):
    body = made(PENDULUM, ("hinge",), 1.0)
    qpos = body.positions(still(5, 1.0), np.full((5, 1), angle))
    found = inverse_dynamics(body, qpos, 30.0, None, 0.8)
    # a positive turn about y lowers the mass: the hinge must push the other way
    np.testing.assert_allclose(found.torque_Nm[:, 0], -2 * G * 0.5 * np.cos(angle), rtol=1e-6)
    assert np.isnan(found.unsupported_share).all()


def test_a_pendulum_that_swings_needs_its_inertia_too():
    body, rate, omega, size = made(PENDULUM, ("hinge",), 1.0), 240.0, 3.0, 0.7
    time = np.arange(240) / rate
    angle = size * np.sin(omega * time)
    qpos = body.positions(still(240, 1.0), angle[:, None])
    found = inverse_dynamics(body, qpos, rate, None, 0.8).torque_Nm[:, 0]
    expected = 2 * 0.5**2 * -size * omega**2 * np.sin(omega * time) - 2 * G * 0.5 * np.cos(angle)
    np.testing.assert_allclose(found[2:-2], expected[2:-2], atol=2e-3)


def test_differences_of_a_turning_base_are_its_rate():
    body = made(PENDULUM, ("hinge",), 1.0)
    turn = geometry.quat_exp(np.arange(20)[:, None] / 30.0 * np.array([0, 0, 2.0]))
    base = geometry.pose(turn, np.arange(20)[:, None] / 30.0 * np.array([0.3, 0, 0]))
    velocity, acceleration = differences(body, body.positions(base, np.zeros((20, 1))), 30.0)
    np.testing.assert_allclose(velocity, np.tile([0.3, 0, 0, 0, 0, 2.0, 0], (20, 1)), atol=1e-9)
    np.testing.assert_allclose(acceleration, 0, atol=1e-6)


def stander(lean: float, frames: int = 6, up: float = 0.0, forward=0.0):
    """Frames of the stander leaning forwards by `lean` about its ankle, the foot flat."""
    body = made(STANDER, ("ankle",), 0.6, {"left": "sole"})
    top = np.array([0.5 * np.sin(lean), 0, 0.1 + 0.5 * np.cos(lean) + up])
    move = np.arange(frames)[:, None] * np.array([1.0, 0, 0]) * forward
    base = geometry.pose(np.tile(geometry.quat_exp(np.array([0, lean, 0])), (frames, 1)), top + move)
    qpos = body.positions(base, np.full((frames, 1), -lean))
    return body, qpos, support.find_ground(body, qpos, 0.02)


def test_the_sole_is_found_where_it_is():
    body, _, _ = stander(0.0)
    corners = body.soles["left"].p_body_corner
    np.testing.assert_allclose(np.abs(corners), np.tile([0.1, 0.05, 0.1], (4, 1)), atol=1e-6)


@pytest.mark.parametrize("lean", [0.0, 0.1, -0.15])
def test_an_ankle_holds_what_stands_on_it(lean):
    body, qpos, ground = stander(lean)
    found = inverse_dynamics(body, qpos, 30.0, ground, 0.8)
    # moment of the mass about the ankle; the joint turns the foot against the body
    np.testing.assert_allclose(found.torque_Nm[:, 0], 20 * G * 0.5 * np.sin(lean), atol=1.0)
    assert found.unsupported_share.max() < 0.02


@pytest.mark.parametrize(("lean", "inside"), [(0.0, 0.05), (0.15, 0.1 - 0.5 * np.sin(0.15)), (0.5, None)])
def test_balance_is_the_mass_over_the_sole(lean, inside):
    body, qpos, ground = stander(lean)
    expected = 0.1 - 0.5 * np.sin(lean) if inside is None else inside
    np.testing.assert_allclose(support.balance_m(ground), expected, atol=1e-4)
    found = inverse_dynamics(body, qpos, 30.0, ground, 0.8)
    assert (found.unsupported_share > 0.2).all() == (lean == 0.5)  # it would fall over


def test_in_the_air_nothing_carries_but_falling_needs_nothing():
    body, qpos, ground = stander(0.0, up=0.5)
    assert np.isnan(support.balance_m(ground)).all()
    hover = inverse_dynamics(body, qpos, 30.0, ground, 0.8)
    np.testing.assert_allclose(hover.unsupported_share, 1.0, rtol=1e-5)
    falling = qpos.copy()
    falling[:, 2] += 1.0 - 0.5 * G * (np.arange(6) / 30.0) ** 2
    ground = support.find_ground(body, falling, 0.02)
    np.testing.assert_allclose(inverse_dynamics(body, falling, 30.0, ground, 0.8).unsupported_share, 0.0, atol=1e-5)


def test_a_start_too_quick_for_the_friction_is_not_supported():
    body, qpos, _ = stander(0.0)
    pushed = qpos.copy()
    pushed[:, 0] += 0.5 * 2.0 * (np.arange(6) / 30.0) ** 2  # 2 m/s2, mu is then to be at least 0.2
    ground = support.find_ground(body, pushed, 0.02)
    grip = inverse_dynamics(body, pushed, 30.0, ground, 0.8)
    ice = inverse_dynamics(body, pushed, 30.0, ground, 0.05)
    assert ice.unsupported_share.min() > grip.unsupported_share.max() + 0.1


def test_a_foot_that_slides_and_sinks():
    _, _, ground = stander(0.0, forward=0.01)  # 1 cm a frame
    np.testing.assert_allclose(support.slide_m_s(ground, 30.0)[1:, 0], 0.3, rtol=1e-6)
    np.testing.assert_allclose(support.penetration_m(ground), 0.0, atol=1e-9)
    _, _, ground = stander(0.0, up=-0.015)
    np.testing.assert_allclose(support.penetration_m(ground), 0.015, atol=1e-9)
    np.testing.assert_allclose(support.slide_m_s(ground, 30.0)[1:, 0], 0.0, atol=1e-9)
    _, _, ground = stander(0.0, up=0.05, forward=0.01)
    assert np.isnan(support.slide_m_s(ground, 30.0)).all()
    np.testing.assert_allclose(support.penetration_m(ground), 0.0)


SQUARE = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2], [1, 1]])


@pytest.mark.parametrize(
    ("point", "expected"),
    [((1, 1), 1.0), ((0.25, 1), 0.25), ((3, 1), -1.0), ((3, 3), -np.sqrt(2)), ((2, 1), 0.0)],
)
def test_distance_to_the_edge_of_a_square(point, expected):
    assert support.inside_m(np.array(point, dtype=float), SQUARE) == pytest.approx(expected, abs=1e-12)


def test_distance_to_a_line_and_a_point_is_never_inside():
    assert support.inside_m(np.array([0.5, 0.3]), np.array([[0.0, 0], [1, 0]])) == pytest.approx(-0.3)
    assert support.inside_m(np.array([3.0, 4.0]), np.array([[0.0, 0], [0, 0]])) == pytest.approx(-5.0)


def test_spheres_collide_by_their_radii_less_their_distance():
    body = made(SPHERES, ("ja", "jb", "slide"), 0.0)
    length = np.hypot(0.5, 0.4)
    way = length - np.array([0.3, 0.09, 0.07, 0.05])  # so far apart are their centres
    joints = np.stack([0 * way, 0 * way, way], axis=1)
    found = self_collision(body, body.positions(still(4, 0.0), joints))
    np.testing.assert_allclose(found.body_m, [0.0, 0.0, 0.01, 0.03], atol=1e-6)
    assert found.bodies == ["", "", "base and c", "base and c"]
    assert (found.finger_m == 0).all()


def test_bodies_that_touch_at_home_may_touch():
    spec = SPHERES.replace('size="0.05"', 'size="0.65"')
    body = made(spec, ("ja", "jb", "slide"), 0.0)
    found = self_collision(body, body.positions(still(2, 0.0), np.array([[0.0, 0, 0], [0, 0, 0.3]])))
    assert (found.body_m == 0).all()


def test_contacts_inside_one_hand_are_told_apart():
    spec = SPHERES.replace('<site name="wrist"/>', "").replace(
        '<geom type="sphere" size="0.05"/>', '<geom type="sphere" size="0.05"/><site name="wrist"/>'
    )
    body = made(spec, ("ja", "jb", "slide"), 0.0, wrists=["wrist"])
    found = self_collision(body, body.positions(still(1, 0.0), np.array([[0.0, 0, np.hypot(0.5, 0.4) - 0.05]])))
    np.testing.assert_allclose(found.finger_m, 0.03, atol=1e-6)
    assert (found.body_m == 0).all()
    assert found.fingers == ["base and c"]


def test_a_hand_without_collision_shapes_collides_by_what_is_seen():
    spec = SPHERES.replace(
        '<geom type="sphere" size="0.03"/>', '<geom type="sphere" size="0.03" contype="0" conaffinity="0"/>'
    )
    joints = np.array([[0.0, 0, np.hypot(0.5, 0.4) - 0.05]])
    seen, bare = made(spec, ("ja", "jb", "slide"), 0.0, wrists=["wrist"]), made(spec, ("ja", "jb", "slide"), 0.0)
    assert self_collision(seen, seen.positions(still(1, 0.0), joints)).body_m[0] == pytest.approx(0.03, abs=1e-6)
    assert self_collision(bare, bare.positions(still(1, 0.0), joints)).body_m[0] == 0.0
