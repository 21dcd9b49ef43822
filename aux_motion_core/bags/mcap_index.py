# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether the index of an MCAP file lists all that the file holds, so that reading by it leaves nothing out.

Only heads of records are read, no chunk is unpacked: a recording of hours takes milliseconds. Source of the layout:
the MCAP specification, clauses "Chunk (op=0x06)" to "Data End (op=0x0F)".
"""

from __future__ import annotations

import struct
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.records import ChunkIndex, Statistics

_MAGIC_BYTES, _FOOTER_BYTES = 8, 9 + 20 + 8
_FOOTER, _MESSAGE, _CHUNK, _MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _DATA_END = 2, 5, 6, 7, 8, 11, 15


def is_complete(path: Path) -> bool:
    """Whether the file can be read by its index: every chunk is listed, with every topic in it.

    A file without statistics states nothing to compare with, so its index is not relied on. One without any chunk is
    read from front to end in any case.

    Args:
        path: of the file.

    Raises:
        struct.error, EOFError: the file is damaged.
    """
    with path.open("rb") as file:
        chunks, loose, indexed = _data(file)
        listed, statistics = _summary(file)
    if not chunks:
        return True
    if loose or statistics is None or {c.chunk_start_offset for c in listed} != chunks.keys():
        return False
    for chunk in listed:
        if chunk.message_index_offsets.keys() != chunks[chunk.chunk_start_offset].keys():
            return False
    stated = Counter({c: n for c, n in statistics.channel_message_counts.items() if n})
    return indexed == stated and sum(stated.values()) == statistics.message_count


def _data(file: BinaryIO) -> tuple[dict[int, Counter[int]], int, Counter[int]]:
    """Of the data section: messages of each channel in the index of each chunk, by the chunk's offset; messages
    outside of chunks; messages of each channel in all indices."""
    chunks: dict[int, Counter[int]] = {}
    loose, total, last = 0, Counter[int](), Counter[int]()
    file.seek(_MAGIC_BYTES)
    while True:
        begin = file.tell()
        kind, size = _head(file)
        if kind in (_DATA_END, _FOOTER):
            return chunks, loose, total
        if kind == _CHUNK:
            last = chunks[begin] = Counter()
        elif kind == _MESSAGE:
            loose += 1
        elif kind == _MESSAGE_INDEX:
            channel, length = struct.unpack("<HI", file.read(6))
            if length:
                last[channel] += length // 16
                total[channel] += length // 16
        file.seek(begin + 9 + size)


def _summary(file: BinaryIO) -> tuple[list[ChunkIndex], Statistics | None]:
    """Chunks that the summary lists, and its statistics."""
    file.seek(-_FOOTER_BYTES, 2)
    end = file.tell()
    _, _, start = struct.unpack("<BQQ", file.read(17))
    listed: list[ChunkIndex] = []
    statistics = None
    if not start:
        return listed, None
    file.seek(start)
    while file.tell() < end:
        kind, size = _head(file)
        begin = file.tell()
        if size > end - begin:
            raise EOFError("the summary ends inside a record")
        if kind == _CHUNK_INDEX:
            listed.append(ChunkIndex.read(ReadDataStream(BytesIO(file.read(size)))))
        elif kind == _STATISTICS:
            statistics = Statistics.read(ReadDataStream(BytesIO(file.read(size))))
        file.seek(begin + size)
    return listed, statistics


def _head(file: BinaryIO) -> tuple[int, int]:
    head = file.read(9)
    if len(head) < 9:
        raise EOFError("the file ends inside a record")
    kind, size = struct.unpack("<BQ", head)
    return kind, size
