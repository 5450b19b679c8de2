"""What is known of people before any picture: how they hold themselves, and how quickly joints change their speed."""

from __future__ import annotations

import numpy as np

from vidpretrain import skeletons
from vidpretrain.human import FINGER_JOINTS, rest
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.solve import LengthParameter, PostureTerm
from vidpretrain.tree import Tree

# Degrees around the rest posture; about a third of each joint's range, less where joints share one movement.
_SIGMA_DEG = {
    "spine_pitch": 15,
    "spine_roll": 8,
    "spine_yaw": 12,
    "chest_pitch": 8,
    "chest_roll": 6,
    "neck_yaw": 30,
    "neck_pitch": 20,
    "neck_roll": 12,
    "head_pitch": 12,
    "clavicle_raise": 8,
    "clavicle_forward": 8,
    "shoulder_swing": 60,
    "shoulder_raise": 45,
    "shoulder_twist": 45,
    "elbow_flex": 60,
    "forearm_roll": 50,
    "wrist_deviate": 15,
    "wrist_flex": 30,
    "hip_flex": 40,
    "hip_abduct": 15,
    "hip_turn": 20,
    "knee_flex": 40,
    "ankle_flex": 20,
    "ankle_roll": 8,
    "toes_flex": 10,
    "thumb_cmc_abduct": 20,
    "thumb_cmc_flex": 20,
    "thumb_cmc_roll": 15,
    "mcp_abduct": 8,
}
_PALM_POINTS = ("_pinky", "_index", "_thumb")
_ARM = ("shoulder", "elbow", "forearm", "wrist")


def posture(tree: Tree, config: FitConfig, unseen: tuple[str, ...] = (), wrist: float = 1.0) -> PostureTerm:
    """The rest posture; the arms of sides in `unseen` are held more loosely, wrists and forearms by `wrist`."""
    sigma = np.empty(len(tree.joint_names))
    for j, name in enumerate(tree.joint_names):
        bare = _bare(name)
        if name in FINGER_JOINTS:
            sigma[j] = _SIGMA_DEG.get(bare, _SIGMA_DEG["mcp_abduct"] if "abduct" in bare else config.finger_rest_deg)
            continue
        sigma[j] = config.posture * _SIGMA_DEG[bare]
        if any(name.startswith(side) for side in unseen) and bare.startswith(_ARM):
            sigma[j] *= config.posture_unseen
        if bare.startswith(("wrist", "forearm")):
            sigma[j] *= wrist
    return PostureTerm(q_ref=rest(tree), weight=1.0 / np.radians(sigma) ** 2)


def acceleration(tree: Tree, config: FitConfig, on_body: bool = False) -> np.ndarray:
    """Weights (j) of the joints' accelerations; `on_body`: of a body that is seen, from farther away."""
    body, arm = config.body_acceleration_rad_s2, config.arm_acceleration_rad_s2
    if on_body:
        body, arm = config.seen_acceleration_rad_s2, config.seen_arm_acceleration_rad_s2
    sigma = np.full(len(tree.joint_names), body)
    for j, name in enumerate(tree.joint_names):
        if name in FINGER_JOINTS:
            sigma[j] = config.finger_acceleration_rad_s2
        elif _bare(name).startswith(_ARM):
            sigma[j] = arm
    return 1.0 / sigma**2


def lengths(tree: Tree, legs: bool, config: FitConfig) -> tuple[LengthParameter, ...]:
    """What the clip tells of the person's bones: one factor each, left and right alike; the height stays what it is."""
    body = config.shape_sigma * config.clip_share
    hand = tuple(name for name in tree.site_names if "_hand_" in name or name.endswith(_PALM_POINTS))
    groups: list[tuple[str, tuple[str, ...], tuple[str, ...], float]] = [
        ("hand", FINGER_JOINTS, hand, config.hand_size_sigma * config.clip_share),
        ("head", (), tuple(skeletons.BODY_NAMES[:11]), body),
        ("torso", ("spine_pitch", "chest_pitch", "neck_yaw", *_both("clavicle_raise")), (), body),
        ("shoulders", _both("shoulder_swing"), _both("shoulder"), body),
        ("upper_arm", _both("elbow_flex"), _both("elbow"), body),
        ("forearm", _both("wrist_deviate"), (), body),
        ("hips", _both("hip_flex"), _both("hip"), body),
    ]
    if legs:
        groups += [
            ("thigh", _both("knee_flex"), _both("knee"), body),
            ("shank", _both("ankle_flex"), _both("ankle"), body),
        ]
    return tuple(LengthParameter(name=n, joints=j, sites=s, sigma=sigma) for n, j, s, sigma in groups)


def _both(part: str) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for side in skeletons.SIDES)


def _bare(name: str) -> str:
    side, _, rest_of = name.partition("_")
    return rest_of if side in skeletons.SIDES else name
