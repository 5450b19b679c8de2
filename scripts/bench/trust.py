"""Weights of `vidpretrain.pose.trust`: what speaks against a candidate of being a hand, fitted on rendered people.

    python scripts/bench/trust.py FOLDER [FOLDER ...] [--frames 60]

Folders are those of `vidpretrain synth` of the dev split, hard groups among them. Every candidate of every frame is
right where it lies on a hand of anybody (half a hand's length). A clip's wrong ones count as ten at most, so that one
thing that is taken for a hand all through a clip does not decide. Printed are the weights, none of them negative, and
how well probabilities hold on clips that were left out, with what each threshold would leave out. Nothing is written:
the weights are constants of the module, the threshold (`pose.least_trust`) is chosen on real clips.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
_WRONG, _MOST = 0.5, 10.0  # of a hand's length off its palm; weight of all of a clip's wrong candidates
_BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)


def main(words: list[str] | None = None) -> int:
    """Look at the clips, fit, and print; 0 always."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=60, help="of each clip, from its start")
    asked = parser.parse_args(words)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from vidpretrain.pose.trust import CUES

    clips = [candidates(path, asked.frames) for f in asked.folders for path in sorted(f.rglob("*.mp4"))]
    x, y = (np.concatenate([clip[k] for clip in clips]) for k in (0, 1))
    of = np.repeat(np.arange(len(clips)), [len(clip[1]) for clip in clips])
    weight = np.ones(len(y))
    for clip in range(len(clips)):
        wrong = (of == clip) & ~y
        weight[wrong] = min(1.0, _MOST / max(wrong.sum(), 1))
    bias, weights = fit(x, y, weight)
    print(f"{len(y)} candidates of {len(clips)} clips, {int((~y).sum())} of them none")
    print("bias", round(bias, 2), {name: round(float(w), 2) for name, w in zip(CUES, weights, strict=True)})
    left_out = np.zeros(len(y))
    for clip in np.unique(of):
        others = of != clip
        b, w = fit(x[others], y[others], weight[others])
        left_out[~others] = 1.0 / (1.0 + np.exp(x[~others] @ w - b))
    for low, high in itertools.pairwise(_BINS):
        inside = (left_out >= low) & (left_out < high)
        share = float(y[inside].mean()) if inside.any() else float("nan")
        kept = left_out >= low
        print(
            f"left out, {low:.2f} to {high:.2f}: {share:.3f} right of {int(inside.sum())}; from {low:.2f} on "
            f"{(kept & y).sum() / y.sum():.4f} of the right ones, {(kept & ~y).sum() / max(kept.sum(), 1):.4f} none"
        )
    return 0


def candidates(path: Path, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Cues (n c) of a clip's candidates, and which of them are hands (n)."""
    from detection import people
    from labelling.detection_report import WITHOUT, sidecar

    from vidpretrain.pose import PoseConfig
    from vidpretrain.pose.looking import Looker
    from vidpretrain.pose.mediapipe_tasks import candidates_of
    from vidpretrain.pose.trust import cues
    from vidpretrain.sim import load_truth
    from vidpretrain.types import Reject
    from vidpretrain.video import open_video, probe

    info = probe(path)
    if isinstance(info, Reject):
        raise RuntimeError(f"{path}: {info.detail}")
    end = min(frames, info.frame_count)
    looker = Looker(PoseConfig())
    with open_video(info) as reader:
        looks = [looker.look(frame) for _, _, frame in reader.iterate(0, end, 1)]
    time_ns = info.time_ns[:end]
    hands, _, held = candidates_of(looks, time_ns, info.width_px, info.height_px)
    group = sidecar(path)["group"]
    truth = load_truth(path.with_suffix(".truth.npz"))
    true = [] if group in WITHOUT else [p for person in people(path, truth) for p in projected(person, time_ns)]
    right = [any(is_at(hand, image[t]) for image in true) for t, found in enumerate(hands) for hand in found]
    return np.concatenate(cues(hands, held, time_ns)), np.array(right, dtype=bool)


def projected(truth, time_ns) -> list[np.ndarray]:
    """Both hands' 21 true points in the picture (t 21 2), px."""
    from vidpretrain import geometry, skeletons, timebase

    at = timebase.nearest_index(truth.time_ns, time_ns)
    p = geometry.transform(geometry.inverse(truth.T_world_camera)[:, None], truth.p_world_keypoint)[at]
    image = p[..., :2] / p[..., 2:] * truth.K[[0, 1], [0, 1]] + truth.K[:2, 2]
    return [image[:, part] for part in skeletons.HAND_SLICES.values()]


def is_at(hand, p_image: np.ndarray) -> bool:
    """Whether a candidate's palm lies on true points (21 2)."""
    from vidpretrain.pose.observations import PALM

    length = np.linalg.norm(np.diff(p_image[[0, 9, 10, 11, 12]], axis=0), axis=1).sum()
    return bool(np.linalg.norm(hand.p_image[PALM] - p_image[PALM], axis=1).mean() <= _WRONG * length)


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Bias and weights (c), each at least 0, of cues that speak against; a prior of unit variance on the weights."""
    from scipy.optimize import minimize

    sign = np.where(y, 1.0, -1.0)

    def cost(b):
        margin = sign * (b[0] - x @ b[1:])
        slope = -weight * sign / (1.0 + np.exp(margin))
        value = (weight * np.logaddexp(0.0, -margin)).sum() + 0.5 * (b[1:] ** 2).sum()
        return value, np.concatenate([[slope.sum()], -(x * slope[:, None]).sum(0) + b[1:]])

    bounds = [(None, None)] + [(0.0, None)] * x.shape[1]
    found = minimize(cost, np.zeros(1 + x.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B").x
    return float(found[0]), found[1:]


if __name__ == "__main__":
    sys.exit(main())
