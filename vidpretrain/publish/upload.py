"""The publication written: to a folder, or to the Hub in one commit."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from vidpretrain.dataset.files import disk_guard, require_space
from vidpretrain.errors import InputError, MissingExtra
from vidpretrain.publish.config import PublishConfig
from vidpretrain.publish.publication import Publication, plan


def publish(folder: Path | str, config: PublishConfig, api: Any = None) -> dict[str, Any]:
    """Publish a checkpoint or a data set; what was (or with `dry_run` would be) published, and where.

    Args:
        api: an object like `huggingface_hub.HfApi`, which is what None takes.

    Raises:
        InputError: nothing to publish, files that run code, or sources whose licence forbids it.
        MissingExtra: huggingface_hub is not installed and the target is on the Hub.
    """
    made = plan(folder, config)
    target = config.repo or (None if config.folder is None else str(config.folder))
    result: dict[str, Any] = {
        "kind": made.kind,
        "files": [*made.made, *made.files],
        "bytes": made.bytes,
        "refused": [f"{one.source}: {one.license}: {one.why}" for one in made.refused],
        "target": target,
        "written": False,
    }
    if config.dry_run or target is None:
        return result
    if made.refused:
        shown = "; ".join(result["refused"][:5]) + (f"; {len(made.refused) - 5} more" if len(made.refused) > 5 else "")
        raise InputError(
            "a source's licence forbids this",
            asked=f"publish.license={config.license}",
            found=shown,
            valid="publish.accept=[LICENCE] where you have a permission of your own",
        )
    if config.folder is not None:
        result["url"] = str(_to_folder(made, config.folder))
    else:
        result["url"] = _to_hub(made, config, api)
    return {**result, "written": True}


def _to_folder(made: Publication, target: Path) -> Path:
    """The same files in a folder, written aside and renamed; a folder that holds something else is left alone."""
    if target.exists() and any(target.iterdir()) and not (target / "README.md").is_file():
        raise InputError("the folder is not empty", asked=target, valid="an empty folder, or an earlier publication")
    aside = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    require_space(target, made.bytes)
    with disk_guard(target):
        for name in made.files:
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made.folder / name, aside / name)
        for name, text in made.made.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_text(text, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(aside, target)
    return target


def _to_hub(made: Publication, config: PublishConfig, api: Any) -> str:
    try:
        from huggingface_hub import CommitOperationAdd, HfApi
    except ModuleNotFoundError:
        raise MissingExtra("huggingface_hub is not installed", next_command="pip install huggingface_hub") from None
    api = HfApi() if api is None else api
    api.create_repo(config.repo, repo_type=made.kind, private=config.private, exist_ok=True)
    add = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(made.folder / name)) for name in made.files]
    add += [CommitOperationAdd(path_in_repo=name, path_or_fileobj=text.encode()) for name, text in made.made.items()]
    told = api.create_commit(config.repo, add, repo_type=made.kind, commit_message="Published with vidpretrain")
    return str(getattr(told, "commit_url", told))
