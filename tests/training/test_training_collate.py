from __future__ import annotations

import numpy as np
import torch
from toy_cache import MODEL, arm, hand, spec, toy_cache

from vidpretrain.model.slots import SlotLayout
from vidpretrain.training import TrainConfig
from vidpretrain.training.collate import Draws, augment, collate
from vidpretrain.training.rows import open_rows

PLAIN = TrainConfig(batch_size=6, shift_px=0, colour_jitter=0, state_mask=0, history_mask=0, fov_mask=0)


def two_caches(tmp_path):
    one = open_rows(toy_cache(tmp_path / "one", spec("one", arm(), hand()), seed=1), history=MODEL.history)
    two = open_rows(
        toy_cache(tmp_path / "two", spec("two", hand("right_hand", 2), arm()), seed=2), history=MODEL.history
    )
    layout = SlotLayout.of([one.spec, two.spec])
    return [one, two], [one.fit(None), two.fit(None)], layout


def test_batch_holds_every_rows_own_values_in_its_slots(tmp_path):
    rows, paired, layout = two_caches(tmp_path)
    picked = [(0, np.array([3, 4])), (1, np.array([0, 7, 9, 11]))]
    draws = Draws.of(PLAIN, 0, 4, layout.width, 1)
    batch = collate(picked, rows, paired, [0, 1], layout, draws)
    assert batch["images"].dtype == torch.uint8
    assert batch["embodiment"].tolist() == [0, 0, 1, 1, 1, 1]
    assert layout.groups == (("left_arm", 2), ("left_hand", 1), ("right_hand", 2))
    assert batch["slot_mask"][0].tolist() == [1, 1, 1, 0, 0]
    assert batch["slot_mask"][2].tolist() == [1, 1, 0, 1, 1]
    np.testing.assert_array_equal(batch["images"][1], rows[0].cache.images[4])
    state, chunk = rows[1].state(np.array([7]))[0], rows[1].chunk(np.array([7]))[0]
    want_state, want_chunk = paired[1].forward(state, chunk)
    np.testing.assert_allclose(layout.gather(batch["state"][3].numpy(), rows[1].spec), want_state[0])
    np.testing.assert_allclose(layout.gather(batch["action"][3].numpy(), rows[1].spec), want_chunk[0])
    back = paired[1].inverse(state, layout.gather(batch["action"][3:4].numpy(), rows[1].spec))
    np.testing.assert_allclose(back, chunk, atol=1e-5)
    assert batch["weight"][3][:, 2].max() == 0  # left hand: not of this robot


def test_processes_share_one_batch(tmp_path):
    rows, paired, layout = two_caches(tmp_path)
    config = TrainConfig(batch_size=6, state_mask=0.5, history_mask=0.5)
    picked = [(0, np.array([3, 4])), (1, np.array([0, 7, 9, 11]))]
    draws = Draws.of(config, 5, 4, layout.width, 1)
    whole = collate(picked, rows, paired, [0, 1], layout, draws)
    parts = [collate(picked, rows, paired, [0, 1], layout, draws, (rank, 2)) for rank in range(2)]
    for name, value in whole.items():
        for rank in range(2):
            assert torch.equal(torch.nan_to_num(value[rank::2].float()), torch.nan_to_num(parts[rank][name].float()))


def test_draws_depend_on_seed_and_step_alone():
    first, second = Draws.of(PLAIN, 3, 4, 5, 1), Draws.of(PLAIN, 3, 4, 5, 1)
    assert np.array_equal(first.noise, second.noise)
    assert not np.array_equal(first.noise, Draws.of(PLAIN, 4, 4, 5, 1).noise)
    assert not np.array_equal(first.noise, Draws.of(PLAIN.replace(seed=1), 3, 4, 5, 1).noise)


def test_shift_moves_the_picture_and_repeats_its_border():
    image = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1).repeat(3, axis=3)
    before = image.copy()
    out = augment(image, np.array([[1, -2]]), np.ones((1, 3)), np.zeros((1, 1)))
    want = image[0][np.ix_([1, 2, 3, 4, 4], [0, 0, 0, 1, 2])]
    np.testing.assert_array_equal(out[0], want)
    np.testing.assert_array_equal(image, before)


def test_colours_are_scaled_and_clipped():
    image = np.full((1, 2, 2, 3), 100, np.uint8)
    out = augment(image, np.zeros((1, 2), int), np.array([[1.5, 1.0, 3.0]]), np.array([[-10.0]]))
    assert out[0, 0, 0].tolist() == [140, 90, 255]


def test_probabilities_mask_whole_tokens(tmp_path):
    rows, paired, layout = two_caches(tmp_path)
    config = PLAIN.replace(batch_size=64, state_mask=0.5, history_mask=0.25, fov_mask=0.5)
    draws = Draws.of(config, 0, 4, layout.width, 1)
    batch = collate([(0, np.arange(64))], rows, paired, [0, 1], layout, draws)
    known = batch["state_known"].any(dim=1).float().mean()
    assert 0.3 < float(known) < 0.7
    assert 0.55 < float(batch["history_known"].any(dim=(1, 2)).float().mean()) < 0.95
    assert 0.3 < float(torch.isnan(batch["fov"]).float().mean()) < 0.7
