"""The gap's measures on sides whose gap is known, and bridges that close the one they are meant for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidpretrain.gap import GapConfig, gap_table, measures
from vidpretrain.gap.bridges import cross, joint_speed
from vidpretrain.gap.side import Side, at_speed, shared_groups
from vidpretrain.types import Group

HORIZON = 8
CONFIG = GapConfig(horizon=HORIZON, bootstrap=20, transport_bootstrap=4, transport_rows=60, pixels=32, folds=3)
ARM = Group(name="left_arm", names=("a", "b", "c"), quantity="joint", representation="relative", unit="rad")


def side(seed, speed=1.0, size=1.0, grey=100, episodes=6, rows=30, fov=1.2):
    rng = np.random.default_rng(seed)
    count = episodes * rows
    velocity = size * speed * rng.normal(0, 0.02, (count, 1, 3))
    chunk = velocity * (np.arange(2 * HORIZON) + 1)[None, :, None]
    images = np.clip(rng.normal(grey, 12, (count, 32, 32, 3)), 0, 255).astype(np.uint8)
    return Side(
        name="made",
        images=images,
        chunks={"left_arm": chunk},
        groups={"left_arm": ARM},
        weight=np.full(count, 0.8),
        episode=np.repeat(np.arange(episodes), rows),
        fov_rad=np.full(count, fov),
        wrist_m={"left_wrist": rng.uniform(0, 0.3, (count, 3))},
        rate_hz=30.0,
        infeasible=np.repeat(np.arange(episodes) < 2, rows),
    )


def rows_of(table, measure, bridge="none"):
    return [row for row in table if row.measure == measure and row.bridge == bridge]


def test_sides_without_a_gap_have_none():
    table = gap_table(side(0), side(1), dataclasses.replace(CONFIG, bridges=()))
    for row in rows_of(table, "domain probe"):
        assert 0.35 < row.value < 0.65
        assert row.low <= row.value <= row.high
    (sinkhorn,) = rows_of(table, "Sinkhorn divergence")
    (mmd,) = rows_of(table, "MMD")
    assert sinkhorn.value < 1.15 * sinkhorn.floor  # sets of sixty rows are never quite the same
    assert mmd.value < 0.2
    (ratio,) = rows_of(table, "joint speed, ratio")
    assert ratio.value == pytest.approx(1.0, abs=0.15)


def test_speed_colour_and_feasibility_are_seen_and_their_bridges_close_them():
    human, robot = side(0, speed=2.0, grey=180), side(1)
    config = dataclasses.replace(CONFIG, bridges=("time", "feasible", "colour"))
    table = gap_table(human, robot, config)
    (before,) = rows_of(table, "joint speed, ratio")
    (after,) = rows_of(table, "joint speed, ratio", "time")
    assert before.value == pytest.approx(2.0, abs=0.3)
    assert after.value == pytest.approx(1.0, abs=0.02)
    (before,) = rows_of(table, "Sinkhorn divergence")
    (after,) = rows_of(table, "Sinkhorn divergence", "time")
    assert after.value < before.value
    assert before.floor < before.value
    pictures = {row.bridge: row.value for row in table if row.measure == "domain probe" and row.group == "pictures"}
    assert pictures["none"] > 0.95
    assert pictures["colour"] < 0.7
    followed = {row.bridge: row.value for row in table if row.measure == "rows the robot cannot follow"}
    assert followed["none"] == pytest.approx(1 / 3)
    assert followed["feasible"] == followed["all"] == 0.0


def test_slower_chunks_are_the_recorded_motion_at_half_the_time():
    made = side(0)
    slow = dataclasses.replace(made, speed=0.5)
    assert np.allclose(at_speed(slow, "left_arm", HORIZON), 0.5 * at_speed(made, "left_arm", HORIZON))
    fast = dataclasses.replace(made, speed=2.0)
    assert np.allclose(at_speed(fast, "left_arm", HORIZON), 2.0 * at_speed(made, "left_arm", HORIZON))
    assert joint_speed(slow, HORIZON) == pytest.approx(0.5 * joint_speed(made, HORIZON))


def test_scale_brings_each_column_to_the_robots_spread():
    human, robot = side(0, size=3.0), side(1)
    scaled = cross(human, robot, "scale", CONFIG)
    spread = [np.std(at_speed(one, "left_arm", HORIZON)[:, -1], axis=0) for one in (scaled, robot)]
    assert np.allclose(spread[0], spread[1], rtol=0.25)


def test_view_crops_to_the_robots_field_of_view_and_never_widens():
    human, robot = side(0, fov=1.6), side(1, fov=0.8)
    human = dataclasses.replace(human, images=np.zeros_like(human.images))
    human.images[:, 8:24, 8:24] = 255
    cropped = cross(human, robot, "view", CONFIG)
    assert np.allclose(cropped.fov_rad, 0.8)
    assert cropped.images.mean() > 2 * human.images.mean()
    assert np.array_equal(cross(robot, human, "view", CONFIG).images, robot.images)


def test_trust_draws_rows_by_their_weight():
    made = side(0)
    weight = np.where(np.arange(len(made)) % 2 == 0, 0.9, 0.1)
    drawn = cross(dataclasses.replace(made, weight=weight), side(1), "trust", CONFIG)
    assert len(drawn) == len(made)
    assert drawn.weight.mean() == pytest.approx(0.82, abs=0.02)


def test_distances_know_equal_sets_and_moved_sets():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(80, 4)), rng.normal(size=(80, 4))
    assert measures.sinkhorn_divergence(a, a, 0.05) == pytest.approx(0.0, abs=1e-3)
    assert measures.sinkhorn_divergence(a, a + 5.0, 0.05) == pytest.approx(5.0, rel=0.05)
    assert measures.mmd(a, b) < 0.1 < measures.mmd(a, b + 1.0)
    assert measures.overlap({1, 2, 3}, {2, 3, 4}) == pytest.approx(0.5)


def test_a_probe_asks_for_two_episodes_and_groups_are_shared_by_columns():
    a = np.zeros((4, 2))
    with pytest.raises(ValueError, match="two episodes"):
        measures.probe_hits(a, a, np.zeros(4, np.int64), np.array([0, 0, 1, 1]), 3, 0)
    human, robot = side(0), side(1)
    other = dataclasses.replace(ARM, names=("a", "b", "d"))
    assert shared_groups(human, robot) == ("left_arm",)
    assert shared_groups(human, dataclasses.replace(robot, groups={"left_arm": other})) == ()
    with pytest.raises(ValueError, match="pixels"):
        GapConfig(pixels=40)


def seen(seed, law, noise=0.1, episodes=8, rows=30):
    """A side whose wrists' ways follow from where a spot is in its pictures, by `law`."""
    rng = np.random.default_rng(seed)
    count = episodes * rows
    spot = rng.uniform(0.2, 0.8, (count, 2))
    images = np.full((count, 32, 32, 3), 40, dtype=np.uint8)
    for image, (x, y) in zip(images, spot, strict=True):
        image[int(32 * y) - 3 : int(32 * y) + 3, int(32 * x) - 3 : int(32 * x) + 3] = 220
    end = (spot - 0.5) @ np.asarray(law) + noise * rng.normal(0, 0.1, (count, 2))
    nine = np.tile([0, 0, 0, 1.0, 0, 0, 0, 1.0, 0], (count, 2 * HORIZON, 1))
    nine[..., :2] = end[:, None] * ((np.arange(2 * HORIZON) + 1) / HORIZON)[None, :, None]
    names = tuple(f"left_wrist_camera_{k}" for k in range(9))
    group = Group(name="left_wrist_camera", names=names, quantity="camera_wrist", representation="offset", unit="pose9")
    made = side(seed, episodes=episodes, rows=rows)
    return dataclasses.replace(
        made,
        images=images,
        chunks={group.name: nine},
        groups={group.name: group},
        wrist_m={group.name: np.zeros((count, 3))},
    )


def test_labels_that_belong_to_their_pictures_explain_the_robots():
    human, robot = seen(0, np.eye(2)), seen(1, np.eye(2))
    config = dataclasses.replace(CONFIG, bridges=())
    order = np.random.default_rng(2).permutation(len(human))
    shuffled = dataclasses.replace(human, chunks={k: v[order] for k, v in human.chunks.items()})
    other = seen(0, [[0, 1.0], [-1.0, 0]])
    left = {}
    for name, one in (("own", human), ("shuffled", shuffled), ("other", other)):
        (row,) = rows_of(gap_table(one, robot, config), "unexplained by the other's labels")
        left[name] = row.value
        assert row.floor < 0.4
        assert row.low <= row.value <= row.high
    assert left["own"] < 0.4
    assert left["shuffled"] > 0.8
    assert left["other"] > 1.2


def test_wrists_have_a_speed_where_there_are_no_joints():
    human, robot = seen(0, 2.0 * np.eye(2)), seen(1, np.eye(2))
    table = gap_table(human, robot, dataclasses.replace(CONFIG, bridges=()))
    (ratio,) = rows_of(table, "wrist speed, ratio")
    assert ratio.value == pytest.approx(2.0, abs=0.3)
    assert cross(human, robot, "time", CONFIG).speed == pytest.approx(0.5, abs=0.1)


def test_a_picture_has_a_strip_per_state():
    from vidpretrain.gap.picture import before_after

    config = dataclasses.replace(CONFIG, bridges=("time", "colour"))
    drawn = before_after(side(0, grey=180), side(1), config)
    assert drawn.shape[0] % 5 == 0  # as it is, two bridges, all, the robot
    strips = drawn.reshape(5, drawn.shape[0] // 5, drawn.shape[1], 3)[:, 10:90, 130:200].mean(axis=(1, 2, 3))
    assert strips[0] == pytest.approx(strips[1], abs=1)
    assert strips[0] - strips[4] > 40
    assert abs(strips[2] - strips[4]) < 15
    assert abs(strips[3] - strips[4]) < 15
