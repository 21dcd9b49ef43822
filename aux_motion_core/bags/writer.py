# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Writes skeletons, predictions and other messages to one `.mcap` file that `ros2 bag` and Foxglove open."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from aux_motion_core.bags.cdr import skeleton_array
from aux_motion_core.bags.definitions import PREDICTIONS, SKELETONS, build_message, store_for
from aux_motion_core.bags.files import BagError
from aux_motion_core.outputs import OutputError, target
from aux_motion_core.types import PredictionBatch, SkeletonFrame
from aux_motion_core.wire.messages import prediction_fields


class BagWriter:
    """Writes one `.mcap` file; use as a context manager.

    The file appears under its name only when everything was written, and replaces an older one; when the
    body of the `with` fails, nothing is left behind.

    Args:
        path: ends in `.mcap`; folders are made.

    Raises:
        BagError: no such file can be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix != ".mcap" or self.path.is_dir():
            raise BagError(f"cannot write {self.path}: expected the name of a file that ends in .mcap")
        try:
            self._place = target(self.path)
        except OutputError as error:
            raise BagError(str(error)) from None
        self._writer: Writer | None = None
        self._folder: Path | None = None
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.stem}.", dir=self._place.parent))
            self._writer = Writer(self._folder / self.path.stem, version=9, storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except OSError as error:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            raise BagError(f"cannot write {self.path}: {error.strerror or error}") from None
        return self

    def write(self, topic: str, message: SkeletonFrame | PredictionBatch, log_time_ns: int) -> None:
        """Append a message; a topic carries one type.

        Args:
            topic: for instance `/skeletons`; a relative name is taken from the root.
            message: a frame (written as SkeletonArray) or a batch (PredictionArray).
            log_time_ns: when it was received, nanoseconds.
        """
        if isinstance(message, SkeletonFrame):
            self.write_raw(topic, SKELETONS, skeleton_array(message), log_time_ns)
        else:
            built = build_message(PREDICTIONS, prediction_fields(message))
            self.write_message(topic, PREDICTIONS, built, log_time_ns)

    def write_message(self, topic: str, msgtype: str, message: Any, log_time_ns: int) -> None:
        """Append a message of any type that is known here.

        Args:
            topic: a relative name is taken from the root.
            msgtype: for instance `visualization_msgs/msg/MarkerArray`.
            message: its rosbags object, see `build_message`.
            log_time_ns: when it was received, nanoseconds.

        Raises:
            BagError: the topic carries another type, or the disk is full.
        """
        self.write_raw(topic, msgtype, store_for(msgtype).serialize_cdr(message, msgtype), log_time_ns)

    def write_raw(self, topic: str, msgtype: str, raw: bytes | memoryview, log_time_ns: int) -> None:
        """As `write_message`, of a message that is serialised (CDR)."""
        if self._writer is None:
            raise BagError(f"bag {self.path} is not open: use `with BagWriter(path) as bag`")
        topic = "/" + topic.lstrip("/")  # recorded names are absolute
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(topic, msgtype, typestore=store_for(msgtype))
            self._connections[topic] = connection
        elif connection.msgtype != msgtype:
            raise BagError(f"topic {topic} of bag {self.path} carries {connection.msgtype}, not {msgtype}")
        try:
            self._writer.write(connection, int(log_time_ns), raw)
        except OSError as error:
            raise self._cannot(error) from None

    def _cannot(self, error: OSError) -> BagError:
        reason = error.strerror or str(error)
        return BagError(f"cannot write {self.path}: {reason}; free some space or write elsewhere")

    def __exit__(self, exc_type: Any, exc: Any, trace: Any) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
            if exc_type is None and self._folder is not None:
                (self._folder / self.path.stem / f"{self.path.stem}.mcap").replace(self._place)
        except OSError as error:
            if exc_type is None:
                raise self._cannot(error) from None
        finally:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
