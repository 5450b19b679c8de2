"""Wrists to joints, step by step: how a policy that speaks of wrists moves a robot in a world."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from vidpretrain.sim.worlds.stage import Stage

_POINT_M, _TURN_RAD, _TURN_FEW_RAD, _POSTURE_RAD, _SPEED = 0.003, 0.04, 1.0, 3.0, 6.0
_SIDES = ("left", "right")


class WristDriver:
    """The joint targets that bring both wrists where they should be, by the solver, one step after the other.

    The same weights and speeds as the experts' (`script.Script`), with targets for the wrists instead of the palms.
    """

    def __init__(self, stage: Stage) -> None:
        from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, Stream

        self._stage, robot, j = stage, stage.robot, len(stage.robot.home)
        active = np.zeros(j, dtype=bool)
        for side in _SIDES:
            active[list(robot.joints(f"{side}_arm"))] = True
        turn_rad = _TURN_RAD if len(robot.joints("right_arm")) >= 6 else _TURN_FEW_RAD
        terms = []
        for side in _SIDES:
            place, turn = np.full(1, 1 / _POINT_M**2), np.full(1, 1 / turn_rad**2)
            terms.append(PointTerm(site=f"{side}_wrist", p_world_target=np.zeros((1, 3)), weight=place))
            terms.append(OrientationTerm(site=f"{side}_wrist", q_world_target=np.ones((1, 4)), weight=turn))
        problem = Problem(
            rate_hz=stage.config.rate_hz,
            frames=1,
            terms=tuple(terms),
            posture=PostureTerm(q_ref=stage.start, weight=np.full(j, 1 / _POSTURE_RAD**2)),
            velocity_weight=np.full(j, 1 / 20.0**2),
            max_speed=np.minimum(robot.max_speed, _SPEED),
            active_joints=active,
        )
        self._stream = Stream(robot.tree, problem, Start(joint_pos=np.array(robot.home)), standing=True)
        self._slices = stage.spec.slices()

    def reset(self) -> None:
        """Begin where the robot stands."""
        from vidpretrain.solve import Start

        self._stream.reset(Start(joint_pos=self._stage.joint_pos()), standing=True)

    def action(
        self, T_base_wrist: Float[np.ndarray, "2 7"], hands: Float[np.ndarray, " h"]
    ) -> Float64[np.ndarray, " d"]:
        """The world's action: arms by the solver, hands (left, then right columns) as they are told, within limits."""
        T = np.asarray(T_base_wrist, dtype=float)
        step = self._stream.step(np.ascontiguousarray(T[:, 4:]), np.ascontiguousarray(T[:, :4]))
        stage, start = self._stage, 0
        out = stage.columns_of(np.asarray(step.joint_pos))
        for side in _SIDES:
            part = self._slices.get(f"{side}_hand")
            if part is not None:
                width = part.stop - part.start
                out[part] = hands[start : start + width]
                start += width
        return np.clip(out, stage.action_low, stage.action_high)
