"""Where the networks mark their points on rendered people of the dev split, and how long those people's bones are.

    python scripts/bench/offsets.py [--clips 40] [--out runs/bench] [--table vidpretrain/motion/learned_offsets.yaml]

The human's tree is fitted to the exact points of each person, bones included; what is left between a point of the
fitted person and where a network marks it, in the axes of the bone, is the offset: weighted least squares on the pixels
of all people, every clip alike, left and right by one number. `motion.learned_offsets: rendered` uses the table; it is
off by default. Legs are hardly ever seen in these clips, and have none. The benchmark's held split shows none of these
people, motions and cameras.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

_STRIDE = 4  # frames in a row say the same
_POINT_M = 0.01  # of the tree around the true points
_BONES, _PRIOR = 0.2, {"body33": 20.0, "hand21": 5.0}  # relative, of bones; of offsets, thousandths of the height
_PX, _ROBUST, _ROUNDS = {"body33": 0.05, "hand21": 0.03}, 2.0, 5  # of marks, in torso and hand lengths
_SURE = 0.85


def main(words: list[str] | None = None) -> int:
    """Collect, solve, write the table and print it."""
    from labelling.learning import arguments

    asked = arguments(words, (__doc__ or "").splitlines()[0], 40, "learned_offsets.yaml")
    from labelling.clips import samples

    every = samples("dev", asked.clips, asked.out / "labels", workers=asked.workers, duration_s=4.0)
    table = learn([collect(sample) for sample in every])
    head = f"# Made by `python scripts/bench/offsets.py --clips {len(every)}` on the dev split; see learned.py\n"
    write(asked.table, table, head)
    print(asked.table.read_text())
    return 0


def collect(sample) -> dict[str, Any]:
    """What one clip tells: `bones`, factors on them, and by network the rows of its offsets' least squares.

    A row: slope (n k 2 3) of a point's pixels by its offset, what is left of them (n k 2), weight (n k), 0 if not seen.
    """
    from labelling.errors import true_points

    from vidpretrain import geometry, timebase
    from vidpretrain.kinematics import site_poses
    from vidpretrain.motion.camera import camera_for
    from vidpretrain.motion.config import MotionConfig

    truth = sample.truth
    view = "ego" if truth.view == "head" else "third"
    config = MotionConfig(height_m=truth.height_m, view=view)
    camera = camera_for(sample.clip, config, sample.metadata, view)
    time_ns = np.asarray(sample.tracks[0].time_ns)[::_STRIDE]
    index = timebase.nearest_index(truth.time_ns, time_ns)
    tree, q, base, factors = true_person(truth.p_world_keypoint[index], truth.height_m)
    T_camera_world = geometry.inverse(truth.T_world_camera)[index]
    rows = {}
    for track in sample.tracks:
        sites, image, sigma_px, ok = _marks(track, true_points(truth, time_ns), camera, config)
        if track.skeleton == "body33":  # a leg behind a table is marked anywhere
            ok[:, 25:] &= truth.visible[index][:, 25:33]
        pose = geometry.compose(T_camera_world[:, None], site_poses(tree, q, base, sites))
        at = [tree.site(site) for site in sites]
        turn = geometry.quat_mul(pose[..., :4], geometry.quat_inverse(tree.T_joint_site[at, :4]))
        axes = geometry.matrix_from_quat(turn) @ _table_axes(tree, track.skeleton)
        slope, left = _pixels(camera, pose[..., 4:], 1e-3 * truth.height_m * axes, image)
        weight = np.where(ok & np.isfinite(left).all(axis=-1), 1.0 / sigma_px[:, None] ** 2, 0.0)
        rows.setdefault(track.skeleton[:6], []).append((np.nan_to_num(slope), np.nan_to_num(left), weight))
    return {"bones": factors, "rows": rows}


def true_person(p_world: np.ndarray, height_m: float) -> tuple:
    """(tree, joints (t j), base (t 7), factors) of the human with the bones of the person whose points (t 75 3) these
    are, in his postures."""
    from vidpretrain import skeletons
    from vidpretrain.human import human_tree, rest
    from vidpretrain.motion.body import Body
    from vidpretrain.motion.fit_body import pelvis
    from vidpretrain.motion.fit_config import FitConfig
    from vidpretrain.motion.learned import bone_parameters
    from vidpretrain.motion.priors import posture
    from vidpretrain.solve import PointTerm, Problem, Start, solve_clip, with_parameters

    tree, t = human_tree(height_m), len(p_world)
    unknown = tuple(bone_parameters(tree, _BONES))
    terms = tuple(
        PointTerm(site=name, p_world_target=p_world[:, k].copy(), weight=np.full(t, 1.0 / _POINT_M**2))
        for k, name in enumerate(skeletons.skeleton("human75").names)
        if np.isfinite(p_world[:, k]).all()
    )
    none = np.zeros((t, 33))
    body = Body(p_world[:, skeletons.BODY_SLICE], none, none[:, 0], none, none, 0.0, 0.0, 0.0)
    problem = Problem(
        rate_hz=30.0 / _STRIDE,
        frames=t,
        terms=terms,
        posture=posture(tree, FitConfig(posture=3.0)),
        free_base=True,
        max_iterations=60,
        parameters=unknown,
    )
    start = Start(joint_pos=np.tile(rest(tree), (t, 1)), T_world_base=pelvis(body))
    found = solve_clip(tree, problem, start)
    factors = {name: float(value) for name, value in found.parameters.items()}
    return with_parameters(tree, unknown, found.parameters), found.joint_pos, found.T_world_base, factors


def _marks(track, truth: np.ndarray, camera, config) -> tuple:
    """(sites, pixels (n k 2), their sigma (n), (n k) points that the network marked on the right person)."""
    from vidpretrain import skeletons
    from vidpretrain.motion.body import trusted
    from vidpretrain.motion.camera import project

    image, confidence = track.p_image_keypoint[::_STRIDE], np.nan_to_num(track.confidence)
    if track.skeleton == "body33":
        sites, part, kind = list(skeletons.BODY_NAMES), skeletons.BODY_SLICE, "body33"
        ok = trusted(track, camera, config)[::_STRIDE]
    else:
        side = track.skeleton.split("_")[1]
        sites, part, kind = [f"{side}_hand_{n}" for n in skeletons.HAND_NAMES], skeletons.HAND_SLICES[side], "hand21"
        ok = np.repeat(confidence[::_STRIDE].mean(axis=1, keepdims=True) >= _SURE, 21, axis=1)
    there = project(camera, truth[:, part])
    ends = (there[:, [11, 12]].mean(axis=1), there[:, [23, 24]].mean(axis=1)) if kind == "body33" else None
    size = np.linalg.norm(ends[0] - ends[1], axis=-1) if ends else _hand_px(there)
    off = np.nan_to_num(np.linalg.norm(image - there, axis=-1), nan=np.inf)
    near = np.median(off, axis=1) < 0.3 * size
    if config.view == "ego" and kind == "body33":
        ok = np.zeros_like(ok)  # it invents bodies there
    return sites, image, np.maximum(_PX[kind] * size, 1.0), ok & near[:, None]


def _hand_px(there: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(there[:, [0, 9, 10, 11, 12]], axis=1), axis=-1).sum(axis=1)


def _table_axes(tree, skeleton: str) -> np.ndarray:
    """The table's axes in those of the joint (k 3 3): right points are mirror images of left ones."""
    from vidpretrain.motion.learned import palm_axes

    if skeleton != "body33":
        return np.repeat(palm_axes(tree, skeleton.split("_")[1])[None], 21, axis=0)
    right = np.array([_is_right(k) for k in range(33)])
    return np.where(right[:, None, None], np.diag([1.0, -1.0, 1.0]), np.eye(3))


def _pixels(camera, at: np.ndarray, axes: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(slope (n k 2 3) of the pixels by an offset along `axes` (n k 3 3), what a mark has beyond the point (n k 2))."""
    from vidpretrain.motion.camera import project

    step = 1e-4
    here = project(camera, at)
    slope = [(project(camera, at + step * axes[..., :, i]) - here) / step for i in range(3)]
    return np.stack(slope, axis=-1), image - here


def learn(clips: list[dict[str, Any]]) -> dict[str, Any]:
    """The table of the clips, each of them counted alike."""
    from vidpretrain import skeletons

    names = sorted({name for clip in clips for name in clip["bones"]})
    bones = {n: float(np.exp(np.mean([np.log(clip["bones"][n]) for clip in clips]))) for n in names}
    found = {}
    for kind in ("body33", "hand21"):
        parts = [row for clip in clips for row in clip["rows"].get(kind, [])]
        found[kind] = _solve(parts, list(skeletons.skeleton("body33").mirror) if kind == "body33" else None, kind)
    body, hand = found["body33"], found["hand21"]
    return {
        "bones": {n: round(f, 4) for n, f in bones.items()},
        "body33": {n: [round(float(x), 2) for x in body[k]] for k, n in enumerate(skeletons.BODY_NAMES)},
        "hand21": {n: [round(float(x), 2) for x in hand[k]] for k, n in enumerate(skeletons.HAND_NAMES)},
    }


def _solve(parts: list, mirror: list[int] | None, kind: str) -> np.ndarray:
    """Offsets (k 3) in the table's axes: reweighted least squares (Cauchy) with a prior around 0; with `mirror` a point
    and its other side share one, and the right one is mirrored back."""
    count = parts[0][1].shape[1]
    out = np.zeros((count, 3))
    sides = np.array([1.0, -1.0, 1.0])
    for k in range(count):
        group = [k] if mirror is None else sorted({k, mirror[k]})
        o, prior = np.zeros(3), np.eye(3) / _PRIOR[kind] ** 2
        for _ in range(_ROUNDS):
            A, b = prior.copy(), np.zeros(3)
            for slope, left, weight in parts:
                for g in group:
                    if not (w := weight[:, g]).any():
                        continue
                    off = left[:, g] - slope[:, g] @ o
                    w = w / (1.0 + w * (off**2).sum(axis=1) / _ROBUST**2) / (weight[:, g] > 0).sum()
                    A += np.einsum("n,nij,nik->jk", w, slope[:, g], slope[:, g])
                    b += np.einsum("n,nij,ni->j", w, slope[:, g], left[:, g])
            o = np.linalg.solve(A, b)
        if mirror is not None and mirror[k] == k:
            o[1] = 0.0
        out[k] = o * sides if mirror is not None and _is_right(k) else o
    return out + 0.0  # no -0


def _is_right(k: int) -> bool:
    from vidpretrain import skeletons

    name = skeletons.BODY_NAMES[k]
    return name.startswith("right_") or name.endswith("_right")


def write(path: Path, table: dict[str, Any], head: str = "") -> None:
    """The table as YAML, written aside and renamed."""
    import yaml

    from vidpretrain.workflow.files import write_text

    write_text(path, head + yaml.safe_dump(table, sort_keys=False, default_flow_style=None, width=110))


if __name__ == "__main__":
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy's libraries
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
