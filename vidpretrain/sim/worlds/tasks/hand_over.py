"""Take a stick with the right hand and give it to the left."""

from __future__ import annotations

import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.task import Task

HALF_SIDE_M, HALF_M, UP_M = 0.020, 0.12, 0.06


class HandOver(Task):
    """The right hand takes the stick low, the left one high; the right lets go."""

    name = "hand_over"
    instruction = "hand the stick over to the left hand"
    duration_s = 12.0

    def scene(self, scene) -> None:
        scene.add(scene.thing("stick"), "box", (HALF_SIDE_M, HALF_SIDE_M, HALF_M), (0.55, 0.20, 0.60), mass=0.15)

    def reset(self, stage) -> None:
        stage.put("stick", stage.draw(0.0, 0.06), stage.draw(-0.18, -0.08), HALF_M + 0.001)

    def success(self, stage) -> bool:
        held = stage.touching("stick", "left") and not stage.touching("stick", "right")
        return bool(held and not stage.touching("stick", "table") and stage.at("stick")[2] > HALF_M + UP_M)

    def progress(self, stage) -> float:
        up = np.clip((stage.at("stick")[2] - HALF_M) / UP_M, 0, 1)
        held = [stage.touching("stick", "left"), not stage.touching("stick", "right")]
        return float(0.3 * up + 0.35 * up * held[0] + 0.35 * up * all(held))

    def along(self, stage, metres: float) -> np.ndarray:
        return geometry.transform(stage.pose("stick"), np.array([0.0, 0.0, metres]))

    def expert(self, stage, do):
        yield from do.take("right", lambda: self.along(stage, -0.06), HALF_SIDE_M)
        step = np.array([0.0, -0.02, HALF_M + 0.11]) - stage.at("stick")
        yield from do.move(1.6, {"right": do.shifted("right", *step)})
        yield from do.take("left", lambda: self.along(stage, 0.06), HALF_SIDE_M)
        yield from do.wait(0.2)
        yield from do.release("right")
        yield from do.move(1.0, {"right": do.shifted("right", x=-0.12, y=-0.08)})
        yield from do.wait(1.0)
