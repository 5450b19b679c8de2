"""Level-2 people: films of rendered people doing the task, through the real extraction, as episodes of the cache.

Nothing of a film's truth is used but what a camera's maker says (intrinsics) and a person knows (height), which lie
beside the video: landmarks, the fit of the person, the fit of the robot's fingers and the grasps are the extraction's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, UInt8

from vidpretrain import geometry, skeletons, timebase
from vidpretrain.actions import ActionConfig, spec_for, trajectory
from vidpretrain.actions.camera import wrist_columns
from vidpretrain.dataset import CacheEpisode
from vidpretrain.errors import InputError
from vidpretrain.pipeline import DataConfig, serialize
from vidpretrain.pipeline.clips import Segment, SourceOutcome
from vidpretrain.pipeline.stages import Extraction, extract_all, sources_of
from vidpretrain.robot import Robot, load_robot
from vidpretrain.sim.posing import palm_frame
from vidpretrain.synth.tasks import Held, TaskFilmConfig, film_task, load_held
from vidpretrain.synth.tasks.hands import palm_of_wrist
from vidpretrain.synth.tasks.held import held_path
from vidpretrain.transfer.config import BridgeConfig, TransferConfig
from vidpretrain.transfer.picture import blackened, seen_as
from vidpretrain.types import ActionSpec, Activity, HumanMotion, RobotMotion
from vidpretrain.video import open_video
from vidpretrain.video.config import VideoConfig

_LEAST_SHARE = 0.25  # of a clip's rows with both columns of some hand known; below it the clip teaches nothing
_WRIST, _KNUCKLE = 0, 9


def film_config(config: TransferConfig, task: str) -> TaskFilmConfig:
    """The films of a task: `config.film` with the benchmark's robot and its world in distribution."""
    world = dataclasses.replace(config.world, shifted=())
    how = {f.name: getattr(config.film, f.name) for f in dataclasses.fields(config.film)}
    return TaskFilmConfig(**how, task=task, robot=config.robot, world=world)


def data_config(config: TransferConfig, videos: tuple[Path, ...] = ()) -> DataConfig:
    """How the films are extracted: as any video, with everything at its default."""
    return DataConfig(
        video=VideoConfig(paths=videos, license="generated"), robot=config.robot, workers=config.film.workers
    )


def extracted(config: TransferConfig, task: str, folder: Path) -> Extraction:
    """The films of a task and what the extraction makes of them, under `folder`, made now or found.

    Raises:
        InputError: no film could be made.
        MissingAsset: the robot's or the networks' files are missing, or no off-screen OpenGL works.
        DiskFull: no space left; what was finished is kept.
    """
    made = film_task(film_config(config, task), folder / "films" / Path(task).stem)
    if not made.rows:
        reason = next(iter(made.failed.values()), "nobody knows why")
        raise InputError(f"no film of {task} could be made", asked=f"{config.film.clips} clips", found=reason)
    data = data_config(config, tuple(Path(row["video"]) for row in made.rows))
    return extract_all(sources_of(data), data, folder / "films" / "store")


def filmed_episodes(
    config: TransferConfig, bridges: BridgeConfig, task: str, spec: ActionSpec, folder: Path, instruction: str
) -> Iterator[CacheEpisode]:
    """An episode per stretch of a film in which a hand was followed.

    Raises:
        InputError: no stretch of any film is of use; and what `extracted` raises.
    """
    done, robot = extracted(config, task, folder), load_robot(config.robot)
    sources = {outcome.source.source_id: outcome for outcome in done.sources}
    count = 0
    for clip in done.clips:
        source = sources[clip.source_id]
        held = load_held(held_path(source.source.uri))
        for segment in clip.segments:
            if segment.robot_path is None or segment.activity_path is None:
                continue
            one = _episode(segment, source, held, robot, spec, bridges, config, instruction)
            if one is not None:
                count += 1
                yield one
    if not count:
        rejects = [str(clip.reject) for clip in done.clips if clip.reject is not None]
        raise InputError(
            f"nobody could be followed in the films of {task}",
            asked=f"{len(done.clips)} clips",
            found="; ".join(dict.fromkeys(rejects)) or "no stretch with a hand",
            next_command="vidpretrain extract on one of the films",
        )


def _episode(
    segment: Segment,
    source: SourceOutcome,
    held: Held,
    robot: Robot,
    spec: ActionSpec,
    bridges: BridgeConfig,
    config: TransferConfig,
    instruction: str,
) -> CacheEpisode | None:
    human: HumanMotion = serialize.load(segment.motion_path)[segment.index]
    moved: RobotMotion = serialize.load(segment.robot_path)  # type: ignore[arg-type]
    activity: Activity = serialize.load(segment.activity_path)  # type: ignore[arg-type]
    T_camera_wrist, seen = robot_wrists(human, held)
    hands, hands_known = _hands(moved, robot, human.time_ns)
    T_base = geometry.compose(np.broadcast_to(held.T_base_camera, T_camera_wrist.shape), T_camera_wrist)
    state = np.concatenate([wrist_columns(T_base, spec, held.T_base_camera), hands], axis=-1)
    valid = _columns(spec, seen, seen & hands_known)
    if valid.any(axis=1).mean() < _LEAST_SHARE:
        return None
    ahead = np.minimum(np.arange(len(state)) + 1, len(state) - 1)
    action = state[ahead]
    if bridges.grip:
        action = closed_where(action, spec, activity.grasp[ahead])
    weight = _columns(spec, *(2 * (_trust(human, config),)))
    return CacheEpisode(
        images=_pictures(source, human, held.fov_rad, config.world.image_px, bridges.masking),
        state=state.astype(np.float32),
        action=action.astype(np.float32),
        valid=valid & valid[ahead],
        weight=weight.astype(np.float32) if bridges.trust else np.ones(state.shape, dtype=np.float32),
        fov_rad=held.fov_rad,
        instruction=instruction,
        source=segment.segment_id,
    )


def robot_wrists(human: HumanMotion, held: Held) -> tuple[Float64[np.ndarray, "t 2 7"], Bool[np.ndarray, "t 2"]]:
    """(T_camera_wrist, known): the robot's wrists that have what the person's hands have, left and right.

    Of `held` only the robot's own sizes are used. Unknown rows hold the identity.
    """
    T_camera_world = None
    if human.camera.T_world_camera is not None:
        T_camera_world = geometry.inverse(human.camera.T_world_camera)
    out = np.tile(geometry.IDENTITY_POSE, (len(human.time_ns), 2, 1))
    known = np.zeros((len(human.time_ns), 2), dtype=bool)
    for k, side in enumerate(skeletons.SIDES):
        part = skeletons.HAND_SLICES[side]
        p, used = human.p_world_keypoint[:, part], human.valid[:, part] & ~human.imputed[:, part]
        good = used[:, [0, 5, 9, 17]].all(axis=1) & np.isfinite(p).all(axis=(1, 2))
        if not good.any():
            continue
        q = geometry.quat_from_matrix(palm_frame(p[good], side))
        T = geometry.pose(q, p[good][:, _WRIST])
        if T_camera_world is not None:
            T = geometry.compose(T_camera_world[good], T)
        knuckle_m = float(np.median(np.linalg.norm(p[good][:, _KNUCKLE] - p[good][:, _WRIST], axis=1)))
        palm = palm_of_wrist(T, held.grip[k], knuckle_m, side)
        out[good, k] = geometry.compose(palm, np.broadcast_to(held.T_palm_wrist[k], palm.shape))
        known[good, k] = True
    return out, known


def closed_where(vector: Float[np.ndarray, "t d"], spec: ActionSpec, grasp: Bool[np.ndarray, "t 2"]) -> np.ndarray:
    """The vectors with a hand that grasps told to close wholly; how a thumb is turned stays."""
    out = np.array(vector)
    for group, part in zip(spec.groups, spec.slices().values(), strict=True):
        if group.quantity == "hand":
            bends = np.arange(part.start, part.stop)[["rotation" not in name for name in group.names]]
            rows = grasp[:, int(group.name.startswith("right"))]
            out[np.ix_(rows, bends)] = 0.0
    return out


def _hands(moved: RobotMotion, robot: Robot, time_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(hands' columns (t h), known (t 2)) of the robot's motion at a film's times."""
    own = spec_for(robot, ActionConfig(rate_hz=moved.rate_hz, wrist_poses=False))
    rows, slices = trajectory(moved, robot, own), own.slices()
    at = timebase.nearest_index(moved.time_ns, time_ns)
    groups = [group.name for group in own.groups if group.quantity == "hand"]
    hands = np.concatenate([rows.state[at, slices[name]] for name in groups], axis=1)
    sides = [f"{side}_hand" for side in skeletons.SIDES]
    known = [rows.valid[at, slices[s]].all(axis=1) if s in slices else np.zeros(len(at), dtype=bool) for s in sides]
    return hands.astype(float), np.stack(known, axis=1)


def _trust(human: HumanMotion, config: TransferConfig) -> np.ndarray:
    """(t 2): 1 where a wrist is exact, 1/2 where its sigma reaches what retargeting calls trust."""
    trust_m = data_config(config).retarget.trust_m
    wrists = [skeletons.HAND_SLICES[side].start for side in skeletons.SIDES]
    sigma = np.nan_to_num(human.sigma_m[:, wrists], nan=np.inf)
    return 1.0 / (1.0 + (sigma / trust_m) ** 2)


def _columns(spec: ActionSpec, wrists: np.ndarray, hands: np.ndarray) -> np.ndarray:
    """Per-side values (t 2) spread over the columns of each side's groups."""
    parts = []
    for group in spec.groups:
        source = hands if group.quantity == "hand" else wrists
        parts.append(np.repeat(source[:, [int(group.name.startswith("right"))]], group.width, axis=1))
    return np.concatenate(parts, axis=1)


def _pictures(
    source: SourceOutcome, human: HumanMotion, fov_rad: float, px: int, masked: bool
) -> UInt8[np.ndarray, "t s s 3"]:
    """The film's pictures of the motion's rows as a camera of this field of view would show them."""
    assert source.info is not None
    at = timebase.nearest_index(source.info.time_ns, human.time_ns)
    with open_video(source.info) as reader:
        pictures: Any = reader.read(at)
    if masked:
        pictures = blackened(pictures, human)
    return np.stack([seen_as(picture, human.camera.K, fov_rad, px) for picture in pictures])
