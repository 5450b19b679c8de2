"""The policy: images, state and embodiment in, a chunk of actions out, by flow matching.

`ModelConfig` is plain and light; everything that needs torch is resolved when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vidpretrain.model.config import PRESETS, ModelConfig

if TYPE_CHECKING:
    from vidpretrain.model.policy import VidPolicy, VidPolicyConfig, VidPolicyOutput

__all__ = ["PRESETS", "ModelConfig", "VidPolicy", "VidPolicyConfig", "VidPolicyOutput"]


def __getattr__(name: str) -> Any:
    if name in ("VidPolicy", "VidPolicyConfig", "VidPolicyOutput"):
        from vidpretrain.model import policy

        return getattr(policy, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
