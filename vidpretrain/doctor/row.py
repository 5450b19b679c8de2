"""One row of the doctor's table."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

SETUP = "make setup"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was checked, how it went, what was found, and the command that helps when it did not go well."""

    check: str
    status: Literal["ok", "warn", "fail"]
    found: str
    next: str = ""


def missing_package(check: str, package: str, status: Literal["warn", "fail"] = "fail") -> Row | None:
    """The row for a package that is not installed, None when it is."""
    if importlib.util.find_spec(package) is not None:
        return None
    return Row(check=check, status=status, found=f"package {package} is not installed", next=SETUP)


def guarded(check: str, work: Callable[[], Iterable[Row]]) -> list[Row]:
    """The rows of `work`, or one `fail` row when it raises: a doctor reports whatever is broken, and goes on."""
    try:
        return list(work())
    except Exception as error:  # noqa: BLE001 - see above
        next_command = getattr(error, "next_command", None) or SETUP
        text = str(getattr(error, "message", error)).strip().splitlines() or [type(error).__name__]
        return [Row(check=check, status="fail", found=f"{type(error).__name__}: {text[0]}", next=next_command)]
