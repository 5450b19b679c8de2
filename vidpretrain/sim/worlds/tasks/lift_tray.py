"""Lift a tray with two hands."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.task import Task, turn

HALF_X_M, HALF_Y_M, WALL_M, LIFTED_M = 0.08, 0.13, 0.035, 0.08


class LiftTray(Task):
    """Both palms press against the tray's sides and lift it level."""

    name = "lift_tray"
    instruction = "lift the tray with both hands"
    duration_s = 8.0

    def scene(self, scene) -> None:
        scene.open_box(scene.thing("tray"), (HALF_X_M, HALF_Y_M, WALL_M), (0.70, 0.60, 0.25), mass=0.5)

    def reset(self, stage) -> None:
        stage.put("tray", stage.draw(-0.02, 0.06), stage.draw(-0.05, 0.05), 0.001, yaw_rad=stage.draw(-0.15, 0.15))

    def level(self, stage) -> float:
        return float(geometry.rotate(stage.pose("tray")[:4], np.array([0.0, 0, 1]))[2])

    def success(self, stage) -> bool:
        held = stage.touching("tray", "left") and stage.touching("tray", "right")
        return bool(held and stage.at("tray")[2] > LIFTED_M and self.level(stage) > np.cos(0.3))

    def progress(self, stage) -> float:
        return float(np.clip(stage.at("tray")[2] / LIFTED_M, 0, 1))

    def goal(self, stage, side: str, apart_m: float, z: float):
        T, sign = stage.pose("tray"), 1.0 if side == "left" else -1.0
        x, y = (geometry.rotate(T[:4], axis) for axis in (np.array([1.0, 0, 0]), np.array([0, sign, 0])))
        p = T[4:] - 0.03 * x + (HALF_Y_M + stage.skin(side) + apart_m) * y
        return geometry.pose(turn(x, y), np.array([p[0], p[1], z]))

    def expert(self, stage, do):
        for seconds, apart in ((1.8, 0.06), (0.8, 0.0), (0.6, -0.03)):
            yield from do.move(seconds, {s: self.goal(stage, s, apart, 0.055) for s in ("left", "right")})
        up = {side: do.shifted(side, z=0.14) for side in ("left", "right")}
        yield from do.move(1.6, up)
        yield from do.wait(1.0)
