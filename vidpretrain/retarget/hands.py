"""Hands: which frames may be used, and where the robot's fingertips should be in its wrist's frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from vidpretrain import geometry
from vidpretrain.retarget import human
from vidpretrain.retarget.config import RetargetConfig
from vidpretrain.retarget.resample import GridMotion
from vidpretrain.retarget.sides import mirrored_frames
from vidpretrain.robot.sizes import Finger
from vidpretrain.skeletons import HAND_SLICES
from vidpretrain.types import Frozen


@dataclass(frozen=True, kw_only=True)
class SeenHand(Frozen):
    """One hand's points where they may be used, NaN elsewhere, and why the others may not."""

    side: str
    p_world_point: Float64[np.ndarray, "t 21 3"]
    valid: Bool[np.ndarray, " t"]
    imputed: Bool[np.ndarray, " t"]
    mirrored_frames: int
    odd_size_frames: int
    rare_frames: int = 0

    def refused(self) -> SeenHand:
        """The same hand with no frame that may be used; those it had are counted as rare."""
        nothing = np.zeros(len(self.valid), dtype=bool)
        return dataclasses.replace(
            self,
            p_world_point=np.full_like(self.p_world_point, np.nan),
            valid=nothing,
            imputed=nothing,
            rare_frames=int(self.valid.sum()),
        )


def seen_hand(grid: GridMotion, side: str, config: RetargetConfig) -> SeenHand:
    """The hand of a side: frames with all 21 points, of a human hand's size and not mirrored.

    See `sides.mirrored_frames` for which are.
    """
    columns = HAND_SLICES[side]
    points = grid.hand(side)
    found = np.asarray(grid.valid[:, columns].all(axis=1))
    with np.errstate(invalid="ignore"):
        span = human.hand_span(points)
        odd = found & ~((span >= config.min_hand_span_m) & (span <= config.max_hand_span_m))
    wrong, _ = mirrored_frames(points, found, side, config)
    valid = found & ~odd & ~wrong
    return SeenHand(
        side=side,
        p_world_point=np.where(valid[:, None, None], points, np.nan),
        valid=valid,
        imputed=grid.imputed[:, columns].any(axis=1) & valid,
        mirrored_frames=int(wrong.sum()),
        odd_size_frames=int(odd.sum()),
    )


@dataclass(frozen=True, kw_only=True)
class TipTarget(Frozen):
    """Where a fingertip goes in the wrist frame, and how it stands to the thumb's tip when they pinch."""

    site: str
    p_wrist_tip: Float64[np.ndarray, "t 3"]
    from_thumb_m: Float64[np.ndarray, "t 3"] | None
    pinch: Float64[np.ndarray, " t"]


def tip_targets(hand: SeenHand, fingers: tuple[Finger, ...], config: RetargetConfig) -> tuple[TipTarget, ...]:
    """Fingertips of the robot by the person's: base of the robot's finger plus the scaled vector from base to tip.

    The scale is per finger, robot's length to the person's along the bones, so an open hand opens the robot's hand
    whatever their proportions. A finger driven by two takes their mean. `pinch` is 1 where the person's thumb and
    finger touch and falls to 0 at about twice `pinch_distance_m`.
    """
    if not hand.valid.any():
        return ()
    local = human.in_hand(hand.p_world_point, hand.side)
    reach, scale = {}, {}
    for finger in fingers:
        parts = []
        for name in finger.driven_by:
            points = human.chain(name)
            scale[name] = finger.length_m / human.finger_length(local, name)
            parts.append(scale[name] * (local[:, points[-1]] - local[:, points[0]]))
        reach[finger.site] = finger.p_wrist_base + np.mean(parts, axis=0)
    thumb = human.chain("thumb")[-1]
    out = []
    for finger in fingers:
        name = finger.driven_by[0]
        if name == "thumb":
            out.append(
                TipTarget(
                    site=finger.site, p_wrist_tip=reach[finger.site], from_thumb_m=None, pinch=np.zeros(len(local))
                )
            )
            continue
        between = local[:, human.chain(name)[-1]] - local[:, thumb]
        near = np.linalg.norm(between, axis=-1) / config.pinch_distance_m
        with np.errstate(invalid="ignore"):
            pinch = np.nan_to_num(np.exp(-(near**2)))
        out.append(
            TipTarget(
                site=finger.site,
                p_wrist_tip=reach[finger.site],
                from_thumb_m=scale[name] * between,
                pinch=np.where(pinch > 0.02, pinch, 0.0),
            )
        )
    return tuple(out)


def wrist_rotation(hand: SeenHand) -> Float64[np.ndarray, "t 4"]:
    """q_world_wrist of the hand, NaN where it is not usable."""
    return human.hand_rotation(hand.p_world_point, hand.side)


def mean_rotation(q: Float64[np.ndarray, "n 4"]) -> Float64[np.ndarray, " 4"]:
    """The rotation nearest to all (Markley et al. 2007: the largest eigenvector of the sum of q q^T)."""
    return geometry.normalize(np.linalg.eigh(q.T @ q)[1][:, -1])
