# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Writes serialised messages to an MCAP file that is worth something at every moment.

A thread of its own compresses and writes; whoever hands in a message only puts it into a queue. At least every
`FLUSH_S` what came is on the disk as a whole chunk, so a recorder that is killed loses no more than that, and
`bags.BagReader` reads what is there. A recording that is closed has its index and is read by rosbags, `ros2 bag` and
Foxglove.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mcap.writer import CompressionType, Writer

from aux_motion_core.bags.definitions import message_definition
from aux_motion_core.bags.files import BagError

FLUSH_S = 0.5
#: The recording ends while the disk still has room for its index and for others.
RESERVE_BYTES = 16 << 20
#: Messages that wait for the disk; what comes beyond is dropped and counted.
QUEUE_BYTES = 256 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Sink:
    """The file below the MCAP writer: unbuffered, and it remembers up to where it is whole."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        self._position = self._whole = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            self._position += written
            view = view[written:]
        return len(data)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        os.fdatasync(self._fd)
        self._whole = self._position

    def back_to_whole(self) -> None:
        """Take back what was written since the last flush: half a chunk helps nobody."""
        os.ftruncate(self._fd, self._whole)

    def free_bytes(self) -> int:
        """Room on the disk for this user."""
        disk = os.fstatvfs(self._fd)
        return disk.f_bavail * disk.f_frsize

    def close(self) -> None:
        os.close(self._fd)


class Recording:
    """An MCAP file that is being written; use as a context manager.

    Args:
        path: ends in `.mcap`, does not exist yet; folders are made.

    Attributes:
        counts: messages written, by topic.
        dropped: messages that found the queue full.
        error: why nothing is written any more, or None.

    Raises:
        BagError: the file cannot be made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix != ".mcap":
            raise BagError(f"cannot record to {self.path}: expected the name of a file that ends in .mcap")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = _Sink(self.path)
        except FileExistsError:
            raise BagError(f"{self.path} exists already: choose another name, or remove it") from None
        except OSError as error:
            raise BagError(f"cannot record to {self.path}: {error.strerror or error}") from None
        self.counts: Counter[str] = Counter()
        self.dropped = 0
        self.error: str | None = None
        self._queue: queue.SimpleQueue[tuple[tuple[str, str], int, int, bytes] | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._channels: dict[tuple[str, str], int] = {}
        self._schemas: dict[str, int] = {}
        self._qos_profiles: dict[tuple[str, str], str] = {}
        self._writer = Writer(self._sink, compression=CompressionType.ZSTD)  # type: ignore[arg-type]
        self._closed = False
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    def offered(self, topic: str, msgtype: str, qos_profiles: str) -> None:
        """What quality of service the publishers of a topic offer, before its first message.

        Args:
            topic: absolute name.
            msgtype: for instance `tf2_msgs/msg/TFMessage`.
            qos_profiles: YAML as rosbag2 keeps it, with numbers: all its versions read those.
        """
        self._qos_profiles[topic, msgtype] = qos_profiles

    def put(self, topic: str, msgtype: str, data: bytes, log_time_ns: int, publish_time_ns: int | None = None) -> None:
        """Hand in a message; returns at once.

        Args:
            topic: absolute name.
            msgtype: for instance `aux_motion_msgs/msg/SkeletonArray`.
            data: CDR bytes.
            log_time_ns: when it was received, nanoseconds.
            publish_time_ns: when it was sent; None: unknown, the same.
        """
        size = len(data)
        with self._lock:
            if self._closed or self.error is not None:
                return
            if self._waiting_bytes + size > QUEUE_BYTES:
                self.dropped += 1
                return
            self._waiting_bytes += size
        sent_ns = log_time_ns if publish_time_ns is None else publish_time_ns
        self._queue.put(((topic, msgtype), log_time_ns, sent_ns, data))

    def close(self) -> None:
        """Write what waits, and the index."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def _write(self) -> None:
        try:
            self._guarded(self._writer.start, "ros2")
            self._guarded(self._sink.flush)
            flush_at = time.monotonic() + FLUSH_S
            unsaved: Counter[str] = Counter()
            more = True
            while more:
                try:
                    item = self._queue.get(timeout=max(0.0, flush_at - time.monotonic()))
                except queue.Empty:
                    pass
                else:
                    more = item is not None
                    if item is not None:
                        with self._lock:
                            self._waiting_bytes -= len(item[3])
                        if self.error is None and self._guarded(self._add, *item):
                            unsaved[item[0][0]] += 1
                if more and time.monotonic() < flush_at:
                    continue
                if unsaved and self.error is None:
                    if self._guarded(self._writer.flush):
                        self.counts.update(unsaved)
                        if self._sink.free_bytes() < RESERVE_BYTES:
                            self._guarded(self._writer.finish)
                            self.error = "the disk is almost full"
                    unsaved.clear()
                flush_at = time.monotonic() + FLUSH_S
            if self.error is None:
                self._guarded(self._writer.finish)
        finally:
            self._sink.close()

    def _add(self, key: tuple[str, str], log_time_ns: int, publish_time_ns: int, data: bytes) -> None:
        channel = self._channels.get(key)
        if channel is None:
            topic, msgtype = key
            if msgtype not in self._schemas:
                try:
                    text = message_definition(msgtype)
                except Exception:  # one that the parser does not take: its bytes are recorded all the same
                    text = ""
                encoding = "ros2msg" if text else ""
                self._schemas[msgtype] = self._writer.register_schema(msgtype, encoding, text.encode())
            offered = self._qos_profiles.get(key)
            metadata = {"offered_qos_profiles": offered} if offered else {}
            channel = self._writer.register_channel(topic, "cdr", self._schemas[msgtype], metadata)
            self._channels[key] = channel
        self._writer.add_message(channel, log_time_ns, data, publish_time_ns)

    def _guarded(self, call: Any, *arguments: Any) -> bool:
        """Call; when the disk takes nothing more, the file ends after its last whole chunk."""
        try:
            call(*arguments)
            return True
        except Exception as error:
            full = isinstance(error, OSError) and error.errno in _FULL
            self.error = "the disk is full" if full else f"writing failed ({error})"
            try:
                self._sink.back_to_whole()
            except OSError:
                pass  # a cut-off chunk is read as far as it is whole
            return False
