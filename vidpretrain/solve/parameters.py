"""Numbers that are one for a whole clip: bone lengths and scale, a landmark's place on its bone, a focal length.

Priors are Gaussian. Errors of neighbouring frames are often one error: who asks should then widen the terms' sigmas or
narrow the priors', or hundreds of frames outvote them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vidpretrain.errors import unknown_name
from vidpretrain.tree import Tree
from vidpretrain.types import Frozen

Values = dict[str, "float | np.ndarray"]
"""Parameters by name: a factor, an offset (3) in m, or a focal length in px."""


@dataclass(frozen=True, kw_only=True)
class LengthParameter(Frozen):
    """One factor on the translations of `T_parent_zero` of `joints` and of `T_joint_site` of `sites`.

    A bone is the joints and sites at its far end; all of them together are the body's scale. Factors multiply where
    parameters share a joint or a site.
    """

    name: str
    joints: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    prior: float = 1.0
    sigma: float

    def check(self) -> None:
        _positive(self.name, prior=self.prior, sigma=self.sigma)


@dataclass(frozen=True, kw_only=True)
class OffsetParameter(Frozen):
    """Three numbers (m) added to the translation of `T_joint_site` of `site`, in the joint's axes; 0 at first."""

    name: str
    site: str
    sigma_m: float

    def check(self) -> None:
        _positive(self.name, sigma_m=self.sigma_m)


@dataclass(frozen=True, kw_only=True)
class FocalParameter(Frozen):
    """The horizontal focal length (px) of the pixel terms that name it."""

    name: str
    prior_px: float
    sigma_px: float

    def check(self) -> None:
        _positive(self.name, prior_px=self.prior_px, sigma_px=self.sigma_px)


Parameter = LengthParameter | OffsetParameter | FocalParameter


def _positive(name: str, **values: float) -> None:
    bad = {key: value for key, value in values.items() if not 0 < value < np.inf}
    if bad:
        raise ValueError(f"parameter {name}: not positive: {bad}")


def prior_values(parameters: Sequence[Parameter]) -> Values:
    """Every parameter at its prior's mean."""
    return unpacked(parameters, prior(parameters)[0])


def prior(parameters: Sequence[Parameter]) -> tuple[Float64[np.ndarray, " p"], Float64[np.ndarray, " p"]]:
    """(mean, sigma) of all numbers, an offset's three one after the other."""
    mean, sigma = [], []
    for parameter in parameters:
        if isinstance(parameter, OffsetParameter):
            mean += [0.0] * 3
            sigma += [parameter.sigma_m] * 3
        elif isinstance(parameter, LengthParameter):
            mean.append(parameter.prior)
            sigma.append(parameter.sigma)
        else:
            mean.append(parameter.prior_px)
            sigma.append(parameter.sigma_px)
    return np.array(mean, dtype=float), np.array(sigma, dtype=float)


def packed(parameters: Sequence[Parameter], values: Values) -> Float64[np.ndarray, " p"]:
    """The values as one vector, in the order of `prior`.

    Raises:
        UnknownName: a parameter has no value.
    """
    missing = [parameter.name for parameter in parameters if parameter.name not in values]
    if missing:
        raise unknown_name("parameter", missing[0], tuple(values))
    return np.concatenate([np.zeros(0), *(np.atleast_1d(values[p.name]).astype(float) for p in parameters)])


def unpacked(parameters: Sequence[Parameter], vector: Float64[np.ndarray, " p"]) -> Values:
    """The inverse of `packed`."""
    out: Values = {}
    at = 0
    for parameter in parameters:
        if isinstance(parameter, OffsetParameter):
            out[parameter.name] = np.array(vector[at : at + 3])
            at += 3
        else:
            out[parameter.name] = float(vector[at])
            at += 1
    return out


def with_parameters(tree: Tree, parameters: Sequence[Parameter], values: Values) -> Tree:
    """The tree whose bones and sites have these values; focal lengths change nothing.

    Raises:
        UnknownName: a parameter names a joint or a site that the tree does not have, or has no value.
    """
    packed(parameters, values)
    joints, sites = np.array(tree.T_parent_zero, dtype=float), np.array(tree.T_joint_site, dtype=float)
    for parameter in parameters:
        if isinstance(parameter, LengthParameter):
            joints[[tree.joint(name) for name in parameter.joints], 4:] *= values[parameter.name]
            sites[[tree.site(name) for name in parameter.sites], 4:] *= values[parameter.name]
    for parameter in parameters:
        if isinstance(parameter, OffsetParameter):
            sites[tree.site(parameter.site), 4:] += values[parameter.name]
    return dataclasses.replace(tree, T_parent_zero=joints, T_joint_site=sites)


def share_bones(parameters: Sequence[Parameter]) -> bool:
    """Whether two factors multiply the same joint or site, so that the tree is not linear in all of them together."""
    lengths = [p for p in parameters if isinstance(p, LengthParameter)]
    joints, sites = [j for p in lengths for j in p.joints], [s for p in lengths for s in p.sites]
    return len(set(joints)) < len(joints) or len(set(sites)) < len(sites)
