"""How a person's hands differ from a usual hand of their size: a factor on each group of bones, alike for both hands.

Real hands' bones differ by some percent for the same length (Buryanov and Kotiuk 2010), and a network marks points of
its own beside the joints; a hand whose palm is too short for its fingers bends them to make up for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vidpretrain.human.shape import FINGER_BONES, PALM, PALM_SHAPE
from vidpretrain.solve import LengthParameter
from vidpretrain.tree import Tree

_FINGERS = ("index", "middle", "ring", "pinky")
GROUPS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "palm": (tuple(f"{f}_mcp_abduct" for f in _FINGERS), (*(f"hand_{f}_mcp" for f in _FINGERS), "index", "pinky")),
    "thumb_base": (("thumb_cmc_abduct",), ("hand_thumb_cmc",)),
    "thumb": (("thumb_mcp_flex", "thumb_ip_flex"), ("hand_thumb_mcp", "hand_thumb_ip", "hand_thumb_tip", "thumb")),
    "proximal": (tuple(f"{f}_pip_flex" for f in _FINGERS), tuple(f"hand_{f}_pip" for f in _FINGERS)),
    "middle": (tuple(f"{f}_dip_flex" for f in _FINGERS), tuple(f"hand_{f}_dip" for f in _FINGERS)),
    "distal": ((), tuple(f"hand_{f}_tip" for f in _FINGERS)),
}
"""(joints, sites) at the far ends of each group's bones, without their side."""
_ALONG = {
    "palm": float(np.linalg.norm(PALM_SHAPE[PALM.index(9)])),
    "proximal": FINGER_BONES[10],
    "middle": FINGER_BONES[11],
    "distal": FINGER_BONES[12],
}
"""Shares of the hand's length, from the wrist to the middle finger's tip."""


def parameters(tree: Tree, sides: Sequence[str], sigma: float) -> tuple[LengthParameter, ...]:
    """The factors as unknowns of a hand's tree, or of a human's with the hands of `sides`; relative `sigma` each."""
    out = []
    for name, (joints, sites) in GROUPS.items():
        of_sides = tuple(f"{side}_{site}" for side in sides for site in sites)
        out.append(
            LengthParameter(
                name=name,
                joints=tuple(f"{side}_{joint}" for side in sides for joint in joints),
                sites=tuple(site for site in of_sides if site in tree.site_names),
                sigma=sigma,
            )
        )
    return tuple(out)


def common(found: Sequence[tuple[int, Mapping[str, float | np.ndarray]]], on_body: bool) -> dict[str, float]:
    """One set of factors from those of each hand, (frames, factors), {} of none: their geometric mean by frames.

    Size is no proportion. `on_body` the arm tells how far a hand is, and its length stays that of the person's height;
    alone its palm tells it, and stays.
    """
    if not found:
        return {}
    weight = [frames for frames, _ in found]
    mean = {name: float(np.exp(np.average([np.log(f[name]) for _, f in found], weights=weight))) for name in GROUPS}
    size = sum(share * mean[name] for name, share in _ALONG.items()) if on_body else mean["palm"]
    return {name: factor / size for name, factor in mean.items()}
