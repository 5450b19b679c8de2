"""Compiled code on disk goes when any compiled source changes, in whichever module."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vidpretrain.compiled import drop_stale_caches

_INNER = "from numba import njit\n\n@njit(cache=True)\ndef inner(x):\n    return x + {}\n"
_OUTER = "from numba import njit\nfrom inner import inner\n\n@njit(cache=True)\ndef outer(x):\n    return inner(x)\n"


def run(folder: Path) -> float:
    words = [sys.executable, "-c", "from outer import outer; print(outer(1.0))"]
    return float(subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout)


def test_a_changed_callee_is_compiled_again(tmp_path):
    (tmp_path / "inner.py").write_text(_INNER.format("1.0"))
    (tmp_path / "outer.py").write_text(_OUTER)
    assert drop_stale_caches(tmp_path)
    assert run(tmp_path) == 2.0
    assert list(tmp_path.rglob("*.nbi"))
    assert not drop_stale_caches(tmp_path)  # nothing has changed, and what was compiled stays
    assert list(tmp_path.rglob("*.nbi"))
    (tmp_path / "inner.py").write_text(_INNER.format("10.0"))
    assert run(tmp_path) == 2.0  # what Numba does by itself
    assert drop_stale_caches(tmp_path)
    assert run(tmp_path) == 11.0


def test_other_sources_do_not_matter(tmp_path):
    (tmp_path / "inner.py").write_text(_INNER.format("1.0"))
    drop_stale_caches(tmp_path)
    (tmp_path / "plain.py").write_text("x = 1\n")
    assert not drop_stale_caches(tmp_path)
