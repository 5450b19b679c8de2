"""How far apart two groups of features lie, as a loss: the Sinkhorn divergence (Feydy et al., arXiv 1810.08278).

Optimal transport with entropy between the two sets of rows, less half of that within each set: zero exactly where both
are the same, and smooth elsewhere. Rows are compared after a common scaling, so that shrinking all features is no way
out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLUR = 0.1  # entropy's weight, as a share of the mean squared distance of all rows
ITERATIONS = 100


def alignment(features_BD: Tensor, people_B: Tensor) -> Tensor:
    """Sinkhorn divergence between the rows of people (B bool) and the others, in units of the rows' mean squared
    distance; zero with a zero gradient where one side has less than two rows."""
    features_BD = features_BD.to(torch.promote_types(features_BD.dtype, torch.float32))
    sides = features_BD[people_B], features_BD[~people_B]
    if min(len(side) for side in sides) < 2:
        return 0.0 * features_BD.sum()
    together = torch.cat(sides)
    spread = torch.cdist(together, together).square().mean().clamp_min(1e-12)
    x, y = (side / spread.sqrt() for side in sides)
    return _transport(x, y) - 0.5 * _transport(x, x) - 0.5 * _transport(y, y)


def _transport(x: Tensor, y: Tensor) -> Tensor:
    """Entropic transport cost between uniform weights on the rows. The plan counts as a constant in the gradient, which
    is exact at the optimum (envelope theorem)."""
    cost = (x[:, None] - y[None]).square().sum(-1)
    with torch.no_grad():
        plan, entropy = _plan(cost)
    return (plan * cost).sum() + BLUR * entropy


def _plan(cost: Tensor) -> tuple[Tensor, Tensor]:
    """The transport plan, and its entropy relative to the product of its margins, by Sinkhorn's iterations."""
    log_a, log_b = -math.log(cost.shape[0]), -math.log(cost.shape[1])
    f, g = cost.new_zeros(cost.shape[0]), cost.new_zeros(cost.shape[1])
    for _ in range(ITERATIONS):  # averaged with the last one: the cost within a set converges fast and symmetrically
        new_f = -BLUR * torch.logsumexp((g[None] - cost) / BLUR + log_b, dim=1)
        new_g = -BLUR * torch.logsumexp((f[:, None] - cost) / BLUR + log_a, dim=0)
        f, g = 0.5 * (f + new_f), 0.5 * (g + new_g)
    ratio = (f[:, None] + g[None] - cost) / BLUR
    plan = torch.exp(ratio + log_a + log_b)
    return plan, (plan * ratio).sum()
