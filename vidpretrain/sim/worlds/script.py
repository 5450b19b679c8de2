"""What an expert moves with: hands through space, by the solver; one command per step of the world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.stage import Stage
from vidpretrain.sim.worlds.task import turn

Goal = np.ndarray | Callable[[], np.ndarray]
_POINT_M, _TURN_RAD, _TURN_FEW_RAD, _POSTURE_RAD = 0.003, 0.04, 1.0, 3.0
_SIDES = ("left", "right")
_OPPOSED = 0.1  # fraction of the thumb's sideways joint in every grip


class Script:
    """The hands' targets and the joints that reach them.

    A palm's target is T_table_palm; a hand's is its closure: -1 flat, 0 open with the thumb opposite, 1 closed. A
    task's expert calls `move`, `grip`, `take` and `wait`, generators that yield once per step. Before every yield the
    solver turns the targets into joint positions; `action` has them in the ActionSpec's columns.
    """

    def __init__(self, stage: Stage) -> None:
        from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, Stream

        self._stage, robot = stage, stage.robot
        turn_rad = _TURN_RAD if len(robot.joints("right_arm")) >= 6 else _TURN_FEW_RAD
        j = len(robot.home)
        active = np.zeros(j, dtype=bool)
        for side in _SIDES:
            active[list(robot.joints(f"{side}_arm"))] = True
        terms = [
            term
            for side in _SIDES
            for term in (
                PointTerm(site=f"{side}_palm", p_world_target=np.zeros((1, 3)), weight=np.full(1, 1 / _POINT_M**2)),
                OrientationTerm(
                    site=f"{side}_palm", q_world_target=np.ones((1, 4)), weight=np.full(1, 1 / turn_rad**2)
                ),
            )
        ]
        speed = np.minimum(robot.max_speed, 6.0)
        problem = Problem(
            rate_hz=stage.config.rate_hz,
            frames=1,
            terms=tuple(terms),
            posture=PostureTerm(q_ref=stage.start, weight=np.full(j, 1 / _POSTURE_RAD**2)),
            velocity_weight=np.full(j, 1 / 20.0**2),
            max_speed=speed,
            active_joints=active,
        )
        start = stage.joint_pos()
        self._stream = Stream(robot.tree, problem, Start(joint_pos=start), standing=True)
        self.palm = {side: stage.palm(side) for side in _SIDES}
        self.closed: dict[str, float] = dict.fromkeys(_SIDES, -1.0)
        self.action = stage.command.copy()
        self._hand_columns = {side: _hand(stage, side) for side in _SIDES}
        self._slices = stage.spec.slices()

    def centre(self, side: str, radius_m: float) -> np.ndarray:
        """Where in the palm's frame the middle of a thing of this radius is when the hand closes around it."""
        stage = self._stage
        T_palm = geometry.inverse(stage.palm(side))
        if f"{side}_middle_knuckle" not in stage.robot.tree.site_names:
            return np.array([0.0, 0.0, -(stage.skin(side) + radius_m)])
        knuckle = geometry.transform(T_palm, stage.site(f"{side}_middle_knuckle")[4:])
        return np.array([0.9 * knuckle[0], 0.0, -(stage.skin(side) + radius_m)])

    def move(
        self,
        seconds: float,
        palms: Mapping[str, Goal] | None = None,
        close: Mapping[str, float] | None = None,
        rise_m: float = 0.0,
        until: Callable[[], bool] | None = None,
    ) -> Iterator[None]:
        """Palms, by side, go to their goals (T_table_palm, or a function that gives it anew each step) along a
        minimum-jerk path, hands to their closures.

        `rise_m` lifts the middle of the path; `until` ends it early.
        """
        goals, closures = dict(palms or {}), dict(close or {})
        start, open_at = {side: self.palm[side] for side in goals}, dict(self.closed)
        steps = max(1, round(seconds * self._stage.config.rate_hz))
        for k in range(1, steps + 1):
            tau = k / steps
            share = tau**3 * (10 - 15 * tau + 6 * tau * tau)
            for side, goal in goals.items():
                end = goal() if callable(goal) else goal
                p = start[side][4:] + share * (end[4:] - start[side][4:])
                p[2] += rise_m * 16 * share**2 * (1 - share) ** 2
                self.palm[side] = geometry.pose(_slerp(start[side][:4], end[:4], share), p)
            for side, goal in closures.items():
                self.closed[side] = open_at[side] + tau * (goal - open_at[side])
            yield from self._step()
            if until is not None and until():
                return

    def grip(self, seconds: float, **close: float) -> Iterator[None]:
        """Hands (`left`, `right`) go to their closures while the palms stay."""
        yield from self.move(seconds, close=close)

    def release(self, side: str) -> Iterator[None]:
        """The hand opens, then lays its thumb aside, so that it can leave in any direction."""
        yield from self.grip(0.5, **{side: 0.0})
        yield from self.grip(0.4, **{side: -1.0})

    def wait(self, seconds: float) -> Iterator[None]:
        """Everything stays."""
        yield from self.move(seconds)

    def take(self, side: str, where: Callable[[], np.ndarray], radius_m: float, inward_rad: float | None = None):
        """Grasp an upright thing of this radius from the side, at the point that `where` gives: from behind, thumb up.

        `inward_rad` turns the fingers towards the middle; by itself as far as the arm is comfortable.
        """
        sign = 1.0 if side == "left" else -1.0
        y = sign * where()[1] / self._stage.scale
        yaw = -sign * (0.25 + 1.2 * (0.12 - y) if inward_rad is None else inward_rad)
        q = turn((np.cos(yaw), np.sin(yaw), 0.0), (-sign * np.sin(yaw), sign * np.cos(yaw), 0.0))
        centre = self.centre(side, radius_m)

        def grasp() -> np.ndarray:
            return geometry.pose(q, where() - geometry.rotate(q, centre))

        behind = geometry.compose(grasp(), geometry.pose(np.array([1.0, 0, 0, 0]), np.array([-0.10, 0.0, 0.03])))
        yield from self.move(1.6, {side: behind}, close={side: 0.0}, rise_m=0.03)
        yield from self.move(0.9, {side: grasp()})
        yield from self.grip(0.7, **{side: 1.0})

    def shifted(self, side: str, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
        """The palm's target, moved along the table's axes, metres."""
        return geometry.pose(self.palm[side][:4], self.palm[side][4:] + np.array([x, y, z]))

    def _step(self) -> Iterator[None]:
        stage = self._stage
        T = geometry.compose(geometry.inverse(stage.built.T_world_base), stage.built.T_world_table)
        palms = [geometry.compose(T, self.palm[side]) for side in _SIDES]
        step = self._stream.step(np.stack([p[4:] for p in palms]), np.stack([p[:4] for p in palms]))
        action = stage.columns_of(np.asarray(step.joint_pos))
        for side in _SIDES:
            if f"{side}_hand" in self._slices:
                flat, ready, fist = self._hand_columns[side]
                c = self.closed[side]
                hand = ready + c * (fist - ready) if c > 0 else ready - c * (flat - ready)
                action[self._slices[f"{side}_hand"]] = hand
        self.action = np.clip(action, stage.action_low, stage.action_high)
        yield


def _slerp(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    return geometry.slerp(a[None], b[None], np.array([share]))[0]


def _hand(stage: Stage, side: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of the hand flat, open with the thumb opposite, and closed; nothing spreads."""
    columns = stage.robot.group_columns(f"{side}_hand")
    flat, ready, fist = np.ones(len(columns)), np.ones(len(columns)), np.zeros(len(columns))
    for k, column in enumerate(columns):
        if "rotation" in column.name or column.name.endswith("thumb_0"):
            ready[k] = fist[k] = _OPPOSED
        elif "metacarpal" in column.joint:
            fist[k] = 1.0
    return flat, ready, fist
