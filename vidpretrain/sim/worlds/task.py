"""What a task is: one class with a scene, how it begins, when it is done, how far it is, and an expert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from vidpretrain.sim.worlds.scene import Scene
    from vidpretrain.sim.worlds.script import Script
    from vidpretrain.sim.worlds.stage import Stage


class Task:
    """Base of every task; `scene`, `reset`, `success` and `expert` are its own, `progress` may be.

    Positions are in the table's frame: the middle of the workspace on the table's top, x away from the robot, y to its
    left, z up, metres. `needs_hands`: robots without fingers cannot do it.
    """

    name: ClassVar[str] = ""
    instruction: ClassVar[str] = ""
    duration_s: ClassVar[float] = 8.0
    needs_hands: ClassVar[bool] = True

    def scene(self, scene: Scene) -> None:
        """Put things on the table."""
        raise NotImplementedError

    def reset(self, stage: Stage) -> None:
        """Place the things for one episode, drawing with `stage.draw`."""
        raise NotImplementedError

    def success(self, stage: Stage) -> bool:
        """Whether it is done now; it has to stay so for a moment to count."""
        raise NotImplementedError

    def progress(self, stage: Stage) -> float:
        """How far it is, 0 to 1; by default 1 when done."""
        return float(self.success(stage))

    def expert(self, stage: Stage, do: Script) -> Iterator[None]:
        """Move the hands: `yield from do.move(...)`."""
        raise NotImplementedError


def turn(pointing: Sequence[float] | np.ndarray, back: Sequence[float] | np.ndarray) -> np.ndarray:
    """Orientation (wxyz) of a palm whose fingers point along `pointing` and whose back looks towards `back`."""
    from vidpretrain import geometry

    x = geometry.normalize(np.asarray(pointing, dtype=float))
    z = np.asarray(back, dtype=float)
    z = geometry.normalize(z - x * (x @ z))
    return geometry.quat_from_matrix(np.stack([x, np.cross(z, x), z], axis=1))
