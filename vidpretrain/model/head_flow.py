"""The flow head: the velocity of a flow from noise to actions (`model.flow`), and its integration in equal steps.

What does not change from step to step is made once per chunk: the tokens of the flow's times, each row's own adapters
with its slots' mask folded in, keys and values of the context, and the decoder's weights joined where one product
does the work of three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vidpretrain.model import flow
from vidpretrain.model.blocks import EmbodimentLinear, joined_steps, time_embedding
from vidpretrain.model.head_types import Labels, Memory


class FlowHead:
    """Flow matching; see `heads.ActionHead`."""

    def layers(self, embodiments: int, slots: int, width: int) -> dict[str, nn.Module]:
        """Actions in, times in, velocities out."""
        return {
            "action_in": EmbodimentLinear(embodiments, slots, width),
            "time_mlp": nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)),
            "action_out": EmbodimentLinear(embodiments, width, slots),
        }

    def predict(self, net: Any, memory: Memory, labels: Labels) -> Tensor:
        """Velocities (B K H S) at the labels' noise and times; draws share one encoding."""
        draws = labels.time.shape[1]
        memory, mask, who = for_draws(memory, labels.mask, labels.embodiment, draws)
        x, _ = flow.interpolate(labels.action[:, None], labels.noise, labels.time)
        return velocity(net, memory, x.flatten(0, 1), labels.time.flatten(), mask, who).unflatten(0, (-1, draws))

    def error(self, predicted: Tensor, labels: Labels, teacher: Tensor | None = None) -> Tensor:
        """Squared error of the velocity in units of what is left after the best guess without knowledge."""
        _, target = flow.interpolate(labels.action[:, None], labels.noise, labels.time)
        target = target if teacher is None else teacher
        scale = flow.precondition(labels.time)[1][..., None, None]
        return ((predicted.float() - target.float()) / scale).square()

    def chunk(self, net: Any, memory: Memory, mask: Tensor, embodiment: Tensor, noise: Tensor, steps: int) -> Tensor:
        """`steps` Euler steps from each draw of noise; slots outside the mask keep it."""
        draws = noise.shape[1]
        memory, mask, who = for_draws(memory, mask, embodiment, draws)
        step = integration(net, memory, mask, who, steps)
        x = noise.flatten(0, 1)
        for k in range(steps):
            x = step(x, k)
        return x.unflatten(0, (-1, draws))


def velocity(net: Any, memory: Memory, x: Tensor, time: Tensor, mask: Tensor, embodiment: Tensor) -> Tensor:
    """Velocity of the flow (B H S) at x (B H S) and time (B); slots outside the mask (B S) neither enter nor leave."""
    token = net.action_in(x * mask[:, None], embodiment) + net.action_position
    token = token + net.time_mlp(time_embedding(time, token.shape[-1]))[:, None]
    skip, scale = flow.precondition(time)
    network = net.action_out(net.decode(memory, token), embodiment)
    return (skip[:, None, None] * x + scale[:, None, None] * network) * mask[:, None]


def integration(
    net: Any, memory: Memory, mask: Tensor, embodiment: Tensor, steps: int
) -> Callable[[Tensor, int], Tensor]:
    """The function (x (B H S), k) -> x after Euler step k of `steps`: x - velocity(x, 1 - k / steps) / steps."""
    dtype = net.action_position.dtype
    time = 1.0 - torch.arange(steps, dtype=dtype, device=mask.device) / steps
    told = net.time_mlp(time_embedding(time, net.action_position.shape[-1]))
    enter = net.action_in.weight[embodiment] * mask[:, :, None]
    position = net.action_in.bias[embodiment][:, None] + net.action_position
    positions = [position + one for one in told.unbind()]
    leave = net.action_out.weight[embodiment] * mask[:, None]
    leave_bias = (net.action_out.bias[embodiment] * mask)[:, None]
    skip, scale = flow.precondition(time)
    kept = [1 - one * mask[:, None] for one in (skip / steps).unbind()]
    gains = (-scale / steps).unbind()
    decode = joined_steps(net.decoder, memory, net.decoder_norm)

    def step(x: Tensor, k: int) -> Tensor:
        network = torch.baddbmm(leave_bias, decode(torch.baddbmm(positions[k], x, enter)), leave)
        return torch.addcmul(x * kept[k], network, gains[k])

    return step


def for_draws(memory: Memory, mask: Tensor, embodiment: Tensor, draws: int) -> tuple[Memory, Tensor, Tensor]:
    """Encoding, slots and embodiment of every row, once for each of its draws: B becomes B K."""
    if draws == 1:
        return memory, mask, embodiment
    memory = [(key.repeat_interleave(draws, 0), value.repeat_interleave(draws, 0)) for key, value in memory]
    return memory, mask.repeat_interleave(draws, 0), embodiment.repeat_interleave(draws, 0)
