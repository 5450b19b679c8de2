"""Reading a data set: LeRobot v3.0 (ours or anybody's) and v2.1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vidpretrain.dataset import layout
from vidpretrain.dataset.feasibility import read_summaries
from vidpretrain.dataset.files import folder_digest, read_json
from vidpretrain.dataset.frames import read_frames
from vidpretrain.dataset.known import spec_from_names
from vidpretrain.errors import DatasetError
from vidpretrain.types import ActionSpec, Camera


@dataclass(frozen=True, kw_only=True)
class EpisodeInfo:
    """Where an episode lies and where it comes from; `own` is our own record of it, empty for other people's data.

    `first_row` counts rows of the parquet file, `first_frame` grid places of each camera's video file.
    """

    index: int
    length: int
    instruction: str
    license: str
    data_path: Path
    first_row: int
    video_path: dict[str, Path]
    first_frame: dict[str, int]
    own: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> dict[str, Any]:
        """The source file: source_id, uri, sha256, license, attribution, consent; empty when not recorded."""
        return self.own.get("source", {})


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """An opened data set. `len` is its number of episodes."""

    root: Path
    version: str
    rate_hz: float
    robot_type: str
    spec: ActionSpec
    features: dict[str, Any]
    episodes: tuple[EpisodeInfo, ...]
    info: dict[str, Any]
    own: dict[str, Any]

    def __len__(self) -> int:
        return len(self.episodes)

    @property
    def frame_count(self) -> int:
        """Rows over all episodes."""
        return sum(episode.length for episode in self.episodes)

    @property
    def camera_keys(self) -> tuple[str, ...]:
        """Names of the video columns."""
        return tuple(key for key, feature in self.features.items() if feature["dtype"] == "video")

    @property
    def digest(self) -> str:
        """Sixteen hex digits that change when the data set does (every file's size, and the texts of meta/)."""
        texts = tuple(
            str(p.relative_to(self.root)) for p in sorted((self.root / "meta").rglob("*")) if p.suffix != ".parquet"
        )
        return folder_digest(self.root, texts)

    @property
    def feasibility(self) -> tuple[dict[str, Any], ...]:
        """What the robot can do of every episode (`Feasibility.summary()`), in their order; empty when not assessed.

        Raises:
            DatasetError: the file is broken.
        """
        return read_summaries(self.root)

    def columns(self, episode: int) -> dict[str, np.ndarray]:
        """All columns of an episode by name, t rows each; new arrays.

        `observation.state`, `action` are float32 (t, d), `valid`, `imputed` bool (t, d), `confidence` float32 (t, d):
        all valid, certain and not imputed where a data set does not say. Strings come as objects.

        Raises:
            DatasetError: no such episode, or its file is missing, broken or too short.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        info = self._episode(episode)
        try:
            with pq.ParquetFile(info.data_path) as file:
                table = _rows(file, info.first_row, info.length)
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"the episode's rows cannot be read: {error}", asked=info.data_path) from None
        if len(table) != info.length:
            raise DatasetError("the file has too few rows", asked=info.length, found=f"{len(table)} {info.data_path}")
        columns = {key: np.array(value) for key, value in layout.numpy_columns(table, self.features).items()}
        shape = columns[layout.STATE].shape
        columns.setdefault("valid", np.ones(shape, dtype=bool))
        columns.setdefault("confidence", np.ones(shape, dtype=np.float32))
        columns.setdefault("imputed", np.zeros(shape, dtype=bool))
        return columns

    def iter_frames(
        self, episode: int, indices: Sequence[int] | None = None, camera_key: str | None = None
    ) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Pictures of an episode's rows one by one (all rows, or ascending `indices`), RGB.

        Raises:
            DatasetError: no such episode, row or camera, or the video is missing or broken.
        """
        info = self._episode(episode)
        key = self._camera_key(camera_key)
        rows = np.arange(info.length) if indices is None else np.asarray(indices, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < info.length):
            raise DatasetError("no such row", asked=rows.tolist(), valid=f"0 to {info.length - 1} of episode {episode}")
        if (np.diff(rows) < 0).any():
            raise ValueError("indices must ascend")
        return read_frames(info.video_path[key], self.rate_hz, (rows + info.first_frame[key]).tolist())

    def frames(
        self, episode: int, indices: Sequence[int] | None = None, camera_key: str | None = None
    ) -> UInt8[np.ndarray, "n h w 3"]:
        """Pictures of an episode's rows as one array; `indices` in any order. See `iter_frames`."""
        if indices is None:
            return np.stack(list(self.iter_frames(episode, None, camera_key)))
        rows, back = np.unique(np.asarray(indices, dtype=np.int64), return_inverse=True)
        height, width, _ = self.features[self._camera_key(camera_key)]["shape"]
        if len(rows) == 0:
            return np.zeros((0, height, width, 3), dtype=np.uint8)
        return np.stack(list(self.iter_frames(episode, rows.tolist(), camera_key)))[back]

    def camera(self, episode: int, camera_key: str | None = None) -> Camera | None:
        """Intrinsics of the stored pictures, None when the data set does not tell them."""
        found = self._episode(episode).own.get("cameras", {}).get(self._camera_key(camera_key))
        if found is None:
            return None
        return Camera(
            K=np.array(found["K"], dtype=float),
            distortion=np.array(found["distortion"], dtype=float),
            width_px=found["width_px"],
            height_px=found["height_px"],
            intrinsics_from=found["intrinsics_from"],
            gravity_from=found["gravity_from"],
        )

    def _episode(self, episode: int) -> EpisodeInfo:
        if not 0 <= episode < len(self.episodes):
            raise DatasetError("no such episode", asked=episode, valid=f"0 to {len(self.episodes) - 1}")
        return self.episodes[episode]

    def _camera_key(self, key: str | None) -> str:
        if not self.camera_keys:
            raise DatasetError("the data set has no video", asked=self.root)
        if key is not None and key not in self.camera_keys:
            raise DatasetError("no such camera", asked=key, valid=", ".join(self.camera_keys))
        return key or self.camera_keys[0]


def open_dataset(root: Path | str, spec: ActionSpec | None = None) -> Dataset:
    """The data set in a folder. The layout of its vectors is `spec`, else our own record, else told by column names.

    Raises:
        DatasetError: no such folder, no finished data set in it, another version, or broken meta files.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError("no such data set folder", asked=root, next_command=f"ls {root.parent}")
    if not (root / layout.INFO).is_file():
        raise DatasetError(
            "not a data set, or one whose writing was interrupted", asked=root, found=f"no {layout.INFO}",
            valid=f"a LeRobot folder, version {' or '.join(layout.READABLE)}",
        )  # fmt: skip
    info = read_json(root / layout.INFO)
    version = info.get("codebase_version") if isinstance(info, dict) else None
    if version not in layout.READABLE:
        raise DatasetError(
            "a data set of another version",
            asked=root,
            found=version or "no codebase_version",
            valid=", ".join(layout.READABLE),
            next_command="convert it with lerobot's own scripts to v3.0",
        )
    own = read_json(root / layout.OWN_META) if (root / layout.OWN_META).is_file() else {}
    try:
        episodes = _episodes_v3(root, info, own) if version == "v3.0" else _episodes_v21(root, info)
        return Dataset(
            root=root,
            version=version,
            rate_hz=float(info["fps"]),
            robot_type=info.get("robot_type") or "",
            spec=spec or _spec(info, own),
            features=info["features"],
            episodes=episodes,
            info=info,
            own=own,
        )
    except (KeyError, TypeError) as error:
        raise DatasetError(f"meta files do not fit the version: {error!r}", asked=root, found=version) from None


def _spec(info: dict, own: dict) -> ActionSpec:
    from vidpretrain.transforms import spec_from_dict

    if "spec" in own:
        return spec_from_dict(own["spec"])
    feature = info["features"][layout.ACTION]
    names = feature.get("names") or [f"action_{i}" for i in range(feature["shape"][0])]
    while isinstance(names, dict) or (names and isinstance(names[0], list)):
        names = next(iter(names.values())) if isinstance(names, dict) else names[0]
    return spec_from_names(tuple(names), float(info["fps"]), info.get("robot_type") or "")


def _episodes_v3(root: Path, info: dict, own: dict) -> tuple[EpisodeInfo, ...]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = sorted((root / "meta/episodes").glob("*/*.parquet"))
    if not files:
        raise DatasetError("a file of the data set is missing", asked=root / "meta/episodes")
    rows: list[dict] = []
    try:
        for path in files:
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            rows += pq.read_table(path, columns=names).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"the list of episodes cannot be read: {error}", asked=root / "meta/episodes") from None
    rows.sort(key=lambda row: row["episode_index"])
    records = {record["episode_index"]: record for record in own.get("episodes", [])}
    keys = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]
    starts: dict[tuple[int, int], int] = {}
    out = []
    for row in rows:
        place = (row["data/chunk_index"], row["data/file_index"])
        start = starts.setdefault(place, row["dataset_from_index"])
        record = records.get(row["episode_index"], {})
        out.append(
            EpisodeInfo(
                index=row["episode_index"],
                length=row["length"],
                instruction=(row["tasks"] or [""])[0],
                license=record.get("source", {}).get("license") or _license(root, info),
                data_path=root / info["data_path"].format(chunk_index=place[0], file_index=place[1]),
                first_row=row["dataset_from_index"] - start,
                video_path={key: root / _video_path(info, row, key) for key in keys},
                first_frame={key: round(row[f"videos/{key}/from_timestamp"] * info["fps"]) for key in keys},
                own=record,
            )
        )
    return tuple(out)


def _video_path(info: dict, row: dict, key: str) -> str:
    return info["video_path"].format(
        video_key=key, chunk_index=row[f"videos/{key}/chunk_index"], file_index=row[f"videos/{key}/file_index"]
    )


def _episodes_v21(root: Path, info: dict) -> tuple[EpisodeInfo, ...]:
    keys = [key for key, feature in info["features"].items() if feature["dtype"] == "video"]
    out = []
    for row in _json_lines(root / "meta/episodes.jsonl"):
        index = row["episode_index"]
        place = {"episode_chunk": index // info.get("chunks_size", 1000), "episode_index": index}
        out.append(
            EpisodeInfo(
                index=index,
                length=row["length"],
                instruction=(row.get("tasks") or [""])[0],
                license=_license(root, info),
                data_path=root / info["data_path"].format(**place),
                first_row=0,
                video_path={key: root / info["video_path"].format(video_key=key, **place) for key in keys},
                first_frame=dict.fromkeys(keys, 0),
            )
        )
    return tuple(sorted(out, key=lambda episode: episode.index))


def _json_lines(path: Path) -> list[dict]:
    import json

    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise DatasetError("a file of the data set is missing", asked=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(f"not valid JSON lines: {error}", asked=path) from None


_TITLES = {"MIT License": "MIT", "The MIT License (MIT)": "MIT", "Apache License": "Apache-2.0"}


def _license(root: Path, info: dict) -> str:
    """The licence that the data set states: in info.json, else the title of its LICENSE file."""
    if info.get("license"):
        return str(info["license"])
    for name in ("LICENSE", "LICENSE.txt", "LICENSE.md"):
        if (root / name).is_file():
            lines = (root / name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
            title = lines[0].strip() if lines else "unknown"
            return _TITLES.get(title, title)
    return "unknown"


def _rows(file, start: int, count: int):
    """`count` rows of a parquet file from `start`, reading only the row groups that hold them."""
    groups, group_start, first = [], 0, 0
    for group in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        if group_start < start + count and group_start + size > start:
            if not groups:
                first = group_start
            groups.append(group)
        group_start += size
    return file.read_row_groups(groups).slice(start - first, count)
