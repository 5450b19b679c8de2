"""A tiny image-text model, made on the spot: it is asked with pictures and words, and answers with new words only."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.errors import ConfigError, MissingAsset
from vidpretrain.segments import SegmentConfig, load_captioner, with_captions
from vidpretrain.types import Activity, Stretch

WORDS = ["what", "do", "the", "hands", "?", "lift", "a", "cup", "user", "assistant"]
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }} {% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    """A LLaVA of a few thousand random weights with a tokenizer of ten words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    torch.manual_seed(0)
    special = ["<pad>", "<unk>", "<s>", "</s>", "<image>"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<image>"],
    )
    size = {"height": 28, "width": 28}
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
        image_token="<image>",
    )
    tiny = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**tiny, image_size=28, patch_size=14),
        text_config=LlamaConfig(
            **tiny, vocab_size=len(vocabulary), num_key_value_heads=2, pad_token_id=0, bos_token_id=2, eos_token_id=3
        ),
        image_token_index=vocabulary["<image>"],
        vision_feature_layer=-1,
    )
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():  # never pads, ends or shows a picture: the answer is words
        model.lm_head.weight[:5] = -10.0 * model.lm_head.weight[5:].abs().mean()
    out = tmp_path_factory.mktemp("llava")
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return str(out)


def test_stretches_get_the_models_words(folder: str) -> None:
    config = SegmentConfig(
        captioner=folder, captioner_frames=2, captioner_tokens=4, captioner_prompt="what do the hands ?"
    )
    captioner = load_captioner(config)
    assert captioner is not None
    time_ns = np.arange(60, dtype=np.int64) * 33_333_333
    middle = int(time_ns[30])
    activity = Activity(
        clip_id="c",
        time_ns=time_ns,
        wrist_speed_m_s=np.zeros((60, 2)),
        grasp=np.zeros((60, 2), dtype=bool),
        contact=np.zeros((60, 2)),
        known=np.ones((60, 2), dtype=bool),
        stretches=(
            Stretch(start_ns=0, exclusive_end_ns=middle // 2),
            Stretch(start_ns=middle // 2, exclusive_end_ns=middle, idle=True),
            Stretch(start_ns=middle, exclusive_end_ns=2 * middle, instruction="pour", told_by="narration"),
        ),
    )
    asked: list[list[int]] = []

    def pictures(times_ns: list[int]) -> list[np.ndarray]:
        asked.append(times_ns)
        return [np.full((40, 50, 3), 40 * k, dtype=np.uint8) for k in range(len(times_ns))]

    out = with_captions(activity, pictures, captioner, config)
    assert asked == [[middle // 8, 3 * (middle // 2) // 4]]
    words = out.stretches[0].instruction.split()
    assert 1 <= len(words) <= 4
    assert set(words) <= set(WORDS)
    assert "what do the hands ?" not in out.stretches[0].instruction, "the question is not part of the answer"
    assert [s.told_by for s in out.stretches] == ["captioner", "", "narration"]
    assert with_captions(activity, pictures, captioner, config).stretches == out.stretches, (
        "the same pictures, the same words"
    )


def test_no_captioner_is_none_and_wrong_ones_say_so(tmp_path, folder: str) -> None:
    import transformers

    assert load_captioner(SegmentConfig()) is None
    with pytest.raises(MissingAsset, match="captioner"):
        load_captioner(SegmentConfig(captioner=str(tmp_path / "nothing")))
    transformers.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="image-text"):
        load_captioner(SegmentConfig(captioner=str(tmp_path)))
