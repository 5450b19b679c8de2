"""The account of a run: every source and clip is either in the data set or rejected with one enumerated reason.

in = accepted + rejected, always: `Ledger.check` raises where that does not hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vidpretrain.pipeline.clips import ClipOutcome, SourceOutcome
from vidpretrain.types import Reason, Reject

# How far an item came before it was refused: of several refusals the furthest one names the reason.
_ORDER = {
    reason: rank
    for rank, reason in enumerate(
        [
            *(Reason.NOT_A_VIDEO, Reason.EMPTY_FILE, Reason.UNREADABLE, Reason.TRUNCATED, Reason.TOO_LARGE),
            *(Reason.FAILED, Reason.TOO_SHORT, Reason.TOO_DARK, Reason.BLURRED, Reason.NO_PERSON),
            *(Reason.UPSIDE_DOWN, Reason.SIDEWAYS, Reason.SEVERAL_PEOPLE, Reason.HANDS_TOO_RARE, Reason.TOO_SMALL),
            *(Reason.OUT_OF_FRAME, Reason.TELEPORTING, Reason.MOTIONLESS, Reason.SCALE_UNKNOWN),
            *(Reason.NETWORKS_DISAGREE, Reason.CAMERA_NOT_SOLVED),
            *(Reason.NO_USABLE_SEGMENT, Reason.NOT_CONVERGED, Reason.POOR_TRACKING),
            Reason.NOT_FEASIBLE,
        ]
    )
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One source: how many episodes came of it, and the reason when none did."""

    source_id: str
    uri: str
    license: str
    clips: int
    frames: int
    episodes: tuple[str, ...]
    reject: Reject | None
    clip_rejects: tuple[tuple[str, Reject], ...]


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All sources of a run."""

    entries: tuple[Entry, ...]

    @property
    def accepted(self) -> tuple[Entry, ...]:
        """Sources with at least one episode."""
        return tuple(entry for entry in self.entries if entry.reject is None)

    @property
    def rejected(self) -> tuple[Entry, ...]:
        """Sources with none."""
        return tuple(entry for entry in self.entries if entry.reject is not None)

    def reasons(self) -> dict[str, int]:
        """Number of rejected sources by reason."""
        return dict(sorted(Counter(str(e.reject.reason) for e in self.entries if e.reject is not None).items()))

    def check(self, source_ids: Iterable[str]) -> None:
        """Raise AssertionError unless each source is there exactly once, accepted or rejected."""
        wanted, got = sorted(source_ids), sorted(entry.source_id for entry in self.entries)
        assert wanted == got, f"sources lost or doubled: {set(wanted) ^ set(got)}"
        assert len(self.accepted) + len(self.rejected) == len(got)

    def plain(self) -> dict[str, Any]:
        """The account as JSON data."""
        return {
            "in": len(self.entries),
            "accepted": len(self.accepted),
            "rejected": len(self.rejected),
            "reasons": self.reasons(),
            "sources": [_plain(entry) for entry in self.entries],
        }


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "source_id": entry.source_id,
        "uri": entry.uri,
        "license": entry.license,
        "clips": entry.clips,
        "frames": entry.frames,
        "episodes": list(entry.episodes),
        "reason": None if entry.reject is None else str(entry.reject.reason),
        "detail": None if entry.reject is None else entry.reject.detail,
        "rejected_parts": [{"id": part, "reason": str(r.reason), "detail": r.detail} for part, r in entry.clip_rejects],
    }


def account(
    sources: Sequence[SourceOutcome],
    clips: Sequence[ClipOutcome],
    lost: dict[str, Reject],
    episodes: dict[str, str] | None = None,
    packing_rejects: dict[str, Reject] | None = None,
) -> Ledger:
    """The ledger of a run.

    Args:
        sources, clips: what the stages returned.
        lost: sources or clips (by id) whose worker failed altogether.
        episodes: segment id (with "/" and a number where it became several) to the id of what came of it (an episode,
            or a human motion where a run ends there); None:
            nothing was packed yet, and every robot motion counts as an episode to be.
        packing_rejects: segments (by id) that packing refused.
    """
    entries = []
    for outcome in sources:
        own = [clip for clip in clips if clip.source_id == outcome.source.source_id]
        segments = [segment for clip in own for segment in clip.segments]
        if episodes is None:
            made = [s.segment_id for s in segments if s.robot_path is not None]
        else:
            names = {s.segment_id for s in segments}
            made = [number for key, number in episodes.items() if key.partition("/")[0] in names]
        rejects = [(clip.clip.clip_id, clip.reject) for clip in own if clip.reject is not None]
        rejects += [(s.segment_id, s.reject) for s in segments if s.reject is not None]
        rejects += [(c.clip_id, lost[c.clip_id]) for c in outcome.clips if c.clip_id in lost]
        rejects += [(s.segment_id, r) for s in segments if (r := (packing_rejects or {}).get(s.segment_id))]
        reject = outcome.reject or lost.get(outcome.source.source_id)
        if reject is None and not made:
            nothing = Reject(reason=Reason.NO_USABLE_SEGMENT, detail="no stretch of it gave a motion")
            reject = max((r for _, r in rejects), key=lambda r: _ORDER[r.reason], default=nothing)
        entries.append(
            Entry(
                source_id=outcome.source.source_id,
                uri=outcome.source.uri,
                license=outcome.source.license,
                clips=len(outcome.clips),
                frames=0 if outcome.info is None else outcome.info.frame_count,
                episodes=tuple(made),
                reject=reject,
                clip_rejects=tuple(rejects),
            )
        )
    return Ledger(entries=tuple(entries))
