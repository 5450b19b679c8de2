"""A toy episode for data sets of these tests: an arm of seven joints that wanders."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidpretrain.types import ActionSpec, Camera, Clip, Episode, Group, Source, Trajectory

RATE_HZ = 30.0


def arm(embodiment: str) -> ActionSpec:
    """Seven relative joints, chunks of four rows."""
    names = tuple(f"joint_{i}" for i in range(7))
    group = Group(name="right_arm", names=names, quantity="joint", representation="relative", unit="rad")
    return ActionSpec(embodiment=embodiment, groups=(group,), rate_hz=RATE_HZ, horizon=4)


def episode(spec: ActionSpec, seed: int, rows: int, license: str = "generated", **changes: Any) -> Episode:
    """An episode of so many rows; `changes` are other fields of it."""
    rng = np.random.default_rng(seed)
    state = np.cumsum(rng.normal(size=(rows, spec.width)) * 0.01, axis=0).astype(np.float32)
    given: dict[str, Any] = {
        "trajectory": Trajectory(
            spec=spec,
            state=state,
            action=np.concatenate([state[1:], state[-1:]]),
            valid=np.ones(state.shape, dtype=bool),
            confidence=np.ones(state.shape, dtype=np.float32),
            imputed=np.zeros(state.shape, dtype=bool),
        ),
        "clip": Clip(
            clip_id=f"c{seed}", source_id="s", path="", start_ns=0, exclusive_end_ns=1, width_px=64, height_px=48
        ),
        "source": Source(source_id="s", uri="s.mp4", sha256="0" * 64, license=license),
        "camera": Camera(K=np.diag([60.0, 60.0, 1.0]), distortion=np.zeros(5), width_px=64, height_px=48),
        "instruction": "move",
        "frame_time_ns": np.arange(rows, dtype=np.int64) * 33_333_333,
        "source_frame": np.arange(rows, dtype=np.int64),
        "code_version": "test",
    }
    return Episode(**(given | changes))
