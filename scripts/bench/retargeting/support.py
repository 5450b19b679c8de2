"""What this version of the solver can do, asked of its own door, so that rows appear as it learns."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import solve
from vidpretrain.tree import Tree


def has_collisions() -> bool:
    """Whether a problem can ask for links to stay apart."""
    return "self_collision" in {field.name for field in dataclasses.fields(solve.Problem)}


def robot_shape(robot: Any) -> Any:
    """Capsules of a robot and the pairs that can touch."""
    import importlib

    return importlib.import_module("vidpretrain.collision").model_of(robot)


def urdf_shape(urdf: Path, base: str) -> Any:
    """The same of a URDF; meshes that are not beside it are left out."""
    import importlib

    from vidpretrain.robot.reading import missing_meshes, read_model

    missing = missing_meshes(read_model(urdf))
    spec = read_model(urdf, without=tuple({Path(file).stem for file in missing.values()} | set(missing)))
    return importlib.import_module("vidpretrain.collision").model_of(spec, base)


def touching(shape: Any, tree: Tree, joint_pos: np.ndarray) -> float:
    """Share of the frames in which any two links overlap."""
    import importlib

    if not len(shape.pairs):
        return 0.0
    gaps = importlib.import_module("vidpretrain.collision").distances(shape, tree, joint_pos)
    return float((gaps.min(axis=1) < 0.0).mean())
