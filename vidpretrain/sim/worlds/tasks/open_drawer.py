"""Open a drawer by its handle."""

from __future__ import annotations

import numpy as np

from vidpretrain.sim.worlds.task import Task

OPEN_M, RADIUS_M, HANDLE_Z_M = 0.09, 0.013, 0.075
WOOD, DARK, METAL = (0.62, 0.48, 0.33), (0.50, 0.38, 0.26), (0.75, 0.75, 0.78)


class OpenDrawer(Task):
    """The right hand takes the upright handle and pulls."""

    name = "open_drawer"
    instruction = "open the drawer"
    duration_s = 8.0

    def scene(self, scene) -> None:
        cabinet = scene.fixed("cabinet")
        for y in (-0.105, 0.105):
            scene.add(cabinet, "box", (0.09, 0.005, 0.07), WOOD, at=(0.09, y, 0.07))
        scene.add(cabinet, "box", (0.09, 0.11, 0.005), WOOD, at=(0.09, 0, 0.145))
        drawer = scene.slide(cabinet, "drawer", axis=(-1, 0, 0), range_m=(0.0, 0.16))
        scene.add(drawer, "box", (0.006, 0.098, 0.060), DARK, at=(0, 0, 0.07), mass=0.3)
        scene.add(drawer, "box", (0.08, 0.098, 0.004), DARK, at=(0.08, 0, 0.014), mass=0.2)
        scene.add(drawer, "cylinder", (RADIUS_M, 0.055), METAL, at=(-0.075, 0, HANDLE_Z_M), mass=0.1)
        for z in (HANDLE_Z_M - 0.05, HANDLE_Z_M + 0.05):
            scene.add(drawer, "box", (0.035, 0.006, 0.006), METAL, at=(-0.04, 0, z), mass=0.02)

    def reset(self, stage) -> None:
        stage.put("cabinet", stage.draw(0.12, 0.18), stage.draw(-0.18, -0.04), 0.0)

    def success(self, stage) -> bool:
        return stage.joint("drawer") > OPEN_M

    def progress(self, stage) -> float:
        return float(np.clip(stage.joint("drawer") / OPEN_M, 0, 1))

    def handle(self, stage) -> np.ndarray:
        return stage.at("drawer", x=-0.075, z=HANDLE_Z_M)

    def expert(self, stage, do):
        yield from do.take("right", lambda: self.handle(stage), RADIUS_M)
        yield from do.move(2.0, {"right": do.shifted("right", x=-0.15)})
        yield from do.wait(0.8)
