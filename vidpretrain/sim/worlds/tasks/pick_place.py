"""Pick up a can and put it into a bin."""

from __future__ import annotations

import numpy as np

from vidpretrain.sim.worlds.task import Task

RADIUS_M, HALF_M = 0.027, 0.06
BIN_M, WALL_M = 0.075, 0.03


class PickPlace(Task):
    """The right hand takes the can, carries it over the bin and lets go."""

    name = "pick_place"
    instruction = "put the can into the bin"
    duration_s = 10.0

    def scene(self, scene) -> None:
        scene.add(scene.thing("can"), "cylinder", (RADIUS_M, HALF_M), (0.85, 0.50, 0.10), mass=0.2)
        scene.open_box(scene.fixed("bin"), (BIN_M, BIN_M, WALL_M), (0.25, 0.30, 0.55))

    def reset(self, stage) -> None:
        stage.put("can", stage.draw(0.0, 0.06), stage.draw(-0.20, -0.12), HALF_M + 0.001)
        stage.put("bin", stage.draw(0.02, 0.08), stage.draw(0.04, 0.12), 0.0)

    def offset(self, stage) -> np.ndarray:
        return stage.at("can") - stage.at("bin")

    def success(self, stage) -> bool:
        inside = bool((np.abs(self.offset(stage)[:2]) < BIN_M).all() and self.offset(stage)[2] < HALF_M + 0.02)
        return inside and not stage.touching("can", "right")

    def progress(self, stage) -> float:
        near = np.exp(-5 * np.linalg.norm(stage.palm("right")[4:] - stage.at("can")))
        over = np.exp(-6 * np.linalg.norm(self.offset(stage)[:2]))
        return 1.0 if self.success(stage) else float(0.3 * near + 0.6 * over)

    def expert(self, stage, do):
        yield from do.take("right", lambda: stage.at("can", z=0.015), RADIUS_M)
        yield from do.move(0.9, {"right": do.shifted("right", z=0.13)})
        step = stage.at("bin") - stage.at("can")
        yield from do.move(1.6, {"right": do.shifted("right", x=step[0], y=step[1], z=0.02)})
        yield from do.move(0.5, {"right": do.shifted("right", z=-0.05)})
        yield from do.release("right")
        yield from do.move(1.0, {"right": do.shifted("right", x=-0.10, y=-0.06, z=0.04)})
        yield from do.wait(0.5)
