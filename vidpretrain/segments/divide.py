"""From a motion to its activity: grasps, contacts, and the stretches it is divided into, with what is told of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from vidpretrain import skeletons, timebase
from vidpretrain.segments.borders import borders, idle, pace
from vidpretrain.segments.config import SegmentConfig
from vidpretrain.segments.contact import contact
from vidpretrain.segments.grasp import closing
from vidpretrain.segments.narration import Said
from vidpretrain.segments.series import speed
from vidpretrain.types import Activity, HumanMotion, Stretch


def segment(motion: HumanMotion, config: SegmentConfig, said: Sequence[Said] = ()) -> Activity:
    """What both hands do over a motion, divided into stretches; `said` is the video's narration (see `narration_of`).

    A stretch has the words whose time overlaps it most, if half of it or half of the words' time lies in both. Where
    narration exists, its own starts and ends are borders as well, moved to the slowest frame near by.
    """
    time_ns = np.asarray(motion.time_ns)
    step_s = float(np.median(np.diff(time_ns))) / timebase.NS_PER_S if len(time_ns) > 1 else 1 / 30
    wrist, grasp, touch, known = [], [], [], []
    for part in skeletons.HAND_SLICES.values():
        sure = np.asarray(motion.valid[:, part].all(axis=1))
        points = np.where(sure[:, None, None], motion.p_world_keypoint[:, part], np.nan)
        shut = closing(points, sure, step_s, config)
        wrist.append(speed(time_ns, points[:, 0]))
        grasp.append(shut.closed)
        touch.append(np.where(sure, contact(shut, time_ns, points[:, 0]), np.nan))
        known.append(sure)
    speeds, grasps = np.stack(wrist, axis=1), np.stack(grasp, axis=1)
    return Activity(
        clip_id=motion.clip_id,
        time_ns=time_ns,
        wrist_speed_m_s=speeds,
        grasp=grasps,
        contact=np.stack(touch, axis=1),
        known=np.stack(known, axis=1),
        stretches=_stretches(time_ns, speeds, grasps, step_s, said, config),
    )


def _stretches(time_ns, speeds, grasps, step_s: float, said: Sequence[Said], config: SegmentConfig):
    fast = pace(speeds, step_s, config)
    still = idle(fast, grasps, step_s, config)
    least = max(1, round(config.min_s / step_s))
    told = _near(time_ns, fast, said, step_s, config)
    cuts = {0, *told, *(c for c in borders(fast, step_s, config) if all(abs(c - t) >= least for t in told))}
    for start, end in timebase.runs(still):  # no borders inside an idle stretch, and none too near to it
        cuts = {c for c in cuts if not start - least < c < end + least} | {start, end}
    edges = sorted(c for c in cuts | {0} if c < len(time_ns))
    ends = np.append(time_ns, time_ns[-1] + timebase.ns(step_s))
    out = []
    for start, end in zip(edges, [*edges[1:], len(time_ns)], strict=True):
        stretch = Stretch(start_ns=int(ends[start]), exclusive_end_ns=int(ends[end]), idle=bool(still[start:end].all()))
        text = _told(stretch, said)
        out.append(dataclasses.replace(stretch, instruction=text, told_by="narration" if text else ""))
    return tuple(out)


def _near(time_ns, fast, said: Sequence[Said], step_s: float, config: SegmentConfig) -> list[int]:
    """Frames at which narration starts or ends, each moved to the slowest one within a quarter of the half window."""
    reach, out = max(1, round(0.25 * config.half_window_s / step_s)), []
    least = max(1, round(config.min_s / step_s))
    for at_ns in {t for s in said for t in (s.start_ns, s.exclusive_end_ns) if t is not None}:
        at = int(np.searchsorted(time_ns, at_ns))
        if least <= at <= len(time_ns) - least:
            first = max(least, at - reach)
            around = fast[first : min(len(time_ns) - least, at + reach) + 1]
            if np.isfinite(around).any():
                at = first + int(np.nanargmin(around))
            out.append(at)
    return [at for k, at in enumerate(sorted(out)) if k == 0 or at - sorted(out)[k - 1] >= least]


def _told(stretch: Stretch, said: Sequence[Said]) -> str:
    best, text = 0.0, ""
    own = stretch.exclusive_end_ns - stretch.start_ns
    for words in said:
        end = stretch.exclusive_end_ns if words.exclusive_end_ns is None else words.exclusive_end_ns
        shared = min(stretch.exclusive_end_ns, end) - max(stretch.start_ns, words.start_ns)
        length = max(end - words.start_ns, 1)
        if shared > best and (2 * shared >= own or 2 * shared >= length):
            best, text = shared, words.text
    return text


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """Frames of a motion that become one episode: [start_ns, exclusive_end_ns) and the stretches in it, in order."""

    start_ns: int
    exclusive_end_ns: int
    stretches: tuple[Stretch, ...]


def parts(activity: Activity, config: SegmentConfig) -> tuple[Part, ...]:
    """The episodes that a motion becomes: without idle stretches if these are dropped, divided as `split` says."""
    groups: list[list[Stretch]] = []
    last: Stretch | None = None
    for stretch in activity.stretches:
        dropped = stretch.idle and config.drop_idle
        begins = last is None or (last.idle and config.drop_idle) or config.split == "episodes"
        if not dropped and begins:
            groups.append([])
        if not dropped:
            groups[-1].append(stretch)
        last = stretch
    return tuple(
        Part(start_ns=group[0].start_ns, exclusive_end_ns=group[-1].exclusive_end_ns, stretches=tuple(group))
        for group in groups
    )
