"""Flow matching between noise (time 1) and actions (time 0) on a straight line.

x_t = t * noise + (1 - t) * action, velocity u = noise - action (Lipman et al., arXiv 2210.02747, conditional optimal
transport; the time distribution is that of pi0, arXiv 2410.24164, appendix B: more weight near the noise).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

TIME_MIN, TIME_MAX = 0.001, 0.999
ACTION_STD = 0.4  # of normalised actions: their 1 % and 99 % quantiles lie at -1 and 1


def sample_time(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Times of `shape` from Beta(1.5, 1) mapped to [.001, .999], float32."""
    return (TIME_MIN + (TIME_MAX - TIME_MIN) * rng.beta(1.5, 1.0, size=shape)).astype(np.float32)


def interpolate(action: Tensor, noise: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, velocity) for actions and noise (*b h d) and times (*b)."""
    t = time[..., None, None]
    return t * noise + (1 - t) * action, noise - action


def precondition(time: Tensor) -> tuple[Tensor, Tensor]:
    """(skip, scale) for times (*b): the velocity is skip * x_t + scale * network, the network's target of unit size.

    For actions of N(0, s^2) and nothing else known, the best guess of the velocity is skip * x_t, and its error has
    the deviation `scale` (Karras et al., arXiv 2206.00364, section 5, written for this path). So the network starts
    at that guess and need not learn to pass the noise through.
    """
    variance = time.square() + (1 - time).square() * ACTION_STD**2
    return (time - (1 - time) * ACTION_STD**2) / variance, ACTION_STD / variance.sqrt()


def euler(velocity: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Actions from noise (b h d): `steps` equal Euler steps of `velocity(x, time (b))` from time 1 to 0."""
    x = noise
    for k in range(steps):
        time = torch.full((len(noise),), 1.0 - k / steps, dtype=noise.dtype, device=noise.device)
        x = x - velocity(x, time) / steps
    return x
