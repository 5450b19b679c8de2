"""The table behind a fitted point's sigma, from rendered people of the dev split with height and lens known.

    python scripts/bench/calibrate.py [--clips 64] [--out runs/bench] [--table vidpretrain/motion/calibration.yaml]

By kind of point the logarithm of the error is fitted to cues (least squares, weights of the sign that each cue must
have, every clip alike); then one factor brings 90 % of the errors within 2.5 sigma, measured on people left out of the
fit in turn. The benchmark's held split shows none of these people, motions and cameras.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
_LEAST_M, _RIDGE, _SHARE, _IN_SIGMA = 1e-3, 0.02, 0.9, 2.5
_AWAY = (0.5, 1.0)  # gaps are rare in the clips: a frame farther away always counts
_TIPS = [4, 8, 12, 16, 20]


def main(words: list[str] | None = None) -> int:
    """Collect, fit, write the table and print how it does on people left out."""
    asked = _arguments(words)
    _write(asked.table, {})  # what cues there are is the fit's business, not the old table's
    from labelling.clips import samples

    every = samples("dev", asked.clips, asked.out / "labels", workers=asked.workers, duration_s=4.0)
    data = collect(every)
    kinds = {}
    for kind, rows in sorted(data.items()):
        kinds[kind], left_out = fit(*rows)
        print(f"{kind:<18} {len(rows[1]):>6} points; left out: {left_out}")
    _write(asked.table, kinds, len(every))
    return 0


def collect(every: list) -> dict[str, tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]]:
    """By kind: cues, errors (m), clip and group of people of every point of every frame."""
    import dataclasses

    from labelling.errors import true_points

    from vidpretrain import skeletons
    from vidpretrain.motion import MotionConfig
    from vidpretrain.motion.body import ARM, HIPS, SHOULDERS
    from vidpretrain.motion.build import lift
    from vidpretrain.motion.fit import fit_human

    found: dict[str, list] = {}
    for number, sample in enumerate(every):
        view = "ego" if sample.truth.view == "head" else "third"
        config = dataclasses.replace(MotionConfig(view=view), height_m=sample.truth.height_m)
        time_ns = np.asarray(sample.tracks[0].time_ns)
        named = {track.skeleton: track for track in sample.tracks}
        _, camera, body, hands = lift(named, sample.clip, time_ns, config, sample.metadata)
        fitted, truth = fit_human(named, body, hands, camera, view, time_ns, config), true_points(sample.truth, time_ns)
        for name, cues in fitted.cues.items():
            side, kind = name.split(" ")
            k = skeletons.SIDES.index(side)
            parts = {}
            if kind == "wrist":
                off = np.linalg.norm(fitted.hands[side].p_camera - truth[:, skeletons.HAND_SLICES[side]], axis=-1)
                parts = {f"{view} wrist": off[:, 0], f"{view} fingertips": off[:, _TIPS].mean(axis=1)}
            elif fitted.body is not None:
                at = {"elbow": ARM[side][1], "shoulder": SHOULDERS[k], "hip": HIPS[k]}[kind]
                parts = {kind: np.linalg.norm(fitted.body.p_camera[:, at] - truth[:, at], axis=-1)}
            for part, error in parts.items():
                ok = np.isfinite(error)
                rows = ({n: c[ok] for n, c in cues.items()}, error[ok], np.full(ok.sum(), number))
                found.setdefault(part, []).append(rows)
    out = {}
    for kind, parts in found.items():
        cues = {name: np.concatenate([p[0][name] for p in parts]) for name in parts[0][0]}
        error, clip = (np.concatenate([p[i] for p in parts]) for i in (1, 2))
        out[kind] = (cues, error, clip, clip // 8)
    return out


def fit(cues: dict[str, np.ndarray], error: np.ndarray, clip: np.ndarray, group: np.ndarray) -> tuple[dict, dict]:
    """(table of one kind, figures on people left out)."""
    from vidpretrain.motion.fit_sigma import predict

    left_out = np.full(len(error), np.nan)
    for g in np.unique(group):
        test = group == g
        line = _line({n: c[~test] for n, c in cues.items()}, error[~test], clip[~test])
        left_out[test] = predict("x", {n: c[test] for n, c in cues.items()}, {"x": line})
    factor = float(np.quantile(error / left_out, _SHARE)) / _IN_SIGMA
    table = _line(cues, error, clip)
    table["bias"] = round(table["bias"] + float(np.log(factor)), 4)
    inside = error <= _IN_SIGMA * factor * left_out
    worst = min(float(inside[clip == c].mean()) for c in np.unique(clip))
    ranks = np.stack([np.argsort(np.argsort(x)) for x in (error, left_out)])
    rank = float(np.asarray(np.corrcoef(ranks))[0, 1])
    return table, {"inside": round(float(inside.mean()), 3), "worst clip": round(worst, 3), "rank": round(rank, 3)}


def _line(cues: dict[str, np.ndarray], error: np.ndarray, clip: np.ndarray) -> dict[str, Any]:
    """log error = bias + weights (cue - middle), by least squares with signs; every clip counts alike."""
    from scipy.optimize import lsq_linear

    from vidpretrain.motion.fit_sigma import SIGNS

    _, at, count = np.unique(clip, return_inverse=True, return_counts=True)
    share = np.sqrt(1.0 / (count[at] * len(count)))
    log, lines, columns, bounds = np.log(error + _LEAST_M), {}, [], []
    for name, sign in SIGNS.items():
        value = cues[name]
        known = np.isfinite(value)
        if not known.any():
            continue
        low, middle, high = np.percentile(value[known], [1, 50, 99])
        lines[name] = {"middle": float(middle), "low": float(low), "high": float(high)}
        columns.append(np.clip(np.where(known, value, middle), low, high) - middle)
        bounds.append(_AWAY if name == "away" else (0.0, np.inf) if sign > 0 else (-np.inf, 0.0))
        if name == "away":
            lines[name]["high"] = float(np.log1p(10.0))  # gaps of the clips are short, others' need not be
    A = np.stack([np.ones(len(log)), *columns], axis=1)
    scale = np.array([1.0, *(max(float(column.std()), 1e-6) for column in columns)])
    rows = np.concatenate([A * share[:, None], _RIDGE * np.diag([0.0, *scale[1:]])])
    low, high = (np.array(x, dtype=float) for x in zip((-np.inf, np.inf), *bounds, strict=True))
    found = lsq_linear(rows, np.concatenate([log * share, np.zeros(len(scale))]), (low, high)).x
    for line, weight in zip(lines.values(), found[1:], strict=True):
        line["weight"] = float(weight)
    kept = {n: {k: round(v, 4) for k, v in line.items()} for n, line in lines.items() if abs(line["weight"]) > 1e-4}
    return {"bias": float(found[0]), "cues": kept}


def _write(path: Path, kinds: dict[str, Any], clips: int = 0) -> None:
    import yaml

    from vidpretrain.motion.fit_sigma import calibration

    head = f"# Made by `python scripts/bench/calibrate.py --clips {clips}` on the dev split; see fit_sigma.py\n"
    flat = {"bias": -3.5, "cues": {}}
    names = ("third wrist", "third fingertips", "ego wrist", "ego fingertips", "elbow", "shoulder", "hip")
    table = {name: kinds.get(name, flat) for name in names}
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(head + yaml.safe_dump({"kinds": table}, sort_keys=True))
    os.replace(aside, path)
    calibration.cache_clear()


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2, help="of the renderer")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    parser.add_argument("--table", type=Path, default=ROOT / "vidpretrain" / "motion" / "calibration.yaml")
    return parser.parse_args(words)


if __name__ == "__main__":
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy's libraries
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
