"""Points of the face on the skull, and the order of the sites."""

from __future__ import annotations

import numpy as np

from vidpretrain.skeletons import skeleton

SITES = skeleton("human75").names
# From the middle between the pupils, in millimetres of a person of 1.70 m: forward, left, up. ANSUR II 2012 means of
# women and men: interpupillary breadth 63, bitragion breadth 139, tragion 85 behind the eyes, nose 40 below them.
_MIDDLE = {"nose": (28, 0, -40)}
_LEFT = {
    "eye_inner": (-2, 16, 0),
    "eye": (0, 31, 0),
    "eye_outer": (-10, 45, 0),
    "ear": (-85, 70, -8),
}
_MOUTH = (4, 24, -70)


def face(height_m: float) -> dict[str, np.ndarray]:
    """Offsets (3) in metres of the eleven points of the face from the middle between the eyes, in the head's axes."""
    scale = height_m / 1.70 / 1000.0
    out = {name: np.array(p, dtype=float) * scale for name, p in _MIDDLE.items()}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        mirror = np.array([1.0, sign, 1.0])
        out |= {f"{side}_{name}": np.array(p, dtype=float) * scale * mirror for name, p in _LEFT.items()}
        out[f"mouth_{side}"] = np.array(_MOUTH, dtype=float) * scale * mirror
    return out
