"""The one door from NumPy to torch: rows of caches to tensors of a batch, augmented, normalised and with their noise.

Everything random in a batch comes from (seed, step) and is drawn for the whole batch before a process takes its part,
so that resumed runs and runs over several processes see the same numbers.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vidpretrain.model import flow
from vidpretrain.model.inputs import clean, inputs
from vidpretrain.model.slots import SlotLayout
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.rows import Rows, Sample
from vidpretrain.transforms import Paired, source_pixels, turn_poses, view_turn
from vidpretrain.types import ActionSpec

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Draws:
    """The random part of a batch, one entry per row of the whole batch."""

    noise: Array
    time: Array
    shift: Array
    gain: Array
    offset: Array
    drop_state: Array
    drop_history: Array
    drop_fov: Array
    history_noise: Array

    @classmethod
    def of(cls, config: TrainConfig, step: int, horizon: int, slots: int, history: int) -> Draws:
        """Numbers of the batch of `step`."""
        rng = np.random.default_rng((config.seed, 2, step))
        size, jitter = config.batch_size, config.colour_jitter
        return cls(
            noise=rng.standard_normal((size, config.draws, horizon, slots), dtype=np.float32),
            time=flow.sample_time(rng, (size, config.draws)),
            shift=rng.integers(-config.shift_px, config.shift_px + 1, (size, 2)),
            gain=1 + jitter * rng.uniform(-1, 1, (size, 1)) + 0.5 * jitter * rng.uniform(-1, 1, (size, 3)),
            offset=128 * jitter * rng.uniform(-1, 1, (size, 1)),
            drop_state=rng.random(size) < config.state_mask,
            drop_history=rng.random(size) < config.history_mask,
            drop_fov=rng.random(size) < config.fov_mask,
            history_noise=config.history_noise * rng.standard_normal((size, history, slots), dtype=np.float32),
        )

    def take(self, which: Array) -> Draws:
        """The entries `which`."""
        return Draws(**{f.name: getattr(self, f.name)[which] for f in dataclasses.fields(self)})


def augment(images: Array, shift: Array, gain: Array, offset: Array) -> Array:
    """Pictures (b p q 3), or (b v p q 3), moved by `shift` (b 2) pixels with their border repeated, colours
    x * gain + offset; uint8."""
    if images.dtype != np.uint8:  # features of an image model
        return images
    if images.ndim == 5:  # all views of a row alike
        count = images.shape[1]
        repeated = (np.repeat(value, count, axis=0) for value in (shift, gain, offset))
        return augment(images.reshape(-1, *images.shape[2:]), *repeated).reshape(images.shape)
    count, height, width, _ = images.shape
    v = np.clip(np.arange(height)[None] + shift[:, :1], 0, height - 1)
    u = np.clip(np.arange(width)[None] + shift[:, 1:], 0, width - 1)
    moved = images[np.arange(count)[:, None, None], v[:, :, None], u[:, None, :]]
    level = np.arange(256)[None, :, None] * gain[:, None] + offset[:, None]
    table = np.clip(np.rint(level), 0, 255).astype(np.uint8)
    out = np.empty_like(moved)
    for i in range(count):
        for channel in range(3):
            out[i, ..., channel] = table[i, :, channel][moved[i, ..., channel]]
    return out


def turned(sample: Sample, shift: Array, spec: ActionSpec) -> Sample:
    """The sample as a camera would have seen it that is turned by about `shift` (b 2) pixels (`transforms.view`)."""
    side = sample.images.shape[1]
    R_new_old = view_turn(shift, sample.fov, side)
    return dataclasses.replace(
        sample,
        images=_resampled(sample.images, source_pixels(R_new_old, sample.fov, side)),
        **{
            name: turn_poses(getattr(sample, name), R_new_old, spec).astype(np.float32)
            for name in ("state", "history", "action")
        },
    )


def _resampled(images: Array, at: Array) -> Array:
    """Pictures (b s s 3) read at (u, v) between pixels, their border repeated; uint8."""
    grid = torch.from_numpy((2 * at / (images.shape[1] - 1) - 1).astype(np.float32))
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    moved = torch.nn.functional.grid_sample(pixels, grid, "bilinear", "border", align_corners=True)
    return moved.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def slotted(
    sample: Sample, paired: Paired, layout: SlotLayout, embodiment: int, offsets: tuple[int, ...]
) -> dict[str, Array]:
    """Normalised values of a sample in slots, as arrays named like the arguments of `VidPolicy.forward`."""
    spec = paired.spec
    count = len(sample.state)
    action = paired.forward(sample.state, sample.action)[1]
    arrays = inputs(
        sample.images, sample.state, sample.state_known, sample.history, sample.history_known, paired, offsets
    )
    return {
        **{name: layout.scatter(value, spec) if name in _SLOTS else value for name, value in arrays.items()},
        "embodiment": np.full(count, embodiment, dtype=np.int64),
        "fov": sample.fov,
        "slot_mask": np.broadcast_to(layout.mask(spec).astype(np.float32), (count, layout.width)),
        "action": layout.scatter(clean(action), spec),
        "weight": layout.scatter(np.where(np.isfinite(action), sample.weight, 0.0).astype(np.float32), spec),
    }


_SLOTS = ("state", "state_known", "history", "history_known")


def collate(
    picked: list[tuple[int, Array]],
    rows: list[Rows],
    paired: list[Paired],
    ids: list[int],
    layout: SlotLayout,
    draws: Draws,
    part: tuple[int, int] = (0, 1),
    turn: bool = False,
    texts: list[Array] | None = None,
) -> dict[str, Tensor]:
    """The batch as tensors: this process's part (rank, processes) of the rows `picked` from each cache.

    `turn`: pictures are turned with what is measured in their frame, instead of being moved alone. `texts`: for each
    cache the features of its instructions.
    """
    rank, processes = part
    total = sum(len(which) for _, which in picked)
    mine = np.arange(rank, total, processes)
    arrays, offset = [], 0
    for cache, which in picked:
        local = mine[(mine >= offset) & (mine < offset + len(which))] - offset
        if len(local):
            sample = rows[cache].sample(which[local])
            if turn:
                sample = turned(sample, draws.shift[local + offset], rows[cache].spec)
            arrays.append(slotted(sample, paired[cache], layout, ids[cache], rows[cache].history))
            if texts is not None:
                arrays[-1]["text"] = texts[cache][sample.instruction]
        offset += len(which)
    batch = {name: np.concatenate([one[name] for one in arrays]) for name in arrays[0]}
    mine_draws = draws.take(mine)
    shift = np.zeros_like(mine_draws.shift) if turn else mine_draws.shift
    batch["images"] = augment(batch["images"], shift, mine_draws.gain, mine_draws.offset)
    batch["state_known"] = batch["state_known"] & ~mine_draws.drop_state[:, None]
    batch["history_known"] = batch["history_known"] & ~mine_draws.drop_history[:, None, None]
    batch["history"] = batch["history"] + mine_draws.history_noise
    batch["fov"] = np.where(mine_draws.drop_fov, np.nan, batch["fov"]).astype(np.float32)
    batch["noise"], batch["time"] = mine_draws.noise, mine_draws.time
    return to_torch(batch)


def to_torch(arrays: dict[str, Array]) -> dict[str, Tensor]:
    """Tensors of the arrays, pictures still uint8."""
    return {name: torch.from_numpy(np.require(value, requirements=["C", "W"])) for name, value in arrays.items()}
