"""Posing a `Body`: forward kinematics, the arms' two-link inverse kinematics, curling fingers.

A pose is, for each bone, a rotation `D` from its rest orientation in world axes (b 3 3) and a position (b 3) m, so that
every rest point x of bone b goes to p[b] + D[b] (x - p_rest[b]).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.sim.body import Body

LETTER = {"left": "L", "right": "R"}
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_OPEN_DEG = {"thumb": (0.0, 0.0, 0.0), "index": (-8.0, -4.0, 0.0)}
_CLOSED_DEG = {"thumb": (28.0, 25.0, 40.0), "index": (75.0, 85.0, 50.0)}  # flexion at each joint beyond rest


@dataclass(frozen=True)
class Pose:
    """Rotations `D` (b 3 3) from rest and positions `p` (b 3) of all bones, world axes."""

    D: np.ndarray
    p: np.ndarray


@dataclass(frozen=True)
class HandTarget:
    """Where a wrist should be: position (3) m, palm orientation (3 3), flexion of the five fingers in [0, 1]."""

    p_world_wrist: np.ndarray
    R_world_palm: np.ndarray
    curl: np.ndarray


def turn(axis: str | np.ndarray, angle_rad: float) -> np.ndarray:
    """Rotation matrix (3 3) about "x", "y", "z" or a unit vector."""
    vector = np.eye(3)["xyz".index(axis)] if isinstance(axis, str) else np.asarray(axis)
    return geometry.matrix_from_quat(geometry.quat_exp(angle_rad * vector))


def palm_frame(p_hand: np.ndarray, side: str) -> np.ndarray:
    """Orientation (... 3 3) of a palm from its 21 points (... 21 3): x wrist to middle knuckle, z out of the back.

    The columns are orthonormal and y = z cross x, as in the wrist and palm sites of a `Robot`.
    """
    x = geometry.normalize(p_hand[..., 9, :] - p_hand[..., 0, :])
    across = p_hand[..., 5, :] - p_hand[..., 17, :]  # little finger's knuckle to the index's
    z = np.cross(x, across) if side == "right" else np.cross(across, x)
    z = geometry.normalize(z)
    return np.stack([x, np.cross(z, x), z], axis=-1)


class Poser:
    """Poses one body. Everything that depends on the body alone is worked out once, here."""

    def __init__(self, body: Body) -> None:
        self.body = body
        names = skeletons.skeleton("human75").names
        self._at = {name: i for i, name in enumerate(body.names)}
        self._order = self._topological()
        self._palm_rest = {}
        self._flex = {}
        for side in skeletons.SIDES:
            hand = body.p_rest_keypoint[skeletons.HAND_SLICES[side]]
            self._palm_rest[side] = palm_frame(hand, side)
            self._flex[side] = {finger: self._flexion_axes(hand, side, finger) for finger in FINGERS}
        self.names = names

    def _topological(self) -> list[int]:
        depth = []
        for b in range(len(self.body.names)):
            count, parent = 0, self.body.parent[b]
            while parent >= 0:
                count, parent = count + 1, self.body.parent[parent]
            depth.append(count)
        return np.argsort(depth, kind="stable").tolist()

    def _flexion_axes(self, hand: np.ndarray, side: str, finger: str) -> np.ndarray:
        """Axis (3 3, one row per joint) about which a positive angle bends the finger into the palm, at rest."""
        palm = self._palm_rest[side]
        k = 1 + 4 * FINGERS.index(finger)
        chain = hand[k : k + 4]
        along = geometry.normalize(np.diff(chain, axis=0))
        if finger == "thumb":  # towards the little finger's knuckle, and out of the palm's plane
            goal = geometry.normalize(hand[17] - hand[1]) - 0.9 * palm[:, 2]
        else:
            goal = -palm[:, 2]
        return geometry.normalize(np.cross(along, goal))

    def fk(
        self,
        local: dict[str, np.ndarray],
        root: np.ndarray,
        fixed: dict[str, np.ndarray],
        places: dict[str, np.ndarray] | None = None,
    ) -> Pose:
        """Pose with local turns `local` (bone: 3 3, rest-world axes), `fixed` rotations that ignore the parent.

        `places` puts bones at positions (3) m of their own.
        """
        body = self.body
        D, p = np.empty((len(body.names), 3, 3)), np.empty((len(body.names), 3))
        for b in self._order:
            name, parent = body.names[b], body.parent[b]
            above = D[parent] if parent >= 0 else np.eye(3)
            p[b] = root if parent < 0 else p[parent] + above @ (body.p_rest[b] - body.p_rest[parent])
            if places and name in places:
                p[b] = places[name]
            D[b] = fixed[name] if name in fixed else above @ local[name] if name in local else above
        return Pose(D, p)

    def torso(self, lean_rad: float, yaw_rad: float, roll_rad: float, nod_rad: float, look_rad: float) -> dict:
        """Local turns of spine and neck: lean forward, turn left, lean right; nod down and look left with the neck."""
        step = turn("z", yaw_rad / 5) @ turn("y", lean_rad / 5) @ turn("x", roll_rad / 5)
        neck = turn("z", look_rad / 4) @ turn("y", nod_rad / 4)
        spine = {f"spine0{k}": step for k in range(1, 6)}
        return {**spine, **dict.fromkeys(("neck01", "neck02", "neck03", "head"), neck)}

    def pose(self, torso: dict, root: np.ndarray, hands: dict[str, HandTarget]) -> tuple[Pose, dict[str, float]]:
        """The pose whose wrists are at their targets, and how far (m) each target was out of the arm's reach."""
        trunk = self.fk(torso, root, {})
        fixed, places, miss, local = {}, {}, {}, dict(torso)
        for side, target in hands.items():
            arm, wrist, miss[side] = self._arm(side, trunk, target)
            fixed.update(arm)
            # twisting the forearm about the line from elbow to wrist moves its middle joint, which is off that line
            places[f"wrist.{LETTER[side]}"] = wrist
            local.update(self._fingers(side, target.curl))
        fixed.update(self._stance(trunk))
        return self.fk(local, root, fixed, places), miss

    def _stance(self, trunk: Pose) -> dict[str, np.ndarray]:
        """Rotations of the legs, by bone; none: they go along with the pelvis."""
        del trunk
        return {}

    def _arm(self, side: str, trunk: Pose, target: HandTarget) -> tuple[dict[str, np.ndarray], np.ndarray, float]:
        """Rotations of the arm's bones, the wrist's position, and how far out of reach the target is.

        The elbow lies in the plane of shoulder, wrist and a pole that points down and out.
        """
        c, at, rest = LETTER[side], self._at, self.body.p_rest
        shoulder, elbow, wrist = (rest[at[f"{n}.{c}"]] for n in ("upperarm01", "lowerarm01", "wrist"))
        upper, fore = elbow - shoulder, wrist - elbow
        a, b = float(np.linalg.norm(upper)), float(np.linalg.norm(fore))
        start = trunk.p[at[f"upperarm01.{c}"]]
        pole = np.array([-0.35, 0.55 if side == "left" else -0.55, -1.0])
        joint, hand = geometry.two_link(start, target.p_world_wrist, a, b, pole, fullest=0.995)
        D_upper = turned(upper, np.cross(upper, fore), joint - start, np.cross(joint - start, hand - joint))
        D_fore = turned(fore, np.cross(upper, fore), hand - joint, np.cross(joint - start, hand - joint))
        D_hand = target.R_world_palm @ self._palm_rest[side].T
        axis = fore / b
        twist = _twist(D_fore.T @ D_hand, axis)
        rotations = {
            f"upperarm01.{c}": D_upper,
            f"upperarm02.{c}": D_upper,
            f"lowerarm01.{c}": D_fore @ turn(axis, 0.3 * twist),
            f"lowerarm02.{c}": D_fore @ turn(axis, 0.7 * twist),
            f"wrist.{c}": D_hand,
        }
        return rotations, hand, float(np.linalg.norm(target.p_world_wrist - hand))

    def _fingers(self, side: str, curl: np.ndarray) -> dict[str, np.ndarray]:
        out = {}
        for number, finger in enumerate(FINGERS, start=1):
            kind = "thumb" if finger == "thumb" else "index"
            for k in range(3):
                angle = np.deg2rad(
                    (1 - curl[number - 1]) * _OPEN_DEG[kind][k] + curl[number - 1] * _CLOSED_DEG[kind][k]
                )
                out[f"finger{number}-{k + 1}.{LETTER[side]}"] = turn(self._flex[side][finger][k], angle)
        return out

    def keypoints(self, pose: Pose) -> np.ndarray:
        """World positions (75 3) m of `human75`; NaN where the body does not define the point."""
        bone = self.body.keypoint_bone
        offset = self.body.p_rest_keypoint - self.body.p_rest[bone]
        points = pose.p[bone] + np.einsum("kij,kj->ki", pose.D[bone], offset)
        return np.where(bone[:, None] < 0, np.nan, points)

    def hand_at_rest(self, side: str, curl: np.ndarray) -> np.ndarray:
        """The hand's 21 points (21 3) m in its own palm frame (origin at the wrist) for a flexion of the fingers."""
        c = LETTER[side]
        palm = self._palm_rest[side]
        pose = self.fk(self._fingers(side, curl), self.body.p_rest[0], {})
        wrist = self.body.p_rest[self._at[f"wrist.{c}"]]
        return (self.keypoints(pose)[skeletons.HAND_SLICES[side]] - wrist) @ palm


def turned(u0: np.ndarray, n0: np.ndarray, u: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Rotation (3 3) that takes direction u0 to u exactly, and the side direction n0 as near to n as that allows."""

    def frame(x, z):
        x = geometry.normalize(x)
        z = geometry.normalize(z - (z @ x) * x)
        return np.stack([x, np.cross(z, x), z], axis=1)

    return frame(u, n) @ frame(u0, n0).T


def _twist(R: np.ndarray, axis: np.ndarray) -> float:
    """Angle of the part of R that turns about `axis` (swing-twist), in (-pi, pi]."""
    q = geometry.quat_from_matrix(R)
    return float(2.0 * np.arctan2(q[1:] @ axis, q[0]) + np.pi) % (2 * np.pi) - np.pi
