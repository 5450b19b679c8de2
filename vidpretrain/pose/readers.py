"""What other tools write, as the arrays that `precomputed` works on.

Every reader takes what stands under the clip's or the source's name in `pose.precomputed` and gives `time_ns`,
`<part>_image`, `<part>_relative` and `<part>_confidence` (see `precomputed`). Frame numbers are indices of the video's
decoded frames. Checked against the tools' public code, not against files of theirs:

* `sam3d_body`: a folder of NPZ files, one per frame and person, of the dict that `process_one_image` returns; the
  number of the frame is the first in the file's name (`frame_0012_person0.npz`).
* `wilor`, `hamer`: a folder of NPZ files, one per frame, with the network's `pred_keypoints_3d` (n 21 3),
  `pred_cam_t_full` (n 3) and `is_right` (n), x of left hands already mirrored back (as their demos do), and if there
  `pred_keypoints_2d` (n 21 2) px or `scaled_focal_length`. Neither writes such a file by itself; HaMeR's own
  `*_3dkeypoints.npy` does not say which hand it is.
* `gvhmr`: the output folder of its demo: `preprocess/vitpose.pt`, COCO's 17 body points in pixels. Its SMPL parameters
  (and HaWoR's of MANO) are no points without the licensed body models, so there is no reader for them.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain.errors import InputError, MissingAsset
from vidpretrain.pose.layouts import COCO17, MHR70, MHR70_HANDS, body33
from vidpretrain.video.info import VideoInfo

Arrays = dict[str, np.ndarray]
_TRUST = 0.9  # confidence of tools that give none
_MANO_FOCAL = 5000.0 / 256.0  # of HaMeR and WiLoR, times the picture's long side


def read_npz(path: Path, info: VideoInfo) -> Arrays:
    """Arrays of `<path>.npz` as they are."""
    del info
    return _npz(path.with_name(path.name + ".npz"))


def read_parquet(path: Path, info: VideoInfo) -> Arrays:
    """Arrays of `<path>.parquet`: rows of time_ns, part, keypoint, u_px, v_px, confidence and maybe x_m, y_m, z_m."""
    import pyarrow.parquet as parquet

    del info
    file = path.with_name(path.name + ".parquet")
    table = parquet.read_table(file)
    needed = {"time_ns", "part", "keypoint", "u_px", "v_px", "confidence"}
    if missing := needed - set(table.column_names):
        raise InputError("columns are missing", asked=file, found=", ".join(sorted(missing)), valid=sorted(needed))
    column = {name: table[name].to_numpy() for name in table.column_names}
    time_ns, row = np.unique(column["time_ns"].astype(np.int64), return_inverse=True)
    out: Arrays = {"time_ns": time_ns}
    for part, k in (("hand21_left", 21), ("hand21_right", 21), ("body33", 33)):
        at = column["part"] == part
        if not at.any():
            continue
        t, j = row[at], column["keypoint"][at].astype(int)
        if j.min() < 0 or j.max() >= k:
            raise InputError(f"keypoints of {part} are 0 to {k - 1}", asked=file, found=f"{j.min()} to {j.max()}")
        out |= _empty(part, len(time_ns), k)
        out[f"{part}_image"][t, j] = np.stack([column[n][at] for n in ("u_px", "v_px")], axis=-1)
        out[f"{part}_confidence"][t, j] = column["confidence"][at]
        if {"x_m", "y_m", "z_m"} <= set(column):
            out[f"{part}_relative"][t, j] = np.stack([column[n][at] for n in ("x_m", "y_m", "z_m")], axis=-1)
        else:
            del out[f"{part}_relative"]
    return out


def read_sam3d_body(path: Path, info: VideoInfo) -> Arrays:
    """Body and both hands of the person with the largest box of every frame."""
    best: dict[int, tuple[float, Arrays]] = {}
    for frame, file in _frames(path, info):
        found = _npz(file)
        image = _array(found, file, "pred_keypoints_2d", (70, 2))
        size = float(np.prod(np.ptp(image, axis=0)))
        if frame not in best or size > best[frame][0]:
            best[frame] = (size, found)
    out, order = _whole(sorted(best), info), sorted(best)
    for row, frame in enumerate(order):
        image, space = best[frame][1]["pred_keypoints_2d"], best[frame][1]["pred_keypoints_3d"]
        for side, theirs in MHR70_HANDS.items():
            points = space[list(theirs)]
            _put(out, f"hand21_{side}", row, image[list(theirs)], points - points.mean(0), _TRUST)
        (u, sure), (p, _) = body33(image, MHR70), body33(space, MHR70)
        _put(out, "body33", row, u, p - p[23:25].mean(0), np.where(sure, _TRUST, 0.0))
    return out


def read_mano_hands(path: Path, info: VideoInfo) -> Arrays:
    """Hands in MANO's order (ours) in the camera's frame; of two of one side in a frame the larger."""
    rows = list(_frames(path, info))
    out = _whole([frame for frame, _ in rows], info)
    focal = _MANO_FOCAL * max(info.width_px, info.height_px)
    centre = 0.5 * np.array([info.width_px, info.height_px])
    for row, (_, file) in enumerate(rows):
        found = _npz(file)
        space = _array(found, file, "pred_keypoints_3d", (None, 21, 3))
        n = len(space)
        right = _array(found, file, "is_right", (n,)) > 0.5
        if "pred_keypoints_2d" in found:
            image = _array(found, file, "pred_keypoints_2d", (n, 21, 2))
        else:
            f = float(np.ravel(found.get("scaled_focal_length", focal))[0])
            camera = space + _array(found, file, "pred_cam_t_full", (n, 3))[:, None]
            image = f * camera[..., :2] / camera[..., 2:] + centre
        sizes = np.ptp(image, axis=1).max(-1)
        for i in np.argsort(sizes):  # the largest last
            side = "right" if right[i] else "left"
            _put(out, f"hand21_{side}", row, image[i], space[i] - space[i].mean(0), _TRUST)
    return out


def read_gvhmr(path: Path, info: VideoInfo) -> Arrays:
    """2-D body points of the demo's preprocessing (its copy of the video has the frames of the source)."""
    file = path / "preprocess" / "vitpose.pt"
    if not file.is_file():
        raise MissingAsset("no body points of GVHMR's demo", asked=file, valid="OUTPUT/preprocess/vitpose.pt")
    points = read_tensor(file)
    if points.ndim != 3 or points.shape[1:] != (17, 3) or len(points) > info.frame_count:
        raise InputError(
            "not body points of this video", asked=file, found=points.shape, valid=f"<= {info.frame_count}"
        )
    out = _whole(list(range(len(points))), info)
    del out["body33_relative"]
    for row, frame in enumerate(points):
        image, sure = body33(frame[:, :2], COCO17)
        score = body33(np.repeat(frame[:, 2:], 2, axis=1), COCO17)[0][:, 0]
        out["body33_image"][row], out["body33_confidence"][row] = image, np.where(sure, np.clip(score, 0, 1), 0.0)
    return out


READERS: dict[str, Callable[[Path, VideoInfo], Arrays]] = {
    "vidpretrain": read_npz,
    "parquet": read_parquet,
    "sam3d_body": read_sam3d_body,
    "wilor": read_mano_hands,
    "hamer": read_mano_hands,
    "gvhmr": read_gvhmr,
}


def where(folder: Path, name: str, kind: str) -> Path | None:
    """`folder/name` if what a reader of that kind wants is there (a file with its ending, or a folder), else None."""
    path = folder / name
    ending = {"vidpretrain": ".npz", "parquet": ".parquet"}.get(kind)
    found = path.is_dir() if ending is None else path.with_name(path.name + ending).is_file()
    return path if found else None


def read_tensor(path: Path) -> np.ndarray:
    """The one tensor of a file of `torch.save`, read without torch: a zip of a pickle and raw numbers.

    The pickle may ask for a tensor's numbers and nothing else.

    Raises:
        InputError: the file has another layout.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            program = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            root = program.removesuffix("data.pkl")
            with archive.open(program) as file:
                value = _Tensor(file, lambda key: archive.read(f"{root}data/{key}")).load()
    except (zipfile.BadZipFile, pickle.UnpicklingError, StopIteration, KeyError, ValueError, OSError) as error:
        raise InputError(f"not a tensor of torch.save: {error}", asked=path) from None
    if not isinstance(value, np.ndarray):
        raise InputError("not a single tensor", asked=path, found=type(value).__name__)
    return value


_TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "HalfStorage": "<f2",
}


class _Tensor(pickle.Unpickler):
    def __init__(self, file: Any, numbers: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._numbers = numbers

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _strided
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"{module}.{name} is not a tensor's")

    def persistent_load(self, pid: Any) -> np.ndarray:
        _, kind, key, *_ = pid
        return np.frombuffer(self._numbers(str(key)), dtype=kind)


def _strided(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> np.ndarray:
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if offset < 0 or min((*size, *stride), default=0) < 0 or last >= len(storage):
        raise ValueError("a tensor beyond its numbers")
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False).astype(float)


def _frames(folder: Path, info: VideoInfo) -> list[tuple[int, Path]]:
    """NPZ files of a folder with the frame's number, which is the first in the name, in order."""
    out = []
    for file in sorted(folder.glob("*.npz")):
        number = re.search(r"\d+", file.stem)
        if number is None or int(number[0]) >= info.frame_count:
            raise InputError(
                "no frame of this video", asked=file, valid=f"a number below {info.frame_count} in the name"
            )
        out.append((int(number[0]), file))
    if not out:
        raise MissingAsset("no NPZ files", asked=folder)
    return sorted(out)


def _npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as data:
            out = {}
            for key in data.files:
                try:
                    out[key] = data[key]
                except ValueError:  # an object (a mask that is None): nothing that is read here
                    continue
            return out
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InputError(f"not an NPZ file of plain arrays: {error}", asked=path) from None


def _array(found: Arrays, file: Path, key: str, shape: tuple[int | None, ...]) -> np.ndarray:
    array = found.get(key)
    fits = array is not None and array.ndim == len(shape)
    if not fits or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):  # type: ignore[union-attr]
        raise InputError(f"'{key}' does not fit", asked=file, found=None if array is None else array.shape, valid=shape)
    return np.asarray(array, dtype=float)


def _empty(part: str, t: int, k: int) -> Arrays:
    return {
        f"{part}_image": np.full((t, k, 2), np.nan),
        f"{part}_relative": np.full((t, k, 3), np.nan),
        f"{part}_confidence": np.zeros((t, k)),
    }


def _whole(frames: list[int], info: VideoInfo) -> Arrays:
    out: Arrays = {"time_ns": np.asarray(info.time_ns)[frames]}
    for part, k in (("hand21_left", 21), ("hand21_right", 21), ("body33", 33)):
        out |= _empty(part, len(frames), k)
    return out


def _put(out: Arrays, part: str, row: int, image: np.ndarray, relative: np.ndarray, confidence: Any) -> None:
    out[f"{part}_image"][row], out[f"{part}_relative"][row] = image, relative
    out[f"{part}_confidence"][row] = confidence
