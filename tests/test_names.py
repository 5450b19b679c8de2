"""Every global name that a function reads is there: shapes in annotations keep linters from asking."""

from __future__ import annotations

import ast
import builtins
import dis
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "vidpretrain").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")])
_GIVEN = {*dir(builtins), "__file__", "__name__", "__doc__", "__getattr__", "__path__", "__spec__", "__annotations__"}


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def unknown_names(text: str) -> set[str]:
    """Global names that compiled code reads and nothing in the module defines."""
    tree = ast.parse(text)
    every = list(codes(compile(tree, "module", "exec")))
    known = set(_GIVEN)
    for one in every:
        for step in dis.get_instructions(one):
            if step.opname == "STORE_GLOBAL" or (step.opname == "STORE_NAME" and one is every[0]):
                known.add(step.argval)
    read = {s.argval for one in every for s in dis.get_instructions(one) if s.opname == "LOAD_GLOBAL"}
    read |= {s.argval for s in dis.get_instructions(every[0]) if s.opname == "LOAD_NAME"}
    return read - known


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_is_defined(path):
    assert unknown_names(path.read_text(encoding="utf-8")) == set()


def test_a_name_that_is_not_there_is_found():
    text = "from __future__ import annotations\nimport os\ndef f(x: Float['a b']) -> None:\n    return os, lost(x)\n"
    assert unknown_names(text) == {"lost"}
