"""Models of the Hub that the configuration of rooms without torch names: reaching them, and what is said if not."""

from __future__ import annotations

from typing import Any

from vidpretrain.errors import MissingAsset, MissingExtra


def transformers_for(name: str) -> Any:
    """The transformers package, quiet, to load the model `name` (of the Hub or a folder) with.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise MissingExtra(
            "transformers is not installed", asked=name, next_command="pip install vidpretrain[train]"
        ) from None
    transformers.utils.logging.disable_progress_bar()
    return transformers


def missing_model(what: str, key: str, name: str, error: Exception) -> MissingAsset:
    """The error for a model that is neither here nor can be downloaded; `key` of the configuration names it."""
    return MissingAsset(
        f"the {what} cannot be loaded: {str(error).splitlines()[0]}",
        asked=f"{key}={name}",
        next_command=f"hf download {name}  (with a network), or give the folder of a downloaded model",
    )
