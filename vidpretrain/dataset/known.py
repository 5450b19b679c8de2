"""Layouts of data sets that others recorded, told by their exact column names."""

from __future__ import annotations

from vidpretrain.types import ActionSpec, Group

_ARM = ("ShoulderPitch", "ShoulderRoll", "ShoulderYaw", "Elbow", "WristRoll", "WristPitch", "WristYaw")
_HAND = ("HandPinky", "HandRing", "HandMiddle", "HandIndex", "HandThumbBend", "HandThumbRotation")

# Unitree G1 with two Inspire hands, as Unitree's recorder writes it: arms in rad, hands 0 closed to 1 open.
_G1_INSPIRE = (
    *(
        Group(
            name=f"{side}_arm",
            names=tuple(f"k{side.title()}{joint}" for joint in _ARM),
            quantity="joint",
            representation="relative",
            unit="rad",
        )
        for side in ("left", "right")
    ),
    *(
        Group(
            name=f"{side}_hand",
            names=tuple(f"k{side.title()}{joint}" for joint in _HAND),
            quantity="hand",
            representation="absolute",
            unit="fraction",
        )
        for side in ("left", "right")
    ),
)

_KNOWN: dict[str, tuple[Group, ...]] = {"g1_inspire": _G1_INSPIRE}


def spec_from_names(names: tuple[str, ...], rate_hz: float, robot_type: str, horizon: int = 16) -> ActionSpec:
    """The layout whose column names these are; unknown names become one group of relative joints, `joints`."""
    for embodiment, groups in _KNOWN.items():
        if tuple(name for group in groups for name in group.names) == names:
            return ActionSpec(embodiment=embodiment, groups=groups, rate_hz=rate_hz, horizon=horizon)
    group = Group(name="joints", names=names, quantity="joint", representation="relative", unit="rad")
    return ActionSpec(embodiment=robot_type or "unknown", groups=(group,), rate_hz=rate_hz, horizon=horizon)
