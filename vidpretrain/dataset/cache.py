"""A data set at training size as memory maps: rows of all episodes, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64, UInt8

from vidpretrain.dataset.files import read_json
from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec

FORMAT = 1
META = "meta.json"


@dataclass(frozen=True)
class ChunkIndex:
    """Rows of every sample's action chunk: `rows[n, k]` is row n + k, held at the episode's last row where `valid`
    is false."""

    rows: Int64[np.ndarray, "n h"]
    valid: Bool[np.ndarray, "n h"]


@dataclass(frozen=True)
class TrainingCache:
    """An opened cache folder. `reused` is true when `build_cache` found it complete and recomputed nothing.

    `state` and `action` are absolute, in the columns of `spec`, NaN exactly where `valid` is false. `weight` is the
    confidence, times `imputed_weight` for imputed values, 0 where not valid. `fov` is the horizontal field of view of
    the stored square picture in rad, NaN where nobody told it.
    """

    path: Path
    meta: dict[str, Any]
    reused: bool = False

    @classmethod
    def open(cls, path: Path | str) -> TrainingCache:
        """The cache in a folder.

        Raises:
            DatasetError: there is none, it is incomplete, of another format, or its arrays do not fit.
        """
        path = Path(path)
        if not (path / META).is_file():
            raise DatasetError(
                "no training cache, or one whose building was interrupted", asked=path, found=f"no {META}",
                next_command="vidpretrain pretrain (builds it)",
            )  # fmt: skip
        meta = read_json(path / META)
        if meta.get("format") != FORMAT:
            raise DatasetError(
                "a cache of another format", asked=path, found=meta.get("format"), valid=FORMAT,
                next_command=f"rm -r {path}",
            )  # fmt: skip
        cache = cls(path, meta)
        for name in ("images", "state", "action", "valid", "weight", "episode", "fov"):
            if len(getattr(cache, name)) != len(cache):
                raise DatasetError("the cache's arrays do not fit", asked=path / f"{name}.npy", valid=len(cache))
        return cache

    def __len__(self) -> int:
        return int(self.meta["rows"])

    @cached_property
    def spec(self) -> ActionSpec:
        """Layout of state and action."""
        from vidpretrain.transforms import spec_from_dict

        return spec_from_dict(self.meta["spec"])

    @property
    def embodiment(self) -> str:
        """Whose vectors these are."""
        return self.meta["embodiment"]

    @property
    def episodes(self) -> list[dict[str, Any]]:
        """Per episode, in the order of their rows: index (in the data set), start, exclusive_end (rows), instruction,
        source (sha256), license, hours, fov_from (given, metadata, assumed, or unknown: NaN in `fov`)."""
        return self.meta["episodes"]

    @cached_property
    def images(self) -> UInt8[np.ndarray, "n s s 3"]:
        """Pictures, RGB, memory-mapped."""
        return self._array("images", memory_map=True)

    @cached_property
    def state(self) -> Float32[np.ndarray, "n d"]:
        """Absolute state."""
        return self._array("state")

    @cached_property
    def action(self) -> Float32[np.ndarray, "n d"]:
        """Absolute action of each row."""
        return self._array("action")

    @cached_property
    def valid(self) -> Bool[np.ndarray, "n d"]:
        """Which values may be used."""
        return self._array("valid")

    @cached_property
    def weight(self) -> Float32[np.ndarray, "n d"]:
        """How much each value counts, in [0, 1]."""
        return self._array("weight")

    @cached_property
    def episode(self) -> Int32[np.ndarray, " n"]:
        """Place in `episodes` of each row's episode."""
        return self._array("episode")

    @cached_property
    def fov(self) -> Float32[np.ndarray, " n"]:
        """Horizontal field of view in rad."""
        return self._array("fov")

    def chunk_index(self, horizon: int) -> ChunkIndex:
        """The `horizon` rows that each row's chunk covers, itself first, never beyond its episode."""
        if horizon < 1:
            raise ValueError(f"a horizon of {horizon} rows")
        last = np.array([episode["exclusive_end"] - 1 for episode in self.episodes], dtype=np.int64)[self.episode]
        ahead = np.arange(len(self), dtype=np.int64)[:, None] + np.arange(horizon)
        return ChunkIndex(np.minimum(ahead, last[:, None]), ahead <= last[:, None])

    def _array(self, name: str, memory_map: bool = False) -> np.ndarray:
        path = self.path / f"{name}.npy"
        try:
            return np.load(path, mmap_mode="r" if memory_map else None, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"the cache is broken: {error}", asked=path, next_command=f"rm -r {self.path}") from None
