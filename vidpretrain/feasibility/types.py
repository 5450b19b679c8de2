"""The report's own vocabulary: what can be wrong, how much of it there is, and the verdict."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain.types import Frozen


class Verdict(enum.StrEnum):
    """FEASIBLE: play it. DOUBTFUL: playable, but not what the person did, or not steadily. INFEASIBLE: do not."""

    FEASIBLE = "feasible"
    DOUBTFUL = "doubtful"
    INFEASIBLE = "infeasible"


class Flaw(enum.StrEnum):
    """What can be wrong with a motion. The list is closed."""

    NOT_FINITE = "not_finite"
    LIMIT = "limit"
    SPEED = "speed"
    ACCELERATION = "acceleration"
    TORQUE = "torque"
    SELF_COLLISION = "self_collision"
    FINGER_COLLISION = "finger_collision"
    BALANCE = "balance"
    UNSUPPORTED = "unsupported"
    FOOT_SLIDE = "foot_slide"
    FOOT_PENETRATION = "foot_penetration"
    REACH = "reach"
    WRIST_ERROR = "wrist_error"
    TIP_ERROR = "tip_error"
    JERK = "jerk"


# A robot cannot do these; the others it can, but the result is off.
HARD = frozenset({Flaw.NOT_FINITE, Flaw.LIMIT, Flaw.SPEED, Flaw.ACCELERATION, Flaw.TORQUE, Flaw.SELF_COLLISION})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One flaw of a clip: frames beyond `limit`, their share of the frames that were measured, and the worst value.

    `where` names the joint, bodies or side of the worst frame. `counts` is true where the share is above what the
    configuration allows, so that the flaw bears on the verdict.
    """

    flaw: Flaw
    frames: int
    share: float
    worst: float
    limit: float
    unit: str
    where: str
    counts: bool

    def __str__(self) -> str:
        at = f" ({self.where})" if self.where else ""
        return (
            f"{self.flaw}: {self.share:.1%} of frames beyond {self.limit:.3g} {self.unit}, "
            f"at worst {self.worst:.3g} {self.unit}{at}"
        )


@dataclass(frozen=True, kw_only=True)
class Feasibility(Frozen):
    """The measures of one motion, frame by frame, and the verdict. NaN where a measure does not apply.

    `limit_excess_rad` is the farthest any joint is outside its limits (0 inside; metres where it slides),
    `speed_share` and `torque_share` the largest part of a joint's top speed and torque that is used, `collision_m`
    the depth of the deepest contact of the robot with itself, `finger_collision_m` of those inside one hand (a pinch
    presses and small motors give way: deep ones are counted, but not as impossible), `balance_m` the distance of the
    centre of mass from the edge of the support polygon (negative outside), `unsupported_share` the part of the base's
    wrench that soles and friction cannot give (1 is the robot's weight). Pairs are left, right: `slide_m_s` of soles
    on the ground, `penetration_m` below it, `reach_share` shoulder to wrist by the arm's length, errors to the targets.
    Torque counts where the robot's data have a limit for the joint.
    `playable` frames have none of the flaws that a robot cannot do.
    """

    clip_id: str
    robot_name: str
    robot_digest: str
    rate_hz: float
    whole_body: bool
    verdict: Verdict
    findings: tuple[Finding, ...]
    playable: Bool[np.ndarray, " t"]
    limit_excess_rad: Float64[np.ndarray, " t"]
    speed_share: Float64[np.ndarray, " t"]
    acceleration_rad_s2: Float64[np.ndarray, " t"]
    jerk_rad_s3: Float64[np.ndarray, " t"]
    torque_share: Float64[np.ndarray, " t"]
    torque_Nm: Float64[np.ndarray, "t j"]
    collision_m: Float64[np.ndarray, " t"]
    finger_collision_m: Float64[np.ndarray, " t"]
    balance_m: Float64[np.ndarray, " t"]
    unsupported_share: Float64[np.ndarray, " t"]
    slide_m_s: Float64[np.ndarray, "t 2"]
    penetration_m: Float64[np.ndarray, "t 2"]
    reach_share: Float64[np.ndarray, "t 2"]
    wrist_error_m: Float64[np.ndarray, "t 2"]
    tip_error_m: Float64[np.ndarray, "t 2"]

    @property
    def reasons(self) -> tuple[Flaw, ...]:
        """Flaws that bear on the verdict, the hard ones first."""
        counting = [finding.flaw for finding in self.findings if finding.counts]
        return tuple(sorted(counting, key=lambda flaw: (flaw not in HARD, list(Flaw).index(flaw))))

    def frame_columns(self) -> dict[str, np.ndarray]:
        """Name to (t) float32: every per-frame measure, pairs as `left_` and `right_`; for tables and plots."""
        out: dict[str, np.ndarray] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, np.ndarray) or field.name == "torque_Nm":
                continue
            if value.ndim == 1:
                out[field.name] = value.astype(np.float32)
            else:
                out[f"left_{field.name}"] = value[:, 0].astype(np.float32)
                out[f"right_{field.name}"] = value[:, 1].astype(np.float32)
        return out

    def summary(self) -> dict[str, Any]:
        """Plain data for JSON: verdict, reasons, findings, and of every measure its median, 99th percentile and max.

        Of `balance_m`, where less is worse, the third is the minimum and the second the first percentile. A measure
        that was never taken is None.
        """
        measures: dict[str, dict[str, float] | None] = {}
        for name, value in self.frame_columns().items():
            known = value[np.isfinite(value)].astype(float)
            if name == "playable":
                continue
            if not len(known):
                measures[name] = None
                continue
            low = name == "balance_m"
            measures[name] = {
                "median": float(np.median(known)),
                "p01" if low else "p99": float(np.quantile(known, 0.01 if low else 0.99)),
                "min" if low else "max": float(known.min() if low else known.max()),
            }
        return {
            "clip_id": self.clip_id,
            "robot": self.robot_name,
            "robot_digest": self.robot_digest,
            "frames": len(self.playable),
            "rate_hz": self.rate_hz,
            "whole_body": self.whole_body,
            "verdict": self.verdict.value,
            "reasons": [reason.value for reason in self.reasons],
            "playable_share": float(np.mean(self.playable)) if len(self.playable) else 0.0,
            "findings": [dataclasses.asdict(f) | {"flaw": f.flaw.value, "text": str(f)} for f in self.findings],
            "measures": measures,
        }
