"""Windows, grids and resampling."""

import numpy as np

from vidpretrain import geometry, timebase


def test_grid_is_half_open_and_does_not_drift():
    grid = timebase.uniform_grid(0, timebase.ns(10), 30.0)
    assert len(grid) == 300
    assert grid[0] == 0
    assert grid[-1] < timebase.ns(10)
    assert grid[270] == timebase.ns(9)
    assert len(timebase.uniform_grid(5, 5, 30.0)) == 0


def test_nearest_index_takes_the_earlier_of_two_equally_near():
    time = np.array([0, 10, 20])
    np.testing.assert_array_equal(timebase.nearest_index(time, np.array([-5, 4, 5, 6, 99])), [0, 0, 0, 1, 2])
    np.testing.assert_array_equal(timebase.nearest_index(np.array([7]), np.array([0, 9])), [0, 0])


def test_interpolation_is_exact_on_lines_and_keeps_nan_out_of_exact_hits():
    time = np.array([0, 10, 20])
    value = np.array([0.0, 1.0, np.nan])
    got = timebase.interpolate(time, value, np.array([-1, 0, 5, 10, 15]))
    np.testing.assert_allclose(got[:4], [0, 0, 0.5, 1.0])
    assert np.isnan(got[4])


def test_pose_interpolation_turns_at_constant_speed():
    T = geometry.pose(geometry.quat_exp(np.array([[0, 0, 0.0], [0, 0, 1.0]])), np.array([[0, 0, 0.0], [2, 0, 0]]))
    got = timebase.interpolate_pose(np.array([0, 100]), T, np.array([25]))
    np.testing.assert_allclose(geometry.quat_log(got[:, :4]), [[0, 0, 0.25]], atol=1e-12)
    np.testing.assert_allclose(got[:, 4:], [[0.5, 0, 0]])


def test_runs():
    assert timebase.runs(np.array([1, 1, 0, 0, 1], dtype=bool)) == [(0, 2), (4, 5)]
    assert timebase.runs(np.zeros(0, dtype=bool)) == []
