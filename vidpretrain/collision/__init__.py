"""A robot's shape as capsules, and which of them can touch.

Door: `CollisionModel`, `model_of(robot or MjSpec)`, `distances(model, tree, joint_pos)`, `surface_of(robot, joint)`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from vidpretrain.collision.types import CollisionModel
from vidpretrain.tree import Tree

__all__ = ["CollisionModel", "model_of", "distances", "surface_of"]


def model_of(robot_or_spec, base: str | None = None) -> CollisionModel:
    """The capsules of a `Robot` or `mujoco.MjSpec` and the pairs that can touch; a robot's is remembered.

    `base` names the body that carries a spec's tree (its root body without). Source of the shapes: geoms that
    collide, or where a link has none, its visual ones.

    Raises:
        InputError: MuJoCo does not compile the model.
    """
    from vidpretrain.collision.fit import model_of as compute

    return compute(robot_or_spec, base)


def distances(model: CollisionModel, tree: Tree, joint_pos: Float64[np.ndarray, "t j"]) -> Float64[np.ndarray, "t n"]:
    """Distance in metres of every pair of `model.pairs`, negative where the capsules overlap.

    Raises:
        ValueError: `joint_pos` does not fit the tree.
    """
    from vidpretrain.collision.near import distances as compute

    return compute(model, tree, joint_pos)


def surface_of(robot, joint: int) -> Float64[np.ndarray, "n 3"]:
    """Points of the shapes that a joint of the robot's tree carries, in the joint's frame in metres: vertices of meshes
    and boxes, samples of what is round. Capsules cover a shape and stick out of it; this is the shape itself.

    Raises:
        InputError: MuJoCo does not compile the model.
    """
    from vidpretrain.collision.fit import surface_of as compute

    return compute(robot, joint)
