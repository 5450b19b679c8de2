"""Lines over logarithms: known slopes, intervals that hold what they say, points foretold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from vidpretrain.errors import InputError
from vidpretrain.evaluate.scaling import fit_line, foretold

AMOUNTS = np.array([0.1, 0.2, 0.4, 0.8, 1.6, 3.2])


def test_a_line_is_found():
    line = fit_line(AMOUNTS, 0.5 - 0.12 * np.log10(AMOUNTS))
    assert line.per_decade == pytest.approx(-0.12)
    assert line.at_one == pytest.approx(0.5)
    assert line.r2 == pytest.approx(1.0)
    assert line.decades == pytest.approx(np.log10(32))
    assert line(100.0) == pytest.approx(0.5 - 0.24)
    assert foretold(line, 10.0) == pytest.approx((0.38, 0.38, 0.38))


def test_intervals_hold_what_they_say():
    rng = np.random.default_rng(0)
    slopes = points = 0
    for _ in range(400):
        noise = 0.02 * rng.normal(size=7)
        values = 0.5 - 0.12 * np.log10(AMOUNTS) + noise[:6]
        line = fit_line(AMOUNTS, values)
        slopes += line.low <= -0.12 <= line.high
        _, low, high = foretold(line, 10.0)
        points += low <= 0.5 - 0.12 + noise[6] <= high
    assert slopes / 400 == pytest.approx(0.95, abs=0.03)
    assert points / 400 == pytest.approx(0.95, abs=0.03)
    other = linregress(np.log10(AMOUNTS), values)
    assert line.r2 == pytest.approx(other.rvalue**2)
    assert line.per_decade == pytest.approx(other.slope)


def test_two_points_have_no_interval():
    line = fit_line([1.0, 10.0], [0.5, 0.4])
    value, low, high = foretold(line, 100.0)
    assert value == pytest.approx(0.3)
    assert np.isnan([line.low, line.high, low, high]).all()


@pytest.mark.parametrize("amounts", [[1.0, 1.0], [0.0, 1.0], [1.0]])
def test_no_line(amounts):
    with pytest.raises(InputError, match="no line"):
        fit_line(amounts, [0.5] * len(amounts))
