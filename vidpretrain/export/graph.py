"""A policy for one embodiment as one torch module: normaliser, network, flow sampler and the way back, all inside.

What `Policy.predict` does in NumPy before and after the network is done here in torch, so that it can be exported.
Letters: B batch, H horizon, D columns of the embodiment, S slots, T states of history.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vidpretrain.model import VidPolicy
from vidpretrain.transforms import POSES, Normalizer
from vidpretrain.transforms.normalizer import MIN_HALF_RANGE
from vidpretrain.types import ActionSpec


class PolicyGraph(nn.Module):
    """Absolute states and pictures to absolute actions, with the noise as an input: the same in, the same out."""

    place: Tensor
    one_hot: Tensor
    slot_mask: Tensor
    past_scale: Tensor
    state_middle: Tensor
    state_half: Tensor
    action_middle: Tensor
    action_half: Tensor

    def __init__(self, model: VidPolicy, embodiment: str, steps: int) -> None:
        super().__init__()
        paired, layout, sizes = model.config.paired()[embodiment], model.config.layout(), model.config.model_config()
        self.model, self.spec, self.steps = model.eval(), paired.spec, steps
        self.row = model.config.embodiment_id(embodiment)
        self.clip = paired.normalizer.clip
        self.told = sizes.text is not None
        place = torch.from_numpy(layout.index(paired.spec))
        one_hot = torch.zeros(paired.spec.width, layout.width)
        one_hot[torch.arange(paired.spec.width), place] = 1.0
        past = torch.tensor([float(paired.spec.horizon) / abs(offset) for offset in sizes.history])
        for name, value in {
            "place": place,
            "one_hot": one_hot,
            "slot_mask": one_hot.sum(0),
            "past_scale": past[:, None],
            **_scales(paired.normalizer),
        }.items():
            self.register_buffer(name, value, persistent=False)

    def forward(
        self, image: Tensor, state: Tensor, history: Tensor, fov: Tensor, noise: Tensor, text: Tensor | None = None
    ) -> Tensor:
        """Absolute actions (B H D), NaN where a relative group has no state.

        Args:
            image: (B P P 3) uint8, upright, RGB. state: (B D), NaN where unknown. history: (B T D) earlier states,
                NaN where unknown. fov: (B) rad, NaN where unknown. noise: (B H S) standard normal. text: (B F).
        """
        known, past, past_known = self._seen(state, history)
        count = state.shape[0]
        given: dict[str, Any] = {"text": text} if self.told else {}
        chunk = self.model.sample(
            images=image,
            state=_clean(self._clipped((state - self.state_middle) / self.state_half)) @ self.one_hot,
            state_known=(known.to(state.dtype) @ self.one_hot) > 0.5,
            history=past @ self.one_hot,
            history_known=(past_known.to(state.dtype) @ self.one_hot) > 0.5,
            embodiment=torch.full((count,), self.row, dtype=torch.int64, device=state.device),
            fov=fov,
            slot_mask=self.slot_mask.expand(count, -1),
            noise=noise[:, None],
            steps=self.steps,
            **given,
        )[:, 0]
        relative = chunk.index_select(-1, self.place) * self.action_half + self.action_middle
        return absolute(state, relative, self.spec)

    def _seen(self, state: Tensor, history: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(known (B D), motion up to now (B T D), known): see `training.collate.inputs`."""
        moved = _motion(state[:, None], history, self.spec) / self.action_half * self.past_scale
        known = torch.isfinite(state)
        return known, _clean(self._clipped(moved)), torch.isfinite(history) & known[:, None] & torch.isfinite(moved)

    def _clipped(self, value: Tensor) -> Tensor:
        return value if self.clip is None else value.clamp(-self.clip, self.clip)


def _scales(normalizer: Normalizer) -> dict[str, Tensor]:
    out = {}
    for what in ("state", "action"):
        low, high = getattr(normalizer, f"{what}_q01"), getattr(normalizer, f"{what}_q99")
        out[f"{what}_middle"] = torch.from_numpy((low + high) / 2).float()
        out[f"{what}_half"] = torch.from_numpy((high - low) / 2).clamp(min=MIN_HALF_RANGE).float()
    return out


def _clean(value: Tensor) -> Tensor:
    return torch.where(torch.isfinite(value), value, torch.zeros_like(value))


def rotation(six: Tensor) -> Tensor:
    """Rotation matrices (... 3 3) by Gram-Schmidt on two columns (... 6) (Zhou et al., arXiv 1812.07035)."""
    first = _unit(six[..., :3])
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
    second = _unit(second)
    a, b = first.unbind(-1), second.unbind(-1)
    third = torch.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]], dim=-1)
    return torch.stack([first, second, third], dim=-1)


def _unit(value: Tensor) -> Tensor:
    return value / value.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12)


def _six(R: Tensor) -> Tensor:
    return torch.cat([R[..., :, 0], R[..., :, 1]], dim=-1)


def _motion(start: Tensor, then: Tensor, spec: ActionSpec) -> Tensor:
    """Motion of `then` (B T D) from `start` (B 1 D) in the columns' own representation, zero where nothing moved."""
    parts = []
    for group, columns in zip(spec.groups, spec.slices().values(), strict=True):
        a, b = start[..., columns], then[..., columns]
        moved = b - a
        if group.quantity in POSES and group.representation != "absolute":
            R_a, R_b = rotation(a[..., 3:]), rotation(b[..., 3:])
            if group.representation == "offset":
                turn, still = R_b @ R_a.transpose(-1, -2), R_a @ R_a.transpose(-1, -2)
                place = moved[..., :3]
            else:
                turn, still = R_a.transpose(-1, -2) @ R_b, R_a.transpose(-1, -2) @ R_a
                place = (R_a.transpose(-1, -2) @ moved[..., :3, None])[..., 0]
            moved = torch.cat([place, _six(turn) - _six(still)], dim=-1)
        parts.append(moved)
    return torch.cat(parts, dim=-1)


def absolute(state: Tensor, relative: Tensor, spec: ActionSpec) -> Tensor:
    """Absolute actions (B H D) from `relative` ones and the state (B D): `transforms.absolute_chunk` in torch."""
    parts = []
    for group, columns in zip(spec.groups, spec.slices().values(), strict=True):
        start, motion = state[:, None, columns], relative[..., columns]
        if group.representation == "absolute":
            parts.append(motion)
        elif group.quantity not in POSES:
            parts.append(motion + start)
        else:
            R_start, turn = rotation(start[..., 3:]), rotation(motion[..., 3:])
            if group.representation == "offset":
                place, R = motion[..., :3] + start[..., :3], turn @ R_start
            else:
                place, R = (R_start @ motion[..., :3, None])[..., 0] + start[..., :3], R_start @ turn
            parts.append(torch.cat([place, _six(R)], dim=-1))
    return torch.cat(parts, dim=-1)
