"""Byte-level looks at container files: is a file shorter than it says it is?

Sources: ISO/IEC 14496-12, section 4.2 (boxes); RFC 8794, section 4 (EBML variable-size integers) and RFC 9559
(the Matroska segment).
"""

from __future__ import annotations

from pathlib import Path

_EBML = bytes.fromhex("1a45dfa3")
_SEGMENT = bytes.fromhex("18538067")


def is_container(path: Path) -> bool:
    """Whether the first bytes are those of a known video container (MP4, Matroska, AVI, FLV, MPEG)."""
    with path.open("rb") as file:
        head = file.read(12)
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or head[:4] == _EBML
        or (head[:4] == b"RIFF" and head[8:11] == b"AVI")
        or head[:3] == b"FLV"
        or head[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
    )


def ends_early(path: Path) -> bool:
    """Whether an MP4 or Matroska file declares more bytes than it has, or an MP4 file has no index; else False."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == _EBML:
            return _segment_ends_early(path.read_bytes() if size < 4096 else head + file.read(4084), size)
        if head[4:8] != b"ftyp":
            return False
        seen, at = set(), 0
        while at + 8 <= size:
            file.seek(at)
            box = file.read(16)
            length, kind = int.from_bytes(box[:4], "big"), box[4:8]
            if length == 1:
                length = int.from_bytes(box[8:16], "big")
            elif length == 0:  # to the end of the file
                length = size - at
            if length < 8:
                return True
            seen.add(kind)
            at += length
    return at != size or b"moov" not in seen


def _segment_ends_early(head: bytes, size: int) -> bool:
    length, width = _vint(head, 4)
    at = 4 + width + length
    if head[at : at + 4] != _SEGMENT:
        return size < 64
    length, width = _vint(head, at + 4)
    if length == (1 << (7 * width)) - 1:  # "unknown": a live recording
        return False
    return at + 4 + width + length > size


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """Value and width in bytes of the variable-size integer at `at`."""
    if at >= len(data) or data[at] == 0:
        return 0, 1
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << (7 * width)) - 1)
    return value, width
