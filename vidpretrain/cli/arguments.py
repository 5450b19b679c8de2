"""Positional arguments told apart: a configuration file, dotted overrides, and paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vidpretrain.errors import UsageError

_OVERRIDE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*=")
_YAML = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What followed the verb."""

    config: str | None
    overrides: tuple[str, ...]
    inputs: tuple[str, ...]


def split(words: Sequence[str], *, yaml_is_input: bool = False) -> Arguments:
    """The words sorted: `*.yaml` and `*.yml` name the configuration, `key=value` overrides it, the rest are paths.

    Raises:
        UsageError: two configuration files.
    """
    configs: list[str] = []
    overrides: list[str] = []
    inputs: list[str] = []
    for word in words:
        if _OVERRIDE.match(word):
            overrides.append(word)
        elif word.lower().endswith(_YAML) and not yaml_is_input:
            configs.append(word)
        else:
            inputs.append(word)
    if len(configs) > 1:
        raise UsageError(
            "more than one configuration file",
            asked=" ".join(configs),
            valid="one *.yaml file; change single keys with KEY=VALUE",
        )
    return Arguments(config=configs[0] if configs else None, overrides=tuple(overrides), inputs=tuple(inputs))
