"""Success foretold: a known relation is found on tasks that were left out, noise is not, files come back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from vidpretrain.errors import InputError
from vidpretrain.evaluate.predictor import Point, fit_predictor, load_predictor, offline_features, ranked


def points(seed, tasks=6, each=8, relation=1.0, rollouts=100):
    """Success by log odds 2 - 3 error + .5 log demos and a task's own offset; `relation` scales the first two."""
    rng = np.random.default_rng(seed)
    out = []
    for task in range(tasks):
        own = 0.3 * rng.normal()
        for _ in range(each):
            error, demos, noise = rng.uniform(0.2, 1.2), rng.uniform(0, 4), rng.normal()
            odds = own + relation * (2 - 3 * error + 0.5 * demos)
            rate = rng.binomial(rollouts, 1 / (1 + np.exp(-odds))) / rollouts
            features = {"chunk error": error, "log demos": demos, "noise": noise}
            out.append(Point(features=features, success=rate, rollouts=rollouts, group=f"task {task}"))
    return out


def test_a_known_relation_is_found_on_unseen_tasks():
    found = fit_predictor(points(0))
    assert found.left_out == "group"
    best = spearmanr(
        [2 - 3 * p.features["chunk error"] + 0.5 * p.features["log demos"] for p in points(0)],
        [p.success for p in points(0)],
    )
    assert found.spearman > best.statistic - 0.05 > 0.75
    assert found.error < 0.15
    weights = dict(zip(found.names, np.array(found.weights) / np.array(found.scale), strict=True))
    assert weights["chunk error"] == pytest.approx(-3, abs=0.7)
    assert weights["log demos"] == pytest.approx(0.5, abs=0.2)
    assert abs(weights["noise"]) < 0.25
    fresh = points(1)
    told = [found(point.features) for point in fresh]
    assert np.corrcoef(told, [point.success for point in fresh])[0, 1] > 0.85


def test_without_a_relation_there_is_no_rank():
    found = [fit_predictor(points(seed, relation=0.0)).spearman for seed in range(3)]
    assert np.nanmax(found) < 0.5


def test_one_task_leaves_points_out_and_says_so():
    found = fit_predictor(points(2, tasks=1, each=20))
    assert found.left_out == "point"
    assert found.spearman > 0.7


def test_what_is_missing_counts_as_the_mean(tmp_path):
    every = points(3)
    some = [
        Point(**{**vars(p), "features": {**p.features, "rare": 1.0}}) if i % 5 == 0 else p for i, p in enumerate(every)
    ]
    found = fit_predictor(some)
    assert "rare" not in found.names
    mean = dict(zip(found.names, found.mean, strict=True))
    assert found({"chunk error": 0.4}) == pytest.approx(found({**mean, "chunk error": 0.4}))
    found.save(tmp_path / "predictor.json")
    assert load_predictor(tmp_path / "predictor.json") == found


def test_policies_are_ranked():
    found = fit_predictor(points(4))
    order = ranked(found, {"bad": {"chunk error": 1.1}, "good": {"chunk error": 0.3}, "middle": {"chunk error": 0.7}})
    assert [name for name, _ in order] == ["good", "middle", "bad"]
    assert 0 < order[2][1] < order[0][1] < 1
    methods = {"policy": {"error": 0.5, "steps": [0.2, 0.8]}, "hold_state": {"error": 1.0, "steps": [0.4, 1.6]}}
    assert offline_features(methods, "policy") == {"chunk error": 0.5, "of hold": 0.5, "error at the end": 0.8}


def test_too_little_and_wrong_files_are_errors(tmp_path):
    with pytest.raises(InputError, match="nothing to learn"):
        fit_predictor(points(0)[:4])
    same = [Point(features=p.features, success=0.5, rollouts=10, group=p.group) for p in points(0)]
    with pytest.raises(InputError, match="nothing to learn"):
        fit_predictor(same)
    (tmp_path / "other.json").write_text('{"schema": 1, "weights": [1]}')
    with pytest.raises(InputError, match="not a predictor"):
        load_predictor(tmp_path / "other.json")
    with pytest.raises(InputError, match="not a predictor"):
        load_predictor(tmp_path / "missing.json")
