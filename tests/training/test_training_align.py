"""Features of people and robots, brought together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_cache import MODEL, arm, hand, spec, toy_cache

from vidpretrain.errors import ConfigError
from vidpretrain.model.alignment import alignment
from vidpretrain.training import TrainConfig, pretrain
from vidpretrain.training.policy import load_model
from vidpretrain.training.rows import open_rows

FAST = TrainConfig(steps=60, batch_size=16, draws=1, warmup=5, tensorboard=False, lr=2e-3, mixture=(1.0, 1.0), ema=0.0)


def _sides(shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(40, 6, generator=generator, dtype=torch.float64).float()
    people = torch.arange(40) < 20
    return rows + shift * people[:, None], people


def test_distance_is_zero_for_the_same_rows_and_grows_with_the_shift():
    rows = torch.randn(10, 4)
    assert abs(float(alignment(torch.cat([rows, rows]), torch.arange(20) < 10))) < 1e-5
    near, far, farther = (float(alignment(*_sides(shift))) for shift in (0.0, 1.0, 3.0))
    assert 0 <= near < far < farther
    lonely = alignment(rows.requires_grad_(), torch.arange(10) < 1)
    lonely.backward()
    assert float(lonely.detach()) == 0
    assert not rows.grad.any()


def test_distance_against_the_exact_transport():
    """With far clusters the entropy hardly counts: the transport's own cost, by its linear program."""
    from scipy.optimize import linear_sum_assignment

    rows, people = _sides(6.0)
    x, y = rows[people], rows[~people]
    cost = torch.cdist(x, y).square()
    spread = torch.cdist(rows, rows).square().mean()
    first, second = linear_sum_assignment(cost.numpy())
    exact = float(cost[first, second].mean() / spread)
    assert float(alignment(rows, people)) == pytest.approx(exact, rel=0.05)


def test_gradient_against_finite_differences():
    rows, people = _sides(1.0)
    rows = rows.double().requires_grad_()
    alignment(rows, people).backward()
    for i, k in ((3, 1), (25, 4)):
        moved = [rows.detach().clone() for _ in range(2)]
        moved[0][i, k] += 1e-3
        moved[1][i, k] -= 1e-3
        slope = (float(alignment(moved[0], people)) - float(alignment(moved[1], people))) / 2e-3
        assert float(rows.grad[i, k]) == pytest.approx(slope, rel=0.01)


def test_training_brings_the_sides_together_and_off_changes_nothing(tmp_path):
    human = toy_cache(tmp_path / "human", spec("human_toy", arm(), hand()))
    robot = toy_cache(tmp_path / "robot", spec("toy", arm(), arm("right_arm")), seed=1)
    apart = {}
    for align in (0.0, 1.0):
        run = tmp_path / f"a{align}"
        pretrain(MODEL, FAST.replace(align=align), [human.path, robot.path], run)
        model, tokens = load_model(run), []
        for number, cache in enumerate((human, robot)):
            rows = open_rows(cache, history=MODEL.history)
            sample, slots = rows.sample(np.arange(32)), model.config.layout().width
            tokens.append(
                model.trunk_tokens(
                    torch.from_numpy(sample.images), torch.zeros(32, slots), torch.zeros(32, slots, dtype=torch.bool),
                    torch.zeros(32, 1, slots), torch.zeros(32, 1, slots, dtype=torch.bool),
                    torch.full((32,), number), torch.full((32,), 1.2),
                ).mean(1)
            )  # fmt: skip
        apart[align] = float(alignment(torch.cat(tokens).detach(), torch.arange(64) < 32))
    assert apart[1.0] < 0.3 * apart[0.0], apart


def test_one_side_alone_is_refused(tmp_path):
    cache = toy_cache(tmp_path / "cache")
    with pytest.raises(ConfigError, match="both"):
        pretrain(MODEL, FAST.replace(align=0.1, mixture=None), [cache.path], tmp_path / "run")
