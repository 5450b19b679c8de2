"""What a run is made of: rows, normalisers, model and identity, put together before the first step."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vidpretrain
from vidpretrain import config as configs
from vidpretrain.errors import ConfigError, DatasetError
from vidpretrain.model import ModelConfig, VidPolicy, VidPolicyConfig
from vidpretrain.model.vision import load_backbone
from vidpretrain.training.config import TrainConfig
from vidpretrain.training.policy import load_model
from vidpretrain.training.rows import Rows, open_rows
from vidpretrain.training.warmstart import part_of, warm_start
from vidpretrain.transforms import Paired


@dataclass(frozen=True)
class Setup:
    """Everything before the first step; `val` are the rows of `val_episodes` of the first cache, if any."""

    model: VidPolicy
    rows: list[Rows]
    val: Rows | None
    paired: list[Paired]
    ids: list[int]
    std: np.ndarray
    lent: dict[str, str]
    texts: list[np.ndarray] | None = None
    teacher: VidPolicy | None = None


_HOW = (
    *("resume", "init", "tensorboard", "trackers", "log_every", "save_every", "keep_checkpoints"),
    *("workers", "profile", "max_spike"),
)  # settings that do not change what a run comes to


def identity(kind: str, model: ModelConfig, config: TrainConfig, caches: Sequence[Path]) -> dict[str, Any]:
    """What the run is made of and its key: configurations, the caches' manifests, the first weights, code version."""
    manifests = {str(cache): configs.digest((Path(cache) / "meta.json").read_text()) for cache in map(Path, caches)}
    first = None
    if config.init is not None:
        import hashlib

        folder = Path(config.init)
        folder = folder / "model" if (folder / "model").is_dir() else folder
        weights = folder / "model.safetensors"
        first = hashlib.sha256(weights.read_bytes()).hexdigest()[:16] if weights.is_file() else "missing"
    training = configs.plain(config)
    for name in _HOW:
        training.pop(name)
    parts = [kind, configs.plain(model), training, sorted(manifests.values()), first, vidpretrain.__version__]
    return {
        "key": configs.digest(*parts),
        "kind": kind,
        "model": configs.plain(model),
        "train": configs.plain(config),
        "caches": manifests,
        "init_weights": first,
        "code_version": vidpretrain.__version__,
    }


def prepare(model_config: ModelConfig, config: TrainConfig, caches: Sequence[Path]) -> Setup:
    """Open caches, fit normalisers, make the model (from `config.init` where given).

    Raises:
        ConfigError, DatasetError, CheckpointError: see the message.
    """
    if not caches:
        raise ConfigError("nothing to train on", asked="caches: none", valid="one folder or more")
    if config.init is None and (
        config.frozen or config.distil or config.interpolate or config.init_normalizer == "donor"
    ):
        raise ConfigError(
            "there is no pretrained policy to keep",
            asked="frozen, distil, interpolate or init_normalizer=donor without init",
            valid="a checkpoint in init",
        )
    source = None if config.init is None else load_model(config.init)
    if source is not None:
        model_config = source.config.model_config()
    horizon = config.horizon if source is None else source.config.horizon
    options: dict[str, Any] = {
        "history": model_config.history,
        "horizon": horizon,
        "representation": dict(config.representation),
        "max_weight": config.max_weight,
        "sizes": model_config,
    }
    if config.shift_state == "turn" and (len(model_config.views) > 1 or model_config.vision == "features"):
        raise ConfigError(
            "only a single camera's pictures can be turned with what is measured in its frame",
            asked="shift_state=turn",
            found=f"model.vision={model_config.vision}, views {', '.join(model_config.views)}",
            valid="shift_state=keep",
        )
    speeds = config.speeds or (1.0,) * len(caches)
    if len(speeds) != len(caches):
        raise ConfigError("speeds: one for each cache", asked=config.speeds, valid=f"{len(caches)} numbers")
    own = {"labels": config.labels, "seed": config.seed}
    chosen = config.episodes_of or (config.episodes,) * len(caches)
    if len(chosen) != len(caches):
        raise ConfigError("episodes_of: one list for each cache", asked=len(chosen), valid=len(caches))
    rows = [
        open_rows(c, episodes=which, without=config.val_episodes, speed=speed, **own, **options)
        for c, speed, which in zip(caches, speeds, chosen, strict=True)
    ]
    sizes = {tuple(one.cache.images.shape[1:]) for one in rows}
    if len(sizes) != 1:
        raise DatasetError("caches differ in picture size", found=sorted(sizes), valid="one size for a run")
    by_name = _fit(rows, config)
    if config.init_normalizer == "donor":
        assert source is not None
        by_name = _lent_normalizers(by_name, source.config.paired(), config.init_adapter_from)
    names = list(by_name)
    torch.manual_seed(config.seed)
    model = VidPolicy(
        VidPolicyConfig.make(model_config, list(by_name.values()), _sources(rows, source), vidpretrain.__version__)
    )
    lent = {}
    if source is None and model_config.vision == "backbone":
        load_backbone(model.stem, str(model_config.backbone))
    if source is not None:
        lent = warm_start(model, source, config.adapters, config.init_adapter_from, config.init_parts)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and part_of(name) not in config.frozen)
    val = (
        open_rows(caches[0], episodes=config.val_episodes, speed=speeds[0], **options) if config.val_episodes else None
    )
    return Setup(
        model=model,
        rows=rows,
        val=val,
        paired=[by_name[one.spec.embodiment] for one in rows],
        ids=[names.index(one.spec.embodiment) for one in rows],
        std=rows[0].action_stats()[1],
        lent=lent,
        texts=texts_of(model_config, rows),
        teacher=copy.deepcopy(model).eval().requires_grad_(False) if config.distil else None,
    )


def texts_of(model: ModelConfig, rows: Sequence[Rows]) -> list[np.ndarray] | None:
    """Features of every cache's instructions, where the model is told what to do."""
    if model.text is None:
        return None
    from vidpretrain.model.text import features

    return [features(one.instructions, model.text, model.text_width) for one in rows]


def people(made: Setup, config: TrainConfig, device: torch.device) -> torch.Tensor | None:
    """For every embodiment of the model whether it is of people; None where features are not aligned.

    Raises:
        ConfigError: there are no two sides to align.
    """
    if not config.align:
        return None
    names = list(made.model.config.paired())
    trained = {names[number] for number in made.ids}
    sides = [name for name in trained if name.startswith(config.align_people)]
    if not 0 < len(sides) < len(trained):
        raise ConfigError(
            "align brings people and robots together: both have to be trained on",
            asked=f"align={config.align}, align_people={config.align_people}",
            found=", ".join(sorted(trained)),
            valid="caches of both sides, or align=0",
        )
    return torch.tensor([name.startswith(config.align_people) for name in names], device=device)


def _lent_normalizers(own: dict[str, Paired], known: dict[str, Paired], init_from: str | None) -> dict[str, Paired]:
    """Each embodiment's layout with the normaliser of the one that lends its adapters; its own where none does.

    Raises:
        ConfigError: the lender's columns are others.
    """
    out = dict(own)
    for name, paired in own.items():
        donor = known.get(name) or known.get(init_from or "")
        if donor is None:
            continue
        here, there = [(g.name, g.representation) for g in paired.spec.groups], donor.spec.groups
        if here != [(g.name, g.representation) for g in there] or paired.spec.names != donor.spec.names:
            raise ConfigError(
                "a normaliser fits the same columns only",
                asked=f"init_normalizer=donor: {name}",
                found=f"{donor.spec.embodiment} has {', '.join(g.name for g in there)}",
                valid="init_normalizer=own",
            )
        out[name] = dataclasses.replace(paired, normalizer=donor.normalizer)
    return out


def _fit(rows: list[Rows], config: TrainConfig) -> dict[str, Paired]:
    """A normaliser per embodiment over all its caches."""
    clip, turn_px = config.clip, config.shift_px if config.shift_state == "turn" else 0
    groups: dict[str, list[Rows]] = {}
    for one in rows:
        groups.setdefault(one.spec.embodiment, []).append(one)
    out = {}
    for name, members in groups.items():
        if any(one.spec != members[0].spec for one in members):
            raise DatasetError(
                f"two caches of {name} differ in their action spec", found=[one.spec.names for one in members]
            )
        if len(members) == 1:
            out[name] = members[0].fit(clip, turn_px)
            continue
        parts = [one.values(turn_px) for one in members]
        state, action, known, usable = (np.concatenate([p[i] for p in parts]) for i in range(4))
        out[name] = Paired.fit(members[0].spec, state, action, known, usable, clip)
    return out


def _sources(rows: list[Rows], source: VidPolicy | None = None) -> list[dict[str, Any]]:
    """Data sets, licences and hours that a checkpoint was trained on, after those of the one that it started from."""
    out = [] if source is None else list(source.config.sources)
    for one in rows:
        used = [one.cache.episodes[i] for i in one.episodes]
        out.append(
            {
                "embodiment": one.spec.embodiment,
                "dataset": Path(str(one.cache.meta.get("dataset", ""))).name,
                "episodes": len(used),
                "hours": round(sum(float(e["hours"]) for e in used), 4),
                "licences": sorted({str(e["license"]) for e in used}),
                "source_sha256": sorted({str(e["source"]) for e in used if e["source"]}),
            }
        )
    return out
