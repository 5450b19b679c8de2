"""Robot motions of files as a LeRobot data set: state and action of every joint, with rendered pictures or without any.

`make_motion_set` runs in a worker process (OpenGL, no torch).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpretrain import timebase
from vidpretrain.actions import ActionConfig, spec_for, trajectory
from vidpretrain.dataset import DatasetConfig, DatasetWriter, episode_feasibility, too_bad
from vidpretrain.feasibility import FeasibilityConfig, assess
from vidpretrain.pipeline.provenance import code_version
from vidpretrain.robot import load_robot
from vidpretrain.types import Camera, Clip, Episode, Reason, Reject, RobotMotion, Source, Trajectory
from vidpretrain.workflow.media import rows_of

FRONT_CAMERA = "observation.images.front"
_FOV_Y_RAD = np.deg2rad(45.0)  # MuJoCo's free camera


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One motion on the robot, the file that it follows, and that file's own times, which number its frames."""

    name: str
    motion: RobotMotion
    source: Source
    source_time_ns: np.ndarray


@dataclass(frozen=True, kw_only=True)
class MotionSetTask:
    """Everything that a data set is made of; `pictures` renders the robot from the front for every row."""

    out: Path
    robot: str
    items: tuple[Recorded, ...]
    actions: ActionConfig
    dataset: DatasetConfig
    feasibility: FeasibilityConfig
    pictures: bool


@dataclass(frozen=True, kw_only=True)
class MotionSet:
    """What was written: episode numbers by name, what was left out and why, and the number of rows."""

    root: Path
    episodes: dict[str, int]
    rejects: dict[str, Reject]
    rows: int


def make_motion_set(task: MotionSetTask) -> MotionSet:
    """Write the data set at `task.out`; one that is there already is replaced when this one is whole.

    Motions that walk, and hands that fly, have the base's pose, waist and legs in their vectors as well; all motions
    of a data set share one layout. Rows before the first and after the last that follows somebody are left out, and
    motions whose verdict is worse than `dataset.min_verdict`.

    Raises:
        DatasetError: what is at `task.out` is no data set, or no motion is long enough for an episode.
        MissingAsset: pictures are asked for and there is no off-screen OpenGL.
        DiskFull: no space left; no data set appears.
    """
    robot = load_robot(task.robot)
    whole = robot.is_hand or any(item.motion.whole_body for item in task.items)
    spec = spec_for(robot, task.actions, embodiment=f"human_{robot.name}", whole_body=whole)
    episodes: dict[str, int] = {}
    rejects: dict[str, Reject] = {}
    rows = 0
    keys = (FRONT_CAMERA,) if task.pictures else ()
    found = [assess(item.motion, robot, task.feasibility) for item in task.items]
    replaces = (task.out / "meta" / "info.json").is_file()
    writer = DatasetWriter(
        *(task.out, spec, task.actions.rate_hz),
        robot_type=robot.name,
        camera_keys=keys,
        config=task.dataset,
        overwrite=replaces,
        measures=tuple(found[0].frame_columns()) if task.dataset.feasibility_columns else (),
    )
    with writer:
        for item, report in zip(task.items, found, strict=True):
            made = trajectory(item.motion, robot, spec)
            kept = too_bad(report, task.dataset) or _kept(made, spec.horizon)
            if isinstance(kept, Reject):
                rejects[item.name] = kept
                writer.add_reject(item.name, kept)
                continue
            episode = _episode(item, made, kept, writer.width_px, writer.height_px)
            pictures = _pictures(robot, item.motion, kept, writer) if task.pictures else ()
            record = writer.add_episode(episode, pictures, feasibility=episode_feasibility(report, kept))
            episodes[item.name] = record["episode_index"]
            rows += record["length"]
    return MotionSet(root=task.out, episodes=episodes, rejects=rejects, rows=rows)


def _kept(made: Trajectory, horizon: int) -> slice | Reject:
    usable = np.flatnonzero(made.valid.any(axis=1))
    if len(usable) == 0 or usable[-1] + 1 - usable[0] <= horizon:
        detail = f"{len(usable)} rows with a usable column; an episode needs more than a chunk of {horizon}"
        return Reject(reason=Reason.TOO_SHORT, detail=detail)
    return slice(int(usable[0]), int(usable[-1]) + 1)


def _episode(item: Recorded, made: Trajectory, kept: slice, width_px: int, height_px: int) -> Episode:
    index = timebase.nearest_index(item.source_time_ns, item.motion.time_ns[kept])
    names = ("state", "action", "valid", "confidence", "imputed")
    focal = 0.5 * height_px / np.tan(0.5 * _FOV_Y_RAD)
    camera = Camera(
        K=np.array([[focal, 0.0, 0.5 * width_px], [0.0, focal, 0.5 * height_px], [0.0, 0.0, 1.0]]),
        distortion=np.zeros(0),
        width_px=width_px,
        height_px=height_px,
        intrinsics_from="given",
        gravity_from="given",
    )
    return Episode(
        trajectory=dataclasses.replace(made, **{name: getattr(made, name)[kept] for name in names}),
        clip=Clip(
            clip_id=item.name,
            source_id=item.source.source_id,
            path=item.source.uri,
            start_ns=int(item.source_time_ns[0]),
            exclusive_end_ns=int(item.source_time_ns[-1]) + 1,
            width_px=width_px,
            height_px=height_px,
        ),
        source=item.source,
        camera=camera,
        instruction=item.source.instruction,
        frame_time_ns=np.asarray(item.source_time_ns)[index],
        source_frame=index,
        code_version=code_version(),
    )


def _pictures(robot, motion: RobotMotion, kept: slice, writer: DatasetWriter) -> Iterable[np.ndarray]:
    from vidpretrain.sim import render_motion

    rows = np.arange(len(motion.time_ns))[kept]
    shown = rows_of(motion, rows, motion.rate_hz)
    return render_motion(robot, shown, (writer.width_px, writer.height_px), "front")
