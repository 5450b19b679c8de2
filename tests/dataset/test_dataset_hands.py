"""What hands do and words for parts of an episode: written, read back, and readable as LeRobot's subtasks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from vidpretrain.dataset import DatasetWriter, EpisodeHands, check_dataset, episode_hands, open_dataset
from vidpretrain.dataset.hands import SUBTASKS
from vidpretrain.errors import DatasetError
from vidpretrain.types import Activity, Stretch

SECOND = 10**9


def activity() -> Activity:
    """Two seconds at 10 frames/s: the left hand shuts after one, the right one is not known in the second second."""
    t = np.arange(20)
    known = np.stack([np.ones(20, dtype=bool), t < 10], axis=1)
    return Activity(
        clip_id="clip0",
        time_ns=t * SECOND // 10,
        wrist_speed_m_s=np.where(known, 0.1, np.nan),
        grasp=np.stack([t >= 10, np.zeros(20, dtype=bool)], axis=1),
        contact=np.where(known, np.stack([t / 20, t / 40], axis=1), np.nan),
        known=known,
        stretches=(
            Stretch(start_ns=0, exclusive_end_ns=SECOND, instruction="reach", told_by="narration"),
            Stretch(start_ns=SECOND, exclusive_end_ns=2 * SECOND, instruction="lift", told_by="narration"),
        ),
    )


def hands(length: int = 12) -> EpisodeHands:
    rows_ns = np.linspace(0, 1.9 * SECOND, length).astype(np.int64)
    return episode_hands(activity(), activity().stretches, rows_ns)


def test_rows_have_the_nearest_frames_hands_and_their_stretchs_words() -> None:
    made = hands()
    assert made.subtask == ("reach",) * 6 + ("lift",) * 6
    np.testing.assert_array_equal(made.grasp[:, 0], np.arange(12) >= 6)
    assert not made.grasp[:, 1].any()
    np.testing.assert_array_equal(made.known[:, 1], np.arange(12) < 6)
    assert np.isfinite(made.contact).all()
    assert (made.contact[~made.known] == 0).all()
    bare = episode_hands(activity(), (), np.array([0, SECOND]))
    assert bare.subtask == ("", "")


def test_they_come_back_and_the_data_set_is_whole(tmp_path, spec, episode_maker) -> None:
    root = tmp_path / "set"
    with DatasetWriter(root, spec, 30.0, (48, 64), hands=True) as writer:
        for seed in range(2):
            episode, frames = episode_maker(12, seed)
            writer.add_episode(episode, frames, hands=hands())
    assert check_dataset(root)["problems"] == []
    dataset = open_dataset(root)
    rows = dataset.columns(1)
    np.testing.assert_array_equal(rows["hands.grasp"], hands().grasp)
    np.testing.assert_array_equal(rows["hands.contact"], hands().contact)
    np.testing.assert_array_equal(rows["hands.known"], hands().known)
    words = pd.read_parquet(root / SUBTASKS)
    assert words.index.name == "subtask"
    assert [words.index[k] for k in rows["subtask_index"]] == list(hands().subtask)
    assert dataset.features["hands.grasp"]["names"] == ["left", "right"]


def test_all_episodes_or_none(tmp_path, spec, episode_maker) -> None:
    with DatasetWriter(tmp_path / "without", spec, 30.0, (48, 64)) as writer:
        episode, frames = episode_maker(12, 0)
        with pytest.raises(DatasetError, match="what hands do"):
            writer.add_episode(episode, frames, hands=hands())
        writer.add_episode(*episode_maker(12, 0))
    assert not (tmp_path / "without" / SUBTASKS).exists()
    with DatasetWriter(tmp_path / "with", spec, 30.0, (48, 64), hands=True) as writer:
        with pytest.raises(DatasetError, match="what hands do"):
            writer.add_episode(*episode_maker(12, 0))
        with pytest.raises(DatasetError, match="do not match"):
            writer.add_episode(*episode_maker(12, 0), hands=hands(11))
        writer.add_episode(*episode_maker(12, 0), hands=hands())
