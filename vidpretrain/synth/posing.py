"""A body posed whole: legs that keep the feet where they stand, and poses that follow the points of a recorded motion.

A recorded motion gives directions; lengths are the body's own. Sides, axes and rest poses are those of `sim.posing`.
"""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.sim.posing import FINGERS, LETTER, Pose, Poser, palm_frame, turned

_AT = skeletons.skeleton("human75").index
_SPINE = tuple(f"spine0{k}" for k in range(5, 0, -1))  # from the pelvis up
_HEAD = ("neck01", "neck02", "neck03", "head")


class WholePoser(Poser):
    """A `Poser` whose feet stay where they are at rest while the pelvis moves."""

    def _stance(self, trunk: Pose) -> dict[str, np.ndarray]:
        return {bone: D for side in skeletons.SIDES for bone, D in self._leg(side, trunk).items()}

    def _leg(self, side: str, trunk: Pose) -> dict[str, np.ndarray]:
        """Rotations of a leg whose ankle is at its rest place, the knee forwards."""
        c, rest = LETTER[side], self.body.p_rest
        hip, knee, ankle = (rest[self._at[f"{name}.{c}"]] for name in ("upperleg01", "lowerleg01", "foot"))
        upper, lower = knee - hip, ankle - knee
        a, b = float(np.linalg.norm(upper)), float(np.linalg.norm(lower))
        start = trunk.p[self._at[f"upperleg01.{c}"]]
        joint, end = geometry.two_link(start, ankle, a, b, np.array([1.0, 0.0, 0.0]), fullest=0.9995)
        left = np.array([0.0, 1.0, 0.0])
        D_upper = turned(upper, left, joint - start, left)
        D_lower = turned(lower, left, end - joint, left)
        return _leg_bones(c, D_upper, D_lower, np.eye(3))

    def follow(self, p: np.ndarray, root: np.ndarray, hand_curl: np.ndarray) -> Pose:
        """The pose whose limbs point as those of points (75 3) do, pelvis at `root`; NaN points leave parts at rest.

        Arms, legs and trunk follow the body's points; a hand follows its 21 points where they are there, else it is
        the forearm's end with its fingers bent by `hand_curl` (5).
        """
        rest = self.body.p_rest_keypoint
        D_root = _frame(p, "hip") @ _frame(rest, "hip").T
        D_chest = _frame(p, "shoulder") @ _frame(rest, "shoulder").T
        q = geometry.quat_from_matrix(np.stack([D_root, D_chest]))
        fixed: dict[str, np.ndarray] = {"root": D_root}
        for k, name in enumerate(_SPINE, start=1):
            fixed[name] = geometry.matrix_from_quat(geometry.slerp(q[0], q[1], np.array(k / len(_SPINE))))
        fixed |= dict.fromkeys(_HEAD, D_chest)
        local: dict[str, np.ndarray] = {}
        for side in skeletons.SIDES:
            fixed |= self._limb_directions(side, p, rest, D_root, D_chest)
            hand = p[skeletons.HAND_SLICES[side]]
            if np.isfinite(hand).all():
                fixed[f"wrist.{LETTER[side]}"] = palm_frame(hand, side) @ self._palm_rest[side].T
                local |= self.fingers_of(side, hand)
            else:
                local |= self._fingers(side, hand_curl)
        return self.fk(local, root, fixed)

    def _limb_directions(self, side, p, rest, D_root, D_chest) -> dict[str, np.ndarray]:
        c = LETTER[side]
        at = {name: _AT(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
        at["toe"] = _AT(f"{side}_foot_index")

        def way(points, a, b):
            return points[at[b]] - points[at[a]]

        left = np.array([0.0, 1.0, 0.0])
        upper, fore = (way(p, *pair) for pair in (("shoulder", "elbow"), ("elbow", "wrist")))
        upper0, fore0 = (way(rest, *pair) for pair in (("shoulder", "elbow"), ("elbow", "wrist")))
        out = {}
        if np.isfinite([upper, fore]).all():
            hinge, hinge0 = np.cross(upper, fore), np.cross(upper0, fore0)
            bent = np.linalg.norm(hinge) / (np.linalg.norm(upper) * np.linalg.norm(fore))
            straight = D_chest @ hinge0 / np.linalg.norm(hinge0)  # a straight arm has no hinge to see
            part = np.clip(bent / 0.35, 0.0, 1.0)
            hinge = part * geometry.normalize(hinge) + (1 - part) * straight
            D_upper = turned(upper0, hinge0, upper, hinge)
            D_fore = turned(fore0, hinge0, fore, hinge)
            out |= {f"upperarm01.{c}": D_upper, f"upperarm02.{c}": D_upper}
            out |= {f"lowerarm01.{c}": D_fore, f"lowerarm02.{c}": D_fore, f"wrist.{c}": D_fore}
        thigh, shank = way(p, "hip", "knee"), way(p, "knee", "ankle")
        if np.isfinite([thigh, shank]).all():
            D_thigh = turned(way(rest, "hip", "knee"), left, thigh, D_root @ left)
            D_shank = turned(way(rest, "knee", "ankle"), left, shank, D_root @ left)
            foot = way(p, "ankle", "toe")
            D_foot = (
                turned(way(rest, "ankle", "toe"), left, foot, D_root @ left) if np.isfinite(foot).all() else D_shank
            )
            out |= _leg_bones(c, D_thigh, D_shank, D_foot)
        return out

    def fingers_of(self, side: str, hand: np.ndarray) -> dict[str, np.ndarray]:
        """Local turns of the fingers whose joints bend as those of the 21 points (21 3) do, flexion only."""
        rest = self.body.p_rest_keypoint[skeletons.HAND_SLICES[side]]
        out = {}
        for number, finger in enumerate(FINGERS, start=1):
            first = 1 + 4 * (number - 1)
            chain = [0, *range(first, first + 4)]
            now, then = (
                _bends(points[chain], palm_frame(points, side), self._palm_rest[side].T @ self._flex[side][finger].T)
                for points in (hand, rest)
            )
            for k in range(3):
                turn = np.clip(now[k] - then[k], -0.4, 1.8)
                out[f"finger{number}-{k + 1}.{LETTER[side]}"] = geometry.matrix_from_quat(
                    geometry.quat_exp(turn * self._flex[side][finger][k])
                )
        return out


def _frame(p: np.ndarray, part: str) -> np.ndarray:
    """Axes (3 3) of pelvis or chest from points (75 3): y from right to left, z up the trunk."""
    left = geometry.normalize(p[_AT(f"left_{part}")] - p[_AT(f"right_{part}")])
    shoulders, hips = (0.5 * (p[_AT(f"left_{x}")] + p[_AT(f"right_{x}")]) for x in ("shoulder", "hip"))
    up = shoulders - hips
    up = geometry.normalize(up - (up @ left) * left)
    return np.stack([np.cross(left, up), left, up], axis=1)


def _leg_bones(c: str, D_thigh: np.ndarray, D_shank: np.ndarray, D_foot: np.ndarray) -> dict[str, np.ndarray]:
    bones = {"upperleg01": D_thigh, "upperleg02": D_thigh, "lowerleg01": D_shank, "lowerleg02": D_shank, "foot": D_foot}
    return {f"{name}.{c}": D for name, D in bones.items()}


def _bends(chain: np.ndarray, palm: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Signed angle (3) between neighbouring segments of a chain (5 3) about `axes` (3 3, columns, palm frame)."""
    way = geometry.normalize(np.diff(chain, axis=0)) @ palm
    out = np.zeros(3)
    for k in range(3):
        a, b, n = way[k], way[k + 1], axes[:, k]
        out[k] = np.arctan2(np.cross(a, b) @ n, a @ b)
    return out
