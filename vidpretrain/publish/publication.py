"""What a publication consists of: its files, its card, and whatever speaks against it."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vidpretrain.errors import InputError
from vidpretrain.publish.config import PublishConfig
from vidpretrain.publish.licences import Refusal, refusals

Kind = Literal["model", "dataset"]
_EXECUTABLE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".so", ".pyc")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_SKIPPED = (".tmp", ".lock")
EXPORTED = "export.json"
MODEL_FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Everything that would be uploaded. `refused` is empty when it may be.

    `files` are paths inside `folder`; `made` are texts written for the publication (the card), by name.
    """

    kind: Kind
    folder: Path
    files: tuple[str, ...]
    bytes: int
    made: dict[str, str] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()


def plan(folder: Path | str, config: PublishConfig) -> Publication:
    """The publication of a checkpoint (a run's folder or its `model`), of an exported policy or of a data set.

    Raises:
        InputError: neither is there, or the folder holds files that run code when they are loaded.
    """
    from vidpretrain.publish.bundle import bundle
    from vidpretrain.publish.card import dataset_card, exported_card, model_card

    given = Path(folder)
    root = given / "model" if (given / "model" / "config.json").is_file() else given
    if all((root / name).is_file() for name in MODEL_FILES):
        settings = json.loads((root / "config.json").read_text())
        made = {"README.md": model_card(root, settings, config), **bundle((root / "config.json").read_text())}
        return _publication("model", root, made, _refused(settings, config))
    if (root / EXPORTED).is_file():
        about = json.loads((root / EXPORTED).read_text())
        made = {"README.md": exported_card(root, about, config)}
        return _publication("model", root, made, _refused(about, config))
    if (root / "meta" / "info.json").is_file():
        return _dataset(root, config, dataset_card)
    raise InputError(
        "nothing to publish here",
        asked=given,
        found=", ".join(sorted(p.name for p in given.iterdir())[:10]) if given.is_dir() else "no such folder",
        valid=f"a checkpoint ({', '.join(MODEL_FILES)}), an export ({EXPORTED}) or a LeRobot data set (meta/info.json)",
    )


def _refused(settings: dict[str, Any], config: PublishConfig) -> list[Refusal]:
    """What the licences of a policy's data say to its publication; data that nobody named count as unknown."""
    sources = [
        (f"{one['dataset']} ({one['embodiment']})", name)
        for one in settings.get("sources", [])
        for name in (one["licences"] or ["unknown"])
    ]
    return refusals(sources or [("the checkpoint's data", "unknown")], config.license, config.accept)


def _dataset(root: Path, config: PublishConfig, card: Any) -> Publication:
    from vidpretrain.dataset import open_dataset

    dataset = open_dataset(root)
    refused = refusals(((f"episode {e.index}", e.license) for e in dataset.episodes), config.license, config.accept)
    for episode in dataset.episodes:
        consent = str((episode.source or {}).get("consent", "") or "")
        if consent.strip().lower() in ("no", "none", "refused", "false", "withdrawn"):
            refused.append(
                Refusal(source=f"episode {episode.index}", license=episode.license, why=f"consent: {consent}")
            )
    return _publication("dataset", root, {"README.md": card(dataset, config)}, refused)


def _publication(kind: Kind, root: Path, made: dict[str, str], refused: list[Refusal]) -> Publication:
    files = sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file()
        and path.suffix not in _SKIPPED
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
    poisoned = [name for name in files if _runs_code(root / name)]
    if poisoned:
        raise InputError(
            "the folder holds files that may run code when somebody loads them",
            asked=root,
            found=", ".join(poisoned[:10]),
            valid="safetensors, ONNX, JSON, parquet, mp4",
            next_command=f"rm {root / poisoned[0]}",
        )
    files = [name for name in files if name not in made]
    size = sum((root / name).stat().st_size for name in files) + sum(len(text.encode()) for text in made.values())
    return Publication(kind=kind, folder=root, files=tuple(files), bytes=size, made=made, refused=tuple(refused))


def _runs_code(path: Path) -> bool:
    """Whether loading a file may run what is in it: by its name, or because it is a pickle under another name."""
    if path.name.lower().endswith(_EXECUTABLE):
        return True
    with path.open("rb") as file:
        if _PICKLE.match(file.read(2)):
            return True
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(_EXECUTABLE) for name in archive.namelist())
    return False
