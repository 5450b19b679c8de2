"""Cards: what a checkpoint or data set is, what it was made from, how good it is, and what it is not for."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from vidpretrain import __version__
from vidpretrain.dataset import Dataset
from vidpretrain.errors import InputError
from vidpretrain.publish.config import PublishConfig
from vidpretrain.publish.licences import plain

_TEMPLATES = Path(__file__).parent / "model_cards"
_GAP_LINES = 40
_HEADS = {"flow": "flow matching", "regression": "regression", "tokens": "discrete tokens"}


def model_card(root: Path, settings: dict[str, Any], config: PublishConfig) -> str:
    """The README.md of a checkpoint: metadata for the Hub with `model-index`, then the card.

    Raises:
        InputError: a named evaluation or gap file is missing or not one.
    """
    specs = [one["spec"] for one in settings["embodiments"]]
    names = [spec["embodiment"] for spec in specs]
    title = config.title or f"vidpretrain policy for {names[0]}"
    evaluation = _evaluation(_read(config.evaluation, root, "evaluation.json"))
    sources = [{"stage": "training", **one} for one in settings.get("sources", [])]
    head: dict[str, Any] = {
        "license": plain(config.license),
        "library_name": "vidpretrain",
        "pipeline_tag": "robotics",
        "tags": ["robotics", "humanoid", "imitation-learning", "human-video"],
    }
    if evaluation is not None:
        head["model-index"] = [_index(title, evaluation)]
    body = _render(
        "policy.md",
        title=title,
        embodiments=names,
        image_px=settings["model"]["image_px"],
        horizon=settings["horizon"],
        rate_hz=specs[0]["rate_hz"],
        width=sum(len(group["names"]) for group in specs[0]["groups"]),
        head=_HEADS.get(settings["model"].get("head", "flow"), settings["model"].get("head", "flow")),
        parameters=_parameters(root / "model.safetensors"),
        version=settings.get("code_version", __version__),
        repo=config.repo,
        path=root,
        sources=sources,
        evaluation=evaluation,
        gap=_gap(_read(config.gap, root, "gap.json")),
        limits=config.limits,
        command=config.command,
    )
    return _with_head(head, body)


def exported_card(root: Path, about: dict[str, Any], config: PublishConfig) -> str:
    """The README.md of a policy that `vidpretrain export` wrote; `about` is its export.json.

    Raises:
        InputError: a named evaluation or gap file is missing or not one.
    """
    title = config.title or f"vidpretrain policy for {about['embodiment']}, as a file"
    evaluation = _evaluation(_read(config.evaluation, root, "evaluation.json"))
    head: dict[str, Any] = {
        "license": plain(config.license),
        "library_name": "lerobot",
        "pipeline_tag": "robotics",
        "tags": ["robotics", "humanoid", "imitation-learning", "human-video", "vidpretrain"],
    }
    if evaluation is not None:
        head["model-index"] = [_index(title, evaluation)]
    units = {column["group"]: column["unit"] for column in about["columns"]}
    sizes = Counter(column["group"] for column in about["columns"])
    body = _render(
        "exported.md",
        title=title,
        about=about,
        groups=[{"name": name, "unit": unit, "columns": sizes[name]} for name, unit in units.items()],
        where=config.repo or root.name,
        evaluation=evaluation,
        gap=_gap(_read(config.gap, root, "gap.json")),
        limits=config.limits,
        command=config.command,
    )
    return _with_head(head, body)


def dataset_card(dataset: Dataset, config: PublishConfig) -> str:
    """The README.md of a data set."""
    by_license: dict[str, list[Any]] = defaultdict(list)
    for episode in dataset.episodes:
        by_license[episode.license or "unknown"].append(episode)
    licences = [
        {
            "license": name,
            "episodes": len(members),
            "attribution": "; ".join(sorted({str(e.source.get("attribution") or "") for e in members} - {""}))[:500],
        }
        for name, members in sorted(by_license.items())
    ]
    verdicts = Counter(str(row.get("verdict")) for row in dataset.feasibility)
    hours = dataset.frame_count / dataset.rate_hz / 3600
    head = {
        "license": plain(config.license),
        "task_categories": ["robotics"],
        "tags": ["LeRobot", "robotics", "humanoid", "human-video"],
        "configs": [{"config_name": "default", "data_files": "data/*/*.parquet"}],
    }
    body = _render(
        "dataset.md",
        title=config.title or f"vidpretrain data for {dataset.spec.embodiment}",
        episodes=len(dataset),
        frames=dataset.frame_count,
        hours=hours,
        rate_hz=f"{dataset.rate_hz:g}",
        embodiment=dataset.spec.embodiment,
        dataset_version=dataset.version,
        version=__version__,
        repo=config.repo or dataset.root,
        groups=dataset.spec.groups,
        cameras=dataset.camera_keys,
        pseudo=bool(dataset.own),
        licences=licences,
        instructions=Counter(e.instruction for e in dataset.episodes).most_common(20),
        verdicts=", ".join(f"{name} {count}" for name, count in sorted(verdicts.items())),
        limits=config.limits,
    )
    return _with_head(head, body)


def _render(name: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    return environment.get_template(name).render(**values)


def _with_head(head: dict[str, Any], body: str) -> str:
    import yaml

    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n{body}"


def _parameters(weights: Path) -> int:
    """Number of values in a safetensors file, by its header alone."""
    from safetensors import safe_open

    total = 0
    with safe_open(weights, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - not a dict
            size = 1
            for side in file.get_slice(name).get_shape():
                size *= side
            total += size
    return total


def _read(named: Path | None, root: Path, name: str) -> Any:
    """A JSON file: the one that was named, or the one of the run that the checkpoint lies in, or None."""
    if named is None:
        near = [folder / name for folder in (root.parent, root.parent.parent) if (folder / name).is_file()]
        if not near:
            return None
        named = near[0]
    try:
        return json.loads(Path(named).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"not a file of figures: {error}", asked=named, valid=name) from None


def _evaluation(found: Any) -> dict[str, Any] | None:
    if found is None:
        return None
    try:
        rows = [
            {"name": name, "error": one["error"], "low": one["interval"][0], "high": one["interval"][1]}
            for name, one in found["methods"].items()
        ]
        confidence = float(found.get("config", {}).get("confidence", 0.95))
        return {"rows": rows, "episodes": len(found["episodes"]), "confidence": confidence, **_labels(found)}
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"the evaluation lacks {error}", asked="publish.evaluation", next_command="vidpretrain evaluate"
        ) from None


def _labels(found: dict[str, Any]) -> dict[str, Any]:
    return {"embodiment": found["embodiment"], "horizon": found["horizon"]}


def _index(title: str, evaluation: dict[str, Any]) -> dict[str, Any]:
    """An entry of the Hub's `model-index`: the policy's own error with its interval."""
    policy = evaluation["rows"][0]
    name = f"action-chunk error over {evaluation['horizon']} rows ({policy['low']:.4f} to {policy['high']:.4f})"
    return {
        "name": title,
        "results": [
            {
                "task": {"type": "robotics", "name": "action prediction"},
                "dataset": {"name": f"{evaluation['episodes']} held-out episodes", "type": evaluation["embodiment"]},
                "metrics": [{"type": "normalized_chunk_error", "name": name, "value": round(policy["error"], 6)}],
            }
        ],
    }


def _gap(found: Any) -> str | None:
    if found is None:
        return None
    lines = ["| measure | group | bridge | value | interval | unit |", "|---|---|---|---|---|---|"]
    try:
        for row in found[:_GAP_LINES]:
            numbers = ["" if row[key] is None else f"{row[key]:.3g}" for key in ("value", "low", "high")]
            interval = f"{numbers[1]} to {numbers[2]}" if numbers[1] else ""
            lines.append(
                f"| {row['measure']} | {row['group']} | {row['bridge']} | {numbers[0]} | {interval} | {row['unit']} |"
            )
    except (KeyError, TypeError) as error:
        raise InputError(
            f"the gap's table lacks {error}", asked="publish.gap", next_command="vidpretrain gap"
        ) from None
    if len(found) > _GAP_LINES:
        lines.append(f"| {len(found) - _GAP_LINES} further rows | | | | | |")
    return "\n".join(lines)
