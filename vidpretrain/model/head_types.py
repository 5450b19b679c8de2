"""What action heads are given and what they answer: the protocol. Letters as in `heads`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

Memory = Sequence[tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A batch's actions: action (B H S) normalised, noise (B K H S), time (B K), mask (B S), embodiment (B)."""

    action: Tensor
    noise: Tensor
    time: Tensor
    mask: Tensor
    embodiment: Tensor


class ActionHead(Protocol):
    """A head of the table; `net` is the policy, `memory` what its `encode` gave."""

    def layers(self, embodiments: int, slots: int, width: int) -> dict[str, nn.Module]:
        """Layers by name; "action_out" is among them, an `EmbodimentLinear` to a multiple of `slots`."""
        ...

    def predict(self, net: Any, memory: Memory, labels: Labels) -> Tensor:
        """What the network says (B K ...), K the number of draws that it looks at."""
        ...

    def error(self, predicted: Tensor, labels: Labels, teacher: Tensor | None = None) -> Tensor:
        """How far that is (B K H S) from the labels, or from what another network says; about 1 for one that knows
        nothing. Finite wherever the labels are, so that a weight of 0 leaves no gradient."""
        ...

    def chunk(self, net: Any, memory: Memory, mask: Tensor, embodiment: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Chunks (B K H S) for noise (B K H S); a head that draws nothing gives the same one for every draw."""
        ...
