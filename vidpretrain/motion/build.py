"""`build_motion`: three pose tracks of a clip to metric motions in the world, one for each usable stretch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.camera import Background, CameraPath, solve_path
from vidpretrain.motion import bones, clean, gaps
from vidpretrain.motion.body import (
    ARM,
    HIPS,
    SHOULDERS,
    Body,
    clean_body,
    drop_invented,
    drop_strangers,
    fuse_wrists,
    lift_body,
)
from vidpretrain.motion.camera import camera_for
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.fit import assumptions, fit_human
from vidpretrain.motion.ground import stand_on_floor
from vidpretrain.motion.hands import Hand, clean_hand, lift_hand
from vidpretrain.motion.moving import body_in_world, hand_in_world, head_pose, mean_pose, poses_of, widened, with_path
from vidpretrain.motion.rejects import refuse
from vidpretrain.motion.scale import scaled
from vidpretrain.motion.view import decide_view
from vidpretrain.motion.world import World, foot_contact, root_pose, world_for
from vidpretrain.pose.reject_config import USUAL, RejectConfig
from vidpretrain.types import Camera, Clip, HumanMotion, PoseTrack, Reason, Reject

TRACKS = ("hand21_left", "hand21_right", "body33")


def build_motion(
    tracks: Sequence[PoseTrack],
    clip: Clip,
    config: MotionConfig,
    metadata: Mapping[str, Any] | None = None,
    seen: Background | CameraPath | None = None,
    rejects: RejectConfig = USUAL,
) -> tuple[HumanMotion, ...] | Reject:
    """One `HumanMotion` (human75, world frame, metres) for each stretch with a hand or an arm, in order of time.

    `tracks` are hand21_left, hand21_right and body33 on one time grid, `metadata` what the file says of its lens
    (see `camera_for`), `seen` what its background did or its camera's path (None: the camera stands still). A bad clip
    comes back as a Reject by `rejects` (TOO_SHORT, TELEPORTING, SCALE_UNKNOWN, NETWORKS_DISAGREE, CAMERA_NOT_SOLVED,
    HANDS_TOO_RARE, NO_USABLE_SEGMENT).

    Raises:
        ValueError: the tracks are not these three, or their times differ or do not increase.
    """
    named = _named(tracks)
    time_ns = np.asarray(named["body33"].time_ns)
    length_s = (clip.exclusive_end_ns - clip.start_ns) / timebase.NS_PER_S
    if len(time_ns) < 4 or length_s < config.min_segment_s:
        detail = f"{len(time_ns)} frames, {length_s:.2f} s; a segment needs {config.min_segment_s} s and 4 frames"
        return Reject(reason=Reason.TOO_SHORT, detail=detail)
    view, camera, body, hands = lift(named, clip, time_ns, config, metadata)
    if (refused := refuse(named, camera, view, body is not None, config, rejects)) is not None:
        return refused
    figures = assumptions(camera, config)
    path = solve_path(seen, camera, config.camera, view, metadata) if isinstance(seen, Background) else seen
    if isinstance(path, Reject):
        return path
    ruler = _as_far_as_fitted(named, body, hands, camera, path, view, time_ns, config)
    path = scaled(path, ruler, hands)
    camera = with_path(camera, path)
    if config.method == "fit":
        up_first = None if path is None else path.up_first
        fitted = fit_human(named, body, hands, camera, view, time_ns, config, up_first)
        body, hands, camera, figures = fitted.body, fitted.hands, fitted.camera, fitted.figures
    elif body is not None:
        body, hands = fuse_wrists(body, hands, time_ns, config)
        world = _world(body, hands, camera, path, view, config)
        T_world_camera = geometry.compose(world.T_world_camera, poses_of(camera, len(time_ns)))
        body, hands = stand_on_floor(body, hands, T_world_camera, time_ns, config)
    whole = _assemble(clip, time_ns, body, hands, camera, path, view, config)
    whole = gaps.impute(dataclasses.replace(whole, figures=figures), config.gaps)
    return _segments(whole, config)


def _as_far_as_fitted(named, body: Body | None, hands, camera: Camera, path, view: str, time_ns, config) -> Body | None:
    """The body that a path's scale is taken from: as far away as a fit has it, as one that was lifted is too far."""
    if body is None or path is None or path.unit_m is not None or not path.moves or config.method != "fit":
        return body
    along = with_path(camera, scaled(path, body, hands))
    fitted = fit_human(named, body, hands, along, view, time_ns, config).body
    trunk = [*SHOULDERS, *HIPS]
    if fitted is None or not (both := fitted.seen[:, trunk] & body.seen[:, trunk]).any():
        return body
    own, other = (np.linalg.norm(b.p_camera[:, trunk], axis=-1)[both] for b in (fitted, body))
    return dataclasses.replace(body, p_camera=float(np.median(own / other)) * body.p_camera)


def _named(tracks: Sequence[PoseTrack]) -> dict[str, PoseTrack]:
    named = {track.skeleton: track for track in tracks}
    if sorted(named) != sorted(TRACKS) or len(tracks) != len(TRACKS):
        raise ValueError(f"tracks are {', '.join(TRACKS)}; found {', '.join(t.skeleton for t in tracks)}")
    times = named["body33"].time_ns
    if any(not np.array_equal(track.time_ns, times) for track in tracks):
        raise ValueError("the three tracks share one time grid; their time_ns differ")
    if (np.diff(times) <= 0).any():
        raise ValueError("time_ns increases from frame to frame; it does not")
    return named


def lift(named: dict[str, PoseTrack], clip: Clip, time_ns: np.ndarray, config: MotionConfig, metadata):
    """View, camera, body (None in ego view, or where there is none) and hands, all in the camera frame."""
    camera = camera_for(clip, config, metadata, "third")
    lengths = bones.hand_lengths(config.person_height_m)
    hands = {side: lift_hand(named[f"hand21_{side}"], camera, side, config) for side in skeletons.SIDES}
    body = None
    if config.view != "ego":
        body = clean_body(drop_invented(lift_body(named["body33"], camera, config), hands, config), time_ns, config)
        hands = drop_strangers(hands, body, config)
    view = config.view
    if view == "auto":
        view = decide_view(named, clip, 0.0 if body is None else float(body.found.mean()))
    if view == "ego":
        camera, body = camera_for(clip, config, metadata, "ego"), None
        hands = {side: lift_hand(named[f"hand21_{side}"], camera, side, config) for side in skeletons.SIDES}
    for side in skeletons.SIDES:
        confidence = np.nan_to_num(named[f"hand21_{side}"].confidence).mean(axis=1)
        hands[side] = clean_hand(hands[side], time_ns, confidence, lengths, config)
    return view, camera, body if body is not None and body.found.any() else None, hands


def _world(body: Body | None, hands, camera: Camera, path: CameraPath | None, view: str, config: MotionConfig) -> World:
    moving = camera.T_world_camera
    return world_for(
        None if body is None else body_in_world(body, camera),
        view,
        hands,
        config,
        None if path is None else path.up_first,
        geometry.IDENTITY_POSE if moving is None else mean_pose(moving),
    )


def _assemble(clip, time_ns, body: Body | None, hands: dict[str, Hand], camera, path, view, config) -> HumanMotion:
    t = len(time_ns)
    world = _world(body, hands, camera, path, view, config)
    p, sigma = np.full((t, 75, 3), np.nan), np.full((t, 75), np.nan)
    valid, imputed = np.zeros((t, 75), dtype=bool), np.zeros((t, 75), dtype=bool)
    root, contact = np.full((t, 7), np.nan), np.zeros((t, 2))
    if body is not None:
        p_body = geometry.transform(world.T_world_camera, body_in_world(body, camera).p_camera)
        root, contact = root_pose(p_body, body), foot_contact(p_body, body, time_ns)
        p[:, skeletons.BODY_SLICE], sigma[:, skeletons.BODY_SLICE] = p_body, widened(body.sigma_m, body.p_camera, path)
        valid[:, skeletons.BODY_SLICE], imputed[:, skeletons.BODY_SLICE] = body.seen, body.imputed
    for side, part in skeletons.HAND_SLICES.items():
        hand = hands[side]
        p[:, part] = geometry.transform(world.T_world_camera, hand_in_world(hand, camera))
        # on a body the hand hangs on the fused wrist; alone its depth is as doubtful as its size and the lens
        alone = np.hypot(hand.sigma_m, hand.sigma_depth_m / np.sqrt(3.0))
        on_body = hand.seen & (body.found if body is not None else False)
        own = np.repeat(np.where(on_body, hand.sigma_m, alone)[:, None], 21, axis=1)
        own = own if hand.sigma_point_m is None else hand.sigma_point_m
        sigma[:, part] = widened(own, hand.p_camera, path)
        valid[:, part], imputed[:, part] = hand.seen[:, None], hand.imputed[:, None]
    valid &= np.isfinite(p).all(-1)
    if path is not None and path.moves:
        valid &= np.isfinite(path.sigma_rad)[:, None]  # nobody knows where the camera was
    T_world_camera = geometry.compose(world.T_world_camera, poses_of(camera, t))
    worn = view == "ego" and path is not None and path.motion != "unsolved"
    return HumanMotion(
        clip_id=clip.clip_id,
        skeleton="human75",
        time_ns=time_ns,
        T_world_root=root,
        p_world_keypoint=np.where(valid[..., None], p, np.nan),
        sigma_m=np.where(valid, sigma, np.nan),
        valid=valid,
        imputed=imputed & valid,
        contact=contact,
        height_m=config.person_height_m,
        height_from="assumed" if config.height_m is None else "given",
        view=view,
        body_seen=body is not None,
        camera=dataclasses.replace(camera, T_world_camera=T_world_camera, gravity_from=world.gravity_from),
        T_world_head=head_pose(T_world_camera, config.ego_pitch_deg) if worn else None,
    )


def usable_sides(motion: HumanMotion) -> np.ndarray:
    """(t 2) frames in which the left or right hand, or that arm of the body, may be used."""
    out = np.zeros((len(motion.time_ns), 2), dtype=bool)
    for column, side in enumerate(skeletons.SIDES):
        hand = motion.valid[:, skeletons.HAND_SLICES[side]].all(axis=1)
        out[:, column] = hand | motion.valid[:, ARM[side]].all(axis=1)
    return out


def _segments(whole: HumanMotion, config: MotionConfig) -> tuple[HumanMotion, ...] | Reject:
    usable = np.asarray(usable_sides(whole).any(axis=1))
    share = float(usable.mean())
    if share < config.min_usable_share:
        detail = f"a hand or an arm in {share:.1%} of {len(usable)} frames; at least {config.min_usable_share:.0%}"
        return Reject(reason=Reason.HANDS_TOO_RARE, detail=detail)
    # what is too short to fill was filled by now; bridge the same gaps where both sides come and go in turn
    usable |= clean.fillable(usable, clean.longest_gap(whole.time_ns, config))
    step_ns = timebase.ns(clean.frame_step_s(whole.time_ns))
    stretches = timebase.runs(usable)
    lengths = [
        (whole.time_ns[end - 1] - whole.time_ns[start] + step_ns) / timebase.NS_PER_S for start, end in stretches
    ]
    kept = [
        s for s, length in zip(stretches, lengths, strict=True) if length >= config.min_segment_s and s[1] - s[0] >= 4
    ]
    if not kept:
        detail = f"longest of {len(stretches)} stretches {max(lengths):.2f} s; a segment needs {config.min_segment_s} s"
        return Reject(reason=Reason.NO_USABLE_SEGMENT, detail=detail)
    return tuple(cut(whole, start, end, f"{whole.clip_id}_s{i:02d}") for i, (start, end) in enumerate(kept))


def cut(motion: HumanMotion, start: int, end: int, clip_id: str) -> HumanMotion:
    """Frames [start, end) of a motion under another name."""
    part = slice(start, end)
    pose, head = motion.camera.T_world_camera, motion.T_world_head
    fields = ("time_ns", "T_world_root", "p_world_keypoint", "sigma_m", "valid", "imputed", "contact")
    return dataclasses.replace(
        motion,
        clip_id=clip_id,
        camera=dataclasses.replace(motion.camera, T_world_camera=None if pose is None else pose[part]),
        T_world_head=None if head is None else head[part],
        **{name: getattr(motion, name)[part] for name in fields},
    )
