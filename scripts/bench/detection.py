"""Hands and bodies found in video: real clips by consistency, rendered clips against their truth, networks' rates.

    python scripts/bench/detection.py [--split held] [--out runs/bench] [--docs docs/results/detection.md]
    python scripts/bench/detection.py [--real FOLDER] [--rendered FOLDER] [--empty FOLDER] [--rate FOLDER] [--frames N]

The first form is everything: the clean and the hard clips of a split (those of the bench of labels, rendered under
OUT/labels where they are not there yet), real clips, and the rate of one worker and of two, for a quiet machine.
The second one looks at folders. Rendered clips are NAME.mp4 with NAME.truth.npz beside it, as `vidpretrain synth` and
the bench of labels leave them (of their groups `empty` and `no_hands` every hand is a false alarm); of empty clips
every hand and body found is one. Everything is looked at anew. Rows go to OUT/detection.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))
_PALM = [0, 5, 9, 13, 17]
_MIDDLE = [0, 9, 10, 11, 12]
_WRONG = 0.5  # lengths of the true hand between the palms' points: more is another thing than the hand
_REFERENCE = "dexretarget_hand"


def main(words: list[str] | None = None) -> int:
    """Look, measure, print and write."""
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy in a worker
    asked = _arguments(words)
    from labelling.detection_report import bar_rows, bar_table, document, rates

    from vidpretrain.workflow.files import write_text

    jobs = _jobs(asked)
    rows = _measure_all(jobs, asked.workers)
    bars = bar_rows(rows) + (rates(_rate_clips(asked, jobs), asked.frames) if _wants_rate(asked) else [])
    text = table(rows) + "\n" + bar_table(bars)
    print(text)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_text(asked.out / "detection.json", json.dumps(rows + bars, indent=2))
    if asked.docs is not None:
        write_text(asked.docs, document(rows, bars, asked.split if _everything(asked) else None, asked.frames))
    return 0


def _everything(asked: argparse.Namespace) -> bool:
    return not (asked.real or asked.rendered or asked.empty or asked.rate)


def _wants_rate(asked: argparse.Namespace) -> bool:
    return asked.rate is not None or (_everything(asked) and not asked.no_rate)


def _jobs(asked: argparse.Namespace) -> list[tuple[Path, str, int]]:
    """Clips with what they are and how many of their frames are looked at; rendered where they are missing."""
    folders = {"real": asked.real, "rendered": asked.rendered, "empty": asked.empty}
    if not _everything(asked):
        return [(path, kind, asked.frames) for kind, folder in folders.items() for path in _videos(folder)]
    from labelling.clips import clean_clips, hard_clips

    out = asked.out / "labels"
    clean = clean_clips(asked.split, asked.clips, out, workers=asked.workers, duration_s=4.0)
    hard = hard_clips(asked.split, out, workers=asked.workers)
    jobs = [(Path(row["video"]), "rendered", asked.frames) for row in (*(row for _, row in clean), *hard)]
    return [(path, "real", min(asked.frames, 60)) for path in _videos(asked.videos)] + jobs


def _rate_clips(asked: argparse.Namespace, jobs: list[tuple[Path, str, int]]) -> list[Path]:
    return _videos(asked.rate) if asked.rate else [path for path, kind, _ in jobs if kind == "rendered"]


def _measure_all(jobs: list[tuple[Path, str, int]], workers: int) -> list[dict[str, Any]]:
    """Rows of all clips, in their order, by so many processes."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    if not jobs:
        return []
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(measure, *zip(*jobs, strict=True)))


def measure(path: Path, kind: str, frames: int) -> dict[str, Any]:
    """One clip's row: consistency, and against the truth where there is one."""
    from labelling.detection_report import WITHOUT, sidecar

    tracks, seconds = look(path, frames)
    row: dict[str, Any] = {"clip": path.name, "kind": kind, "frames_per_cpu_s": len(tracks[0].time_ns) / seconds}
    row |= consistency(tracks)
    reference = path.parent.parent / "motion" / "dexretarget_hand_joints.pkl"
    if kind == "real" and path.stem == _REFERENCE and reference.is_file():
        row["reference_mm"] = against_reference(tracks, reference)
    if kind == "rendered":
        from vidpretrain.sim import load_truth

        row |= sidecar(path)
        if row["group"] not in WITHOUT:
            truth = load_truth(path.with_suffix(".truth.npz"))
            counts = [against_truth(tracks, person) for person in people(path, truth)]
            row |= max(counts, key=lambda count: count["hit"])
    return row


def look(path: Path, frames: int):
    """Tracks of the first `frames` decoded frames of a video, unjudged, and the processor's seconds."""
    from vidpretrain.pose import PoseConfig, RejectConfig, load_estimator
    from vidpretrain.types import Clip, Reject
    from vidpretrain.video import probe

    info = probe(path)
    if isinstance(info, Reject):
        raise RuntimeError(f"{path}: {info.detail}")
    end = min(frames, info.frame_count) - 1
    clip = Clip(
        clip_id=path.stem,
        source_id=path.stem,
        path=str(path),
        start_ns=0,
        exclusive_end_ns=int(info.time_ns[end] + info.frame_ns // 2),
        width_px=info.width_px,
        height_px=info.height_px,
    )
    start = time.process_time()
    unjudged = RejectConfig(
        max_dark_share=1.0,
        max_blurred_share=1.0,
        max_crowd_share=1.0,
        max_upside_down_share=1.0,
        max_sideways_share=1.0,
    )
    tracks = load_estimator("mediapipe").estimate(clip, info, PoseConfig(), unjudged)
    if isinstance(tracks, Reject):
        raise RuntimeError(f"{path}: {tracks.detail}")
    return tracks, time.process_time() - start


def consistency(tracks) -> dict[str, float]:
    """What can be said without truth, in shares of frames (or of hands found, where it says so).

    `body_wrist` is the median distance of hand and body wrist in torso lengths, `own_wrist` the share of hands nearer
    to their own side's wrist, `label` and `chirality` the shares that the network's label and the 21 points agree with,
    `jumps` and `exchanged` the shares that moved more than a hand's length in one frame, or stand where the other
    side's hand was.
    """
    left, right, body = tracks
    out = {
        "frames": float(len(body.time_ns)),
        "hand": float(np.mean(left.found | right.found)),
        "both": float(np.mean(left.found & right.found)),
        "left": float(left.found.mean()),
        "right": float(right.found.mean()),
        "body": float(body.found.mean()),
    }
    apart, own, chirality, jump, exchanged = [], [], [], [], []
    for track, other, side in ((left, right, 0), (right, left, 1)):
        p, q = track.p_image_keypoint, other.p_image_keypoint
        both = track.found & body.found
        torso = _torso(body.p_image_keypoint)
        to = np.linalg.norm(body.p_image_keypoint[:, [15 + side, 16 - side]] - p[:, :1], axis=-1) / torso[:, None]
        apart.append(to[both, 0])
        own.append(to[both, 0] <= to[both, 1])
        if track.p_relative_keypoint is not None:
            c = np.array([chirality_of(x) for x in track.p_relative_keypoint[track.found]])
            chirality.append((1 - 2 * side) * c[np.abs(c) > 0.3] > 0)
        size = _length(p)
        step = np.linalg.norm(np.diff(p[:, _PALM], axis=0), axis=-1).mean(-1) / size[1:]
        cross = np.linalg.norm(p[1:, _PALM] - q[:-1, _PALM], axis=-1).mean(-1) / size[1:]
        jump.append(step[np.isfinite(step)] > 1.0)
        known = np.isfinite(cross)
        exchanged.append((cross < 0.5)[known] & ~(step < cross)[known])
    out["body_wrist"] = _median(np.concatenate(apart))
    for name, values in (("own_wrist", own), ("chirality", chirality), ("jumps", jump), ("exchanged", exchanged)):
        pooled = np.concatenate(values) if values else np.zeros(0)
        out[name] = float(pooled.mean()) if len(pooled) else float("nan")
    return out


def chirality_of(p_relative: np.ndarray) -> float:
    """As `HandSighting.chirality`, of points (21 3)."""
    from vidpretrain.pose.observations import HandSighting

    return HandSighting(p_image=np.zeros((21, 2)), p_relative=p_relative, p_left=0.5, origin="frame").chirality


def people(path: Path, truth: Any) -> list[Any]:
    """The truth of every person of a clip, of whom the tracks may follow any; or the one given."""
    motion = path.with_suffix(".motion.npz")
    if not motion.is_file():
        return [truth]
    from vidpretrain.synth import load_motion

    clip = load_motion(motion)
    return [
        dataclasses.replace(truth, p_world_keypoint=person.p_world_keypoint, visible=seen)
        for person, seen in zip(clip.people, clip.visible, strict=True)
    ]


def against_truth(tracks, truth) -> dict[str, float]:
    """Counts against a rendered clip's truth.

    `wanted` hands are seen (half of their points), `hit` of them have a track at their place. `emitted` hands are
    `wrong` where they lie half a hand off the true one of that side, `exchanged_true` where they lie on the other one.
    Of the `hit` ones in sight the palm is `backwards` where the relative points, turned to the ray, face the other way.
    """
    from vidpretrain import geometry, skeletons, timebase

    time_ns = tracks[0].time_ns
    at = timebase.nearest_index(truth.time_ns, time_ns)
    p = geometry.transform(geometry.inverse(truth.T_world_camera)[:, None], truth.p_world_keypoint)[at]
    image = p[..., :2] / p[..., 2:] * truth.K[[0, 1], [0, 1]] + truth.K[:2, 2]
    out = dict.fromkeys(("wanted", "hit", "emitted", "wrong", "exchanged_true", "backwards"), 0)
    parts = [skeletons.HAND_SLICES[side] for side in ("left", "right")]
    for side, track in enumerate(tracks[:2]):
        own, other = image[:, parts[side]], image[:, parts[1 - side]]
        size = _length(own)
        to_own, to_other = (
            np.linalg.norm(track.p_image_keypoint[:, _PALM] - x[:, _PALM], axis=-1).mean(-1) / size
            for x in (own, other)
        )
        seen = truth.visible[at][:, parts[side]].mean(1) >= 0.5
        right = track.found & (to_own <= _WRONG)
        out["wanted"] += int(seen.sum())
        out["hit"] += int((seen & right).sum())
        out["emitted"] += int(track.found.sum())
        out["wrong"] += int((track.found & ~right & ~(to_other <= _WRONG)).sum())
        out["exchanged_true"] += int((track.found & ~right & (to_other <= _WRONG)).sum())
        if track.p_relative_keypoint is not None:
            rows = seen & right
            turned = geometry.rotate(_to_ray(p[rows][:, parts[side]])[:, None], track.p_relative_keypoint[rows])
            facing = (_palm_normal(turned) * _palm_normal(p[rows][:, parts[side]])).sum(-1)
            out["backwards"] += int((facing < 0).sum())
    return {name: float(value) for name, value in out.items()}


def _to_ray(p_camera: np.ndarray) -> np.ndarray:
    """Turns (t 4) from the optical axis to the rays of hands: networks answer as if these had been seen straight on."""
    from vidpretrain.motion.camera import ray_rotation

    centre = p_camera.mean(axis=1)
    return ray_rotation(centre[:, :2] / centre[:, 2:])


def _palm_normal(hand: np.ndarray) -> np.ndarray:
    return np.cross(hand[:, 5] - hand[:, 0], hand[:, 17] - hand[:, 0])


def against_reference(tracks, path: Path) -> float:
    """Median distance (mm, after Procrustes) of the right hand's points to the 21 points of the reference file."""
    with path.open("rb") as file:
        reference = _Arrays(file).load()
    reference = np.asarray(reference)
    right = tracks[1]
    rows = np.flatnonzero(right.found[: len(reference)])
    a, b = np.asarray(right.p_relative_keypoint)[rows], reference[rows]
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    U, S, Vt = np.linalg.svd(np.einsum("tki,tkj->tij", a, b))
    sign = np.sign(np.linalg.det(U) * np.linalg.det(Vt))
    D = np.stack([np.ones_like(sign), np.ones_like(sign), sign], axis=-1)
    R = np.einsum("tij,tj,tjk->tik", U, D, Vt)
    scale = (S * D).sum(-1) / (a**2).sum((1, 2))
    off = np.linalg.norm(scale[:, None, None] * np.einsum("tki,tij->tkj", a, R) - b, axis=-1).mean(1)
    return float(1000 * np.median(off))


class _Arrays(pickle.Unpickler):
    """An unpickler that admits NumPy arrays only."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy":
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not a NumPy array")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows of real clips, rows of rendered ones and their sums."""
    names = ("hand", "both", "left", "right", "body", "body_wrist", "own_wrist", "chirality", "jumps", "exchanged")
    lines = [f"{'clip':<28}" + "".join(f"{name[:10]:>11}" for name in names) + f"{'frames/s':>10}"]
    for row in rows:
        values = "".join(f"{row[name]:>11.3f}" for name in names)
        more = f"  {row['reference_mm']:.1f} mm" if "reference_mm" in row else ""
        lines.append(f"{row['clip'][:27]:<28}{values}{row['frames_per_cpu_s']:>10.1f}{more}")
    rendered = [row for row in rows if "wanted" in row]
    for group in dict.fromkeys(row["group"] for row in rendered):
        lines.append(f"{group}: {_sums([row for row in rendered if row['group'] == group])}")
    empty = [row for row in rows if row["kind"] == "empty"]
    if empty:
        hand, body = (float(np.mean([row[name] for row in empty])) for name in ("hand", "body"))
        lines.append(f"empty: a hand in {hand:.4f} and a body in {body:.4f} of the frames")
    return "\n".join(lines)


def _sums(rows: list[dict[str, Any]]) -> str:
    total = {name: sum(row[name] for row in rows) for name in ("wanted", "hit", "emitted", "wrong", "backwards")}
    exchanged = sum(row["exchanged_true"] for row in rows)
    emitted = max(total["emitted"], 1)
    false_body = float(np.mean([row["body"] for row in rows]))
    return (
        f"hands found {total['hit'] / max(total['wanted'], 1):.3f} of {total['wanted']:.0f}; of {emitted:.0f} emitted "
        f"wrong {total['wrong'] / emitted:.4f}, other side's {exchanged / emitted:.4f}, "
        f"palm backwards {total['backwards'] / max(total['hit'], 1):.4f}; body in {false_body:.3f} of frames"
    )


def _torso(body: np.ndarray) -> np.ndarray:
    shoulders, hips = body[:, 11:13], body[:, 23:25]
    torso = np.linalg.norm(shoulders.mean(1) - hips.mean(1), axis=-1)
    return np.maximum(torso, np.linalg.norm(shoulders[:, 0] - shoulders[:, 1], axis=-1))


def _length(hand: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(hand[:, _MIDDLE], axis=1), axis=-1).sum(-1)


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")


def _videos(folder: Path | None) -> list[Path]:
    return [] if folder is None else sorted(p for p in folder.rglob("*") if p.suffix in (".mp4", ".mkv"))


def _arguments(words: list[str] | None) -> argparse.Namespace:
    shared = Path(os.environ.get("VIDPRETRAIN_SHARED", ROOT.parent / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=("held", "dev"), default="held", help="dev is for trying things out")
    parser.add_argument("--clips", type=int, default=40, help="clean ones")
    parser.add_argument("--videos", type=Path, default=shared / "data" / "video", help="real clips")
    parser.add_argument("--no-rate", action="store_true", help="leave the rate out: the machine is not quiet")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--real", type=Path, help="folder of real clips")
    parser.add_argument("--rendered", type=Path, help="folder of rendered clips with truth")
    parser.add_argument("--empty", type=Path, help="folder of clips with nobody in them")
    parser.add_argument("--rate", type=Path, help="folder of clips on which the networks' rate is measured")
    parser.add_argument("--docs", type=Path, help="also write the figures there as Markdown")
    parser.add_argument("--frames", type=int, default=120, help="of each clip, from its start; 60 of real ones at most")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
