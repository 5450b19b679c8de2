"""Writing LeRobot v3.0: several episodes in each parquet and mp4 file, our own record beside LeRobot's."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from vidpretrain import __version__
from vidpretrain import config as configuration
from vidpretrain.dataset import layout, stats
from vidpretrain.dataset.config import DatasetConfig
from vidpretrain.dataset.feasibility import MEASURED, MEASURES, EpisodeFeasibility, write_summaries
from vidpretrain.dataset.files import disk_guard, move_into_place, write_json
from vidpretrain.dataset.fit import fit_camera, fit_image
from vidpretrain.dataset.hands import EpisodeHands, write_subtasks
from vidpretrain.dataset.hands import columns as hand_columns
from vidpretrain.dataset.rows import episode_columns
from vidpretrain.dataset.shared_files import DataFiles, VideoFiles
from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec, Camera, Episode, Reject

Frames = Iterable[np.ndarray] | Mapping[str, Iterable[np.ndarray]]


class DatasetWriter:
    """Collects episodes into a data set that appears at `root` only when it is whole.

    Everything is written into `.<name>.tmp` beside `root`; `finish` writes info.json last and renames the folder.
    Leaving the `with` block by an exception, a full disk, or a crash leaves nothing at `root`; the next writer removes
    what a crash left aside. An episode that fails (too few frames, NaN under a mask that says valid) is not in the data
    set and the next ones may be added: its pictures stay in the video unused.
    """

    def __init__(
        self,
        root: Path | str,
        spec: ActionSpec,
        rate_hz: float | None = None,
        image_size: tuple[int, int] | None = None,
        robot_type: str = "",
        camera_keys: tuple[str, ...] = ("observation.images.head",),
        config: DatasetConfig | None = None,
        overwrite: bool = False,
        measures: tuple[str, ...] = (),
        hands: bool = False,
    ) -> None:
        """Start a data set.

        Args:
            rate_hz: frames per second; the configuration's when None.
            image_size: (height, width) in pixels of the stored pictures, both even; the configuration's when None.
            camera_keys: names of the video columns, none where rows have no pictures (`frames` is empty then).
            overwrite: replace a data set that is at `root` already, when this one is finished.
            measures: names of the feasibility measures that get columns; none when empty.
            hands: every episode says what hands do and has words for its rows (`EpisodeHands`).

        Raises:
            DatasetError: something is at `root`, and `overwrite` is off.
        """
        self.config = config or DatasetConfig()
        self.root = Path(root)
        self.spec = spec
        self.rate_hz = float(rate_hz or self.config.rate_hz)
        self.height_px, self.width_px = image_size or (self.config.image_height_px, self.config.image_width_px)
        dataclasses.replace(self.config, image_height_px=self.height_px, image_width_px=self.width_px)  # even and > 0
        self.robot_type = robot_type or spec.embodiment
        self.camera_keys = tuple(camera_keys)
        self._overwrite = overwrite
        if self.root.exists() and not overwrite:
            raise DatasetError(
                "there is a folder already", asked=self.root, next_command=f"rm -r {self.root}, or another name"
            )
        self.features = layout.features(
            spec, self.rate_hz, self.height_px, self.width_px, self.camera_keys, measures, hands
        )
        self._hands = hands
        self._measures = measures
        self._aside = self.root.with_name(f".{self.root.name}.tmp")
        shutil.rmtree(self._aside, ignore_errors=True)
        with disk_guard(self.root):
            self._aside.mkdir(parents=True)
        self._data = DataFiles(self._aside, self.features, self.config.data_file_mb)
        self._videos = {
            key: VideoFiles(self._aside, key, self.height_px, self.width_px, self.rate_hz, self.config)
            for key in self.camera_keys
        }
        self._tasks: dict[str, int] = {}
        self._subtasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._own: list[dict[str, Any]] = []
        self._feasibility: list[dict[str, Any]] = []
        self._rejects: list[dict[str, str]] = []
        self._image_counts = {key: np.zeros((3, 256), dtype=np.int64) for key in self.camera_keys}
        self._rows = 0
        self._closed = False

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._closed:
            if kind is None:
                self.finish()
            else:
                self.abort()

    @property
    def episode_count(self) -> int:
        """Episodes added so far."""
        return len(self._episodes)

    def add_episode(
        self,
        episode: Episode,
        frames: Frames,
        cameras: Mapping[str, Camera] | None = None,
        feasibility: EpisodeFeasibility | None = None,
        hands: EpisodeHands | None = None,
    ) -> dict[str, Any]:
        """Write an episode; return its record in the list of episodes.

        Args:
            frames: one uint8 (h, w, 3) RGB picture per row, of any size (scaled by `config.image_fit`); with several
                cameras a mapping from camera key to such pictures.
            cameras: intrinsics of the given pictures by camera key; `episode.camera` for the first key when None.
            feasibility: what the robot can do of it; for all episodes of a data set or for none.
            hands: what hands do in its rows; for all episodes where the writer was made with `hands`.

        Raises:
            DatasetError: another layout, rate, measures or number of frames, or NaN where the episode says valid.
            DiskFull: no space left; the whole writing is undone.
        """
        self._require_open()
        columns = episode_columns(episode, self.spec, self.rate_hz) | self._measured(episode, feasibility)
        columns |= self._of_hands(episode, hands)
        record = self._add(episode, columns, frames, cameras or dict.fromkeys(self.camera_keys[:1], episode.camera))
        if feasibility is not None:
            self._feasibility.append(feasibility.summary)
        return record

    def _measured(self, episode: Episode, found: EpisodeFeasibility | None) -> dict[str, np.ndarray]:
        """The columns of the feasibility measures; nothing where they are not asked for."""
        name, length = episode.clip.clip_id, len(episode.trajectory.state)
        if (found is not None) != (len(self._feasibility) > 0) and self._episodes:
            raise DatasetError(f"{name}: all episodes of a data set are assessed or none is", asked=self.root)
        if found is None:
            if self._measures:
                raise DatasetError(f"{name}: the data set has feasibility columns, the episode was not assessed")
            return {}
        if len(found.measures) != length:
            raise DatasetError(f"{name}: measures and rows do not match", asked=length, found=len(found.measures))
        if not self._measures:
            return {}
        if found.names != self._measures:
            raise DatasetError(f"{name}: other measures", asked=", ".join(found.names), valid=", ".join(self._measures))
        return {MEASURES: found.measures, MEASURED: found.measured}

    def _of_hands(self, episode: Episode, hands: EpisodeHands | None) -> dict[str, np.ndarray]:
        name, length = episode.clip.clip_id, len(episode.trajectory.state)
        if (hands is not None) != self._hands:
            raise DatasetError(f"{name}: all episodes of a data set say what hands do or none does", asked=self.root)
        if hands is None:
            return {}
        if not len(hands.grasp) == len(hands.contact) == len(hands.known) == len(hands.subtask) == length:
            raise DatasetError(f"{name}: hands and rows do not match", asked=length, found=len(hands.grasp))
        return hand_columns(hands, self._subtasks)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """An error inside makes the files useless: give up and remove them."""
        try:
            with disk_guard(self.root):
                yield
        except BaseException:
            self.abort()
            raise

    def _add(self, episode: Episode, columns: dict[str, np.ndarray], frames: Frames, cameras) -> dict[str, Any]:
        index, length = len(self._episodes), len(columns["timestamp"])
        spans, counts = self._write_frames(episode, frames, length)
        task = self._tasks.setdefault(episode.instruction, len(self._tasks))
        columns = columns | {
            "episode_index": np.full(length, index, dtype=np.int64),
            "index": np.arange(self._rows, self._rows + length, dtype=np.int64),
            "task_index": np.full(length, task, dtype=np.int64),
        }
        with self._writing():
            place = self._data.write(columns)
        measured = {
            key: stats.column_stats(columns[key])
            for key, feature in self.features.items()
            if feature["dtype"] not in ("video", "string")
        }
        for key in self.camera_keys:
            measured[key] = stats.image_stats(counts[key], length)
            self._image_counts[key] += counts[key]
        record = {
            "episode_index": index,
            "tasks": [episode.instruction],
            "length": length,
            "dataset_from_index": self._rows,
            "dataset_to_index": self._rows + length,
            "data/chunk_index": place[0],
            "data/file_index": place[1],
            **spans,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
            **{f"stats/{k}/{name}": v.tolist() for k, entry in measured.items() for name, v in entry.items()},
        }
        self._episodes.append(record)
        self._own.append(self._own_record(index, length, episode, cameras))
        self._rows += length
        return record

    def _write_frames(self, episode: Episode, frames: Frames, length: int):
        by_key: dict[str, Iterable[np.ndarray]] = dict.fromkeys(self.camera_keys[:1], frames)  # type: ignore[arg-type]
        if isinstance(frames, Mapping):
            by_key = {str(key): pictures for key, pictures in frames.items()}
        if set(by_key) != set(self.camera_keys):
            raise DatasetError("pictures of other cameras", asked=", ".join(by_key), valid=", ".join(self.camera_keys))
        spans: dict[str, Any] = {}
        counts = {key: np.zeros((3, 256), dtype=np.int64) for key in self.camera_keys}
        for key in self.camera_keys:
            video = self._videos[key]
            with self._writing():
                chunk, file, start = video.start_episode(length)
            done = 0
            for frame in by_key[key]:
                if done < length:
                    fitted = fit_image(frame, self.height_px, self.width_px, self.config.image_fit)
                    with self._writing():
                        video.write(fitted, force_keyframe=done == 0)
                    counts[key] += stats.image_counts(fitted)
                done += 1
            if done != length:
                raise DatasetError(
                    f"{episode.clip.clip_id}: pictures and rows do not match", asked=f"{length} rows", found=done
                )
            spans |= {
                f"videos/{key}/chunk_index": chunk,
                f"videos/{key}/file_index": file,
                f"videos/{key}/from_timestamp": start / self.rate_hz,
                f"videos/{key}/to_timestamp": (start + length) / self.rate_hz,
            }
        return spans, counts

    def _own_record(self, index: int, length: int, episode: Episode, cameras: Mapping[str, Camera]) -> dict[str, Any]:
        fitted = {
            key: fit_camera(camera, self.height_px, self.width_px, self.config.image_fit)
            for key, camera in cameras.items()
        }
        return {
            "episode_index": index,
            "length": length,
            "instruction": episode.instruction,
            "hours": length / self.rate_hz / 3600,
            "embodiment": episode.trajectory.spec.embodiment,
            "source": configuration.plain(episode.source),
            "clip": configuration.plain(episode.clip),
            "cameras": {
                key: {
                    "K": camera.K.tolist(),
                    "distortion": camera.distortion.tolist(),
                    "width_px": camera.width_px,
                    "height_px": camera.height_px,
                    "intrinsics_from": camera.intrinsics_from,
                    "gravity_from": camera.gravity_from,
                    "fov_x_rad": camera.fov_x_rad,
                }
                for key, camera in fitted.items()
            },
            "valid_share": float(np.mean(episode.trajectory.valid)),
            "code_version": episode.code_version,
        }

    def add_reject(self, item: str, reject: Reject) -> None:
        """Note an item that did not become an episode; it goes into our own record."""
        self._rejects.append({"item": item, "reason": str(reject.reason), "detail": reject.detail})

    def finish(self) -> Path:
        """Write the meta files, info.json last, and move the data set to its place; return that place.

        Raises:
            DatasetError: there is no episode.
            DiskFull: no space left; the whole writing is undone.
        """
        self._require_open()
        if not self._episodes:
            self.abort()
            raise DatasetError("no episode was added, so there is no data set to write", asked=self.root)
        with self._writing():
            self._data.close()
            for video in self._videos.values():
                video.close()
            self._write_meta()
            move_into_place(self._aside, self.root, self._overwrite)
        self._closed = True
        return self.root

    def _write_meta(self) -> None:
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        tasks = pd.DataFrame({"task_index": list(self._tasks.values())}, index=pd.Index(list(self._tasks), name="task"))
        (self._aside / "meta").mkdir()
        tasks.to_parquet(self._aside / layout.TASKS)
        if self._hands:
            write_subtasks(self._aside, self._subtasks)
        path = self._aside / layout.EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(self._episodes), path, compression="snappy")
        write_json(self._aside / layout.STATS, stats.plain_stats(self._whole_stats()))
        if self._feasibility:
            write_summaries(self._aside, self._feasibility)
        write_json(
            self._aside / layout.OWN_META,
            {
                "format": layout.OWN_FORMAT,
                "code_version": __version__,
                "spec": configuration.plain(self.spec),
                "config": configuration.plain(self.config),
                "assessed": bool(self._feasibility),
                "episodes": self._own,
                "rejects": self._rejects,
            },
        )
        write_json(self._aside / layout.INFO, self._info())

    def _whole_stats(self) -> dict[str, stats.Stats]:
        """Exact statistics over all rows, one column in memory at a time."""
        out = {}
        for key, feature in self.features.items():
            if feature["dtype"] == "video":
                out[key] = stats.image_stats(self._image_counts[key], self._rows)
            elif feature["dtype"] != "string":
                out[key] = stats.column_stats(self._data.read_column(key))
        return out

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": layout.VERSION,
            "robot_type": self.robot_type,
            "total_episodes": len(self._episodes),
            "total_frames": self._rows,
            "total_tasks": len(self._tasks),
            "chunks_size": layout.CHUNK_FILES,
            "data_files_size_in_mb": max(1, round(self.config.data_file_mb)),
            "video_files_size_in_mb": max(1, round(self.config.video_file_mb)),
            "fps": layout.whole(self.rate_hz),
            "splits": {"train": f"0:{len(self._episodes)}"},
            "data_path": layout.DATA_PATH,
            "video_path": layout.VIDEO_PATH if self.camera_keys else None,
            "features": self.features,
        }

    def abort(self) -> None:
        """Give up: close every file and remove what was written. A finished data set stays."""
        if self._closed:
            return
        self._closed = True
        self._data.abort()
        for video in self._videos.values():
            video.abort()
        shutil.rmtree(self._aside, ignore_errors=True)

    def _require_open(self) -> None:
        if self._closed:
            raise DatasetError("this writer has finished or given up", asked=self.root)
