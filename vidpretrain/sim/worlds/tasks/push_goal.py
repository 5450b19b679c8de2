"""Push a block along the table onto a disc."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.task import Task, turn

HALF_M, HALF_Z_M, HAND_Z_M, NEAR_M = 0.035, 0.05, 0.07, 0.035


class PushGoal(Task):
    """The right palm pushes the block to the left, onto the disc."""

    name = "push_goal"
    instruction = "push the block onto the disc"
    duration_s = 8.0

    def scene(self, scene) -> None:
        scene.add(scene.fixed("disc"), "cylinder", (0.055, 0.001), (0.15, 0.55, 0.25), solid=False)
        scene.add(scene.thing("block"), "box", (HALF_M, HALF_M, HALF_Z_M), (0.15, 0.30, 0.75), friction=0.3)

    def reset(self, stage) -> None:
        x, y = stage.draw(-0.02, 0.06), stage.draw(-0.18, -0.10)
        stage.put("block", x, y, HALF_Z_M + 0.001, yaw_rad=stage.draw(-0.3, 0.3))
        stage.put("disc", x + stage.draw(-0.04, 0.05), y + stage.draw(0.14, 0.22), 0.002)

    def gap(self, stage) -> np.ndarray:
        return (stage.at("disc") - stage.at("block"))[:2]

    def success(self, stage) -> bool:
        return bool(np.linalg.norm(self.gap(stage)) < NEAR_M and stage.speed("block") < 0.05)

    def progress(self, stage) -> float:
        return float(np.clip(1 - np.linalg.norm(self.gap(stage)) / (0.25 * stage.scale), 0, 1))

    def expert(self, stage, do):
        x, y = self.gap(stage) / np.linalg.norm(self.gap(stage))
        q, away = turn((y, -x, 0), (-x, -y, 0)), HALF_M + stage.skin("right")

        def behind(p, metres):
            return geometry.pose(q, np.array([p[0] - metres * x - 0.03 * y, p[1] - metres * y + 0.03 * x, HAND_Z_M]))

        yield from do.move(1.6, {"right": behind(stage.at("block"), away + 0.07)}, rise_m=0.04)
        yield from do.move(2.6, {"right": behind(stage.at("disc"), away)}, until=lambda: self.past(stage, x, y))
        yield from do.move(1.0, {"right": do.shifted("right", x=-0.05 * x, y=-0.05 * y)})
        yield from do.wait(0.6)

    def past(self, stage, x: float, y: float) -> bool:
        return float(self.gap(stage) @ (x, y)) < 0.004
