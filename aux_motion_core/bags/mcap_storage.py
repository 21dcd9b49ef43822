# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""MCAP files record by record, also of those that a killed recorder or a full disk left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, InvalidMagic
from mcap.records import Channel, Chunk, DataEnd, Footer, McapRecord, Message, Schema, Statistics
from mcap.stream_reader import StreamReader, breakup_chunk

from aux_motion_core.bags.limits import LONGEST_DEFINITION, most
from aux_motion_core.bags.storage import Definition, RawMessage, Storage, Topic, first_line, shortfall


def _whole_zstd(data: bytes) -> bytes:
    """What is whole at the beginning of a frame that is cut off, no more than it may be.

    Raises:
        zstandard.ZstdError: nothing is.
    """
    decoder, out = zstandard.ZstdDecompressor().decompressobj(), bytearray()
    for begin in range(0, len(data), 1 << 12):  # a block holds 128 kB: no step unpacks much
        out += decoder.decompress(data[begin : begin + (1 << 12)])
        if len(out) > most(len(data)):
            break
    return bytes(out)


class _Whole:
    """A binary stream whose reads are complete or raise; `mcap` takes short reads for data."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        begin = stream.tell()
        self._left = stream.seek(0, 2) - begin
        stream.seek(begin)

    def read(self, size: int) -> bytes:
        if size > self._left:  # before it is allocated: a damaged length can be anything
            raise EndOfFile("the file ends inside a record")
        self._left -= size
        return self._stream.read(size)


class StreamedMcap(Storage):
    """An MCAP file record by record: needs no index and no end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, tuple[str, str]] = {}
        self._stated: Counter[tuple[str, str]] = Counter()
        counts: Counter = Counter()
        for record in self._records():
            if isinstance(record, Message) and record.channel_id in self._channels:
                counts[self._channels[record.channel_id]] += 1
                self.start_ns = min(self.start_ns, record.log_time)
                self.end_ns = max(self.end_ns, record.log_time)
        self._count(counts)
        self._compare(counts)

    def _compare(self, there: Counter) -> None:
        """Say what the file states but does not hold, after whatever else is wrong with it."""
        if short := shortfall(self._stated, there):
            self.damage = f"{self.damage}; {short}" if self.damage else short

    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        before = self.damage
        yield from self._messages(keys, start_ns)
        self.damage = before

    def _messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        for record in self._records():
            if isinstance(record, Message) and record.log_time >= start_ns:
                key = self._channels.get(record.channel_id)
                if key is not None and key in keys:
                    yield RawMessage(key, record.log_time, record.data)

    def _records(self) -> Iterator[McapRecord]:
        with self.path.open("rb") as file:
            for record in self._whole_records(file):
                if isinstance(record, Schema):
                    self._schemas[record.id] = record
                elif isinstance(record, Channel):
                    schema = self._schemas.get(record.schema_id)
                    msgtype, definition = "", Definition("", "")
                    if schema is not None:
                        text = schema.data[: LONGEST_DEFINITION + 1].decode("utf-8", errors="replace")
                        if len(text) > LONGEST_DEFINITION:
                            self.damage, text = f"the definition of {schema.name[:80]} is too long", ""
                        msgtype, definition = schema.name, Definition(schema.encoding, text)
                    topic = Topic(record.topic, msgtype, 0, definition)
                    self._channels[record.id] = topic.key
                    self.topics.setdefault(topic.key, topic)
                yield record

    def _whole_records(self, file: BinaryIO) -> Iterator[McapRecord]:
        """Records of the data section, those in chunks too, up to where the file is damaged."""
        records = StreamReader(_Whole(file), emit_chunks=True, record_size_limit=None).records  # type: ignore[arg-type]
        ended = False
        while True:
            begin = file.tell() or 8  # after the magic
            try:
                record = next(records)
            except StopIteration:
                return
            except InvalidMagic:
                self.damage = "its end is damaged (the messages are whole)" if ended else "it is no MCAP file"
                return
            except EndOfFile:
                self.damage = "cut off, as by a recorder that was killed or a disk that was full"
                if ended:
                    self.damage = "its index is cut off (the messages are whole)"
                else:
                    yield from self._cut_chunk(file, begin)
                return
            except Exception as error:
                self.damage = f"damaged at byte {begin}: {first_line(error)}"
                return
            ended = ended or isinstance(record, (DataEnd, Footer))
            if isinstance(record, Statistics):
                stated = record.channel_message_counts
                self._stated = Counter()
                for channel, count in stated.items():
                    if channel in self._channels:
                        self._stated[self._channels[channel]] += count
            if ended:
                continue
            if not isinstance(record, Chunk):
                yield record
                continue
            try:
                inside = breakup_chunk(record, validate_crc=True)
            except Exception as error:
                self.damage = f"the chunk at byte {begin} is damaged ({first_line(error)})"
                continue
            yield from inside

    @staticmethod
    def _cut_chunk(file: BinaryIO, begin: int) -> Iterator[McapRecord]:
        """Whole records at the beginning of a chunk that is cut off. They have no checksum."""
        file.seek(begin)
        stream = ReadDataStream(_Whole(file))  # type: ignore[arg-type]
        try:
            if stream.read1() != 6:  # chunk
                return
            stream.read(8 + 8 + 8 + 8 + 4)
            compression = stream.read_prefixed_string()
            stream.read8()
            data = file.read()
            if compression == "zstd":
                data = _whole_zstd(data)
            elif compression == "lz4":
                from lz4.frame import LZ4FrameDecompressor

                data = LZ4FrameDecompressor().decompress(data, max_length=most(len(data)))
            inside = StreamReader(_Whole(BytesIO(data)), skip_magic=True)  # type: ignore[arg-type]
            yield from inside.records
        except Exception:  # the end of what is whole
            return
