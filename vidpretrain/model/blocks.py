"""Layers of the policy.

Letters: B batch, N tokens of the trunk, Q action tokens, M tokens attended to, D width, E embodiments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EmbodimentLinear(nn.Module):
    """One linear layer per embodiment, stacked, so that every process of a distributed run uses every parameter."""

    def __init__(self, embodiments: int, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(embodiments, width_in, width_out))
        self.bias = nn.Parameter(torch.zeros(embodiments, width_out))

    def forward(self, x_BNI: Tensor, embodiment_B: Tensor) -> Tensor:
        """(B N out) from (B N in) with each row's own weights."""
        return torch.baddbmm(self.bias[embodiment_B][:, None], x_BNI, self.weight[embodiment_B])


class ConvStem(nn.Module):
    """Image tokens from pixels: strided convolutions over colour and coordinate channels, then one token per cell, or
    with `flat_tokens` so many of one linear map of all cells.

    Coordinate channels and the flattened map are what a visual policy stands on; spatial softmax or averaging over
    the map loses it (measured, see the design notes).
    """

    def __init__(
        self, stem: tuple[tuple[int, int], ...], image_px: int, width: int, flat_tokens: int | None = None
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, side = 5, image_px
        for i, (out, stride) in enumerate(stem):
            kernel = 5 if i == 0 else 3
            layers += [nn.Conv2d(channels, out, kernel, stride, kernel // 2), nn.GroupNorm(8, out), nn.GELU()]
            channels, side = out, -(-side // stride)
        self.layers = nn.Sequential(*layers)
        self.flat = flat_tokens is not None
        self.tokens = side * side if flat_tokens is None else flat_tokens
        self.project = (
            nn.Linear(channels * side * side, self.tokens * width) if self.flat else nn.Linear(channels, width)
        )
        self.position = nn.Parameter(torch.empty(self.tokens, width))
        self.image_px = image_px

    def forward(self, images_BHWC: Tensor) -> Tensor:
        """(B N D) from uint8 pictures (B H W 3) of any size; other sizes than the configured one are resized."""
        x = pixels(images_BHWC, self.image_px, self.position.dtype)
        axis = torch.linspace(-1, 1, self.image_px, dtype=x.dtype, device=x.device)
        v, u = torch.meshgrid(axis, axis, indexing="ij")
        x = torch.cat([x, torch.stack([u, v]).expand(len(x), -1, -1, -1)], dim=1)
        x = self.layers(x)
        if self.flat:
            return self.project(x.flatten(1)).unflatten(1, self.position.shape) + self.position
        return self.project(x.flatten(2).transpose(1, 2)) + self.position


def pixels(images_BHWC: Tensor, image_px: int, dtype: torch.dtype) -> Tensor:
    """(B 3 P P) in [-1, 1] from uint8 pictures (B H W 3) of any size."""
    x = images_BHWC.permute(0, 3, 1, 2).to(dtype).div(127.5).sub(1.0)
    if x.shape[-2:] != (image_px, image_px):
        x = F.interpolate(x, (image_px, image_px), mode="bilinear", antialias=x.shape[-1] > image_px)
    return x


class Attention(nn.Module):
    """Multi-head attention of queries to a memory (or to themselves) by torch's scaled dot product."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def memory(self, x_BMD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B heads M d): what a sampler computes once per picture."""
        key, value = self.key_value(x_BMD).chunk(2, dim=-1)
        return self._split(key), self._split(value)

    def forward(self, x_BQD: Tensor, memory: tuple[Tensor, Tensor] | None = None) -> Tensor:
        key, value = self.memory(x_BQD) if memory is None else memory
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(self._split(self.query(x_BQD)), key, value, dropout_p=dropout)
        return self.out(y.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)


def mlp(width: int, dropout: float) -> nn.Sequential:
    """Two linear layers, four times as wide inside."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout))


class TrunkBlock(nn.Module):
    """Pre-norm self-attention and a feed-forward part."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads, dropout)
        self.norm2, self.mlp = nn.LayerNorm(width), mlp(width, dropout)

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BND = x_BND + self.attention(self.norm1(x_BND))
        return x_BND + self.mlp(self.norm2(x_BND))


class DecoderBlock(nn.Module):
    """Action tokens attend to each other and to the trunk's tokens."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads, dropout)
        self.norm2, self.cross = nn.LayerNorm(width), Attention(width, heads, dropout)
        self.norm3, self.mlp = nn.LayerNorm(width), mlp(width, dropout)

    def forward(self, x_BQD: Tensor, memory: tuple[Tensor, Tensor]) -> Tensor:
        x_BQD = x_BQD + self.attention(self.norm1(x_BQD))
        x_BQD = x_BQD + self.cross(self.norm2(x_BQD), memory)
        return x_BQD + self.mlp(self.norm3(x_BQD))


def joined_steps(
    blocks: Sequence[nn.Module], memory: Sequence[tuple[Tensor, Tensor]], norm: nn.LayerNorm
) -> Callable[[Tensor], Tensor]:
    """What `blocks` (decoder blocks) and `norm` make of action tokens, for many calls with the same memory.

    Nothing is dropped. The three projections of self-attention become one product; of modules and views, whose calls
    cost as much as the products of a small policy, as few as can be are left.
    """
    parts = []
    for one, (key, value) in zip(blocks, memory, strict=True):
        block = cast(DecoderBlock, one)
        own, cross = block.attention, block.cross
        weight = torch.cat([own.query.weight, own.key_value.weight])
        bias = torch.cat([own.query.bias, own.key_value.bias])
        parts.append((block, weight, bias, own.out, cross.query, key, value, cross.out, block.mlp[0], block.mlp[2]))
    normed, attend = _normed, F.scaled_dot_product_attention

    def decode(x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        for block, weight, bias, out, ask, key, value, answer, widen, narrow in parts:
            split = (batch, tokens, -1, block.attention.heads, width // block.attention.heads)
            q, k, v = F.linear(normed(x, block.norm1), weight, bias).view(split).permute(2, 0, 3, 1, 4).unbind()
            y = attend(q, k, v).transpose(1, 2).reshape(batch, tokens, width)
            x = F.linear(y, out.weight, out.bias) + x
            q = F.linear(normed(x, block.norm2), ask.weight, ask.bias).view(split).squeeze(2).transpose(1, 2)
            y = attend(q, key, value).transpose(1, 2).reshape(batch, tokens, width)
            x = F.linear(y, answer.weight, answer.bias) + x
            y = F.gelu(F.linear(normed(x, block.norm3), widen.weight, widen.bias))
            x = F.linear(y, narrow.weight, narrow.bias) + x
        return normed(x, norm)

    return decode


def _normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    return torch.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def time_embedding(time_B: Tensor, width: int) -> Tensor:
    """(B D) sines and cosines of flow times in [0, 1] with periods from .004 to 4 (pi0's range)."""
    share = torch.linspace(0, 1, width // 2, dtype=time_B.dtype, device=time_B.device)
    angle = 2 * math.pi * time_B[:, None] / (4e-3 * (4.0 / 4e-3) ** share)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)
