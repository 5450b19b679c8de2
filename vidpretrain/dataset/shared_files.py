"""Parquet and mp4 files that several episodes share; a new file starts when the last one is full."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.dataset import layout
from vidpretrain.dataset.config import DatasetConfig


def _place(number: int) -> tuple[int, int]:
    """(chunk, file) of the number-th file."""
    return number // layout.CHUNK_FILES, number % layout.CHUNK_FILES


class DataFiles:
    """Rows, one row group per episode, so that an episode is read without its neighbours."""

    def __init__(self, root: Path, features: dict[str, Any], limit_mb: float) -> None:
        self._root, self._features, self._limit_bytes = root, features, limit_mb * 1e6
        self._number, self._bytes = -1, 0
        self._writer: Any = None

    def write(self, columns: dict[str, np.ndarray]) -> tuple[int, int]:
        """Append an episode; return the (chunk, file) it lies in."""
        import pyarrow.parquet as pq

        table = layout.arrow_table(columns, self._features)
        if self._writer is None or self._bytes + table.nbytes > self._limit_bytes:
            self.close()
            self._number, self._bytes = self._number + 1, 0
            path = self._path(self._number)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema, compression="snappy")
        self._writer.write_table(table, row_group_size=max(1, len(table)))
        self._bytes += table.nbytes
        return _place(self._number)

    def read_column(self, key: str) -> np.ndarray:
        """One column over all finished files, in order."""
        import pyarrow.parquet as pq

        parts = []
        for number in range(self._number + 1):
            with pq.ParquetFile(self._path(number)) as file:
                parts.append(layout.numpy_columns(file.read(columns=[key]), self._features)[key])
        return np.concatenate(parts)

    def close(self) -> None:
        """Finish the file that is open."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def abort(self) -> None:
        """Close without caring for what is in the file."""
        with contextlib.suppress(OSError):
            self.close()

    def _path(self, number: int) -> Path:
        chunk, file = _place(number)
        return self._root / layout.DATA_PATH.format(chunk_index=chunk, file_index=file)


class VideoFiles:
    """Pictures of one camera; each episode starts with a key frame."""

    def __init__(
        self, root: Path, key: str, height_px: int, width_px: int, rate_hz: float, config: DatasetConfig
    ) -> None:
        self._root, self._key, self._config = root, key, config
        self._height_px, self._width_px, self._rate_hz = height_px, width_px, rate_hz
        self._limit_frames = int(config.max_video_s * rate_hz)
        self._number, self._frames = -1, 0
        self._writer: Any = None

    def start_episode(self, length: int) -> tuple[int, int, int]:
        """Make room for `length` pictures; return (chunk, file, place of the first one in the file)."""
        if self._writer is None or self._is_full(length):
            self.close()
            self._open()
        return (*_place(self._number), self._frames)

    def write(self, frame: np.ndarray, force_keyframe: bool) -> None:
        """Append a picture."""
        self._writer.write(frame, force_keyframe=force_keyframe)
        self._frames += 1

    def close(self) -> None:
        """Finish the file that is open."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(None, None, None)

    def abort(self) -> None:
        """Close without caring for what is in the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            error = RuntimeError("given up")
            with contextlib.suppress(Exception):
                writer.__exit__(RuntimeError, error, None)

    def _open(self) -> None:
        from vidpretrain.video import H264Writer

        self._number, self._frames = self._number + 1, 0
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = H264Writer(
            path,
            self._width_px,
            self._height_px,
            self._rate_hz,
            crf=self._config.crf,
            keyframe_interval=self._config.keyframe_interval,
        )
        self._writer.__enter__()

    def _is_full(self, length: int) -> bool:
        if self._frames and self._frames + length > self._limit_frames:
            return True
        written = max((p.stat().st_size for p in self._path().parent.glob(f"{self._path().stem}*")), default=0)
        return written > self._config.video_file_mb * 1e6

    def _path(self) -> Path:
        chunk, file = _place(self._number)
        return self._root / layout.VIDEO_PATH.format(video_key=self._key, chunk_index=chunk, file_index=file)
