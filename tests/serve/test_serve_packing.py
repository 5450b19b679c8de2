"""Messages in and out, and messages that are none."""

from __future__ import annotations

import numpy as np
import pytest

from vidpretrain.errors import InputError
from vidpretrain.serve.packing import pack, unpack

msgpack = pytest.importorskip("msgpack")


def test_trees_come_back_as_they_went():
    tree = {
        "image": np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::-1],
        "state": np.array([1.5, np.nan], np.float32),
        "empty": np.zeros((0, 3)),
        "scalar": np.float32(0.25),
        "flag": np.bool_(True),
        "words": ["a", 1, None, {"b": 2.5}],
        "names": np.array(["left", "right"]),
    }
    back = unpack(pack(tree))
    assert list(back) == list(tree)
    for key in ("image", "state", "empty", "names"):
        np.testing.assert_array_equal(back[key], tree[key])
        assert back[key].dtype == tree[key].dtype
    assert (back["scalar"], back["flag"], back["words"]) == (0.25, True, tree["words"])
    assert isinstance(back["scalar"], np.float32)


@pytest.mark.parametrize("value", [np.array([object()]), np.array([1j]), object(), {1, 2}, 2**70])
def test_what_has_no_place_in_a_message_is_named(value):
    with pytest.raises(InputError, match="cannot be sent"):
        pack({"value": value})


def _array(dtype, shape, data):
    return msgpack.packb({b"__ndarray__": True, b"dtype": dtype, b"shape": shape, b"data": data})


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        b"hello there",
        b"\x81" * 5000,
        _array("|O", [1], b"12345678"),
        _array("<f4", [3], b"1234"),
        _array("<f4", [-1], b"1234"),
        _array("<f4", [2**40, 2**40], b"1234"),
        _array("<f4", 1, b"1234"),
        _array("<f4", ["1"], b"1234"),
        _array("rubbish", [1], b"1234"),
        _array(None, [1], b"1234"),
        _array("<f4,<i4", [1], b"12345678"),
        _array("|V4", [1], b"1234"),
        _array("|S0", [1], b""),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "|O", b"data": 1}),
        msgpack.packb({b"__npgeneric__": True, b"dtype": "<f4", b"data": "x"}),
        msgpack.packb({b"__ndarray__": True}),
    ],
)
def test_broken_messages_are_refused(message):
    with pytest.raises(InputError):
        unpack(message)


def test_random_bytes_never_raise_anything_else():
    rng = np.random.default_rng(0)
    whole = pack({"image": np.zeros((4, 4, 3), np.uint8), "state": np.zeros(3)})
    for _ in range(2000):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            damaged[at] = rng.integers(0, 256)
        try:
            unpack(bytes(damaged[: rng.integers(1, len(whole) + 1)]))
        except InputError:
            continue
