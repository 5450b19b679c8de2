"""Proportions of a human body and hand, in shares of the height and of the hand's length.

Sources. Segments: Drillis and Contini 1966 as in Winter, "Biomechanics and Motor Control of Human Movement", figure
4.1, and between joint centres de Leva 1996 ("Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters", table
4); where they differ (the acromion is not the joint) about their mean is taken. Head: ANSUR II 2012. Hip joints: Seidel
et al. 1995. Hand: medians over four real hands that face the camera, as the hand network places its points, within 6 %
of the hand's length of Buryanov and Kotiuk 2010, "Proportions of hand segments".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HAND_OF_HEIGHT = 0.108  # Drillis and Contini: wrist to the tip of the middle finger
PALM = (0, 1, 5, 9, 13, 17)  # points of hand21 that a palm keeps in place: wrist, thumb's base, knuckles
# In hand lengths (wrist to middle fingertip along the bones): medians over four real hands that face the camera, as
# the hand network places its points; they agree within .02. The network's lengths in other views are far off.
_MIDDLE = float(np.linalg.norm([0.530, 0.050, 0.022])) + 0.188 + 0.140 + 0.146
PALM_SHAPE = (
    np.array(
        [
            *([0, 0, 0], [0.140, 0.145, -0.060], [0.520, 0.180, -0.015]),
            *([0.530, 0.050, 0.022], [0.505, -0.060, 0.010], [0.435, -0.170, -0.015]),
        ]
    )
    / _MIDDLE
)
"""Points `PALM` of a right hand (6 3): x from the wrist to the knuckles, y to the index's side, z out of its back."""
_BONES = {2: 0.180, 3: 0.196, 4: 0.170, 6: 0.151, 7: 0.120, 8: 0.140, 10: 0.188, 11: 0.140, 12: 0.146}
_BONES |= {14: 0.168, 15: 0.130, 16: 0.132, 18: 0.124, 19: 0.115, 20: 0.100}
FINGER_BONES = {point: length / _MIDDLE for point, length in _BONES.items()}
"""Length of the bone that ends in a hand point, in hand lengths."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Shares of the height. Widths and lengths are between joint centres; `hand_scale` multiplies the hand's length."""

    shoulder_width: float = 0.205
    upper_arm: float = 0.172
    forearm: float = 0.150
    torso: float = 0.283  # middle of the hips to middle of the shoulders
    hip_width: float = 0.105
    thigh: float = 0.240
    shank: float = 0.238
    ankle: float = 0.039
    foot: float = 0.152
    eyes: float = 0.118  # above the shoulders: .936 of the height against .818
    head_scale: float = 1.0
    hand_scale: float = 1.0

    def hand_m(self, height_m: float) -> float:
        """Length of the hand in metres."""
        return HAND_OF_HEIGHT * self.hand_scale * height_m
