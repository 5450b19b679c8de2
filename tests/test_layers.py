"""The order of the rooms in docs/development.md, read from the syntax trees: imports point one way."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "vidpretrain"
PACKAGE = "vidpretrain"

# Rooms of one layer are ordered among themselves by ORDER_WITHIN; those that are not may not import each other.
LAYERS: dict[str, float] = {
    **dict.fromkeys(("errors", "types", "timebase", "geometry", "skeletons", "config", "compiled"), 0),
    **dict.fromkeys(("video", "tree", "kinematics", "robot", "collision", "solve", "human"), 1),
    **dict.fromkeys(("pose", "camera", "motion", "segments", "retarget", "feasibility", "motion_files", "actions"), 2),
    **dict.fromkeys(("dataset", "transforms", "sim", "pipeline", "robot_import", "synth", "control"), 3),
    "model": 4,
    "training": 5,
    "evaluate": 6,
    "transfer": 6,
    "gap": 6,
    "serve": 6,
    "publish": 6,
    "export": 6,
    **dict.fromkeys(("report", "doctor", "workflow", "cli", "__main__"), 7),
}
ORDER_WITHIN: tuple[tuple[str, ...], ...] = (
    ("errors", "types"),
    ("errors", "config"),
    ("errors", "skeletons"),
    ("geometry", "timebase"),
    ("types", "timebase"),
    ("tree", "kinematics", "robot", "collision", "solve", "human"),
    ("pose", "camera", "motion", "segments", "feasibility", "retarget", "motion_files", "actions"),
    ("transforms", "dataset", "sim", "robot_import", "pipeline", "synth"),
    ("report", "doctor", "workflow", "cli", "__main__"),
)
TORCH_LAYER = 4
# Packages that make `vidpretrain --help` slow: never at the top level of a room's __init__ or configuration.
HEAVY = {
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "mediapipe",
    "anny",
    "mujoco",
    "numba",
    "av",
    "decord",
    "cv2",
    "rerun",
    "gymnasium",
}
# Anny's body is a torch module; it is made once, inside a function, in a worker process, and kept as arrays.
TORCH_INSIDE_FUNCTIONS = {"vidpretrain.sim.body"}
TORCH_PACKAGES = {"torch", "torchvision", "transformers", "accelerate", "safetensors", "tensorboard"}

MODULES = sorted(ROOT.rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in MODULES]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join((PACKAGE, *parts)).removesuffix(".__init__")


def room(name: str) -> str:
    """The room of a module: the part after the package; "" for the package itself."""
    return name.split(".")[1] if "." in name else ""


KNOWN = {module_name(path) for path in MODULES}


def target(base: str, name: str | None) -> str:
    """The module that `from base import name` reads: a submodule when there is one of that name."""
    return f"{base}.{name}" if name and f"{base}.{name}" in KNOWN else base


def imports(path: Path, *, top_only: bool) -> set[str]:
    """Modules imported by a file; with `top_only` those that are imported when it is."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in _walk(tree, top_only):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            found.update(target(base, alias.name) for alias in node.names)
    return found


def _walk(node: ast.AST, top_only: bool):
    for child in ast.iter_child_nodes(node):
        if top_only and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if top_only and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _walk(child, top_only)


def allowed(importer: str, imported: str) -> bool:
    """Whether a room may import another."""
    if importer == imported or imported == "":
        return True
    if LAYERS[importer] != LAYERS[imported]:
        return LAYERS[importer] > LAYERS[imported]
    return any(
        importer in order and imported in order and order.index(importer) > order.index(imported)
        for order in ORDER_WITHIN
    )


def test_every_room_has_a_layer():
    assert {room(name) for name in KNOWN} - {""} <= set(LAYERS)


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_imports_point_one_way(path):
    own = room(module_name(path))
    wrong = [
        f"{module_name(path)} imports {name}"
        for name in imports(path, top_only=False)
        if name.split(".")[0] == PACKAGE and own != "" and not allowed(own, room(name))
    ]
    assert not wrong


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_torch_stays_below_the_line(path):
    own = room(module_name(path))
    if own == "" or LAYERS[own] >= TORCH_LAYER:
        return
    only_top = module_name(path) in TORCH_INSIDE_FUNCTIONS
    used = {name.split(".")[0] for name in imports(path, top_only=only_top)} & TORCH_PACKAGES
    assert not used, f"{own} is NumPy only"


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_doors_and_configurations_import_nothing_heavy(path):
    if path.name not in ("__init__.py", "config.py", "configuration.py"):
        return
    if module_name(path) == f"{PACKAGE}.model.configuration":  # the transformers class itself
        return
    used = {name.split(".")[0] for name in imports(path, top_only=True)} & HEAVY
    assert not used


def test_no_cycles_at_top_level():
    graph = {
        module_name(path): {name for name in imports(path, top_only=True) if name in KNOWN} - {module_name(path)}
        for path in MODULES
    }
    state: dict[str, int] = {}
    trail: list[str] = []

    def visit(name: str) -> None:
        state[name] = 1
        trail.append(name)
        for other in sorted(graph[name]):
            # a door that names its own submodules is no cycle; the submodules importing the door back would be
            assert state.get(other) != 1, f"import cycle: {' -> '.join([*trail[trail.index(other) :], other])}"
            if other not in state:
                visit(other)
        trail.pop()
        state[name] = 2

    for name in sorted(graph):
        if name not in state:
            visit(name)


@pytest.mark.parametrize("path", MODULES, ids=IDS)
def test_no_print_and_no_breakpoint(path):
    calls = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "breakpoint")
    ]
    assert not calls


def _has_all(path: Path) -> bool:
    return any(
        isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
        for node in ast.parse(path.read_text()).body
    )


@pytest.mark.parametrize("path", [p for p in MODULES if _has_all(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_names_of_all_exist(path):
    module = importlib.import_module(module_name(path))
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing


def test_every_module_has_a_docstring():
    bare = [module_name(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not bare


def test_the_walk_sees_what_it_should(tmp_path):
    """The checks above must be able to fail: an import inside a function is seen, and an upward one is not allowed."""
    path = ROOT / "cli" / "app.py"
    inside = imports(path, top_only=False) - imports(path, top_only=True)
    assert "vidpretrain.config" in inside
    assert not allowed("video", "pose")
    assert not allowed("pose", "workflow")
    assert allowed("cli", "report")
    assert {info.name for info in pkgutil.iter_modules([str(ROOT)])} <= set(LAYERS)
