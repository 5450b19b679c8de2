"""An episode as table columns: finite values, masks, and where each row comes from."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32

from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec, Episode


def episode_columns(episode: Episode, spec: ActionSpec, rate_hz: float) -> dict[str, np.ndarray]:
    """Columns of t rows, without the ones that depend on the place in the data set (episode, index, task).

    LeRobot's users normalise and train on every row, so files hold no NaN: where a value is missing (and not valid)
    the last one before it is held, else the next one, else 0; `valid` stays false and `imputed` is set.

    Raises:
        DatasetError: another layout or rate, no rows, or NaN where the episode says valid.
    """
    trajectory = episode.trajectory
    if trajectory.spec.names != spec.names:
        raise DatasetError(
            "an episode of another layout", asked=trajectory.spec.embodiment, valid=", ".join(spec.names)
        )
    if abs(trajectory.spec.rate_hz - rate_hz) > 1e-6 * rate_hz:
        raise DatasetError("an episode of another rate", asked=f"{trajectory.spec.rate_hz} Hz", valid=f"{rate_hz} Hz")
    length = len(trajectory.state)
    if length == 0:
        raise DatasetError("an episode without rows", asked=episode.clip.clip_id)
    state, state_filled = _finite(trajectory.state, trajectory.valid, spec, episode, "state")
    action, action_filled = _finite(trajectory.action, trajectory.valid, spec, episode, "action")
    return {
        "observation.state": state,
        "action": action,
        "valid": np.array(trajectory.valid),
        "confidence": np.nan_to_num(np.asarray(trajectory.confidence, dtype=np.float32)),
        "imputed": trajectory.imputed | state_filled | action_filled,
        "source.sha256": np.full(length, episode.source.sha256, dtype=object),
        "source.frame": np.asarray(episode.source_frame, dtype=np.int64),
        "source.time_ns": np.asarray(episode.frame_time_ns, dtype=np.int64),
        "source.license": np.full(length, episode.source.license, dtype=object),
        "code_version": np.full(length, episode.code_version, dtype=object),
        "timestamp": (np.arange(length) / rate_hz).astype(np.float32),
        "frame_index": np.arange(length, dtype=np.int64),
    }


def _finite(values, valid, spec: ActionSpec, episode: Episode, what: str):
    missing = ~np.isfinite(values)
    wrong = missing & valid
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise DatasetError(
            f"{episode.clip.clip_id}: {what} is not finite where the episode says valid",
            found=f"{wrong.sum()} values, first in row {row}, column {spec.names[column]}",
        )
    return hold(np.asarray(values, dtype=np.float32), missing), missing


def hold(values: Float32[np.ndarray, "t d"], missing: Bool[np.ndarray, "t d"]) -> Float32[np.ndarray, "t d"]:
    """Values with each missing one replaced by the last before it, else the first after it, else 0."""
    if not missing.any():
        return np.array(values)
    rows = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(missing, -1, rows), axis=0)
    first = np.where(missing.all(axis=0), 0, np.argmin(missing, axis=0))
    held = np.take_along_axis(values, np.where(last < 0, first, last), axis=0)
    return np.where(missing.all(axis=0), np.float32(0), held).astype(np.float32)
