# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A small file must not make a reader do what no recording does."""

from __future__ import annotations

import resource
import sqlite3
import struct
import time

import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType, Writer

from aux_motion_core.bags import limits
from aux_motion_core.bags.files import BagError, RawBag
from aux_motion_core.types import LONGEST_ID, SkeletonFrame

MSGTYPE = "aux_motion_msgs/msg/SkeletonArray"


def bomb(size: int) -> bytes:
    """zstd of so many zero bytes, without its size in the head."""
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=False).compressobj()
    zeros, out = bytes(1 << 24), []
    for _ in range(size >> 24):
        out.append(compressor.compress(zeros))
    return b"".join([*out, compressor.flush()])


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<BQ", kind, len(body)) + body


def text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def chunked(path, data: bytes, said: int, compression: bytes = b"zstd") -> None:
    """An MCAP file of one chunk."""
    chunk = struct.pack("<QQQI", 1, 2, said, 0) + text(compression) + struct.pack("<Q", len(data)) + data
    head = record(1, text(b"ros2") + text(b"")) + record(6, chunk)
    path.write_bytes(b"\x89MCAP0\r\n" + head + record(15, bytes(4)) + record(2, bytes(20)) + b"\x89MCAP0\r\n")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("said", [10 << 30, 1 << 20])
def test_a_chunk_that_unpacks_to_gigabytes_is_refused(tmp_path, said) -> None:
    chunked(tmp_path / "a.mcap", bomb(1 << 30), said)
    before, start = peak_mb(), time.monotonic()
    with pytest.raises(BagError, match="the chunk at byte .* unpacks to more than 64 MB") as error:
        RawBag(tmp_path / "a.mcap")
    assert "\n" not in str(error.value) and time.monotonic() - start < 10.0 and peak_mb() - before < 400.0


def test_an_lz4_chunk_is_bounded_too(tmp_path) -> None:
    lz4 = pytest.importorskip("lz4.frame")
    chunked(tmp_path / "a.mcap", lz4.compress(bytes(1 << 28)), 1 << 20, b"lz4")
    with pytest.raises(BagError, match="unpacks to more than"):
        RawBag(tmp_path / "a.mcap")


def test_a_compressed_file_is_bounded(tmp_path) -> None:
    (tmp_path / "a.mcap.zstd").write_bytes(bomb(1 << 30))
    with pytest.raises(BagError, match="a.mcap.zstd of .* unpacks to more than 64 MB"):
        RawBag(tmp_path / "a.mcap.zstd")


def test_a_compressed_message_is_bounded_and_the_others_are_read(tmp_path) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE)
        writer.start("ros2")
        schema = writer.register_schema(MSGTYPE, "ros2msg", b"int32 x")
        channel = writer.register_channel("/skeletons", "cdr", schema)
        for k, data in enumerate((bomb(1 << 30), zstandard.compress(b"\0\1\0\0abcd"))):
            writer.add_message(channel, k + 1, data, k + 1)
        writer.finish()
    with RawBag(path) as bag:
        assert [m.data for m in bag.messages(bag.topics)] == [b"", b"\0\1\0\0abcd"]
        assert "a message of /skeletons" in bag.damage


def test_what_compresses_well_but_is_small_is_read() -> None:
    assert limits.unpack_zstd(bomb(1 << 25), limits.most(100), "it") == bytes(1 << 25)
    frames = zstandard.compress(b"a") + zstandard.compress(b"b")
    assert limits.unpack_zstd(frames, 10, "it") == b"ab"


def test_a_view_without_end_is_no_table(tmp_path) -> None:
    path = tmp_path / "a.db3"
    db = sqlite3.connect(path)
    db.executescript(
        """CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT,
        offered_qos_profiles TEXT); INSERT INTO topics VALUES(1, '/skeletons', 'aux_motion_msgs/msg/SkeletonArray',
        'cdr', '');
        CREATE VIEW messages AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)
        SELECT x AS id, 1 AS topic_id, x AS timestamp, zeroblob(10) AS data FROM c;"""
    )
    db.commit()
    db.close()
    start = time.monotonic()
    with pytest.raises(BagError, match="messages is a view that is computed, expected a table"):
        RawBag(path)
    assert time.monotonic() - start < 2.0


def test_a_definition_of_half_a_million_fields_is_refused_at_once(tmp_path) -> None:
    path = tmp_path / "a.mcap"
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start("ros2")
        giant = "\n".join(f"float64 f{i}" for i in range(400_000)).encode()
        channel = writer.register_channel("/skeletons", "cdr", writer.register_schema(MSGTYPE, "ros2msg", giant))
        writer.add_message(channel, 1, bytes(8), 1)
        writer.finish()
    start = time.monotonic()
    with pytest.raises(BagError, match="a message definition has .* bytes, expected at most"):
        RawBag(path)
    assert time.monotonic() - start < 5.0


def test_ids_have_a_longest_length() -> None:
    def frame(characters: int) -> SkeletonFrame:
        nothing = np.zeros((1, 20))
        return SkeletonFrame(1, "map", ("x" * characters,), np.zeros((1, 20, 3)), nothing, nothing)

    assert frame(LONGEST_ID).person_ids
    with pytest.raises(ValueError, match="129 characters .* expected at most 128"):
        frame(LONGEST_ID + 1)
