"""The one configuration of a run: every room's settings under the room's name. Importable without anything heavy."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vidpretrain.actions.config import ActionConfig
from vidpretrain.control.config import ControlConfig
from vidpretrain.dataset.config import DatasetConfig
from vidpretrain.evaluate.config import EvaluateConfig
from vidpretrain.export.config import ExportConfig
from vidpretrain.feasibility.config import FeasibilityConfig
from vidpretrain.gap.config import GapConfig
from vidpretrain.model.config import ModelConfig
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion_files.config import MotionFileConfig
from vidpretrain.pipeline.config import DataConfig
from vidpretrain.pose.config import PoseConfig
from vidpretrain.pose.reject_config import RejectConfig
from vidpretrain.publish.config import PublishConfig
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.segments.config import SegmentConfig
from vidpretrain.serve.config import ServeConfig
from vidpretrain.sim.config import SimConfig
from vidpretrain.synth.config import SynthConfig
from vidpretrain.training.config import PredictConfig, TrainConfig
from vidpretrain.video.config import VideoConfig


@dataclass(frozen=True, kw_only=True)
class RobotDataConfig:
    """The few real robot episodes: a LeRobot data set (v3.0 or v2.1), which are held out and how many are trained on.

    `held_out` episodes are never trained on: the last of each of as many equal stretches of the data set ("spread"),
    so that they cover the whole recording session, or the last ones ("last"), which asks for what was recorded
    after the training episodes. `train` of the others are used, evenly spaced (None: all of them).
    """

    root: Path | None = None
    held_out: int = 4
    held_out_by: Literal["spread", "last"] = "spread"
    train: int | None = None

    def __post_init__(self) -> None:
        if self.held_out < 1 or (self.train is not None and self.train < 1):
            raise ValueError("held_out and train are at least 1")

    def split(self, count: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(episodes to train on, episodes held out) of a data set of `count` episodes.

        Raises:
            ValueError: too few episodes.
        """
        rest = count - self.held_out
        if rest < 1 or (self.train is not None and self.train > rest):
            wanted = "some" if self.train is None else self.train
            raise ValueError(f"{count} episodes do not leave {wanted} to train on when {self.held_out} are held out")
        if self.held_out_by == "last":
            held_out = tuple(range(rest, count))
        else:
            held_out = tuple((i + 1) * count // self.held_out - 1 for i in range(self.held_out))
        others = [i for i in range(count) if i not in held_out]
        used = len(others) if self.train is None else self.train
        return tuple(others[i * len(others) // used] for i in range(used)), held_out


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What the report shows: at most `clips` paired clips of at most `clip_s` seconds each."""

    clips: int = 8
    clip_s: float = 6.0
    height_px: int = 320
    stills: int = 3
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A whole run. `out` is its folder; `workers` 0 is one process per core; `checkpoint` names the policy that
    `finetune`, `predict` and `evaluate` start from when it is not the run's own."""

    out: Path = Path("runs/run")
    robot: str = "g1_inspire"
    workers: int = 0
    checkpoint: Path | None = None
    video: VideoConfig = field(default_factory=VideoConfig)
    pose: PoseConfig = field(default_factory=PoseConfig)
    motion: MotionConfig = field(default_factory=MotionConfig)
    rejects: RejectConfig = field(default_factory=RejectConfig)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    motion_files: MotionFileConfig = field(default_factory=MotionFileConfig)
    retarget: RetargetConfig = field(default_factory=RetargetConfig)
    feasibility: FeasibilityConfig = field(default_factory=FeasibilityConfig)
    actions: ActionConfig = field(default_factory=ActionConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    robot_data: RobotDataConfig = field(default_factory=RobotDataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    pretrain: TrainConfig = field(default_factory=TrainConfig)
    finetune: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    publish: PublishConfig = field(default_factory=PublishConfig)
    gap: GapConfig = field(default_factory=GapConfig)
    sim: SimConfig = field(default_factory=SimConfig)
    synth: SynthConfig = field(default_factory=SynthConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def __post_init__(self) -> None:
        rates = {
            "retarget.rate_hz": self.retarget.rate_hz,
            "actions.rate_hz": self.actions.rate_hz,
            "dataset.rate_hz": self.dataset.rate_hz,
        }
        if len(set(rates.values())) > 1:
            raise ValueError(f"these rates must be the same: {rates}")
        if self.workers < 0:
            raise ValueError(f"workers is 0 (one per core) or more, not {self.workers}")

    @property
    def store(self) -> Path:
        """Where results of stages are kept."""
        return self.out / "store"

    def data(self) -> DataConfig:
        """What the stages up to robot motion see of this configuration."""
        return DataConfig(
            video=self.video,
            pose=self.pose,
            motion=self.motion,
            rejects=self.rejects,
            segments=self.segments,
            retarget=self.retarget,
            feasibility=self.feasibility,
            robot=self.robot,
            workers=self.workers,
        )


def with_videos(config: RunConfig, inputs: tuple[str, ...]) -> RunConfig:
    """The configuration with `inputs`, where there are any, as its videos."""
    if not inputs:
        return config
    return dataclasses.replace(config, video=dataclasses.replace(config.video, paths=tuple(map(Path, inputs))))
