"""Where the fit expects a network's marks, and how far they are off in the picture: with learned offsets and without.

A fitted point and a network's mark of it are two places where offsets are learned, so reprojection is that of the mark.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vidpretrain import skeletons
from vidpretrain.kinematics import site_poses
from vidpretrain.motion import MotionConfig, project
from vidpretrain.motion.body import trusted
from vidpretrain.motion.build import lift
from vidpretrain.motion.fit_body import fit_body
from vidpretrain.motion.fit_hand import fit_hands
from vidpretrain.motion.learned import RENDERED, marked
from vidpretrain.types import Clip, PoseTrack

_MIDDLE = [0, 9, 10, 11, 12]


def mark_rows(clips: list[tuple[Clip, tuple[PoseTrack, ...]]], row) -> list[dict[str, Any]]:
    """Rows of real clips: reprojection of marks of a fit with the offsets of rendered people and of one without."""
    found = {word: [reprojection(c, t, name) for c, t in clips] for word, name in _WAYS.items()}
    rows = []
    for kind, unit in (("hands", "% of hand"), ("body", "% of torso")):
        for word, values in found.items():
            own = [v[kind] for v in values if np.isfinite(v[kind])]
            if own:
                name = f"real clips ({len(own)}): marks of {kind} off the fit's, {word}"
                rows.append(row(name, float(np.median(own)), unit))
                rows.append(row(f"{name}, mean of the clips", float(np.mean(own)), unit))
    return rows


_WAYS = {"fit": None, "fit, learned offsets": RENDERED}


def reprojection(clip: Clip, tracks: tuple[PoseTrack, ...], offsets: str | None) -> dict[str, float]:
    """Medians over a clip in percent of the hand's and the torso's length, by `hands` and `body`; NaN where none is."""
    named, config = {t.skeleton: t for t in tracks}, MotionConfig(learned_offsets=offsets)
    time_ns, out = np.asarray(tracks[0].time_ns), {"hands": np.nan, "body": np.nan}
    view, camera, body, hands = lift(named, clip, time_ns, config, None)
    config = dataclasses.replace(config, view=view)
    fitted = fit_hands(named, hands, camera, config, view == "third" and body is not None)
    share = []
    if view == "third" and body is not None:
        human = fit_body(named, body, hands, fitted, camera, config)
        tree, ok = marked(human.tree, config), np.isfinite(human.joint_pos[:, 0])
        names = list(skeletons.skeleton("human75").names)
        pixel = np.full((len(ok), 75, 2), np.nan)
        pixel[ok] = project(camera, site_poses(tree, human.joint_pos[ok], human.T_camera_pelvis[ok], names)[..., 4:])
        off = np.linalg.norm(pixel[:, skeletons.BODY_SLICE] - named["body33"].p_image_keypoint, axis=-1)
        image = named["body33"].p_image_keypoint
        torso = np.linalg.norm(image[:, [11, 12]].mean(axis=1) - image[:, [23, 24]].mean(axis=1), axis=-1)
        seen = trusted(named["body33"], camera, config) & ok[:, None]
        out["body"] = _middle([(off / np.fmax(torso, np.nanmedian(torso))[:, None])[seen]])
        for side, part in skeletons.HAND_SLICES.items():
            share.append(_of_hand(named[f"hand21_{side}"], pixel[:, part]))
    else:
        for side, hand in fitted.items():
            pixel = np.full((len(time_ns), 21, 2), np.nan)
            ok, tree = np.isfinite(hand.joint_pos[:, 0]), marked(hand.tree, config)
            names = [f"{side}_hand_{n}" for n in skeletons.HAND_NAMES]
            pixel[ok] = project(camera, site_poses(tree, hand.joint_pos[ok], hand.T_camera_palm[ok], names)[..., 4:])
            share.append(_of_hand(named[f"hand21_{side}"], pixel))
    out["hands"] = _middle(share)
    return out


def _of_hand(track: PoseTrack, pixel: np.ndarray) -> np.ndarray:
    """Distances of all points but the wrist in lengths of the hand."""
    image = track.p_image_keypoint
    length = np.linalg.norm(np.diff(image[:, _MIDDLE], axis=1), axis=-1).sum(axis=1)
    if not np.isfinite(length).any():
        return np.zeros(0)
    off = np.linalg.norm(pixel - image, axis=-1)[:, 1:] / np.fmax(length, np.nanmedian(length))[:, None]
    return off[np.isfinite(off)]


def _middle(parts: list[np.ndarray]) -> float:
    every = np.concatenate(parts) if parts else np.zeros(0)
    every = every[np.isfinite(every)]
    return 100 * float(np.median(every)) if len(every) else float("nan")
