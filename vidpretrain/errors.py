"""The exception tree. Every error says what was asked, what was found, what is valid and what to type next.

    VidpretrainError
      InputError          the data is bad (exit code 1)
        DatasetError      a data set of another version, layout or with broken files
        CheckpointError   a checkpoint for another robot, or incomplete
        DiskFull          no space left; nothing half-written is left behind
        MissingAsset      a model file or robot that is not on this machine
        MissingExtra      an optional dependency that is not installed
      UsageError          the command is wrong (exit code 2)
        ConfigError       a configuration key or value
        UnknownName       a name that is not in a table

Bad *data items* in a batch are not exceptions: they come back as `types.Reject` and are counted.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from typing import ClassVar


class VidpretrainError(Exception):
    """Root of the tree; `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        asked: object = None,
        found: object = None,
        valid: object = None,
        next_command: str | None = None,
    ) -> None:
        self.message = message
        self.asked, self.found, self.valid, self.next_command = asked, found, valid, next_command
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.message]
        for label, value in (("asked", self.asked), ("found", self.found), ("valid", self.valid)):
            if value is not None:
                lines.append(f"  {label}: {value}")
        if self.next_command is not None:
            lines.append(f"  next:  {self.next_command}")
        return "\n".join(lines)

    def __reduce__(self):  # keyword-only arguments survive the way back from a worker process
        return _rebuild, (type(self), self.message, self.asked, self.found, self.valid, self.next_command)


def _rebuild(kind, message, asked, found, valid, next_command):
    return kind(message, asked=asked, found=found, valid=valid, next_command=next_command)


class InputError(VidpretrainError):
    """The input is bad."""


class DatasetError(InputError):
    """A data set of another version or layout, or with broken files."""


class CheckpointError(InputError):
    """A checkpoint for another robot, or an incomplete one."""


class DiskFull(InputError):
    """No space left on the device."""

    @classmethod
    def of(cls, error: OSError, path: object) -> OSError | DiskFull:
        """`DiskFull` when that is what `error` says, else `error` itself; to be raised by the caller."""
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return error
        return cls(
            "no space left on the device; nothing half-written was kept",
            asked=path,
            next_command="free some space (df -h shows where) and type the same command again: finished work is kept",
        )


class MissingAsset(InputError):
    """A model file or robot that is not on this machine."""


class MissingExtra(InputError):
    """An optional dependency that is not installed."""


class UsageError(VidpretrainError):
    """The command itself is wrong."""

    exit_code: ClassVar[int] = 2


class ConfigError(UsageError):
    """A configuration key or value that does not exist or does not fit."""


class UnknownName(UsageError):
    """A name that is not in a table."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return " (did you mean 'x'?)" for the closest valid name, or "" when none is close."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> UnknownName:
    """Return the error for a name that is not in a table, with the nearest valid one."""
    names = sorted(valid)
    return UnknownName(f"unknown {kind} {name!r}{nearest(name, names)}", asked=name, valid=", ".join(names))
