"""The account of a run: nothing lost, nothing counted twice, the furthest refusal names the reason."""

from pathlib import Path

import pytest

from vidpretrain.pipeline.clips import ClipOutcome, Segment, SourceOutcome
from vidpretrain.pipeline.ledger import _ORDER, account
from vidpretrain.types import Clip, Reason, Reject, Source


def source(name):
    return Source(source_id=name, uri=f"/v/{name}.mp4", sha256=name)


def clip(name, index=0):
    return Clip(
        clip_id=f"{name}_c{index}", source_id=name, path="", start_ns=0, exclusive_end_ns=1, width_px=1, height_px=1
    )


def outcome(name, segments=(), reject=None, index=0):
    return ClipOutcome(
        source_id=name,
        clip=clip(name, index),
        frames=1,
        tracks_path=None,
        segments=tuple(segments),
        reject=reject,
        found={},
        seconds={},
        stages={},
    )


def segment(name, ok):
    reject = None if ok else Reject(reason=Reason.POOR_TRACKING, detail="x")
    return Segment(segment_id=name, index=0, motion_path=Path("m"), robot_path=Path("r") if ok else None, reject=reject)


def probed(name, clips=1, reject=None):
    return SourceOutcome(
        source=source(name), info=None, clips=tuple(clip(name, i) for i in range(clips)), reject=reject
    )


def test_every_reason_has_a_rank():
    assert set(_ORDER) == set(Reason)


def test_in_is_accepted_plus_rejected_and_the_furthest_refusal_names_the_reason():
    no_person = Reject(reason=Reason.NO_PERSON, detail="0 of 9")
    ledger = account(
        [
            probed("good"),
            probed("broken", clips=0, reject=Reject(reason=Reason.NOT_A_VIDEO, detail="text")),
            probed("mixed", clips=2),
            probed("died"),
        ],
        [
            outcome("good", [segment("good_s00", True), segment("good_s01", False)]),
            outcome("mixed", reject=no_person),
            outcome("mixed", [segment("mixed_s00", False)], index=1),
        ],
        {"died_c0": Reject(reason=Reason.FAILED, detail="worker")},
    )
    ledger.check(["good", "broken", "mixed", "died"])
    assert [e.source_id for e in ledger.accepted] == ["good"]
    assert ledger.accepted[0].episodes == ("good_s00",)
    assert ledger.reasons() == {"failed": 1, "not_a_video": 1, "poor_tracking": 1}
    plain = ledger.plain()
    assert plain["in"] == plain["accepted"] + plain["rejected"] == 4


def test_what_packing_refuses_is_rejected_and_a_lost_source_is_noticed():
    refused = Reject(reason=Reason.TOO_SHORT, detail="3 rows")
    ledger = account([probed("a")], [outcome("a", [segment("a_s00", True)])], {}, {}, {"a_s00": refused})
    assert ledger.rejected[0].reject == refused
    with pytest.raises(AssertionError, match="lost"):
        ledger.check(["a", "b"])
