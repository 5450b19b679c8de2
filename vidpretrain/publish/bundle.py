"""The model's source as files that lie beside its weights, so that transformers alone can load them.

`AutoModel.from_pretrained(FOLDER, trust_remote_code=True)` reads `auto_map` of config.json, imports
`modeling_vidpolicy.py` (`AutoProcessor`: `processing_vidpolicy.py`) and whatever that imports from its own folder. Each
module of the package that they need becomes one flat file; imports among them are made relative, and jaxtyping's
shapes, which stand in annotations only, are left out.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

PACKAGE = "vidpretrain"
_ROOT = Path(__file__).parents[1]
ENTRIES = {f"{PACKAGE}.model.policy": "modeling_vidpolicy", f"{PACKAGE}.model.processing": "processing_vidpolicy"}
AUTO_MAP = {
    "AutoConfig": "modeling_vidpolicy.VidPolicyConfig",
    "AutoModel": "modeling_vidpolicy.VidPolicy",
    "AutoProcessor": "processing_vidpolicy.VidProcessor",
}


def bundle(config_json: str) -> dict[str, str]:
    """Files by name: config.json with `auto_map`, where the processor is, the entry modules and what they need."""
    settings = json.loads(config_json)
    made = {"config.json": json.dumps({**settings, "auto_map": AUTO_MAP}, indent=2) + "\n"}
    processor = {"processor_class": "VidProcessor", "auto_map": {"AutoProcessor": AUTO_MAP["AutoProcessor"]}}
    made["processor_config.json"] = json.dumps(processor, indent=2) + "\n"
    waiting, seen = list(ENTRIES), set(ENTRIES)
    while waiting:
        module = waiting.pop()
        tree = ast.parse(_path(module).read_text(encoding="utf-8"))
        rewriter = _Relative()
        text = ast.unparse(ast.fix_missing_locations(rewriter.visit(tree)))
        made[f"{_flat(module)}.py"] = f"# Made from {module} of {PACKAGE}; edit it there.\n{text}\n"
        for needed in rewriter.needed:
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    return made


def _path(module: str) -> Path:
    inside = _ROOT.joinpath(*module.split(".")[1:])
    return inside / "__init__.py" if inside.is_dir() else inside.with_suffix(".py")


def _is_module(name: str) -> bool:
    return _path(name).is_file()


def _flat(module: str) -> str:
    return ENTRIES.get(module) or module.replace(".", "_")


class _Relative(ast.NodeTransformer):
    """Imports of the package made relative to one folder; `needed` collects the modules behind them."""

    def __init__(self) -> None:
        self.needed: list[str] = []

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | list[ast.stmt] | None:
        if node.module == "jaxtyping":
            return None
        if node.level or node.module is None or node.module.split(".")[0] != PACKAGE:
            return node
        out: list[ast.stmt] = []
        names = []
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if _is_module(inner):
                out += self._whole(inner, alias.asname or alias.name)
            else:
                names.append(alias)
        if names:
            self.needed.append(node.module)
            out.append(ast.ImportFrom(module=_flat(node.module), names=names, level=1))
        return out

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            if alias.name.split(".")[0] == PACKAGE:
                raise ValueError(f"the model's modules import {alias.name} whole: write 'from ... import ...'")
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Imports for type checkers only are left out."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return None
        return self.generic_visit(node)

    def _whole(self, module: str, name: str) -> list[ast.stmt]:
        """A module under a name; transformers follows `from .file import name` alone, so it comes by its own name."""
        self.needed.append(module)
        handle = f"_{_flat(module)}"
        first = ast.ImportFrom(module=_flat(module), names=[ast.alias(name="__name__", asname=handle)], level=1)
        return [first, *ast.parse(f"import sys\n{name} = sys.modules[{handle}]").body]
