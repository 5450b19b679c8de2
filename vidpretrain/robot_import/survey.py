"""What a model is before anybody says what its parts mean: joints at the zero pose, and the points of its shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from vidpretrain import geometry
from vidpretrain.errors import InputError
from vidpretrain.kinematics import joint_poses
from vidpretrain.robot.reading import joint_speeds, mimics, missing_meshes, read_model
from vidpretrain.tree import Tree

_POINTS = 300  # per shape
_TRIES = 40  # meshes that MuJoCo refuses one after the other


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A model at its zero pose. Joint -1 is the base, whose body is `base`; `turn` (wxyz) is how it lies in the world.

    `cloud[j]` are points (n 3) of the shapes that joint j carries, in its frame; `bodies[j]` the bodies with their
    T_joint_body, the one that the joint moves first. `without` are meshes that had to be left out.
    """

    path: Path
    tree: Tree
    base: str
    cloud: dict[int, np.ndarray]
    bodies: dict[int, list[tuple[str, np.ndarray]]]
    speed: dict[str, float]
    torque: dict[str, float]
    unlimited: tuple[str, ...]
    without: tuple[str, ...]
    remarks: list[str] = field(default_factory=list)
    turn: np.ndarray = field(default_factory=lambda: np.array([1.0, 0, 0, 0]))

    @cached_property
    def children(self) -> dict[int, list[int]]:
        """Joints that hang on each joint, and on the base (-1)."""
        out: dict[int, list[int]] = {j: [] for j in range(-1, len(self.tree.joint_names))}
        for j, parent in enumerate(self.tree.parent):
            out[int(parent)].append(j)
        return out

    @cached_property
    def T_world_joint(self) -> Float64[np.ndarray, "j 7"]:
        """Joint frames at the zero pose."""
        return joint_poses(self.tree, np.zeros((1, len(self.tree.joint_names))), self.pose(-1))[0]

    @cached_property
    def anchor(self) -> Float64[np.ndarray, "j 3"]:
        """Where the joints are at the zero pose."""
        return self.T_world_joint[:, 4:]

    @cached_property
    def axis(self) -> Float64[np.ndarray, "j 3"]:
        """The joints' axes at the zero pose."""
        return geometry.rotate(self.T_world_joint[:, :4], self.tree.axis)

    def pose(self, j: int) -> np.ndarray:
        """T_world_joint; the base's for -1."""
        return geometry.pose(self.turn, np.zeros(3)) if j < 0 else self.T_world_joint[j]

    def below(self, j: int) -> list[int]:
        """Joint j and all that hang on it, in tree order."""
        found, queue = [], [j]
        while queue:
            at = queue.pop()
            found.append(at)
            queue.extend(self.children[at])
        return sorted(found)

    def points(self, joints: list[int]) -> np.ndarray:
        """Points (n 3) in the world of the shapes that the joints carry; anchors where there are no shapes."""
        parts = [geometry.transform(self.pose(j), self.cloud[j]) for j in joints if len(self.cloud[j])]
        parts += [self.anchor[[j]] for j in joints if j >= 0]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    @cached_property
    def size(self) -> float:
        """Largest side (m) of the box around everything at the zero pose."""
        points = self.points([-1, *range(len(self.tree.joint_names))])
        return float(np.ptp(points, axis=0).max()) if len(points) else 0.0

    def names(self, j: int) -> str:
        """The joint's name and its bodies' in lower case, for hints."""
        joint = "" if j < 0 else self.tree.joint_names[j]
        return " ".join([joint, *(name for name, _ in self.bodies[j])]).lower()

    def frame_on(self, j: int, p_world: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
        """(body, point in it, R_body_world) for writing a frame of the world at the zero pose as one of a body."""
        body, T_joint_body = self.bodies[j][0]
        T_body_world = geometry.inverse(geometry.compose(self.pose(j), T_joint_body))
        return body, geometry.transform(T_body_world, p_world), geometry.matrix_from_quat(T_body_world[:4])


def survey(path: Path) -> Survey:
    """The survey of a model file.

    Raises:
        InputError: MuJoCo cannot read it, its links make no tree, it has a ball joint, or nothing in it moves.
    """
    import mujoco

    from vidpretrain.robot.build import FREE_JOINT
    from vidpretrain.robot.extract import carriers, extract_tree

    spec, without, remarks = _compilable(path)
    root = _root(spec, remarks)
    if not any(int(joint.type) == 0 for joint in root.joints):
        root.add_freejoint(name=FREE_JOINT)
    root.pos, root.quat = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]
    unlimited = _unlimited(spec)
    torque = {j.name: float(np.max(np.abs(j.actfrcrange))) for j in spec.joints}
    base = root.name
    try:
        model = spec.compile()
    except ValueError as error:
        raise InputError(f"MuJoCo cannot compile the model: {error}", asked=path) from None
    loops = sum(int(kind) in (int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD)) for kind in model.eq_type)
    if loops:
        remarks.append(f"{loops} closed loops (connect or weld): the tree is followed, the loops are not closed")
    tree = extract_tree(model, base, ())
    if len(tree.balls):
        raise InputError(
            "ball joints are not supported here: which of them are a shoulder or a hip is not guessed",
            asked=path,
            found=", ".join(tree.joint_names[j].rpartition(".")[0] for j in tree.balls),
        )
    if not tree.joint_names:
        raise InputError("nothing moves in this model: it has no joints below its root body", asked=path, found=base)
    lost = mimics(path) - int((tree.mimic_source >= 0).sum())
    if lost > 0:
        remarks.append(f"{lost} mimic couplings were not taken over: their joints count as free")
    bodies, cloud = _shapes(model, carriers(model, base), len(tree.joint_names))
    return Survey(
        path=path,
        tree=tree,
        base=base,
        cloud=cloud,
        bodies=bodies,
        speed=joint_speeds(path),
        torque=torque,
        unlimited=tuple(name for name in tree.joint_names if name in unlimited),
        without=without,
        remarks=remarks,
    )


def _compilable(path: Path):
    """(spec, meshes left out, remarks): what MuJoCo refuses is left out and counted."""
    absent = missing_meshes(read_model(path))
    without = list(absent)
    remarks = []
    if absent:
        example = next(iter(absent.values()))
        remarks.append(f"{len(absent)} meshes are not there or in no format MuJoCo reads, and are left out: {example}")
    for _ in range(_TRIES):
        spec = read_model(path, tuple(without))
        for body in spec.bodies:  # the shapes and the joints count, not what they weigh
            body.explicitinertial, body.mass, body.inertia = True, 1.0, [1.0, 1.0, 1.0]
            body.fullinertia = [np.nan] * 6
        for kind in ("actuators", "sensors", "keys", "tendons", "excludes", "pairs", "skins"):
            for element in list(getattr(spec, kind)):
                spec.delete(element)
        try:
            spec.copy().compile()
        except ValueError as error:
            mesh = _named_mesh(str(error), spec)
            if mesh is None:
                raise InputError(f"MuJoCo cannot compile the model: {error}", asked=path) from None
            without.append(mesh)
            remarks.append(f"mesh {mesh} is left out: {str(error).splitlines()[0]}")
            continue
        return spec, tuple(without), remarks
    raise InputError("MuJoCo refuses too many of the model's meshes", asked=path, found=", ".join(without))


def _named_mesh(text: str, spec) -> str | None:
    name = re.search(r"Element name '([^']*)'", text)
    names = {mesh.name or Path(mesh.file).stem for mesh in spec.meshes}
    return name.group(1) if name and name.group(1) in names else None


def _root(spec, remarks: list[str]):
    """The body that the robot hangs on: of several in the world the one with most joints below it."""
    roots = list(spec.worldbody.bodies)
    if not roots:
        raise InputError("the model has no bodies")

    def count(body) -> int:
        return len(body.joints) + sum(count(child) for child in body.bodies)

    best = max(roots, key=count)
    others = [body.name for body in roots if body is not best and count(body)]
    if others:
        remarks.append(f"other moving bodies in the model's world are not part of the robot: {', '.join(others)}")
    return best


def _unlimited(spec) -> set[str]:
    """Hinges and slides without limits."""
    out = set()
    for joint in spec.joints:
        given = float(joint.range[1]) > float(joint.range[0])
        if int(joint.type) in (2, 3) and (int(joint.limited) == 0 or (int(joint.limited) == 2 and not given)):
            out.add(joint.name)
    return out


def _shapes(model, carrier: dict, joints: int):
    bodies: dict[int, list] = {j: [] for j in range(-1, joints)}
    parts: dict[int, list] = {j: [np.zeros((0, 3))] for j in range(-1, joints)}
    for b in sorted(carrier):
        j, T_joint_body = carrier[b]
        bodies[j].append((model.body(b).name, T_joint_body))
        for g in range(model.body_geomadr[b], model.body_geomadr[b] + model.body_geomnum[b]):
            local = _geom_points(model, g)
            T = geometry.compose(T_joint_body, geometry.pose(model.geom_quat[g], model.geom_pos[g]))
            parts[j].append(geometry.transform(T, local))
    return bodies, {j: np.concatenate(part) for j, part in parts.items()}


def _geom_points(model, g: int) -> np.ndarray:
    """Points on the surface of a shape in its own frame; none for a plane."""
    kind, size = int(model.geom_type[g]), model.geom_size[g]
    if kind == 7:  # mesh
        mesh = int(model.geom_dataid[g])
        first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        vertices = model.mesh_vert[first : first + count].astype(float)
        if len(vertices) <= _POINTS:
            return vertices
        corners = [int(np.argmax(vertices @ d)) for d in _DIRECTIONS]
        step = np.linspace(0, len(vertices) - 1, _POINTS).astype(int)
        return vertices[np.unique(np.concatenate([step, corners]))]
    half = {2: size[[0, 0, 0]], 3: [size[0], size[0], size[0] + size[1]], 4: size, 5: size[[0, 0, 1]], 6: size}.get(
        kind
    )
    if half is None:
        return np.zeros((0, 3))
    directions = _DIRECTIONS if kind in (2, 4) else np.sign(_DIRECTIONS)
    return directions * np.array(half)


_GRID = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)])
_DIRECTIONS = _GRID / np.linalg.norm(_GRID, axis=1, keepdims=True)
