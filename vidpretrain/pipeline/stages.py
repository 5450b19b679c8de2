"""All files and clips of a run through the stages, in worker processes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidpretrain import video
from vidpretrain.pipeline.clips import (
    ClipOutcome,
    ClipTask,
    SourceOutcome,
    SourceTask,
    Until,
    probe_source,
    process_clip,
)
from vidpretrain.pipeline.config import DataConfig
from vidpretrain.pipeline.ledger import Ledger, account
from vidpretrain.pipeline.workers import map_items
from vidpretrain.types import Reject, Source

_STAGES = ("probe", "pose", "camera", "motion", "segments", "robot", "feasibility")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What the stages gave: outcomes in the order of the sources, what was lost to a dying worker, and the time taken.

    `stages` counts (made, reused) results by stage over all workers.
    """

    sources: tuple[SourceOutcome, ...]
    clips: tuple[ClipOutcome, ...]
    lost: dict[str, Reject]
    seconds: float
    stages: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Decodable frames over all sources, rejected ones included."""
        return sum(s.info.frame_count for s in self.sources if s.info is not None)

    @property
    def verdicts(self) -> dict[str, int]:
        """Number of robot motions by feasibility verdict."""
        found = Counter(str(s.verdict) for clip in self.clips for s in clip.segments if s.verdict is not None)
        return dict(sorted(found.items()))

    def ledger(self, episodes: dict[str, str] | None = None, rejects: dict[str, Reject] | None = None) -> Ledger:
        """The account of these outcomes; see `account`."""
        ledger = account(self.sources, self.clips, self.lost, episodes, rejects)
        ledger.check(outcome.source.source_id for outcome in self.sources)
        return ledger


def extract_all(
    sources: Sequence[Source], config: DataConfig, store: Path, until: Until = "robot", progress: Progress | None = None
) -> Extraction:
    """Every source through probe, split, pose, motion, retargeting and feasibility as far as `until`.

    Raises:
        DiskFull: no space left; what was finished is kept.
    """
    start = time.perf_counter()
    lost: dict[str, Reject] = {}
    probed: dict[str, SourceOutcome] = {}
    tasks = [SourceTask(source=source, config=config, store=store) for source in sources]
    for task, result in map_items(probe_source, tasks, config.workers):
        if isinstance(result, Reject):
            lost[task.source.source_id] = result
            result = SourceOutcome(source=task.source, info=None, clips=(), reject=result)
        probed[task.source.source_id] = result
        _tell(progress, "probe", len(probed), len(tasks))
    outcomes = tuple(probed[source.source_id] for source in sources)

    clip_tasks = [
        ClipTask(source=o.source, info=o.info, clip=clip, config=config, store=store, until=until)
        for o in outcomes
        if o.info is not None
        for clip in o.clips
    ]
    clip_tasks.sort(key=lambda t: t.clip.start_ns - t.clip.exclusive_end_ns)  # the longest first: no straggler
    clips: list[ClipOutcome] = []
    for done, (task, result) in enumerate(map_items(process_clip, clip_tasks, config.workers)):
        if isinstance(result, Reject):
            lost[task.clip.clip_id] = result
        else:
            clips.append(result)
        _tell(progress, "clips", done + 1, len(clip_tasks))
    clips.sort(key=lambda outcome: outcome.clip.clip_id)
    return Extraction(
        sources=outcomes,
        clips=tuple(clips),
        lost=lost,
        seconds=time.perf_counter() - start,
        stages=_sum([o.stages for o in outcomes] + [c.stages for c in clips]),
    )


def _tell(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress:
        progress(what, done, total)


def _sum(counts: Sequence[dict[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    made: Counter[str] = Counter()
    reused: Counter[str] = Counter()
    for stages in counts:
        for name, (new, old) in stages.items():
            made[name] += new
            reused[name] += old
    return {name: (made[name], reused[name]) for name in _STAGES if made[name] + reused[name]}


def sources_of(config: DataConfig) -> tuple[Source, ...]:
    """The videos that the configuration names.

    Raises:
        InputError: a path does not exist, or a folder holds no video.
    """
    return video.find_sources(config.video.paths, config.video.license)
