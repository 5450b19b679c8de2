"""Pick up a can that stands on the table and hold it in the air."""

from __future__ import annotations

import numpy as np

from vidpretrain.sim.worlds.task import Task

RADIUS_M, HALF_M, LIFTED_M = 0.028, 0.065, 0.10


class PickLift(Task):
    """The right hand takes the can from the side and lifts it."""

    name = "pick_lift"
    instruction = "pick up the can"
    duration_s = 7.0

    def scene(self, scene) -> None:
        can = scene.thing("can")
        scene.add(can, "cylinder", (RADIUS_M, HALF_M), (0.80, 0.15, 0.12), mass=0.25)

    def reset(self, stage) -> None:
        stage.put("can", stage.draw(0.0, 0.08), stage.draw(-0.19, -0.04), HALF_M + 0.001)

    def success(self, stage) -> bool:
        return stage.at("can")[2] > HALF_M + LIFTED_M and stage.touching("can", "right")

    def progress(self, stage) -> float:
        near = np.exp(-5 * np.linalg.norm(stage.palm("right")[4:] - stage.at("can")))
        return float(0.5 * near + 0.5 * np.clip((stage.at("can")[2] - HALF_M) / LIFTED_M, 0, 1))

    def expert(self, stage, do):
        yield from do.take("right", lambda: stage.at("can"), RADIUS_M)
        yield from do.move(1.2, {"right": do.shifted("right", z=0.16)})
        yield from do.wait(1.0)
