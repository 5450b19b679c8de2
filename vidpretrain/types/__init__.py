"""The vocabulary: frozen data objects that flow one way through the toolkit.

    video -> PoseTrack -> HumanMotion -> RobotMotion -> Trajectory -> Episode

Conventions (docs/conventions.md): world is right-handed, z up, metres; camera is x right, y down, z forward; image is
u right, v down, pixels of the upright picture; quaternions are wxyz; a pose is (qw, qx, qy, qz, x, y, z); angles are
radians; time is int64 nanoseconds since the start of the source video, windows are half-open. `T_a_b` maps b
coordinates to a, `p_a_x` is point x in frame a. A mask goes with anything that can be missing, and NaN fills what the
mask hides. Arrays are stored read-only. Shape letters: t frames, k keypoints, j joints, e error sites, c contacts,
d vector width.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from vidpretrain.types.activity import Activity, Stretch
from vidpretrain.types.base import Frozen, same_length

__all__ = [
    "ActionSpec",
    "Activity",
    "Camera",
    "Clip",
    "Episode",
    "FaultName",
    "Frozen",
    "Group",
    "HumanMotion",
    "InputFault",
    "PoseTrack",
    "Reason",
    "Reject",
    "RobotMotion",
    "Source",
    "Stretch",
    "Trajectory",
]


class Reason(enum.StrEnum):
    """Why a clip is not in the data set. The list is closed: a run counts every clip under one of these."""

    NOT_A_VIDEO = "not_a_video"
    EMPTY_FILE = "empty_file"
    UNREADABLE = "unreadable"
    TRUNCATED = "truncated"
    TOO_SHORT = "too_short"
    TOO_LARGE = "too_large"
    NO_PERSON = "no_person"
    HANDS_TOO_RARE = "hands_too_rare"
    TOO_SMALL = "too_small"
    OUT_OF_FRAME = "out_of_frame"
    TOO_DARK = "too_dark"
    BLURRED = "blurred"
    SEVERAL_PEOPLE = "several_people"
    TELEPORTING = "teleporting"
    UPSIDE_DOWN = "upside_down"
    SCALE_UNKNOWN = "scale_unknown"
    NETWORKS_DISAGREE = "networks_disagree"
    CAMERA_NOT_SOLVED = "camera_not_solved"
    SIDEWAYS = "sideways"
    MOTIONLESS = "motionless"
    NO_USABLE_SEGMENT = "no_usable_segment"
    NOT_CONVERGED = "not_converged"
    POOR_TRACKING = "poor_tracking"
    NOT_FEASIBLE = "not_feasible"
    FAILED = "failed"


FaultName = Literal[
    "bad_time", "not_finite", "missing", "units", "size", "jump", "exchanged", "mirrored", "upside_down", "rare"
]


@dataclass(frozen=True, kw_only=True)
class InputFault:
    """Something that an input got wrong: what, where ("body", "left hand", ...), in how many of how many frames.

    `done` says what became of those frames: "dropped" they are not followed, "bridged" the robot moves on smoothly to
    the next good one, "refused" the whole clip or side, "swapped" left and right were exchanged, "righted" turned.
    """

    fault: FaultName
    where: str
    frames: int
    of: int
    done: Literal["dropped", "bridged", "refused", "swapped", "righted"]
    detail: str = ""

    def __str__(self) -> str:
        more = f" ({self.detail})" if self.detail else ""
        return f"{self.fault}: {self.where} in {self.frames} of {self.of} frames {self.done}{more}"


@dataclass(frozen=True, kw_only=True)
class Reject:
    """An item that a stage refused: an enumerated reason and one sentence with the figures, and what the input had."""

    reason: Reason
    detail: str
    faults: tuple[InputFault, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that somebody filmed, what may be done with it, and in words what happens in it ("" when not known)."""

    source_id: str
    uri: str
    sha256: str
    license: str = "unknown"
    attribution: str = ""
    consent: str = "unknown"
    instruction: str = ""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A stretch of one source without a cut: [start_ns, exclusive_end_ns), size after rotation."""

    clip_id: str
    source_id: str
    path: str
    start_ns: int
    exclusive_end_ns: int
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class Camera(Frozen):
    """Intrinsics, where they come from and how sure they are, and the camera's pose if it is known.

    `distortion` is OpenCV's: radial and tangential (0, 4, 5, 8, 12 or 14 numbers), or of its fisheye model (4).
    `focal_sigma` is one standard deviation of the focal length, as a part of it. `path` says how the camera moved:
    static, turning (`rotation`), turning and moving (`full`), unsolved, or unknown where nobody looked.
    """

    K: Float64[np.ndarray, "3 3"]
    distortion: Float64[np.ndarray, " n"]
    width_px: int
    height_px: int
    T_world_camera: Float64[np.ndarray, "t 7"] | None = None
    intrinsics_from: Literal["given", "metadata", "assumed"] = "assumed"
    gravity_from: Literal["given", "metadata", "body", "assumed"] = "assumed"
    lens: Literal["radial", "fisheye"] = "radial"
    focal_sigma: float = 0.0
    path: Literal["static", "rotation", "full", "unsolved", "unknown"] = "unknown"

    @property
    def fov_x_rad(self) -> float:
        """Horizontal field of view of the undistorted picture."""
        return float(2.0 * np.arctan2(0.5 * self.width_px, self.K[0, 0]))


@dataclass(frozen=True, kw_only=True)
class PoseTrack(Frozen):
    """One tracked thing (a left hand, a right hand or a body) over the frames of a clip, as the network saw it.

    `p_relative_keypoint` has the camera's axes but the network's own origin and scale (the hand's or hips' centre).
    A frame in which nothing was found has confidence 0 and NaN points. `imputed` never happens here: this is data.
    """

    clip_id: str
    person_id: str
    skeleton: str
    time_ns: Int64[np.ndarray, " t"]
    p_image_keypoint: Float64[np.ndarray, "t k 2"]
    p_relative_keypoint: Float64[np.ndarray, "t k 3"] | None
    confidence: Float64[np.ndarray, "t k"]

    def check(self) -> None:
        same_length(
            self,
            time_ns=self.time_ns,
            p_image_keypoint=self.p_image_keypoint,
            p_relative_keypoint=self.p_relative_keypoint,
            confidence=self.confidence,
        )

    @property
    def found(self) -> Bool[np.ndarray, " t"]:
        """Frames in which any keypoint was found."""
        return np.any(self.confidence > 0, axis=1)


@dataclass(frozen=True, kw_only=True)
class HumanMotion(Frozen):
    """Metric motion of one person in the world: the points of `skeleton`, their sigma, and what is known of them.

    `T_world_root` is the pelvis (x forward, y left, z up), NaN where it was never seen. `valid` is false where
    nothing may be used; `imputed` marks points that were filled in. `contact` columns are left foot, right foot.
    `T_world_head` is the head of the wearer of an egocentric camera (between the eyes; x forward, y left, z up), None
    where the view is another or the camera was not solved. `figures` is what was assumed or found for the whole clip
    (height, lens, factors on bone lengths), each with its `_sigma`.

    `sigma_m` is a width: a point lies within 2.5 of it (in space, any direction) in 90 % of the frames. Errors of one
    clip go together and their tails are heavier than a Gaussian's, so it is not a root mean square of frames.
    """

    clip_id: str
    skeleton: str
    time_ns: Int64[np.ndarray, " t"]
    T_world_root: Float64[np.ndarray, "t 7"]
    p_world_keypoint: Float64[np.ndarray, "t k 3"]
    sigma_m: Float64[np.ndarray, "t k"]
    valid: Bool[np.ndarray, "t k"]
    imputed: Bool[np.ndarray, "t k"]
    contact: Float64[np.ndarray, "t c"]
    height_m: float
    height_from: Literal["given", "assumed", "fitted"]
    view: Literal["ego", "third"]
    body_seen: bool
    camera: Camera
    T_world_head: Float64[np.ndarray, "t 7"] | None = None
    figures: dict[str, float] = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        same_length(
            self,
            time_ns=self.time_ns,
            T_world_root=self.T_world_root,
            T_world_head=self.T_world_head,
            p_world_keypoint=self.p_world_keypoint,
            sigma_m=self.sigma_m,
            valid=self.valid,
            imputed=self.imputed,
            contact=self.contact,
        )


@dataclass(frozen=True, kw_only=True)
class RobotMotion(Frozen):
    """Joint motion of one robot on a uniform time grid. Solver status travels beside the solution.

    `joint_pos` has every independent and mimic joint of `joint_names` in radians (metres where it slides).
    `valid` marks frames that follow an observed person, per side (left arm and hand, right arm and hand); the other
    frames hold or interpolate. `error_m` is the distance of each error site of `error_names` to its target, NaN where
    there was none. `feasible` is limits, speeds and finiteness, frame by frame. `hand_valid` marks sides whose fingers
    follow an observed hand (None: as `valid`). `placement` says how the person was put into the robot's place, and
    `figures` what the clip measured (scales, mirrored frames, medians). `faults` is what was wrong with the person's
    motion, and what became of it.
    """

    clip_id: str
    robot_name: str
    robot_digest: str
    joint_names: tuple[str, ...]
    error_names: tuple[str, ...]
    time_ns: Int64[np.ndarray, " t"]
    rate_hz: float
    T_world_base: Float64[np.ndarray, "t 7"]
    joint_pos: Float64[np.ndarray, "t j"]
    error_m: Float64[np.ndarray, "t e"]
    converged: Bool[np.ndarray, " t"]
    feasible: Bool[np.ndarray, " t"]
    valid: Bool[np.ndarray, "t 2"]
    imputed: Bool[np.ndarray, "t 2"]
    confidence: Float64[np.ndarray, "t 2"]
    whole_body: bool
    T_base_camera: Float64[np.ndarray, "t 7"]
    hand_valid: Bool[np.ndarray, "t 2"] | None = None
    placement: str = ""
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    faults: tuple[InputFault, ...] = ()

    def check(self) -> None:
        same_length(
            self,
            time_ns=self.time_ns,
            T_world_base=self.T_world_base,
            joint_pos=self.joint_pos,
            error_m=self.error_m,
            converged=self.converged,
            feasible=self.feasible,
            valid=self.valid,
            imputed=self.imputed,
            confidence=self.confidence,
            T_base_camera=self.T_base_camera,
            hand_valid=self.hand_valid,
        )
        if self.joint_pos.shape[1] != len(self.joint_names):
            raise ValueError(f"RobotMotion: {self.joint_pos.shape[1]} columns for {len(self.joint_names)} joints")


@dataclass(frozen=True, kw_only=True)
class Group:
    """A named slice of a state or action vector.

    `wrist_pose` is in the robot's base frame, `camera_wrist` in the frame of the camera that took the row's picture.
    Of poses, `relative` is motion in the thing's own frame at the start, `offset` motion in the axes of the frame that
    the pose is given in: a change of place, and the turn R_then R_start^T.
    """

    name: str
    names: tuple[str, ...]
    quantity: Literal["joint", "hand", "wrist_pose", "camera_wrist", "fingertips", "base", "grasp"]
    representation: Literal["absolute", "relative", "offset"]
    unit: Literal["rad", "m", "fraction", "pose9"]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names)


@dataclass(frozen=True, kw_only=True)
class ActionSpec:
    """Layout of an embodiment's vector: groups in order, rate and chunk length. Widths are never hard-coded."""

    embodiment: str
    groups: tuple[Group, ...]
    rate_hz: float
    horizon: int

    @property
    def width(self) -> int:
        """Number of columns over all groups."""
        return sum(group.width for group in self.groups)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(name for group in self.groups for name in group.names)

    def slices(self) -> dict[str, slice]:
        """Columns of each group, by the group's name."""
        out, start = {}, 0
        for group in self.groups:
            out[group.name] = slice(start, start + group.width)
            start += group.width
        return out


@dataclass(frozen=True, kw_only=True)
class Trajectory(Frozen):
    """State and action of one embodiment on a uniform grid, both absolute, in the columns of `spec`."""

    spec: ActionSpec
    state: Float32[np.ndarray, "t d"]
    action: Float32[np.ndarray, "t d"]
    valid: Bool[np.ndarray, "t d"]
    confidence: Float32[np.ndarray, "t d"]
    imputed: Bool[np.ndarray, "t d"]

    def check(self) -> None:
        same_length(
            self,
            state=self.state,
            action=self.action,
            valid=self.valid,
            confidence=self.confidence,
            imputed=self.imputed,
        )
        if self.state.shape[1] != self.spec.width:
            raise ValueError(f"Trajectory: {self.state.shape[1]} columns, the spec has {self.spec.width}")


@dataclass(frozen=True, kw_only=True)
class Episode(Frozen):
    """A trajectory with the frames it belongs to and where all of it comes from.

    `frame_time_ns` is the time in the source whose picture each row shows; `source_frame` its index there.
    """

    trajectory: Trajectory
    clip: Clip
    source: Source
    camera: Camera
    instruction: str
    frame_time_ns: Int64[np.ndarray, " t"]
    source_frame: Int64[np.ndarray, " t"]
    code_version: str

    def check(self) -> None:
        same_length(self, state=self.trajectory.state, frame_time_ns=self.frame_time_ns, source_frame=self.source_frame)
