"""The verb that puts a policy to data sets and videos."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidpretrain.config import digest
from vidpretrain.control import limits_of
from vidpretrain.dataset import Dataset, TrainingCache, build_cache, open_dataset
from vidpretrain.dataset.cache import META
from vidpretrain.dataset.files import write_json
from vidpretrain.errors import DatasetError, InputError
from vidpretrain.robot import load_robot
from vidpretrain.workflow.config import RunConfig
from vidpretrain.workflow.learn import checkpoint_of, one_at_a_time
from vidpretrain.workflow.progress import Bars

if TYPE_CHECKING:
    from vidpretrain.training import Policy, Share


def predict(config: RunConfig, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Actions of a checkpoint for every row of data sets, or of videos, as parquet files or LeRobot data sets.

    Videos go through the stages first. Episodes whose pictures or rows cannot be read, and videos that are refused,
    are counted and left out.

    Raises:
        InputError: nothing could be read, or the same input was named twice.
    """
    from vidpretrain.training import Policy, Share

    policy, share = Policy.load(checkpoint_of(config, ())), Share.of_launch()
    roots, refused = _roots(config, inputs)
    jobs = []
    for name, root in roots.items():
        out = config.out / "predictions" / (name if len(roots) > 1 else "")
        jobs.append(_predicted(config, open_dataset(root), policy, share, out))
    total = {name: sum(job[name] for job in jobs) for name in ("rows", "shards", "computed_shards", "episodes")}
    rejects = [{"item": k, "why": v} for job in jobs for k, v in job["rejects"].items()] + refused
    where = config.out / "predictions"
    made = f"{total['computed_shards']} of {total['shards']} files written now"
    left = f", {len(rejects)} left out" if rejects else ""
    sets = [job["dataset"] for job in jobs if job["dataset"]]
    return {
        "ok": True,
        "folder": str(where),
        "embodiment": ", ".join(sorted({job["embodiment"] for job in jobs})),
        **total,
        "datasets": sets,
        "rejects": rejects,
        "message": f"predictions: {total['rows']} rows, {made}{left}: {', '.join(sets) or where}",
    }


def _roots(config: RunConfig, inputs: tuple[str, ...]) -> tuple[dict[str, Path], list[dict[str, str]]]:
    """(data sets by the name of their output, videos that were refused): videos are packed into one, together."""
    asked = [Path(word) for word in inputs] or [config.robot_data.root or config.out / "dataset"]
    roots: dict[str, Path] = {}
    videos = [path for path in asked if not (path / "meta" / "info.json").is_file()]
    for path in asked:
        if path in videos:
            continue
        name = path.resolve().name
        name = f"{name}-{digest(str(path.resolve()))[:6]}" if name in roots else name
        if path.resolve() in {root.resolve() for root in roots.values()}:
            raise InputError("a data set is named twice", asked=path)
        roots[name] = path
    if not videos:
        return roots, []
    packed, refused = _packed(config, tuple(videos))
    return {**roots, "videos": packed}, refused


def _packed(config: RunConfig, paths: tuple[Path, ...]) -> tuple[Path, list[dict[str, str]]]:
    """The data set of the videos, beside the run's own; one process of a launch makes it, the others find it."""
    from vidpretrain.workflow import data as stages

    asked = dataclasses.replace(config.video, paths=paths)
    config = dataclasses.replace(config, video=asked, out=config.out / "asked")
    with one_at_a_time(config.out):
        packed, ledger = stages.packed(config, stages.extraction(config))
    if not packed.episodes:
        shown = " ".join(map(str, paths))
        raise InputError("none of the videos gave an episode", asked=shown, next_command=f"vidpretrain probe {shown}")
    refused = [
        {"item": Path(e.uri).name, "why": f"{e.reject.reason}: {e.reject.detail}"}
        for e in ledger.entries
        if e.reject is not None
    ]
    return packed.root, refused


def _predicted(config: RunConfig, dataset: Dataset, policy: Policy, share: Share, out: Path) -> dict[str, Any]:
    """One data set's predictions; with `predict.format` lerobot the first process writes them as one, too."""
    from vidpretrain.training import predict as write_predictions
    from vidpretrain.training import write_predicted

    settings = dataclasses.asdict(config.predict)
    as_set = settings.pop("format") == "lerobot"
    name = dataset.spec.embodiment if dataset.spec.embodiment in policy.embodiments else config.robot
    robot = load_robot(config.robot)
    if as_set and config.control.limits:
        limits_of(robot, policy.spec(name))  # says at once whose limits do not fit
    caches, rejects = _caches(config, dataset, policy, name, share)
    result = write_predictions(policy, caches, out, share=share, **settings)
    told = {key: result[key] for key in ("embodiment", "rows", "shards", "computed_shards")}
    told |= {"episodes": len(caches), "rejects": rejects, "dataset": ""}
    if as_set and share.rank == 0:
        written = write_predicted(
            *(dataset, caches, out, out / "lerobot"),
            robot=robot,
            control=config.control,
            config=config.dataset,
            rejects=rejects,
        )
        told["dataset"] = written["root"]
    return told


def _caches(
    config: RunConfig, dataset: Dataset, policy: Policy, name: str, share: Share
) -> tuple[list[TrainingCache], dict[str, str]]:
    """(one cache per readable episode, why others are not), decoded by all processes of the launch.

    Raises:
        InputError: no episode can be read.
    """
    from vidpretrain.training import wait_for

    spec, robot = policy.spec(name), load_robot(config.robot)
    size = policy.model.config.model_config().image_px
    key = digest(dataset.digest, name, spec, size, robot.digest, config.dataset)[:8]
    folder = config.out / "cache" / f"predict-{dataset.root.resolve().name}-{key}"

    def of(number: int) -> tuple[Path, Path]:
        return folder / f"episode_{number:06d}", folder / f"episode_{number:06d}.json"

    mine = range(share.rank, len(dataset), share.count)
    with Bars() as bars:
        for done, number in enumerate(mine):
            cache, refused = of(number)
            if not (cache / META).is_file() and not refused.is_file():
                try:
                    made = build_cache(
                        *(dataset, cache, size, [number]),
                        spec=spec,
                        robot=robot,
                        embodiment=name,
                        config=config.dataset,
                    )
                    if not made.valid.any():
                        raise DatasetError("no value of the episode is valid", asked=f"{dataset.root}, {number}")
                except DatasetError as error:
                    write_json(refused, {"why": str(error).splitlines()[0]})
            bars("predict: pictures", done + 1, len(mine))
    caches, rejects = [], {}
    for number in range(len(dataset)):
        cache, refused = of(number)
        wait_for(lambda c=cache, r=refused: r.is_file() or (c / META).is_file())
        if refused.is_file():
            rejects[f"{dataset.root.name}/{number}"] = json.loads(refused.read_text())["why"]
        else:
            caches.append(TrainingCache.open(cache))
    if not caches:
        name, why = next(iter(rejects.items()))
        raise InputError("no episode can be read", asked=dataset.root, found=f"{name}: {why}")
    return caches, rejects
