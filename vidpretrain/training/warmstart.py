"""Weights of a trained policy into a new one: the trunk as it is, adapters row by row and slot by slot."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vidpretrain.errors import CheckpointError
from vidpretrain.model import VidPolicy
from vidpretrain.training.config import PARTS, Part

# adapters, and which axes of their tensors count slots (None: no axis does)
_SLOT_AXES: dict[str, int | None] = {
    "embodiment_token": None,
    "state_in.weight": 1,
    "state_in.bias": None,
    "history_in.weight": 1,
    "history_in.bias": None,
    "action_in.weight": 1,
    "action_in.bias": None,
    "action_out.weight": 2,
    "action_out.bias": 1,
}


def is_adapter(name: str) -> bool:
    """Whether a weight belongs to single embodiments rather than to the shared trunk."""
    return name in _SLOT_AXES


def part_of(name: str) -> Part:
    """Which part of the policy a weight belongs to: the picture's stem, the action decoder, adapters, or the trunk."""
    if is_adapter(name):
        return "adapters"
    if name.startswith("stem."):
        return "stem"
    return "decoder" if name.startswith(("decoder", "time_mlp", "action_position")) else "trunk"


def donors(names: list[str], known: list[str], adapters: str, init_from: str | None) -> dict[str, str]:
    """Which embodiment of the old policy lends its adapters to which of the new one; others start fresh.

    Raises:
        CheckpointError: `init_from` is not in the old policy.
    """
    if init_from is not None and init_from not in known:
        raise CheckpointError("no such embodiment to take adapters from", asked=init_from, valid=", ".join(known))
    if adapters == "fresh":
        return {}
    out = {}
    for name in names:
        donor = name if name in known else init_from
        if donor is not None:
            out[name] = donor
    return out


@torch.no_grad()
def warm_start(
    model: VidPolicy,
    source: VidPolicy,
    adapters: str = "keep",
    init_from: str | None = None,
    parts: Sequence[Part] = PARTS,
) -> dict[str, str]:
    """Fill `parts` of `model` from `source`; returns the donors of its adapters.

    Raises:
        CheckpointError: the sizes differ, or a donor is missing.
    """
    names, known = list(model.config.paired()), list(source.config.paired())
    lent = donors(names, known, adapters if "adapters" in parts else "fresh", init_from)
    new, old = dict(model.named_parameters()), dict(source.named_parameters())
    for name, value in new.items():
        if name in _SLOT_AXES or part_of(name) not in parts:
            continue
        if name not in old or old[name].shape != value.shape:
            raise CheckpointError(
                "the checkpoint has other sizes than the model",
                asked=f"{name} {tuple(value.shape)}",
                found=tuple(old[name].shape) if name in old else "no such weight",
            )
        value.copy_(old[name])
    here, there = model.config.layout(), source.config.layout()
    shared = [g for g in here.groups if g in there.groups]
    to = torch.tensor([i for g, _ in shared for i in range(*here.slices()[g].indices(here.width))], dtype=torch.long)
    frm = torch.tensor([i for g, _ in shared for i in range(*there.slices()[g].indices(there.width))], dtype=torch.long)
    for name, axis in _SLOT_AXES.items():
        if name not in new or name not in old:  # heads other than the flow have no actions to take in
            continue
        for embodiment, donor in lent.items():
            a, b = new[name][names.index(embodiment)], old[name][known.index(donor)]
            _copy(a, b, None if axis is None else axis - 1, to, frm, here.width, there.width)
    return lent


def _copy(a: Tensor, b: Tensor, axis: int | None, to: Tensor, frm: Tensor, width: int, old_width: int) -> None:
    if axis is None:
        a.copy_(b)
        return
    for block in range(a.shape[axis] // width):  # state adapters have two blocks: values and what is known
        a.index_copy_(axis, to + block * width, b.index_select(axis, frm + block * old_width))
