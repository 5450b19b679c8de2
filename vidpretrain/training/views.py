"""What a policy sees of a cache's rows: several cameras, past frames, or kept features of an image model.

The first camera is the cache's own pictures. Others lie beside them (`view_NAME.npy`, put there by `add_view`), and so
do kept features (`features_NAME_KEY.npy`, by `build_features`). Letters: n rows, b rows of a batch, v views, N tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from vidpretrain.config import digest
from vidpretrain.dataset import TrainingCache
from vidpretrain.dataset.files import disk_guard
from vidpretrain.errors import ConfigError, DatasetError
from vidpretrain.model import ModelConfig

Array = np.ndarray


@dataclass(frozen=True)
class Views:
    """One array per camera (n ...), pictures or features, and the offsets of past frames."""

    arrays: tuple[Array, ...]
    frames: tuple[int, ...]

    def of(self, row: Int64[Array, " b"], first: Int64[Array, " b"]) -> Array:
        """(b v ...) of rows whose episodes begin at `first`, in the order of `ModelConfig.views`; (b ...) of one view.

        Before an episode's start its first row is seen.
        """
        at = [np.maximum(row + offset, first) for offset in (0, *self.frames)]
        seen = [np.asarray(array[rows]) for array in self.arrays for rows in at]
        return seen[0] if len(seen) == 1 else np.stack(seen, axis=1)


def open_views(cache: TrainingCache, sizes: ModelConfig) -> Views:
    """The views that a policy of these sizes wants of a cache.

    Raises:
        DatasetError: a camera is not there, or its features are not.
    """
    if sizes.vision == "features":
        return Views(tuple(_features(cache, sizes, name) for name in sizes.cameras), sizes.frames)
    return Views((cache.images, *(_view(cache, name, sizes) for name in sizes.cameras[1:])), sizes.frames)


def add_view(cache: TrainingCache, name: str, images: UInt8[Array, "n s s 3"]) -> Path:
    """The file of another camera's pictures of every row, of the same size as the cache's own.

    Raises:
        DatasetError: rows, size or type differ.
    """
    if images.dtype != np.uint8 or images.shape != cache.images.shape:
        raise DatasetError(
            f"pictures of camera {name!r} do not fit the cache",
            found=f"{images.dtype} {images.shape}",
            valid=f"uint8 {cache.images.shape}",
        )
    path = _view_path(cache, name)
    _save(path, images)
    return path


def build_features(cache: TrainingCache, sizes: ModelConfig, batch_size: int = 64) -> tuple[Path, ...]:
    """Files of what the frozen image model `sizes.backbone` makes of every picture of every camera, float16; kept ones
    are not made again.

    Raises:
        MissingAsset: the model is not here. ConfigError: it gives other tokens than `feature_tokens`, `feature_width`.
    """
    paths = tuple(_features_path(cache, sizes, name) for name in sizes.cameras)
    missing = [(name, path) for name, path in zip(sizes.cameras, paths, strict=True) if not path.is_file()]
    if missing:
        look = look_with(sizes)
        pictures = {sizes.cameras[0]: cache.images}
        for name, path in missing:
            images = pictures[name] if name in pictures else _view(cache, name, sizes)
            parts = [look(np.asarray(images[i : i + batch_size])) for i in range(0, len(images), batch_size)]
            _save(path, np.concatenate(parts))
    return paths


def look_with(sizes: ModelConfig) -> Callable[[Array], Array]:
    """The function from pictures (b p q 3) to the features (b N F) that a policy with `vision` features is given."""
    import torch

    from vidpretrain.model.vision import BackboneStem, backbone_settings, load_backbone

    stem = BackboneStem(backbone_settings(sizes), int(sizes.image_px or 0), int(sizes.width or 0), 0).eval()
    load_backbone(stem, str(sizes.backbone))

    def look(images: Array) -> Array:
        with torch.inference_mode():
            found = stem.features(torch.from_numpy(np.ascontiguousarray(images)))
        if tuple(found.shape[1:]) != (sizes.feature_tokens, sizes.feature_width):
            raise ConfigError(
                f"{sizes.backbone} gives {found.shape[1]} tokens of {found.shape[2]} numbers",
                asked=f"model.feature_tokens={sizes.feature_tokens} model.feature_width={sizes.feature_width}",
                valid=f"model.feature_tokens={found.shape[1]} model.feature_width={found.shape[2]}",
            )
        return found.to(torch.float16).numpy()

    return look


def _view(cache: TrainingCache, name: str, sizes: ModelConfig) -> Array:
    path = _view_path(cache, name)
    if not path.is_file():
        there = sorted(p.stem.removeprefix("view_") for p in cache.path.glob("view_*.npy"))
        raise DatasetError(
            f"the cache has no camera {name!r}",
            asked=f"model.cameras={','.join(sizes.cameras)}",
            found=f"{cache.path}: its own pictures, {', '.join(there) or 'no other camera'}",
            valid="one camera, or pictures put beside the cache with training.views.add_view",
        )
    return _mapped(path, len(cache))


def _features(cache: TrainingCache, sizes: ModelConfig, name: str) -> Array:
    path = _features_path(cache, sizes, name)
    if not path.is_file():
        raise DatasetError(
            f"the cache has no features of camera {name!r} by {sizes.backbone}",
            asked="model.vision=features",
            found=f"no {path.name} in {cache.path}",
            valid="features made by training.views.build_features",
        )
    return _mapped(path, len(cache))


def _mapped(path: Path, rows: int) -> Array:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if len(array) != rows:
        raise DatasetError("the cache's arrays do not fit", asked=path, found=len(array), valid=rows)
    return array


def _view_path(cache: TrainingCache, name: str) -> Path:
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ConfigError("a camera's name has letters, digits, - and _", asked=name)
    return cache.path / f"view_{name}.npy"


def _features_path(cache: TrainingCache, sizes: ModelConfig, name: str) -> Path:
    _view_path(cache, name)
    return cache.path / f"features_{name}_{digest(str(sizes.backbone), sizes.image_px)[:12]}.npy"


def _save(path: Path, array: Array) -> None:
    aside = path.with_name(f".{path.name}.tmp")
    with disk_guard(aside), aside.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
