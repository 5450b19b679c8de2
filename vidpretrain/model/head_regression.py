"""The regression head: one chunk, the mean of what the labels would be; nothing is drawn."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vidpretrain.model.blocks import EmbodimentLinear
from vidpretrain.model.flow import ACTION_STD
from vidpretrain.model.head_types import Labels, Memory


class RegressionHead:
    """Weighted least squares; see `heads.ActionHead`. Labels of sigma s weigh 1 / s^2: then its optimum is the mean."""

    def layers(self, embodiments: int, slots: int, width: int) -> dict[str, nn.Module]:
        """Actions out."""
        return {"action_out": EmbodimentLinear(embodiments, width, slots)}

    def predict(self, net: Any, memory: Memory, labels: Labels) -> Tensor:
        """Actions (B 1 H S)."""
        return self._mean(net, memory, labels.mask, labels.embodiment)[:, None]

    def error(self, predicted: Tensor, labels: Labels, teacher: Tensor | None = None) -> Tensor:
        """Squared error in units of the variance of normalised actions (B 1 H S)."""
        target = labels.action[:, None] if teacher is None else teacher
        return ((predicted.float() - target.float()) / ACTION_STD).square()

    def chunk(self, net: Any, memory: Memory, mask: Tensor, embodiment: Tensor, noise: Tensor, steps: int) -> Tensor:
        """The mean, for every draw the same."""
        return self._mean(net, memory, mask, embodiment)[:, None].expand_as(noise)

    def _mean(self, net: Any, memory: Memory, mask: Tensor, embodiment: Tensor) -> Tensor:
        queries = net.action_position.expand(len(mask), -1, -1)
        return ACTION_STD * net.action_out(net.decode(memory, queries), embodiment) * mask[:, None]
