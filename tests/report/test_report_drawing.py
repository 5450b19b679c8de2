"""Landmarks on frames, paired clips and charts."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from vidpretrain.errors import InputError
from vidpretrain.report import (
    Chart,
    Comparison,
    Curve,
    Estimate,
    comparison_from_evaluation,
    curves_from_metrics,
    draw_tracks,
    horizon_chart,
    jpeg,
    pair_videos,
)
from vidpretrain.report.draw import LEFT, RIGHT
from vidpretrain.report.svg import interval_chart, line_chart, log_ticks, running_mean, ticks
from vidpretrain.skeletons import skeleton
from vidpretrain.types import PoseTrack


def track(name: str, points: np.ndarray, confidence: float = 1.0) -> PoseTrack:
    count = len(skeleton(name))
    return PoseTrack(
        clip_id="c",
        person_id="p",
        skeleton=name,
        time_ns=np.arange(2),
        p_image_keypoint=np.broadcast_to(points, (2, count, 2)).copy(),
        p_relative_keypoint=None,
        confidence=np.full((2, count), confidence),
    )


def near(picture: np.ndarray, xy: tuple[float, float], color: tuple[int, int, int]) -> bool:
    x, y = (round(v) for v in xy)
    patch = picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3).astype(int)
    return bool((np.abs(patch - np.array(color)).max(axis=1) < 60).any())


def test_sides_have_their_colours_at_their_places():
    frame = np.zeros((120, 160, 3), np.uint8)
    left, right = np.full((21, 2), [40.0, 60.0]), np.full((21, 2), [120.0, 60.0])
    picture = draw_tracks(frame, [track("hand21_left", left), track("hand21_right", right)], 1)
    assert picture.shape == frame.shape
    assert near(picture, (40, 60), LEFT)
    assert near(picture, (120, 60), RIGHT)
    assert not picture[:, 70:90].any()
    assert not frame.any(), "the argument was changed"


def test_points_scale_with_the_picture():
    frame = np.zeros((120, 160, 3), np.uint8)
    picture = draw_tracks(frame, [track("hand21_left", np.full((21, 2), [40.0, 60.0]))], 0, width_px=320)
    assert picture.shape == (240, 320, 3)
    assert near(picture, (80, 120), LEFT)


def test_missing_and_doubtful_points_are_not_drawn():
    frame = np.zeros((120, 160, 3), np.uint8)
    nothing = track("hand21_left", np.full((21, 2), np.nan), confidence=0.0)
    doubtful = track("body33", np.full((33, 2), 50.0), confidence=0.3)
    assert not draw_tracks(frame, [nothing, doubtful], 0).any()
    assert draw_tracks(frame, [doubtful], 0, min_confidence=0.2).any()


def test_pair_holds_both_pictures_side_by_side(tmp_path):
    import av

    red = [np.full((50, 70, 3), (220, 20, 20), np.uint8)] * 9
    blue = [np.full((100, 100, 3), (20, 20, 220), np.uint8)] * 20
    path = pair_videos(iter(red), iter(blue), tmp_path / "p.mp4", rate_hz=30, height_px=60)
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 30
    assert len(pictures) == 9, "as long as the shorter stream"
    height, width = pictures[0].shape[:2]
    assert height == 60
    assert width % 2 == 0
    assert pictures[4][30, 40, 0] > 180 > pictures[4][30, 40, 2]
    assert pictures[4][30, width - 30, 2] > 180 > pictures[4][30, width - 30, 0]
    assert path.with_suffix(".jpg").stat().st_size > 100


def test_pair_stops_at_its_longest(tmp_path):
    import av

    endless = [np.zeros((32, 32, 3), np.uint8)] * 100
    path = pair_videos(endless, endless, tmp_path / "p.mp4", rate_hz=10, height_px=32, max_seconds=1.5)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 15


def test_nothing_to_pair_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="nothing to show"):
        pair_videos([], [np.zeros((4, 4, 3), np.uint8)], tmp_path / "p.mp4", rate_hz=10)
    assert not list(tmp_path.iterdir())


def test_jpeg_shrinks_but_never_enlarges():
    from PIL import Image

    frame = np.zeros((30, 60, 3), np.uint8)
    assert Image.open(io.BytesIO(jpeg(frame, width_px=20))).size == (20, 10)
    assert Image.open(io.BytesIO(jpeg(frame, width_px=200))).size == (60, 30)


@pytest.mark.parametrize(("low", "high"), [(0.0, 600.0), (0.013, 0.94), (-3.0, 4.2), (5.0, 5.0), (1e-6, 2e-6)])
def test_ticks_enclose_their_range_evenly(low, high):
    marks = ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert 2 <= len(marks) <= 9
    assert np.allclose(np.diff(marks), marks[1] - marks[0])


@pytest.mark.parametrize(("low", "high"), [(0.02, 1.3), (1.0, 1.0), (3e-5, 4e4)])
def test_log_ticks_enclose_their_range(low, high):
    marks = log_ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert marks == sorted(set(marks))


def test_running_mean_keeps_lines_and_ends():
    line = np.linspace(3, 7, 101)
    assert np.allclose(running_mean(line), line)
    noise = np.random.default_rng(0).standard_normal(500)
    assert running_mean(noise)[100:400].std() < 0.4 * noise.std()


def points(svg: str) -> np.ndarray:
    text = re.findall(r'class="line s0" points="([^"]*)"', svg)[0]
    return np.array([[float(v) for v in pair.split(",")] for pair in text.split()])


def test_line_chart_falls_where_the_loss_falls_and_leaves_nan_out():
    values = (4.0, 3.0, float("nan"), 2.0, 1.0)
    chart = Chart(title="t", curves=(Curve(name="a & b", steps=(0, 1, 2, 3, 4), values=values),))
    svg = line_chart(chart)
    xy = points(svg)
    assert len(xy) == 4
    assert (np.diff(xy[:, 0]) > 0).all()
    assert (np.diff(xy[:, 1]) > 0).all(), "a smaller loss lies lower in the picture, where y is larger"
    assert "a &amp; b" in svg
    assert line_chart(Chart(title="t", curves=(Curve(name="x", steps=(), values=()),))) == ""


def test_a_curve_of_one_point_is_a_dot():
    one = line_chart(Chart(title="t", curves=(Curve(name="a", steps=(10,), values=(2.0,)),), log_y=True))
    two = line_chart(Chart(title="t", curves=(Curve(name="a", steps=(10, 20), values=(2.0, 1.0)),)))
    assert one.count("<circle") == 1
    assert two.count("<circle") == 0


def test_long_curves_are_thinned():
    steps = tuple(float(s) for s in range(5000))
    svg = line_chart(Chart(title="t", curves=(Curve(name="a", steps=steps, values=steps),), log_y=True))
    assert len(points(svg)) <= 400


def test_interval_chart_orders_dots_by_value():
    comparison = Comparison(
        title="t",
        policies=("a", "b"),
        groups=("g",),
        units={},
        cells={"g": {"a": Estimate(value=1.0, low=0.5, high=1.5), "b": Estimate(value=2.0)}},
        ours="a",
    )
    svg = interval_chart(comparison, "g")
    x = [float(v) for v in re.findall(r'<circle[^>]* cx="([^"]*)"', svg)]
    assert x[0] < x[1]
    assert svg.count("whisker") == 1
    assert interval_chart(comparison, "absent") == ""


def test_metrics_are_read_and_a_torn_last_line_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.5, "val_loss": 1.7}\n{"step": 3, "lo')
    loss, validation = curves_from_metrics(path, ("loss", "val_loss", "absent"), prefix="pre ")
    assert (loss.name, loss.steps, loss.values) == ("pre loss", (1.0, 2.0), (2.0, 1.5))
    assert validation.values == (1.7,)
    assert curves_from_metrics(tmp_path / "no.jsonl") == ()


EVALUATION = {
    "schema": 1,
    "embodiment": "g1",
    "horizon": 2,
    "rate_hz": 10.0,
    "episodes": [20, 21],
    "groups": {"left_arm": {"width": 7, "unit": "rad"}, "left_hand": {"width": 6, "unit": "fraction"}},
    "methods": {
        "policy": {
            "error": 0.3,
            "interval": [0.2, 0.4],
            "native": {"left_arm": 0.04, "left_hand": 0.1},
            "steps": [0.2, 0.4],
        },
        "hold_state": {
            "error": 0.5,
            "interval": [0.4, 0.6],
            "native": {"left_arm": 0.07, "left_hand": 0.05},
            "steps": [0.3, 0.7],
        },
    },
}


def test_evaluation_becomes_a_comparison():
    table = comparison_from_evaluation(EVALUATION)
    assert table.policies == ("policy", "hold state")
    assert table.ours == "policy"
    assert table.groups == ("all groups", "left_arm", "left_hand")
    assert table.units["left_hand"] == "fraction"
    assert table.cells["all groups"]["hold state"] == Estimate(value=0.5, low=0.4, high=0.6)
    assert table.cells["left_arm"]["policy"].value == 0.04
    assert "2 episodes of g1" in table.note


def test_horizon_chart_is_in_seconds():
    chart = horizon_chart(EVALUATION)
    assert [curve.name for curve in chart.curves] == ["policy", "hold state"]
    assert chart.curves[0].steps == (0.1, 0.2)
    assert chart.curves[1].values == (0.3, 0.7)


def test_an_evaluation_of_another_version_is_refused():
    with pytest.raises(InputError, match="another version"):
        comparison_from_evaluation({**EVALUATION, "schema": 2})
