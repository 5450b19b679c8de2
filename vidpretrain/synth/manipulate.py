"""More that hands do: carry, pour, lift with two hands, show, gesture; and hands that are out of sight.

As in `sim.motions`: keys per hand, minimum jerk between them, a held object fixed to the palm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry, skeletons
from vidpretrain.sim.motions import Hold, Key, Plan, Planner, palm_rotation
from vidpretrain.synth.things import CRATE_HALF_M, OBJECTS

_PALM_M = 0.020  # from the plane of the joints to the skin of the palm


@dataclass(frozen=True)
class SynthPlan(Plan):
    """A plan with one more object, which stands still: its name and pose (7); no name, no object."""

    second_name: str = ""
    T_world_second: np.ndarray | None = None


def _reversed(side: str) -> str:
    return "left" if side == "right" else "right"


def _turned(q: np.ndarray, *vector: float) -> np.ndarray:
    """The palm's orientation after a further turn in its own axes."""
    return geometry.quat_mul(q, geometry.quat_exp(np.array(vector)))


class Manipulator(Planner):
    """Draws plans: those of `Planner` with more objects, and those below."""

    def __init__(self, poser, rng: np.random.Generator, hide: str = "") -> None:
        super().__init__(poser, rng, OBJECTS)
        self.hide = hide

    def plan(self, motion: str, duration_s: float) -> Plan:
        """A plan of that motion; with `hide` the hands stay behind the back or hang down."""
        if self.hide:
            return self._hidden(duration_s)
        own = {
            "carry": self._carry,
            "pour": self._pour,
            "two_hands": self._two_hands,
            "show": self._show,
            "gesture": self._gesture,
        }
        return own[motion](duration_s) if motion in own else super().plan(motion, duration_s)

    def _make(self, motion, text, duration_s, name, side, T_object, keys, holds=(), **more) -> SynthPlan:
        return SynthPlan(motion, name, side, text, duration_s, self.table_m, T_object, keys, list(holds), **more)

    def _pick(self, name: str, side: str, p_object: np.ndarray, times: np.ndarray):
        """The way to a closed hand on an object, and what a hold of it needs: (keys, Hold's numbers, rest keys)."""
        rest = {s: self._rest(s) for s in skeletons.SIDES}
        q, centre, curl = self._grip(side, name)
        at = p_object - geometry.rotate(q, centre)
        ready = Key(times[1], self._approach(side, q, p_object, centre), q, self.open * 0.5, 0.05)
        keys = [rest[side], _moved(rest[side], times[0]), ready, Key(times[2], at, q, self.open * 0.6)]
        keys.append(Key(times[3], at, q, curl))
        x, y, _ = geometry.rotate(q, np.array([1.0, 0.0, 0.0]))
        heading = geometry.quat_exp(np.array([0.0, 0.0, np.arctan2(y, x)]))
        in_palm = geometry.quat_mul(geometry.quat_inverse(q), heading)
        return rest, q, centre, curl, keys, geometry.pose(heading, p_object), in_palm

    def _carry(self, duration_s: float) -> SynthPlan:
        name, side, a = self._scene()
        sign = 1.0 if side == "left" else -1.0
        b = np.array([a[0] + self.rng.uniform(-0.08, 0.05), sign * self.rng.uniform(0.26, 0.36) * self.scale, a[2]])
        t = self._times(duration_s, 0.04, 0.20, 0.07, 0.09, 0.20, 0.14, 0.08, 0.10)
        rest, q, centre, curl, keys, start, in_palm = self._pick(name, side, a, t)
        up = 0.5 * (a + b) + np.array([-0.03, 0.0, self.rng.uniform(0.10, 0.2) * self.scale])
        q_up = _turned(q, *self.rng.uniform(-0.15, 0.15, 3))
        there = b - geometry.rotate(q, centre)
        keys += [Key(t[4], up - geometry.rotate(q_up, centre), q_up, curl), Key(t[5], there, q, curl)]
        back = there + geometry.rotate(q, np.array([-0.05, 0.0, 0.04]))
        keys += [Key(t[6], there, q, self.open * 0.6), Key(t[7], back, q, self.open * 0.6)]
        keys.append(_moved(rest[side], max(duration_s, t[7] + 0.1)))
        hold = Hold(t[3], t[5] + 0.3 * (t[6] - t[5]), side, centre, in_palm)
        every = {side: keys, _reversed(side): self._idle(rest[_reversed(side)], duration_s)}
        return self._make("carry", f"carry the {name} to the {side}", duration_s, name, side, start, every, [hold])

    def _pour(self, duration_s: float) -> SynthPlan:
        name, side, a = self._scene(str(self.rng.choice(["bottle", "jar"])))
        sign = 1.0 if side == "left" else -1.0
        t = self._times(duration_s, 0.03, 0.18, 0.06, 0.08, 0.20, 0.14, 0.14, 0.12)
        rest, q, centre, curl, keys, start, in_palm = self._pick(name, side, a, t)
        cup = np.array([a[0] + 0.02, -sign * self.rng.uniform(0.02, 0.08), self.table_m + OBJECTS["cup"][1]])
        tall = OBJECTS[name][1]
        angle = -sign * self.rng.uniform(1.2, 1.6)  # about the palm's forward axis: the neck goes to the other side
        q_tilt = _turned(q, angle, 0.0, 0.0)
        lip = cup + np.array([0.0, sign * 0.9 * tall, OBJECTS["cup"][1] + 0.05 + 0.35 * tall])
        above = lip + np.array([0.0, sign * 0.03, 0.05])
        keys += [
            Key(t[4], above - geometry.rotate(q, centre), q, curl, 0.05),
            Key(t[5], lip - geometry.rotate(q_tilt, centre), q_tilt, curl),
            Key(t[6], lip - geometry.rotate(q_tilt, centre), q_tilt, curl),
            Key(t[7], above - geometry.rotate(q, centre), q, curl),
            Key(duration_s, a + np.array([0.0, 0.0, 0.04]) - geometry.rotate(q, centre), q, curl),
        ]
        every = {side: keys, _reversed(side): self._idle(rest[_reversed(side)], duration_s)}
        return self._make(
            "pour",
            f"pour from the {name} into the cup",
            duration_s,
            name,
            side,
            start,
            every,
            [Hold(t[3], np.inf, side, centre, in_palm)],
            second_name="cup",
            T_world_second=geometry.pose(np.array([1.0, 0, 0, 0]), cup),
        )

    def _two_hands(self, duration_s: float) -> SynthPlan:
        rng = self.rng
        x, y, z = CRATE_HALF_M
        p = np.array([rng.uniform(0.44, 0.50) * self.scale, rng.uniform(-0.04, 0.04), self.table_m + z])
        t = self._times(duration_s, 0.03, 0.24, 0.10, 0.08, 0.26, 0.14)
        up = np.array([-0.02, rng.uniform(-0.06, 0.06), rng.uniform(0.12, 0.22) * self.scale])
        q_object = geometry.quat_exp(np.array([0.0, 0.0, rng.uniform(-0.1, 0.1)]))
        start, keys, holds = geometry.pose(q_object, p), {}, []
        curl = np.array([0.0, 0.05, 0.05, 0.05, 0.05])
        for side in skeletons.SIDES:
            sign = 1.0 if side == "left" else -1.0
            q = geometry.quat_mul(q_object, palm_rotation(side, -0.05, 0.35, np.pi / 2))
            knuckle = self.poser.hand_at_rest(side, np.zeros(5))[9, 0]
            face = geometry.transform(start, np.array([0.1 * x, sign * (y + _PALM_M), -0.1 * z]))
            wrist = face - geometry.rotate(q, np.array([0.95 * knuckle, 0.0, 0.0]))
            aside = wrist + np.array([-0.03, sign * 0.09, 0.03])
            rest = self._rest(side)
            keys[side] = [
                rest,
                _moved(rest, t[0]),
                Key(t[1], aside, q, 0.6 * curl, 0.06),
                Key(t[2], wrist, q, curl),
                Key(t[3], wrist, q, curl),
                Key(t[4], wrist + up, q, curl),
                Key(t[5], wrist + up, q, curl),
                Key(duration_s, wrist + 0.5 * up, q, curl),
            ]
            if side == "left":
                inverse = geometry.inverse(geometry.pose(q, wrist))
                in_palm = geometry.compose(inverse, start)
                holds = [Hold(t[3], np.inf, side, in_palm[4:], in_palm[:4])]
        return self._make(
            "two_hands", "lift the crate with both hands", duration_s, "crate", "left", start, keys, holds
        )

    def _show(self, duration_s: float) -> SynthPlan:
        """An object in the hand from the first frame to the last, moved and turned about."""
        rng = self.rng
        name, side, _ = self._scene()
        sign = 1.0 if side == "left" else -1.0
        q, centre, curl = self._grip(side, name)
        x, y, _ = geometry.rotate(q, np.array([1.0, 0.0, 0.0]))
        heading = geometry.quat_exp(np.array([0.0, 0.0, np.arctan2(y, x)]))
        in_palm = geometry.quat_mul(geometry.quat_inverse(q), heading)
        count = max(3, round(duration_s / 0.7) + 1)
        keys = []
        for time_s in np.linspace(0.0, duration_s, count):
            place = np.array([rng.uniform(0.33, 0.46), sign * rng.uniform(-0.05, 0.2), 0.0]) * self.scale
            place[2] = self.table_m + rng.uniform(0.16, 0.34) * self.scale
            turned = _turned(q, sign * rng.uniform(-0.5, 0.6), rng.uniform(-0.4, 0.3), rng.uniform(-0.4, 0.4))
            keys.append(Key(float(time_s), place, turned, curl))
        rest = self._rest(_reversed(side))
        first = geometry.compose(geometry.pose(keys[0].q_palm, keys[0].p_wrist), geometry.pose(in_palm, centre))
        every = {side: keys, _reversed(side): self._idle(rest, duration_s)}
        hold = Hold(0.0, np.inf, side, centre, in_palm)
        return self._make("show", f"show the {name}", duration_s, name, side, first, every, [hold])

    def _gesture(self, duration_s: float) -> SynthPlan:
        """Both hands free in front of the chest, as of somebody who talks; an object stands by."""
        rng = self.rng
        name, side, p_object = self._scene()
        p_object = p_object + np.array([0.14, 0.0, 0.0])
        keys: dict[str, list[Key]] = {}
        for hand in skeletons.SIDES:
            sign = 1.0 if hand == "left" else -1.0
            count = max(3, round(duration_s / rng.uniform(0.45, 0.7)) + 1)
            keys[hand] = []
            for time_s in np.linspace(0.0, duration_s, count):
                place = np.array([rng.uniform(0.28, 0.46), sign * rng.uniform(0.08, 0.3), 0.0]) * self.scale
                place[2] = self.table_m + rng.uniform(0.08, 0.42) * self.scale
                roll, down = np.deg2rad(rng.uniform(-10, 110)), rng.uniform(-0.8, 0.4)
                palm = palm_rotation(hand, rng.uniform(0.0, 0.7), down, roll)
                keys[hand].append(Key(float(time_s), place, palm, np.clip(rng.uniform(0.0, 0.7) * np.ones(5), 0, 1)))
        start = geometry.pose(np.array([1.0, 0, 0, 0]), p_object)
        return self._make("gesture", "talk with both hands", duration_s, name, side, start, keys)

    def _hidden(self, duration_s: float) -> SynthPlan:
        rng, hip_m = self.rng, 0.53 * self.poser.body.height_m
        keys: dict[str, list[Key]] = {}
        for hand in skeletons.SIDES:
            sign = 1.0 if hand == "left" else -1.0
            if self.hide == "behind":
                place = np.array([-0.19 * self.scale, sign * rng.uniform(0.03, 0.05), hip_m + rng.uniform(0.05, 0.1)])
                palm = palm_rotation(hand, 0.25, 1.35, 0.0)
            else:
                place = np.array([0.0, sign * 0.27 * self.scale, 0.46 * self.poser.body.height_m])
                palm = palm_rotation(hand, 0.0, 1.35, np.pi / 2)
            later = place + rng.uniform(-0.015, 0.015, 3)
            keys[hand] = [Key(0.0, place, palm, self.open + 0.15), Key(duration_s, later, palm, self.open + 0.2)]
        name, side, p_object = self._scene()
        start = geometry.pose(np.array([1.0, 0, 0, 0]), p_object)
        return self._make("hidden", "stand with hidden hands", duration_s, name, side, start, keys)


def _moved(key: Key, time_s: float) -> Key:
    return Key(float(time_s), key.p_wrist, key.q_palm, key.curl)
