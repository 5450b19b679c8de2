"""Words for a stretch from its pictures: the protocol, the table of captioners, and filling an activity with them.

What needs torch stands below in the layers; the table names it, and it is imported when the first stretch asks.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from vidpretrain.segments.config import SegmentConfig
from vidpretrain.types import Activity, Stretch

CAPTIONERS = {"transformers": "vidpretrain.model.captioner:HubCaptioner"}
Pictures = Callable[[list[int]], Sequence[UInt8[np.ndarray, "h w 3"]]]


class Captioner(Protocol):
    """Says what happens; made with the name of a model, used for stretch after stretch in one process."""

    def caption(self, pictures: Sequence[UInt8[np.ndarray, "h w 3"]], prompt: str, tokens: int) -> str:
        """One line about RGB pictures in order of time, of at most `tokens` tokens."""
        ...


def load_captioner(config: SegmentConfig) -> Captioner | None:
    """The captioner that the configuration names, None where it names none.

    Raises:
        MissingAsset, MissingExtra: the model or its package is not on this machine.
    """
    if config.captioner is None:
        return None
    module, _, attribute = CAPTIONERS["transformers"].partition(":")
    return getattr(importlib.import_module(module), attribute)(config.captioner)


def with_captions(activity: Activity, pictures: Pictures, captioner: Captioner, config: SegmentConfig) -> Activity:
    """The activity with words for every stretch in which something is done and that nobody told of yet.

    `pictures` gives those nearest to the asked times (ns), which are the middles of equal parts of the stretch.
    """
    stretches = tuple(
        s if s.idle or s.instruction else _captioned(s, pictures, captioner, config) for s in activity.stretches
    )
    return dataclasses.replace(activity, stretches=stretches)


def _captioned(stretch: Stretch, pictures: Pictures, captioner: Captioner, config: SegmentConfig) -> Stretch:
    length, count = stretch.exclusive_end_ns - stretch.start_ns, config.captioner_frames
    times = [stretch.start_ns + (2 * k + 1) * length // (2 * count) for k in range(count)]
    text = " ".join(captioner.caption(pictures(times), config.captioner_prompt, config.captioner_tokens).split())
    return dataclasses.replace(stretch, instruction=text, told_by="captioner" if text else "")
