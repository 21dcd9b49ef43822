# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bags of ROS 1 (format 2.0), by rosbags: messages are given as ROS 2 would serialise them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.rosbag1 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from aux_motion_core.bags.limits import LONGEST_DEFINITION
from aux_motion_core.bags.storage import BagError, Definition, RawMessage, Storage, Topic, first_line, shortfall

_HEADER = "std_msgs/msg/Header"
#: Types of ROS 1 that have the same fields under another name in ROS 2.
_RENAMED = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}
_TIMES = ("builtin_interfaces/msg/Time", "builtin_interfaces/msg/Duration")


class Ros1(Storage):
    """A ROS 1 bag.

    Raises:
        BagError: it has no index, as one that a killed recorder left; says how to get it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reader = Reader(path)
        try:
            self.reader.open()
        except Exception as error:
            line = first_line(error)
            hint = ": run `rosbag reindex` on it where ROS 1 is installed" if "index" in line.lower() else ""
            raise BagError(f"{line.rstrip('.')}{hint}") from None
        self._stores: dict[int, Any] = {}
        for connection in self.reader.connections:
            key = self._key(connection)
            known = self.topics.get(key)
            count = connection.msgcount + (known.count if known else 0)
            text = "" if len(connection.msgdef.data) > LONGEST_DEFINITION else self._ros2_definition(connection)
            self.topics[key] = Topic(*key, count, Definition("ros2msg" if text else "", text))
        if self.reader.message_count:
            self.start_ns, self.end_ns = self.reader.start_time, self.reader.end_time - 1

    @staticmethod
    def _key(connection: Any) -> tuple[str, str]:
        return connection.topic, _RENAMED.get(connection.msgtype, connection.msgtype)

    def _ros2_definition(self, connection: Any) -> str:
        """The definition as ROS 2 has it; empty where it cannot be read: its messages are then named as unknown."""
        try:
            types = get_types_from_msg(connection.msgdef.data, connection.msgtype)
        except Exception as error:
            self.damage = f"damaged definition of {connection.msgtype} ({first_line(error)})"
            return ""
        if _HEADER in types:  # the sequence number is gone in ROS 2
            constants, fields = types[_HEADER]
            types[_HEADER] = constants, [field for field in fields if field[0] != "seq"]
        common = get_typestore(Stores.ROS2_JAZZY).fielddefs
        store = get_typestore(Stores.EMPTY)
        store.register({**{name: common[name] for name in _TIMES}, **types})
        self._stores[connection.id] = store
        text: str = store.generate_msgdef(connection.msgtype, ros_version=2)[0]
        return text

    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        """Messages of these topics logged at or after a time, by log time; see `Storage`."""
        wanted = [c for c in self.reader.connections if self._key(c) in keys and c.id in self._stores]
        there: Counter[tuple[str, str]] = Counter()
        unusable = 0
        if not wanted:
            return
        try:
            for connection, log_time_ns, data in self.reader.messages(wanted, start=start_ns or None):
                key = self._key(connection)
                there[key] += 1
                try:
                    cdr = bytes(self._stores[connection.id].ros1_to_cdr(data, connection.msgtype))
                except Exception:  # whatever damaged bytes make of it
                    unusable += 1
                    self.damage = f"{unusable} messages are not as their definition says"
                    continue
                yield RawMessage(key, log_time_ns, cdr)
        except Exception as error:
            self.damage = f"damaged ({first_line(error)})"
            return
        stated = {self._key(c): self.topics[self._key(c)].count for c in wanted}
        if not start_ns and (short := shortfall(stated, there)):
            self.damage = short

    def close(self) -> None:
        """Close the file."""
        self.reader.close()
