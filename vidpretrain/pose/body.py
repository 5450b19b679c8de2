"""Which bodies are real, and which side of them is left.

The pose network invents bodies on pictures of hands, and in side views it takes left for right in whole runs of
frames. Both are decided over time by dynamic programming on two states.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float64, Int64

from vidpretrain.pose.observations import BodySighting
from vidpretrain.skeletons import skeleton
from vidpretrain.timebase import NS_PER_S

_LIMBS = list(range(11, 17)) + list(range(23, 29))
_SWITCH = 5.0  # log-odds that a change between "somebody" and "nobody" costs
_DOUBT = -1.0  # a frame of less than this is left out even while somebody is there
_BRIDGE_S = 1.0
_MIRROR = list(skeleton("body33").mirror)


def real_log_odds(body: BodySighting | None, longest_hand_px: float) -> float:
    """Log-odds that a body is one and not invented on a hand; -2 where none was found.

    Evidence: the best arm's visibility, the hand's length against the torso's (a real one is about .38, up to 1 when
    stretched out towards the camera; invented bodies sit inside the hand), the shoulders' width in metres, and
    whether the hips hang below the shoulders (on hands that reach in from above they are above; on the wearer's own
    forearms beside them, with narrow shoulders).
    """
    if body is None:
        return -2.0
    arms = np.minimum(body.visibility[[13, 14]], body.visibility[[15, 16]])
    arm = np.clip(6.0 * (arms.max() - 0.4), -2.4, 3.0)
    width_m = np.linalg.norm(body.p_relative[11] - body.p_relative[12])
    width = np.clip(15.0 * (width_m - 0.26), -2.0, 1.0)
    hand = np.clip(5.0 * (1.15 - longest_hand_px / body.size_px), -5.0, 2.0) if longest_hand_px > 0 else 0.0
    shoulders, hips = body.p_image[11:13].mean(0), body.p_image[23:25].mean(0)
    down = (hips[1] - shoulders[1]) / max(np.linalg.norm(hips - shoulders), 1.0)
    upside_down = np.clip(4.0 * down, -4.0, 0.0)
    level = -3.0 * np.clip(1.0 - 2.0 * abs(down), 0.0, 1.0) * np.clip(10.0 * (0.3 - width_m), 0.0, 1.0)
    return float(arm + width + hand + upside_down + level)


def is_upside_down(body: BodySighting) -> bool:
    """Whether this is surely a person with the head below the hips, all of them seen well."""
    shoulders, hips = body.p_image[11:13].mean(0), body.p_image[23:25].mean(0)
    down = (hips[1] - shoulders[1]) / max(np.linalg.norm(hips - shoulders), 1.0)
    if down > -0.7 or body.visibility[[0, 11, 12, 23, 24]].min() < 0.9:
        return False
    return real_log_odds(body, 0.0) - 4.0 * down > 2.5


def is_sideways(body: BodySighting) -> bool:
    """Whether this is surely a person lying across the picture, seen from front or back: the trunk is level, and the
    shoulders stand above each other. Who bends over keeps them beside or behind each other.
    """
    shoulders, hips = body.p_image[11:13], body.p_image[23:25]
    trunk, row = hips.mean(0) - shoulders.mean(0), shoulders[1] - shoulders[0]
    size = max(float(np.linalg.norm(trunk)), 1.0)
    if body.visibility[[0, 11, 12, 23, 24]].min() < 0.9 or np.linalg.norm(row) < 0.3 * size:
        return False
    return bool(abs(trunk[0]) > 0.8 * size and abs(row[1]) > 0.8 * np.linalg.norm(row))


def real_frames(log_odds: Float64[np.ndarray, " t"]) -> Bool[np.ndarray, " t"]:
    """Frames with a real body: in the likeliest sequence of two states (changes cost `_SWITCH`), and not doubtful."""
    gain = np.stack([np.zeros(len(log_odds)), log_odds], axis=1)
    somebody = two_state_path(-gain, np.full((len(gain), 2, 2), [[0.0, _SWITCH], [_SWITCH, 0.0]])) == 1
    return somebody & (np.asarray(log_odds) > _DOUBT)


def side_flips(bodies: Sequence[BodySighting | None], time_ns: Int64[np.ndarray, " t"]) -> Bool[np.ndarray, " t"]:
    """Frames in which the network's left is the person's right.

    Exchanging all mirror pairs costs what it would take the limbs to jump there, in the picture (over the torso's
    length) and in space (over .3 m); bodies seen from front or back, whose side the network knows, hold the whole.
    """
    found = [t for t, body in enumerate(bodies) if body is not None]
    flips = np.zeros(len(bodies), dtype=bool)
    if len(found) < 2:
        return flips
    image = np.stack([bodies[t].p_image for t in found])  # type: ignore[union-attr]
    space = np.stack([bodies[t].p_relative for t in found])  # type: ignore[union-attr]
    sight = np.stack([bodies[t].visibility for t in found])  # type: ignore[union-attr]
    size = np.array([bodies[t].size_px for t in found])  # type: ignore[union-attr]
    frontal = np.abs(image[:, 11, 0] - image[:, 12, 0]) / size
    unary = np.zeros((len(found), 2))
    unary[:, 1] = 0.1 * np.clip(frontal / 0.4, 0.0, 1.0) ** 2
    step_s = np.diff(np.asarray(time_ns)[found]) / NS_PER_S
    same = _jump(image, space, sight, size, list(range(33)))
    other = _jump(image, space, sight, size, _MIRROR)
    weight = 1.0 / (1.0 + step_s / 0.3)
    pair = np.zeros((len(found), 2, 2))
    pair[1:] = (weight[:, None] * np.stack([same, other, other, same], axis=1)).reshape(-1, 2, 2)
    flips[found] = two_state_path(unary, pair) == 1
    return flips


def _jump(image, space, sight, size, order) -> np.ndarray:
    """Mean distance that the limbs of each frame are from the frame before, whose points are taken in `order`."""
    weight = np.minimum(sight[1:], sight[:-1][:, order])[:, _LIMBS] + 0.05
    in_picture = np.linalg.norm(image[1:] - image[:-1][:, order], axis=-1)[:, _LIMBS] / size[1:, None]
    in_space = np.linalg.norm(space[1:] - space[:-1][:, order], axis=-1)[:, _LIMBS] / 0.3
    distance = np.minimum(in_picture, 1.5) + np.minimum(in_space, 1.5)
    return (weight * distance).sum(1) / weight.sum(1)


def two_state_path(unary: Float64[np.ndarray, "t 2"], pair: Float64[np.ndarray, "t 2 2"]) -> Int64[np.ndarray, " t"]:
    """States of least total cost; `pair[t, a, b]` is the cost of a at t - 1 and b at t (the first entry is unused)."""
    cost = unary[0].copy()
    back = np.zeros((len(unary), 2), dtype=np.int64)
    for t in range(1, len(unary)):
        total = cost[:, None] + pair[t]
        back[t] = total.argmin(0)
        cost = total.min(0) + unary[t]
    path = np.empty(len(unary), dtype=np.int64)
    path[-1] = cost.argmin()
    for t in range(len(unary) - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def bridged(bodies: Sequence[BodySighting | None], time_ns: Int64[np.ndarray, " t"]) -> list[BodySighting | None]:
    """The bodies; in gaps of up to `_BRIDGE_S` what lies between the two around them, and as long before the first and
    after the last one these: whose hands are whose has to be said there as well, and the person has hardly left.
    """
    out = list(bodies)
    found = [t for t, body in enumerate(bodies) if body is not None]
    for a, b in itertools.pairwise(found):
        if b - a < 2 or time_ns[b] - time_ns[a] > _BRIDGE_S * NS_PER_S:
            continue
        first, last = bodies[a], bodies[b]
        if first is None or last is None:
            continue
        for t in range(a + 1, b):
            share = float(time_ns[t] - time_ns[a]) / float(time_ns[b] - time_ns[a])
            mixed = [
                (1.0 - share) * getattr(first, name) + share * getattr(last, name)
                for name in ("p_image", "p_relative", "visibility")
            ]
            out[t] = BodySighting(p_image=mixed[0], p_relative=mixed[1], visibility=mixed[2])
    for t in range(len(out)):
        end = None if not found or found[0] < t < found[-1] else found[0] if t < found[0] else found[-1]
        if end is not None and abs(int(time_ns[t] - time_ns[end])) <= _BRIDGE_S * NS_PER_S:
            out[t] = bodies[end]
    return out


def mirrored(body: BodySighting) -> BodySighting:
    """The body with left and right points exchanged."""
    return BodySighting(
        p_image=body.p_image[_MIRROR], p_relative=body.p_relative[_MIRROR], visibility=body.visibility[_MIRROR]
    )
