"""Counted sizes against the networks themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_model_policy import batch, make
from torch.utils.flop_counter import FlopCounterMode
from toy_cache import MODEL, arm, spec

from vidpretrain.errors import ConfigError, UnknownName, UsageError
from vidpretrain.model import PRESETS, ModelConfig
from vidpretrain.model.count import count, markdown, show

VARIANTS = {
    "flat": MODEL.replace(vision="flat", flat_tokens=3),
    "told": MODEL.replace(text="hash", text_width=40),
    "views": MODEL.replace(cameras=("head", "left"), frames=(-3,)),
    "features": MODEL.replace(vision="features", backbone="kept", feature_tokens=5, feature_width=24),
    "regression": MODEL.replace(head="regression"),
    "tokens": MODEL.replace(head="tokens", token_bins=12),
    **{name: ModelConfig(preset=name) for name in ("micro", "nano", "tiny")},
}


def built(sizes: ModelConfig, robots: int = 1):
    return make(*(spec(f"robot{i}", arm(width=13)) for i in range(robots)), config=sizes)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_parameters_of_every_preset(preset):
    sizes = ModelConfig(preset=preset)
    with torch.device("meta"):
        model = built(sizes, robots=2)
    counted = count(sizes, slots=13, horizon=4, embodiments=2)
    assert counted.parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_parameters_and_operations_are_the_counters(name):
    from vidpretrain.training.warmstart import is_adapter

    sizes = VARIANTS[name]
    model = built(sizes).eval()
    counted = count(sizes, slots=13, horizon=4)
    assert counted.parameters == sum(p.numel() for p in model.parameters())
    assert counted.adapters == sum(p.numel() for n, p in model.named_parameters() if is_adapter(n))
    b = batch(model, count=1, draws=1)
    if sizes.vision == "features":
        b["images"] = torch.zeros(1, 5, 24)
    elif len(sizes.views) > 1:
        b["images"] = b["images"][:, None].expand(-1, len(sizes.views), -1, -1, -1)
    if sizes.text:
        b["text"] = torch.zeros(1, 40)
    with FlopCounterMode(display=False) as counter:
        model(**b)
    assert counted.flops == counter.get_total_flops()


def test_the_documents_table_is_the_counted_one():
    text = (Path(__file__).parents[2] / "docs" / "model.md").read_text()
    assert markdown() in text, "make model-table"


def test_the_verb_shows_all_or_one_and_says_what_there_is():
    assert [row["preset"] for row in show()["presets"]] == list(PRESETS)
    assert show(None, ("base",))["counted"]["parameters"] > 150e6
    with pytest.raises(UnknownName, match="base"):
        show(None, ("bass",))
    with pytest.raises(UsageError):
        show(None, ("base", "tiny"))
    with pytest.raises(ConfigError, match="image model"):
        count(ModelConfig(vision="backbone", backbone="dinov2"))
