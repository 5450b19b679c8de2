"""A rendered person's body as plain arrays: bones at rest, clothed meshes with skin weights, keypoints on bones.

Shape, rig and skin weights come from Anny (Apache-2.0, PyPI `anny`, a MakeHuman-based body of 104 bones); clothes are
offset and smoothed copies of its surface. Anny needs torch, so a body is made once and kept as an npz in the cache;
whoever renders afterwards needs NumPy alone. Rest coordinates are the house's: x forward, y left, z up, floor at z = 0.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidpretrain import config, skeletons
from vidpretrain.errors import MissingExtra

_VERSION = 5  # of the arrays below; a new number makes the cached bodies anew
_R_HOUSE_ANNY = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # Anny looks along -y
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_DROPPED = ("eye_back.L", "eye_back.R", "eye_cavity.L", "eye_cavity.R", "mouth_cavity", "tongue")


@dataclass(frozen=True, kw_only=True)
class BodyShape:
    """Anny's phenotype parameters, each in [0, 1]; `age` .67 is a young adult, 1 an old one."""

    gender: float = 0.5
    age: float = 0.67
    muscle: float = 0.5
    weight: float = 0.45
    height: float = 0.5
    proportions: float = 0.6
    sleeves: str = "long"


@dataclass(frozen=True)
class Part:
    """A mesh of one colour: vertices (v 3) m at rest, faces (f 3), bones (v n) and weights (v n)."""

    name: str
    vertices: np.ndarray
    faces: np.ndarray
    bone: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Body:
    """Bones `names` (b) with `parent` (b, -1 for the root) and rest poses; meshes; where the keypoints sit.

    `keypoint_bone` (75) and `p_rest_keypoint` (75 3) m attach each point of `human75` rigidly to a bone; points that
    Anny does not define (inner and outer corners of the eyes, the mouth) have bone -1 and NaN.
    """

    names: tuple[str, ...]
    parent: np.ndarray
    p_rest: np.ndarray
    R_rest: np.ndarray
    parts: tuple[Part, ...]
    keypoint_bone: np.ndarray
    p_rest_keypoint: np.ndarray
    height_m: float

    def bone(self, name: str) -> int:
        """Index of a bone."""
        return self.names.index(name)


def cache_dir() -> Path:
    """Folder for made bodies: $VIDPRETRAIN_CACHE, else $XDG_CACHE_HOME or ~/.cache, then `vidpretrain`."""
    own = os.environ.get("VIDPRETRAIN_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidpretrain"


def load_body(shape: BodyShape) -> Body:
    """The body of that shape, from the cache, or made by Anny (seconds, needs torch) and kept there.

    Raises:
        MissingExtra: the body is not cached and Anny is not installed.
    """
    path = cache_dir() / "bodies" / f"{config.digest(_VERSION, shape)}.npz"
    if not path.is_file():
        _save(path, make_body(shape))
    return _read(path)


def make_body(shape: BodyShape) -> Body:
    """The body of that shape, made by Anny.

    Raises:
        MissingExtra: Anny is not installed.
    """
    try:
        import anny
        import torch
        from anny.face_segmentation import get_face_segmentation_mask
        from anny.keypoints import KeypointsRegressor
    except ImportError as error:
        raise MissingExtra(
            "rendering people needs Anny", asked=error.name, next_command="pip install 'vidpretrain[sim]'"
        ) from None
    model = anny.Anny(skinning_method="lbs")  # the default compiles kernels for minutes
    phenotype = {f.name: getattr(shape, f.name) for f in dataclasses.fields(shape) if f.name != "sleeves"}
    with torch.no_grad():
        out = model(phenotype_kwargs=phenotype)
        coco = KeypointsRegressor.coco(model)
        face_points = coco({"vertices": out["rest_vertices"]})[0].numpy() @ _R_HOUSE_ANNY.T
    vertices = out["rest_vertices"][0].numpy() @ _R_HOUSE_ANNY.T
    poses = out["rest_bone_poses"][0].numpy()
    floor = np.array([0.0, 0.0, vertices[:, 2].min()])
    p_rest = poses[:, :3, 3] @ _R_HOUSE_ANNY.T - floor
    vertices = vertices - floor
    names = tuple(model.bone_labels)
    labels = {
        label: get_face_segmentation_mask(model, list(kinds)).numpy()
        for label, kinds in (("drop", _DROPPED), ("eye", ("eye_front.L", "eye_front.R")))
    }
    mesh = _Surface(
        vertices,
        model.faces.numpy() if hasattr(model.faces, "numpy") else np.asarray(model.faces),
        model.vertex_bone_indices.numpy(),
        model.vertex_bone_weights.numpy(),
        names,
        p_rest,
    )
    bone, points = _keypoints(mesh, dict(zip(coco.labels, face_points - floor, strict=True)))
    return Body(
        names=names,
        parent=np.array([-1 if p is None else int(p) for p in model.bone_parents]),
        p_rest=p_rest,
        R_rest=_R_HOUSE_ANNY @ poses[:, :3, :3],
        parts=tuple(_parts(mesh, labels, shape.sleeves)),
        keypoint_bone=bone,
        p_rest_keypoint=points,
        height_m=float(np.ptp(vertices[~np.isin(np.arange(len(vertices)), mesh.faces[labels["drop"]])][:, 2])),
    )


class _Surface:
    """The whole mesh at rest and which bone owns each vertex and face."""

    def __init__(self, vertices, faces, bone, weight, names, p_rest):
        if faces.shape[1] == 4:
            faces = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
        self.vertices, self.faces, self.bone, self.weight = vertices, faces, bone, weight
        self.names, self.p_rest = names, p_rest
        self.owner = bone[np.arange(len(bone)), weight.argmax(1)]
        self.centre = vertices[faces].mean(1)

    def share(self, *prefixes: str) -> np.ndarray:
        """Weight (v) that bones with these prefixes have in each vertex."""
        chosen = np.array([any(name.startswith(p) for p in prefixes) for name in self.names])
        return (self.weight * chosen[self.bone]).sum(1)

    def face_share(self, *prefixes: str) -> np.ndarray:
        """The same for faces: mean over the three corners."""
        return self.share(*prefixes)[self.faces].mean(1)

    def at(self, name: str) -> np.ndarray:
        """Rest position of a bone's head."""
        return self.p_rest[self.names.index(name)]

    def part(self, name: str, mask: np.ndarray, offset_m: float = 0.0, smooth: int = 0) -> Part:
        """The masked faces as a mesh of their own, smoothed `smooth` times and moved outwards by `offset_m`."""
        used, local = np.unique(self.faces[mask], return_inverse=True)
        faces = local.reshape(-1, 3)
        own = self.vertices[used]
        vertices = _smooth(own, faces, smooth)
        if offset_m:
            normals = _normals(vertices, faces)
            sunk = ((own - vertices) * normals).sum(1, keepdims=True)  # smoothing sinks bumps: stay outside the skin
            push = np.maximum(_smooth(np.maximum(sunk, 0.0), faces, 2), sunk)
            vertices = vertices + (push + offset_m) * normals
        return Part(name, vertices, faces, self.bone[used], self.weight[used])


def _smooth(vertices: np.ndarray, faces: np.ndarray, times: int) -> np.ndarray:
    """Laplacian smoothing of positions or any other columns (v n), half-way to the neighbours' mean each time."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(edges[:, 0], minlength=len(vertices))
    for _ in range(times):
        columns = range(vertices.shape[1])
        total = np.stack([np.bincount(edges[:, 0], vertices[edges[:, 1], k], len(vertices)) for k in columns], 1)
        vertices = 0.5 * vertices + 0.5 * total / np.maximum(degree, 1)[:, None]
    return vertices


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    out = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(out, faces[:, k], face)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def _parts(mesh: _Surface, labels: dict[str, np.ndarray], sleeves: str) -> list[Part]:
    """Skin, face details, hair and clothes; skin far under clothes is left out."""
    kept = ~labels["drop"] & ~labels["eye"]
    height, centre = mesh.centre[:, 2], mesh.centre
    eye = 0.5 * (mesh.at("eye.L") + mesh.at("eye.R"))
    waist = mesh.at("spine05")[2] + 0.02
    trunk = mesh.face_share("spine", "clavicle", "shoulder01", "upperarm", "root", "pelvis", "upperleg", "lowerleg")
    limbs = mesh.face_share("lowerarm", "upperarm") > 0.5
    hands = mesh.face_share("wrist", "finger", "metacarpal")
    feet = mesh.face_share("foot", "toe")
    head = mesh.face_share("head")
    sleeve = limbs & _along_arm(mesh, 1.82 if sleeves == "long" else 0.55)
    body = kept & ((trunk > 0.55) | sleeve) & (~limbs | sleeve) & (hands < 0.3) & (feet < 0.3)
    body &= height < mesh.at("neck01")[2] + 0.035
    shirt = body & (limbs | (height > waist - 0.06))
    trousers = body & ~limbs & (height < waist + 0.02)
    shoes = kept & (feet > 0.35)
    behind = eye[0] - centre[:, 0]
    hair = kept & (head > 0.5) & (height - eye[2] + 0.55 * behind > 0.058) & (np.abs(centre[:, 1]) < 0.085)
    side = np.abs(np.abs(centre[:, 1]) - mesh.at("eye.L")[1])
    brow = (
        kept & (head > 0.5) & (np.abs(height - eye[2] - 0.030 - 0.1 * side) < 0.0036) & (side < 0.02) & (behind < 0.0)
    )
    iris_centre = np.stack([mesh.centre[labels["eye"]][:, 0].max() * np.ones(2), [-1, 1] * mesh.at("eye.L")[1:2]], 1)
    to_iris = np.abs(np.abs(centre[:, 1]) - np.abs(iris_centre[0, 1])) ** 2 + (height - eye[2]) ** 2
    iris = labels["eye"] & (to_iris < 0.0055**2)
    hidden = (shirt | trousers | shoes) & _deep(mesh, shirt | trousers | shoes)
    return [
        mesh.part("skin", kept & ~hidden & ~brow),
        mesh.part("brow", brow, 0.0004),
        mesh.part("eye", labels["eye"] & ~iris),
        mesh.part("iris", iris, 0.0002),
        mesh.part("hair", hair, 0.011, 2),
        mesh.part("shirt", shirt, 0.010, 8),
        mesh.part("trousers", trousers, 0.012, 6),
        mesh.part("shoes", shoes, 0.012, 4),
    ]


def _along_arm(mesh: _Surface, end: float) -> np.ndarray:
    """Faces nearer than `end` along the arm: 0 at the shoulder, 1 at the elbow, 2 at the wrist."""
    out = np.zeros(len(mesh.faces), dtype=bool)
    for letter in ("L", "R"):
        shoulder, elbow, wrist = (mesh.at(f"{name}.{letter}") for name in ("upperarm01", "lowerarm01", "wrist"))
        start, stop = (shoulder, elbow) if end <= 1 else (elbow, wrist)
        way = stop - start
        part = (mesh.centre - start) @ way / (way @ way)
        side = np.sign(mesh.centre[:, 1]) == np.sign(shoulder[1])
        out |= side & (part < (end if end <= 1 else end - 1))
    return out


def _deep(mesh: _Surface, mask: np.ndarray, rings: int = 3) -> np.ndarray:
    """Faces of the mask that are more than `rings` rings away from its border."""
    edge = np.zeros(len(mesh.vertices), dtype=bool)
    edge[mesh.faces[~mask]] = True
    for _ in range(rings):
        near = edge[mesh.faces].any(1)
        edge[mesh.faces[near]] = True
    return mask & ~edge[mesh.faces].any(1)


def _keypoints(mesh: _Surface, face_points: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Bone (75) and rest position (75 3) of each point of `human75`."""
    names = skeletons.skeleton("human75").names
    bone, points = np.full(len(names), -1), np.full((len(names), 3), np.nan)

    def put(name: str, owner: str, point: np.ndarray) -> None:
        i = names.index(name)
        bone[i], points[i] = mesh.names.index(owner), point

    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        put(name, "head", face_points[name])
    for side, letter in (("left", "L"), ("right", "R")):
        joints = {
            "shoulder": "upperarm01",
            "elbow": "lowerarm01",
            "wrist": "wrist",
            "hip": "upperleg01",
            "knee": "lowerleg01",
            "ankle": "foot",
            "pinky": "finger5-1",
            "index": "finger2-1",
            "thumb": "finger1-2",
        }
        for name, owner in joints.items():
            put(f"{side}_{name}", f"{owner}.{letter}", mesh.at(f"{owner}.{letter}"))
        put(f"{side}_heel", f"foot.{letter}", _end(mesh, f"foot.{letter}", np.array([-1.0, 0.0, -0.5])))
        put(f"{side}_foot_index", f"toe1-2.{letter}", _end(mesh, f"toe1-2.{letter}", np.array([1.0, 0.0, 0.0])))
        put(f"{side}_hand_wrist", f"wrist.{letter}", mesh.at(f"wrist.{letter}"))
        for number, finger in enumerate(_FINGERS, start=1):
            parts = ("cmc", "mcp", "ip") if finger == "thumb" else ("mcp", "pip", "dip")
            for k, part in enumerate(parts, start=1):
                owner = f"finger{number}-{k}.{letter}"
                put(f"{side}_hand_{finger}_{part}", owner, mesh.at(owner))
            last = f"finger{number}-3.{letter}"
            along = mesh.at(last) - mesh.at(f"finger{number}-2.{letter}")
            put(f"{side}_hand_{finger}_tip", last, _end(mesh, last, along, 0.004))
    return bone, points


def _end(mesh: _Surface, owner: str, direction: np.ndarray, inset_m: float = 0.0) -> np.ndarray:
    """Mean of the eight vertices of a bone that lie farthest along `direction`, moved back by `inset_m`."""
    own = mesh.vertices[mesh.owner == mesh.names.index(owner)]
    direction = direction / np.linalg.norm(direction)
    return own[np.argsort(own @ direction)[-8:]].mean(0) - inset_m * direction


def _save(path: Path, body: Body) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(body, name) for name in ("parent", "p_rest", "R_rest", "keypoint_bone", "p_rest_keypoint")}
    for part in body.parts:
        for field in ("vertices", "faces", "bone", "weight"):
            arrays[f"{part.name}/{field}"] = getattr(part, field)
    meta = {"names": body.names, "parts": [p.name for p in body.parts], "height_m": body.height_m}
    beside = path.with_name(f"{path.stem}.{os.getpid()}.tmp.npz")
    np.savez(beside, meta=np.array(json.dumps(meta)), **arrays)
    beside.replace(path)


def _read(path: Path) -> Body:
    with np.load(path) as data:
        meta = json.loads(str(data["meta"]))
        parts = tuple(
            Part(name, *(data[f"{name}/{field}"] for field in ("vertices", "faces", "bone", "weight")))
            for name in meta["parts"]
        )
        return Body(
            names=tuple(meta["names"]),
            parts=parts,
            height_m=meta["height_m"],
            **{key: data[key] for key in ("parent", "p_rest", "R_rest", "keypoint_bone", "p_rest_keypoint")},
        )
