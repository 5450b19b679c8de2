"""The verdict in a data set: a line per episode, columns without NaN, and a check that notices what does not fit."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from vidpretrain.dataset import DatasetConfig, DatasetWriter, check_dataset, episode_feasibility, is_at_least, too_bad
from vidpretrain.dataset import open_dataset as open_it
from vidpretrain.dataset.feasibility import FILE, MEASURED, MEASURES
from vidpretrain.errors import DatasetError
from vidpretrain.feasibility import Feasibility, Finding, Flaw, Verdict
from vidpretrain.types import Reason


def found(frames: int, verdict: Verdict = Verdict.DOUBTFUL) -> Feasibility:
    """A motion on a fixed base that is never judged for balance, with a wrist that is off now and then."""
    arrays = {}
    for field in dataclasses.fields(Feasibility):
        if "ndarray" in str(field.type):
            shape = (frames, 2) if "t 2" in str(field.type) else (frames, 3) if "t j" in str(field.type) else (frames,)
            arrays[field.name] = np.full(shape, 0.25)
    arrays["balance_m"] = np.full(frames, np.nan)
    arrays["collision_m"] = np.linspace(0.0, 0.02, frames)
    arrays["playable"] = arrays["collision_m"] < 0.015
    finding = Finding(
        flaw=Flaw.WRIST_ERROR, frames=3, share=0.2, worst=0.08, limit=0.05, unit="m", where="left", counts=True
    )
    return Feasibility(
        clip_id="c",
        robot_name="toy",
        robot_digest="d",
        rate_hz=30.0,
        whole_body=False,
        verdict=verdict,
        findings=() if verdict is Verdict.FEASIBLE else (finding,),
        **arrays,
    )


@pytest.fixture
def write(spec, episode_maker, tmp_path):
    def make(columns: bool = True, lengths=(12, 7)):
        names = tuple(found(3).frame_columns()) if columns else ()
        root = tmp_path / f"judged_{columns}"
        with DatasetWriter(root, spec, 30.0, (48, 64), config=DatasetConfig(), measures=names) as writer:
            for seed, length in enumerate(lengths):
                whole = found(length + 5, Verdict.FEASIBLE if seed else Verdict.DOUBTFUL)
                part = episode_feasibility(whole, slice(2, 2 + length))
                writer.add_episode(*episode_maker(length, seed), feasibility=part)
        return root

    return make


def test_the_lines_say_what_was_found_and_of_which_frames(write):
    root = write(columns=False)
    dataset = open_it(root)
    first, second = dataset.feasibility
    assert (first["verdict"], second["verdict"]) == ("doubtful", "feasible")
    assert first["reasons"] == ["wrist_error"]
    assert (first["first_row"], first["rows"], first["frames"]) == (2, 12, 17)
    assert first["measures"]["balance_m"] is None
    report = check_dataset(root)
    assert report["problems"] == []
    assert report["verdicts"] == {"doubtful": 1, "feasible": 1}
    assert MEASURES not in dataset.features


def test_columns_are_the_measures_of_the_episodes_own_rows_and_hold_no_nan(write):
    root = write()
    dataset = open_it(root)
    names = dataset.features[MEASURES]["names"]
    assert dataset.features[MEASURES] == {"dtype": "float32", "shape": [len(names)], "names": names}
    assert dataset.features[MEASURED] == {"dtype": "bool", "shape": [len(names)], "names": names}
    columns = dataset.columns(0)
    expected = found(17).frame_columns()
    for k, name in enumerate(names):
        value, known = columns[MEASURES][:, k], columns[MEASURED][:, k]
        wanted = expected[name][2:14]
        assert np.array_equal(known, np.isfinite(wanted)), name
        assert np.array_equal(value[known], wanted[known]), name
        assert not value[~known].any(), name
    assert not columns[MEASURED][:, names.index("balance_m")].any()
    assert check_dataset(root)["problems"] == []
    # what LeRobot's reader goes by: every feature that is no video is a column, with a width and statistics
    table = pq.read_table(next((root / "data").glob("*/*.parquet")))
    stats = json.loads((root / "meta/stats.json").read_text())
    for key in (MEASURES, MEASURED):
        assert table.schema.field(key).type.list_size == len(names)
        assert len(stats[key]["mean"]) == len(names)
        assert np.isfinite(stats[key]["max"]).all()
        assert not key.startswith(("observation", "action"))  # or a policy would be fed with it


def edit(root, change):
    path = root / FILE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = change(lines) or lines
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: lines[:1], "1 lines for 2 episodes"),
        (lambda lines: lines[::-1], "of episode 1, expected 0"),
        (lambda lines: lines[0].update(rows=3), "3 rows, the episode has 12"),
        (lambda lines: lines[0].update(frames=4), "of 4 frames"),
        (lambda lines: lines[0].update(verdict="fine"), "unknown verdict 'fine'"),
        (lambda lines: lines[0].update(verdict="feasible"), "does not fit its reasons"),
        (lambda lines: lines[0].update(reasons=[]), "not its findings that count"),
        (lambda lines: lines[1].update(playable_share=1.5), "playable share of 1.5"),
        (lambda lines: lines[1].pop("verdict") and None, "verdict missing"),
    ],
)
def test_check_notices_lines_that_do_not_fit(write, change, complaint):
    root = write(columns=False)
    edit(root, change)
    assert any(complaint in problem for problem in check_dataset(root)["problems"])


def test_check_notices_a_missing_and_a_broken_file(write):
    root = write(columns=False)
    (root / FILE).write_text("{not json\n")
    assert any("not valid JSON lines" in problem for problem in check_dataset(root)["problems"])
    (root / FILE).unlink()
    assert any(f"{FILE} is missing" in problem for problem in check_dataset(root)["problems"])


def test_a_data_set_that_nobody_assessed_has_no_such_file_and_no_problem(write_toy):
    root = write_toy()
    assert not (root / FILE).exists()
    assert check_dataset(root)["problems"] == []
    assert open_it(root).feasibility == ()


def test_all_episodes_are_assessed_or_none_and_by_the_same_measures(spec, episode_maker, tmp_path):
    part = episode_feasibility(found(12), slice(0, 12))
    with DatasetWriter(tmp_path / "a", spec, 30.0, (48, 64)) as writer:
        writer.add_episode(*episode_maker(12, 0), feasibility=part)
        with pytest.raises(DatasetError, match="all episodes of a data set are assessed or none"):
            writer.add_episode(*episode_maker(12, 1))
        with pytest.raises(DatasetError, match="do not match"):
            writer.add_episode(*episode_maker(9, 1), feasibility=part)
    assert len(open_it(tmp_path / "a")) == 1
    writer = DatasetWriter(tmp_path / "b", spec, 30.0, (48, 64), measures=("height",))
    with pytest.raises(DatasetError, match="other measures"):
        writer.add_episode(*episode_maker(12, 0), feasibility=part)
    with pytest.raises(DatasetError, match="was not assessed"):
        writer.add_episode(*episode_maker(12, 0))
    writer.abort()


def test_verdicts_have_an_order():
    assert is_at_least("feasible", "doubtful")
    assert is_at_least(Verdict.DOUBTFUL, "doubtful")
    assert not is_at_least("infeasible", Verdict.DOUBTFUL)


def test_what_is_worse_than_asked_for_is_rejected_with_what_counts_against_it():
    doubtful = found(12)
    assert too_bad(doubtful, DatasetConfig()) is None
    assert too_bad(doubtful, DatasetConfig(min_verdict="doubtful")) is None
    reject = too_bad(doubtful, DatasetConfig(min_verdict="feasible"))
    assert reject is not None
    assert reject.reason is Reason.NOT_FEASIBLE
    assert "wrist_error: 20.0% of frames" in reject.detail
