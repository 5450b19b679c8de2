"""The files written aside, asked a hundred questions beside torch, and put in their place only if they agree."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidpretrain.dataset.files import disk_guard, move_into_place, write_json
from vidpretrain.errors import ConfigError, InputError, MissingExtra
from vidpretrain.export.config import ExportConfig, Format
from vidpretrain.export.describe import described
from vidpretrain.export.graph import PolicyGraph
from vidpretrain.export.lerobot import lerobot_files
from vidpretrain.export.questions import Questions, apart, inputs_of, questions
from vidpretrain.training import Policy

Array = np.ndarray
Asked = Callable[[dict[str, Array]], Array]
FILES: dict[Format, str] = {"torch_export": "policy.pt2", "onnx": "policy.onnx"}
META = "export.json"
_LARGEST_BATCH = 1024


def export(checkpoint: Policy | Path | str, folder: Path | str, config: ExportConfig | None = None) -> dict[str, Any]:
    """What was written to `folder`: the content of export.json, which says how far each file's answers are from torch.

    Raises:
        InputError: a file's answers differ by more than `config.tolerance`; nothing is left at `folder` then.
        ConfigError: an embodiment has to be named, or the folder holds something else.
        MissingExtra: a format needs a package that is not installed.
    """
    config, folder = config or ExportConfig(), Path(folder)
    for name in config.formats:
        _require(name)
    policy = checkpoint if isinstance(checkpoint, Policy) else Policy.load(checkpoint)
    embodiment = _embodiment(policy, config.embodiment)
    sizes = policy.model.config.model_config()
    image = _image_shape(sizes)
    text = None if sizes.text is None else (sizes.text, sizes.text_width)
    spec, slots = policy.spec(embodiment), policy.layout.width
    if folder.exists() and any(folder.iterdir()) and not (folder / META).is_file():
        raise ConfigError("the folder is not empty", asked=folder, valid="an empty folder, or an earlier export")
    asked = questions(policy.paired[embodiment], policy.history, image, config.samples, config.seed)
    steps = config.steps or policy.flow_steps
    right = _answers(policy, embodiment, asked, steps)
    given = inputs_of(asked, spec.horizon, slots, text)
    graph = PolicyGraph(policy.model.to("cpu"), embodiment, steps).eval()  # type: ignore[arg-type]
    aside = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        with disk_guard(folder):
            files = _written(graph, given, aside, config)
            for name, (ask, told) in files.items():
                told["check"] = _checked(name, right, _in_parts(ask, given), spec, config)
            about = described(spec, image, _cameras(sizes), policy.history, slots, text)
            about |= {"steps": steps, "sources": policy.model.config.sources}
            about["files"] = {name: told for name, (_, told) in files.items()}
            write_json(aside / META, about)
            for name, text_of in lerobot_files(about).items():
                (aside / name).write_text(text_of, encoding="utf-8")
            move_into_place(aside, folder, overwrite=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return {**about, "folder": str(folder)}


def _embodiment(policy: Policy, asked: str | None) -> str:
    if asked is None and len(policy.embodiments) != 1:
        raise ConfigError(
            "the checkpoint moves several robots: name one",
            asked="export.embodiment",
            valid=", ".join(policy.embodiments),
        )
    name = asked or policy.embodiments[0]
    policy.spec(name)  # says what is known
    return name


def _image_shape(sizes: Any) -> tuple[int, ...]:
    """(P, P, 3), or (V, P, P, 3) of a policy with several views."""
    if getattr(sizes, "vision", "") == "features":
        raise ConfigError(
            "the policy sees another model's features, which a file cannot make of pictures",
            asked="model.vision=features",
            valid="tokens, flat or backbone",
        )
    side, views = int(sizes.image_px), len(getattr(sizes, "views", ("main",)))
    return (side, side, 3) if views == 1 else (views, side, side, 3)


def _cameras(sizes: Any) -> tuple[str, ...]:
    """Names of the views; the one camera of a policy that names none is where its data sets have it, on the head."""
    views = tuple(getattr(sizes, "views", ("main",)))
    return ("head",) if views == ("main",) else views


def _answers(policy: Policy, embodiment: str, asked: Questions, steps: int) -> Array:
    return policy.predict(
        asked.images,
        asked.state,
        embodiment,
        history=asked.history,
        fov=asked.fov,
        seed=asked.seed,
        keys=asked.keys,
        steps=steps,
        instructions=asked.instructions,
    )


def _require(name: Format) -> None:
    from importlib.util import find_spec

    if name != "onnx":
        return
    missing = [package for package in ("onnx", "onnxscript", "onnxruntime") if find_spec(package) is None]
    if missing:
        raise MissingExtra(
            f"export to ONNX needs {', '.join(missing)}",
            asked="export.formats=[onnx]",
            next_command="pip install 'vidpretrain[export]'",
        )


def _written(
    graph: PolicyGraph, given: dict[str, Array], out: Path, config: ExportConfig
) -> dict[Format, tuple[Asked, dict[str, Any]]]:
    """By format: the file's own way to answer, as it was read back, and its record."""
    example = tuple(torch.from_numpy(value[:2].copy()) for value in given.values())
    if len(example[0]) < 2:  # a batch of one would be built in
        example = tuple(value.repeat_interleave(2, 0) for value in example)
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    with _quiet(), torch.no_grad():
        shapes = tuple({0: batch} for _ in example)
        program = torch.export.export(graph, example, dynamic_shapes=shapes, strict=True)
    files: dict[Format, tuple[Asked, dict[str, Any]]] = {}
    for name in config.formats:
        path = out / FILES[name]
        with _quiet():
            ask, told = (_torch_file if name == "torch_export" else _onnx_file)(program, path, tuple(given))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files[name] = (ask, {"file": path.name, "bytes": path.stat().st_size, "sha256": digest, **told})
    return files


def _torch_file(program: Any, path: Path, names: tuple[str, ...]) -> tuple[Asked, dict[str, Any]]:
    torch.export.save(program, path)
    read = torch.export.load(path).module()

    def ask(given: dict[str, Array]) -> Array:
        with torch.no_grad():
            return read(*(torch.from_numpy(given[name]) for name in names)).numpy()

    return ask, {"torch": torch.__version__, "inputs": "positional, in the order of inputs"}


def _onnx_file(program: Any, path: Path, names: tuple[str, ...]) -> tuple[Asked, dict[str, Any]]:
    import onnx
    import onnxruntime

    torch.onnx.export(
        program, (), path, input_names=list(names), output_names=["actions"], external_data=False, verbose=False
    )
    written = onnx.load(path)
    onnx.checker.check_model(written)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    opsets = {one.domain or "ai.onnx": one.version for one in written.opset_import}
    return lambda given: np.asarray(session.run(["actions"], given)[0]), {
        "opset": opsets,
        "onnxruntime": onnxruntime.__version__,
    }


def _in_parts(ask: Asked, given: dict[str, Array], size: int = 16) -> Array:
    """The answers to all questions: the first alone, the others `size` at a time, as files take batches of any size."""
    count = len(given["state"])
    bounds = [0, 1, *range(1 + size, count, size), count]
    parts = [(a, b) for a, b in itertools.pairwise(bounds) if b > a]
    return np.concatenate([ask({name: value[a:b].copy() for name, value in given.items()}) for a, b in parts])


def _checked(name: str, right: Array, found: Array, spec: Any, config: ExportConfig) -> dict[str, Any]:
    told = {"samples": len(right), "tolerance": config.tolerance, **apart(right, found, spec)}
    if not told["max_abs_difference"] <= config.tolerance:
        worst = max(told["by_group"], key=told["by_group"].get)
        raise InputError(
            f"the exported file ({name}) does not answer as torch does: it is not kept",
            asked=f"at most {config.tolerance:g} over {len(right)} questions",
            found=f"{told['max_abs_difference']:.3g}, most in {worst}",
            valid="export.tolerance larger, if that is enough for your robot",
        )
    return told


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell their progress on stdout and warn of their own insides; errors still come through."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
