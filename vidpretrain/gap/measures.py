"""Distances between two sets of samples, each with what is needed for an interval over episodes.

Letters: n and m rows, f features, e episodes.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.spatial.distance import cdist

Array = np.ndarray
_FAR = 4.0  # standard deviations


def picture_features(images: Array, pixels: int) -> Float[Array, "n f"]:
    """Frozen features of pictures: histograms of oriented gradients (Dalal and Triggs 2005) and coarse colours.

    Args:
        images: (n s s 3) uint8 RGB. `pixels`: side of the copy that is described, a multiple of 16.
    """
    import cv2

    hog = cv2.HOGDescriptor((pixels, pixels), (16, 16), (16, 16), (8, 8), 9)
    out = []
    for image in images:
        small = cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA)
        colour = cv2.resize(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (4, 4), interpolation=cv2.INTER_AREA)
        out.append(np.concatenate([hog.compute(small).ravel(), colour.ravel() / 255.0]))
    return np.asarray(out, dtype=float)


def probe_hits(
    a: Float[Array, "n f"],
    b: Float[Array, "m f"],
    episode_a: Int64[Array, " n"],
    episode_b: Int64[Array, " m"],
    folds: int,
    seed: int,
) -> tuple[Bool[Array, " n"], Bool[Array, " m"]]:
    """For each row, whether a probe that never saw its episode tells which side it is from.

    The probe is a logistic regression on the first 32 principal components of standardised features, classes weighted
    alike. An accuracy of .5 says that the sides cannot be told apart; 1 that they always can.

    Raises:
        ValueError: a side has a single episode (there would be none to train on).
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = min(len(np.unique(episode_a)), len(np.unique(episode_b)))
    if fewest < 2:
        raise ValueError("a domain probe asks for two episodes of each side")
    x = np.concatenate([a, b])
    y = np.repeat([0, 1], [len(a), len(b)])
    fold = np.empty(len(x), dtype=int)  # each side's episodes are spread over all folds
    rng = np.random.default_rng((seed, 11))
    for side, episode in ((y == 0, episode_a), (y == 1, episode_b)):
        names, place = np.unique(episode, return_inverse=True)
        groups = rng.permutation(len(names))[place]
        for number, (_, test) in enumerate(GroupKFold(min(folds, fewest)).split(groups, groups=groups)):
            fold[np.flatnonzero(side)[test]] = number
    hit = np.zeros(len(x), dtype=bool)
    for number in np.unique(fold):
        held = fold == number
        parts = min(32, x.shape[1], int((~held).sum()))
        probe = make_pipeline(
            StandardScaler(),
            PCA(parts, svd_solver="covariance_eigh", whiten=True),
            LogisticRegression(class_weight="balanced", solver="newton-cholesky"),
        )
        probe.fit(x[~held], y[~held])
        hit[held] = probe.predict(x[held]) == y[held]
    return hit[: len(a)], hit[len(a) :]


def sinkhorn_divergence(a: Float[Array, "n f"], b: Float[Array, "m f"], regularization: float) -> float:
    """Square root of the debiased Sinkhorn divergence of two sets (Feydy et al. 2019), in the features' unit.

    The cost is the squared distance per feature; its regularisation is `regularization` times the median cost between
    the sets. Zero for equal sets; for sets that are far apart it is the root mean squared way of the mass.
    """
    cost_ab = cdist(a, b, "sqeuclidean") / a.shape[1]
    middle = float(np.median(cost_ab))
    if middle <= 0:
        return 0.0
    reg = regularization * middle

    def value(cost: Array) -> float:
        u, v = np.full(len(cost), 1 / len(cost)), np.full(cost.shape[1], 1 / cost.shape[1])
        plan = _plan(u, v, cost, reg)
        entropy = float(np.sum(plan * np.log(np.maximum(plan / np.outer(u, v), 1e-300))))
        return float(np.sum(plan * cost)) + reg * entropy

    own = value(cdist(a, a, "sqeuclidean") / a.shape[1]) + value(cdist(b, b, "sqeuclidean") / b.shape[1])
    return float(np.sqrt(max(value(cost_ab) - own / 2, 0.0)))


def _plan(u: Array, v: Array, cost: Array, reg: float) -> Array:
    """The transport plan; by logarithms, a hundred times slower, only where plain numbers are too small for it."""
    import warnings

    import ot

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        plan = cast(Array, ot.sinkhorn(u, v, cost, reg, method="sinkhorn", numItermax=500, stopThr=1e-6))
    if np.isfinite(plan).all() and abs(plan.sum(axis=1) - u).max() < 0.05 * u[0]:
        return plan
    return cast(Array, ot.sinkhorn(u, v, cost, reg, method="sinkhorn_log", numItermax=300, stopThr=1e-5, warn=False))


def mmd(a: Float[Array, "n f"], b: Float[Array, "m f"]) -> float:
    """Square root of the unbiased squared maximum mean discrepancy (Gretton et al. 2012), Gaussian kernel whose
    width is the median distance of the pooled rows; 0 where the estimate is negative."""
    pooled = np.concatenate([a, b])
    distance = cdist(pooled, pooled, "sqeuclidean")
    middle = float(np.median(distance[np.triu_indices(len(pooled), 1)]))
    if middle <= 0:
        return 0.0
    kernel = np.exp(-distance / middle)
    n = len(a)
    xx, yy, xy = kernel[:n, :n], kernel[n:, n:], kernel[:n, n:]
    inside = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (len(b) * (len(b) - 1))
    return float(np.sqrt(max(inside - 2 * xy.mean(), 0.0)))


def unexplained(
    pictures: tuple[Float[Array, "n f"], Float[Array, "m f"]],
    places: tuple[Float[Array, "n p"], Float[Array, "m p"]],
    y: tuple[Float[Array, "n d"], Float[Array, "m d"]],
    episode: Int64[Array, " n"],
) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """(what is left, what there was) of the second side's actions, squares summed over columns, row by row.

    Left by ridge regression, learned on the first side, on 32 common principal components of the pictures' features and
    on the hands' places; its strength is what foretells left-out `episode`s of that side best. Everything is in each
    side's own standard deviations about its own mean, at most four of them: another look or another place of the hands
    alone is no error here, other measures see it. What there was is about the mean.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import GroupKFold

    def own(values: Array) -> Array:
        spread = values.std(axis=0)
        least = max(0.01 * float(spread.max(initial=0.0)), 1e-9)
        return np.clip((values - values.mean(axis=0)) / np.maximum(spread, least), -_FAR, _FAR)

    seen = [own(part) for part in pictures]
    parts = min(32, seen[0].shape[1], min(map(len, seen)) - 1)
    common = PCA(parts, svd_solver="covariance_eigh").fit(np.concatenate(seen))
    x = [np.concatenate([own(common.transform(s)), own(p)], axis=1) for s, p in zip(seen, places, strict=True)]
    goal = [own(values) for values in y]
    several = min(5, len(np.unique(episode)))
    folds = list(GroupKFold(several).split(x[0], groups=episode)) if several > 1 else None
    told = RidgeCV(np.logspace(0, 6, 13), cv=folds).fit(x[0], goal[0]).predict(x[1])
    return ((goal[1] - told) ** 2).sum(axis=1), (goal[1] ** 2).sum(axis=1)


def cells(places_m: Float[Array, "n 3"], voxel_m: float) -> list[tuple[int, ...]]:
    """The cell of the workspace that each place (NaN left out) lies in."""
    seen = places_m[np.isfinite(places_m).all(axis=1)]
    return [tuple(cell) for cell in np.floor(seen / voxel_m).astype(int).tolist()]


def overlap(a: set, b: set) -> float:
    """Intersection over union; NaN of two empty sets."""
    return len(a & b) / len(a | b) if a | b else float("nan")


def bootstrap_rows(episode: Int64[Array, " n"], rng: np.random.Generator) -> Int64[Array, " k"]:
    """Rows of as many episodes as there are, drawn with replacement."""
    names, place = np.unique(episode, return_inverse=True)
    by_name = [np.flatnonzero(place == i) for i in range(len(names))]
    return np.concatenate([by_name[i] for i in rng.integers(0, len(names), len(names))])
