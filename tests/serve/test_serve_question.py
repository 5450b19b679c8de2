"""Messages read into questions."""

from __future__ import annotations

import numpy as np
import pytest
from toy_server import SPEC

from vidpretrain.control import ControlConfig
from vidpretrain.errors import InputError
from vidpretrain.serve.question import read_question
from vidpretrain.serve.session import Body, Session

IMAGE = np.zeros((48, 64, 3), np.uint8)
GOOD = {"image": IMAGE, "state": np.array([0.1, 0.2])}


def read(message, default="toy"):
    return read_question(message, {"toy": SPEC}, default, 512)


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        {"observation/image": IMAGE, "observation/state": [0.1, 0.2]},
        {"observation.images.head": IMAGE, "observation.state": (0.1, 0.2)},
        {"images": {"head": IMAGE}, "state": np.array([0.1, 0.2], np.float64)},
    ],
)
def test_the_names_that_robots_use(message):
    question = read(message)
    np.testing.assert_allclose(question.state, [0.1, 0.2], rtol=1e-6)
    assert question.state.dtype == np.float32
    assert question.image.shape == IMAGE.shape


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": None}, "'image' is no array"),
        ({"image": IMAGE.astype(np.float32)}, "another type"),
        ({"image": IMAGE.transpose(2, 0, 1)}, "channels first"),
        ({"image": IMAGE[..., 0]}, "another shape"),
        ({"image": np.zeros((600, 64, 3), np.uint8)}, "another shape"),
        ({"image": np.zeros((4, 4, 3), np.uint8)}, "another shape"),
        ({"images": {"head": IMAGE, "wrist": IMAGE}}, "one camera"),
        ({"state": "left"}, "'state' is not a vector"),
        ({"state": np.zeros((1, 2))}, "'state' is not a vector"),
        ({"state": np.array([np.inf, 0])}, "infinite"),
        ({"embodiment": "toi"}, "unknown embodiment 'toi' .did you mean 'toy'"),
        ({"embodiment": 3}, "'embodiment' is not text"),
        ({"prompt": 3}, "'prompt' is not text"),
        ({"step": -1}, "'step' is not a whole number"),
        ({"step": 1.5}, "'step' is not a whole number"),
        ({"fov_rad": "wide"}, "'fov_rad' is not a number"),
        ({"history": np.zeros(2)}, "'history' is not rows"),
        ({3: 1}, "keys are text"),
    ],
)
def test_what_does_not_fit_is_named(change, words):
    with pytest.raises(InputError, match=words):
        read({**GOOD, **change})


def test_missing_keys_are_named():
    with pytest.raises(InputError, match=r"no 'state'.*'stat' is not it"):
        read({"image": IMAGE, "stat": [0, 0]})
    with pytest.raises(InputError, match="no 'image'"):
        read({"state": [0, 0]})
    with pytest.raises(InputError, match="a message is a map"):
        read([1, 2])
    with pytest.raises(InputError, match="names no embodiment"):
        read(GOOD, default=None)


def test_history_is_what_earlier_steps_said():
    session = Session(Body(SPEC, ControlConfig()), (-1, -3), ControlConfig())

    def ask(step, value, **more):
        return session.complete(read({"image": IMAGE, "state": [value, value], "step": step, **more}))

    assert np.isnan(ask(0, 10.0).history).all()
    np.testing.assert_array_equal(ask(1, 11.0).history[:, 0], [10.0, np.nan])
    assert np.isnan(ask(3, 13.0).history[0, 0])  # step 2 was never said
    assert ask(4, 14.0).history[:, 0].tolist() == [13.0, 11.0]
    with pytest.raises(InputError, match="'step' goes back"):
        ask(2, 0.0)
    assert np.isnan(ask(0, 1.0, reset=True).history).all()
    given = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(ask(1, 2.0, history=given).history, given)
    with pytest.raises(InputError, match="'history' does not fit"):
        ask(2, 2.0, history=given[:1])
    alone = Session(Body(SPEC, ControlConfig()), (-1, -3), ControlConfig())
    assert np.isnan(alone.complete(read(GOOD)).history).all()


def test_a_robots_motors_are_enough():
    from vidpretrain.actions import ActionConfig, robot_groups, spec_for, with_wrists
    from vidpretrain.robot import load_robot

    robot = load_robot("g1_inspire")
    spec = spec_for(robot, ActionConfig(wrist_poses=True))
    own = sum(group.width for group in robot_groups(spec))
    body = Body(spec, ControlConfig())
    values = np.full(own, 0.1, np.float32)
    full = body.state(values)
    slices = spec.slices()
    np.testing.assert_allclose(full[slices["left_wrist"]], with_wrists(values, robot, spec)[slices["left_wrist"]])
    with pytest.raises(InputError, match="'state' does not fit g1_inspire"):
        body.state(values[1:])
    chunk = np.full((4, spec.width), 9.0, np.float32)
    answer = Session(body, (), ControlConfig()).finish(
        read_question({"image": IMAGE, "state": full}, {"g1_inspire": spec}, "g1_inspire", 512), chunk
    )
    assert (answer["actions"] <= body.limits.upper + 1e-6).all()
