"""Episodes on disk: LeRobot v3.0 written and read, v2.1 read, checked, and cached at training size.

writer = DatasetWriter(root, spec, rate_hz=30.0, image_size=(480, 640), robot_type="g1_inspire")
writer.add_episode(episode, frames); ...; writer.finish()
dataset = open_dataset(root)                    v3.0 or v2.1
report = check_dataset(root)                    report["problems"] is empty when all is well
cache = build_cache(dataset, out)               memory maps at training size; reused when nothing changed
cache = write_cache(out, spec, episodes, digest)  the same from arrays
"""

from vidpretrain.dataset.cache import ChunkIndex, TrainingCache
from vidpretrain.dataset.cache_build import build_cache
from vidpretrain.dataset.cache_write import CacheEpisode, find_cache, write_cache
from vidpretrain.dataset.check import check_dataset
from vidpretrain.dataset.config import DatasetConfig
from vidpretrain.dataset.feasibility import EpisodeFeasibility, episode_feasibility, is_at_least, too_bad
from vidpretrain.dataset.fit import fit_camera, fit_image
from vidpretrain.dataset.hands import EpisodeHands, episode_hands
from vidpretrain.dataset.reader import Dataset, EpisodeInfo, open_dataset
from vidpretrain.dataset.writer import DatasetWriter

__all__ = [
    "DatasetConfig",
    "DatasetWriter",
    "open_dataset",
    "Dataset",
    "EpisodeInfo",
    "check_dataset",
    "EpisodeFeasibility",
    "episode_feasibility",
    "EpisodeHands",
    "episode_hands",
    "is_at_least",
    "too_bad",
    "build_cache",
    "CacheEpisode",
    "find_cache",
    "write_cache",
    "TrainingCache",
    "ChunkIndex",
    "fit_image",
    "fit_camera",
]
