"""All measures of a motion, what is beyond its limit, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.feasibility import support
from vidpretrain.feasibility.body import Body, body_of
from vidpretrain.feasibility.collision import Contacts, self_collision
from vidpretrain.feasibility.config import FeasibilityConfig
from vidpretrain.feasibility.dynamics import inverse_dynamics
from vidpretrain.feasibility.types import HARD, Feasibility, Finding, Flaw, Verdict
from vidpretrain.kinematics import site_poses
from vidpretrain.robot import Robot
from vidpretrain.robot.sizes import measure
from vidpretrain.skeletons import SIDES
from vidpretrain.types import RobotMotion

_PROMISED = frozenset({Flaw.NOT_FINITE, Flaw.LIMIT, Flaw.SPEED})  # not even one frame


@dataclass
class _Measure:
    """One flaw's values (t) or (t n), where each column is, from where on it is a flaw, and in which unit."""

    flaw: Flaw
    value: np.ndarray
    limit: float
    unit: str
    where: tuple[str, ...]
    less_is_worse: bool = False


def assess(motion: RobotMotion, robot: Robot, config: FeasibilityConfig) -> Feasibility:
    """The measures of every frame and the verdict; frames that are not finite are counted and measured no further.

    Dynamics are of the motion on its own grid (`rate_hz`). A whole-body motion stands on the ground z = 0 of its
    world; an upper-body motion has a fixed base, and balance, feet and legs are not judged.

    Raises:
        MissingAsset: the robot's model files are not on this machine.
        ValueError: the motion is of another robot.
    """
    if motion.joint_names != robot.tree.joint_names:
        raise ValueError(f"a motion of {motion.robot_name} cannot be assessed on {robot.name}: other joints")
    q, base = np.asarray(motion.joint_pos), np.asarray(motion.T_world_base)
    finite = np.asarray(np.isfinite(q).all(axis=1) & np.isfinite(base).all(axis=1))
    known = np.flatnonzero(finite)
    body = body_of(robot, config.home_touch_m)
    out = _nothing(len(q), len(robot.tree.joint_names))
    contacts = None
    if len(known):
        _joints(out, robot, q, motion.rate_hz)
        filled = np.searchsorted(known, np.arange(len(q))).clip(0, len(known) - 1)
        qpos = body.positions(base[known[filled]], q[known[filled]])
        contacts = _body(out, body, robot, qpos, motion, config)
        _reach(out, robot, q, base)
        for value in out.values():
            value[~finite] = np.nan
    _errors(out, motion)
    found = _findings(out, finite, contacts, robot, config)
    return Feasibility(
        clip_id=motion.clip_id,
        robot_name=motion.robot_name,
        robot_digest=motion.robot_digest,
        rate_hz=motion.rate_hz,
        whole_body=motion.whole_body,
        verdict=_verdict([finding for finding, _ in found]),
        findings=tuple(finding for finding, _ in found),
        playable=~np.any([frames for finding, frames in found if finding.flaw in HARD] or [~finite], axis=0),
        **_reduced(out),
    )


def _nothing(frames: int, joints: int) -> dict[str, np.ndarray]:
    widths = {
        **dict.fromkeys(("limit_excess_rad", "speed_share", "acceleration_rad_s2", "jerk_rad_s3"), joints),
        **dict.fromkeys(("torque_share", "torque_Nm"), joints),
        **dict.fromkeys(("collision_m", "finger_collision_m", "balance_m", "unsupported_share"), 1),
        **dict.fromkeys(("slide_m_s", "penetration_m", "reach_share", "wrist_error_m", "tip_error_m"), 2),
    }
    return {name: np.full((frames, width), np.nan) for name, width in widths.items()}


def _joints(out: dict[str, np.ndarray], robot: Robot, q: np.ndarray, rate_hz: float) -> None:
    """What follows from the joints' positions alone; frame t's speed is the larger of those before and after it."""
    lower, upper = robot.tree.lower, robot.tree.upper
    moved = robot.tree.change(q[:-1], q[1:]) * rate_hz
    out["limit_excess_rad"][:] = np.maximum(0.0, np.maximum(lower - q, q - upper))
    for order, name in enumerate(("speed_share", "acceleration_rad_s2", "jerk_rad_s3"), start=1):
        if len(q) <= order:
            out[name][:] = 0.0
            continue
        change = np.abs(np.diff(moved, n=order - 1, axis=0)) * rate_hz ** (order - 1)
        if order == 1:
            change = robot.tree.speed(q, rate_hz)
        for shift in range(order + 1):  # a difference belongs to every frame that it is made of
            part = out[name][shift : shift + len(change)]
            part[:] = np.fmax(part, change)
    out["speed_share"] /= np.asarray(robot.max_speed)


def _body(
    out: dict[str, np.ndarray], body: Body, robot: Robot, qpos: np.ndarray, motion: RobotMotion, config
) -> Contacts:
    """Collisions, torques and, on a free base, balance and feet; the contacts."""
    contacts = self_collision(body, qpos)
    out["collision_m"][:, 0], out["finger_collision_m"][:, 0] = contacts.body_m, contacts.finger_m
    ground = None
    if motion.whole_body and body.soles:
        ground = support.find_ground(body, qpos, config.contact_height_m)
        out["balance_m"][:, 0] = support.balance_m(ground)
        for i, side in enumerate(body.soles):
            out["slide_m_s"][:, SIDES.index(side)] = support.slide_m_s(ground, motion.rate_hz)[:, i]
            out["penetration_m"][:, SIDES.index(side)] = support.penetration_m(ground)[:, i]
    dynamics = inverse_dynamics(body, qpos, motion.rate_hz, ground, config.friction)
    out["unsupported_share"][:, 0] = dynamics.unsupported_share
    torque = on_leaders(robot, dynamics.torque_Nm)
    if ground is None:
        legs = [j for side in SIDES for j in robot.joints(f"{side}_leg")]
        torque[:, legs] = np.nan
    out["torque_Nm"][:] = torque
    known = np.isfinite(robot.max_torque)
    out["torque_share"][:, known] = np.abs(torque[:, known]) / np.asarray(robot.max_torque)[known]
    return contacts


def on_leaders(robot: Robot, torque_Nm: Float64[np.ndarray, "t j"]) -> Float64[np.ndarray, "t j"]:
    """Torques of the joints with a motor: what a mimic joint needs, its leader gives by its ratio (virtual work)."""
    tree, out = robot.tree, torque_Nm.copy()
    for j, leader in enumerate(tree.mimic_source):
        if leader >= 0:
            out[:, leader] += tree.mimic_ratio[j] * torque_Nm[:, j]
            out[:, j] = 0.0
    return out


def _reach(out: dict[str, np.ndarray], robot: Robot, q: np.ndarray, base: np.ndarray) -> None:
    """Shoulder to wrist by the length of the arm; the shoulder moves with the trunk."""
    sites = robot.tree.site_names
    if "torso" not in sites or not all(f"{side}_wrist" in sites and f"{side}_elbow" in sites for side in SIDES):
        return
    size = measure(robot)
    at = site_poses(robot.tree, q, base, ["torso", *(f"{side}_wrist" for side in SIDES)])
    for i, side in enumerate(SIDES):
        p_torso_shoulder = geometry.transform(geometry.inverse(size.T_base_torso), size.arms[side].p_base_shoulder)
        away = at[:, 1 + i, 4:] - geometry.transform(at[:, 0], p_torso_shoulder)
        out["reach_share"][:, i] = np.linalg.norm(away, axis=1) / size.arms[side].length_m


def _errors(out: dict[str, np.ndarray], motion: RobotMotion) -> None:
    """Wrist and mean fingertip errors of either side, NaN where there was no target."""
    names, error = list(motion.error_names), np.asarray(motion.error_m)
    for i, side in enumerate(SIDES):
        if f"{side}_wrist" in names:
            out["wrist_error_m"][:, i] = error[:, names.index(f"{side}_wrist")]
        tips = [k for k, name in enumerate(names) if name.startswith(f"{side}_") and name.endswith("_tip")]
        if tips:
            some = np.isfinite(error[:, tips])
            total = np.where(some, error[:, tips], 0.0).sum(axis=1)
            out["tip_error_m"][:, i] = np.where(some.any(axis=1), total / np.maximum(some.sum(axis=1), 1), np.nan)


def _findings(
    out: dict[str, np.ndarray], finite: np.ndarray, contacts: Contacts | None, robot: Robot, config: FeasibilityConfig
) -> list[tuple[Finding, np.ndarray]]:
    joints, sides, none = robot.tree.joint_names, SIDES, ("",)
    c = config
    reached = np.where(out["wrist_error_m"] > c.max_wrist_error_m, out["reach_share"], 0.0)
    reached = np.where(np.isfinite(out["wrist_error_m"]), reached, np.nan)
    table = (
        _Measure(Flaw.NOT_FINITE, (~finite)[:, None].astype(float), 0.0, "", none),
        _Measure(Flaw.LIMIT, out["limit_excess_rad"], c.limit_slack_rad, "rad", joints),
        _Measure(Flaw.SPEED, out["speed_share"], 1 + c.speed_slack, "of top speed", joints),
        _Measure(Flaw.ACCELERATION, out["acceleration_rad_s2"], c.max_acceleration_rad_s2, "rad/s2", joints),
        _Measure(Flaw.TORQUE, out["torque_share"], c.max_torque_share, "of top torque", joints),
        _Measure(Flaw.SELF_COLLISION, out["collision_m"], c.max_collision_m, "m", none),
        _Measure(Flaw.FINGER_COLLISION, out["finger_collision_m"], c.max_collision_m, "m", none),
        _Measure(Flaw.BALANCE, out["balance_m"], c.min_balance_m, "m inside the support", none, less_is_worse=True),
        _Measure(Flaw.UNSUPPORTED, out["unsupported_share"], c.max_unsupported_share, "of weight", none),
        _Measure(Flaw.FOOT_SLIDE, out["slide_m_s"], c.max_slide_m_s, "m/s", sides),
        _Measure(Flaw.FOOT_PENETRATION, out["penetration_m"], c.max_penetration_m, "m", sides),
        _Measure(Flaw.REACH, reached, c.max_reach_share, "of the arm", sides),
        _Measure(Flaw.WRIST_ERROR, out["wrist_error_m"], c.max_wrist_error_m, "m", sides),
        _Measure(Flaw.TIP_ERROR, out["tip_error_m"], c.max_tip_error_m, "m", sides),
        _Measure(Flaw.JERK, out["jerk_rad_s3"], c.max_jerk_rad_s3, "rad/s3", joints),
    )
    pairs: dict[Flaw, list[str]] = {}
    if contacts is not None:
        pairs = {Flaw.SELF_COLLISION: contacts.bodies, Flaw.FINGER_COLLISION: contacts.fingers}
    found = [_finding(measure, pairs.get(measure.flaw), c.allowed_share) for measure in table]
    return [pair for pair in found if pair is not None]


def _finding(measure: _Measure, pairs: list[str] | None, allowed: float) -> tuple[Finding, np.ndarray] | None:
    """The finding and its frames; None where no frame is beyond the limit."""
    sign = -1.0 if measure.less_is_worse else 1.0
    value = np.where(np.isfinite(measure.value), sign * measure.value, -np.inf)
    beyond = np.asarray((value > sign * measure.limit).any(axis=1))
    if not beyond.any():
        return None
    t, k = np.unravel_index(int(np.argmax(value)), value.shape)
    measured = int(np.isfinite(measure.value).any(axis=1).sum())
    share = float(beyond.sum() / measured)
    finding = Finding(
        flaw=measure.flaw,
        frames=int(beyond.sum()),
        share=share,
        worst=float(sign * value[t, k]),
        limit=measure.limit,
        unit=measure.unit,
        where=measure.where[k] if pairs is None else pairs[t],
        counts=share > (0.0 if measure.flaw in _PROMISED else allowed),
    )
    return finding, beyond


def _verdict(findings: list[Finding]) -> Verdict:
    counting = {finding.flaw for finding in findings if finding.counts}
    if counting & HARD:
        return Verdict.INFEASIBLE
    return Verdict.DOUBTFUL if counting else Verdict.FEASIBLE


def _reduced(out: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Per frame: the worst joint of the measures that are per joint; pairs and torques as they are."""
    kept = {"torque_Nm", "slide_m_s", "penetration_m", "reach_share", "wrist_error_m", "tip_error_m"}
    whole = {}
    for name, value in out.items():
        if name in kept:
            whole[name] = value
            continue
        some = np.isfinite(value)
        worst = np.where(some, value, -np.inf).max(axis=1)
        whole[name] = np.where(some.any(axis=1), worst, np.nan)
    return whole
