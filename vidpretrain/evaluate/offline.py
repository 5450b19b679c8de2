"""Chunk error on held-out episodes: the policy (and others beside it) against three baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vidpretrain import config as configs
from vidpretrain.dataset import TrainingCache
from vidpretrain.dataset.files import write_json
from vidpretrain.errors import DatasetError
from vidpretrain.evaluate import baselines
from vidpretrain.evaluate.config import EvaluateConfig
from vidpretrain.evaluate.predictor import load_predictor, offline_features, ranked
from vidpretrain.model import ModelConfig
from vidpretrain.training import chunk_error
from vidpretrain.training.chunk_error import ErrorSum
from vidpretrain.training.policy import Policy
from vidpretrain.training.rows import Rows, open_rows
from vidpretrain.training.validate import policy_chunks

Array = np.ndarray
SCHEMA = 1


def evaluate(
    checkpoint: Policy | Path | str,
    cache: TrainingCache | Path,
    episodes: Sequence[int],
    out: Path | str | None = None,
    config: EvaluateConfig | None = None,
    others: Mapping[str, Policy | Path | str] | None = None,
) -> dict[str, Any]:
    """Errors of a policy's action chunks on held-out episodes, written to `out`/evaluation.json when given.

    Every method answers the same rows: `policy`, each of `others` (for example "scratch"), and the baselines
    hold_state, mean_action, last_velocity. Per method: `error` (normalised, overall), `interval` over episodes,
    `groups` (normalised), `native` (mean absolute error per group, in its unit), `steps` (normalised, per horizon
    step), and for all but the policy `policy_minus` (difference of the policy's error to this one's, with interval).
    `beats` says per baseline whether the policy's overall error is lower, `beats_groups` the same per group.
    Definitions: `vidpretrain.training.chunk_error`. With `config.predictor`, `predicted` has the policies' foretold
    success and their order by it.

    Args:
        episodes: places in the cache of the episodes to evaluate on.

    Raises:
        CheckpointError: a policy for another robot. DatasetError: no such episode, or nothing to scale by.
    """
    config = config or EvaluateConfig()
    policies = {"policy": _policy(checkpoint), **{name: _policy(p) for name, p in (others or {}).items()}}
    cache = cache if isinstance(cache, TrainingCache) else TrainingCache.open(cache)
    spec = policies["policy"].require(cache.embodiment, cache.spec.names)
    for other in policies.values():
        other.require(cache.embodiment, cache.spec.names, spec.horizon)
    train = open_rows(cache, horizon=spec.horizon, episodes=config.train_episodes, without=episodes)
    mean, std = train.action_stats()
    sums = {name: _policy_sums(policy, cache, episodes, config) for name, policy in policies.items()}
    sums |= _baseline_sums(cache, episodes, config, spec.horizon, mean)
    return _report(sums, list(policies), spec, chunk_error.scale(std), list(episodes), train, cache, config, out)


def _policy(given: Policy | Path | str) -> Policy:
    return given if isinstance(given, Policy) else Policy.load(given)


def _thinned(rows: Rows, config: EvaluateConfig):
    which = np.arange(0, len(rows), config.every)
    for start in range(0, len(which), config.batch_size):
        part = which[start : start + config.batch_size]
        yield part, rows.sample(part)


def _places(rows: Rows, which: Array, episodes: Sequence[int]) -> Array:
    order = {episode: place for place, episode in enumerate(episodes)}
    return np.array([order[int(e)] for e in np.asarray(rows.cache.episode)[rows.index[which]]], dtype=np.int64)


def _open(
    cache: TrainingCache,
    episodes: Sequence[int],
    horizon: int,
    history: Sequence[int],
    sizes: ModelConfig | None = None,
) -> Rows:
    """Rows with every group relative: an entry counts for all methods only where the state is known, too."""
    everything: dict[str, str] = {group.quantity: "relative" for group in cache.spec.groups}
    options: dict[str, Any] = {"horizon": horizon, "representation": everything, "sizes": sizes}
    return open_rows(cache, history=history, episodes=episodes, **options)


def _policy_sums(policy: Policy, cache: TrainingCache, episodes: Sequence[int], config: EvaluateConfig) -> ErrorSum:
    rows = _open(cache, episodes, policy.spec(cache.embodiment).horizon, policy.history, policy.sizes)
    sums = ErrorSum.zero(len(episodes), rows.spec.horizon, rows.spec.width)
    for which, sample in _thinned(rows, config):
        predicted = policy_chunks(
            policy, rows, which, sample, seed=config.seed, steps=config.flow_steps, samples=config.samples
        )
        sums.add(_places(rows, which, episodes), predicted, sample.action, sample.weight > 0)
    return sums


def _baseline_sums(
    cache: TrainingCache, episodes: Sequence[int], config: EvaluateConfig, horizon: int, mean: Array
) -> dict[str, ErrorSum]:
    rows = _open(cache, episodes, horizon, (-1,))
    sums = {name: ErrorSum.zero(len(episodes), horizon, rows.spec.width) for name in baselines.BASELINES}
    for which, sample in _thinned(rows, config):
        previous = np.where(sample.history_known, sample.history, np.nan)[:, 0]
        predicted = {
            "hold_state": baselines.hold_state(sample.state, horizon),
            "mean_action": baselines.mean_action(mean, len(which), horizon),
            "last_velocity": baselines.last_velocity(sample.state, previous, horizon),
        }
        places = _places(rows, which, episodes)
        for name, chunk in predicted.items():
            sums[name].add(places, chunk, sample.action, sample.weight > 0)
    return sums


def _report(
    sums: dict[str, ErrorSum],
    policies: list[str],
    spec: Any,
    scale: Array,
    episodes: list[int],
    train: Rows,
    cache: TrainingCache,
    config: EvaluateConfig,
    out: Path | str | None,
) -> dict[str, Any]:
    overall = {name: _overall(one, scale) for name, one in sums.items()}
    if not np.isfinite(overall["hold_state"]):
        raise DatasetError("no labelled action in the episodes", asked=episodes)
    rng = np.random.default_rng((config.seed, 4))
    picks = rng.integers(0, len(episodes), (config.bootstrap, len(episodes)))
    draws = {name: np.array([_overall(one, scale, pick) for pick in picks]) for name, one in sums.items()}
    methods = {}
    for name, one in sums.items():
        columns = one.columns()
        methods[name] = {
            "error": overall[name],
            "interval": _interval(draws[name], config.confidence),
            "groups": _floats(chunk_error.by_group(columns / scale, spec)),
            "native": _floats(chunk_error.by_group(columns, spec)),
            "steps": [float(v) for v in chunk_error.mean(one.steps() / scale)],
            "group_steps": {
                k: [float(x) for x in v] for k, v in chunk_error.by_group(one.steps() / scale, spec).items()
            },
            "episodes": [_overall(one, scale, np.array([i])) for i in range(len(episodes))],
        }
        if name != "policy":
            methods[name]["policy_minus"] = {
                "difference": overall["policy"] - overall[name],
                "interval": _interval(draws["policy"] - draws[name], config.confidence),
            }
    result = {
        "schema": SCHEMA,
        "embodiment": cache.embodiment,
        "horizon": spec.horizon,
        "rate_hz": spec.rate_hz,
        "groups": {group.name: {"width": group.width, "unit": group.unit} for group in spec.groups},
        "episodes": [int(cache.episodes[i]["index"]) for i in episodes],
        "train_episodes": [int(cache.episodes[i]["index"]) for i in train.episodes],
        "labels": int(sums["hold_state"].count.sum()),
        "policies": policies,
        "baselines": list(baselines.BASELINES),
        "methods": methods,
        "beats": {name: bool(overall["policy"] < overall[name]) for name in baselines.BASELINES},
        "beats_groups": {
            name: {g: bool(methods["policy"]["groups"][g] < v) for g, v in methods[name]["groups"].items()}
            for name in baselines.BASELINES
        },
        "config": configs.plain(config),
    }
    if config.predictor is not None:
        predictor = load_predictor(config.predictor)
        told = ranked(predictor, {name: offline_features(methods, name) for name in policies})
        result["predicted"] = {
            "success": dict(told),
            "order": [name for name, _ in told],
            "spearman": predictor.spearman,
            "from": str(config.predictor),
        }
    if out is not None:
        write_json(Path(out) / "evaluation.json", result, allow_nan=True)
    return result


def _overall(one: ErrorSum, scale: Array, episodes: Array | None = None) -> float:
    return float(chunk_error.mean(one.columns(episodes) / scale))


def _interval(values: Array, confidence: float) -> list[float]:
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return [float(low), float(high)]


def _floats(values: dict[str, Array]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
