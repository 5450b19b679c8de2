"""A scripted humanoid picks up a bottle: the few robot episodes of a demo that has no robot.

The simulation is kinematic. The expert's joint targets come from the whole-clip solver; the joints follow them as a
position controller does (a first-order lag); the bottle is fixed to the palm from the moment in which thumb and two
fingers of the *executed* posture touch it from opposite sides, and stays on the table otherwise. There are no contact
forces. Episodes in which the bottle is not lifted are dropped and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vidpretrain import geometry
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot
from vidpretrain.sim.config import RobotTaskConfig
from vidpretrain.sim.motions import palm_rotation

RADIUS_M, HALF_HEIGHT_M = 0.030, 0.090  # the bottle
LIFTED_M = 0.08  # a lift counts from here
_PALM_M = 0.017  # from the palm site to the skin of the palm
_PAD_M = 0.008  # from a fingertip site to its skin
_TOUCH_M = 0.008  # a fingertip nearer than this to the bottle's surface touches it
_FOLLOW = 0.8  # share of the way to the target that a joint goes within one frame
TABLE_BELOW_BASE_M = 0.115
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_FRACTION_OPEN, _THUMB_OPPOSED = 1.0, 0.1


@dataclass(frozen=True)
class Rollout:
    """One attempt: commanded and executed joint positions (t j) rad, the bottle's poses (t 7) in the base frame."""

    side: str
    command: np.ndarray
    joint_pos: np.ndarray
    T_base_bottle: np.ndarray
    attached: np.ndarray
    unsolved_m: float

    @property
    def lifted_m(self) -> float:
        """How much higher the bottle ends than it began."""
        return float(self.T_base_bottle[-1, 6] - self.T_base_bottle[0, 6])


def roll_out(
    robot: Robot, config: RobotTaskConfig, rng: np.random.Generator, p_base_bottle: np.ndarray | None = None
) -> Rollout:
    """One attempt at picking up a bottle that stands somewhere in reach, or at `p_base_bottle` (3) m."""
    side = str(rng.choice(["left", "right"])) if config.hand == "both" else config.hand
    sign = 1.0 if side == "left" else -1.0
    count = round(config.duration_s * config.rate_hz)
    bottle = np.array([rng.uniform(0.37, 0.45), sign * rng.uniform(0.03, 0.17), HALF_HEIGHT_M - TABLE_BELOW_BASE_M])
    bottle = bottle if p_base_bottle is None else np.asarray(p_base_bottle, dtype=float)
    start = _start(robot, rng)
    inward = rng.uniform(-0.05, 0.25) - 0.8 * (abs(bottle[1]) - 0.1)
    q_palm = palm_rotation(side, inward, 0.0, np.pi / 2)
    p_palm_bottle, closed = _grip(robot, side)
    time = np.arange(count) / (count - 1)
    phases = _phases(rng)
    palm = _palm_path(robot, side, start, bottle, q_palm, p_palm_bottle, time, phases, rng.uniform(0.13, 0.18))
    planned, unsolved = _solve(robot, side, start, palm, config.rate_hz)
    planned = _with_hand(robot, side, planned, closed, time, phases)
    command = np.concatenate([planned[1:], planned[-1:]])
    executed = _execute(robot, planned[0], command, config.rate_hz)
    T_bottle, attached = _carry(robot, side, executed, bottle, time >= phases[2])
    return Rollout(side, command, executed, T_bottle, attached, unsolved)


def _start(robot: Robot, rng: np.random.Generator) -> np.ndarray:
    """Home with slightly different arms."""
    q = np.array(robot.home)
    lower, upper = robot.tree.bounds()
    for side in ("left", "right"):
        joints = list(robot.joints(f"{side}_arm"))
        q[joints] = np.clip(q[joints] + rng.uniform(-0.06, 0.06, len(joints)), lower[joints], upper[joints])
    return robot.tree.with_mimic(q)


def _phases(rng: np.random.Generator) -> np.ndarray:
    """Shares of the clip at which the hand is beside the bottle, at it, begins and ends to close, and is up."""
    return np.array([0.32, 0.44, 0.46, 0.70, 0.94]) + rng.uniform(-0.015, 0.015, 5)


def _ease(time: np.ndarray, start: float, end: float) -> np.ndarray:
    tau = np.clip((time - start) / (end - start), 0.0, 1.0)
    return tau**3 * (10 - 15 * tau + 6 * tau * tau)


def _palm_path(robot, side, start, bottle, q_palm, p_palm_bottle, time, phases, rise_m) -> np.ndarray:
    """Palm poses (t 7) in the base frame: beside the bottle, to it, wait while the hand closes, up."""
    first = site_poses(robot.tree, start[None], None, [f"{side}_palm"])[0, 0]
    at = bottle - geometry.rotate(q_palm, p_palm_bottle)
    beside = at + geometry.rotate(q_palm, np.array([-0.07, 0.0, 0.045]))
    go, close, up = (_ease(time, *span)[:, None] for span in ((0.03, phases[0]), phases[0:2], (phases[3], phases[4])))
    p = first[4:] + go * (beside - first[4:]) + close * (at - beside) + up * np.array([0.0, 0.0, rise_m])
    p[:, 2] += 0.03 * 16 * go[:, 0] ** 2 * (1 - go[:, 0]) ** 2
    q = geometry.slerp(np.tile(first[:4], (len(time), 1)), np.tile(q_palm, (len(time), 1)), go[:, 0])
    return geometry.pose(q, p)


def _solve(robot: Robot, side: str, start: np.ndarray, palm: np.ndarray, rate_hz: float) -> tuple[np.ndarray, float]:
    """Joint positions (t j) whose palm follows the path, and the largest distance (m) left."""
    from vidpretrain.solve import OrientationTerm, PointTerm, PostureTerm, Problem, Start, solve_clip

    t, j = len(palm), len(robot.home)
    active = np.zeros(j, dtype=bool)
    active[list(robot.joints(f"{side}_arm"))] = True
    site = f"{side}_palm"
    problem = Problem(
        rate_hz=rate_hz,
        frames=t,
        terms=(
            PointTerm(site=site, p_world_target=palm[:, 4:], weight=np.full(t, 1 / 0.002**2)),
            OrientationTerm(site=site, q_world_target=palm[:, :4], weight=np.full(t, 1 / 0.03**2)),
        ),
        posture=PostureTerm(q_ref=start, weight=np.full(j, 1 / 4.0**2)),
        velocity_weight=np.full(j, 1 / 5.0**2),  # a redundant arm rests when its palm does
        acceleration_weight=np.full(j, 1 / 60.0**2),
        max_speed=np.array(robot.max_speed),
        active_joints=active,
    )
    solution = solve_clip(robot.tree, problem, Start(joint_pos=start))
    return np.array(solution.joint_pos), float(np.nanmax(solution.residual[0]))


def _grip(robot: Robot, side: str) -> tuple[np.ndarray, dict[str, float]]:
    """Bottle's axis in the palm frame (3), and the position of each hand column's joint at which its tip touches it."""
    sites = [f"{side}_palm", f"{side}_middle_knuckle"]
    palm, knuckle = site_poses(robot.tree, robot.home[None], None, sites)[0]
    centre = geometry.transform(geometry.inverse(palm), knuckle[4:]) * np.array([0.95, 0.0, 0.0])
    centre = centre + np.array([0.0, 0.0, -(_PALM_M + RADIUS_M)])
    columns = robot.group_columns(f"{side}_hand")
    levels = np.linspace(1.0, 0.0, 51)
    closed = {}
    for finger in _FINGERS:
        own = [c for c in columns if finger in c.name]
        if not own or f"{side}_{finger}_tip" not in robot.tree.site_names:
            continue
        poses = np.tile(robot.home, (len(levels), 1))
        for c in own:
            fraction = np.full(len(levels), _THUMB_OPPOSED) if "rotation" in c.name else levels
            poses[:, robot.tree.joint(c.joint)] = (fraction - c.offset) / c.scale
        tip = site_poses(robot.tree, robot.tree.with_mimic(poses), None, [f"{side}_palm", f"{side}_{finger}_tip"])
        local = geometry.transform(geometry.inverse(tip[:, 0]), tip[:, 1, 4:]) - centre
        gap = np.abs(np.hypot(local[:, 0], local[:, 2]) - RADIUS_M - _PAD_M)
        beyond = np.hypot(local[:, 0], local[:, 2]) < RADIUS_M + _PAD_M  # the first touch while closing
        best = int(np.argmax(beyond)) if beyond.any() else int(np.argmin(gap))
        for c in own:
            closed[c.joint] = float(poses[best, robot.tree.joint(c.joint)])
    return centre, closed


def _with_hand(robot, side, planned, closed, time, phases) -> np.ndarray:
    """The plan with the hand opening on the way and closing at the bottle; the other hand stays open."""
    out = np.array(planned)
    opening, closing = _ease(time, 0.0, phases[0]), _ease(time, phases[2], phases[3])
    for c in robot.group_columns(f"{side}_hand"):
        j = robot.tree.joint(c.joint)
        free = (_FRACTION_OPEN - c.offset) / c.scale
        ready = planned[:, j] + opening * (free - planned[:, j])
        out[:, j] = ready + closing * (closed.get(c.joint, free) - ready)
    lower, upper = robot.tree.bounds()
    return robot.tree.with_mimic(np.clip(out, lower, upper))


def _execute(robot: Robot, start: np.ndarray, command: np.ndarray, rate_hz: float) -> np.ndarray:
    """Executed positions (t j): each frame every joint goes `_FOLLOW` of the way to its target, within its speed."""
    out = np.empty_like(command)
    out[0] = start
    step = robot.max_speed / rate_hz
    for t in range(len(command) - 1):
        out[t + 1] = out[t] + np.clip(_FOLLOW * (command[t] - out[t]), -step, step)
    return robot.tree.with_mimic(out)


def touching(robot: Robot, side: str, joint_pos: np.ndarray, T_base_bottle: np.ndarray) -> np.ndarray:
    """Frames (t) in which the thumb and two more fingertips touch the bottle from opposite sides."""
    names = [f"{side}_{finger}_tip" for finger in _FINGERS if f"{side}_{finger}_tip" in robot.tree.site_names]
    tips = site_poses(robot.tree, joint_pos, None, names)[:, :, 4:]
    local = geometry.transform(geometry.inverse(T_base_bottle)[:, None], tips)
    radial = np.linalg.norm(local[..., :2], axis=-1)
    near = (np.abs(radial - RADIUS_M - _PAD_M) < _TOUCH_M) & (np.abs(local[..., 2]) < HALF_HEIGHT_M)
    direction = local[..., :2] / np.maximum(radial, 1e-9)[..., None]
    opposite = (direction * direction[:, :1]).sum(-1) < 0.5  # at least 60 degrees apart
    opposite[:, 0] = False
    return near[:, 0] & ((near & opposite).sum(axis=1) >= 2)


def _carry(robot: Robot, side: str, executed: np.ndarray, bottle: np.ndarray, may_grasp: np.ndarray):
    """Bottle poses (t 7) and whether it is in the hand (t): fixed to the palm from the first touch on."""
    palm = site_poses(robot.tree, executed, None, [f"{side}_palm"])[:, 0]
    standing = np.tile(geometry.pose(np.array([1.0, 0, 0, 0]), bottle), (len(executed), 1))
    hits = np.flatnonzero(touching(robot, side, executed, standing) & may_grasp)
    attached = np.zeros(len(executed), dtype=bool)
    if len(hits):
        first = int(hits[0])
        attached[first:] = True
        T_palm_bottle = geometry.compose(geometry.inverse(palm[first]), standing[first])
        standing[first:] = geometry.compose(palm[first:], np.tile(T_palm_bottle, (len(executed) - first, 1)))
    return standing, attached
