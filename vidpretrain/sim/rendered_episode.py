"""An episode that a recorder of the simulation made: every label known exactly, every picture from the head camera."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32

from vidpretrain import __version__, geometry, timebase
from vidpretrain.robot import Robot
from vidpretrain.types import ActionSpec, Camera, Clip, Episode, Source, Trajectory


def rendered_episode(
    *,
    robot: Robot,
    spec: ActionSpec,
    state: Float32[np.ndarray, "t d"],
    action: Float32[np.ndarray, "t d"],
    T_base_camera: Float[np.ndarray, " 7"],
    width_px: int,
    height_px: int,
    rate_hz: float,
    name: str,
    uri: str,
    sha256: str,
    instruction: str,
) -> Episode:
    """The episode of a robot that stands with its base at `base_height_m`, filmed with its expected field of view.

    Args:
        name: of clip and source alike. `uri`, `sha256`: where it comes from, and what it was made of.
    """
    count = len(state)
    every = np.ones((count, spec.width), dtype=bool)
    focal = 0.5 * width_px / np.tan(robot.expected_fov_x_rad / 2)
    T_world_base = geometry.pose(np.array([1.0, 0, 0, 0]), np.array([0, 0, robot.base_height_m]))
    end_ns = timebase.ns(count / rate_hz)
    return Episode(
        trajectory=Trajectory(
            spec=spec,
            state=state,
            action=action,
            valid=every,
            confidence=every.astype(np.float32),
            imputed=~every,
        ),
        clip=Clip(
            clip_id=name,
            source_id=name,
            path="",
            start_ns=0,
            exclusive_end_ns=end_ns,
            width_px=width_px,
            height_px=height_px,
        ),
        source=Source(
            source_id=name,
            uri=uri,
            sha256=sha256,
            license="generated",
            attribution=f"Rendered by vidpretrain; robot: {robot.license}",
            consent="not needed: rendered",
        ),
        camera=Camera(
            K=np.array([[focal, 0, width_px / 2], [0, focal, height_px / 2], [0, 0, 1.0]]),
            distortion=np.zeros(5),
            width_px=width_px,
            height_px=height_px,
            T_world_camera=np.tile(geometry.compose(T_world_base, T_base_camera), (count, 1)),
            intrinsics_from="given",
            gravity_from="given",
        ),
        instruction=instruction,
        frame_time_ns=timebase.uniform_grid(0, end_ns, rate_hz)[:count],
        source_frame=np.arange(count),
        code_version=__version__,
    )
