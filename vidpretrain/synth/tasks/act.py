"""A person doing what the expert did: behind the same table, faster, hands where the robot's were. NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d

from vidpretrain import geometry, skeletons
from vidpretrain.sim.body import Body
from vidpretrain.sim.posing import HandTarget
from vidpretrain.synth.acting import Performance, waves
from vidpretrain.synth.posing import WholePoser
from vidpretrain.synth.tasks.hands import LEVELS, stopped, wrist_of_palm
from vidpretrain.synth.tasks.held import Held
from vidpretrain.synth.tasks.trace import TRACE_HZ, Trace

_FULLEST = 0.96  # of the arms' length, that a lean has to leave at least
_LEANS = np.linspace(0.06, 0.75, 24)
_SOFT_FRAMES = 1.2  # over which fingers begin to hold


@dataclass(frozen=True)
class Acted:
    """What a person does in t frames: the poses, where the table and its things are, and the truth of the hands."""

    part: Performance
    T_world_table: np.ndarray
    things: dict[str, np.ndarray]
    held: Held
    times: np.ndarray


def act(
    trace: Trace,
    body: Body,
    *,
    speed: float,
    lead_s: float,
    tail_s: float,
    rate_hz: float,
    gaze_deg: float,
    rng: np.random.Generator,
) -> Acted:
    """The episode as a person of this body does it; the person stands at the origin and faces x."""
    poser = WholePoser(body)
    row = film_rows(len(trace.T_table_palm), speed, lead_s, tail_s, rate_hz)
    times = np.arange(len(row)) / rate_hz
    T_table = _table(trace, poser)
    nearest = np.minimum(np.rint(row).astype(int), len(trace.holding) - 1)
    holding = trace.holding[nearest]
    things = {
        thing.name: geometry.compose(_to(T_table, row), between(thing.T_table_thing, row)) for thing in trace.things
    }
    solid = [(things[thing.name], thing.shapes) for thing in trace.things if thing.solid]
    wrists, closed, knuckle_m = {}, {}, []
    for k, side in enumerate(skeletons.SIDES):
        hand = np.stack([poser.hand_at_rest(side, np.full(5, level)) for level in LEVELS])
        knuckle_m.append(float(hand[0, 9, 0]))  # no finger moves it
        palm = geometry.compose(_to(T_table, row), between(trace.T_table_palm[:, k], row))
        wrists[side] = wrist_of_palm(palm, trace.grip[k], knuckle_m[k], side)
        own = np.stack([np.interp(row, np.arange(len(trace.closed)), trace.closed[:, k, f]) for f in range(5)], axis=1)
        wanted = np.maximum(own, gaussian_filter1d(holding[:, k].astype(float), _SOFT_FRAMES)[:, None])
        closed[side] = stopped(wanted, wrists[side], hand, LEVELS, solid)
    poses, miss = _poses(poser, wrists, closed, times, gaze_deg, rng)
    main = next((things[thing.name] for thing in trace.things if thing.solid), np.tile(T_table, (len(row), 1)))
    side = skeletons.SIDES[int(np.argmax(holding.sum(axis=0) + np.array([0.0, 1e-3])))]
    part = Performance(poses, "", main, "", None, side, float(T_table[6]), trace.instruction, miss)
    held = Held(
        time_ns=np.round(times * 1e9).astype(np.int64),
        holding=holding,
        hands=trace.hands[nearest],
        grip=np.array(trace.grip),
        T_palm_wrist=np.array(trace.T_palm_wrist),
        T_base_camera=np.array(trace.T_base_camera),
        fov_rad=trace.fov_rad,
        knuckle_m=np.array(knuckle_m),
    )
    return Acted(part, T_table, things, held, times)


def film_rows(rows: int, speed: float, lead_s: float, tail_s: float, rate_hz: float) -> Float64[np.ndarray, " t"]:
    """The row (a fraction) that each frame shows: the first for `lead_s`, then `speed` times as fast, then the last."""
    step = speed * TRACE_HZ / rate_hz
    moving = np.arange(0.0, rows - 1, step)
    lead, tail = round(lead_s * rate_hz), max(1, round(tail_s * rate_hz))
    return np.concatenate([np.zeros(lead), moving, np.full(tail, rows - 1.0)])


def between(poses: Float64[np.ndarray, "n 7"], row: Float64[np.ndarray, " t"]) -> Float64[np.ndarray, "t 7"]:
    """Poses at fractional rows: positions on lines, orientations on arcs."""
    low = np.minimum(np.floor(row).astype(int), len(poses) - 1)
    high, share = np.minimum(low + 1, len(poses) - 1), row - low
    q = geometry.slerp(poses[low, :4], poses[high, :4], share)
    return geometry.pose(q, poses[low, 4:] + share[:, None] * (poses[high, 4:] - poses[low, 4:]))


def _to(T: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.broadcast_to(T, (len(row), 7))


def _table(trace: Trace, poser: WholePoser) -> np.ndarray:
    """T_world_table: as far ahead of the shoulders and below them as of the robot's.

    A longer arm is bent more, and eyes are as far over the table as a robot's camera; in proportion to the reach (1.28
    times as low) a worn camera would look down on hands from above, where what they hold hides them.
    """
    at = [poser.names.index(f"{side}_shoulder") for side in skeletons.SIDES]
    shoulder = poser.body.p_rest_keypoint[at].mean(axis=0)
    robot = trace.p_table_shoulder.mean(axis=0)
    p = np.array([shoulder[0] - robot[0], 0.0, shoulder[2] - robot[2]])
    return geometry.pose(np.array([1.0, 0, 0, 0]), p)


def _arm_m(poser: WholePoser) -> float:
    chain = [poser.body.p_rest_keypoint[poser.names.index(f"left_{part}")] for part in ("shoulder", "elbow", "wrist")]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


def _poses(poser: WholePoser, wrists, closed, times, gaze_deg: float, rng: np.random.Generator):
    """(a pose per frame, the farthest that a wrist was out of reach in m)."""
    lean = _lean(poser, wrists)
    gaze = np.deg2rad(gaze_deg) * waves(rng, times, 2, 0.15, 0.6) * [1.0, 0.45]
    sway = waves(rng, times, 3, 0.1, 0.4) * [0.004, 0.005, 0.001] - [0.0, 0.0, 0.012]
    nod = rng.uniform(0.5, 0.62) - 0.55 * lean
    R = {side: geometry.matrix_from_quat(T[:, :4]) for side, T in wrists.items()}
    poses, miss = [], 0.0
    for t in range(len(times)):
        torso = poser.torso(lean, 0.0, 0.0, nod + gaze[t, 1], gaze[t, 0])
        hands = {side: HandTarget(wrists[side][t, 4:], R[side][t], closed[side][t]) for side in wrists}
        pose, missed = poser.pose(torso, poser.body.p_rest[0] + sway[t], hands)
        poses.append(pose)
        miss = max(miss, *missed.values())
    return poses, miss


def _lean(poser: WholePoser, wrists: dict[str, np.ndarray]) -> float:
    """The least forward lean (rad) from which both arms reach everything; it stays, so that the head does."""
    fits = []
    for lean in _LEANS:
        points = poser.keypoints(poser.fk(poser.torso(lean, 0.0, 0.0, 0.0, 0.0), poser.body.p_rest[0], {}))
        far = 0.0
        for side, T in wrists.items():
            shoulder = points[poser.names.index(f"{side}_shoulder")]
            far = max(far, float(np.linalg.norm(T[:, 4:] - shoulder, axis=1).max()))
        fits.append(far)
    good = np.flatnonzero(np.array(fits) < _FULLEST * _arm_m(poser))
    return float(_LEANS[good[0] if len(good) else int(np.argmin(fits))])
