"""Chunks on a grid of rows, and the loop that never waits for the policy."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.control import ChunkBuffer, ColumnLimits, ControlConfig, Controller
from vidpretrain.errors import InputError
from vidpretrain.types import ActionSpec, Group

JOINTS = Group(name="left_arm", names=("a", "b"), quantity="joint", representation="relative", unit="rad")
SPEC = ActionSpec(embodiment="toy", groups=(JOINTS,), rate_hz=10.0, horizon=4)


def chunk(value, rows=4):
    return np.full((rows, 2), value, np.float32) + np.arange(rows, dtype=np.float32)[:, None]


def test_newest_chunk_wins_and_rows_that_passed_are_dropped():
    buffer = ChunkBuffer(SPEC)
    assert buffer.at(0) is None
    assert buffer.add(0, chunk(0)) == 0
    assert buffer.at(2)[0] == 2
    assert buffer.add(1, chunk(10)) == 1  # row 1 has passed
    assert buffer.at(2)[0] == 11
    assert buffer.end == 5
    assert buffer.add(0, chunk(50)) == 4  # older than what is there
    assert buffer.at(3)[0] == 12
    assert buffer.at(5) is None
    assert buffer.add(0, chunk(90)) == 4
    assert buffer.at(5) is None


def test_ensemble_weighs_the_oldest_most():
    buffer = ChunkBuffer(SPEC, ControlConfig(blend="ensemble", decay=0.5))
    buffer.add(0, chunk(0))
    buffer.add(1, chunk(10))
    weight = np.exp(-0.5 * np.arange(2))
    assert buffer.at(1)[0] == pytest.approx((weight * [1, 10]).sum() / weight.sum())
    np.testing.assert_allclose(buffer.ahead(1)[:, 0], [(weight * pair).sum() / weight.sum() for pair in
                                                      ([1, 10], [2, 11], [3, 12])] + [13])  # fmt: skip


def test_ensemble_leaves_out_nan_and_returns_rotations():
    names = tuple(f"left_wrist_{part}" for part in ("x", "y", "z", "xx", "xy", "xz", "yx", "yy", "yz"))
    group = Group(name="left_wrist", names=names, quantity="wrist_pose", representation="relative", unit="pose9")
    spec = ActionSpec(embodiment="toy", groups=(group,), rate_hz=10.0, horizon=1)
    buffer = ChunkBuffer(spec, ControlConfig(blend="ensemble", decay=0.0))
    turns = [geometry.pose(geometry.quat_exp(np.array([0, 0, angle])), np.zeros(3)) for angle in (0.0, 1.0)]
    for turn in turns:
        buffer.add(0, geometry.pose9(turn)[None])
    mean = buffer.at(0)
    half = geometry.pose(geometry.quat_exp(np.array([0, 0, 0.5])), np.zeros(3))
    np.testing.assert_allclose(mean, geometry.pose9(half), atol=1e-6)
    buffer.add(0, np.full((1, 9), np.nan, np.float32))
    np.testing.assert_allclose(buffer.at(0), geometry.pose9(half), atol=1e-6)


def test_controller_asks_ahead_and_drops_late_rows():
    gate, asked = threading.Event(), []
    gate.set()

    def ask(observation):
        asked.append(observation["row"])
        assert gate.wait(10)
        return chunk(10.0 * observation["row"])

    with Controller(ask, SPEC, config=ControlConfig(ask_ahead=2)) as controller:
        targets = []
        for row in range(3):  # row 0 waits for the first answer; at row 2 two rows are left: asked again
            if row == 2:
                gate.clear()
            targets.append(controller.step({"row": row}, np.zeros(2))[0])
        assert targets == [0, 1, 2]
        for row in (3, 4, 5):  # the second answer hangs: the old chunk ends after row 3 and its last target is held
            targets.append(controller.step({"row": row}, np.zeros(2))[0])
        assert targets[3:] == [3, 3, 3]
        assert controller.held == 2
        late = controller._waiting[1]
        gate.set()
        late.result(10)
        assert controller.step({"row": 6}, np.zeros(2))[0] == 3  # it ended at row 6: nothing of it is executed
        assert controller.dropped == 4
        assert asked[:2] == [0, 2]


def test_controller_moves_within_limits_and_starts_at_the_state():
    limits = ColumnLimits(lower=np.full(2, -9.0), upper=np.full(2, 9.0), step=np.full(2, 0.5))
    with Controller(lambda _: chunk(8.0), SPEC, limits) as controller:
        targets = [controller.step({}, np.array([1.0, 2.0]))[0] for _ in range(3)]
    np.testing.assert_allclose(targets, [1.5, 2.0, 2.5])


def test_controller_says_what_went_wrong_and_resets():
    def ask(_):
        raise RuntimeError("the server is gone")

    with Controller(ask, SPEC) as controller, pytest.raises(RuntimeError, match="server is gone"):
        controller.step({}, np.zeros(2))
    with Controller(lambda _: np.zeros((4, 3)), SPEC) as controller, pytest.raises(InputError, match="does not fit"):
        controller.step({}, np.zeros(2))
    with Controller(lambda _: chunk(1.0), SPEC) as controller:
        assert controller.step({}, np.zeros(2))[0] == 1
        assert controller.step({}, np.zeros(2))[0] == 2
        controller.reset()
        assert controller.row == 0
        assert controller.step({}, np.zeros(2))[0] == 1
        with pytest.raises(InputError, match="state does not fit"):
            controller.step({}, np.zeros(3))
