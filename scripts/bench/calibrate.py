"""The table behind a fitted point's sigma, from rendered people of the dev split with height and lens known.

    python scripts/bench/calibrate.py [--clips 128] [--out runs/bench] [--table vidpretrain/motion/calibration.yaml]

By kind of point the 90 % radius of the error is fitted to cues as a quantile (pinball loss on its logarithm, weights of
the sign that each cue must have, every clip alike): the root of (share x depth)^2 + exp(bias + weights x cues)^2, with
the share that does best on people left out in turn. A few weights per kind, nothing of a single clip. The
benchmark's held split shows none of these people, motions and cameras.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

_LEAST_M, _RIDGE, _SHARE, _IN_SIGMA, _SMOOTH = 1e-3, 0.002, 0.9, 2.5, 0.05
_AWAY = (0.5, 1.0)  # gaps are rare in the clips: a frame farther away always counts
_OF_DEPTH = (0.0, 0.01, 0.02, 0.03)  # what a whole clip may have wrong, tried in turn
_EVERY, _FOLDS = 3, 8  # frames in a row say the same; groups of people
_TIPS = [4, 8, 12, 16, 20]


def main(words: list[str] | None = None) -> int:
    """Collect, fit, write the table and print how it does on people left out."""
    from labelling.learning import arguments

    asked = arguments(words, (__doc__ or "").splitlines()[0], 128, "calibration.yaml")
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
                parts = {f"{view} wrist": off[:, 0], f"{view} fingertips": off[:, _TIPS]}
            elif fitted.body is not None:
                at = {"elbow": ARM[side][1], "shoulder": SHOULDERS[k], "hip": HIPS[k]}[kind]
                parts = {kind: np.linalg.norm(fitted.body.p_camera[:, at] - truth[:, at], axis=-1)}
            for part, error in parts.items():
                error = error.reshape(len(time_ns), -1)
                ok, count = np.isfinite(error).all(axis=1), error.shape[1]
                own = {n: np.repeat(c[ok], count) for n, c in cues.items()}
                rows = (own, error[ok].ravel(), np.full(count * ok.sum(), number))
                found.setdefault(part, []).append(rows)
    out = {}
    for kind, parts in found.items():
        cues = {name: np.concatenate([p[0][name] for p in parts]) for name in parts[0][0]}
        error, clip = (np.concatenate([p[i] for p in parts]) for i in (1, 2))
        out[kind] = (cues, error, clip, clip // 2 % _FOLDS)  # views take turns
    return out


def fit(cues: dict[str, np.ndarray], error: np.ndarray, clip: np.ndarray, group: np.ndarray) -> tuple[dict, dict]:
    """(table of one kind, figures on people left out)."""
    best, figures, left_out = np.inf, {}, np.zeros(0)
    for share in _OF_DEPTH:
        radius = _left_out(cues, error, clip, group, share)
        over = np.log((error + _LEAST_M) / radius)
        loss = float(np.maximum(_SHARE * over, (_SHARE - 1.0) * over).mean())
        if loss < best - 1e-4:
            best, figures, left_out = loss, {"of depth": share}, radius
    table = line(cues, error, clip, figures["of depth"])
    inside = error <= left_out
    by_clip = [float(inside[clip == c].mean()) for c in np.unique(clip)]
    ranks = np.stack([np.argsort(np.argsort(x)) for x in (error, left_out)])
    figures |= {"inside": float(inside.mean()), "worst clip": min(by_clip), "tenth": float(np.quantile(by_clip, 0.1))}
    figures["rank"] = float(np.asarray(np.corrcoef(ranks))[0, 1])
    return table, {name: round(value, 3) for name, value in figures.items()}


def _left_out(cues, error: np.ndarray, clip: np.ndarray, group: np.ndarray, share: float) -> np.ndarray:
    """90 % radii (n) by tables made without the point's own group of people."""
    from vidpretrain.motion.fit_sigma import predict

    radius = np.full(len(error), np.nan)
    for g in np.unique(group):
        test = group == g
        found = line({n: c[~test] for n, c in cues.items()}, error[~test], clip[~test], share)
        radius[test] = _IN_SIGMA * predict("x", {n: c[test] for n, c in cues.items()}, {"x": found})
    return radius


def line(cues: dict[str, np.ndarray], error: np.ndarray, clip: np.ndarray, share: float) -> dict[str, Any]:
    """The table of one kind whose `of_depth` is `share`; every clip counts alike."""
    from scipy.optimize import minimize

    from vidpretrain.motion.fit_sigma import SIGNS

    lines, columns, bounds = {}, [], []
    for name, sign in SIGNS.items():
        known = np.isfinite(cues[name])
        if not known.any():
            continue
        low, middle, high = np.percentile(cues[name][known], [1, 50, 99])
        high = max(high, float(np.log1p(10.0))) if name == "away" else high  # gaps of the clips are short
        if high - low < 1e-9:
            continue
        lines[name] = {"middle": float(middle), "low": float(low), "high": float(high)}
        columns.append(np.clip(np.where(known, cues[name], middle), low, high) - middle)
        bounds.append(_AWAY if name == "away" else (0.0, None) if sign > 0 else (None, 0.0))
    every = np.arange(len(error)) % _EVERY == 0
    _, at, count = np.unique(clip[every], return_inverse=True, return_counts=True)
    A = np.stack([np.ones(every.sum()), *(c[every] for c in columns)], axis=1)
    scale = np.array([1.0, *(max(float(c.std()), 1e-3) for c in columns)])
    floor = share * np.exp(np.where(np.isfinite(cues["depth"][every]), cues["depth"][every], 0.0))
    target, weight = np.log(error[every] + _LEAST_M), 1.0 / (count[at] * len(count))
    start = np.array([float(np.quantile(target, _SHARE)) - np.log(_IN_SIGMA), *np.zeros(len(columns))])
    bounds = [
        (None, None),
        *((None if x is None else x * s for x in b) for b, s in zip(bounds, scale[1:], strict=True)),
    ]
    found = minimize(
        _pinball,
        start,
        (A / scale, target, weight, floor),
        jac=True,
        bounds=[tuple(b) for b in bounds],
        method="L-BFGS-B",
        options={"gtol": 1e-7, "ftol": 1e-12, "maxiter": 500},
    ).x
    weights = found / scale
    for own, value in zip(lines.values(), weights[1:], strict=True):
        own["weight"] = float(value)
    kept = {n: {k: round(v, 4) for k, v in own.items()} for n, own in lines.items() if abs(own["weight"]) > 1e-3}
    return {"of_depth": share, "bias": round(float(weights[0]), 4), "cues": kept}


def _pinball(x: np.ndarray, A: np.ndarray, target: np.ndarray, weight: np.ndarray, floor: np.ndarray):
    """(loss, slope) of the quantile at `_SHARE` of the log error, its corner rounded off; a little ridge."""
    square = np.exp(2.0 * (A @ x))
    over = target - 0.5 * np.log(square + floor**2) - np.log(_IN_SIGMA)
    loss = _SHARE * over + _SMOOTH * np.logaddexp(0.0, -over / _SMOOTH)
    slope = _SHARE - 1.0 / (1.0 + np.exp(np.clip(over / _SMOOTH, -50.0, 50.0)))
    ridge = _RIDGE * np.array([0.0, *x[1:]])
    own = -A.T @ (weight * slope * square / (square + floor**2))
    return float(weight @ loss + 0.5 * ridge @ x), own + ridge


def _write(path: Path, kinds: dict[str, Any], clips: int = 0) -> None:
    import yaml

    from vidpretrain.motion.fit_sigma import calibration
    from vidpretrain.workflow.files import write_text

    head = f"# Made by `python scripts/bench/calibrate.py --clips {clips}` on the dev split; see fit_sigma.py\n"
    flat = {"of_depth": 0.0, "bias": -3.5, "cues": {}}
    names = ("third wrist", "third fingertips", "ego wrist", "ego fingertips", "elbow", "shoulder", "hip")
    table = {name: kinds.get(name, flat) for name in names}
    write_text(path, head + yaml.safe_dump({"kinds": table}, sort_keys=True))
    calibration.cache_clear()


if __name__ == "__main__":
    for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "NUMEXPR"):
        os.environ[f"{name}_NUM_THREADS"] = "1"  # before anything imports NumPy's libraries
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
