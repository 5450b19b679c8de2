"""A label's uncertainty and its imputed mark go all the way: retargeting, data set, cache, batch, loss."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from toy_cache import MODEL, PX, picture

from vidpretrain.actions import ActionConfig, spec_for, trajectory
from vidpretrain.dataset import DatasetConfig, DatasetWriter, build_cache, open_dataset
from vidpretrain.model import VidPolicy, VidPolicyConfig
from vidpretrain.model.slots import SlotLayout
from vidpretrain.retarget import RetargetConfig
from vidpretrain.retarget.packing import confidence
from vidpretrain.retarget.targets import SideState
from vidpretrain.robot import load_robot
from vidpretrain.training import TrainConfig
from vidpretrain.training.collate import Draws, collate
from vidpretrain.training.rows import open_rows
from vidpretrain.types import Camera, Clip, Episode, RobotMotion, Source

ROWS, HORIZON = 12, 4
SIGMA_M = np.array([0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1])
IMPUTED = np.arange(ROWS) >= 8
RETARGET, DATASET = RetargetConfig(), DatasetConfig()


def expected_weight() -> np.ndarray:
    """1 / sigma^2 with a cap: 1 where the label is exact, a half at `trust_m`; imputed labels once less."""
    own = 1.0 / (1.0 + (SIGMA_M / RETARGET.trust_m) ** 2)
    ahead = np.minimum(np.arange(ROWS) + 1, ROWS - 1)
    return np.minimum(own, own[ahead]) * np.where(IMPUTED | IMPUTED[ahead], DATASET.imputed_weight, 1.0)


@pytest.fixture
def rows(tmp_path):
    robot = load_robot("g1_inspire")
    spec = spec_for(robot, ActionConfig(horizon=HORIZON, wrist_poses=False))
    seen = np.ones(ROWS, dtype=bool)
    sure = confidence(SideState(arm=seen, hand=seen, imputed=IMPUTED, sigma_m=SIGMA_M), None, RETARGET)
    motion = RobotMotion(
        clip_id="c",
        robot_name=robot.name,
        robot_digest=robot.digest,
        joint_names=robot.tree.joint_names,
        error_names=("left_wrist",),
        time_ns=np.arange(ROWS, dtype=np.int64) * 33_333_333,
        rate_hz=30.0,
        T_world_base=np.tile([1.0, 0, 0, 0, 0, 0, 0], (ROWS, 1)),
        joint_pos=robot.home + np.linspace(0, 0.01, ROWS)[:, None],
        error_m=np.zeros((ROWS, 1)),
        converged=seen,
        feasible=seen,
        valid=np.stack([seen, seen], axis=1),
        imputed=np.stack([IMPUTED, IMPUTED], axis=1),
        confidence=np.stack([sure, sure], axis=1),
        whole_body=False,
        T_base_camera=np.tile([1.0, 0, 0, 0, 0, 0, 0], (ROWS, 1)),
    )
    made = trajectory(motion, robot, spec)
    episode = Episode(
        trajectory=made,
        clip=Clip(clip_id="c", source_id="s", path="p", start_ns=0, exclusive_end_ns=1, width_px=PX, height_px=PX),
        source=Source(source_id="s", uri="u", sha256="0" * 64, license="MIT"),
        camera=Camera(K=np.diag([30.0, 30, 1]), distortion=np.zeros(0), width_px=PX, height_px=PX),
        instruction="",
        frame_time_ns=motion.time_ns,
        source_frame=np.arange(ROWS),
        code_version="t",
    )
    with DatasetWriter(tmp_path / "set", spec, 30.0, (PX, PX), robot.name) as writer:
        writer.add_episode(episode, [picture(0.5, 0.5)] * ROWS)
    cache = build_cache(open_dataset(tmp_path / "set"), tmp_path / "cache", image_size_px=PX)
    return open_rows(cache, history=MODEL.history)


def test_the_weight_in_a_batch_is_that_of_sigma_and_mark(rows) -> None:
    expected = expected_weight()
    assert expected[0] > 0.9 > 0.5 > expected[5], "the worse label counts less"
    _, weight = rows.chunk(np.arange(ROWS - HORIZON))
    for start in range(ROWS - HORIZON):
        np.testing.assert_allclose(
            weight[start], np.repeat(expected[start : start + HORIZON, None], rows.spec.width, axis=1), rtol=1e-5
        )
    capped = dataclasses.replace(rows, max_weight=0.3).chunk(np.array([0]))[1]
    assert capped.max() == pytest.approx(0.3)


def test_the_loss_weighs_every_label_by_it(rows) -> None:
    layout, paired = SlotLayout.of([rows.spec]), rows.fit(None)
    config = TrainConfig(batch_size=6, shift_px=0, colour_jitter=0, state_mask=0, history_mask=0, fov_mask=0)
    draws = Draws.of(config, 0, HORIZON, layout.width, len(rows.history))
    batch = collate([(0, np.array([0, 2, 4, 5, 6, 7]))], [rows], [paired], [0], layout, draws)
    torch.manual_seed(0)
    policy = VidPolicy(VidPolicyConfig.make(MODEL, [paired]))
    batch["weight"].requires_grad_(True)
    loss = policy(**batch).loss
    (per_label,) = torch.autograd.grad(loss, batch["weight"])
    assert (per_label >= 0).all()
    assert per_label.count_nonzero() == per_label.numel()
    assert float(loss.detach()) == pytest.approx(float((per_label * batch["weight"].detach()).sum()), rel=1e-4), (
        "linear in the weights"
    )
    halved = {**batch, "weight": 0.5 * batch["weight"].detach()}
    assert float(policy(**halved).loss.detach()) == pytest.approx(0.5 * float(loss.detach()), rel=1e-4)
