# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Sqlite3 databases of rosbag2 row by row, also of those that are cut off or damaged."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from aux_motion_core.bags.storage import Definition, RawMessage, Storage, Topic, first_line


class ScannedSqlite(Storage):
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
