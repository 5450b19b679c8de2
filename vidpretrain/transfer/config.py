"""What the few-demo benchmark runs. No torch and no MuJoCo here: the command line reads this."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from vidpretrain.errors import unknown_name
from vidpretrain.model.config import ModelConfig
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.synth.tasks.config import FilmConfig
from vidpretrain.training.config import Part, TrainConfig

Arm = Literal["scratch", "pretrained", "shuffled", "phase", "images", "cotrain", "zero"]
Bridge = Literal["time", "frame", "scale", "trust", "adapters", "masking", "midtrain", "grip"]
ARMS: tuple[Arm, ...] = get_args(Arm)
BRIDGES: tuple[Bridge, ...] = get_args(Bridge)


@dataclass(frozen=True, kw_only=True)
class PeopleConfig:
    """Level-1 people: the expert's motion as another body would show it, and a tracker would read it.

    A person does the task `speed` times as fast as the robot, sees it with a head camera that stands elsewhere
    (`camera_shift_m`, `camera_turn_rad`, standard deviations over people) and has another field of view (`fov_share`),
    and has arms and hands of an own size. Labels have the tracker's noise, standard deviations: `place_m` across and
    `depth_m` along the view for a whole clip, `jitter_m` and `turn_rad` from frame to frame with `correlation`, `hand`
    of a hand's stroke; a clip's noise is between half and twice these, and its weight says so. `lost` is the share of
    time in which a hand is not found. `wrist_m` is how far a person's wrist lies from the robot's for the same hand.
    """

    episodes: int = 150
    first_seed: int = 100_000
    speed: tuple[float, float] = (3.0, 4.0)
    camera_shift_m: float = 0.03
    camera_turn_rad: float = 0.05
    fov_share: float = 0.15
    wrist_m: float = 0.01
    place_m: float = 0.008
    depth_m: float = 0.02
    jitter_m: float = 0.004
    turn_rad: float = 0.08
    hand: float = 0.06
    lost: float = 0.05
    correlation: float = 0.8

    def __post_init__(self) -> None:
        if self.episodes < 2 or not 1.0 <= self.speed[0] <= self.speed[1] <= 6.0:
            raise ValueError("people: episodes at least 2, speed from 1 to 6 and in order")
        if not 0 <= self.lost < 0.5 or not 0 <= self.correlation < 1:
            raise ValueError("people: lost in [0, .5), correlation in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class BridgeConfig:
    """What stands between people and robot, on or off.

    time: people's chunks run at the robot's speed (measured). frame: wrists in the head camera's frame (off: in the
    robot's base frame, a person's camera taken for the robot's). scale: each body's motion has its own normaliser
    (off: the person's is kept in fine-tuning). trust: labels count by their sigma (off: all alike). adapters: the robot
    begins with the person's state and action layers (off: with new ones). masking: arms are black in all pictures.
    midtrain: the first half of fine-tuning is on people and the demonstrations together. grip: where a person's hand is
    seen closed, its action is to close further, as a robot is told that holds by force (`data.squeezed`).
    """

    time: bool = True
    frame: bool = True
    scale: bool = False
    trust: bool = True
    adapters: bool = True
    masking: bool = False
    midtrain: bool = False
    grip: bool = False

    def flipped(self, bridge: Bridge | None) -> BridgeConfig:
        """With one of them the other way round."""
        return self if bridge is None else dataclasses.replace(self, **{bridge: not getattr(self, bridge)})


@dataclass(frozen=True, kw_only=True)
class KeepConfig:
    """How fine-tuning keeps what pretraining gave; see `TrainConfig`. `lr_scale` is of the rate of `finetune`."""

    lr_scale: float = 1.0
    trunk_lr_scale: float = 1.0
    frozen: tuple[Part, ...] = ()
    distil: float = 0.0
    interpolate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Where rates of learning and numbers of steps are chosen: on episodes and starts that no cell uses.

    Every arm is run with every rate of `lr`, `demos` demonstrations and `sets` sets of them, drawn from `episodes`
    recorded from `first_seed` on, and plays from `first_start` on, in distribution.
    """

    lr: tuple[float, ...] = (3e-4, 1e-3, 3e-3)
    demos: int = 5
    sets: int = 3
    episodes: int = 40
    first_seed: int = 200_000
    first_start: int = 60_000

    def __post_init__(self) -> None:
        if not self.lr or min(self.lr) <= 0 or self.sets < 1 or not 1 <= self.demos <= self.episodes:
            raise ValueError("tune: rates above 0, at least one set, demos among the episodes")


@dataclass(frozen=True, kw_only=True)
class PlayConfig:
    """Closed loop: `starts` episodes a task from `first_seed` on, the same in every cell; `execute` rows of a chunk.

    `slots` environments of each worker share a question to the policy; `temperature` is the size of its noise.
    `outside`: played out of the distribution too, with all axes of the world shifted.
    """

    starts: int = 100
    first_seed: int = 50_000
    execute: int = 8
    slots: int = 10
    workers: int = 2
    temperature: float = 1.0
    outside: bool = True

    def __post_init__(self) -> None:
        for name in ("starts", "execute", "slots", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"play.{name} is at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """The whole benchmark. All tasks are trained together, told by their instruction where there are several.

    `level` 1: people are drawn and tracked as `people` says. 2: rendered people are filmed as `film` says, and their
    videos go through the real extraction.

    `demos` are the sizes of a demonstration set per task, `sets` how many different ones there are (drawn from
    `robot_episodes` recorded ones, the smaller a part of the larger); they are the seeds. `scratch_demos` are sizes
    that only the arm from scratch is run with, for what few demonstrations with pretraining are worth. `arms` run with
    `bridges` as they are; `flip` names bridges that the arm `pretrained` is also run with the other way round, one at a
    time, with the sizes `flip_demos`. `finetune` is the same for every arm but for `rates`, each arm's rate of learning
    from the one grid of `tune`; `steps_of` are pairs (demonstrations, steps), the same for all arms. `keep` is added
    where there is a pretrained policy to keep, and `recipes` are other ways of keeping it that `pretrained` is run
    with, by name, with the sizes `recipe_demos`. `cotrain` fine-tunes with `people_share` of people in every batch.
    """

    tasks: tuple[str, ...] = ("pick_lift",)
    robot: str = "g1_inspire"
    world: WorldConfig = field(default_factory=lambda: WorldConfig(image_px=64))
    horizon: int = 16
    demos: tuple[int, ...] = (5, 10, 25, 100)
    scratch_demos: tuple[int, ...] = ()
    sets: int = 5
    robot_episodes: int = 200
    first_seed: int = 0
    level: Literal[1, 2] = 1
    people: PeopleConfig = field(default_factory=PeopleConfig)
    film: FilmConfig = field(default_factory=FilmConfig)
    bridges: BridgeConfig = field(default_factory=BridgeConfig)
    arms: tuple[Arm, ...] = ARMS
    flip: tuple[Bridge, ...] = ()
    flip_demos: tuple[int, ...] = (5, 10)
    people_share: float = 0.5
    model: ModelConfig = field(default_factory=ModelConfig)
    pretrain: TrainConfig = field(default_factory=TrainConfig)
    finetune: TrainConfig = field(default_factory=TrainConfig)
    steps_of: tuple[tuple[int, int], ...] = ()
    rates: dict[str, float] = field(default_factory=dict)
    tune: TuneConfig = field(default_factory=TuneConfig)
    keep: KeepConfig = field(default_factory=KeepConfig)
    recipes: dict[str, KeepConfig] = field(default_factory=dict)
    recipe_demos: tuple[int, ...] = (5,)
    play: PlayConfig = field(default_factory=PlayConfig)

    def __post_init__(self) -> None:
        for name, known in (("arms", ARMS), ("flip", BRIDGES), ("rates", ARMS)):
            for value in getattr(self, name):
                if value not in known:
                    raise unknown_name(name, value, known)
        if min((*self.rates.values(), *(steps for _, steps in self.steps_of), 1)) <= 0:
            raise ValueError("rates and steps_of: above 0")
        if not self.tasks or not self.demos or self.sets < 1 or min(self.demos) < 1:
            raise ValueError("tasks, demos and sets: at least one of each")
        if max(*self.demos, *self.scratch_demos, *self.flip_demos, *self.recipe_demos) > self.robot_episodes:
            raise ValueError(f"{max(self.demos)} demonstrations of {self.robot_episodes} recorded ones")
        if len(self.tasks) > 1 and self.model.text is None:
            raise ValueError("several tasks need model.text, or the policy does not know which to do")
        if not 0 < self.people_share < 1:
            raise ValueError(f"people_share lies in (0, 1), not {self.people_share}")

    def replace(self, **changes: Any) -> TransferConfig:
        """The same configuration with some fields changed."""
        return dataclasses.replace(self, **changes)
