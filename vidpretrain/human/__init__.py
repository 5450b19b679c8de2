"""The human as a tree: bones from a height, anatomical limits, every point of `human75` as a site.

Door: `human_tree(height_m, shape) -> Tree`, `hand_tree(side, height_m, shape) -> Tree`, `Shape`, `FINGER_JOINTS`,
`rest(tree)`.
"""

from __future__ import annotations

from vidpretrain.human.build import FINGER_JOINTS, hand_tree, human_tree, rest
from vidpretrain.human.shape import Shape

__all__ = ["FINGER_JOINTS", "Shape", "hand_tree", "human_tree", "rest"]
