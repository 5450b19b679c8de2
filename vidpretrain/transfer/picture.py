"""A film's pictures as the robot's head camera would have them: its field of view, its size, arms in black."""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float, UInt8

from vidpretrain import geometry, skeletons
from vidpretrain.types import HumanMotion

_FINGER_M, _ARM_M, _FORE_M = 0.014, 0.045, 0.27
_CHAINS = tuple((0, *range(1 + 4 * f, 5 + 4 * f)) for f in range(5))  # of a hand's 21 points


def seen_as(
    picture: UInt8[np.ndarray, "h w 3"], K: Float[np.ndarray, "3 3"], fov_rad: float, px: int
) -> UInt8[np.ndarray, "p p 3"]:
    """What a square picture of this field of view, through the same place, shows; black beyond the film's edges."""
    import cv2

    focal = 0.5 * px / np.tan(fov_rad / 2)
    wanted = np.array([[focal, 0, px / 2 - 0.5], [0, focal, px / 2 - 0.5], [0, 0, 1.0]])
    own = np.array(K, dtype=float)
    own[:2, 2] -= 0.5  # OpenCV counts from the middle of the first pixel
    scale = focal / own[0, 0]
    small = picture
    if scale < 1:  # averaged first, or fine patterns turn into noise
        size = max(2, round(picture.shape[1] * scale)), max(2, round(picture.shape[0] * scale))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        share = np.array([size[0] / picture.shape[1], size[1] / picture.shape[0]])
        own[:2] = share[:, None] * own[:2]
        own[:2, 2] += 0.5 * share - 0.5
    return cv2.warpPerspective(small, wanted @ np.linalg.inv(own), (px, px), flags=cv2.INTER_LINEAR)


def blackened(pictures: UInt8[np.ndarray, "t h w 3"], human: HumanMotion) -> UInt8[np.ndarray, "t h w 3"]:
    """The pictures with the hands and forearms that the labels have in black; what they do not have stays."""
    import cv2

    out = np.array(pictures)
    K, p = np.asarray(human.camera.K, dtype=float), human.p_world_keypoint
    if human.camera.T_world_camera is not None:
        p = geometry.transform(geometry.inverse(human.camera.T_world_camera)[:, None], p)
    for t in range(len(out)):
        for side in skeletons.SIDES:
            hand = p[t, skeletons.HAND_SLICES[side]]
            if not np.isfinite(hand).all():
                continue
            back = geometry.normalize(hand[0] - hand[9])
            lines = [(hand[a], hand[b], _FINGER_M) for chain in _CHAINS for a, b in itertools.pairwise(chain)]
            lines += [(hand[a], hand[b], _FINGER_M) for a, b in ((5, 9), (9, 13), (13, 17), (0, 5), (0, 17))]
            for start, end, radius in [*lines, (hand[0], hand[0] + _FORE_M * back, _ARM_M)]:
                if min(start[2], end[2]) <= 0.05:
                    continue
                ends = [tuple(int(v) for v in np.rint((K @ q)[:2] / q[2])) for q in (start, end)]
                wide = max(1, round(2 * radius * K[0, 0] / start[2]))
                cv2.line(out[t], ends[0], ends[1], (0, 0, 0), wide)
            palm = np.rint([(K @ hand[k])[:2] / hand[k][2] for k in (0, 1, 5, 9, 13, 17)]).astype(np.int32)
            cv2.fillConvexPoly(out[t], cv2.convexHull(palm), (0, 0, 0))
    return out
