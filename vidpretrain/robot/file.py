"""The robot YAML: what a user writes to bring a robot, and nothing else.

    name: my_robot
    license: who may do what with the model files
    model: {file: unitree_g1/g1.xml, packages: [...]}   # MJCF or URDF: beside this YAML, MENAGERIE_ROOT, a package
    base: pelvis                                        # body whose pose is T_world_base; what hangs on it is the robot
    base_frame: {x: [-1, 0, 0], z: [0, 0, 1]}           # only where the body's x is not forward and its z not up
    remove_meshes: [left_rubber_hand]                   # geoms with these meshes go
    hands: [{file: ..., body: left_wrist_yaw_link, pos: [...], x: [...], z: [...]}]
    sites: {left_wrist: {body: ..., pos: [...], x: [...], z: [...]}}
    groups: {left_arm: [joint, ...]}
    home: {joint: rad}
    max_speed: {group or joint: rad/s}                  # a joint's own line wins
    max_torque: {group or joint: N m}                   # default: the model's actuatorfrcrange
    columns: [{group: left_arm}, {group: left_hand, fractions: [{name: ..., joint: ..., closed: rad, open: rad}]}]
    camera: {body: torso_link, pos: [...], x: [...], z: [...], fov_x_deg: 55}
    assumptions: [sentence, ...]

Frames: `x` and `z` are the frame's axes, written in the body's axes; z is made perpendicular to x.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vidpretrain import geometry

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file and where to look for it."""

    file: str
    packages: tuple[str, ...] = ()
    next_command: str | None = None


@dataclass(frozen=True, kw_only=True)
class FrameFile:
    """A frame on a body: origin `pos` (m), axes `x` and `z` in the body's axes."""

    body: str
    pos: Vector = (0.0, 0.0, 0.0)
    x: Vector = (1.0, 0.0, 0.0)
    z: Vector = (0.0, 0.0, 1.0)

    def __post_init__(self) -> None:
        if np.linalg.norm(np.cross(self.x, self.z)) < 1e-6:
            raise ValueError(f"x {list(self.x)} and z {list(self.z)} are parallel or zero")

    @property
    def T_body_frame(self) -> np.ndarray:
        """Pose (7) of the frame on its body."""
        x = geometry.normalize(np.array(self.x))
        y = geometry.normalize(np.cross(np.array(self.z), x))
        R = np.stack([x, y, np.cross(x, y)], axis=-1)
        return geometry.pose(geometry.quat_from_matrix(R), np.array(self.pos))


@dataclass(frozen=True, kw_only=True)
class BaseFrame:
    """The base body's own axes that point forward (`x`) and up (`z`)."""

    x: Vector = (1.0, 0.0, 0.0)
    z: Vector = (0.0, 0.0, 1.0)

    @property
    def T_body_frame(self) -> np.ndarray:
        """Pose (7) of the frame on its body."""
        return FrameFile(body="", x=self.x, z=self.z).T_body_frame


@dataclass(frozen=True, kw_only=True)
class HandFile(FrameFile):
    """A model whose root is put onto a body of the robot, at a frame."""

    file: str
    packages: tuple[str, ...] = ()
    next_command: str | None = None
    prefix: str = ""
    remove_meshes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CameraFile(FrameFile):
    """The head camera: x right, z forward, horizontal field of view."""

    fov_x_deg: float = 60.0


@dataclass(frozen=True, kw_only=True)
class FractionFile:
    """A column between closed (0) and open (1), given in the joint's radians."""

    name: str
    joint: str
    closed: float
    open: float

    def __post_init__(self) -> None:
        if self.closed == self.open:
            raise ValueError(f"column {self.name}: closed and open are the same joint position")


@dataclass(frozen=True, kw_only=True)
class ColumnsFile:
    """Action columns of one group: its joints in radians, or fractions."""

    group: str
    fractions: tuple[FractionFile, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RobotFile:
    """The whole YAML; see the module's text. A robot with feet needs `base_height_m`, one with a head `camera`."""

    name: str
    license: str
    model: ModelFile
    base: str
    groups: dict[str, tuple[str, ...]]
    sites: dict[str, FrameFile]
    columns: tuple[ColumnsFile, ...]
    max_speed: dict[str, float]
    camera: CameraFile | None = None
    base_height_m: float | None = None
    base_frame: BaseFrame | None = None
    max_torque: dict[str, float] = field(default_factory=dict)
    home: dict[str, float] = field(default_factory=dict)
    hands: tuple[HandFile, ...] = ()
    remove_meshes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def frames(self) -> dict[str, FrameFile]:
        """All sites by name, the head camera's frame among them."""
        return dict(self.sites) if self.camera is None else {"head_camera": self.camera, **self.sites}
