"""The fit's motions of a clip, height and lens known: made once in a run, and asked for by several groups of rows."""

from __future__ import annotations

import dataclasses
from typing import Any

from labelling.clips import Sample
from vidpretrain.motion import MotionConfig, build_motion
from vidpretrain.types import HumanMotion, Reject

_MADE: dict[str, tuple[HumanMotion, ...]] = {}


def build(
    sample: Sample, method: str = "fit", known: bool = True, offsets: str | None = None
) -> tuple[HumanMotion, ...]:
    """The motion room's stretches of a clip, none where it was refused; with `known` height and lens are told.

    `offsets` names a table of learned ones (`MotionConfig.learned_offsets`).
    """
    config = MotionConfig(method=method, view="ego" if sample.truth.view == "head" else "third")  # type: ignore[arg-type]
    config = dataclasses.replace(config, learned_offsets=offsets)
    if known:
        config = dataclasses.replace(config, height_m=sample.truth.height_m)
    metadata: dict[str, Any] | None = sample.metadata if known else None
    found = build_motion(sample.tracks, sample.clip, config, metadata)
    motions = () if isinstance(found, Reject) else found
    if method == "fit" and known and offsets is None:
        _MADE[sample.clip.path] = motions
    return motions


def fitted(sample: Sample) -> tuple[HumanMotion, ...]:
    """As `build`, kept from the last time."""
    return _MADE[sample.clip.path] if sample.clip.path in _MADE else build(sample)
