"""Caches from arrays: what was given comes back, and a broken one is refused."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.dataset import CacheEpisode, TrainingCache, find_cache, write_cache
from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec, Group

ARM = Group(name="arm", names=("a", "b"), quantity="joint", representation="relative", unit="rad")
SPEC = ActionSpec(embodiment="toy", groups=(ARM,), rate_hz=10.0, horizon=4)


def episode(length: int, seed: int) -> CacheEpisode:
    rng = np.random.default_rng(seed)
    valid = np.ones((length, 2), dtype=bool)
    valid[0, 1] = False
    return CacheEpisode(
        images=rng.integers(0, 255, (length, 8, 8, 3)).astype(np.uint8),
        state=rng.normal(size=(length, 2)).astype(np.float32),
        action=rng.normal(size=(length, 2)).astype(np.float32),
        valid=valid,
        weight=np.full((length, 2), 0.5, np.float32),
        fov_rad=1.1,
        instruction=f"do {seed}",
        source=f"s{seed}",
    )


def test_rows_come_back_and_what_is_not_valid_is_loud(tmp_path):
    given = [episode(5, 0), episode(3, 1)]
    cache = write_cache(tmp_path / "c", SPEC, iter(given), "abc")
    assert len(cache) == 8
    assert [(e["start"], e["exclusive_end"], e["instruction"]) for e in cache.episodes] == [
        (0, 5, "do 0"),
        (5, 8, "do 1"),
    ]
    np.testing.assert_array_equal(np.asarray(cache.images), np.concatenate([g.images for g in given]))
    np.testing.assert_array_equal(cache.action[1:5], given[0].action[1:])
    assert np.isnan(cache.state[0, 1])
    assert cache.weight[0].tolist() == [0.5, 0.0]
    assert cache.spec == SPEC


def test_found_by_what_it_is_made_of(tmp_path):
    assert find_cache(tmp_path / "c", "abc") is None
    write_cache(tmp_path / "c", SPEC, [episode(5, 0)], "abc")
    assert isinstance(find_cache(tmp_path / "c", "abc"), TrainingCache)
    assert find_cache(tmp_path / "c", "other") is None


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path):
    wrong = SPEC
    short = episode(5, 0)
    bad = CacheEpisode(**{**vars(short), "images": short.images[:4]})
    with pytest.raises(DatasetError, match="does not fit"):
        write_cache(tmp_path / "c", wrong, [bad], "x")
    with pytest.raises(DatasetError, match="no episodes"):
        write_cache(tmp_path / "c", SPEC, [], "x")
    assert not (tmp_path / "c").exists()
