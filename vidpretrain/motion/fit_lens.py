"""The focal length of a head camera whose lens nobody told, from the arms that hold the hands.

A hand's size in the picture says how far it is in focal lengths; that the wearer's arms reach it from about below the
camera says how far it is. The motion and the focal length are solved together, on a few frames a second.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from vidpretrain.motion.config import MotionConfig
from vidpretrain.solve import FocalParameter, PixelTerm, Problem, Start, Term, parameter_sigma, solve_clip
from vidpretrain.tree import Tree
from vidpretrain.types import Camera

_NAME = "focal"


def find_lens(tree: Tree, problem: Problem, start: Start, camera: Camera, config: MotionConfig) -> Camera:
    """The camera with the focal length found, which still counts as assumed; `focal_sigma` is not below the config's.

    `problem` is that of all frames with the camera as it was assumed; its prior is the camera's own `focal_sigma`.
    """
    stride = max(1, min(round(problem.rate_hz / config.fit.bones_rate_hz), problem.frames // 8))
    focal_px = float(camera.K[0, 0])
    prior = FocalParameter(name=_NAME, prior_px=focal_px, sigma_px=max(camera.focal_sigma, 1e-3) * focal_px)
    every = slice(None, None, stride)
    sparse = dataclasses.replace(
        problem,
        rate_hz=problem.rate_hz / stride,
        frames=len(range(0, problem.frames, stride)),
        terms=tuple(_thinned(term, problem.frames, every) for term in problem.terms),
        parameters=(prior,),
    )
    base = None if start.T_world_base is None else start.T_world_base[every]
    found = solve_clip(tree, sparse, Start(joint_pos=start.joint_pos[every], T_world_base=base))
    K, ratio = camera.K.copy(), float(found.parameters[_NAME]) / focal_px
    K[[0, 1], [0, 1]] *= ratio
    own = float(parameter_sigma(tree, sparse, found)[_NAME]) / float(found.parameters[_NAME])
    sigma = max(own, min(config.fit.least_focal_sigma, camera.focal_sigma))
    return dataclasses.replace(camera, K=K, focal_sigma=sigma)


def _thinned(term: Term, frames: int, every: slice) -> Term:
    """The term in some of the frames; what a camera sees by a focal length that is unknown."""
    values = {field.name: getattr(term, field.name) for field in dataclasses.fields(term)}
    part: dict[str, Any] = {
        n: v[every] for n, v in values.items() if isinstance(v, np.ndarray) and v.shape[:1] == (frames,)
    }
    if isinstance(term, PixelTerm):
        part["focal"] = _NAME
        if np.ndim(term.camera.T_world_camera) == 2:
            pose = term.camera.T_world_camera[every]
            part["camera"] = dataclasses.replace(term.camera, T_world_camera=pose)
    return dataclasses.replace(term, **part)
