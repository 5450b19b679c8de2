"""Longer gaps of a motion: hands and the body where nothing was seen, imputed from both sides and marked.

What is interpolated is a root and the vectors along the bones, which then keep their lengths: on real motions wrists
come out a tenth nearer than with points interpolated one by one. A hand whose wrist the body still shows hangs on it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.motion import bones, clean, kriging
from vidpretrain.motion.gap_config import GapConfig
from vidpretrain.types import HumanMotion

_AT = skeletons.skeleton("body33").index
_HIPS, _SHOULDERS = ([_AT(f"{side}_{part}") for side in skeletons.SIDES] for part in ("hip", "shoulder"))
_WRIST = {side: _AT(f"{side}_wrist") for side in skeletons.SIDES}
_ARM = {side: [_AT(f"{side}_{part}") for part in ("shoulder", "elbow", "wrist")] for side in skeletons.SIDES}
_PALM = {side: [_AT(f"{side}_{part}") for part in ("pinky", "index", "thumb")] for side in skeletons.SIDES}
_PALM_HAND = [17, 5, 2]  # the hand's points that the body's pinky, index and thumb are
_PELVIS, _CHEST = 33, 34  # virtual points: middles of hips and shoulders


def _body_parents() -> np.ndarray:
    """(35) parents of the body's points and of two virtual ones; the chest is the root."""
    parent = np.full(35, _CHEST)
    parent[_CHEST] = -1
    for side in skeletons.SIDES:
        chain = {"elbow": "shoulder", "wrist": "elbow", "pinky": "wrist", "index": "wrist", "thumb": "wrist"}
        chain |= {"knee": "hip", "ankle": "knee", "heel": "ankle", "foot_index": "ankle"}
        parent[_AT(f"{side}_hip")] = _PELVIS
        for child, above in chain.items():
            parent[_AT(f"{side}_{child}")] = _AT(f"{side}_{above}")
    return parent


_BODY_PARENT = _body_parents()


@dataclass(frozen=True)
class Gap:
    """Frames [start, end) without evidence and the frames with it that they are imputed from."""

    start: int
    end: int
    around: np.ndarray

    @property
    def frames(self) -> slice:
        """The gap's own frames."""
        return slice(self.start, self.end)


def gaps_of(seen: Bool[np.ndarray, " t"], time_ns: np.ndarray, config: GapConfig) -> list[Gap]:
    """The gaps to impute: longer than `fill_max_s`, at most `impute_max_s`, with evidence on both sides."""
    step_s, time_s, out = clean.frame_step_s(time_ns), timebase.seconds(time_ns), []
    context = _context(config, step_s)
    for start, end in timebase.runs(~np.asarray(seen)):
        length_s = (end - start) * step_s
        if start == 0 or end == len(seen) or not config.fill_max_s + 1e-6 < length_s <= config.impute_max_s + 1e-6:
            continue
        near = np.arange(max(0, start - context), min(len(seen), end + context))
        near = near[seen[near]]
        near = near[
            (time_s[near] > time_s[start] - 2 * config.context_s) & (time_s[near] < time_s[end] + config.context_s)
        ]
        if (near < start).any() and (near >= end).any():
            out.append(Gap(start, end, near))
    return out


def _context(config: GapConfig, step_s: float) -> int:
    return max(1, round(config.context_s / step_s))


def impute(motion: HumanMotion, config: GapConfig) -> HumanMotion:
    """The motion with longer gaps of the body and of each hand imputed: finite, valid, `imputed`, sigma widened.

    A body that the fit carried through a gap by its hands stays as it is.
    """
    made = _Made.of(motion)
    time_ns, pose, alone = np.asarray(motion.time_ns), motion.camera.T_world_camera, not motion.body_seen
    real = motion.valid & ~motion.imputed
    body = np.asarray(real[:, skeletons.BODY_SLICE].any(axis=1))
    hands = {side: np.asarray(real[:, part].all(axis=1)) for side, part in skeletons.HAND_SLICES.items()}
    for gap in gaps_of(body, time_ns, config) if body.any() else ():
        held = [side for side in skeletons.SIDES if hands[side][gap.frames].any()]
        if not held or not motion.valid[gap.frames, : skeletons.BODY_SLICE.stop].any():
            _fill_body(made, gap, time_ns, body, held, pose, config)
    for side, seen in hands.items():
        for gap in gaps_of(seen, time_ns, config) if seen.any() else ():
            _fill_hand(made, gap, time_ns, seen, side, np.asarray(real[:, _WRIST[side]]), pose, alone, config)
    return dataclasses.replace(
        motion,
        p_world_keypoint=np.where(made.valid[..., None], made.p, np.nan),
        sigma_m=np.where(made.valid, made.sigma, np.nan),
        valid=made.valid,
        imputed=made.imputed & made.valid,
        T_world_root=made.root,
        contact=made.contact,
    )


@dataclass(frozen=True)
class _Made:
    """Arrays of a motion that are written into, its own copies."""

    p: np.ndarray
    sigma: np.ndarray
    valid: np.ndarray
    imputed: np.ndarray
    root: np.ndarray
    contact: np.ndarray

    @classmethod
    def of(cls, motion: HumanMotion) -> _Made:
        names = ("p_world_keypoint", "sigma_m", "valid", "imputed", "T_world_root", "contact")
        return cls(*(np.array(getattr(motion, name)) for name in names))

    def put(self, rows: np.ndarray, points: np.ndarray, p: np.ndarray, sigma: np.ndarray) -> None:
        """Imputed values (rows, points, 3) and their sigma, which is never less than it was."""
        cells = rows[:, None], points[None]
        self.p[cells], self.sigma[cells] = p, np.fmax(self.sigma[cells], sigma)
        self.valid[cells], self.imputed[cells] = True, True


def _fill_body(made: _Made, gap: Gap, time_ns, seen, held: list[str], pose, config: GapConfig) -> None:
    """Impute every point that is valid at both ends of the gap, but for the arms of sides whose hand is seen."""
    p, own = made.p[:, :33].copy(), np.arange(33)
    usable = made.valid[gap.start - 1, own] & made.valid[gap.end, own]
    for side in held:
        usable[[_AT(f"{side}_elbow"), _WRIST[side], *_PALM[side]]] = False
    if not usable[_SHOULDERS].all():
        return
    for k in own[usable]:  # a point that is missing for a moment on either side is no reason to leave it out
        p[:, k] = clean.interpolate_gaps(time_ns, p[:, k], np.isfinite(p[:, k, 0]))
    whole = np.concatenate([p, p[:, _HIPS].mean(axis=1)[:, None], p[:, _SHOULDERS].mean(axis=1)[:, None]], axis=1)
    usable = np.append(usable, [usable[_HIPS].all(), True])
    for k in _order(_BODY_PARENT):
        usable[k] &= _BODY_PARENT[k] < 0 or usable[_BODY_PARENT[k]]
    doubt = float(np.nanmean(made.sigma[[gap.start - 1, gap.end]][:, _SHOULDERS]))
    ray = _ray(pose, whole[:, _CHEST], gap)
    filled, spread = chain(whole, _BODY_PARENT, usable, gap, time_ns, seen, config, doubt, ray)
    rows, keep = np.arange(gap.start, gap.end), np.flatnonzero(usable[:33])
    made.valid[gap.frames, :33] = False
    made.put(rows, keep, filled[:, keep], np.hypot(_between(made.sigma[:, keep], gap, time_ns), spread[:, keep]))
    ends = [gap.start - 1, gap.end]
    offset = timebase.interpolate(time_ns[ends], made.root[ends, 4:] - whole[ends, _CHEST], time_ns[gap.frames])
    turn = timebase.interpolate_pose(time_ns[ends], made.root[ends], time_ns[gap.frames])[:, :4]
    made.root[gap.frames] = geometry.pose(turn, filled[:, _CHEST] + offset)
    made.contact[gap.frames] = _between(made.contact, gap, time_ns)


def _fill_hand(made: _Made, gap: Gap, time_ns, seen, side: str, shown, pose, alone, config: GapConfig) -> None:
    """Impute a hand; it hangs on the body's wrist where that is valid all through, seen (`shown`) or imputed."""
    part, wrist = skeletons.HAND_SLICES[side], _WRIST[side]
    points = made.p[:, part]
    hung = bool(made.valid[gap.start - 1 : gap.end + 1, wrist].all())
    doubt = float(np.nanmean(made.sigma[[gap.start - 1, gap.end], part.start]))
    every, ray = np.ones(21, dtype=bool), _ray(pose, points[:, 0], gap)
    filled, spread = chain(points, bones.HAND_PARENT, every, gap, time_ns, seen, config, doubt, ray, alone)
    sigma = np.hypot(_between(made.sigma[:, part], gap, time_ns), spread)
    rows = np.arange(gap.start, gap.end)
    if hung and not shown[gap.frames].any():
        filled += _arm_to_hand(made, gap, time_ns, side, filled[:, 0])[:, None]
    elif hung:
        filled += (made.p[gap.frames, wrist] - filled[:, 0])[:, None]
        about = points - points[:, :1]
        spread = chain(about, bones.HAND_PARENT, every, gap, time_ns, seen, config)[1]
        on_wrist = np.hypot(made.sigma[gap.frames, wrist][:, None], spread)
        sigma = np.where(shown[gap.frames, None], on_wrist, sigma)
    made.put(rows, np.arange(part.start, part.stop), filled, sigma)
    if hung:
        made.put(rows, np.array(_PALM[side]), filled[:, _PALM_HAND], sigma[:, _PALM_HAND])


def _arm_to_hand(made: _Made, gap: Gap, time_ns, side: str, p_wrist: np.ndarray) -> np.ndarray:
    """Take an imputed arm to the hand's own way (g 3), lengths kept; returns how far (g 3) the hand is out of reach.

    Across an arm's bones the depths of four points add up, and the hand knows its own way better.
    """
    shoulder, elbow, wrist = _ARM[side]
    ends = [gap.start - 1, gap.end]
    upper_m, fore_m = (
        timebase.interpolate(
            time_ns[ends], np.linalg.norm(made.p[ends, a] - made.p[ends, b], axis=1), time_ns[gap.frames]
        )
        for a, b in ((shoulder, elbow), (elbow, wrist))
    )
    start = made.p[gap.frames, shoulder]
    middle, end = geometry.two_link(start, p_wrist, upper_m, fore_m, made.p[gap.frames, elbow] - start)
    made.p[gap.frames, elbow], made.p[gap.frames, wrist] = middle, end
    return end - p_wrist


def _between(values, gap: Gap, time_ns) -> np.ndarray:
    """Values (g ...) in the gap, linearly between those at its ends."""
    ends = [gap.start - 1, gap.end]
    return timebase.interpolate(time_ns[ends], values[ends], time_ns[gap.frames])


def chain(
    points, parent, usable, gap: Gap, time_ns, seen, config: GapConfig, sigma_m: float = 0.0, ray=None, alone=False
):
    """(points (g k 3), their spread (g k)) in the gap: the root and the bones' vectors interpolated, lengths kept.

    `parent` (k) is negative for the root; points (t k 3) that are not `usable` (k) stay zero; `sigma_m` is what the
    labels say of themselves. Along `ray` (3), the unit vector away from the camera, they wander, and slopes count
    little; across it, and in all directions where a hand is `alone` (its size tells its depth), they tremble, and are
    smoothed. Without a ray, or without noise, the mixture goes through them as they are.
    """
    step_s, time_s = clean.frame_step_s(time_ns), timebase.seconds(time_ns)
    made = kriging.bridge(time_s[gap.around], time_s[gap.frames])
    series = np.where(parent[:, None] >= 0, points - points[:, parent], points)
    chosen = np.flatnonzero(usable)
    finite = seen & np.isfinite(points[:, chosen]).all(axis=(1, 2))
    value, spread = np.zeros((gap.end - gap.start, len(parent), 3)), np.zeros((gap.end - gap.start, len(parent)))
    for axes, noise_m, trembles in _axes(ray, alone, sigma_m, config):  # (c 3) each
        around = [part[gap.around][:, chosen] @ axes.T for part in (series, points)]
        if trembles:
            ends = int(np.searchsorted(gap.around, gap.start)) - 1, int(np.searchsorted(gap.around, gap.end))
            known_s, query_s = time_s[gap.around], time_s[gap.frames]
            both = [kriging.smoothed(known_s, part, query_s, ends, noise_m) for part in around]
        else:
            steady = np.nan_to_num(points[:, chosen]) @ axes.T
            share = kriging.shares(steady, finite, step_s, made, gap.around, noise_m)
            both = [kriging.estimate(made, part, share) for part in around]
        value[:, chosen] += both[0].value @ axes
        spread[:, chosen] = np.sqrt(spread[:, chosen] ** 2 + len(axes) / 3.0 * both[1].sigma ** 2)
    length = _between(np.linalg.norm(series, axis=-1), gap, time_ns)
    out = np.zeros_like(value)
    for k in _order(parent):
        if parent[k] < 0:
            out[:, k] = value[:, k]
        elif usable[k]:
            out[:, k] = out[:, parent[k]] + geometry.normalize(value[:, k]) * length[:, k, None]
    return out, spread


def _axes(ray, alone: bool, sigma_m: float, config: GapConfig) -> list[tuple[np.ndarray, float, bool]]:
    """(axes (c 3), how uncertain they are in metres, whether that is a tremble) by groups that are alike."""
    if ray is None or sigma_m == 0.0:
        return [(np.eye(3), config.end_noise * sigma_m, False)]
    same = config.end_noise * sigma_m
    along, across = (same, same) if alone else config.noise_along_and_across(sigma_m)
    beside = geometry.normalize(np.cross(ray, np.eye(3)[np.argmin(np.abs(ray))]))
    return [(ray[None], along, alone), (beside[None], across, True), (np.cross(ray, beside)[None], across, True)]


def _ray(pose, p: np.ndarray, gap: Gap) -> np.ndarray | None:
    """Unit vector from the camera (poses (t 7) or None) to a point (t 3), by the frames at the gap's ends."""
    if pose is None:
        return None
    ends = [gap.start - 1, gap.end]
    way = (p[ends] - np.broadcast_to(pose, (len(p), 7))[ends, 4:]).mean(axis=0)
    return geometry.normalize(way) if np.isfinite(way).all() and np.linalg.norm(way) > 1e-6 else None


def _order(parent: np.ndarray) -> list[int]:
    """Points, each after its parent."""
    depth = np.zeros(len(parent), dtype=int)
    for k in range(len(parent)):
        above = int(parent[k])
        while above >= 0:
            depth[k], above = depth[k] + 1, int(parent[above])
    return np.argsort(depth, kind="stable").tolist()
