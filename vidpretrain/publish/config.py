"""What is published, and where. Nothing heavy here: the command line reads this."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class PublishConfig:
    """`repo` ("name/repository") is on the Hub; `folder` gets the same files instead; with neither, or with `dry_run`,
    what would be published is listed and nothing is written.

    `license` is what the result gets. Sources forbid it where their licence does: those that say so, and those that say
    nothing ("unknown"). `accept` names licences (as the sources spell them) for which you have permission of your own.
    `evaluation` and `gap` are files of the verbs `evaluate` and `gap`; None takes those of the run that the checkpoint
    lies in. `limits` is text for the card, `command` what made it.
    """

    repo: str | None = None
    folder: Path | None = None
    dry_run: bool = False
    private: bool = True
    title: str = ""
    license: str = "apache-2.0"
    accept: tuple[str, ...] = ()
    evaluation: Path | None = None
    gap: Path | None = None
    limits: str = ""
    command: str = ""

    def __post_init__(self) -> None:
        if self.repo is not None and (self.repo.count("/") != 1 or not all(self.repo.split("/"))):
            raise ValueError(f"publish.repo is NAME/REPOSITORY, not {self.repo!r}")
        if self.repo is not None and self.folder is not None:
            raise ValueError("publish.repo or publish.folder, not both")
