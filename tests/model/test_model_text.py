"""Flat stems and told instructions: off they are not there, on they are used."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_cache import MODEL, PX, spec

from vidpretrain.errors import ConfigError, MissingAsset
from vidpretrain.model import ModelConfig, VidPolicy, VidPolicyConfig
from vidpretrain.model.text import features, hashed
from vidpretrain.transforms import Normalizer, Paired


def policy(sizes: ModelConfig) -> VidPolicy:
    layout = spec()
    one = np.ones(layout.width)
    normalizer = Normalizer(names=layout.names, state_q01=-one, state_q99=one, action_q01=-one, action_q99=one)
    torch.manual_seed(0)
    return VidPolicy(VidPolicyConfig.make(sizes, [Paired(spec=layout, normalizer=normalizer)]))


def test_off_adds_no_weight():
    names = dict(policy(MODEL).named_parameters())
    assert not any("text" in name for name in names)
    assert names["stem.project.weight"].shape == (MODEL.width, 32)


def test_a_flat_stem_makes_its_tokens_from_the_whole_map():
    net = policy(MODEL.replace(vision="flat", flat_tokens=3))
    image = torch.zeros(1, PX, PX, 3, dtype=torch.uint8)
    tokens = net.stem(image)
    assert tokens.shape == (1, 3, MODEL.width)
    image[0, 20:28, 4:12] = 255
    here = net.stem(image)
    there = net.stem(image.flip(2))
    assert not torch.allclose(here, tokens, atol=1e-3)
    assert not torch.allclose(here, there, atol=1e-3)  # where a thing is, is told


def test_a_checkpoint_from_before_these_switches_loads():
    old = policy(MODEL).config
    kept = {k: v for k, v in old.model.items() if k not in ("vision", "flat_tokens", "text", "text_width")}
    again = VidPolicyConfig(model=kept, embodiments=old.embodiments, horizon=old.horizon)
    assert again.model_config() == MODEL


def test_hashed_texts_are_near_where_words_are_shared():
    one, two, other, empty = hashed(["pick up the can", "Pick up the red can!", "open a drawer", ""], 256)
    assert one @ two > 0.6
    assert abs(float(one @ other)) < 0.3
    np.testing.assert_allclose(np.linalg.norm(one), 1, atol=1e-6)
    assert not empty.any()
    np.testing.assert_array_equal(hashed(["pick up the can"], 256)[0], one)


def test_features_come_once_per_text(monkeypatch):
    from vidpretrain.model import text

    asked = []
    monkeypatch.setattr(text, "hashed", lambda texts, width: (asked.append(list(texts)), hashed(texts, width))[1])
    monkeypatch.setattr(text, "_KNOWN", {})
    first = features(["a b", "c", "a b"], "hash", 16)
    features(["c", "a b"], "hash", 16)
    assert asked == [["a b", "c"]]
    assert first.shape == (3, 16)
    np.testing.assert_array_equal(first[0], first[2])
    assert features([], "hash", 16).shape == (0, 16)


def small_encoder(folder):
    """A text encoder of random weights in a folder, as the Hub would give it."""
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "pick", "up", "the", "can", "open", "drawer"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_any_text_model_in_a_folder_is_an_encoder(tmp_path):
    encoder = small_encoder(tmp_path)
    both = features(["pick up the can", "open the drawer"], encoder, 16)
    assert both.shape == (2, 16)
    assert np.abs(both[0] - both[1]).max() > 0.05
    alone = features(["open the drawer", "x"], encoder, 16)
    np.testing.assert_allclose(alone[0], both[1], atol=1e-5)
    with pytest.raises(ConfigError, match="gives 16 numbers"):
        features(["pick"], encoder, 32)


def test_an_encoder_that_is_not_here_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingAsset):
        features(["pick"], str(tmp_path / "nothing"), 16)


def test_minilm_comes_out_of_its_package_and_no_code_of_it_runs(tmp_path, monkeypatch):
    """A package of the same layout with a small encoder inside."""
    import zipfile

    from vidpretrain.errors import MissingExtra
    from vidpretrain.model import text

    source, package = tmp_path / "source", tmp_path / "all_minilm_l6_v2"
    source.mkdir()
    encoder = small_encoder(source)
    wanted = features(["open the drawer"], encoder, 16)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(text, "_KNOWN", {})
    monkeypatch.setattr(text, "_MODULE", "no_such_package_here")
    with pytest.raises(MissingExtra, match="pip install"):
        features(["open the drawer"], "minilm", 16)
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    with zipfile.ZipFile(package / "model.zip", "w") as archive:
        for path in source.iterdir():
            archive.write(path, path.name)
        archive.writestr("evil.py", "raise RuntimeError")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(text, "_MODULE", "all_minilm_l6_v2")
    np.testing.assert_allclose(features(["open the drawer"], "minilm", 16), wanted, atol=1e-6)
    assert not list((tmp_path / "cache").rglob("*.py"))
    (package / "model.zip").touch()
    np.testing.assert_array_equal(features(["open the drawer"], "minilm", 16), wanted)
