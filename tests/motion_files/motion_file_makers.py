"""Files of a person who stands, walks on the spot and waves, made from numbers: SMPL joints, BVH, hands."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FRAMES = 40
SMPL = [
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle"),
    *("spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder"),
    *("right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand"),
]


def person(frames: int = FRAMES) -> np.ndarray:
    """(t 24 3) SMPL joints in metres, z up, looking along x: 1.7 m tall, one arm waves, the feet stand."""
    at = {
        "pelvis": (0, 0, 0.93), "spine1": (0, 0, 1.05), "spine2": (0, 0, 1.17), "spine3": (0, 0, 1.24),
        "neck": (0, 0, 1.43), "head": (0.03, 0, 1.53), "hip": (0, 0.09, 0.88), "knee": (0.02, 0.09, 0.47),
        "ankle": (0, 0.09, 0.07), "foot": (0.13, 0.1, 0.02), "collar": (0, 0.07, 1.36), "shoulder": (0, 0.18, 1.38),
        "elbow": (0, 0.2, 1.10), "wrist": (0.02, 0.2, 0.85), "hand": (0.03, 0.2, 0.77),
    }  # fmt: skip
    out = np.zeros((frames, 24, 3))
    for i, name in enumerate(SMPL):
        side, _, part = name.partition("_")
        if side in ("left", "right"):
            out[:, i] = np.array(at[part]) * [1, 1 if side == "left" else -1, 1]
        else:
            out[:, i] = at[name]
    time = np.arange(frames) / 30.0
    elbow, wrist, hand = (SMPL.index(f"right_{part}") for part in ("elbow", "wrist", "hand"))
    swing = np.stack([np.sin(3 * time), np.zeros(frames), np.cos(3 * time)], axis=1)
    out[:, wrist] = out[:, elbow] + 0.25 * swing
    out[:, hand] = out[:, elbow] + 0.33 * swing
    return out


def hand(side: str = "right", frames: int = 20, bend: float = 1.0) -> np.ndarray:
    """(t 21 3) of a hand whose fingers bend towards its palm: palm down, fingers along x, wrist at the origin."""
    lengths = {"thumb": (0.04, 0.035, 0.03, 0.025), "finger": (0.09, 0.04, 0.025, 0.02)}
    out = np.zeros((frames, 21, 3))
    across = 1.0 if side == "right" else -1.0  # the thumb's side of a hand with its palm down and fingers along +x
    for t in range(frames):
        curl = bend * (0.5 + 0.2 * np.sin(0.3 * t))
        for f in range(5):
            angle, at = 0.0, np.zeros(3)
            spread = across * ((0.9, 0.25, 0.05, -0.15, -0.35)[f])
            for j in range(4):
                angle += curl if (j > 0 and f > 0) else (0.25 * bend if f == 0 else 0.0)
                step = lengths["thumb" if f == 0 else "finger"][j]
                flat = np.array([np.cos(spread), np.sin(spread), 0.0])
                at = at + step * (np.cos(angle) * flat + np.sin(angle) * np.array([0, 0, -1.0]))
                out[t, 1 + 4 * f + j] = at
    return out


LIMBS = {
    "Leg": (("UpLeg", (0, -5, 9)), ("Leg", (0, -42, 0)), ("Foot", (0, -41, 0)), ("ToeBase", (0, -5, 13))),
    "Arm": (("Shoulder", (0, 18, 6)), ("Arm", (0, 0, 12)), ("ForeArm", (0, -28, 0)), ("Hand", (0, -25, 0))),
}


def bvh_text(frames: int = FRAMES, order: str = "ZXY", unit: float = 1.0, declared: int | None = None) -> str:
    """A BVH in centimetres, y up, looking along z: LAFAN1's names, no fingers; knees and elbows bend in time."""
    lines, channels = ["HIERARCHY"], 0
    rotations = " ".join(f"{axis}rotation" for axis in order)

    def joint(word: str, name: str, offset, children, depth: int) -> None:
        nonlocal channels
        pad = "\t" * depth
        root = word == "ROOT"
        channels += 6 if root else 3
        lines.extend(
            [f"{pad}{word} {name}", f"{pad}{{", f"{pad}\tOFFSET " + " ".join(f"{unit * v:.6f}" for v in offset),
             f"{pad}\tCHANNELS {6 if root else 3} {'Xposition Yposition Zposition ' if root else ''}{rotations}"]
        )  # fmt: skip
        for child in children:
            joint("JOINT", *child, depth + 1)
        if not children:
            tip = " ".join(f"{unit * v:.6f}" for v in (0, 0, 5))
            lines.extend([f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET {tip}", f"{pad}\t}}"])
        lines.append(f"{pad}}}")

    def limb(side: str, kind: str):
        sign = 1 if side == "Left" else -1
        chain: list = []
        for name, (x, y, z) in reversed(LIMBS[kind]):
            sideways = (sign * z, y, 0) if name in ("UpLeg", "Shoulder", "Arm") else (x, y, z)
            chain = [(f"{side}{name}", sideways, chain)]
        return chain[0]

    spine = ("Spine", (0, 25, 0), [limb("Left", "Arm"), limb("Right", "Arm"), ("Head", (0, 30, 3), [])])
    joint("ROOT", "Hips", (0, 93, 0), [limb("Left", "Leg"), limb("Right", "Leg"), spine], 0)
    rows = []
    for t in range(frames):
        row = np.zeros(channels)
        row[:3] = unit * np.array([0.2 * t, 93.0, 0.1 * t])
        row[3:6] = [3 * np.sin(0.1 * t), 5.0, 20 * np.sin(0.05 * t)]
        row[6:] = 8 * np.sin(0.1 * t + np.arange(channels - 6))
        rows.append(" ".join(f"{v:.6f}" for v in row))
    head = ["MOTION", f"Frames: {frames if declared is None else declared}", "Frame Time: 0.033333"]
    return "\n".join([*lines, *head, *rows]) + "\n"


def write_bvh(path: Path, **arguments) -> Path:
    """The BVH of `bvh_text` as a file."""
    path.write_text(bvh_text(**arguments))
    return path
