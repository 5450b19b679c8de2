"""What rendered people do: reach, grasp, lift and hand over, drawn by seed and moved along minimum-jerk paths.

A plan is a list of keys per hand (time, wrist, palm, flexion of the fingers); between keys everything follows the
minimum-jerk polynomial (Flash and Hogan 1985), with a small arc upwards. A grasped object is fixed to the palm.
World: the person stands at the origin, looks along x, y is their left, z up, the floor at z = 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.sim.posing import HandTarget, Pose, Poser, turn

MOTIONS = ("reach", "grasp", "lift", "handover")
OBJECTS = {"box": (0.030, 0.060), "bottle": (0.032, 0.105), "cup": (0.038, 0.050)}  # half width or radius, half height
_PALM_DEPTH_M = 0.016  # from the plane of the joints to the skin of the palm
_PAD_M = 0.0095  # from a finger's joint to its skin


@dataclass(frozen=True)
class Key:
    """One hand at one time: seconds, wrist (3) m, palm (4) wxyz, flexion (5); `arc_m` lifts the way to this key."""

    time_s: float
    p_wrist: np.ndarray
    q_palm: np.ndarray
    curl: np.ndarray
    arc_m: float = 0.0


@dataclass(frozen=True)
class Hold:
    """From `start_s` to `end_s` an object keeps its pose in the palm of `side`."""

    start_s: float
    end_s: float
    side: str
    p_palm_object: np.ndarray
    q_palm_object: np.ndarray


@dataclass(frozen=True)
class Plan:
    """What happens: keys of both hands, the object, where it starts, who holds it when, and where the eyes rest."""

    motion: str
    object_name: str
    side: str
    instruction: str
    duration_s: float
    table_m: float
    T_world_object: np.ndarray
    keys: dict[str, list[Key]]
    holds: list[Hold] = field(default_factory=list)


@dataclass(frozen=True)
class Take:
    """A plan carried out: poses of the person, poses (t 7) of the object, and the largest unreached distance (m)."""

    plan: Plan
    poses: list[Pose]
    T_world_object: np.ndarray
    miss_m: float


def palm_rotation(side: str, inward_rad: float, down_rad: float, roll_rad: float) -> np.ndarray:
    """Quaternion of a palm that points forward: turned inwards, pitched down, rolled from palm down to thumb up."""
    sign = 1.0 if side == "right" else -1.0
    R = turn("z", sign * inward_rad) @ turn("y", down_rad) @ turn("x", sign * roll_rad)
    return geometry.quat_from_matrix(R)


class Planner:
    """Draws plans for one person: sizes follow the body, choices follow the seed.

    `objects` is what there is to handle: half width or radius, and half height (m), by name.
    """

    def __init__(
        self, poser: Poser, rng: np.random.Generator, objects: Mapping[str, tuple[float, float]] = OBJECTS
    ) -> None:
        self.poser, self.rng, self.objects = poser, rng, objects
        body = poser.body
        self.scale = body.height_m / 1.75
        self.table_m = float(body.height_m * rng.uniform(0.545, 0.565))
        self.open = np.full(5, 0.06) + rng.uniform(0, 0.06, 5)

    def plan(self, motion: str, duration_s: float) -> Plan:
        """A plan of that motion.

        Raises:
            KeyError: no such motion.
        """
        return {"reach": self._reach, "grasp": self._grasp, "lift": self._lift, "handover": self._handover}[motion](
            duration_s
        )

    def _scene(self, name: str | None = None) -> tuple[str, str, np.ndarray]:
        """Object, active side and where the object's centre stands."""
        rng = self.rng
        name = name or str(rng.choice(list(self.objects)))
        side = str(rng.choice(["left", "right"]))
        sign = 1.0 if side == "left" else -1.0
        x, y = rng.uniform(0.47, 0.55) * self.scale, sign * rng.uniform(0.04, 0.16) * self.scale
        return name, side, np.array([x, y, self.table_m + self.objects[name][1]])

    def _rest(self, side: str) -> Key:
        """A hand that lies on the table: its lowest joint half a finger above the top."""
        rng, sign = self.rng, 1.0 if side == "left" else -1.0
        x, y = rng.uniform(0.24, 0.28) * self.scale, sign * rng.uniform(0.18, 0.24) * self.scale
        palm = palm_rotation(side, rng.uniform(0.1, 0.45), rng.uniform(0.0, 0.1), rng.uniform(-0.05, 0.2))
        curl = np.clip(self.open + 0.08, 0, 1)
        z = self.table_m + _PAD_M - self._lowest(side, palm, curl)
        return Key(0.0, np.array([x, y, z]), palm, curl)

    def _lowest(self, side: str, q_palm: np.ndarray, curl: np.ndarray) -> float:
        """Height (m) of the hand's lowest joint over the wrist; the heel of the hand counts as a joint."""
        return float(min(geometry.rotate(q_palm, self.poser.hand_at_rest(side, curl))[:, 2].min(), -0.02))

    def _grip(self, side: str, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Palm orientation (4), object centre in the palm frame (3), flexion (5) at which the fingers touch it.

        The hand holds the object's middle, or higher where its lower edge would go into the table.
        """
        rng = self.rng
        q = palm_rotation(side, rng.uniform(0.05, 0.4), rng.uniform(0.05, 0.2), np.deg2rad(rng.uniform(62, 80)))
        radius = self.objects[name][0] * (1.1 if name == "box" else 1.0)
        knuckle = self.poser.hand_at_rest(side, np.zeros(5))[9, 0]
        centre = np.array([0.92 * knuckle, 0.0, -(_PALM_DEPTH_M + radius)])
        axis = geometry.rotate(geometry.quat_inverse(q), np.array([0.0, 0.0, 1.0]))
        curl = self._closure(side, centre, axis, radius)
        above = self.objects[name][1] - geometry.rotate(q, centre)[2]  # the wrist's height while the object stands
        low = min(self._lowest(side, q, curl), self._lowest(side, q, self.open))
        raised = max(0.0, _PAD_M - (above + low))
        return q, centre - raised * axis, curl

    def _closure(self, side: str, centre: np.ndarray, axis: np.ndarray, radius: float) -> np.ndarray:
        """Flexion of each finger at which its first joint or pad touches the upright cylinder."""
        gap = []
        levels = np.linspace(0.0, 1.0, 41)
        for level in levels:
            hand = self.poser.hand_at_rest(side, np.full(5, level)) - centre
            across = hand - (hand @ axis)[:, None] * axis
            distance = np.linalg.norm(across, axis=1) - radius - _PAD_M
            chain = distance.reshape(-1)[1:].reshape(5, 4)
            pads = np.concatenate([chain[:, 1:], 0.5 * (chain[:, 2:3] + chain[:, 3:4])], axis=1)
            gap.append(pads.min(axis=1))
        touch = np.array(gap) <= 0.0
        first = np.where(touch.any(axis=0), touch.argmax(axis=0), len(levels) - 1)
        first = np.where(touch[0], 0, first)
        return np.maximum(levels[first], 0.04)

    def _wrist(self, q: np.ndarray, p_object: np.ndarray, p_palm_object: np.ndarray) -> np.ndarray:
        return p_object - geometry.rotate(q, p_palm_object)

    def _times(self, duration_s: float, *shares: float) -> np.ndarray:
        """End times of phases with these shares of the clip, each made up to 12 % longer or shorter."""
        drawn = np.array(shares) * self.rng.uniform(0.88, 1.12, len(shares))
        return np.cumsum(drawn) / max(drawn.sum(), 1.0) * duration_s

    def _approach(self, side: str, q: np.ndarray, p_object: np.ndarray, centre: np.ndarray) -> np.ndarray:
        """Wrist just before the grasp: the palm beside the object, not through it."""
        back = geometry.rotate(q, np.array([-0.035, 0.0, 0.03]))
        return self._wrist(q, p_object, centre) + back

    def _common(self, name: str, side: str, p_object: np.ndarray, reach_s: float):
        rest = {s: self._rest(s) for s in skeletons.SIDES}
        q, centre, curl = self._grip(side, name)
        ready = Key(reach_s, self._approach(side, q, p_object, centre), q, self.open * 0.5, 0.05)
        return rest, q, centre, curl, ready

    def _idle(self, rest: Key, duration_s: float) -> list[Key]:
        """A hand with nothing to do shifts a little."""
        drift = self.rng.uniform(-0.03, 0.03, 3) * np.array([1.0, 1.0, 0.2])
        later = Key(
            duration_s * self.rng.uniform(0.5, 0.95), rest.p_wrist + np.abs(drift[2]) + drift, rest.q_palm, rest.curl
        )
        return [rest, later]

    def _finish(self, motion, instruction, duration_s, name, side, p_object, q, keys, holds=()) -> Plan:
        start = geometry.pose(_heading(q), p_object)
        return Plan(motion, name, side, instruction, duration_s, self.table_m, start, keys, list(holds))

    def _reach(self, duration_s: float) -> Plan:
        name, side, p_object = self._scene()
        t = self._times(duration_s, 0.05, 0.36, 0.12, 0.37)
        rest, q, centre, curl, _ = self._common(name, side, p_object, t[1])
        touch = Key(t[1], self._wrist(q, p_object, centre), q, 0.5 * curl, 0.05)
        start = _at(rest[side], t[0])
        keys = {side: [rest[side], start, touch, _at(touch, t[2]), _at(rest[side], t[3], 0.05)]}
        keys[_other(side)] = self._idle(rest[_other(side)], duration_s)
        return self._finish("reach", f"reach for the {name}", duration_s, name, side, p_object, q, keys)

    def _grasp(self, duration_s: float) -> Plan:
        name, side, p_object = self._scene()
        t = self._times(duration_s, 0.05, 0.32, 0.10, 0.12, 0.12, 0.10)
        rest, q, centre, curl, ready = self._common(name, side, p_object, t[1])
        at = self._wrist(q, p_object, centre)
        shut = Key(t[3], at, q, curl)
        keys = [rest[side], _at(rest[side], t[0]), ready, Key(t[2], at, q, self.open * 0.6), shut, _at(shut, t[4])]
        keys += [Key(t[5], at, q, self.open * 0.6), _at(rest[side], duration_s, 0.05)]
        every = {side: keys, _other(side): self._idle(rest[_other(side)], duration_s)}
        return self._finish("grasp", f"grasp the {name}", duration_s, name, side, p_object, q, every)

    def _lift(self, duration_s: float) -> Plan:
        name, side, p_object = self._scene()
        t = self._times(duration_s, 0.04, 0.30, 0.08, 0.12, 0.30)
        rest, q, centre, curl, ready = self._common(name, side, p_object, t[1])
        at = self._wrist(q, p_object, centre)
        shut = Key(t[3], at, q, curl)
        rise = self.rng.uniform(0.12, 0.20) * self.scale
        up = Key(t[4], at + np.array([0.0, 0.0, rise]), q, curl)
        keys = [rest[side], _at(rest[side], t[0]), ready, Key(t[2], at, q, self.open * 0.6), shut, up]
        hold = Hold(t[3], np.inf, side, centre, _in_palm(q, _heading(q)))
        every = {side: keys, _other(side): self._idle(rest[_other(side)], duration_s)}
        return self._finish("lift", f"lift the {name}", duration_s, name, side, p_object, q, every, [hold])

    def _handover(self, duration_s: float) -> Plan:
        name, side, p_object = self._scene("bottle")
        other = _other(side)
        t = self._times(duration_s, 0.03, 0.22, 0.07, 0.08, 0.20, 0.08, 0.07, 0.25)
        rest, q, centre, curl, ready = self._common(name, side, p_object, t[1])
        drop = np.array([0.0, 0.0, -0.045])  # the first hand holds low, the second one high
        at = self._wrist(q, p_object + drop, centre)
        p_palm_object = centre - geometry.rotate(geometry.quat_inverse(q), drop)
        shut = Key(t[3], at, q, curl)
        meet = np.array([0.42 * self.scale, self.rng.uniform(-0.03, 0.03), self.table_m + 0.26 * self.scale])
        give = Key(t[4], self._wrist(q, meet + drop, centre), q, curl)
        q2, centre2, curl2 = self._grip(other, name)
        take = Key(t[4], self._approach(other, q2, meet - drop, centre2), q2, self.open * 0.5)
        at2 = self._wrist(q2, meet - drop, centre2)
        held = Key(t[5], at2, q2, curl2)
        let_go = geometry.rotate(q, np.array([-0.07, 0.0, 0.06]))
        sign = 1.0 if other == "left" else -1.0
        away = np.array([0.43 * self.scale, sign * 0.18 * self.scale, self.table_m + 0.2 * self.scale]) - meet
        first = [rest[side], _at(rest[side], t[0]), ready, Key(t[2], at, q, self.open * 0.6), shut, give]
        first += [_at(give, t[5]), Key(t[6], give.p_wrist, q, self.open * 0.6)]
        first += [Key(0.5 * (t[6] + t[7]), give.p_wrist + let_go, q, self.open), _at(rest[side], duration_s)]
        second = [rest[other], _at(rest[other], t[2]), take, Key(0.5 * (t[4] + t[5]), at2, q2, self.open * 0.5), held]
        second += [_at(held, t[6]), Key(t[7], at2 + away, q2, curl2)]
        drop_in_palm2 = centre2 + geometry.rotate(geometry.quat_inverse(q2), drop)
        holds = [
            Hold(t[3], t[5], side, p_palm_object, _in_palm(q, _heading(q))),
            Hold(t[5], np.inf, other, drop_in_palm2, _in_palm(q2, _heading(q))),
        ]
        keys = {side: first, other: second}
        text = f"hand the {name} over from the {side} hand to the {other} hand"
        return self._finish("handover", text, duration_s, name, side, p_object, q, keys, holds)


def _heading(q_palm: np.ndarray) -> np.ndarray:
    """Quaternion of an upright object that faces the way a palm points."""
    x, y, _ = geometry.rotate(q_palm, np.array([1.0, 0.0, 0.0]))
    return geometry.quat_exp(np.array([0.0, 0.0, np.arctan2(y, x)]))


def _in_palm(q_palm: np.ndarray, q_object: np.ndarray) -> np.ndarray:
    return geometry.quat_mul(geometry.quat_inverse(q_palm), q_object)


def _other(side: str) -> str:
    return "left" if side == "right" else "right"


def _at(key: Key, time_s: float, arc_m: float = 0.0) -> Key:
    return Key(float(time_s), key.p_wrist, key.q_palm, key.curl, arc_m)


def hand_at(keys: list[Key], time_s: float) -> Key:
    """The hand at a time: minimum jerk between the two keys around it, held before the first and after the last."""
    after = next((i for i, key in enumerate(keys) if key.time_s > time_s), None)
    if after is None:
        return keys[-1]
    if after == 0:
        return keys[0]
    a, b = keys[after - 1], keys[after]
    tau = (time_s - a.time_s) / (b.time_s - a.time_s)
    s = tau**3 * (10 - 15 * tau + 6 * tau * tau)
    wrist = a.p_wrist + s * (b.p_wrist - a.p_wrist) + np.array([0, 0, b.arc_m * 16 * s**2 * (1 - s) ** 2])
    return Key(time_s, wrist, geometry.slerp(a.q_palm, b.q_palm, np.array(s)), a.curl + s * (b.curl - a.curl))


def perform(
    plan: Plan,
    poser: Poser,
    time_s: np.ndarray,
    rng: np.random.Generator,
    gaze_rad: np.ndarray | None = None,
    sway_m: np.ndarray | None = None,
) -> Take:
    """Carry a plan out at the given times (t) s: lean as far as the arms need, look where the hands work, move.

    `gaze_rad` (t 2) turns the head farther left and down, `sway_m` (t 3) moves the pelvis.
    """
    gaze_rad = np.zeros((len(time_s), 2)) if gaze_rad is None else gaze_rad
    sway_m = np.zeros((len(time_s), 3)) if sway_m is None else sway_m
    states = [{side: hand_at(plan.keys[side], t) for side in skeletons.SIDES} for t in time_s]
    lean = _lean(poser, states, float(rng.uniform(0.06, 0.14)))
    focus = np.array([s[plan.side].p_wrist for s in states])
    if plan.motion == "handover":
        focus = 0.5 * (focus + np.array([s[_other(plan.side)].p_wrist for s in states]))
    focus = _blur(0.5 * focus + 0.5 * plan.T_world_object[4:], 6.0)
    look = np.arctan2(focus[:, 1], focus[:, 0] + 0.1)
    nod0, sway = rng.uniform(0.50, 0.62), rng.uniform(0, 2 * np.pi, 2)
    root = poser.body.p_rest[0]
    poses, objects, miss = [], [], 0.0
    T_object = plan.T_world_object
    for i, t in enumerate(time_s):
        nod = nod0 - 0.55 * lean[i] + 0.015 * np.sin(2.1 * t + sway[0])
        turned = 0.35 * look[i] + 0.015 * np.sin(1.3 * t + sway[1])
        torso = poser.torso(lean[i], 0.25 * look[i], 0.0, nod + gaze_rad[i, 1], turned + gaze_rad[i, 0])
        hands = {
            side: HandTarget(key.p_wrist, geometry.matrix_from_quat(key.q_palm), key.curl)
            for side, key in states[i].items()
        }
        pose, missed = poser.pose(torso, root + sway_m[i], hands)
        poses.append(pose)
        miss = max(miss, *missed.values())
        for hold in plan.holds:
            if hold.start_s <= t < hold.end_s:
                key = states[i][hold.side]
                T_object = geometry.compose(
                    geometry.pose(key.q_palm, key.p_wrist), geometry.pose(hold.q_palm_object, hold.p_palm_object)
                )
        objects.append(T_object)
    return Take(plan, poses, np.array(objects), miss)


def _lean(poser: Poser, states: list[dict[str, Key]], least_rad: float) -> np.ndarray:
    """Forward lean (t) rad: just enough for both wrists to be within 94 % of the arms' length, smooth in time."""
    grid = np.linspace(least_rad, 0.75, 12)
    root = poser.body.p_rest[0]
    at = {side: poser.names.index(f"{side}_shoulder") for side in skeletons.SIDES}
    shoulders = [poser.keypoints(poser.fk(poser.torso(g, 0.0, 0.0, 0.0, 0.0), root, {})) for g in grid]
    rest = poser.body.p_rest_keypoint
    i = poser.names.index
    arm = np.linalg.norm(rest[i("left_elbow")] - rest[i("left_shoulder")])
    arm += np.linalg.norm(rest[i("left_wrist")] - rest[i("left_elbow")])
    out = []
    for state in states:
        far = [max(np.linalg.norm(state[s].p_wrist - p[at[s]]) for s in at) for p in shoulders]
        fits = np.flatnonzero(np.array(far) < 0.94 * arm)
        out.append(grid[fits[0]] if len(fits) else grid[int(np.argmin(far))])
    padded = np.array([max(out[max(0, k - 6) : k + 7]) for k in range(len(out))])
    return _blur(padded, 5.0)


def _blur(values: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, sigma, axis=0, mode="nearest")
