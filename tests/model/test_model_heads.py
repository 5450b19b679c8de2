"""Every action head: what it learns, what it ignores, and that the flow's faster steps are the same steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_model_policy import batch, make
from toy_cache import MODEL, arm, hand, spec

from vidpretrain.model import ModelConfig, VidPolicy, flow
from vidpretrain.model.head_flow import for_draws, velocity
from vidpretrain.model.head_tokens import TokenHead

HEADS = ("flow", "regression", "tokens")


def of_head(head: str, *layouts) -> VidPolicy:
    return make(*(layouts or (spec(),)), config=MODEL.replace(head=head, stem=((8, 4), (8, 4)), token_range=2.0))


def seen(b: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v for k, v in b.items() if k not in ("action", "weight", "time", "noise")}


def fitted(model: VidPolicy, batches, steps: int, lr: float = 3e-3) -> float:
    """The last loss after training on what `batches(step)` gives."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, eta_min=lr / 30)
    model.train()
    loss = torch.tensor(0.0)
    for step in range(steps):
        loss = model(**batches(step)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()
    return float(loss.detach())


@pytest.mark.parametrize("draws", [1, 3])
def test_joined_flow_steps_are_the_steps_they_replace(draws):
    """Two robots in one batch, a slot that one lacks, against step after step through the modules."""
    model = make(spec("one", arm(), hand()), spec("two", arm())).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    b = batch(model, draws=draws)
    b["embodiment"][1] = 1
    b["slot_mask"][1, 2] = 0
    with torch.no_grad():
        encoding = {k: v for k, v in seen(b).items() if k != "slot_mask"}
        memory, mask, who = for_draws(model.encode(**encoding), b["slot_mask"], b["embodiment"], draws)
        plain = flow.euler(lambda x, t: velocity(model, memory, x, t, mask, who), b["noise"].flatten(0, 1), 10)
        torch.testing.assert_close(
            model.sample(**seen(b), noise=b["noise"], steps=10).flatten(0, 1), plain, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("head", HEADS)
def test_a_head_overfits_one_batch(head):
    model = of_head(head)
    b = batch(model, draws=8)
    b["action"] = (0.4 * b["action"]).clamp(-2, 2)
    fixed = {k: v for k, v in b.items() if k not in ("noise", "time")}

    def fresh(step):
        rng = np.random.default_rng(step)
        shape = tuple(b["noise"].shape)
        noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
        return {**fixed, "noise": noise, "time": torch.from_numpy(flow.sample_time(rng, shape[:2]))}

    fitted(model, fresh, 500)
    chunk = model.sample(**seen(b), noise=b["noise"], steps=10)
    left = (chunk - b["action"][:, None]).square().mean() / b["action"].square().mean()
    assert float(left) < 0.05, float(left)


@pytest.mark.parametrize("head", HEADS)
def test_masked_targets_give_no_gradient_and_hide_what_they_hold(head):
    model = of_head(head)
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    b["weight"][..., 2] = 0
    out = model(**b)
    out.loss.backward()
    slots = model.config.layout().width
    assert float(model.action_out.weight.grad.unflatten(-1, (-1, slots))[..., 2].abs().max()) == 0
    assert float(model.action_out.weight.grad.unflatten(-1, (-1, slots))[..., 1].abs().max()) > 0
    assert float(out.slot_error[2]) == float(out.slot_weight[2]) == 0
    if head != "flow":  # noisy actions enter the flow's network, so there it is the mask of slots that hides them
        b["action"][..., 2] = 55.0
        assert float(model(**b).loss.detach()) == float(out.loss.detach())


@pytest.mark.parametrize("head", HEADS)
def test_a_head_learns_a_linear_map(head):
    """Actions that are a fixed linear map of the state are found on states that were never shown."""
    model = of_head(head)
    rng = np.random.default_rng(1)
    slots, horizon = model.config.layout().width, model.config.horizon
    linear = (0.4 * rng.standard_normal((horizon, slots, slots)) / np.sqrt(slots)).astype(np.float32)

    def fresh(step):
        b = batch(model, count=32, draws=2, seed=step)
        b["fov"] = torch.full((32,), 1.0)
        b["images"].zero_()
        b["history_known"].zero_()
        b["action"] = torch.einsum("hij,bj->bhi", torch.from_numpy(linear), b["state"])
        return b

    fitted(model, fresh, 600 if head == "tokens" else 300)
    b = fresh(10**6)
    chunk = model.sample(**seen(b), noise=b["noise"], steps=10).mean(1)
    left = float((chunk - b["action"]).square().mean() / b["action"].square().mean())
    assert left < 0.05, left


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_its_own_teacher_without_error(head):
    model = of_head(head).eval()
    torch.nn.init.normal_(model.action_out.weight, std=0.1)
    b = batch(model)
    out = model(**b, teacher=model.velocities(b), teacher_share=1.0)
    assert float(out.loss.detach()) == pytest.approx(0.0, abs=1e-6)


def test_tokens_give_back_what_they_were_made_of_and_one_of_two_modes():
    head = TokenHead(bins=21, reach=3.0)
    action = torch.linspace(-3.5, 3.5, 57)[:, None]
    low, high = head.encode(action)
    share = torch.zeros(57, 21, 1)
    share.scatter_(1, low[:, None], (1 - high)[:, None]).scatter_(1, low[:, None] + 1, high[:, None])
    back = head.decode(share.clamp(min=1e-30).log())
    torch.testing.assert_close(back, action.clamp(-3, 3), atol=1e-5, rtol=0)
    two = torch.zeros(1, 21, 1)
    two[0, 2], two[0, 18] = 5.0, 5.1
    assert float(head.decode(two)) == pytest.approx(18 * 0.3 - 3, abs=0.02)


@pytest.mark.parametrize("head", ["regression", "tokens"])
def test_a_head_that_draws_nothing_gives_every_draw_the_same(head):
    model = of_head(head).eval()
    torch.nn.init.normal_(model.action_out.weight, std=0.5)
    b = batch(model, draws=3)
    chunk = model.sample(**seen(b), noise=b["noise"], steps=5)
    assert chunk.shape == b["noise"].shape
    torch.testing.assert_close(chunk[:, 0], chunk[:, 2])
    assert "time_mlp.0.weight" not in dict(model.named_parameters())


@pytest.mark.parametrize("head", HEADS)
def test_save_and_load_of_each_head(head, tmp_path):
    model = of_head(head).eval()
    torch.nn.init.normal_(model.action_out.weight, std=0.5)
    model.save_pretrained(tmp_path)
    again = VidPolicy.from_pretrained(tmp_path).eval()
    assert again.config.model_config().head == head
    b = batch(model)
    torch.testing.assert_close(
        again.sample(**seen(b), noise=b["noise"], steps=2), model.sample(**seen(b), noise=b["noise"], steps=2)
    )


def test_a_head_that_does_not_exist_is_named():
    from vidpretrain import config as configs
    from vidpretrain.errors import VidpretrainError

    with pytest.raises(VidpretrainError) as caught:
        configs.build(ModelConfig, {"head": "diffusion"}, "model.")
    assert "regression" in str(caught.value)
