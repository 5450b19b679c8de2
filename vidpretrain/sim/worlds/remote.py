"""Episodes whose policy lives in another process: several worlds in a worker, one question for all of them at once.

The worker has pictures and physics and no torch; the policy's process has torch and draws nothing. Over a pipe the
worker sends a `Question` (what every running episode sees), gets an answer (a chunk of vectors for each), plays
`execute` rows of it, and asks again, until its seeds are done; every `Outcome` is sent when its episode ends. Which
episodes share a question is a matter of their order alone, so the same seeds give the same batches.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import numpy as np

from vidpretrain.actions import ActionConfig, base_wrists, camera_spec
from vidpretrain.actions.camera import Frame, hand_columns, wrist_columns
from vidpretrain.errors import InputError
from vidpretrain.sim.worlds.config import WorldConfig
from vidpretrain.sim.worlds.rollout import Outcome

_TRIES = 2  # times that a worker is started again
_KEPT = 2  # configurations whose worlds a worker keeps


@dataclass(frozen=True, kw_only=True)
class RemoteConfig:
    """What is played: `seeds`, `slots` episodes of a worker at a time, `execute` rows of every chunk.

    `frame` is that of the vectors (`actions.camera_spec`); `history` are the rows before now that the policy sees.
    """

    task: str
    robot: str
    world: WorldConfig
    seeds: tuple[int, ...]
    slots: int = 8
    execute: int = 4
    frame: Frame = "camera"
    history: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Question:
    """What n running episodes see: images (n s s 3) uint8, state (n d), history (n t d) with the first state before
    the start, fov_rad (n); `key` (n) tells episodes and steps apart, for the policy's noise."""

    images: np.ndarray
    state: np.ndarray
    history: np.ndarray
    fov_rad: np.ndarray
    key: np.ndarray
    instruction: str


Answer = Callable[[Question], np.ndarray]  # (n h d) absolute vectors


def play_remotely(config: RemoteConfig, answer: Answer, workers: int = 1) -> list[Outcome]:
    """Outcomes in the order of the seeds, the policy answering in this process; see `Players.play`."""
    with Players(workers) as players:
        return players.play(config, answer)


class Players:
    """Worker processes that stay, with the worlds of the last `_KEPT` configurations compiled; a context manager."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = [_Worker() for _ in range(workers)]

    def play(self, config: RemoteConfig, answer: Answer) -> list[Outcome]:
        """Outcomes in the order of the seeds, the policy answering in this process.

        A worker that dies is started again with what it had not finished, twice; after that its open episodes count as
        failures (`unstable` says so).

        Raises:
            InputError: the task or robot cannot be set up; the message has the worker's words.
        """
        done: dict[int, Outcome] = {}
        count = len(self._workers)
        running: dict[Connection, _Worker] = {}
        for k, worker in enumerate(self._workers):
            if config.seeds[k::count]:
                worker.begin(config, config.seeds[k::count])
                running[worker.pipe] = worker
        while running:
            for pipe in wait(list(running)):
                assert isinstance(pipe, Connection)
                worker = running.pop(pipe)
                if worker.serve(answer, done):
                    running[worker.pipe] = worker
        return [done[seed] for seed in config.seeds]

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            worker.end()

    def __enter__(self) -> Players:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """A process that plays what it is told, one order at a time."""

    def __init__(self) -> None:
        self.config: RemoteConfig | None = None
        self.seeds: Sequence[int] = ()
        self.tries = 0
        self._start()

    def _start(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, config: RemoteConfig, seeds: Sequence[int], tries: int = _TRIES) -> None:
        """Give an order; a process that has died meanwhile says so when it is served."""
        self.config, self.seeds, self.tries = config, tuple(seeds), tries
        with contextlib.suppress(OSError):
            self.pipe.send((config, self.seeds))

    def serve(self, answer: Answer, done: dict[int, Outcome]) -> bool:
        """Take one message; whether the order goes on.

        Raises:
            InputError: what is wrong in the worker.
        """
        assert self.config is not None
        try:
            message = self.pipe.recv()
        except (EOFError, OSError):
            return self._again(done)
        if isinstance(message, Question):
            with contextlib.suppress(OSError):  # it has died meanwhile: the next message says so
                self.pipe.send(answer(message))
        elif isinstance(message, Outcome):
            done[message.seed] = message
        elif isinstance(message, str):
            raise InputError(f"a world cannot be played: {message}", asked=f"{self.config.task}, {self.config.robot}")
        return message is not None

    def _again(self, done: dict[int, Outcome]) -> bool:
        """A new process for what is left; without tries the rest fails."""
        assert self.config is not None
        self.end()
        self._start()
        left = [seed for seed in self.seeds if seed not in done]
        if left and self.tries > 0:
            self.begin(self.config, left, self.tries - 1)
            return True
        for seed in left:
            done[seed] = Outcome(seed=seed, success=False, progress=0.0, steps=0, unstable="worker died")
        return False

    def end(self) -> None:
        """End the process: it keeps nothing that is not drawn again."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _work(pipe: Connection) -> None:
    def answer(question: Question) -> np.ndarray:
        pipe.send(question)
        return pipe.recv()

    kept: dict[Any, list[_Slot]] = {}
    try:
        while True:
            config, seeds = pipe.recv()
            try:
                for outcome in played(config, seeds, answer, kept):
                    pipe.send(outcome)
                pipe.send(None)
            except (EOFError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - said where somebody can read it, instead of a silent end
                pipe.send(f"{type(error).__name__}: {error}")
    except (EOFError, OSError):  # whoever asked is gone
        return


def played(
    config: RemoteConfig, seeds: Sequence[int], answer: Answer, kept: dict[Any, list[_Slot]] | None = None
) -> Iterator[Outcome]:
    """Outcomes as episodes end; `kept` are worlds from earlier calls. Worker processes only: it draws."""
    waiting = list(seeds)
    slots = _slots(config, min(config.slots, len(waiting)), {} if kept is None else kept)
    while True:
        for slot in slots:
            while waiting and not slot.running:
                if (outcome := slot.begin(waiting.pop(0))) is not None:
                    yield outcome
        running = [slot for slot in slots if slot.running]
        if not running:
            return
        chunks = answer(_question(running))
        for slot, chunk in zip(running, chunks, strict=True):
            if (outcome := slot.play(chunk)) is not None:
                yield outcome


def _slots(config: RemoteConfig, count: int, kept: dict[Any, list[_Slot]]) -> list[_Slot]:
    """So many slots of a configuration, made now or kept; the oldest configurations' worlds are closed."""
    key = (config.task, config.robot, config.world, config.frame, config.history, config.execute)
    slots = kept.pop(key, [])
    slots += [_Slot(config) for _ in range(count - len(slots))]
    kept[key] = slots
    while len(kept) > _KEPT:
        for slot in kept.pop(next(iter(kept))):
            slot.world.close()
    for slot in slots:
        slot.running = False
    return slots[:count]


def _question(running: Sequence[_Slot]) -> Question:
    return Question(
        images=np.stack([slot.image for slot in running]),
        state=np.stack([slot.states[-1] for slot in running]),
        history=np.stack([slot.history() for slot in running]),
        fov_rad=np.array([slot.fov_rad for slot in running], dtype=np.float32),
        key=np.array([slot.seed * 10_000 + slot.steps for slot in running], dtype=np.int64),
        instruction=running[0].world.task.instruction,
    )


class _Slot:
    """One world and the episode that runs in it."""

    def __init__(self, config: RemoteConfig) -> None:
        from vidpretrain.sim.worlds.drive import WristDriver
        from vidpretrain.sim.worlds.env import World

        self.config, self.world = config, World(config.task, config.robot, config.world)
        stage = self.world.stage
        self.spec = camera_spec(stage.robot, ActionConfig(rate_hz=config.world.rate_hz), frame=config.frame)
        slices = stage.spec.slices()
        hands = [np.arange(stage.spec.width)[slices[g.name]] for g in stage.spec.groups if g.quantity == "hand"]
        self.hands = np.concatenate([*hands, np.arange(0)]).astype(int)
        self.driver, self.running = WristDriver(stage), False
        self.seed, self.steps = 0, 0
        self.states: list[np.ndarray] = []
        self.fov_rad = stage.fov_rad

    def begin(self, seed: int) -> Outcome | None:
        """Start an episode; one that is not stable is over at once."""
        from vidpretrain.sim.worlds.stage import Unstable

        self.seed, self.steps, self.states, self.world.images = seed, 0, [], True
        try:
            observation, info = self.world.reset(options={"episode_seed": seed})
        except Unstable as error:
            return Outcome(seed=seed, success=False, progress=0.0, steps=0, unstable=str(error.found))
        self.running = True
        self.driver.reset()
        self._see(observation, info)
        return None

    def play(self, chunk: np.ndarray) -> Outcome | None:
        """Play the first rows of a chunk (h d); what came of the episode when it ended in them.

        Only the picture after the last row is seen by anybody, so only that one is drawn.
        """
        T_base_wrist, hands = base_wrists(chunk, self.spec, self.world.T_base_camera), hand_columns(chunk)
        count = min(self.config.execute, len(chunk))
        for k in range(count):
            self.world.images = k + 1 == count
            observation, _, done, cut, info = self.world.step(self.driver.action(T_base_wrist[k], hands[k]))
            self.steps += 1
            self._see(observation, info)
            if done or cut:
                self.running = False
                return Outcome(
                    seed=self.seed,
                    success=bool(info["success"]),
                    progress=float(info["progress"]),
                    steps=self.steps,
                    unstable=info["unstable"],
                )
        return None

    def history(self) -> np.ndarray:
        """States at the history's offsets; before the start the first one."""
        last = len(self.states) - 1
        rows = [self.states[max(0, last + offset)] for offset in self.config.history]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.spec.width)

    def _see(self, observation: dict[str, Any], info: dict[str, Any]) -> None:
        self.image = observation["image"]
        wrists = wrist_columns(info["T_base_wrist"], self.spec, self.world.T_base_camera)
        self.states.append(np.concatenate([wrists, observation["state"][self.hands]]).astype(np.float32))
