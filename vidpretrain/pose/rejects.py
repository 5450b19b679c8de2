"""Clips that are refused, and why: thresholds are `RejectConfig`, reasons `types.Reason`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidpretrain.pose.body import is_sideways, is_upside_down, real_log_odds
from vidpretrain.pose.observations import BodySighting
from vidpretrain.pose.pictures import Picture
from vidpretrain.pose.reject_config import RejectConfig
from vidpretrain.pose.stillness import motion_of
from vidpretrain.timebase import NS_PER_S
from vidpretrain.types import PoseTrack, Reason, Reject

_PALM = [0, 5, 9, 13, 17]
_MIDDLE = [0, 9, 10, 11, 12]


def refuse_pictures(pictures: Sequence[Picture], config: RejectConfig) -> Reject | None:
    """TOO_DARK or BLURRED, or None where the pictures can be looked at."""
    if not pictures:
        return None
    dark = float(np.mean([p.bright < config.dark_luma for p in pictures]))
    if dark > config.max_dark_share:
        return _refused(Reason.TOO_DARK, f"{dark:.0%} of the frames are dark", f"{config.max_dark_share:.0%} may be")
    sharp = np.array([p.sharpness for p in pictures])
    sharp = sharp[np.isfinite(sharp)]
    blurred = float(np.mean(sharp < config.min_sharpness)) if len(sharp) else 0.0
    if blurred > config.max_blurred_share:
        return _refused(
            Reason.BLURRED, f"{blurred:.0%} of the frames are blurred", f"{config.max_blurred_share:.0%} may be"
        )
    return None


def refuse_people(people: Sequence[Sequence[BodySighting]], config: RejectConfig) -> Reject | None:
    """SEVERAL_PEOPLE, UPSIDE_DOWN or SIDEWAYS, or None; `people` are all of every frame, real or not."""
    counts = np.array([sum(real_log_odds(body, 0.0) > 0 for body in bodies) for bodies in people])
    turned = np.array([any(is_upside_down(body) for body in bodies) for bodies in people])
    lying = np.array([any(is_sideways(body) for body in bodies) for bodies in people])
    somebody = turned | lying | (counts > 0)
    if not somebody.any():
        return None
    for reason, wrong, most, words in (
        (Reason.UPSIDE_DOWN, turned, config.max_upside_down_share, "upside down"),
        (Reason.SIDEWAYS, lying, config.max_sideways_share, "on their side"),
    ):
        over = float(wrong[somebody].mean())
        if over > most and wrong.mean() >= config.min_body_share:
            limit = f"{most:.0%} may be; video.turn_deg turns the pictures"
            return _refused(reason, f"{over:.0%} of the frames with somebody are {words}", limit)
    crowd = float(np.mean(counts > config.max_people))
    if crowd > config.max_crowd_share:
        limit = f"at most {config.max_people} may be, in {config.max_crowd_share:.0%}"
        return _refused(Reason.SEVERAL_PEOPLE, f"{crowd:.0%} of the frames have {counts.max()} people", limit)
    return None


def judge(
    tracks: tuple[PoseTrack, PoseTrack, PoseTrack], config: RejectConfig, width_px: int, height_px: int
) -> tuple[PoseTrack, PoseTrack, PoseTrack] | Reject:
    """The tracks, or the reason why there is not enough of a person in them."""
    left, right, body = (track.found for track in tracks)
    frames = len(body)
    if frames < config.min_frames:
        return _refused(Reason.TOO_SHORT, f"{frames} frames in the clip", f"{config.min_frames} are wanted")
    hand_share, body_share = float(np.mean(left | right)), float(np.mean(body))
    if hand_share < config.min_hand_share and body_share < config.min_body_share:
        detail = f"hands in {hand_share:.0%} and a body in {body_share:.0%} of {frames} frames"
        seen = float(np.mean(left | right | body))
        if seen < min(config.min_hand_share, config.min_body_share):
            return Reject(reason=Reason.NO_PERSON, detail=detail)
        wanted = f"{config.min_hand_share:.0%} or {config.min_body_share:.0%} are wanted"
        return _refused(Reason.HANDS_TOO_RARE, detail, wanted)
    return (
        _too_small(tracks, config, max(width_px, height_px))
        or _out_of_frame(tracks, config, width_px, height_px)
        or _teleporting(tracks, config)
        or _motionless(tracks, config)
        or tracks
    )


def _too_small(tracks, config: RejectConfig, long_side_px: int) -> Reject | None:
    lengths = np.concatenate([_length(track.p_image_keypoint[track.found]) for track in tracks[:2]])
    points = tracks[2].p_image_keypoint[tracks[2].found]
    torsos = np.linalg.norm(points[:, 11:13].mean(1) - points[:, 23:25].mean(1), axis=-1)
    torsos = np.maximum(torsos, np.linalg.norm(points[:, 11] - points[:, 12], axis=-1))
    hand, torso = (float(np.median(x)) / long_side_px if len(x) else 0.0 for x in (lengths, torsos))
    if hand >= config.min_hand_length or torso >= config.min_torso_length:
        return None
    limit = f"{config.min_hand_length:.1%} or {config.min_torso_length:.1%} are wanted"
    return _refused(Reason.TOO_SMALL, f"hands are {hand:.1%} and torsos {torso:.1%} of the long side", limit)


def _out_of_frame(tracks, config: RejectConfig, width_px: int, height_px: int) -> Reject | None:
    seen = tracks[0].found | tracks[1].found | tracks[2].found
    wrists = np.stack(
        [tracks[0].p_image_keypoint[:, 0], tracks[1].p_image_keypoint[:, 0], *_wrists(tracks[2])]
    )  # NaN is nowhere
    inside = np.logical_and(wrists >= 0, wrists < np.array([width_px, height_px])).all(axis=-1)
    share = float(np.any(inside, axis=0)[seen].mean()) if seen.any() else 0.0
    if share >= config.min_inside_share:
        return None
    limit = f"{config.min_inside_share:.0%} are wanted"
    return _refused(Reason.OUT_OF_FRAME, f"a wrist is in the picture in {share:.0%} of the frames with somebody", limit)


def _wrists(body: PoseTrack) -> list[np.ndarray]:
    return [body.p_image_keypoint[:, 15], body.p_image_keypoint[:, 16]]


def _teleporting(tracks, config: RejectConfig) -> Reject | None:
    """Steps between neighbouring frames of the grid; a gap is no step."""
    fast = []
    for track in tracks[:2]:
        p, step_s = track.p_image_keypoint, np.diff(track.time_ns) / NS_PER_S
        both = track.found[1:] & track.found[:-1]
        moved = np.linalg.norm(np.diff(p[:, _PALM], axis=0), axis=-1).mean(-1)[both]
        size = np.maximum(_length(p)[1:], _length(p)[:-1])[both]
        fast.append(moved / np.maximum(size, 1.0) / step_s[both] > config.max_hand_speed)
    steps = np.concatenate(fast)
    share = float(steps.mean()) if len(steps) else 0.0
    if share <= config.max_hand_jumps:
        return None
    limit = f"{config.max_hand_jumps:.0%} may be"
    return _refused(Reason.TELEPORTING, f"{share:.0%} of the hands' steps are faster than hands are", limit)


def _motionless(tracks, config: RejectConfig) -> Reject | None:
    time_ns = np.asarray(tracks[0].time_ns)
    if time_ns[-1] - time_ns[0] < config.still_s * NS_PER_S:
        return None
    moved = max(motion_of(track) for track in tracks)
    if moved >= config.min_motion:
        return None
    return _refused(
        Reason.MOTIONLESS, f"nothing moves more than {moved:.1%} of its size", f"{config.min_motion:.1%} are wanted"
    )


def _length(hands: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(hands[:, _MIDDLE], axis=1), axis=-1).sum(-1)


def _refused(reason: Reason, found: str, limit: str) -> Reject:
    return Reject(reason=reason, detail=f"{found}; {limit}")
