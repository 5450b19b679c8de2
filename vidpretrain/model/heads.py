"""Action heads by one protocol: how the decoder's tokens become a chunk, and how far they are from its labels.

A head owns no weights: its `layers` are put on the policy under their own names, so that every head's checkpoint has
the same names for the same things. Letters: B batch, K draws per row, H horizon, S slots, D width.
"""

from __future__ import annotations

from vidpretrain.model.config import ModelConfig
from vidpretrain.model.head_flow import FlowHead
from vidpretrain.model.head_regression import RegressionHead
from vidpretrain.model.head_tokens import TokenHead
from vidpretrain.model.head_types import ActionHead


def head_of(sizes: ModelConfig) -> ActionHead:
    """The head that a configuration names."""
    if sizes.head == "tokens":
        return TokenHead(bins=sizes.token_bins, reach=sizes.token_range)
    return RegressionHead() if sizes.head == "regression" else FlowHead()
