"""The table of the gap: measures with intervals, before and after each bridge, beside the robot's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from vidpretrain.gap import bridges, measures
from vidpretrain.gap.config import GapConfig
from vidpretrain.gap.side import Side, at_speed, shared_groups

Array = np.ndarray
_FAR = 8.0  # standard deviations: what is further off is far, and how far decides nothing


@dataclass(frozen=True, kw_only=True)
class GapRow:
    """One figure. `bridge` is "none", a bridge's name, or "all"; `floor` is the robot's two halves against each other
    (NaN where that says nothing); `perfect` the value that sides without a gap have."""

    measure: str
    group: str
    bridge: str
    value: float
    low: float
    high: float
    floor: float
    perfect: float
    unit: str
    note: str = ""


def gap_table(human: Side, robot: Side, config: GapConfig) -> list[GapRow]:
    """Every measure without a bridge, with each of `config.bridges` alone, and with all of them in their order.

    Measures: accuracy of a domain probe on pictures and on the chunks of each shared group; Sinkhorn divergence and
    MMD of the chunks per shared group, in the robot's standard deviations; what a linear map from pictures to actions
    that is learned on the human side leaves of the robot's (the one measure that knows whether labels belong to their
    pictures); ratio of speeds and of accelerations, of joints or else of wrists;
    overlap of the workspaces the wrists use and the share of the human's that lies in the robot's; share of rows that
    the robot cannot follow; mean label weight; field of view. Intervals by bootstrap over episodes of both sides.
    """
    halves = _halves(robot)
    rows: list[GapRow] = []
    versions: list[tuple[str, Side]] = [("none", human)]
    versions += [(bridge, bridges.cross(human, robot, bridge, config)) for bridge in config.bridges]
    if len(config.bridges) > 1:
        together = human
        for bridge in config.bridges:
            together = bridges.cross(together, robot, bridge, config)
        versions.append(("all", together))
    floors = {} if halves is None else {(row.measure, row.group): row.value for row in _measured(*halves, config, {})}
    known: dict[tuple, list[GapRow]] = {}
    for bridge, side in versions:
        for row in _measured(side, robot, config, known):
            floor = floors.get((row.measure, row.group), math.nan)
            rows.append(dataclasses.replace(row, bridge=bridge, floor=floor))
    return rows


def _halves(robot: Side) -> tuple[Side, Side] | None:
    """Every other episode of the robot, and the rest: what the measures say of sides that are the same."""
    names = np.unique(robot.episode)
    if len(names) < 4:
        return None
    even = np.isin(robot.episode, names[::2])
    return robot.take(np.flatnonzero(even)), robot.take(np.flatnonzero(~even))


def _measured(a: Side, b: Side, config: GapConfig, known: dict[tuple, list[GapRow]]) -> Iterator[GapRow]:
    """All measures; what a bridge did not touch is `known` from a side that shares its arrays."""
    for part, touched in (
        (_pictures, (a.images,)),
        (_all_actions, (a.chunks,)),
        (_carried, (a.images, a.chunks)),
        (_motion, (a.chunks,)),
        (_workspace, (a.wrist_m,)),
        (_labels, (a.weight, a.fov_rad)),
    ):
        key = (part, a.speed, id(a.episode), *map(id, touched))
        if key not in known:
            known[key] = list(part(a, b, config))
        yield from known[key]


def _all_actions(a: Side, b: Side, config: GapConfig) -> Iterator[GapRow]:
    for group in shared_groups(a, b):
        yield from _actions(a, b, group, config)


def _pictures(a: Side, b: Side, config: GapConfig) -> Iterator[GapRow]:
    features = [measures.picture_features(side.images, config.pixels) for side in (a, b)]
    yield _probe_row("pictures", features, (a.episode, b.episode), config)


def _probe_row(group: str, features: list[Array], episodes: tuple[Array, Array], config: GapConfig):
    try:
        hits = measures.probe_hits(features[0], features[1], *episodes, config.folds, config.seed)
    except ValueError as error:
        value, interval, note = math.nan, (math.nan, math.nan), str(error)
    else:
        value = (hits[0].mean() + hits[1].mean()) / 2
        interval, note = _interval(lambda i, j: (hits[0][i].mean() + hits[1][j].mean()) / 2, episodes, config), ""
    return _row("domain probe", group, float(value), interval, 0.5, "accuracy", note)


def _actions(a: Side, b: Side, group: str, config: GapConfig) -> Iterator[GapRow]:
    """The chunks in the robot's standard deviations, cut at `_FAR` of them; rows with any NaN are left out."""
    chunks = [at_speed(side, group, config.horizon).reshape(len(side), -1) for side in (a, b)]
    whole = [np.isfinite(chunk).all(axis=1) for chunk in chunks]
    episodes = (a.episode[whole[0]], b.episode[whole[1]])
    if min(whole[0].sum(), whole[1].sum()) < 8:
        return
    size = _size(chunks[1][whole[1]], config.horizon)
    features = [np.clip(chunk[rows] / size, -_FAR, _FAR) for chunk, rows in zip(chunks, whole, strict=True)]
    yield _probe_row(group, features, episodes, config)
    for name, unit, distance in (
        ("Sinkhorn divergence", "robot's sd", lambda x, y: measures.sinkhorn_divergence(x, y, config.regularization)),
        ("MMD", "", measures.mmd),
    ):
        thin = [_thin(len(f), config.transport_rows) for f in features]
        value = distance(features[0][thin[0]], features[1][thin[1]])

        def drawn(i: Array, j: Array, distance: Callable = distance) -> float:
            keep = [index[_thin(len(index), config.transport_rows)] for index in (i, j)]
            return distance(features[0][keep[0]], features[1][keep[1]])

        interval = _around(value, drawn, episodes, config)
        yield _row(name, group, value, interval, 0.0, unit)


def _carried(a: Side, b: Side, config: GapConfig) -> Iterator[GapRow]:
    """What a map from pictures and wrists to the chunks' ends, learned on one side, leaves unexplained on the other."""
    groups = shared_groups(a, b)
    if not groups:
        return
    ends = [np.concatenate([at_speed(s, g, config.horizon)[:, -1] for g in groups], axis=1) for s in (a, b)]
    shared = [name for name in a.wrist_m if name in b.wrist_m]
    places = [np.concatenate([s.wrist_m[n] for n in shared] or [np.zeros((len(s), 0))], axis=1) for s in (a, b)]
    whole = [np.isfinite(e).all(axis=1) & np.isfinite(p).all(axis=1) for e, p in zip(ends, places, strict=True)]
    if min(rows.sum() for rows in whole) < 8:
        return
    pictures = [measures.picture_features(s.images[rows], config.pixels) for s, rows in zip((a, b), whole, strict=True)]
    ends, places = ([part[rows] for part, rows in zip(parts, whole, strict=True)] for parts in (ends, places))
    left, spread = measures.unexplained(
        (pictures[0], pictures[1]), (places[0], places[1]), (ends[0], ends[1]), a.episode[whole[0]]
    )
    value = float(left.sum() / max(spread.sum(), 1e-12))
    interval = _interval(
        lambda i, j: left[j].sum() / max(spread[j].sum(), 1e-12),
        (a.episode[whole[0]], b.episode[whole[1]]),
        config,
    )
    yield _row("unexplained by the other's labels", "all", value, interval, 0.0, "share of variance")


def _size(chunk: Array, horizon: int) -> Array:
    """Standard deviation of each column over rows and steps (at least a hundredth of the widest)."""
    columns = chunk.reshape(-1, chunk.shape[1] // horizon).std(axis=0)
    return np.tile(np.maximum(columns, max(0.01 * columns.max(), 1e-9)), horizon)


def _thin(count: int, most: int) -> Array:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))


def _motion(a: Side, b: Side, config: GapConfig) -> Iterator[GapRow]:
    what = bridges.moving(b, config.horizon)[0]
    one = what.removesuffix("s")
    for name, measure in ((f"{one} speed", bridges.joint_speed), (f"{one} acceleration", _acceleration)):
        both = [measure(side, config.horizon) for side in (a, b)]
        if not (np.isfinite(both).all() and both[1] > 0):
            continue

        def ratio(i: Array, j: Array, measure: Callable = measure) -> float:
            below = measure(b.take(j), config.horizon)
            return measure(a.take(i), config.horizon) / below if below > 0 else math.nan

        interval = _interval(ratio, (a.episode, b.episode), config, min(config.bootstrap, 100))
        yield _row(f"{name}, ratio", what, both[0] / both[1], interval, 1.0, "times the robot's")


def _acceleration(side: Side, horizon: int) -> float:
    """Root mean square of the second differences of what is `moving`, per square second, median over rows."""
    chunk = bridges.moving(side, horizon)[1]
    if chunk is None:
        return math.nan
    second = np.diff(chunk, n=2, axis=1) * side.rate_hz**2
    some = np.isfinite(second).any(axis=(1, 2))
    return float(np.median(np.sqrt(np.nanmean(second[some] ** 2, axis=(1, 2))))) if some.any() else math.nan


def _workspace(a: Side, b: Side, config: GapConfig) -> Iterator[GapRow]:
    for name in (n for n in a.wrist_m if n in b.wrist_m):
        if not (np.isfinite(a.wrist_m[name]).any() and np.isfinite(b.wrist_m[name]).any()):
            continue

        def common(i: Array, j: Array, name: str = name) -> tuple[float, float]:
            mine, other = (measures.cells(s.wrist_m[name][k], config.voxel_m) for s, k in ((a, i), (b, j)))
            known = set(other)
            inside = [cell in known for cell in mine]
            return measures.overlap(set(mine), known), float(np.mean(inside)) if inside else math.nan

        value = common(np.arange(len(a)), np.arange(len(b)))
        for place, (measure, perfect) in enumerate(
            (("workspace, intersection over union", 1.0), ("workspace, share inside the robot's", 1.0))
        ):
            interval = _interval(
                lambda i, j, place=place, common=common: common(i, j)[place],
                (a.episode, b.episode),
                config,
                min(config.bootstrap, 50),
            )
            yield _row(measure, name, value[place], interval, perfect, "share")


def _labels(a: Side, b: Side, config: GapConfig) -> Iterator[GapRow]:
    episodes = (a.episode, b.episode)
    if a.infeasible is not None:
        bad = a.infeasible
        interval = _interval(lambda i, j: bad[i].mean(), episodes, config)
        yield _row("rows the robot cannot follow", "all", float(bad.mean()), interval, 0.0, "share")
    interval = _interval(lambda i, j: a.weight[i].mean(), episodes, config)
    yield _row("label weight", "all", float(a.weight.mean()), interval, 1.0, "mean")
    if np.isfinite(a.fov_rad).any() and np.isfinite(b.fov_rad).any():

        def wider(i: Array, j: Array) -> float:
            return float(np.degrees(np.nanmedian(a.fov_rad[i]) - np.nanmedian(b.fov_rad[j])))

        value = wider(np.arange(len(a)), np.arange(len(b)))
        yield _row("field of view, difference", "camera", value, _interval(wider, episodes, config), 0.0, "deg")


def _around(
    value: float, drawn: Callable[[Array, Array], float], episodes: tuple[Array, Array], config: GapConfig
) -> tuple[float, float]:
    """Normal interval around the value by the spread over drawn episodes.

    Rows drawn twice make distances smaller or larger altogether, so that percentiles would not lie about the value.
    """
    from scipy.stats import norm

    rng = np.random.default_rng((config.seed, 14))
    found = [
        drawn(measures.bootstrap_rows(episodes[0], rng), measures.bootstrap_rows(episodes[1], rng))
        for _ in range(config.transport_bootstrap)
    ]
    reach = float(norm.ppf((1 + config.confidence) / 2) * np.std(found, ddof=1)) if len(found) > 1 else math.nan
    return max(value - reach, 0.0), value + reach


def _interval(
    value: Callable[[Array, Array], float], episodes: tuple[Array, Array], config: GapConfig, draws: int | None = None
) -> tuple[float, float]:
    """Percentile interval of `value(rows of a, rows of b)` over episodes drawn with replacement."""
    rng = np.random.default_rng((config.seed, 12))
    found = [
        value(measures.bootstrap_rows(episodes[0], rng), measures.bootstrap_rows(episodes[1], rng))
        for _ in range(draws or config.bootstrap)
    ]
    kept = np.array(found)[np.isfinite(found)]
    if not len(kept):
        return math.nan, math.nan
    tail = (1 - config.confidence) / 2
    return float(np.quantile(kept, tail)), float(np.quantile(kept, 1 - tail))


def _row(
    measure: str, group: str, value: float, interval: tuple[float, float], perfect: float, unit: str,
    note: str = "",
) -> GapRow:  # fmt: skip
    low, high = interval
    return GapRow(
        measure=measure, group=group, bridge="none", value=value, low=low, high=high, floor=math.nan, perfect=perfect,
        unit=unit, note=note,
    )  # fmt: skip
