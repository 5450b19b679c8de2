"""Which files are taken, and what the files beside them say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidpretrain.errors import InputError
from vidpretrain.video import find_intrinsics, find_sources
from vidpretrain.video.sources import file_sha256


def test_folders_are_searched_and_files_taken(make, tmp_path):
    make("b.mkv", 3)
    (tmp_path / "deep").mkdir()
    make("deep/a.mp4", 4)
    (tmp_path / "bad.mp4").write_text("no video, but an item all the same")
    (tmp_path / ".hidden.mp4").write_text("x")
    (tmp_path / "readme.txt").write_text("x")
    assert [s.uri.rsplit("/", 1)[1] for s in find_sources([tmp_path])] == ["b.mkv", "bad.mp4", "a.mp4"]
    named = find_sources([tmp_path / "readme.txt", tmp_path / "b.mkv", tmp_path / "b.mkv"])
    assert [s.uri.rsplit("/", 1)[1] for s in named] == ["readme.txt", "b.mkv"]
    assert named[1].sha256 == file_sha256(tmp_path / "b.mkv")
    assert named[1].source_id == f"b_{named[1].sha256[:8]}"


def test_missing_path_and_empty_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        find_sources([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="no video in this folder"):
        find_sources([tmp_path])


def test_manifest_and_sidecar(make, tmp_path):
    make("a.mp4", 3)
    make("b.mp4", 3)
    make("c.mp4", 4)
    (tmp_path / "manifest.tsv").write_text("name\tlicence\trepo\tcommit\na.mp4\tMIT\to/r\tabc\nb.mp4\tMIT\to/r\tabc\n")
    (tmp_path / "b.json").write_text(
        json.dumps({"license": "CC0-1.0", "consent": "given", "fx": 500, "cx": 48, "cy": 32})
    )
    a, b, c = find_sources([tmp_path], license="mine")
    assert (a.license, a.attribution, a.consent) == ("MIT", "o/r/abc", "unknown")
    assert (b.license, b.consent) == ("CC0-1.0", "given")
    assert (c.license, c.attribution) == ("mine", "")
    np.testing.assert_array_equal(find_intrinsics(tmp_path / "b.mp4").K, [[500, 0, 48], [0, 500, 32], [0, 0, 1]])
    assert find_intrinsics(tmp_path / "a.mp4") is None


@pytest.mark.parametrize("text", ["{", "[1]", '{"fx": 5}', '{"K": [1, 2]}', '{"K": [[-1,0,0],[0,1,0],[0,0,1]]}'])
def test_wrong_sidecars_are_named(make, tmp_path, text):
    path = make("a.mp4", 3)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        find_intrinsics(path)
