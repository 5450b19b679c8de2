"""A full trajectory by pycolmap: structure from motion on some frames of a clip, people masked. Extra `sfm`.

Its scale is arbitrary and its vertical unknown; frames between the ones it placed are interpolated. pycolmap runs in a
process of its own: once it is imported, other libraries' PNG writers break, as their zlib is another.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpretrain import timebase
from vidpretrain.camera import masks
from vidpretrain.camera.colmap_files import read_colmap
from vidpretrain.camera.config import CameraConfig
from vidpretrain.camera.lens import opencv
from vidpretrain.camera.trajectory import Trajectory
from vidpretrain.errors import MissingExtra
from vidpretrain.types import Camera, PoseTrack
from vidpretrain.video import VideoInfo, open_video

_LEAST_PLACED = 0.6  # of the frames that were given
_OVERLAP = 12  # neighbours in time that a frame is matched with
_ALL = 80  # frames up to which every pair is matched


def reconstruct(
    info: VideoInfo, tracks: Sequence[PoseTrack], camera: Camera, config: CameraConfig
) -> Trajectory | None:
    """Poses by number of the video's frames, scale unknown; None where pycolmap cannot place most of them.

    The focal length is refined unless it was given.

    Raises:
        MissingExtra: pycolmap or OpenCV is not installed.
    """
    if importlib.util.find_spec("pycolmap") is None:
        raise MissingExtra(
            "pycolmap is not installed", asked="camera.method=sfm", next_command="pip install vidpretrain[sfm]"
        )
    time_ns = np.asarray(tracks[0].time_ns)
    step_s = float(np.median(np.diff(time_ns))) / timebase.NS_PER_S
    stride = max(1, round(1.0 / (config.sfm_rate_hz * step_s)))
    rows = np.unique(np.r_[np.arange(0, len(time_ns), stride), len(time_ns) - 1])
    with tempfile.TemporaryDirectory(prefix="vidpretrain_sfm_") as folder:
        root = Path(folder)
        scale = _write_pictures(root, info, tracks, time_ns, rows, config)
        job = _Job(str(root), *_lens(camera, scale), camera.intrinsics_from == "given", len(rows) <= _ALL)
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                placed = pool.submit(run, job).result()
            except BrokenProcessPool:
                return None
        if placed < max(3, _LEAST_PLACED * len(rows)):
            return None
        found = read_colmap(root / "best")
    return dataclasses.replace(found, source=f"pycolmap, {len(found.T_world_camera)} of {len(rows)} frames placed")


def _write_pictures(root: Path, info: VideoInfo, tracks, time_ns, rows: np.ndarray, config: CameraConfig) -> float:
    """Pictures and masks named by their frame's number in the video; their size over the video's."""
    cv2 = opencv()
    (root / "pictures").mkdir()
    (root / "masks").mkdir()
    scale = min(1.0, 1.5 * config.picture_px / max(info.width_px, info.height_px))
    with open_video(info) as reader:
        for row in rows:
            index = int(np.searchsorted(info.time_ns, time_ns[row]))
            grey = cv2.cvtColor(reader.read([index])[0], cv2.COLOR_RGB2GRAY)
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else grey
            cv2.imwrite(str(root / "pictures" / f"{index:06d}.png"), grey)
            mask = masks.background(tracks, int(row), (grey.shape[0], grey.shape[1]), scale)
            cv2.imwrite(str(root / "masks" / f"{index:06d}.png.png"), mask)
    return scale


def _lens(camera: Camera, scale: float) -> tuple[str, str]:
    """Name and parameters of COLMAP's camera model for pictures of that size."""
    K, bent = camera.K * scale, camera.distortion
    values = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    if camera.lens == "fisheye":
        model, values = "OPENCV_FISHEYE", [*values, *bent[:4]]
    elif np.any(bent):
        model, values = "OPENCV", [*values, *bent[:4]]
    else:
        model = "PINHOLE"
    return model, ",".join(f"{v:.9g}" for v in values)


@dataclass(frozen=True)
class _Job:
    root: str
    model: str
    values: str
    lens_known: bool
    every_pair: bool


def run(job: _Job) -> int:
    """Number of frames in the best model, which is written to `best` in the job's folder. For a process of its own."""
    import pycolmap

    pycolmap.logging.minloglevel = 3
    root = Path(job.root)
    reading = pycolmap.ImageReaderOptions()
    reading.mask_path, reading.camera_model, reading.camera_params = root / "masks", job.model, job.values
    database, pictures = root / "database.db", root / "pictures"
    pycolmap.extract_features(database, pictures, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reading)
    if job.every_pair:
        pycolmap.match_exhaustive(database)
    else:
        pairing = pycolmap.SequentialPairingOptions()
        pairing.overlap = _OVERLAP
        pycolmap.match_sequential(database, pairing_options=pairing)
    options = pycolmap.IncrementalPipelineOptions()
    options.ba_refine_focal_length = not job.lens_known
    options.ba_refine_principal_point = options.ba_refine_extra_params = False
    options.min_model_size, options.random_seed = 3, 0
    models = pycolmap.incremental_mapping(database, pictures, root / "models", options)
    best = max(models.values(), key=lambda model: model.num_reg_images(), default=None)
    if best is None:
        return 0
    (root / "best").mkdir()
    best.write(root / "best")
    return best.num_reg_images()
