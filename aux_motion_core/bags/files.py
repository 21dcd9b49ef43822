# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Serialised messages of bags, also of those that a killed recorder or a full disk left behind.

Whole files are read by rosbags, those of ROS 1 too. Where it refuses (cut off, no index, a damaged chunk, another MCAP
profile), or the index of an MCAP file does not list all that the file holds, the file is streamed record by record
with the `mcap` library, and an sqlite3 database row by row: what is whole is read. What is there is compared with what
the file and its metadata.yaml state. Everything is a generator; memory does not grow with the length of the bag.
"""

from __future__ import annotations

import errno
import re
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
import zstandard
from rosbags.rosbag2 import Reader

from aux_motion_core.bags.limits import (
    LARGEST_MESSAGE,
    LimitError,
    check_mcap,
    check_ros1,
    check_sqlite,
    most,
    unpack_file,
    unpack_zstd,
)
from aux_motion_core.bags.mcap_index import is_complete
from aux_motion_core.bags.mcap_storage import StreamedMcap
from aux_motion_core.bags.ros1_storage import Ros1
from aux_motion_core.bags.sqlite_storage import ScannedSqlite
from aux_motion_core.bags.storage import (
    UNKNOWN_NS,
    BagError,
    Definition,
    RawMessage,
    Storage,
    Topic,
    first_line,
    shortfall,
)

__all__ = ["BagError", "RawBag", "RawMessage", "Topic", "first_line", "storage_files"]

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # RFC 8878, clause 3.1.1; a CDR message begins with 0
_STORAGES = (".mcap", ".db3", ".bag")
_COMPRESSED = (".zstd", ".zst")


class Indexed(Storage):
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
        count, there = 0, Counter[tuple[str, str]]()
        if not wanted:
            return
        try:
            for connection, log_time_ns, data in self.reader.messages(wanted, start=start_ns or None):
                if not isinstance(log_time_ns, int) or isinstance(data, int | str):  # sqlite takes anything
                    raise BagError("a message without time or content")
                count += 1
                there[connection.topic, connection.msgtype] += 1
                yield RawMessage((connection.topic, connection.msgtype), log_time_ns, bytes(data))
            if not start_ns:
                self.damage = shortfall({key: self.topics[key].count for key in there | self._none(wanted)}, there)
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

    @staticmethod
    def _none(wanted: list[Any]) -> Counter[tuple[str, str]]:
        return Counter({(c.topic, c.msgtype): 0 for c in wanted})

    def close(self) -> None:
        self.reader.close()


def _stream(path: Path) -> Storage:
    return StreamedMcap(path) if path.suffix == ".mcap" else ScannedSqlite(path)


def _open_storage(path: Path) -> Storage:
    check = {".mcap": check_mcap, ".bag": check_ros1}.get(path.suffix, check_sqlite)
    try:
        check(path)
    except LimitError as error:
        raise BagError(str(error)) from None
    refused = "its index does not list all that it holds"
    try:
        if path.suffix == ".bag":
            return Ros1(path)
        if path.suffix != ".mcap" or is_complete(path):
            return Indexed(path)
    except BagError:
        raise
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
        raise BagError(f"no such bag: {path}; give a bag folder, a .mcap, a .db3 or, of ROS 1, a .bag file")
    if not path.is_dir():
        if not path.is_file() or Path(_storage_name(path)).suffix not in _STORAGES:
            raise BagError(
                f"{path} is no rosbag2 bag: expected a bag folder, a .mcap, a .db3 or, of ROS 1, a .bag file"
            )
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


def _stated(path: Path) -> Counter[tuple[str, str]]:
    """Messages of each topic as the metadata of a bag folder states; empty where there is none."""
    found: Counter[tuple[str, str]] = Counter()
    try:
        content = yaml.safe_load((path / "metadata.yaml").read_text(encoding="utf-8"))
        for one in content["rosbag2_bagfile_information"]["topics_with_message_count"]:
            about = one["topic_metadata"]
            found[str(about["name"]), str(about["type"])] += int(one["message_count"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return Counter()
    return found


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
        self.start_ns, self.end_ns = UNKNOWN_NS, 0
        self._storages: list[tuple[str, Storage]] = []
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
        whole = not self._notes and not any(storage.damage for _, storage in self._storages)
        there = {key: topic.count for key, topic in self.topics.items()}
        if whole and (short := shortfall(_stated(self.path), there)):
            self._notes.append(f"its metadata.yaml is not of these files: {short}")
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
