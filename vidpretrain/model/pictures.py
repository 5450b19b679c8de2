"""What a policy is shown, checked before any of it is computed with: views of named cameras, or kept features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from vidpretrain.errors import InputError, nearest
from vidpretrain.model.config import ModelConfig

Array = np.ndarray
MAX_SIDE_PX = 8192


def seen(given: Any, sizes: ModelConfig) -> tuple[Array, Bool[Array, "b v"] | None]:
    """(pictures, which views there are) as `VidPolicy` takes them; None where all are.

    Args:
        given: (b p q 3) uint8 of the one camera, (b v p q 3) of all views in the order of `ModelConfig.views`, or by
            camera's name (b p q 3), with past frames (b 1+frames p q 3): None for a camera that has failed, which the
            policy then knows. Of a policy that sees features (b N F) or (b v N F) floats.

    Raises:
        InputError: a camera is missing or unknown; type, channels or size do not fit.
    """
    if isinstance(given, Mapping):
        return _named(given, sizes)
    images = _kind(np.asarray(given), sizes, 4 if len(sizes.views) == 1 else 5, "pictures")
    if len(sizes.views) > 1 and images.shape[1] != len(sizes.views):
        raise InputError(
            f"{images.shape[1]} views where the policy sees {len(sizes.views)}",
            found=images.shape,
            valid=f"one for each of {', '.join(sizes.views)}",
        )
    return images, None


def _named(given: Mapping[str, Any], sizes: ModelConfig) -> tuple[Array, Bool[Array, "b v"] | None]:
    unknown = [name for name in given if name not in sizes.cameras]
    missing = [name for name in sizes.cameras if name not in given]
    if unknown or missing:
        name = (unknown or missing)[0]
        raise InputError(
            f"the policy has no camera {name!r}{nearest(name, sizes.cameras)}" if unknown else f"no camera {name!r}",
            asked=", ".join(map(str, given)) or "no pictures",
            valid=f"{', '.join(sizes.cameras)}; None for one that has failed",
        )
    frames = 1 + len(sizes.frames)
    parts = {}
    for name, images in given.items():
        if images is not None:
            part = _kind(np.asarray(images), sizes, 4 if frames == 1 else 5, f"pictures of {name}")
            parts[name] = part[:, None] if frames == 1 else part
            if parts[name].shape[1] != frames:
                raise InputError(f"frames of {name} do not fit", found=part.shape, valid=f"{frames} of each row")
    if not parts:
        raise InputError("no camera has a picture", valid=", ".join(sizes.cameras))
    shapes = {part.shape for part in parts.values()}
    if len(shapes) != 1:
        raise InputError("cameras differ in size", found={name: part.shape for name, part in parts.items()})
    shape = shapes.pop()
    dtype = next(iter(parts.values())).dtype
    images = np.concatenate([parts.get(name, np.zeros(shape, dtype)) for name in sizes.cameras], axis=1)
    if len(sizes.views) == 1:
        return images[:, 0], None
    known = np.repeat([name in parts for name in sizes.cameras], frames)
    return images, None if known.all() else np.broadcast_to(known, images.shape[:2])


def _kind(images: Array, sizes: ModelConfig, rank: int, what: str) -> Array:
    """The array, after its type and shape were looked at."""
    if sizes.vision == "features":
        valid = (sizes.feature_tokens, sizes.feature_width)
        if images.dtype.kind != "f" or images.ndim != rank - 1 or images.shape[-2:] != valid:
            raise InputError(
                f"features of {sizes.backbone} do not fit: this policy sees them in place of pictures",
                found=f"{images.dtype} {images.shape}",
                valid=f"floats (batch, {'views, ' * (rank - 4)}{valid[0]}, {valid[1]})",
                next_command="vidpretrain.training.views.look_with(sizes) makes them of pictures",
            )
        return images
    valid = f"uint8 (batch, {'views, ' * (rank - 4)}height, width, 3), RGB"
    found = f"{images.dtype} {images.shape}"
    if images.ndim == rank and images.shape[-1] != 3 and images.shape[-3] == 3:
        raise InputError(f"{what} do not fit: channels come last", found=found, valid=valid)
    if images.dtype != np.uint8 and images.dtype.kind == "f":
        raise InputError(f"{what} do not fit: levels are whole numbers from 0 to 255", found=found, valid=valid)
    if images.dtype != np.uint8 or images.ndim != rank or images.shape[-1] != 3:
        raise InputError(f"{what} do not fit", found=found, valid=valid)
    if not all(2 <= side <= MAX_SIDE_PX for side in images.shape[-3:-1]):
        raise InputError(f"{what} have no usable size", found=found, valid=f"sides of 2 to {MAX_SIDE_PX} px")
    return images
