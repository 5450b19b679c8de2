"""Drawing an episode's variation and putting it into the compiled model, always from the model's own values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from vidpretrain import geometry
from vidpretrain.sim.worlds.config import AXES, WorldConfig
from vidpretrain.sim.worlds.scene import DISTRACTORS, LOOKS, Built


@dataclass(frozen=True)
class Variation:
    """The value of every axis for one episode, and the directions that go with them."""

    values: dict[str, float]
    T_base_camera: np.ndarray

    def __getitem__(self, axis: str) -> float:
        return self.values[axis]


class Varier:
    """Keeps the compiled model's own values, so that every episode starts from them."""

    _FIELDS = ("body_mass", "body_inertia", "geom_friction", "geom_rgba", "geom_matid", "light_dir", "light_diffuse")

    def __init__(self, built: Built) -> None:
        self._built, model = built, built.model
        self._own = {name: np.array(getattr(model, name)) for name in self._FIELDS}
        things = [model.body(name).id for name in (*built.free, *built.mocap)]
        moving = _with_children(model, things)
        self._bodies = np.array([b for b in moving if model.body_mass[b] > 0], dtype=int)
        self._geoms = np.flatnonzero(np.isin(model.geom_bodyid, moving))
        self._sides = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_MATERIAL, "table0")]
        self._camera = model.camera("head").id

    def draw(self, config: WorldConfig, rng: np.random.Generator, data: mujoco.MjData) -> Variation:
        """Draw all axes, in order, and change the model (and the distractors in `data`)."""
        values = {name: getattr(config, name).draw(rng, name in config.shifted) for name in AXES}
        model = self._built.model
        for name, own in self._own.items():
            getattr(model, name)[:] = own
        model.body_mass[self._bodies] *= values["mass"]
        model.body_inertia[self._bodies] *= values["mass"]
        model.geom_friction[self._geoms, 0] *= values["friction"]
        turn = values["colour"] * rng.uniform(-1, 1, (len(self._geoms), 3))
        model.geom_rgba[self._geoms, :3] = np.clip(model.geom_rgba[self._geoms, :3] + turn, 0.02, 1)
        self._paint(min(len(LOOKS) - 1, round(values["texture"])), values["light"], values["light_turn_rad"])
        self._distract(round(values["distractors"]), rng, data)
        mujoco.mj_setConst(model, data)
        return Variation(values, self._aim(values["camera_shift_m"], values["camera_turn_rad"], rng))

    def _paint(self, look: int, light: float, turn_rad: float) -> None:
        model = self._built.model
        model.geom_matid[model.geom("table").id] = model.mat(f"table{look}").id
        for name in ("room_wall", "room_floor"):
            model.geom_matid[model.geom(name).id] = model.mat(f"wall{look}").id
        model.light_diffuse[:] = self._own["light_diffuse"] * light
        model.vis.headlight.ambient[:] = 0.34 * light
        about_z = np.array([np.cos(turn_rad / 2), 0, 0, np.sin(turn_rad / 2)])
        model.light_dir[:] = geometry.rotate(np.tile(about_z, (len(model.light_dir), 1)), self._own["light_dir"])

    def _distract(self, count: int, rng: np.random.Generator, data: mujoco.MjData) -> None:
        """Put `count` distractors on the table's far edge and sides, the others under the floor."""
        built, model = self._built, self._built.model
        places = rng.permutation(DISTRACTORS)
        for k in range(DISTRACTORS):
            mocap = int(model.body(f"distractor{k}").mocapid[0])
            x, y = (0.24, (-0.3, -0.1, 0.1, 0.3)[places[k]])
            shift = rng.uniform(-0.03, 0.03, 2)
            up = 0.04 if k < count else -3.0
            p = np.array([(x + shift[0]) * built.scale, (y + shift[1]) * built.scale, up])
            data.mocap_pos[mocap], data.mocap_quat[mocap] = built.T_world_table[4:] + p, [1, 0, 0, 0]
            geom = int(model.body(f"distractor{k}").geomadr[0])
            model.geom_rgba[geom, :3] = rng.uniform(0.1, 0.9, 3)

    def _aim(self, shift_m: float, turn_rad: float, rng: np.random.Generator) -> np.ndarray:
        """T_base_camera, moved and turned in random directions, which the model's camera gets too."""
        built, model = self._built, self._built.model
        shift, turn = (geometry.normalize(rng.normal(size=3)) for _ in range(2))
        T_move = geometry.pose(geometry.quat_exp(turn_rad * turn), shift_m * shift)
        T_base_camera = geometry.compose(built.T_base_camera, T_move)
        T = geometry.compose(built.T_world_base, T_base_camera)
        model.cam_pos[self._camera] = T[4:]
        model.cam_quat[self._camera] = geometry.quat_mul(T[:4], np.array([0.0, 1.0, 0.0, 0.0]))  # looks along -z
        return T_base_camera


def _with_children(model: mujoco.MjModel, roots: list[int]) -> list[int]:
    out: list[int] = []
    for b in range(1, model.nbody):
        if b in roots or int(model.body_parentid[b]) in out:
            out.append(b)
    return out


def plain(variation: Variation) -> dict[str, Any]:
    """The values as plain data."""
    return dict(variation.values)
