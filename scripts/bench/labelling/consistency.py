"""Real clips, of which no truth exists: what can be checked without it, for the fit and for the parts.

Reprojection of the hands (share of the hand's length, the network's wrist left out), how calm the wrists are, and
whether mirrored landmarks give the mirrored motion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from labelling.errors import of_motions
from labelling.marks import mark_rows
from labelling.real import mirrored, real_clips
from vidpretrain.motion import MotionConfig, build_motion, project
from vidpretrain.types import Clip, PoseTrack, Reject

_MIDDLE = [0, 9, 10, 11, 12]


def real_rows(videos: Path, out: Path) -> list[dict[str, Any]]:
    """Rows over all clips of a folder; none where the folder is not there."""
    from labelling.rows import row

    clips = real_clips(videos, out) if videos.is_dir() else []
    rows = []
    for method in ("fit", "parts") if clips else ():
        found = [_clip(clip, tracks, method) for clip, tracks in clips]
        for name, unit in (("reprojection of hands", "% of hand"), ("wrist acceleration", "m/s2"), ("mirror", "cm")):
            values = [f[name] for f in found if np.isfinite(f[name])]
            if values:
                word = "difference of the mirrored clip's motion" if name == "mirror" else name
                rows.append(row(f"real clips ({len(values)}): {word}, {method}", float(np.median(values)), unit))
                rows.append(row(f"real clips ({len(values)}): {word}, {method}, worst clip", max(values), unit))
    return rows + mark_rows(clips, row)


def _clip(clip: Clip, tracks: tuple[PoseTrack, ...], method: str) -> dict[str, float]:
    config = MotionConfig(method=method)  # type: ignore[arg-type]
    motions = build_motion(tracks, clip, config)
    nothing = {"reprojection of hands": np.nan, "wrist acceleration": np.nan, "mirror": np.nan}
    if isinstance(motions, Reject):
        return nothing
    time_ns = np.asarray(tracks[0].time_ns)
    points = of_motions(motions, time_ns).points
    other = build_motion(mirrored(clip, tracks), clip, config)
    flipped = None if isinstance(other, Reject) else of_motions(other, time_ns).points
    off, jerky, apart = [], [], []
    for side, away in (("left", "right"), ("right", "left")):
        track = next(t for t in tracks if t.skeleton == f"hand21_{side}")
        image = track.p_image_keypoint
        length = np.linalg.norm(np.diff(image[:, _MIDDLE], axis=1), axis=-1).sum(axis=1)
        if np.isfinite(length).any():
            pixel = project(motions[0].camera, points[side])
            share = np.linalg.norm(pixel - image, axis=-1)[:, 1:] / np.fmax(length, np.nanmedian(length))[:, None]
            off.append(share[np.isfinite(share)])
        step_s = float(np.median(np.diff(time_ns))) / 1e9
        jerky.append(np.linalg.norm(np.diff(points[side][:, 0], 2, axis=0), axis=-1) / step_s**2)
        if flipped is not None:
            apart.append(np.linalg.norm(points[side] - flipped[away] * [-1.0, 1.0, 1.0], axis=-1).ravel())
    return {
        "reprojection of hands": 100 * _median(off),
        "wrist acceleration": _median(jerky),
        "mirror": 100 * _median(apart),
    }


def _median(parts: list[np.ndarray]) -> float:
    every = np.concatenate(parts) if parts else np.zeros(0)
    every = every[np.isfinite(every)]
    return float(np.median(every)) if len(every) else float("nan")
