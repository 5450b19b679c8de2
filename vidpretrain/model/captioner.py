"""The captioner of the segments room that needs torch: any image-text model of the Hub, or a folder of one.

`segments.CAPTIONERS` names it. Models with a chat template are asked in a turn of pictures and words; others get the
words as the beginning of their answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vidpretrain.errors import ConfigError
from vidpretrain.model.hub import missing_model, transformers_for


class HubCaptioner:
    """A model of `AutoModelForImageTextToText` with its processor; `name` is of the Hub or a folder."""

    def __init__(self, name: str) -> None:
        """Load the model.

        Raises:
            MissingExtra: transformers is not installed.
            MissingAsset: the model is neither on this machine nor can it be downloaded.
            ConfigError: it is no image-text model.
        """
        transformers = transformers_for(name)
        try:
            config = transformers.AutoConfig.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise missing_model("captioner", "segments.captioner", name, error) from None
        if type(config) not in transformers.AutoModelForImageTextToText._model_mapping:
            raise ConfigError(
                "not an image-text model",
                asked=f"segments.captioner={name}",
                found=config.architectures or type(config).__name__,
                valid="a model of AutoModelForImageTextToText",
            )
        try:
            self._processor: Any = transformers.AutoProcessor.from_pretrained(name)
            self._net: Any = transformers.AutoModelForImageTextToText.from_pretrained(name).eval()
        except (OSError, ValueError) as error:
            raise missing_model("captioner", "segments.captioner", name, error) from None

    def caption(self, pictures: Sequence[np.ndarray], prompt: str, tokens: int) -> str:
        """One answer about RGB pictures in order of time, the likeliest words, at most `tokens` tokens."""
        import torch

        inputs = self._inputs([np.ascontiguousarray(p) for p in pictures], prompt)
        with torch.inference_mode():
            out = self._net.generate(**inputs, max_new_tokens=tokens, do_sample=False)[0]
        asked = inputs["input_ids"][0]
        if len(out) >= len(asked) and torch.equal(out[: len(asked)], asked):  # decoders repeat what they were asked
            out = out[len(asked) :]
        return self._processor.decode(out, skip_special_tokens=True).strip()

    def _inputs(self, pictures: list[np.ndarray], prompt: str) -> Any:
        from PIL import Image

        images = [Image.fromarray(picture) for picture in pictures]
        if getattr(self._processor, "chat_template", None) is None:
            return self._processor(images=images, text=prompt, return_tensors="pt")
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": prompt}]
        return self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
