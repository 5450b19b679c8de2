"""Video decoders and the H.264 encoder, tried on a small clip that is written and read back."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidpretrain.doctor.row import SETUP, Row, missing_package

_FRAMES = 8


def check_media() -> Iterator[Row]:
    """Rows for the encoder, PyAV, decord and the AV1 decoder."""
    missing = missing_package("PyAV", "av")
    if missing:
        yield missing
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        yield _encode(path)
        if path.exists():
            yield _decode_pyav(path)
            yield _decode_decord(path)
    yield _av1()


def _encode(path: Path) -> Row:
    import av

    if "libx264" not in av.codecs_available:
        return Row(check="H.264 encoder", status="fail", found="this PyAV was built without libx264", next=SETUP)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for index in range(_FRAMES):
            picture = np.full((64, 64, 3), 20 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return Row(check="H.264 encoder", status="ok", found=f"libx264 wrote {_FRAMES} frames, {path.stat().st_size} bytes")


def _decode_pyav(path: Path) -> Row:
    import av

    with av.open(str(path)) as container:
        count = sum(1 for _ in container.decode(video=0))
    version = importlib.metadata.version("av")
    if count != _FRAMES:
        return Row(check="PyAV", status="fail", found=f"{version} read {count} of {_FRAMES} frames", next=SETUP)
    return Row(check="PyAV", status="ok", found=f"{version} read {count} of {_FRAMES} frames")


def _decode_decord(path: Path) -> Row:
    missing = missing_package("decord", "decord", status="warn")
    if missing:
        return missing
    import decord

    count = len(decord.VideoReader(str(path)))
    version = importlib.metadata.version("decord")
    if count != _FRAMES:
        return Row(check="decord", status="warn", found=f"{version} saw {count} of {_FRAMES} frames; PyAV will be used")
    return Row(check="decord", status="ok", found=f"{version} saw {count} of {_FRAMES} frames")


def _av1() -> Row:
    import av

    decoders = [name for name in ("libdav1d", "libaom-av1", "av1") if name in av.codecs_available]
    if not decoders:
        return Row(check="AV1 decoder", status="warn", found="none; LeRobot's own videos cannot be read", next=SETUP)
    return Row(check="AV1 decoder", status="ok", found=decoders[0])
