"""A person and the robots that follow them as a recording for rerun (.rrd): shapes and curves on one timeline.

    person/points, person/bones         the person, at the left, turned to face +x
    robots/NAME/links/BODY              the robot's links as meshes, beside the person and each other
    video                               the frames with landmarks, where there is a video
    curves/NAME/joints/GROUP            positions, rad (m where a joint slides)
    curves/NAME/error                   distance of each site to its target, m
    curves/NAME/feasibility/MEASURE     what `feasibility` measured, frame by frame
    notes/NAME                          the verdict in words

The timeline `time` is seconds of the video (of the motion file). rerun is an optional package: `RERUN_COMMAND`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import geometry
from vidpretrain.errors import DiskFull, MissingExtra
from vidpretrain.feasibility import Feasibility
from vidpretrain.report import heading
from vidpretrain.report.draw import bone_colour
from vidpretrain.robot import Robot
from vidpretrain.sim.links import robot_links
from vidpretrain.skeletons import BODY_SLICE, skeleton
from vidpretrain.types import HumanMotion, RobotMotion

RERUN_COMMAND = "pip install 'vidpretrain[view]'"
TIMELINE = "time"
_APPLICATION = "vidpretrain"
_APART_M, _APART_HAND_M = 1.3, 0.4
_MEASURES_OF_ONE_UNIT = {
    "shares": ("speed_share", "torque_share", "unsupported_share"),
    "metres": ("collision_m", "finger_collision_m", "balance_m"),
    "sides": ("left_slide_m_s", "right_slide_m_s", "left_reach_share", "right_reach_share"),
    "errors_m": ("left_wrist_error_m", "right_wrist_error_m", "left_tip_error_m", "right_tip_error_m"),
    "playable": ("playable",),
}


@dataclass(frozen=True, kw_only=True)
class Played:
    """A robot's motions of one clip, stretch by stretch, each with its feasibility; `notes` is Markdown."""

    robot: Robot
    motions: tuple[RobotMotion, ...]
    feasibility: tuple[Feasibility, ...]
    notes: str


def have_rerun() -> bool:
    """Whether the package is installed; it is not imported."""
    import importlib.util

    return importlib.util.find_spec("rerun") is not None


def write_recording(
    path: Path | str,
    people: Sequence[HumanMotion],
    robots: Sequence[Played],
    video: Iterable[tuple[int, bytes]] = (),
) -> Path:
    """The file written; `video` is (time_ns, JPEG) of the frames to show. Written aside and renamed.

    Raises:
        MissingExtra: rerun is not installed.
        MissingAsset: a robot's model files are not on this machine.
        DiskFull: no space left.
    """
    try:
        import rerun
    except ModuleNotFoundError:
        raise MissingExtra(
            "a recording (.rrd) needs the package rerun-sdk", asked=path, next_command=RERUN_COMMAND
        ) from None
    path = Path(path)
    aside = path.with_name(f".{path.stem}.tmp.rrd")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with rerun.RecordingStream(_APPLICATION, recording_id=path.stem) as stream:
            stream.save(str(aside), default_blueprint=_blueprint(robots))
            _log_world(stream, people, robots)
            for time_ns, picture in video:
                stream.set_time(TIMELINE, duration=np.timedelta64(int(time_ns), "ns"))
                stream.log("video", rerun.EncodedImage(contents=picture, media_type="image/jpeg"))
            stream.flush()
            stream.disconnect()
        os.replace(aside, path)
    except OSError as error:
        raise DiskFull.of(error, path) from None
    finally:
        aside.unlink(missing_ok=True)
    return path


def _blueprint(robots: Sequence[Played]) -> Any:
    """The world at the left, the video and the notes at the right, one tab of curves per robot below."""
    import rerun.blueprint as rrb

    def tab(played: Played) -> Any:
        at = f"/curves/{_part(played.robot.name)}"
        plots = [
            rrb.TimeSeriesView(origin=f"{at}/error", name="error to the targets (m)"),
            *(rrb.TimeSeriesView(origin=f"{at}/feasibility/{unit}", name=unit) for unit in ("shares", "metres")),
            rrb.TimeSeriesView(origin=f"{at}/joints", name="joints"),
        ]
        return rrb.Grid(*plots, name=played.robot.name)

    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Horizontal(
                rrb.Spatial3DView(origin="/", contents=["/person/**", "/robots/**"], name="person and robots"),
                rrb.Vertical(
                    rrb.Spatial2DView(origin="/video", name="video"),
                    rrb.TextDocumentView(origin="/", contents="/notes/**", name="verdicts"),
                ),
                column_shares=[3, 1],
            ),
            rrb.Tabs(*(tab(played) for played in robots)),
            row_shares=[3, 2],
        ),
        collapse_panels=True,
    )


def _log_world(stream: Any, people: Sequence[HumanMotion], robots: Sequence[Played]) -> None:
    import rerun

    stream.log("/", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    hands = all(played.robot.is_hand for played in robots)
    apart = _APART_HAND_M if hands else _APART_M
    if people:
        _log_person(stream, people)
    for number, played in enumerate(robots, start=1):
        _log_robot(stream, played, [0.0, number * apart, 0.0])
        _log_curves(stream, played)
        name = _part(played.robot.name)
        document = rerun.TextDocument(played.notes, media_type=rerun.MediaType.MARKDOWN)
        stream.log(f"notes/{name}", document, static=True)


def _log_person(stream: Any, people: Sequence[HumanMotion]) -> None:
    import rerun

    first = people[0]
    body = bool(first.body_seen)
    known = np.asarray(first.valid) & np.isfinite(first.p_world_keypoint).all(axis=2)
    middle = np.median(first.p_world_keypoint[known], axis=0) if known.any() else np.zeros(3)
    if body:
        middle[2] = 0.0  # the floor stays the floor
    stream.log("person", _facing_x(heading(first), middle, [0.0, 0.0, 0.0]), static=True)
    for motion in people:
        kind = skeleton(motion.skeleton)
        shown = np.asarray(motion.valid) & np.isfinite(motion.p_world_keypoint).all(axis=2)
        points = [motion.p_world_keypoint[t][shown[t]] for t in range(len(shown))]
        colours = np.array([bone_colour(kind, k, k) for k in range(len(kind))], dtype=np.uint8)
        columns = rerun.Points3D.columns(
            positions=np.concatenate(points) if len(points) else np.zeros((0, 3)),
            colors=colours[np.nonzero(shown)[1]],
            radii=np.where(np.nonzero(shown)[1] < BODY_SLICE.stop, 0.015, 0.006),
        ).partition(shown.sum(axis=1))
        stream.send_columns("person/points", [_times(motion.time_ns)], columns)
        bones = np.array(kind.bones)
        seen = shown[:, bones[:, 0]] & shown[:, bones[:, 1]]
        frames, which = np.nonzero(seen)
        ends = motion.p_world_keypoint[frames[:, None], bones[which]]
        bone_colours = np.array([bone_colour(kind, a, b) for a, b in kind.bones], dtype=np.uint8)
        strips = rerun.LineStrips3D.columns(strips=ends, colors=bone_colours[which]).partition(seen.sum(axis=1))
        stream.send_columns("person/bones", [_times(motion.time_ns)], strips)


def _facing_x(forward: np.ndarray, middle: np.ndarray, place: Sequence[float]) -> Any:
    """The transform that puts `middle` at `place` and turns the horizontal direction `forward` to +x."""
    import rerun

    q = geometry.quat_exp(np.array([0.0, 0.0, -np.arctan2(forward[1], forward[0])]))
    moved = np.asarray(place) - geometry.rotate(q, middle)
    return rerun.Transform3D(translation=moved, quaternion=rerun.Quaternion(xyzw=geometry.xyzw_from_wxyz(q)))


def _log_robot(stream: Any, played: Played, place: Sequence[float]) -> None:
    import rerun

    root = f"robots/{_part(played.robot.name)}"
    if not played.motions:
        return
    base = played.motions[0].T_world_base[0]
    forward, middle = geometry.rotate(base[:4], np.array([1.0, 0.0, 0.0])), np.array(base[4:])
    if played.robot.is_hand:
        forward = np.array([1.0, 0.0, 0.0])
    else:
        middle[2] = 0.0
    stream.log(root, _facing_x(forward, middle, place), static=True)
    for stretch, motion in enumerate(played.motions):
        for link in robot_links(played.robot, motion):
            entity = f"{root}/links/{_part(link.name)}"
            if stretch == 0:
                mesh = rerun.Mesh3D(
                    vertex_positions=link.vertices,
                    triangle_indices=link.faces,
                    vertex_normals=link.normals,
                    vertex_colors=link.colours,
                )
                stream.log(entity, mesh, static=True)
            poses = rerun.Transform3D.columns(
                translation=link.T_world_link[:, 4:], quaternion=geometry.xyzw_from_wxyz(link.T_world_link[:, :4])
            )
            stream.send_columns(entity, [_times(motion.time_ns)], poses)


def _log_curves(stream: Any, played: Played) -> None:
    root = f"curves/{_part(played.robot.name)}"
    for stretch, (motion, report) in enumerate(zip(played.motions, played.feasibility, strict=True)):
        for group, names in played.robot.groups.items():
            columns = list(played.robot.joints(group))
            if columns:
                at = f"{root}/joints/{_part(group)}"
                _log_series(stream, at, names, motion.joint_pos[:, columns], motion.time_ns, stretch == 0)
        if motion.error_names:
            _log_series(stream, f"{root}/error", motion.error_names, motion.error_m, motion.time_ns, stretch == 0)
        measures = report.frame_columns()
        for unit, names in _MEASURES_OF_ONE_UNIT.items():
            known = [name for name in names if name in measures and np.isfinite(measures[name]).any()]
            if known:
                values = np.stack([measures[name] for name in known], axis=1)
                at = f"{root}/feasibility/{unit}"
                _log_series(stream, at, known, values, motion.time_ns, stretch == 0)


def _log_series(stream: Any, entity: str, names: Sequence[str], values: np.ndarray, time_ns: np.ndarray, new: bool):
    """One plot of several lines; a line has a hole where its value is NaN."""
    import rerun

    if new:
        stream.log(entity, rerun.SeriesLines(names=list(names)), static=True)
    flat = np.asarray(values, dtype=float).reshape(-1)
    columns = rerun.Scalars.columns(scalars=flat).partition(np.full(len(values), len(names)))
    stream.send_columns(entity, [_times(time_ns)], columns)


def _times(time_ns: np.ndarray) -> Any:
    import rerun

    return rerun.TimeColumn(TIMELINE, duration=np.asarray(time_ns).astype("timedelta64[ns]"))


def _part(name: str) -> str:
    """A name as one part of an entity path: rerun's own escapes are for its viewer, slashes here are none."""
    import rerun

    return rerun.escape_entity_path_part(name)
