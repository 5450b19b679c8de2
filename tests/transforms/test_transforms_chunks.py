"""Relative chunks and the normaliser: round trips, known answers, exact quantiles."""

import json

import numpy as np
import pytest

from vidpretrain import geometry
from vidpretrain.transforms import (
    Normalizer,
    Paired,
    absolute_chunk,
    relative_chunk,
    spec_from_dict,
    spec_to_dict,
)
from vidpretrain.types import ActionSpec, Group

SPEC = ActionSpec(
    embodiment="test",
    groups=(
        Group(name="arm", names=("a0", "a1"), quantity="joint", representation="relative", unit="rad"),
        Group(name="hand", names=("h0",), quantity="hand", representation="absolute", unit="fraction"),
        Group(
            name="wrist",
            names=tuple(f"w{i}" for i in range(9)),
            quantity="wrist_pose",
            representation="relative",
            unit="pose9",
        ),
    ),
    rate_hz=30.0,
    horizon=4,
)


def sample(count: int, horizon: int = 4, seed: int = 0):
    rng = np.random.default_rng(seed)

    def rows(*lead):
        T = geometry.pose(geometry.quat_exp(rng.normal(size=(*lead, 3))), rng.normal(size=(*lead, 3)))
        return np.concatenate([rng.normal(size=(*lead, 3)), geometry.pose9(T)], axis=-1)

    return rows(count), rows(count, horizon)


def test_relative_and_absolute_are_inverse_and_leave_inputs_alone():
    state, action = sample(50)
    state_before, action_before = state.copy(), action.copy()
    back = absolute_chunk(state, relative_chunk(state, action, SPEC), SPEC)
    np.testing.assert_allclose(back, action, atol=1e-12)
    np.testing.assert_array_equal(state, state_before)
    np.testing.assert_array_equal(action, action_before)


def test_each_group_follows_its_representation():
    state, action = sample(7)
    relative = relative_chunk(state, action, SPEC)
    np.testing.assert_allclose(relative[..., :2], action[..., :2] - state[:, None, :2])
    np.testing.assert_array_equal(relative[..., 2], action[..., 2])
    start, then = geometry.pose_from_pose9(state[:, None, 3:]), geometry.pose_from_pose9(action[..., 3:])
    want = geometry.pose9(geometry.compose(geometry.inverse(start), then))
    np.testing.assert_allclose(relative[..., 3:], want, atol=1e-12)


def test_staying_where_one_is_is_the_identity():
    state, _ = sample(3)
    relative = relative_chunk(state, np.repeat(state[:, None], 4, axis=1), SPEC)
    np.testing.assert_allclose(relative[..., 3:], np.broadcast_to([0, 0, 0, 1, 0, 0, 0, 1, 0], (3, 4, 9)), atol=1e-12)


def test_float32_and_holes_survive():
    state, action = (x.astype(np.float32) for x in sample(20))
    action[3, 1, 0] = np.nan
    action[4, 2, 3:] = np.nan
    relative = relative_chunk(state, action, SPEC)
    assert relative.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(relative), np.isnan(action))
    np.testing.assert_allclose(absolute_chunk(state, relative, SPEC), action, atol=2e-6)


def test_a_single_sample_needs_no_batch_axis():
    state, action = sample(1)
    np.testing.assert_array_equal(relative_chunk(state[0], action[0], SPEC), relative_chunk(state, action, SPEC)[0])


def test_a_wrong_width_is_an_error():
    state, action = sample(2)
    with pytest.raises(ValueError, match="12 columns"):
        relative_chunk(state[:, :5], action, SPEC)


def test_quantiles_are_exact_under_masks():
    state, action = sample(500)
    valid = np.random.default_rng(1).random(action.shape) < 0.7
    valid[..., 0] = False
    paired = Paired.fit(SPEC, state, action, None, valid)
    relative = relative_chunk(state, action, SPEC)
    for column in range(1, SPEC.width):
        kept = relative[..., column][valid[..., column]]
        assert paired.normalizer.action_q01[column] == np.quantile(kept, 0.01)
        assert paired.normalizer.action_q99[column] == np.quantile(kept, 0.99)
    assert (paired.normalizer.action_q01[0], paired.normalizer.action_q99[0]) == (-1, 1)  # never seen: passes as it is


def test_an_invalid_start_hides_relative_values_but_not_absolute_ones():
    state, action = sample(20)
    state[0] += 1000
    action[0, :, 2] = 77.0
    state_valid = np.ones(state.shape, dtype=bool)
    state_valid[0] = False
    fitted = Paired.fit(SPEC, state, action, state_valid).normalizer
    assert np.abs(fitted.action_q01[:2]).max() < 10
    assert fitted.action_q99[2] > 5  # the hand is absolute: its value counts although the state is hidden


def test_forward_and_inverse_round_trip_through_json():
    state, action = sample(400)
    paired = Paired.from_dict(json.loads(json.dumps(Paired.fit(SPEC, state, action, clip=None).to_dict())))
    state_seen, chunk = paired.forward(state, action)
    np.testing.assert_allclose(paired.inverse(state, chunk), action, atol=1e-11)
    np.testing.assert_allclose(paired.normalizer.unnormalize_state(state_seen), state, atol=1e-12)
    assert spec_from_dict(json.loads(json.dumps(spec_to_dict(SPEC)))) == SPEC


def test_forward_is_clipped_and_the_inverse_exact_inside():
    state, action = sample(400)
    paired = Paired.fit(SPEC, state, action)
    action[0, 0, 0] = 1e6
    _, chunk = paired.forward(state, action)
    assert np.abs(chunk).max() == 1.5
    inside = (np.abs(chunk) < 1.5).all(axis=-1)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(paired.inverse(state, chunk)[inside], action[inside], atol=1e-11)


def test_idle_columns_are_not_blown_up():
    state = np.full((100, 1), 0.3) + np.random.default_rng(0).normal(scale=1e-5, size=(100, 1))
    fitted = Normalizer.fit(("x",), state, state)
    seen = fitted.normalize_state(state)
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() < 0.1
    np.testing.assert_allclose(fitted.unnormalize_state(seen), state, atol=1e-12)


def test_a_normalizer_of_other_columns_is_refused():
    state, action = sample(10)
    fitted = Normalizer.fit(tuple("abcdefghijkl"), state, action)
    with pytest.raises(ValueError, match="other columns"):
        Paired(spec=SPEC, normalizer=fitted)


def test_the_base_moves_in_its_own_frame_like_a_wrist():
    """Wherever the robot stands and looks, the same step is the same chunk, and comes back."""
    names = tuple(f"b{i}" for i in range(9))
    base = Group(name="base", names=names, quantity="base", representation="relative", unit="pose9")
    spec = ActionSpec(embodiment="test", groups=(base,), rate_hz=30.0, horizon=4)
    rng = np.random.default_rng(4)
    T_start_then = geometry.pose(geometry.quat_exp(rng.normal(size=(4, 3))), rng.normal(size=(4, 3)))
    chunks = []
    for _ in range(2):
        T_world_start = geometry.pose(geometry.quat_exp(rng.normal(size=3)), rng.normal(size=3))
        state, action = geometry.pose9(T_world_start), geometry.pose9(geometry.compose(T_world_start, T_start_then))
        chunks.append(relative_chunk(state, action, spec))
        np.testing.assert_allclose(absolute_chunk(state, chunks[-1], spec), action, atol=1e-12)
    np.testing.assert_allclose(chunks[0], chunks[1], atol=1e-12)
    np.testing.assert_allclose(chunks[0], geometry.pose9(T_start_then), atol=1e-12)
