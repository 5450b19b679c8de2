"""Retargeting as it happens: a person's points in, the robot's joints out, frame by frame.

Targets are built by the same functions as a whole clip's, from a window of frames: the newest, those just before it,
and a few kept from the start, which are exchanged slowly. So the person's sizes and the placement are those of the
first frames and adapt over half a minute; a heading and an offset, where the placement needs them, are held for good.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.retarget import body as whole
from vidpretrain.retarget import faults, placement
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.fit import side_state
from vidpretrain.retarget.hands import SeenHand, seen_hand, wrist_rotation
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.retarget.targets import SideState, all_terms, build_problem, finger_terms, hand_problem, other_postures
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import RobotSize, fingers_of, measure
from vidpretrain.skeletons import HAND_SLICES, SIDES
from vidpretrain.solve import Problem, Start, Stream, targets_of
from vidpretrain.types import Camera, Frozen, HumanMotion

_KEPT, _RECENT = 24, 13  # frames of the window: kept ones, and as many new ones as a trunk is smoothed over
_EXCHANGE_S = 1.0  # the oldest kept frame goes, all but the very first
_MOST_TICKS = 4  # of the robot's clock in one call
_EARLY = 0.25  # of a tick: cameras' times tremble
_SIGMA_M = 0.01
_CAUSAL = 0.25  # of a clip's weight of accelerations: against the past alone the full one holds a motion back


@dataclass(frozen=True, kw_only=True)
class LiveStep(Frozen):
    """What the robot does now: joints (j), base (7), and in metres what is left to the error sites that have a target.

    `follows` says which sides (left, right) follow the person; all false while the first frames are gathered.
    """

    time_ns: int
    joint_pos: Float64[np.ndarray, " j"]
    T_world_base: Float64[np.ndarray, " 7"]
    error_m: dict[str, float] = field(default_factory=dict)
    follows: tuple[bool, bool] = (False, False)
    seconds: float = 0.0


class LiveRetargeter:
    """Drives a robot by a person's points as they come; see `LiveRetargeter.step`.

    The robot's clock ticks at `config.rate_hz`: points that come faster wait for the next tick, and after a pause a
    few ticks are made up for at most, so that no speed limit is broken. The first `warmup_frames` usable frames say how
    large the person is and where they stand; until then the robot stays at home. From home it goes to the person as
    fast as its limits allow, or with `from_home=False` is there at once. `height_m` and `view` are as in `HumanMotion`.
    Feet are not planted (that needs the future); where the legs are seen they follow the person's.

    Raises:
        ConfigError: the robot lacks sites that retargeting needs.
    """

    def __init__(
        self,
        robot: Robot,
        config: RetargetConfig | None = None,
        *,
        height_m: float = 1.75,
        view: str = "third",
        camera: Camera | None = None,
        warmup_frames: int = 10,
        from_home: bool = True,
    ) -> None:
        self.robot, self._height_m, self._view, self._warmup = robot, height_m, view, max(1, warmup_frames)
        self.config = dataclasses.replace(config or RetargetConfig(), plant_feet=False)
        self._side = robot.sides[0] if robot.is_hand else ""
        self._fingers = fingers_of(robot, self._side) if robot.is_hand else ()
        self._size = None if robot.is_hand else measure(robot)
        self._nobody = _nobody(camera)
        self._from_home = from_home
        Stream(robot.tree, Problem(rate_hz=1.0, frames=1, terms=()), Start(joint_pos=robot.home))  # compiles
        self.reset()

    def reset(self) -> None:
        """Forget the person, and go back home."""
        self._kept: list[_Row] = []
        self._recent: deque[_Row] = deque(maxlen=_RECENT)
        self._held: dict[str, Any] = {}
        self._kind, self._whole, self._stream = "", False, None
        self._terms: dict[tuple, Any] = {}
        self._first_ns, self._ticks = 0, 0
        base = np.array([1.0, 0, 0, 0, 0, 0, 0.0 if self.robot.is_hand else self.robot.base_height_m])
        self._last = LiveStep(
            time_ns=0, joint_pos=self.robot.tree.with_mimic(np.array(self.robot.home)), T_world_base=base
        )

    def step(
        self,
        time_ns: int,
        p_world_keypoint: Float64[np.ndarray, "k 3"],
        *,
        sigma_m: Float64[np.ndarray, " k"] | None = None,
        T_world_root: Float64[np.ndarray, " 7"] | None = None,
        T_world_camera: Float64[np.ndarray, " 7"] | None = None,
    ) -> LiveStep:
        """The robot at `time_ns` (ns, growing) by the points of human75, or of hand21 for a robot that is a hand.

        Points are in metres in the world (z up), NaN where not seen; `sigma_m` (a centimetre without) and the poses of
        pelvis and camera are as in `HumanMotion`. A point that lies is left out as in `retarget`.

        Raises:
            ValueError: the points are of another skeleton.
        """
        begin = time.perf_counter()
        row = self._row(time_ns, np.asarray(p_world_keypoint, dtype=float), sigma_m, T_world_root, T_world_camera)
        if self._recent and time_ns <= self._recent[-1].time_ns:
            return self._last  # a frame from the past says nothing new
        self._remember(row)
        due = self._due(time_ns)
        if due == 0:
            return self._last
        made = self._targets()
        if made is not None:
            terms, base, follows = made
            self._last = self._follow(terms, base, follows, due)
        self._last = dataclasses.replace(self._last, time_ns=int(time_ns), seconds=time.perf_counter() - begin)
        return self._last

    def _row(self, time_ns, points, sigma_m, root, camera) -> _Row:
        sigma = np.full(len(points), _SIGMA_M) if sigma_m is None else np.asarray(sigma_m, dtype=float)
        if points.shape == (21, 3) and self.robot.is_hand:
            columns = HAND_SLICES[self._side]
            every, spread = np.full((75, 3), np.nan), np.full(75, np.nan)
            every[columns], spread[columns] = points, sigma
            points, sigma = every, spread
        if points.shape != (75, 3) or sigma.shape != (75,):
            raise ValueError(f"a live step takes human75, or hand21 for a hand; found points {points.shape}")
        nowhere = np.full(7, np.nan)
        valid = np.isfinite(points).all(axis=1) & np.isfinite(sigma) & (sigma >= 0)
        return _Row(
            time_ns=int(time_ns),
            points=np.where(valid[:, None], points, np.nan),
            sigma=np.where(valid, sigma, np.nan),
            valid=valid,
            root=nowhere if root is None else np.asarray(root, dtype=float),
            camera=nowhere if camera is None else np.asarray(camera, dtype=float),
        )

    def _remember(self, row: _Row) -> None:
        """Keep the row in the window: at first all usable ones, later one in a while for the oldest but the first."""
        gone = self._recent[0] if len(self._recent) == _RECENT else None
        self._recent.append(row)
        if gone is None or not gone.valid.any():
            return
        if len(self._kept) < _KEPT:
            self._kept.append(gone)
        elif gone.time_ns - self._kept[-1].time_ns > _EXCHANGE_S * 1e9:
            self._kept = [self._kept[0], *self._kept[2:], gone]

    def _due(self, time_ns: int) -> int:
        """Ticks of the robot's clock that are due."""
        if self._stream is None:
            self._first_ns, self._ticks = int(time_ns), 0
            return 1
        now = int((time_ns - self._first_ns) * 1e-9 * self.config.rate_hz + _EARLY)
        due = min(now - self._ticks, _MOST_TICKS)
        self._ticks = now
        return max(0, due)

    def _grid(self) -> GridMotion:
        rows = [*self._kept, *self._recent]
        valid = np.stack([row.valid for row in rows])
        return GridMotion(
            time_ns=np.array([row.time_ns for row in rows], dtype=np.int64),
            p_world_keypoint=np.stack([row.points for row in rows]),
            sigma_m=np.stack([row.sigma for row in rows]),
            valid=valid,
            imputed=np.zeros_like(valid),
            T_world_root=np.stack([row.root for row in rows]),
            T_world_camera=np.stack([row.camera for row in rows]),
            contact=np.full((len(rows), 2), np.nan),
        )

    def _targets(self) -> tuple[list, np.ndarray, tuple[bool, bool]] | None:
        """(terms and error sites over the window, base of now, sides that follow), or None while there is nothing."""
        grid, _, refused = faults.clean(self._grid(), self._nobody, self.config)
        if refused:
            return None if self._stream is None else ([], self._last.T_world_base, (False, False))
        hands = {side: seen_hand(grid, side, self.config) for side in SIDES}
        if self.robot.is_hand:
            return self._hand_targets(grid, hands[self._side])
        assert self._size is not None
        size: RobotSize = self._size
        if not self._kind:
            arms = np.stack([grid.seen(f"{side}_shoulder", f"{side}_wrist") for side in SIDES]).any(axis=0)
            usable = arms | np.stack([hand.valid for hand in hands.values()]).any(axis=0)
            if usable.sum() < self._warmup:
                return None
            self._kind = placement.choose(grid, hands, self._view, self.config)
            self._whole = whole.is_whole_body(grid, size, self._kind, self.config)
        placed = placement.place(self._kind, grid, hands, self.robot, size, self._height_m, self.config, self._held)
        states = {side: side_state(grid, side, hands[side], placed.arms[side], self.config) for side in SIDES}
        body, base = None, self._last.T_world_base
        if self._whole:
            body = whole.place_body(grid, size, self._height_m, {side: np.zeros((4, 3)) for side in SIDES}, self.config)
            base = np.asarray(body.T_world_pelvis[-1])
        if self._stream is None:
            self._problem, _ = build_problem(self.robot, size, placed, hands, states, body, self.config)
        terms = list(all_terms(self.robot, size, placed, hands, states, body, self.config))
        left, right = (bool(states[side].arm[-1]) for side in SIDES)
        return terms, base, (left, right)

    def _hand_targets(self, grid: GridMotion, hand: SeenHand) -> tuple[list, np.ndarray, tuple[bool, bool]] | None:
        if self._stream is None and hand.valid.sum() < self._warmup:
            return None
        sigma = grid.sigma(f"{self._side}_hand_wrist")
        state = SideState(arm=hand.valid, hand=hand.valid, imputed=hand.imputed, sigma_m=sigma)
        if self._stream is None:
            self._problem, _ = hand_problem(self.robot, self._side, self._fingers, hand, state, self.config)
        terms = list(finger_terms(self._side, self._fingers, hand, state, self.config))
        base, seen = self._last.T_world_base, bool(hand.valid[-1])
        if seen:
            home = np.array(self.robot.home)[None]
            T_base_wrist = site_poses(self.robot.tree, home, None, [f"{self._side}_wrist"])[0, 0]
            wrist = geometry.pose(wrist_rotation(hand)[-1], hand.p_world_point[-1, 0])
            base = geometry.compose(wrist, geometry.inverse(T_base_wrist))
        return terms, base, (seen and self._side == "left", seen and self._side == "right")

    def _follow(self, terms: list, base: np.ndarray, follows: tuple[bool, bool], due: int) -> LiveStep:
        """Step the stream `due` times towards the newest row of the terms."""
        now = {_key(term): (_last_row(term), name) for term, name in terms}
        if self._stream is None or not now.keys() <= self._terms.keys():
            self._terms |= {key: found for key, found in now.items() if key not in self._terms}
            self._stream = self._begin(base)
        every = [now[key][0] if key in now else _unseen(found[0]) for key, found in self._terms.items()]
        vectors, turns, weights = (part[0] for part in targets_of(tuple(every)))
        step = None
        for _ in range(due):
            step = self._stream.step(vectors, turns, weights=weights)
        assert step is not None
        left = dict(zip([name for _, name in self._terms.values()], step.residual, strict=True))
        return LiveStep(
            time_ns=0,
            joint_pos=step.joint_pos,
            T_world_base=step.T_world_base if self._whole else base,
            error_m={name: float(x) for name, x in left.items() if name and np.isfinite(x)},
            follows=follows,
        )

    def _begin(self, base: np.ndarray) -> Stream:
        """A stream with all terms that were ever seen, from where the robot is."""
        terms = tuple(term for term, _ in self._terms.values())
        acceleration = _CAUSAL * np.asarray(self._problem.acceleration_weight)
        problem = dataclasses.replace(self._problem, frames=1, terms=terms, acceleration_weight=acceleration)
        if self.config.self_collision is True:
            from vidpretrain.collision import model_of

            shape = model_of(self.robot)
            problem = dataclasses.replace(
                problem, self_collision=shape, collision_margin_m=self.config.collision_margin_m
            )
        if self._stream is not None:
            start = Start(joint_pos=self._last.joint_pos, T_world_base=self._last.T_world_base if self._whole else None)
            return Stream(self.robot.tree, problem, start, standing=True)
        assert problem.posture is not None
        start = Start(
            joint_pos=problem.posture.q_ref,
            T_world_base=base if self._whole else None,
            others=np.zeros((0, 0)) if self.robot.is_hand else other_postures(self.robot, problem),
        )
        return Stream(self.robot.tree, problem, start, standing=self._from_home)


@dataclass(frozen=True, kw_only=True)
class _Row:
    time_ns: int
    points: np.ndarray
    sigma: np.ndarray
    valid: np.ndarray
    root: np.ndarray
    camera: np.ndarray


def _nobody(camera: Camera | None) -> HumanMotion:
    """A motion without frames: what the checks of a clip ask for beside its points."""
    plain = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), distortion=np.zeros(0), width_px=640,
                   height_px=480)  # fmt: skip
    return HumanMotion(
        clip_id="live",
        skeleton="human75",
        time_ns=np.zeros(0, dtype=np.int64),
        T_world_root=np.zeros((0, 7)),
        p_world_keypoint=np.zeros((0, 75, 3)),
        sigma_m=np.zeros((0, 75)),
        valid=np.zeros((0, 75), dtype=bool),
        imputed=np.zeros((0, 75), dtype=bool),
        contact=np.zeros((0, 2)),
        height_m=1.75,
        height_from="assumed",
        view="third",
        body_seen=True,
        camera=plain if camera is None else camera,
    )


def _key(term) -> tuple:
    """What a term is about, whatever its targets."""
    parts = ("site", "from_site", "to_site", "frame_site")
    return (type(term).__name__, *(getattr(term, part, None) for part in parts))


def _last_row(term):
    """The term in the newest frame alone."""
    arrays = {
        f.name: np.array(value[-1:])
        for f in dataclasses.fields(term)
        if isinstance(value := getattr(term, f.name), np.ndarray)
    }
    return dataclasses.replace(term, **arrays)


def _unseen(term):
    return dataclasses.replace(term, weight=np.zeros(1))
