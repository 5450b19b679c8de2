"""A clip's path by another tool's trajectory: moved in time, held against the pictures, and with its vertical."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidpretrain import geometry, timebase
from vidpretrain.camera.background import Background
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.imported import JUDGED_RAD, SIGMA, WRONG, best_shift_s, misfit, on_frames, upright
from vidpretrain.camera.path import LEAST_SOLVED, CameraPath, bridge, still_path
from vidpretrain.camera.trajectory import Trajectory
from vidpretrain.camera.turning import turning
from vidpretrain.types import Camera


def imported_path(
    seen: Background, found: Trajectory, camera: Camera, config: CameraConfig, shift_s: float, source: Any
) -> CameraPath:
    """The path by a trajectory; unsolved where its turns are not those of the pictures, or frames have no pose.

    Raises:
        InputError: the trajectory does not cover the clip, or is not in its unit.
    """
    t = len(seen.time_ns)
    step_s = float(np.median(np.diff(seen.time_ns))) / timebase.NS_PER_S if t > 1 else 1 / 30
    poses, known = on_frames(found, seen, shift_s, found.source)
    seen_turns = turning(seen, camera, config)
    solved, detail = np.isfinite(seen_turns.sigma_rad), found.source
    if found.time_s is not None and solved.mean() > 0.5 and t > 10:
        better_s = best_shift_s(found, seen, seen_turns.q_first_camera, solved, shift_s)
        if better_s != shift_s:
            poses, known = on_frames(found, seen, better_s, found.source)
            detail, shift_s = f"{detail}, {better_s - shift_s:+.2f} s in time", better_s
    off, size = misfit(poses, seen_turns.q_first_camera, solved & known, step_s)
    if size > JUDGED_RAD and off > WRONG * size:
        detail += (
            f": its turns are {np.degrees(off):.1f} deg from the background's, which turns by {np.degrees(size):.1f} "
            "deg in .3 s; another video's, another clock, or poses of the world in the camera?"
        )
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", source, detail)
    if known.mean() < LEAST_SOLVED or not known[0]:
        detail += f": poses for {known.mean():.0%} of {t} frames; {LEAST_SOLVED:.0%} are wanted, the first among them"
        return still_path(seen.clip_id, seen.time_ns, camera, "unsolved", source, detail)
    up = found.up_world
    first = upright(found, seen.rotation_deg)[0] if up is None else _first_pose(found, seen, shift_s)
    sigma_rad, sigma_m = (np.where(known, value, np.inf) for value in SIGMA)
    poses, sigma_rad, sigma_m = bridge(seen.time_ns, poses, sigma_rad, sigma_m, config.max_gap_s)
    return CameraPath(
        clip_id=seen.clip_id,
        time_ns=seen.time_ns,
        T_first_camera=poses,
        sigma_rad=sigma_rad,
        sigma_m=sigma_m,
        quality=np.where(known, 1.0, 0.0),
        motion="full",
        source=source,
        camera=camera,
        unit_m=None if found.unit_m is None else 1.0,
        up_first=None if up is None else geometry.rotate(geometry.quat_inverse(first[:4]), up),
        gravity_from="unknown" if up is None else "metadata",
        detail=detail,
    )


def _first_pose(found: Trajectory, seen: Background, shift_s: float) -> np.ndarray:
    """The pose of the clip's first frame in the tool's world (the nearest one: up hardly changes between frames)."""
    poses = upright(found, seen.rotation_deg)
    if found.number is not None:
        return poses[int(np.abs(found.number - (0 if (found.number == 0).any() else 1) - seen.index[0]).argmin())]
    own = np.asarray(found.time_s)
    if own[0] > float(seen.time_ns[-1]) / timebase.NS_PER_S + 1.0:
        own = own - own[0]
    return poses[int(np.abs(own + shift_s - float(seen.time_ns[0]) / timebase.NS_PER_S).argmin())]
