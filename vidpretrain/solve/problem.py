"""What a solve is asked and what it answers.

The cost is a sum over frames of weight * |residual|^2 / 2. A weight is 1 / sigma^2: sigma in metres for points and
vectors, in pixels for what a camera sees, radians for orientations and joints, rad/s and rad/s^2 for velocity and
acceleration, so no weight depends on the frame rate. A frame in which a target is not finite or the weight is 0 (or
NaN) does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.collision import CollisionModel, Shapes
from vidpretrain.errors import unknown_name
from vidpretrain.solve.parameters import FocalParameter, Parameter, Values
from vidpretrain.types import Camera, Frozen

Loss = Literal["huber", "cauchy", "tukey"]
"""What a residual costs around and beyond a term's `huber_m` (or _rad, _px), its scale; without one it is squared.

huber grows linearly beyond the scale, cauchy logarithmically from it on, tukey (redescending) not at all beyond it.
"""


@dataclass(frozen=True, kw_only=True)
class PointTerm(Frozen):
    """Site `site` goes to `p_world_target`. `huber_m`: beyond it the cost grows linearly (None: never)."""

    site: str
    p_world_target: Float64[np.ndarray, "t 3"]
    weight: Float64[np.ndarray, " t"]
    huber_m: float | None = None
    loss: Loss = "huber"


@dataclass(frozen=True, kw_only=True)
class OrientationTerm(Frozen):
    """Site `site` turns to `q_world_target` (wxyz, any length but 0); the residual is the angle between, in rad."""

    site: str
    q_world_target: Float64[np.ndarray, "t 4"]
    weight: Float64[np.ndarray, " t"]
    huber_rad: float | None = None
    loss: Loss = "huber"


@dataclass(frozen=True, kw_only=True)
class VectorTerm(Frozen):
    """The vector from `from_site` to `to_site` becomes `target_m`, in the axes of `frame_site` (None: the world's)."""

    from_site: str
    to_site: str
    target_m: Float64[np.ndarray, "t 3"]
    weight: Float64[np.ndarray, " t"]
    frame_site: str | None = None
    huber_m: float | None = None
    loss: Loss = "huber"


@dataclass(frozen=True, kw_only=True)
class DistanceTerm(Frozen):
    """The distance between two sites becomes `distance_m`, whatever its direction: a pinch."""

    from_site: str
    to_site: str
    distance_m: Float64[np.ndarray, " t"]
    weight: Float64[np.ndarray, " t"]
    huber_m: float | None = None
    loss: Loss = "huber"


@dataclass(frozen=True, kw_only=True)
class FloorTerm(Frozen):
    """Site `site` stays above `z_world_m`; only what is below it costs."""

    site: str
    z_world_m: Float64[np.ndarray, " t"]
    weight: Float64[np.ndarray, " t"]
    huber_m: float | None = None
    loss: Loss = "huber"


@dataclass(frozen=True, kw_only=True)
class PinholeCamera(Frozen):
    """A camera without distortion (x right, y down, z forward), standing still (7) or moving (t 7).

    A point nearer than `near_m`, or behind the camera, has no picture. Its projection goes on smoothly there, 1 / z
    staying below 2 / near_m, and a third residual grows with what is missing to `near_m`, so that its cost is finite
    and pushes it forward.
    """

    T_world_camera: Float64[np.ndarray, "*t 7"]
    focal_px: Float64[np.ndarray, " 2"]
    center_px: Float64[np.ndarray, " 2"]
    near_m: float = 0.05

    def check(self) -> None:
        if (
            np.shape(self.focal_px) != (2,)
            or np.shape(self.center_px) != (2,)
            or np.shape(self.T_world_camera)[-1] != 7
        ):
            raise ValueError("PinholeCamera: wanted T_world_camera (t 7) or (7), focal_px (2) and center_px (2)")
        if not (np.isfinite(self.center_px).all() and (np.asarray(self.focal_px) > 0).all() and self.near_m > 0):
            raise ValueError("PinholeCamera: focal length and near_m have to be positive, and the centre finite")

    @classmethod
    def of(cls, camera: Camera, T_world_camera: Float64[np.ndarray, "*t 7"] | None = None) -> PinholeCamera:
        """The pinhole of a camera whose pixels are free of distortion, at its own pose or the given one.

        Raises:
            ValueError: the camera has distortion, or there is no pose.
        """
        pose = camera.T_world_camera if T_world_camera is None else T_world_camera
        if pose is None or np.any(camera.distortion):
            raise ValueError("the camera has no pose, or distortion: undistort the pixels first")
        K = camera.K
        return cls(T_world_camera=pose, focal_px=np.array([K[0, 0], K[1, 1]]), center_px=K[:2, 2].copy())


@dataclass(frozen=True, kw_only=True)
class PixelTerm(Frozen):
    """Site `site` is seen at `uv_px` by `camera`; the residual and `huber_px` are in px, the weight in 1/px^2.

    `focal` names a `FocalParameter` that takes the place of `camera.focal_px[0]` (None: it is known); the ratio of the
    camera's two focal lengths stays.
    """

    site: str
    uv_px: Float64[np.ndarray, "t 2"]
    weight: Float64[np.ndarray, " t"]
    camera: PinholeCamera
    focal: str | None = None
    huber_px: float | None = None
    loss: Loss = "huber"


@dataclass(frozen=True, kw_only=True)
class PostureTerm(Frozen):
    """Joints rest at `q_ref` (for all frames, or frame by frame); weight 0 leaves a joint free."""

    q_ref: Float64[np.ndarray, "*t j"]
    weight: Float64[np.ndarray, " j"]


Term = PointTerm | OrientationTerm | VectorTerm | DistanceTerm | FloorTerm | PixelTerm


@dataclass(frozen=True, kw_only=True)
class Problem(Frozen):
    """Terms, smoothness and hard limits of one clip on a uniform grid of `rate_hz`.

    Every per-joint array is (j) in the tree's columns; the entries of mimic joints are ignored except in
    `max_speed`. `lower`/`upper` default to `tree.bounds()`, and are never violated; nor is `max_speed` (rad/s, None:
    no limit; a ball's angular velocity keeps to the least of its three). Joints outside `active_joints` (None: all)
    stay at the start's positions. With `free_base` the base's pose is solved too, with `base_velocity_weight` and
    `base_acceleration_weight` as (rotation, translation).
    `parameters` are unknown together with the motion; speed limits and self-collision come after them, with the
    parameters found. The pairs of `self_collision` are held `collision_margin_m` apart; where targets ask for less,
    they give way. With `shapes` the links' own shapes are held apart, and capsules only tell where to look: then a
    light touch, or a deep one that nothing but a far way out would end, may stay. `firm_joints` (None: no joint) give
    way to a contact only where nothing else moves it.
    """

    rate_hz: float
    frames: int
    terms: tuple[Term, ...]
    posture: PostureTerm | None = None
    velocity_weight: Float64[np.ndarray, " j"] | None = None
    acceleration_weight: Float64[np.ndarray, " j"] | None = None
    lower: Float64[np.ndarray, " j"] | None = None
    upper: Float64[np.ndarray, " j"] | None = None
    max_speed: Float64[np.ndarray, " j"] | None = None
    active_joints: Bool[np.ndarray, " j"] | None = None
    free_base: bool = False
    base_velocity_weight: tuple[float, float] = (0.0, 0.0)
    base_acceleration_weight: tuple[float, float] = (0.0, 0.0)
    max_iterations: int = 60
    tolerance: float = 1e-5
    self_collision: CollisionModel | None = None
    collision_margin_m: float = 0.001
    shapes: Shapes | None = None
    firm_joints: Bool[np.ndarray, " j"] | None = None
    parameters: tuple[Parameter, ...] = ()

    def check(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) < len(names):
            raise ValueError(f"parameters of the same name: {sorted(names)}")
        focal = {parameter.name for parameter in self.parameters if isinstance(parameter, FocalParameter)}
        for term in self.terms:
            if isinstance(term, PixelTerm) and term.focal is not None and term.focal not in focal:
                raise unknown_name("focal length", term.focal, tuple(sorted(focal)))


@dataclass(frozen=True, kw_only=True)
class Start(Frozen):
    """Where the solve begins: one posture (j) or a motion (t j), and the base likewise (None: identity).

    From one posture, `others` (n j) and a few variations of it compete on the frame with the most targets; the best
    is carried forwards and backwards frame by frame before all frames are solved together. A motion is taken as is.
    """

    joint_pos: Float64[np.ndarray, "*t j"]
    T_world_base: Float64[np.ndarray, "*t 7"] | None = None
    others: Float64[np.ndarray, "n j"] = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True, kw_only=True)
class Solution(Frozen):
    """The motion, and how well it went.

    `joint_pos` has all columns, mimic joints included. `residual[i]` is the distance (m, px) or angle (rad) left in the
    frames of `problem.terms[i]`, NaN where it had no target. `converged` marks frames that had stopped moving,
    `gave_way` those in which targets gave way so that links stay apart.
    `parameters` are the values found, by name: factors, offsets (3) in m, focal lengths in px; `with_parameters` puts
    them into the tree.
    """

    joint_pos: Float64[np.ndarray, "t j"]
    T_world_base: Float64[np.ndarray, "t 7"]
    cost: float
    iterations: int
    converged: Bool[np.ndarray, " t"]
    residual: tuple[Float64[np.ndarray, " t"], ...]
    gave_way: Bool[np.ndarray, " t"] | None = None
    parameters: Values = field(default_factory=dict)
