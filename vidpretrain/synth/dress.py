"""Sleeves and gloves over a made body: parts of its skin become parts of their own, a little outside it."""

from __future__ import annotations

import dataclasses

import numpy as np

from vidpretrain.sim.body import Body, Part
from vidpretrain.synth.specs import PersonSpec

_GLOVE_M, _ROLLED_M, _CUFF_M = 0.0016, 0.009, 0.007
_HAND = ("wrist", "finger", "metacarpal")


def base_sleeves(sleeves: str) -> str:
    """The sleeves that the body is made with; the others are put over its bare arms."""
    return "long" if sleeves in ("long", "over_hand") else "short"


def dress(body: Body, person: PersonSpec) -> Body:
    """The body with the person's sleeves and gloves: extra parts `sleeve` and `glove`, taken out of `skin`."""
    parts = {part.name: part for part in body.parts}
    skin = parts["skin"]
    extra: list[Part] = []
    if person.sleeves == "rolled":
        mask = _along(body, skin, "upperarm01", "lowerarm01", -0.2, 1.12) | _along(
            body, skin, "lowerarm01", "wrist", -0.2, 0.28
        )
        skin, sleeve = _take(skin, mask, "sleeve", _ROLLED_M)
        extra.append(sleeve)
    if person.sleeves == "over_hand":
        mask = _along(body, skin, "lowerarm01", "wrist", 0.6, 1.16)
        mask |= _along(body, skin, "wrist", "finger3-1", -0.4, 0.62)
        skin, sleeve = _take(skin, mask, "sleeve", _CUFF_M)
        extra.append(sleeve)
    if person.glove is not None:
        owner = np.array(body.names)[skin.bone[np.arange(len(skin.bone)), skin.weight.argmax(1)]]
        hand = np.array([name.startswith(_HAND) for name in owner])[skin.faces].all(axis=1)
        hand |= _along(body, skin, "lowerarm01", "wrist", 0.86, 1.2)
        skin, glove = _take(skin, hand, "glove", _GLOVE_M)
        extra.append(glove)
    parts["skin"] = skin
    return dataclasses.replace(body, parts=(*parts.values(), *(part for part in extra if len(part.faces))))


def _along(body: Body, part: Part, start: str, stop: str, low: float, high: float) -> np.ndarray:
    """Faces around the line of two bones of either arm, between shares `low` and `high` of it."""
    centre = part.vertices[part.faces].mean(axis=1)
    out = np.zeros(len(centre), dtype=bool)
    for letter in ("L", "R"):
        a, b = (body.p_rest[body.bone(f"{name}.{letter}")] for name in (start, stop))
        share = (centre - a) @ (b - a) / ((b - a) @ (b - a))
        away = np.linalg.norm(centre - a - share[:, None] * (b - a), axis=1)
        out |= (share > low) & (share < high) & (away < 0.10)
    arm = np.array([n.startswith(("upperarm", "lowerarm", *_HAND)) for n in body.names])
    share = (part.weight * arm[part.bone]).sum(axis=1)[part.faces].mean(axis=1)
    thumb = np.array([n.startswith("finger1") for n in body.names])
    on_thumb = (part.weight * thumb[part.bone]).sum(axis=1)[part.faces].mean(axis=1)
    return out & (share > 0.5) & (on_thumb < 0.5)


def _take(part: Part, mask: np.ndarray, name: str, offset_m: float) -> tuple[Part, Part]:
    """(what stays, what was taken); the taken faces lie `offset_m` outside and keep one row under their edge."""
    edge = np.zeros(len(part.vertices), dtype=bool)
    edge[part.faces[~mask]] = True
    for _ in range(2):
        edge[part.faces[edge[part.faces].any(axis=1)]] = True
    stays = ~mask | edge[part.faces].any(axis=1)
    taken = _select(part, mask, name)
    return _select(part, stays, part.name), dataclasses.replace(taken, vertices=_outside(taken, offset_m))


def _select(part: Part, mask: np.ndarray, name: str) -> Part:
    used, faces = np.unique(part.faces[mask], return_inverse=True)
    return Part(name, part.vertices[used], faces.reshape(-1, 3), part.bone[used], part.weight[used])


def _outside(part: Part, offset_m: float) -> np.ndarray:
    """Vertices moved along their normals."""
    corner = part.vertices[part.faces]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal = np.zeros_like(part.vertices)
    for k in range(3):
        np.add.at(normal, part.faces[:, k], face)
    return part.vertices + offset_m * normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
