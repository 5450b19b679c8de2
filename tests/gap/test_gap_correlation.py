"""Rank correlation over cells: known relations are found, strata do not make one, intervals hold the value."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vidpretrain.gap.correlation import correlate, distances, rank_correlation
from vidpretrain.gap.table import GapRow


def row(measure, value, perfect, bridge="none"):
    return GapRow(
        measure=measure, group="g", bridge=bridge, value=value, low=0, high=0, floor=0, perfect=perfect, unit=""
    )


def test_without_strata_it_is_spearmans():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, 40).astype(float)  # with ties
    y = x + rng.normal(0, 2, 40)
    assert rank_correlation(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_a_difference_between_strata_is_no_correlation():
    rng = np.random.default_rng(1)
    where = np.repeat([0, 1], 100)
    x, y = rng.normal(size=200) + 5 * where, rng.normal(size=200) + 5 * where
    assert rank_correlation(x, y) > 0.6
    assert abs(rank_correlation(x, y, where.tolist())) < 0.2
    assert np.isnan(rank_correlation(np.ones(5), np.arange(5.0)))


def test_measures_come_by_strength_with_intervals():
    rng = np.random.default_rng(2)
    success = rng.random(36)
    gaps = [{"near": 1 - s + rng.normal(0, 0.1), "noise": rng.random()} for s in success]
    gaps[0].pop("noise")
    gaps[1]["rare"] = 1.0
    found = correlate(gaps, success.tolist(), [k % 3 for k in range(36)])
    assert [one.measure for one in found] == ["near", "noise"]
    assert found[0].value < -0.8
    assert found[0].low <= found[0].value <= found[0].high < -0.6
    assert found[1].low < 0 < found[1].high
    assert [one.cells for one in found] == [36, 35]


def test_how_far_a_figure_is_from_perfect():
    rows = [row("wrist speed, ratio", 0.5, 1.0), row("domain probe", 0.9, 0.5), row("MMD", float("nan"), 0.0)]
    rows.append(row("MMD", 0.3, 0.0, bridge="time"))
    assert distances(rows) == {"wrist speed, ratio: g": pytest.approx(np.log(2)), "domain probe: g": pytest.approx(0.4)}
