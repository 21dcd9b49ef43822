"""Serialised messages of rosbag2 files, also of those that a killed recorder or a full disk left behind.

Whole files are read by rosbags. Where it refuses (cut off, no index, a damaged chunk, another MCAP profile), an MCAP
file is streamed record by record with the `mcap` library, and an sqlite3 database row by row: what is whole is read.
Everything is a generator; memory does not grow with the length of the bag.
"""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import yaml
import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, InvalidMagic
from mcap.records import Channel, Chunk, DataEnd, Footer, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.rosbag2 import Reader

from aux_motion_core.bags.limits import (
    LARGEST_MESSAGE,
    LONGEST_DEFINITION,
    LimitError,
    check_mcap,
    check_sqlite,
    most,
    unpack_file,
    unpack_zstd,
)

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, clause 3.1.1; a CDR message begins with 0
_STORAGES = (".mcap", ".db3")
_COMPRESSED = (".zstd", ".zst")
_UNKNOWN_NS = 2**63 - 1


class BagError(ValueError):
    """A bag that cannot be used, in one line: expected, came, what to do."""


def first_line(error: BaseException) -> str:
    """The first line that an exception says, or its name."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


class Definition(NamedTuple):
    """A message definition in a bag: its format (`ros2msg`, `ros2idl` or "") and its text."""

    format: str
    text: str


@dataclass(frozen=True)
class Topic:
    """A topic of a bag, of one type.

    Attributes:
        name: as recorded.
        msgtype: for instance `aux_motion_msgs/msg/SkeletonArray`.
        count: messages that can be read.
        definition: of the type, empty where the bag has none.
    """

    name: str
    msgtype: str
    count: int = 0
    definition: Definition = Definition("", "")

    @property
    def key(self) -> tuple[str, str]:
        """Name and type."""
        return self.name, self.msgtype

    def __str__(self) -> str:
        return f"{self.name} [{self.msgtype}]"


class RawMessage(NamedTuple):
    """A serialised message: (topic name, type), nanoseconds when it was recorded, CDR bytes."""

    key: tuple[str, str]
    log_time_ns: int
    data: bytes


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


class _Storage(ABC):
    """One storage file.

    Attributes:
        topics: by (name, type).
        start_ns, end_ns: first and last log time, nanoseconds; start after end when there is no message.
        damage: what is wrong with the file, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[tuple[str, str], Topic] = {}
        self.start_ns, self.end_ns = _UNKNOWN_NS, 0
        self.damage: str | None = None

    @abstractmethod
    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        """Messages of these topics logged at or after a time, in the order of the file."""

    def close(self) -> None:  # noqa: B027 - nothing may be open
        """Free what is open."""

    def _count(self, counts: Counter) -> None:
        self.topics = {key: Topic(t.name, t.msgtype, counts[key], t.definition) for key, t in self.topics.items()}


class _Indexed(_Storage):
    """A whole file, by rosbags. A damage met on the way is passed by with the streaming reader."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reader = Reader(path)
        self.reader.open()
        for connection in self.reader.connections:
            known = self.topics.get((connection.topic, connection.msgtype))
            kind = connection.msgdef.format.name.lower()
            definition = Definition("" if kind == "none" else f"ros2{kind}", connection.msgdef.data)
            count = connection.msgcount + (known.count if known else 0)
            topic = Topic(connection.topic, connection.msgtype, count, definition)
            self.topics[topic.key] = topic
        if self.reader.message_count:
            self.start_ns, self.end_ns = self.reader.start_time, self.reader.end_time - 1

    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        wanted = [c for c in self.reader.connections if (c.topic, c.msgtype) in keys]
        count = 0
        if not wanted:
            return
        try:
            for connection, log_time_ns, data in self.reader.messages(wanted, start=start_ns or None):
                if not isinstance(log_time_ns, int) or isinstance(data, int | str):  # sqlite takes anything
                    raise BagError("a message without time or content")
                count += 1
                yield RawMessage((connection.topic, connection.msgtype), log_time_ns, bytes(data))
            return
        except Exception:  # whatever damaged content makes of a reader
            rest = _stream(self.path)  # it says what is wrong, if anything is
        try:
            for index, message in enumerate(rest.messages(keys, start_ns)):
                if index >= count:
                    yield message
            self.damage = rest.damage
        finally:
            rest.close()

    def close(self) -> None:
        self.reader.close()


class _StreamedMcap(_Storage):
    """An MCAP file record by record: needs no index and no end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, tuple[str, str]] = {}
        counts: Counter = Counter()
        for record in self._records():
            if isinstance(record, Message) and record.channel_id in self._channels:
                counts[self._channels[record.channel_id]] += 1
                self.start_ns = min(self.start_ns, record.log_time)
                self.end_ns = max(self.end_ns, record.log_time)
        self._count(counts)

    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
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


class _ScannedSqlite(_Storage):
    """An sqlite3 database row by row, without its indices, as far as its pages are there."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stack = ExitStack()
        try:
            self._open(self._whole_pages(path))
        except BaseException:
            self.close()
            raise

    def _open(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        self._stack.callback(self._db.close)
        self._db.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
        self._db.execute("PRAGMA writable_schema=ON")  # opens a database that is shorter than its header says
        self._db.execute("PRAGMA cell_size_check=ON")
        definitions = {}
        try:
            rows = self._db.execute("SELECT topic_type, encoding, encoded_message_definition FROM message_definitions")
            definitions = {msgtype: Definition(encoding, text) for msgtype, encoding, text in rows}
        except sqlite3.Error:
            pass  # before ROS 2 Iron there are none
        self._ids: dict[int, tuple[str, str]] = {}
        for number, name, msgtype in self._db.execute("SELECT id, name, type FROM topics ORDER BY id"):
            topic = Topic(name, msgtype, 0, definitions.get(msgtype, Definition("", "")))
            self._ids[number] = topic.key
            self.topics[topic.key] = topic
        counts: Counter = Counter()
        for key, log_time_ns, _ in self.messages(self.topics, 0):
            counts[key] += 1
            self.start_ns, self.end_ns = min(self.start_ns, log_time_ns), max(self.end_ns, log_time_ns)
        self._count(counts)

    def _whole_pages(self, path: Path) -> Path:
        """The file, or where its last page is cut off a copy without that: what is lost must not read as zeros."""
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(18)
        page = int.from_bytes(head[16:18], "big")
        page = 65536 if page == 1 else page
        if len(head) < 18 or page < 512 or size % page == 0:
            return path
        copy = Path(self._stack.enter_context(tempfile.TemporaryDirectory())) / path.name
        shutil.copyfile(path, copy)
        with copy.open("r+b") as file:
            file.truncate(size - size % page)
        return copy

    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        rows = self._db.execute("SELECT topic_id, timestamp, data FROM messages NOT INDEXED ORDER BY id")
        unusable = 0
        while True:
            try:
                row = rows.fetchone()
            except sqlite3.Error as error:
                self.damage = f"cut off or damaged ({first_line(error)})"
                return
            if row is None:
                return
            number, log_time_ns, data = row
            key = self._ids.get(number)
            if key is None or key not in keys:
                continue
            if not isinstance(log_time_ns, int) or not isinstance(data, bytes):
                unusable += 1
                self.damage = f"{unusable} rows are no messages"
            elif log_time_ns >= start_ns:
                yield RawMessage(key, log_time_ns, data)

    def close(self) -> None:
        self._stack.close()


def _stream(path: Path) -> _Storage:
    return _StreamedMcap(path) if path.suffix == ".mcap" else _ScannedSqlite(path)


def _open_storage(path: Path) -> _Storage:
    try:
        (check_mcap if path.suffix == ".mcap" else check_sqlite)(path)
    except LimitError as error:
        raise BagError(str(error)) from None
    try:
        return _Indexed(path)
    except Exception as error:
        refused = first_line(error)
    try:
        storage = _stream(path)
    except Exception as error:
        raise BagError(f"{refused}; {first_line(error)}") from None
    if not storage.topics:
        storage.close()
        raise BagError(storage.damage or refused)
    return storage


def _natural(path: Path) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


def _storage_name(path: Path) -> str:
    """The name of a file without a compression suffix."""
    return path.stem if path.suffix in _COMPRESSED else path.name


def storage_files(path: Path) -> tuple[list[Path], list[str]]:
    """Storage files of a bag in order, and the names of those that its metadata tells of but that are not there.

    Args:
        path: bag folder, with or without metadata.yaml, or a file.

    Raises:
        BagError: no such path, or nothing in it that could be a bag.
    """
    if not path.exists():
        raise BagError(f"no such bag: {path}; give a bag folder, a .mcap or a .db3 file")
    if not path.is_dir():
        if not path.is_file() or Path(_storage_name(path)).suffix not in _STORAGES:
            raise BagError(f"{path} is no rosbag2 bag: expected a bag folder, a .mcap or a .db3 file")
        return [path], []
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir(), key=_natural):
        if file.is_file() and Path(_storage_name(file)).suffix in _STORAGES:
            if file.suffix not in _COMPRESSED or _storage_name(file) not in found:
                found[_storage_name(file)] = file  # uncompressed wins: compressing it may have been interrupted
    listed: list[str] = []
    try:
        content = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))
        listed = [Path(str(x)).name for x in content["rosbag2_bagfile_information"]["relative_file_paths"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        pass  # a killed recorder writes none; the files tell all that is needed
    names = [_storage_name(Path(name)) for name in listed]
    missing = [name for name in names if name not in found]
    files = [found[name] for name in names if name in found] + [f for name, f in found.items() if name not in names]
    if not files:
        more = f" (its metadata.yaml names {', '.join(missing)})" if missing else ""
        raise BagError(f"no bag in folder {path}: expected bag folders, .mcap or .db3 files{more}")
    return files, missing


class RawBag:
    """The files of a bag as one stream of serialised messages; use as a context manager.

    Args:
        path: bag folder, `.mcap` or `.db3`, each also with `.zstd` behind.

    Attributes:
        path: as given.
        topics: those of all files, by (name, type).
        start_ns, end_ns: first and last log time, nanoseconds; start after end when there is no message.

    Raises:
        BagError: nothing can be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.topics: dict[tuple[str, str], Topic] = {}
        self.start_ns, self.end_ns = _UNKNOWN_NS, 0
        self._storages: list[tuple[str, _Storage]] = []
        self._notes: list[str] = []
        self._stack = ExitStack()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        files, missing = storage_files(self.path)
        self._notes += [f"file {name} is missing" for name in missing]
        for file in files:
            if file.stat().st_size == 0:
                self._notes.append(f"{file.name} is empty (0 bytes)")
                continue
            try:
                storage = _open_storage(self._ready(file))
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
                where = f" in {tempfile.gettempdir()} (unpacked there): free some, or set TMPDIR" if full else ""
                raise BagError(f"cannot open bag {file}: {error.strerror or error}{where}") from None
            except BagError as error:
                self._notes.append(f"{file.name}: {error}" if len(files) > 1 else str(error))
                continue
            self._stack.callback(storage.close)
            self._storages.append((file.name, storage))
            self.start_ns, self.end_ns = min(self.start_ns, storage.start_ns), max(self.end_ns, storage.end_ns)
            for key, topic in storage.topics.items():
                known = self.topics.get(key, topic)
                count = topic.count + (known.count if known is not topic else 0)
                definition = known.definition if known.definition.text else topic.definition
                self.topics[key] = Topic(topic.name, topic.msgtype, count, definition)
        if not self._storages:
            raise BagError(
                f"cannot open bag {self.path}: {'; '.join(self._notes)}; nothing in it can be read, record it again"
            )

    def _ready(self, file: Path) -> Path:
        """The file, or a copy of it where it is compressed or has changes beside it that are not yet in it."""
        if file.suffix in _COMPRESSED:
            return self._decompressed(file)
        # rosbags opens databases as immutable and so sees neither: let sqlite apply them to a copy.
        beside = [file.with_name(file.name + suffix) for suffix in ("-wal", "-journal")]
        beside = [extra for extra in beside if extra.is_file() and extra.stat().st_size]
        if file.suffix != ".db3" or not beside:
            return file
        copy = self._folder() / file.name
        for source in (file, *beside):
            shutil.copyfile(source, copy.with_name(source.name))
        try:
            db = sqlite3.connect(copy)
            try:
                db.execute("SELECT count(*) FROM sqlite_master").fetchall()
                db.execute("PRAGMA journal_mode=DELETE").fetchall()
            finally:
                db.close()
        except sqlite3.Error as error:
            self._notes.append(f"{beside[0].name} cannot be applied ({first_line(error)})")
            return file
        return copy

    def _decompressed(self, file: Path) -> Path:
        copy = self._folder() / _storage_name(file)
        with file.open("rb") as source, copy.open("wb") as target:
            try:
                unpack_file(source, target, file.stat().st_size, file.name)
            except LimitError as error:
                raise BagError(str(error)) from None
            except zstandard.ZstdError as error:
                self._notes.append(f"{file.name} cannot be decompressed to its end ({first_line(error)})")
        return copy

    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="aux_motion_bag_")))

    @property
    def damage(self) -> str | None:
        """What is wrong with the bag as far as it was read, or None."""
        several = len(self._storages) > 1
        said = [f"{name}: {s.damage}" if several else s.damage for name, s in self._storages if s.damage]
        return "; ".join(self._notes + said) or None

    def messages(self, keys: Collection[tuple[str, str]], start_ns: int | None = None) -> Iterator[RawMessage]:
        """Messages of some topics, file after file.

        Args:
            keys: (name, type) pairs.
            start_ns: none that was logged before.

        Yields:
            Messages, decompressed where they were compressed one by one.
        """
        for _, storage in self._storages:
            for message in storage.messages(keys, start_ns or 0):
                if message.data[:4] == ZSTD_MAGIC:
                    try:
                        limit = min(most(len(message.data)), LARGEST_MESSAGE)
                        data = unpack_zstd(message.data, limit, f"a message of {message.key[0]}")
                    except LimitError as error:
                        if str(error) not in self._notes:
                            self._notes.append(str(error))
                        data = b""
                    except zstandard.ZstdError:
                        data = b""
                    message = message._replace(data=data)
                yield message

    def close(self) -> None:
        """Close the files and remove what was unpacked."""
        self._stack.close()

    def __enter__(self) -> RawBag:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
