"""Two tasks with the same pictures: what is done depends on the words alone."""

from __future__ import annotations

import numpy as np
import pytest
from toy_cache import MODEL, spec, toy_cache

from vidpretrain.dataset.files import write_json
from vidpretrain.training import Policy, TrainConfig, pretrain
from vidpretrain.training.chunk_error import ErrorSum, mean
from vidpretrain.training.rows import open_rows
from vidpretrain.training.validate import batches

TASKS = ("pick up the can", "open the drawer")


@pytest.mark.parametrize("head", ["flow", "regression"])
def test_another_instruction_gives_another_action_and_a_wrong_one_a_larger_error(tmp_path, head):
    """Even episodes go up by .4, odd ones down, whatever the picture shows; errors are on episodes not trained on."""
    cache = toy_cache(tmp_path / "cache", spec("toy", horizon=1), episodes=8, length=24)
    way = np.where(np.asarray(cache.episode) % 2 == 0, 0.4, -0.4)[:, None]
    np.save(cache.path / "action.npy", (np.asarray(cache.state) + way).astype(np.float32))
    meta = {**cache.meta, "episodes": [{**e, "instruction": TASKS[k % 2]} for k, e in enumerate(cache.episodes)]}
    write_json(cache.path / "meta.json", meta)
    config = TrainConfig(
        steps=80,
        batch_size=16,
        draws=2,
        warmup=5,
        lr=3e-3,
        ema=0.9,
        tensorboard=False,
        shift_px=0,
        representation={},
        val_episodes=(6, 7),
    )
    pretrain(MODEL.replace(text="hash", text_width=32, head=head), config, [cache.path], tmp_path / "run")
    policy = Policy.load(tmp_path / "run")
    rows = open_rows(cache.path, history=policy.history, episodes=(6, 7))
    errors, chunks = [], []
    for swapped in (0, 1):
        total = ErrorSum.zero(1, 1, 3)
        for _, sample in batches(rows, 64):
            told = [TASKS[(int(k) + swapped) % 2] for k in sample.instruction]
            assert rows.instructions == list(TASKS)
            chunks.append(policy.predict(sample.images, sample.state, "toy", instructions=told, fov=sample.fov))
            total.add(np.zeros(len(told), np.int64), chunks[-1], sample.action, sample.weight > 0)
        errors.append(float(mean(total.columns()[:2])))
    right, wrong = errors
    assert np.abs(chunks[0][:, 0, :2] - chunks[1][:, 0, :2]).mean() > 0.4
    assert right < 0.15
    assert wrong > 3 * right
