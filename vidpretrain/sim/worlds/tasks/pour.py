"""Pour balls from a cup into a bowl."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.task import Task

RADIUS_M, HALF_M, BALLS, WANTED, BALL_M = 0.032, 0.070, 4, 3, 0.010
BOWL_M, BOWL_HALF_M, TURN_RAD = 0.085, 0.025, 2.2
X, Z = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])


class Pour(Task):
    """The right hand takes the cup, holds it beside the bowl and turns it over the bowl."""

    name = "pour"
    instruction = "pour the balls into the bowl"
    duration_s = 10.0

    def scene(self, scene) -> None:
        scene.ring(scene.thing("cup"), RADIUS_M, HALF_M, (0.85, 0.85, 0.88), mass=0.15)
        scene.ring(scene.fixed("bowl"), BOWL_M, BOWL_HALF_M, (0.30, 0.50, 0.60))
        for k in range(BALLS):
            scene.add(scene.thing(f"ball{k}"), "sphere", (BALL_M,), (0.90, 0.20, 0.20), mass=0.005, friction=0.3)

    def reset(self, stage) -> None:
        x, y = stage.draw(0.0, 0.06), stage.draw(-0.20, -0.14)
        stage.put("cup", x, y, HALF_M + 0.001)
        stage.put("bowl", stage.draw(0.04, 0.10), stage.draw(0.0, 0.06), BOWL_HALF_M)
        for k in range(BALLS):
            at = 0.011 * np.array([np.cos(2.4 * k), np.sin(2.4 * k)]) / stage.scale
            stage.put(f"ball{k}", x + at[0], y + at[1], 0.02 + 0.016 * k)

    def poured(self, stage) -> int:
        away = [stage.at(f"ball{k}") - stage.at("bowl") for k in range(BALLS)]
        return sum(bool(np.hypot(*a[:2]) < BOWL_M and a[2] < BOWL_HALF_M) for a in away)

    def success(self, stage) -> bool:
        return self.poured(stage) >= WANTED

    def progress(self, stage) -> float:
        near = np.exp(-5 * np.linalg.norm(stage.palm("right")[4:] - stage.at("cup")))
        return float(0.3 * near + 0.7 * self.poured(stage) / BALLS)

    def expert(self, stage, do):
        yield from do.take("right", lambda: stage.at("cup"), RADIUS_M)
        yield from do.move(0.8, {"right": do.shifted("right", z=0.12)})
        step = stage.at("bowl", y=-0.085, z=0.14) - stage.at("cup")
        yield from do.move(1.4, {"right": do.shifted("right", *step)})
        forearm, up = (geometry.rotate(T[:4], axis) for T, axis in ((do.palm["right"], X), (stage.pose("cup"), Z)))
        level = geometry.normalize(np.cross(forearm, Z))
        lean = np.arctan2(up @ level, up @ np.cross(level, forearm))
        axis = (-TURN_RAD - lean) * forearm
        q, held, cup = geometry.quat_exp(axis), do.palm["right"], stage.at("cup")
        mouth = HALF_M * geometry.rotate(q, up)  # ends over the middle of the bowl
        goal = stage.at("bowl", z=0.085) - mouth + geometry.rotate(q, held[4:] - cup)
        yield from do.move(2.2, {"right": geometry.pose(geometry.quat_mul(q, held[:4]), goal)})
        yield from do.wait(1.5)
