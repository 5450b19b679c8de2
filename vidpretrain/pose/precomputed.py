"""The `precomputed` estimator: landmarks that somebody else's network made, read from files.

`FOLDER/<clip_id>.npz` (or `<source_id>.npz` for a whole video) holds `time_ns` (t) int64 in the source's time and, for
each of `hand21_left`, `hand21_right`, `body33` that is there: `<name>_image` (t k 2) px of the upright picture,
`<name>_relative` (t k 3) m in the camera's axes (may be absent), `<name>_confidence` (t k) or (t), 0 where not found.
`pose.precomputed_format` names the layouts of other tools instead (`readers`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidpretrain.errors import ConfigError, InputError, MissingAsset, unknown_name
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.readers import READERS, where
from vidpretrain.pose.reject_config import USUAL, RejectConfig
from vidpretrain.pose.tracks import PERSON, Tracks, frame_indices
from vidpretrain.types import Clip, PoseTrack
from vidpretrain.video import VideoInfo

_SETS = (("hand21_left", 21), ("hand21_right", 21), ("body33", 33))


def write_precomputed(path: Path | str, tracks: Tracks) -> None:
    """Save tracks in the layout that this estimator reads."""
    arrays: dict[str, np.ndarray] = {"time_ns": tracks[0].time_ns}
    for track in tracks:
        arrays[f"{track.skeleton}_image"] = track.p_image_keypoint
        arrays[f"{track.skeleton}_confidence"] = track.confidence
        if track.p_relative_keypoint is not None:
            arrays[f"{track.skeleton}_relative"] = track.p_relative_keypoint
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


class Precomputed:
    """Estimator that reads landmarks from `config.precomputed`."""

    def estimate(self, clip: Clip, info: VideoInfo, config: PoseConfig, rejects: RejectConfig = USUAL) -> Tracks:
        """Tracks on the clip's decoded frames; frames without an entry within half a frame are empty.

        Raises:
            ConfigError, UnknownName: `precomputed` names no folder, or its format is not known.
            MissingAsset: there is no file for the clip.
            InputError: the file does not have the documented layout.
        """
        if config.precomputed is None or not config.precomputed.is_dir():
            raise ConfigError("pose.precomputed names a folder", asked=config.precomputed)
        kind = config.precomputed_format
        if kind not in READERS:
            raise unknown_name("format of precomputed landmarks", kind, READERS)
        names = dict.fromkeys((clip.clip_id, clip.source_id, Path(clip.path).stem))
        path = next((p for name in names if (p := where(config.precomputed, name, kind)) is not None), None)
        if path is None:
            raise MissingAsset(
                "no landmarks for this clip",
                asked=clip.clip_id,
                valid=" or ".join(str(config.precomputed / name) for name in names) + f" ({kind})",
            )
        arrays = READERS[kind](path, info)
        indices = frame_indices(clip, info, config)
        time_ns = info.time_ns[np.arange(indices.start, indices.stop, indices.step)]
        left, right, body = (_read(path, arrays, clip, time_ns, info.frame_ns, name, k) for name, k in _SETS)
        return left, right, body


def _read(path: Path, arrays, clip: Clip, time_ns, frame_ns: int, name: str, k: int) -> PoseTrack:
    source_ns = _field(path, arrays, "time_ns", (None,)).astype(np.int64)
    t = len(source_ns)
    if t == 0 or (np.diff(source_ns) <= 0).any():
        raise InputError("time_ns is not empty and rises", asked=path)
    image, relative = np.full((t, k, 2), np.nan), np.full((t, k, 3), np.nan)
    confidence = np.zeros((t, k))
    if f"{name}_image" in arrays:
        image = _field(path, arrays, f"{name}_image", (t, k, 2)).astype(float)
        confidence = arrays.get(f"{name}_confidence", np.empty(0)).astype(float)
        confidence = np.repeat(confidence[:, None], k, axis=1) if confidence.shape == (t,) else confidence
        confidence = _field(path, {"c": confidence}, "c", (t, k), f"{name}_confidence")
        if f"{name}_relative" in arrays:
            relative = _field(path, arrays, f"{name}_relative", (t, k, 3)).astype(float)
    at = np.clip(np.searchsorted(source_ns, time_ns), 0, t - 1)
    before = np.maximum(at - 1, 0)
    at = np.where(np.abs(source_ns[before] - time_ns) <= np.abs(source_ns[at] - time_ns), before, at)
    hit = np.abs(source_ns[at] - time_ns) <= frame_ns // 2
    confidence = np.where(hit[:, None] & np.isfinite(image[at]).all(-1), np.clip(confidence[at], 0.0, 1.0), 0.0)
    seen = confidence.max(1) > 0
    return PoseTrack(
        clip_id=clip.clip_id,
        person_id=PERSON,
        skeleton=name,
        time_ns=time_ns,
        p_image_keypoint=np.where(seen[:, None, None], image[at], np.nan),
        p_relative_keypoint=np.where(seen[:, None, None], relative[at], np.nan)
        if f"{name}_relative" in arrays
        else None,
        confidence=confidence,
    )


def _field(path: Path, arrays, key: str, shape: tuple, label: str | None = None) -> np.ndarray:
    array = arrays.get(key)
    if (
        array is None
        or len(array.shape) != len(shape)
        or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True))
    ):
        raise InputError(
            f"'{label or key}' does not fit",
            asked=path,
            found="missing" if array is None else array.shape,
            valid=f"{shape}; present: {', '.join(sorted(arrays))}",
        )
    return array
