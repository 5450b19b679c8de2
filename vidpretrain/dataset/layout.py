"""The LeRobot v3.0 layout: where files lie, which columns there are, and how arrays become Arrow columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vidpretrain.dataset.feasibility import MEASURED, MEASURES
from vidpretrain.dataset.hands import features as hand_features
from vidpretrain.types import ActionSpec

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = "v3.0"
READABLE = ("v3.0", "v2.1")
CHUNK_FILES = 1000
INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
OWN_META = "meta/vidpretrain.json"
OWN_FORMAT = 1
FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = f"meta/episodes/{FILE}.parquet"
DATA_PATH = f"data/{FILE}.parquet"
VIDEO_PATH = f"videos/{{video_key}}/{FILE}.mp4"

STATE, ACTION = "observation.state", "action"
MASKS = ("valid", "confidence", "imputed")
PROVENANCE = ("source.sha256", "source.frame", "source.time_ns", "source.license", "code_version")


def _feature(dtype: str, names: list[str] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [1 if names is None else len(names)], "names": names}


def features(
    spec: ActionSpec,
    rate_hz: float,
    height_px: int,
    width_px: int,
    camera_keys: tuple[str, ...],
    measures: tuple[str, ...] = (),
    hands: bool = False,
) -> dict:
    """The `features` of info.json. The masks have one entry per column of the state, in its order.

    With `measures` there are the columns of `dataset.feasibility`, one entry each; with `hands` those of
    `dataset.hands`.
    None of our own columns starts with "observation" or "action", which LeRobot would feed to a policy.
    """
    names = list(spec.names)
    video = {
        "dtype": "video",
        "shape": [height_px, width_px, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height_px,
            "video.width": width_px,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": whole(rate_hz),
            "video.channels": 3,
            "has_audio": False,
        },
    }
    return {
        STATE: _feature("float32", names),
        ACTION: _feature("float32", names),
        **dict.fromkeys(camera_keys, video),
        "valid": _feature("bool", names),
        "confidence": _feature("float32", names),
        "imputed": _feature("bool", names),
        "source.sha256": _feature("string"),
        "source.frame": _feature("int64"),
        "source.time_ns": _feature("int64"),
        "source.license": _feature("string"),
        "code_version": _feature("string"),
        **({MEASURES: _feature("float32", [*measures]), MEASURED: _feature("bool", [*measures])} if measures else {}),
        **(hand_features() if hands else {}),
        "timestamp": _feature("float32"),
        "frame_index": _feature("int64"),
        "episode_index": _feature("int64"),
        "index": _feature("int64"),
        "task_index": _feature("int64"),
    }


def whole(rate_hz: float) -> int | float:
    """LeRobot's `fps` is a whole number wherever the rate is one."""
    return int(rate_hz) if float(rate_hz).is_integer() else float(rate_hz)


def arrow_table(columns: dict[str, np.ndarray], described: dict) -> pa.Table:
    """Columns as Arrow: vectors as fixed-size lists, single values as plain columns."""
    import pyarrow as pa

    kinds = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
    arrays, fields = [], []
    for key, feature in described.items():
        if feature["dtype"] in ("video", "image"):
            continue
        kind, width = kinds[feature["dtype"]], feature["shape"][0]
        if width == 1:
            array = pa.array(np.asarray(columns[key]).reshape(-1), type=kind)
        else:
            flat = pa.array(np.ascontiguousarray(columns[key]).reshape(-1), type=kind)
            array = pa.FixedSizeListArray.from_arrays(flat, width)
        arrays.append(array)
        fields.append(pa.field(key, array.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def numpy_columns(table: pa.Table, described: dict) -> dict[str, np.ndarray]:
    """Inverse of `arrow_table`, for fixed-size or variable lists: (n,) or (n, d) arrays, strings as objects."""
    out = {}
    for key in table.column_names:
        column = table.column(key).combine_chunks()
        shape = tuple(described.get(key, {}).get("shape", (1,)))
        if hasattr(column, "flatten") and "list" in str(column.type):
            flat = column.flatten().to_numpy(zero_copy_only=False)
            out[key] = flat.reshape(len(column), -1) if len(shape) == 1 else flat.reshape(len(column), *shape)
        else:
            out[key] = column.to_numpy(zero_copy_only=False)
    for key in (STATE, ACTION):
        if key in out and out[key].ndim == 1:
            out[key] = out[key][:, None]
    for key in MASKS:
        if key in out and out[key].ndim == 1:
            out[key] = out[key][:, None]
    return out
