"""Touch a ball on a post with either hand."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.task import Task, turn

RADIUS_M = 0.025


class ReachTouch(Task):
    """The hand on the ball's side reaches for it, fingers ahead."""

    name = "reach_touch"
    instruction = "touch the ball"
    duration_s = 5.0
    needs_hands = False

    def scene(self, scene) -> None:
        ball = scene.fixed("ball")
        scene.add(ball, "sphere", (RADIUS_M,), (0.90, 0.65, 0.10))
        scene.add(ball, "cylinder", (0.008, 0.12), (0.30, 0.30, 0.32), at=(0, 0, -0.12 - RADIUS_M), solid=False)

    def reset(self, stage) -> None:
        stage.put("ball", stage.draw(0.0, 0.12), stage.draw(-0.22, 0.22), stage.draw(0.08, 0.20))

    def success(self, stage) -> bool:
        return stage.touching("ball", "right") or stage.touching("ball", "left")

    def progress(self, stage) -> float:
        gap = min(np.linalg.norm(stage.palm(side)[4:] - stage.at("ball")) for side in ("left", "right"))
        return float(np.clip(np.exp(-4 * max(gap - 0.1, 0)), 0, 1))

    def expert(self, stage, do):
        ball = stage.at("ball")
        side, sign = ("left", 1.0) if ball[1] > 0 else ("right", -1.0)
        pointing = geometry.normalize(stage.at("ball", x=0.10) - stage.palm(side)[4:])
        q = turn(pointing, (0, sign, 0))
        reach = 0.10 if stage.has_fingers else 0.0
        yield from do.move(1.8, {side: geometry.pose(q, ball - (reach + 0.05) * pointing)})
        yield from do.move(1.0, {side: geometry.pose(q, ball - (reach - 0.02) * pointing)})
        yield from do.wait(1.0)
