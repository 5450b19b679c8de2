"""Pickles are data here, never programs."""

from __future__ import annotations

import collections
import gzip
import os
import pickle
import zlib

import numpy as np
import pytest

from vidpretrain.errors import InputError
from vidpretrain.motion_files.safe_pickle import load_pickle

DATA = {
    "a": np.arange(12.0).reshape(3, 4),
    "f": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "big": np.arange(3, dtype=">f4"),
    "yes": np.array([True, False]),
    "names": np.array(["left", "right"]),
    "empty": np.zeros((0, 3)),
    "mixed": np.array([None, "x", 3], dtype=object),
    "number": np.float32(2.5),
    "plain": [1, 2.5, "text", None, (True, b"raw")],
}


def equal(a, b):
    if isinstance(b, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tolist() == b.tolist()
    else:
        assert a == b


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_every_protocol_come_back(tmp_path, protocol):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(DATA, protocol=protocol))
    found = load_pickle(path)
    assert list(found) == list(DATA)
    for key, value in DATA.items():
        equal(found[key], value)


def test_one_array_in_two_places(tmp_path):
    array = np.arange(3.0)
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([array, array], protocol=4))
    first, second = load_pickle(path)
    np.testing.assert_array_equal(first, array)
    np.testing.assert_array_equal(second, array)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_compressed(tmp_path, pack):
    path = tmp_path / "a.pkl"
    path.write_bytes(pack(pickle.dumps(DATA["a"])))
    np.testing.assert_array_equal(load_pickle(path), DATA["a"])


def joblib_like(array: np.ndarray, alignment: int | None = 16) -> bytes:
    """What joblib.dump writes for an array: a wrapper's state, padding with its length before it, then the bytes."""
    code = array.dtype.str[1:]
    state = [
        *(text("subclass"), text("numpy"), text("ndarray"), b"\x93"),
        *(text("shape"), b"(", *(b"J" + n.to_bytes(4, "little") for n in array.shape), b"t"),
        *(text("order"), text("C"), text("dtype"), text("numpy"), text("dtype"), b"\x93"),
        *(text(code), b"\x89\x88\x87R", b"(K\x03", text("<"), b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"),
        *(text("allow_mmap"), b"\x88"),
    ]
    if alignment is not None:
        state += [text("numpy_array_alignment_bytes"), b"K" + bytes([alignment])]
    padding = b"" if alignment is None else bytes([7]) + b"\xff" * 7
    wrapper = [text("joblib.numpy_pickle"), text("NumpyArrayWrapper"), b"\x93)\x81}("]
    return b"".join([*wrapper, *state, b"ub", padding, array.tobytes()])


@pytest.mark.parametrize("alignment", [None, 16])
@pytest.mark.parametrize("pack", [bytes, zlib.compress])
def test_joblib_arrays(tmp_path, alignment, pack):
    path = tmp_path / "a.pkl"
    arrays = {"x": DATA["a"], "y": np.arange(4, dtype="<i4").reshape(1, 4)}
    inside = [part for name, array in arrays.items() for part in (text(name), joblib_like(array, alignment))]
    path.write_bytes(pack(handmade(b"}(", text("m"), b"}(", *inside, text("fps"), b"K\x1e", b"u", b"u")))
    found = load_pickle(path)["m"]
    assert found["fps"] == 30
    for key, array in arrays.items():
        equal(found[key], array)


class Evil:
    """Its pickle makes a folder when opened carelessly."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("inside", ["alone", "beside arrays", "in an object array"])
def test_code_is_refused_without_being_run(tmp_path, protocol, inside):
    mark = tmp_path / "was_run"
    evil = Evil(os.mkdir, str(mark))
    if inside == "beside arrays":
        data = {"smpl_joints": np.zeros((5, 24, 3)), "fps": 30, "note": evil}
    elif inside == "in an object array":
        data = np.array([evil, 1], dtype=object)
    else:
        data = evil
    raw = pickle.dumps(data, protocol=protocol)
    path = tmp_path / "evil.pkl"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"mkdir"):
        load_pickle(path)
    assert not mark.exists()
    pickle.loads(raw)  # the same file does run it in the stock reader, so the test can fail
    assert mark.exists()


@pytest.mark.parametrize(
    "data",
    [
        Evil(eval, "1"),
        Evil(getattr, 1, "real"),
        collections.OrderedDict(a=1),
        Evil(np.lib.format.open_memmap, "x"),
        {1},
    ],
)
def test_anything_but_arrays_is_refused_by_name(tmp_path, data):
    path = tmp_path / "other.pkl"
    path.write_bytes(pickle.dumps(data, protocol=3))
    with pytest.raises(InputError, match="asks for"):
        load_pickle(path)


def handmade(*parts: bytes) -> bytes:
    return pickle.PROTO + b"\x04" + b"".join(parts) + b"."


def text(value: str) -> bytes:
    return pickle.SHORT_BINUNICODE + bytes([len(value)]) + value.encode()


@pytest.mark.parametrize(
    "raw",
    [
        # state set on a class that this module knows, which would change it for everybody
        handmade(text("numpy"), text("dtype"), b"\x93", b"}", text("value"), text("x"), b"s", b"b"),
        # a dtype of objects over raw bytes, which would be pointers
        handmade(
            *(text("joblib.numpy_pickle"), text("NumpyArrayWrapper"), b"\x93", b")", b"\x81", b"}", b"("),
            *(text("dtype"), text("numpy"), text("dtype"), b"\x93", text("O"), b"\x85", b"R"),
            *(text("shape"), b"K\x01\x85", text("order"), text("C"), b"u", b"b", b"\x00" * 8),
        ),
        # a gigantic array
        handmade(
            *(text("joblib.numpy_pickle"), text("NumpyArrayWrapper"), b"\x93", b")", b"\x81", b"}", b"("),
            *(text("dtype"), text("numpy"), text("dtype"), b"\x93", text("f8"), b"\x85", b"R"),
            *(text("shape"), b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\x7f", b"\x86", text("order"), text("C"), b"u", b"b"),
        ),
        handmade(b"\x96" + (2**40).to_bytes(8, "little")),  # BYTEARRAY8 of a terabyte
        handmade(b"\x82\x01"),  # the extension registry
        handmade(text("x"), b"Q"),  # a persistent id
    ],
)
def test_tricks_are_refused(tmp_path, raw):
    path = tmp_path / "trick.pkl"
    path.write_bytes(raw)
    with pytest.raises(InputError):
        load_pickle(path)
    from vidpretrain.motion_files.safe_pickle import _Dtype

    assert not hasattr(_Dtype, "value")


def test_cut_at_every_place_is_an_error(tmp_path):
    raw = pickle.dumps({"x": np.arange(4.0), "fps": 30}, protocol=4)
    path = tmp_path / "cut.pkl"
    for end in range(len(raw)):
        path.write_bytes(raw[:end])
        with pytest.raises(InputError):
            load_pickle(path)


def test_flipped_bytes_never_run_or_crash(tmp_path):
    raw = bytearray(pickle.dumps({"x": np.arange(4.0), "names": ["a", "b"]}, protocol=4))
    random, path = np.random.default_rng(0), tmp_path / "flip.pkl"
    refused = 0
    for _ in range(600):
        broken = bytearray(raw)
        for place in random.integers(0, len(raw), 3):
            broken[place] = random.integers(0, 256)
        path.write_bytes(bytes(broken))
        try:
            load_pickle(path)
        except InputError:
            refused += 1
    assert refused > 100


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_pickle(tmp_path / "no.pkl")


@pytest.mark.shared
def test_the_shared_pickles(shared):
    files = sorted((shared / "data" / "motion" / "asap_g1").glob("*.pkl"))
    assert len(files) == 39
    frames = 0
    for path in files:
        (data,) = load_pickle(path).values()
        count = len(data["smpl_joints"])
        shapes = {key: value.shape for key, value in data.items() if key != "fps"}
        assert shapes["smpl_joints"] == (count, 24, 3)
        assert shapes["dof"] == (count, 23)
        assert data["fps"] == 30
        np.testing.assert_allclose(np.linalg.norm(data["root_rot"], axis=1), 1.0, atol=1e-3)
        frames += count
    assert frames == 5638
    assert np.shape(load_pickle(shared / "data" / "motion" / "dexretarget_hand_joints.pkl")) == (621, 21, 3)
