# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How much a bag may make a reader do: what a small file can unpack to, and how long a definition may be.

A bag comes from elsewhere. 130 kB of zstd can unpack to 4 GB, an sqlite view can be without end, and a message
definition can have half a million fields; none of them is a recording.
"""

from __future__ import annotations

import bz2
import io
import sqlite3
import struct
from pathlib import Path
from typing import BinaryIO

import zstandard

#: Everything may unpack to this; more only where it is no more than `RATIO` times what is there.
SMALL = 64 << 20
RATIO = 100
#: One message, serialised.
LARGEST_MESSAGE = 256 << 20
#: Longest text of a message definition; the longest of known packages has some 30 kB.
LONGEST_DEFINITION = 256 << 10
_BLOCK = 1 << 20
_MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHUNK = 3, 6


class LimitError(ValueError):
    """What would be unpacked or read is larger than any recording makes it, in one line."""


def most(packed: int) -> int:
    """Largest number of bytes that `packed` bytes may unpack to."""
    return max(SMALL, RATIO * packed)


def unpack_zstd(data: bytes, limit: int, what: str) -> bytes:
    """Decompress zstd frames, but no more than a limit.

    Args:
        data: one or more frames.
        limit: bytes.
        what: for the message.

    Raises:
        LimitError: there is more.
        zstandard.ZstdError: it is damaged.
    """
    out = bytearray()
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        while block := reader.read(_BLOCK):
            out += block
            if len(out) > limit:
                raise _too_large(what, len(data), limit)
    return bytes(out)


def unpack_file(source: BinaryIO, target: BinaryIO, packed: int, what: str) -> None:
    """Decompress a zstd file, but no more than a file of that size may hold.

    Raises:
        LimitError: there is more.
        zstandard.ZstdError: it is damaged; what is whole was written.
    """
    limit, written = most(packed), 0
    with zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True) as reader:
        while block := reader.read(_BLOCK):
            written += len(block)
            if written > limit:
                raise _too_large(what, packed, limit)
            target.write(block)


def _too_large(what: str, packed: int, limit: int) -> LimitError:
    return LimitError(
        f"{what} of {packed} bytes unpacks to more than {limit >> 20} MB: no recording compresses so well; if it is "
        "one, unpack it first"
    )


def check_mcap(path: Path) -> None:
    """Look at the chunks and definitions of an MCAP file before anything of it is unpacked.

    Only heads of records are read. A file that is damaged is looked at as far as it is whole.

    Raises:
        LimitError: a chunk would unpack to too much, or a definition is too long.
    """
    end = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8) != _MAGIC:
            return
        while len(head := file.read(9)) == 9:
            kind, size = struct.unpack("<BQ", head)
            begin = file.tell()
            if size > end - begin:
                return
            if kind == _CHUNK:
                _check_chunk(file, size, begin)
            elif kind == _SCHEMA and size > LONGEST_DEFINITION:
                raise LimitError(f"a message definition has {size} bytes, expected at most {LONGEST_DEFINITION}")
            file.seek(begin + size)


def _check_chunk(file: BinaryIO, size: int, begin: int) -> None:
    fixed = file.read(32)
    if len(fixed) < 32:
        return
    said, (_, length) = struct.unpack_from("<Q", fixed, 16)[0], struct.unpack("<II", fixed[24:32])
    name = file.read(min(length, 16))
    if length > 16 or size < 40 + length:
        return  # the reader says what is wrong
    packed = size - 40 - length
    what = f"the chunk at byte {begin - 9}"
    if name and said > most(packed):
        raise _too_large(what, packed, most(packed))
    file.seek(8, 1)
    if name == b"zstd":
        _check_zstd(file, packed, what)
    elif name == b"lz4" and 255 * packed > most(packed):
        _check_lz4(file, packed, what)


def _check_zstd(file: BinaryIO, packed: int, what: str) -> None:
    data = file.read(packed)
    try:
        said = zstandard.frame_content_size(data)
        if 0 <= said <= most(packed):
            return  # a decoder refuses more than the frame says
        if said > 0:
            raise _too_large(what, packed, most(packed))
        unpack_zstd(data, most(packed), what)
    except zstandard.ZstdError:
        return


def _check_lz4(file: BinaryIO, packed: int, what: str) -> None:
    from lz4.frame import LZ4FrameDecompressor

    decoder, written, data = LZ4FrameDecompressor(), 0, file.read(packed)
    try:
        block = decoder.decompress(data, max_length=_BLOCK)
        while block:
            written += len(block)
            if written > most(packed):
                raise _too_large(what, packed, most(packed))
            block = b"" if decoder.eof else decoder.decompress(b"", max_length=_BLOCK)
    except (RuntimeError, EOFError):
        return


def check_ros1(path: Path) -> None:
    """Look at the chunks of a ROS 1 bag before anything of it is unpacked.

    Only packed chunks are read. A file that is damaged is looked at as far as it is whole.

    Raises:
        LimitError: a chunk would unpack to too much.
    """
    end = path.stat().st_size
    with path.open("rb") as file:
        if not file.readline(32).startswith(b"#ROSBAG V2.0"):
            return
        while len(head := file.read(4)) == 4:
            begin = file.tell() - 4
            fields = file.read(min(struct.unpack("<I", head)[0], _BLOCK))
            if len(length := file.read(4)) < 4:
                return
            packed = struct.unpack("<I", length)[0]
            if packed > end - file.tell():
                return
            after, what = file.tell() + packed, f"the chunk at byte {begin}"
            if b"op=\x05" in fields and b"compression=lz4" in fields and 255 * packed > most(packed):
                _check_lz4(file, packed, what)
            elif b"op=\x05" in fields and b"compression=bz2" in fields:
                _check_bz2(file, packed, what)
            file.seek(after)


def _check_bz2(file: BinaryIO, packed: int, what: str) -> None:
    written = 0
    try:
        with bz2.BZ2File(io.BytesIO(file.read(packed))) as unpacked:  # of several streams, as rosbags reads them
            while block := unpacked.read(_BLOCK):
                written += len(block)
                if written > most(packed):
                    raise _too_large(what, packed, most(packed))
    except (OSError, EOFError):
        return  # the reader says what is wrong


def check_sqlite(path: Path) -> None:
    """See that the tables of a bag are tables: a view or a virtual one can go on for ever.

    Raises:
        LimitError: one is none, or a definition is too long.
    """
    try:
        db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error:
        return
    try:
        db.execute("PRAGMA writable_schema=ON")  # opens a database that is shorter than its header says
        found = db.execute("SELECT name, type, rootpage, sql FROM sqlite_master").fetchall()
        for name, kind, root, sql in found:
            if name in ("messages", "topics", "message_definitions", "schema", "metadata") and (
                kind != "table" or not root or str(sql).lstrip()[:14].upper() == "CREATE VIRTUAL"
            ):
                raise LimitError(f"{name} is a {kind} that is computed, expected a table of a recording")
        if any(name == "message_definitions" for name, *_ in found):
            row = db.execute("SELECT max(length(encoded_message_definition)) FROM message_definitions").fetchone()
            if isinstance(row[0], int) and row[0] > LONGEST_DEFINITION:
                raise LimitError(f"a message definition has {row[0]} bytes, expected at most {LONGEST_DEFINITION}")
    except sqlite3.Error:
        return  # the reader says what is wrong
    finally:
        db.close()
