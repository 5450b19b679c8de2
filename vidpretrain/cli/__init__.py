"""The command line: `main()`. It holds no logic: every verb is a function of its own room, imported when called."""

from __future__ import annotations

from vidpretrain.cli.app import main

__all__ = ["main"]
