"""The token head: every number of a chunk as one of `bins` values, told apart by cross-entropy.

A label between two values is a mixture of both in the shares that give it back (two-hot; Bellemare et al., arXiv
1707.06887), so nothing is lost by rounding. The answer is the likeliest value, refined by the shares of its two
neighbours: one mode, never the middle between two, and nothing is drawn.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from vidpretrain.model.blocks import EmbodimentLinear
from vidpretrain.model.head_types import Labels, Memory


class TokenHead:
    """Binned tokens, all decoded at once; see `heads.ActionHead`. Labels beyond `reach` count as `reach`."""

    def __init__(self, bins: int, reach: float) -> None:
        self.bins, self.reach = bins, reach

    def layers(self, embodiments: int, slots: int, width: int) -> dict[str, nn.Module]:
        """Scores out, blocks of slots bin by bin."""
        return {"action_out": EmbodimentLinear(embodiments, width, self.bins * slots)}

    def predict(self, net: Any, memory: Memory, labels: Labels) -> Tensor:
        """Scores (B 1 H bins S)."""
        return self._scores(net, memory, labels.embodiment)[:, None]

    def error(self, predicted: Tensor, labels: Labels, teacher: Tensor | None = None) -> Tensor:
        """Divergence of the scores from the labels' shares (B 1 H S), 1 at about equal scores, 0 when they agree."""
        told = predicted.float().log_softmax(-2)
        if teacher is not None:
            share = teacher.float().softmax(-2)
            return torch.nn.functional.kl_div(told, share, reduction="none").sum(-2) / math.log(self.bins)
        low, high = self.encode(labels.action.float()[:, None])
        below = told.gather(-2, low[..., None, :]).squeeze(-2)
        above = told.gather(-2, (low + 1)[..., None, :]).squeeze(-2)
        rounding = torch.special.entr(high) + torch.special.entr(1 - high)
        return (-(1 - high) * below - high * above - rounding) / math.log(self.bins)

    def encode(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """(lower bin, share of the next one) of actions, of their shape."""
        place = (action.clamp(-self.reach, self.reach) + self.reach) * ((self.bins - 1) / (2 * self.reach))
        low = place.floor().clamp(max=self.bins - 2)
        return low.long(), place - low

    def decode(self, scores: Tensor) -> Tensor:
        """Actions (... S) of scores (... bins S)."""
        scores = scores.float()
        best = scores.argmax(-2, keepdim=True)
        around = best + torch.arange(-1, 2, device=scores.device)[:, None]
        inside = (around >= 0) & (around < self.bins)
        near = scores.gather(-2, around.clamp(0, self.bins - 1)).masked_fill(~inside, float("-inf"))
        place = (near.softmax(-2) * around).sum(-2)
        return place * (2 * self.reach / (self.bins - 1)) - self.reach

    def chunk(self, net: Any, memory: Memory, mask: Tensor, embodiment: Tensor, noise: Tensor, steps: int) -> Tensor:
        """The decoded tokens, for every draw the same."""
        chunk = self.decode(self._scores(net, memory, embodiment)) * mask[:, None]
        return chunk.to(noise.dtype)[:, None].expand_as(noise)

    def _scores(self, net: Any, memory: Memory, embodiment: Tensor) -> Tensor:
        queries = net.action_position.expand(len(embodiment), -1, -1)
        return net.action_out(net.decode(memory, queries), embodiment).unflatten(-1, (self.bins, -1))
