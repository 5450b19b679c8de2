"""A training cache that can be learned only by looking: a bright square says where to go."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vidpretrain import config as configs
from vidpretrain.dataset import TrainingCache
from vidpretrain.dataset.cache import FORMAT
from vidpretrain.dataset.files import write_json
from vidpretrain.model import ModelConfig
from vidpretrain.types import ActionSpec, Group

PX = 32
MODEL = ModelConfig(
    preset="micro",
    image_px=PX,
    stem=((16, 2), (24, 2), (32, 2)),
    width=32,
    trunk_layers=1,
    decoder_layers=1,
    history=(-1,),
    flow_steps=4,
)


def arm(name: str = "left_arm", width: int = 2) -> Group:
    names = tuple(f"{name}_{i}" for i in range(width))
    return Group(name=name, names=names, quantity="joint", representation="relative", unit="rad")


def hand(name: str = "left_hand", width: int = 1) -> Group:
    names = tuple(f"{name}_{i}" for i in range(width))
    return Group(name=name, names=names, quantity="hand", representation="absolute", unit="fraction")


def spec(embodiment: str = "toy", *groups: Group, horizon: int = 4) -> ActionSpec:
    return ActionSpec(embodiment=embodiment, groups=groups or (arm(), hand()), rate_hz=10.0, horizon=horizon)


def picture(u: float, v: float) -> np.ndarray:
    """A white square of a quarter of the side on grey, its corner at the shares u (right) and v (down)."""
    image = np.full((PX, PX, 3), 90, np.uint8)
    left, top = round(u * 24), round(v * 24)
    image[top : top + 8, left : left + 8] = 255
    return image


def toy_cache(
    root: Path, layout: ActionSpec | None = None, episodes: int = 4, length: int = 40, seed: int = 0
) -> TrainingCache:
    """A cache on disk: arms move towards (u - .5) rad relative to the state, hands open to v."""
    layout = layout or spec()
    rng = np.random.default_rng(seed)
    count = episodes * length
    uv = rng.uniform(0, 1, (count, 2))
    state = rng.uniform(-1, 1, (count, layout.width)).astype(np.float32)
    action = state.copy()
    for group in layout.groups:
        part = layout.slices()[group.name]
        if group.quantity == "hand":
            action[:, part] = uv[:, 1:]
        else:
            # neighbouring rows share nothing, so only the chunk's first action can be read off the picture
            action[:, part] = state[:, part] + (uv[:, :1] - 0.5)
    arrays = {
        "images": np.stack([picture(u, v) for u, v in uv]),
        "state": state,
        "action": action.astype(np.float32),
        "valid": np.ones(state.shape, bool),
        "weight": np.ones(state.shape, np.float32),
        "episode": np.repeat(np.arange(episodes, dtype=np.int32), length),
        "fov": np.full(count, 1.2, np.float32),
    }
    write_cache(root, layout, arrays)
    return TrainingCache.open(root)


def write_cache(root: Path, layout: ActionSpec, arrays: dict[str, np.ndarray]) -> None:
    """Arrays and manifest in the folder's format."""
    root.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(root / f"{name}.npy", array)
    episode = arrays["episode"]
    entries = [
        {
            "index": int(i),
            "start": int(np.flatnonzero(episode == i)[0]),
            "exclusive_end": int(np.flatnonzero(episode == i)[-1]) + 1,
            "instruction": "go where the square is",
            "source": "00ff",
            "license": "CC0-1.0",
            "hours": float((episode == i).sum() / layout.rate_hz / 3600),
            "fov_from": "given",
        }
        for i in np.unique(episode)
    ]
    meta = {
        "format": FORMAT,
        "digest": configs.digest(configs.plain(layout), {k: v.tobytes().hex()[:64] for k, v in arrays.items()}),
        "rows": len(episode),
        "image_size_px": arrays["images"].shape[1],
        "fit": "pad",
        "rate_hz": layout.rate_hz,
        "embodiment": layout.embodiment,
        "spec": configs.plain(layout),
        "dataset": "toy",
        "episodes": entries,
    }
    write_json(root / "meta.json", meta)
