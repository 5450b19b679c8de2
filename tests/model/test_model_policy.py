from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_cache import MODEL, arm, hand, spec

from vidpretrain.errors import CheckpointError
from vidpretrain.model import PRESETS, ModelConfig, VidPolicy, VidPolicyConfig, flow
from vidpretrain.model.slots import SlotLayout
from vidpretrain.transforms import Normalizer, Paired


def paired(layout) -> Paired:
    ones = np.ones(layout.width)
    normalizer = Normalizer(
        names=layout.names, state_q01=-ones, state_q99=ones, action_q01=-ones, action_q99=ones, clip=None
    )
    return Paired(spec=layout, normalizer=normalizer)


def make(*layouts, config: ModelConfig = MODEL) -> VidPolicy:
    torch.manual_seed(0)
    return VidPolicy(VidPolicyConfig.make(config, [paired(one) for one in layouts]))


def batch(model: VidPolicy, count: int = 3, draws: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(seed)
    slots, horizon = model.config.layout().width, model.config.horizon
    history = len(model.config.model_config().history)

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    return {
        "images": torch.from_numpy(rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)),
        "state": normal(count, slots),
        "state_known": torch.ones(count, slots, dtype=torch.bool),
        "history": normal(count, history, slots),
        "history_known": torch.ones(count, history, slots, dtype=torch.bool),
        "embodiment": torch.zeros(count, dtype=torch.long),
        "fov": torch.tensor([1.0, float("nan"), 1.2])[:count],
        "slot_mask": torch.ones(count, slots),
        "action": normal(count, horizon, slots),
        "weight": torch.ones(count, horizon, slots),
        "noise": normal(count, draws, horizon, slots),
        "time": torch.from_numpy(flow.sample_time(rng, (count, draws))),
    }


def loss_of(model: VidPolicy, b: dict[str, torch.Tensor]) -> float:
    return float(model(**b).loss.detach())


def test_loss_is_the_weighted_mean_square_of_the_velocity_at_its_start():
    model = make(spec())  # the last layer starts at zero: the predicted velocity is the best guess without knowledge
    b = batch(model)
    b["weight"][:, 2:] = 0.5
    t = b["time"][..., None, None]
    noise, action = b["noise"], b["action"][:, None]
    variance = t**2 + (1 - t) ** 2 * 0.16
    guess = (t - (1 - t) * 0.16) / variance * (t * noise + (1 - t) * action)
    expected = (noise - action - guess).square() * variance / 0.16 * b["weight"][:, None]
    assert loss_of(model, b) == pytest.approx(float(expected.mean()), rel=1e-5)


def test_masked_labels_give_no_gradient_whatever_they_hold():
    model = make(spec())
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    b["weight"][..., 2] = 0  # the hand has no label
    out = model(**b)
    out.loss.backward()
    assert float(model.action_out.weight.grad[..., 2].abs().max()) == 0
    assert float(out.slot_error[2]) == 0
    assert float(out.slot_weight[2]) == 0


def test_slots_that_an_embodiment_lacks_neither_enter_nor_learn():
    model = make(spec("one", arm()), spec("two", arm(), hand()))
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    b["slot_mask"][:, 2] = 0
    b["weight"][..., 2] = 0
    loss = model(**b).loss
    loss.backward()
    assert float(model.action_in.weight.grad[0, 2].abs().max()) == 0
    assert float(model.action_out.weight.grad[0, :, 2].abs().max()) == 0
    assert float(model.action_in.weight.grad[1].abs().max()) == 0  # the other robot's adapters
    moved = {**b, "noise": b["noise"].clone(), "action": b["action"].clone()}
    moved["noise"][..., 2] += 5.0
    moved["action"][..., 2] -= 5.0
    assert loss_of(model, moved) == float(loss.detach())


def test_every_parameter_gets_a_gradient():
    model = make(spec())
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    b["state_known"][0] = False
    b["history_known"][1] = False
    model(**b).loss.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or float(p.grad.abs().max()) == 0]
    assert silent == []


def test_unknown_state_has_no_influence():
    model = make(spec())
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    b["state_known"][:] = False
    b["history_known"][:] = False
    first = loss_of(model, b)
    b["state"] += 7.0
    b["history"] -= 7.0
    assert loss_of(model, b) == first
    b["state_known"][:] = True
    assert loss_of(model, b) != first


def test_the_picture_matters_and_any_size_is_taken():
    model = make(spec())
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    first = loss_of(model, b)
    b["images"] = b["images"].flip(2)
    assert loss_of(model, b) != first
    b["images"] = torch.zeros(3, 50, 50, 3, dtype=torch.uint8)
    assert np.isfinite(loss_of(model, b))


def test_encoding_once_for_several_draws_equals_encoding_each():
    model = make(spec()).eval()
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    args = {k: v for k, v in b.items() if k not in ("action", "weight", "time", "noise")}
    both = model.sample(**args, noise=b["noise"], steps=3)
    for k in range(2):
        torch.testing.assert_close(both[:, k : k + 1], model.sample(**args, noise=b["noise"][:, k : k + 1], steps=3))


def test_euler_recovers_a_known_distribution():
    """For actions of N(m, s^2) the exact velocity is known; the sampler must turn noise into that distribution."""
    mean, sigma = 2.0, 0.3
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(20_000, 1, 1, generator=generator)

    def velocity(x, time):
        t = time[:, None, None]
        variance = t**2 + (1 - t) ** 2 * sigma**2
        centred = (x - (1 - t) * mean) / variance
        return t * centred - (mean + (1 - t) * sigma**2 * centred)  # E[noise - action | x_t]

    out = flow.euler(velocity, noise, 200)
    assert float(out.mean()) == pytest.approx(mean, abs=0.02)
    assert float(out.std()) == pytest.approx(sigma, abs=0.02)


def test_a_network_that_knows_nothing_has_loss_one():
    """Actions of the assumed deviation: the preconditioned target has unit variance at every time."""
    rng = np.random.default_rng(0)
    action, noise = (torch.from_numpy(rng.standard_normal(200_000)) for _ in range(2))
    for t in (0.001, 0.3, 0.7, 0.999):
        time = torch.tensor([t], dtype=torch.float64)
        x, velocity = t * noise + (1 - t) * 0.4 * action, noise - 0.4 * action
        skip, scale = flow.precondition(time)
        assert float(((velocity - skip * x) / scale).square().mean()) == pytest.approx(1.0, abs=0.02)


def test_times_lie_in_range_and_lean_to_the_noise():
    time = flow.sample_time(np.random.default_rng(0), (20_000,))
    assert time.min() >= flow.TIME_MIN
    assert time.max() <= flow.TIME_MAX
    assert float(time.mean()) == pytest.approx(0.6, abs=0.01)  # mean of Beta(1.5, 1)


def test_save_and_load_give_equal_weights_and_config(tmp_path):
    model = make(spec("one"), spec("two", arm("right_arm"), hand()))
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    model.save_pretrained(tmp_path)
    again = VidPolicy.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    assert again.config.embodiments == model.config.embodiments
    assert again.config.paired()["two"].spec == spec("two", arm("right_arm"), hand())
    assert again.config.model_config() == MODEL
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".safetensors"]


def test_another_robot_is_named():
    model = make(spec("g1_inspire"))
    with pytest.raises(CheckpointError) as caught:
        model.config.embodiment_id("h1")
    assert caught.value.asked == "h1"
    assert "g1_inspire" in str(caught.value)


def test_groups_share_slots_by_name_and_widths_must_agree():
    layout = SlotLayout.of([spec("a", arm("left_arm", 3)), spec("b", hand(), arm("left_arm", 3))])
    assert layout.groups == (("left_arm", 3), ("left_hand", 1))
    second = spec("b", hand(), arm("left_arm", 3))
    value = np.arange(8.0).reshape(2, 4)
    slotted = layout.scatter(value, second)
    assert slotted[0].tolist() == [1, 2, 3, 0]
    assert np.array_equal(layout.gather(slotted, second), value)
    assert layout.mask(spec("a", arm("left_arm", 3))).tolist() == [True, True, True, False]
    with pytest.raises(CheckpointError, match="two widths"):
        SlotLayout.of([spec("a", arm("left_arm", 3)), spec("b", arm("left_arm", 2))])


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_build(preset):
    with torch.device("meta"):
        model = VidPolicy(VidPolicyConfig.make(ModelConfig(preset=preset), [paired(spec("g1", arm(width=26)))]))
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    ranges = {
        "micro": (0.3, 0.9),
        "nano": (1.5, 2.0),
        "tiny": (4, 6.5),
        "small": (35, 45),
        "base": (150, 200),
        "large": (900, 1100),
    }
    low, high = ranges[preset]
    assert low < millions < high, f"{preset}: {millions:.2f} M"


def test_config_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="heads"):
        ModelConfig(width=30, heads=4)
    with pytest.raises(ValueError, match="history"):
        ModelConfig(history=(1,))
    with pytest.raises(ValueError, match="shrinks"):
        ModelConfig(image_px=8)
