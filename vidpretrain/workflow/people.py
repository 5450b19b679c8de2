"""The demo's ingredients: rendered people with known truth, a scripted robot's episodes, and labels against truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidpretrain.pipeline import serialize
from vidpretrain.pipeline.stages import Extraction
from vidpretrain.report import LabelError
from vidpretrain.types import HumanMotion
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.progress import Bars

_WORDS: dict[str, str] = {
    "wrist": "wrist in the camera frame",
    "wrist_after_offset": "wrist, after the clip's best constant offset",
    "wrist_from_root": "wrist relative to the pelvis",
    "wrist_half_second": "wrist displacement over half a second",
    "palm": "orientation of the palm",
    "fingertip": "fingertips relative to the wrist",
    "hand_shape": "fingertips in the palm's frame",
    "elbow": "elbow in the camera frame",
    "shoulder": "shoulder in the camera frame",
}


def make_people(config: RunConfig) -> tuple[Path, ...]:
    """Videos of rendered people, made where they are not there yet."""
    from vidpretrain.sim import render_people

    with Bars() as bars:
        rows = render_people(config.sim, config.out / "people", lambda done, total: bars("people", done, total))
    return tuple(Path(row["video"]) for row in rows)


def make_robot_episodes(config: RunConfig) -> Path:
    """Data set of a scripted robot's episodes, recorded where it is not there yet."""
    from vidpretrain.sim import record_robot_episodes

    return Path(record_robot_episodes(config.sim, config.robot, config.out / "robot")["root"])


def label_errors_of(done: Extraction) -> tuple[LabelError, ...]:
    """Errors of the labels of all videos that have their truth beside them, by view; nothing where none has."""
    from vidpretrain.sim import load_truth, pooled_errors

    clips: dict[str, list[tuple[tuple[HumanMotion, ...], Any]]] = {}
    for outcome in done.sources:
        path = Path(outcome.source.uri).with_suffix(".truth.npz")
        if not path.is_file():
            continue
        truth = load_truth(path)
        motions = tuple(
            serialize.load(segment.motion_path)[segment.index]
            for clip in done.clips
            if clip.source_id == outcome.source.source_id
            for segment in clip.segments
        )
        clips.setdefault(truth.view, []).append((motions, truth))
    rows = []
    for view, pairs in sorted(clips.items()):
        errors = pooled_errors(pairs)
        found = f"hands found in {100 * errors['found']:.0f} % of the {errors['in_view']} times one was in view"
        rows += [
            LabelError(
                quantity=f"{view} camera: {_WORDS[name]}",
                unit=entry["unit"],
                median=entry["median"],
                p90=entry["p90"],
                frames=entry["frames"],
                note=found if number == 0 else "",
            )
            for number, (name, entry) in enumerate(errors["quantities"].items())
        ]
    return tuple(rows)
