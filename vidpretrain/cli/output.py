"""Where a verb's output goes: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any, TextIO

from vidpretrain.cli import render


class Output:
    """Context in which a verb runs. With `as_json`, file descriptor 1 points to stderr while the verb works, so that
    no library, however it writes, can put anything beside the one JSON object."""

    def __init__(self, *, as_json: bool, debug: bool) -> None:
        self.as_json, self.debug = as_json, debug
        self._stack = contextlib.ExitStack()
        self._out: TextIO = sys.stdout

    def __enter__(self) -> Output:
        logger = logging.getLogger("vidpretrain")
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if self.debug else logging.INFO)
        self._stack.callback(logger.removeHandler, handler)
        if self.as_json:
            self._out = self._stack.enter_context(_stdout_kept_for_us())
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def result(self, result: Mapping[str, Any]) -> None:
        """Write what the verb returned."""
        text = render.to_json(result) if self.as_json else render.to_text(result)
        self._write(self._out, text)

    def error(self, error: BaseException, exit_code: int) -> int:
        """Write an error, and its traceback on request; return the exit code."""
        if self.debug:
            self._write(sys.stderr, "".join(traceback.format_exception(error)))
        if self.as_json:
            self._write(self._out, render.error_json(error, exit_code))
        else:
            self._write(sys.stderr, _error_text(error, self.debug))
        return exit_code

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(text + "\n")
        stream.flush()


def _error_text(error: BaseException, debug: bool) -> str:
    from vidpretrain.errors import VidpretrainError

    if isinstance(error, VidpretrainError):
        return f"error: {error}"
    text = f"error: {type(error).__name__}: {error}"
    return text if debug else f"{text}\n  next:  the same command with --debug shows where"


@contextlib.contextmanager
def _stdout_kept_for_us():
    """The real stdout as a text stream, while descriptor 1 and sys.stdout lead to stderr."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    python_stdout, sys.stdout = sys.stdout, sys.stderr
    stream = os.fdopen(kept, "w", encoding="utf-8", closefd=False)
    try:
        yield stream
    finally:
        stream.flush()
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        sys.stdout = python_stdout
