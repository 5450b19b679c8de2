"""Where networks mark their points on rendered people, and how long those people's bones are: a switch that is off.

The table, `learned_offsets.yaml`, is made by scripts/bench/offsets.py on rendered people of the dev split. Real people
are built and marked in another way, so nothing of it is used unless `MotionConfig.learned_offsets` names it:
`rendered`, or a file of the same layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vidpretrain import geometry, skeletons
from vidpretrain.errors import ConfigError
from vidpretrain.human import FINGER_JOINTS
from vidpretrain.motion.config import MotionConfig
from vidpretrain.motion.fit_config import FitConfig
from vidpretrain.motion.priors import lengths
from vidpretrain.motion.proportions import parameters
from vidpretrain.solve import LengthParameter, OffsetParameter, with_parameters
from vidpretrain.tree import Tree

RENDERED = "rendered"
_PALM_MIRROR = np.array([1.0, 1.0, -1.0])


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Offsets from where a person's point is to where a network marks it, in thousandths of the height.

    `body33` (33 3) in the axes of the bone that carries the point (x forward, y left, z up in the zero posture);
    `hand21` (21 3) on a right hand in its palm's axes (x to the knuckles, y to the index's side, z out of the back).
    `bones` are factors on the lengths of a usual person's bones, by the names of `priors.lengths` and
    `proportions.GROUPS`; what is not named stays as it is.
    """

    body33: np.ndarray
    hand21: np.ndarray
    bones: dict[str, float]


@lru_cache(maxsize=8)
def read(name: str) -> Learned:
    """The table `rendered`, or that of a YAML file.

    Raises:
        ConfigError: there is no such file, or it is no table.
    """
    path = Path(__file__).with_name("learned_offsets.yaml") if name == RENDERED else Path(name)
    valid = f"null, {RENDERED}, or a file that scripts/bench/offsets.py wrote"
    if not path.is_file():
        raise ConfigError("motion.learned_offsets: no such table", asked=name, valid=valid)
    said: dict[str, Any] = yaml.safe_load(path.read_text())
    try:
        body = np.array([said["body33"][n] for n in skeletons.BODY_NAMES], dtype=float).reshape(33, 3)
        hand = np.array([said["hand21"][n] for n in skeletons.HAND_NAMES], dtype=float).reshape(21, 3)
        return Learned(body33=body, hand21=hand, bones={n: float(f) for n, f in said["bones"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"motion.learned_offsets: no table: {error}", asked=name, valid=valid) from error


def built(tree: Tree, config: MotionConfig) -> Tree:
    """A human's or a hand's tree with the bones of the people that the config's table was learned on."""
    if config.learned_offsets is None:
        return tree
    return with_bones(tree, read(config.learned_offsets).bones)


def with_bones(tree: Tree, factors: Mapping[str, float]) -> Tree:
    """The tree with these factors on its bones, by name as in `Learned`."""
    every = [p for p in bone_parameters(tree) if p.name in factors]
    return with_parameters(tree, every, {p.name: factors[p.name] for p in every})


def bone_parameters(tree: Tree, sigma: float = 1.0) -> list[LengthParameter]:
    """All factors on the bones of a human's or a hand's tree, relative `sigma` each."""
    sides = [side for side in skeletons.SIDES if f"{side}_hand_wrist" in tree.site_names]
    if "pelvis" in tree.site_names:
        body = lengths(tree, True, FitConfig(shape_sigma=sigma, hand_size_sigma=sigma, clip_share=1.0))
    else:
        joints = tuple(name for name in FINGER_JOINTS if name in tree.joint_names)
        sites = tuple(name for name in tree.site_names if "_hand_" in name)
        body = (LengthParameter(name="hand", joints=joints, sites=sites, sigma=sigma),)
    return [*body, *parameters(tree, sides, sigma)]


def marked(tree: Tree, config: MotionConfig) -> Tree:
    """The tree with its sites where the networks mark them; the tree itself where the config names no table."""
    if config.learned_offsets is None:
        return tree
    offset_m = offsets(tree, read(config.learned_offsets), config.person_height_m)
    unknown = [OffsetParameter(name=site, site=site, sigma_m=1.0) for site in offset_m]
    return with_parameters(tree, unknown, dict(offset_m))


def offsets(tree: Tree, table: Learned, height_m: float) -> dict[str, np.ndarray]:
    """Offset (3) in metres of each site of `human75` that the tree has, in the axes of the site's joint."""
    every = dict(zip(skeletons.BODY_NAMES, table.body33, strict=True))
    for side in skeletons.SIDES:
        if f"{side}_palm" not in tree.site_names:
            continue
        R = palm_axes(tree, side)
        for name, own in zip(skeletons.HAND_NAMES, table.hand21, strict=True):
            every[f"{side}_hand_{name}"] = R @ own
    return {name: 1e-3 * height_m * own for name, own in every.items() if name in tree.site_names}


def palm_axes(tree: Tree, side: str) -> np.ndarray:
    """The axes (3 3, columns; a reflection for a left hand) of a right hand's table in those of the hand's joints."""
    turn = geometry.matrix_from_quat(tree.T_joint_site[tree.site(f"{side}_palm"), :4])
    return turn if side == "right" else turn * _PALM_MIRROR
