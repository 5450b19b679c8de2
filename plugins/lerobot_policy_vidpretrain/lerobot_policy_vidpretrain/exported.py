"""A folder that `vidpretrain export` wrote: its description, and the file that answers. NumPy in, NumPy out."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

META = "export.json"
_FORMAT_VERSION = 1
_MOTORS = ("joint", "hand")


class Exported:
    """`answer(inputs)` gives absolute actions (b h d); everything else is read from export.json."""

    def __init__(self, folder: Path) -> None:
        if not (folder / META).is_file():
            raise FileNotFoundError(f"{folder} holds no {META}: vidpretrain export CHECKPOINT --out {folder}")
        about = json.loads((folder / META).read_text(encoding="utf-8"))
        if about["format_version"] != _FORMAT_VERSION:
            raise ValueError(f"{folder}: format {about['format_version']}, this package reads {_FORMAT_VERSION}")
        self.folder, self.about = folder, about
        self.horizon, self.history_rows = int(about["horizon"]), tuple(about["history_rows"])
        self.columns = [column["name"] for column in about["columns"]]
        self.motors = [i for i, column in enumerate(about["columns"]) if column["quantity"] in _MOTORS]
        shapes = {one["name"]: tuple(one["shape"][1:]) for one in about["inputs"]}
        self.image_shape, self.noise_shape, self.text = shapes["image"], shapes["noise"], about["text"]
        self.answer = self._open()

    def _open(self) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
        files = {name: self.folder / one["file"] for name, one in self.about["files"].items()}
        for name, path in files.items():
            if hashlib.sha256(path.read_bytes()).hexdigest() != self.about["files"][name]["sha256"]:
                raise ValueError(f"{path} is not the file that {META} describes")
        if "onnx" in files and find_spec("onnxruntime") is not None:
            import onnxruntime

            session = onnxruntime.InferenceSession(str(files["onnx"]), providers=["CPUExecutionProvider"])
            return lambda given: session.run(["actions"], given)[0]
        if "torch_export" in files:
            import torch

            program, names = (
                torch.export.load(files["torch_export"]).module(),
                [i["name"] for i in self.about["inputs"]],
            )

            def ask(given: dict[str, np.ndarray]) -> np.ndarray:
                with torch.no_grad():
                    return program(*(torch.from_numpy(given[name]) for name in names)).numpy()

            return ask
        raise ModuleNotFoundError(f"{self.folder} holds ONNX alone: pip install onnxruntime")

    def limits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """(lower, upper, largest change per row) of every column, or None where the robot was not known."""
        found = self.about["limits"]
        if found is None:
            return None
        fill = {"lower": -np.inf, "upper": np.inf, "step": np.inf}
        lower, upper, step = (
            np.array([fill[name] if value is None else value for value in found[name]]) for name in fill
        )
        return lower, upper, step

    def noise(self, seed: int, row: int) -> np.ndarray:
        """The noise (h s) of a row."""
        drawn = np.random.default_rng((seed, 3, row)).standard_normal((1, *self.noise_shape), dtype=np.float32)
        return drawn[0]

    def words(self, texts: list[str]) -> np.ndarray:
        """Features (b width) of instructions."""
        if self.text["encoder"] != "hash":
            raise NotImplementedError(f"instructions by {self.text['encoder']} are not read here, only by 'hash'")
        return np.stack([hashed(text, self.text["width"]) for text in texts])


def hashed(text: str, width: int) -> np.ndarray:
    """Signed hashed words, pairs of words and letter triples, of length 1 (vidpretrain's encoder `hash`)."""
    row = np.zeros(width, dtype=np.float32)
    words = re.findall(r"\w+", text.lower())
    joined = f" {' '.join(words)} "
    triples = [joined[k : k + 3] for k in range(len(joined) - 2)] if words else []
    for part in [*words, *(f"{a} {b}" for a, b in itertools.pairwise(words)), *(f"#{t}" for t in triples)]:
        number = int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
        row[(number >> 1) % width] += 1.0 if number & 1 else -1.0
    return row / max(float(np.linalg.norm(row)), 1e-9)


def fitted(frame: np.ndarray, side: int) -> np.ndarray:
    """The picture (h w 3) uint8 in a square of `side` pixels with black borders, as vidpretrain trains with."""
    if frame.shape[:2] == (side, side):
        return frame
    from PIL import Image

    height, width = frame.shape[:2]
    scale = min(side / width, side / height)
    inner_w, inner_h = max(1, min(side, round(width * scale))), max(1, min(side, round(height * scale)))
    box = (0.0, 0.0, float(width), float(height))
    scaled = np.asarray(Image.fromarray(frame).resize((inner_w, inner_h), Image.Resampling.BILINEAR, box=box))
    out = np.zeros((side, side, 3), dtype=np.uint8)
    top, left = (side - inner_h) // 2, (side - inner_w) // 2
    out[top : top + inner_h, left : left + inner_w] = scaled
    return out


def kept(target: np.ndarray, before: np.ndarray, limits: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """The target inside the bounds and within one row's change of `before`; NaN stays, and lets go where it was."""
    lower, upper, step = limits
    inside, start = np.clip(target, lower, upper), np.clip(before, lower, upper)
    return np.where(np.isnan(start), inside, np.clip(inside, start - step, start + step)).astype(np.float32)


def folder_of(name: str | Path, **hub: Any) -> Path:
    """The local folder, or the snapshot of a repository of the Hub."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(str(name), **{key: value for key, value in hub.items() if value is not None}))
