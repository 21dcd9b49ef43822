# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Moves the stamps inside serialised messages, so that a recording can be played in the present."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from aux_motion_core.constants import NS
from aux_motion_core.wire.messages import ns_to_stamp, stamp_to_ns

_HEADER = "std_msgs/msg/Header"
_FIRST_S, _LAST_S = -(2**31), 2**31 - 1  # of builtin_interfaces/Time
_STAMP_END = 12  # four bytes of encapsulation, the seconds, the nanoseconds


class Restamper:
    """The stamps of all headers in messages of one type.

    Where the header is the first field and the only one, as in most messages, eight bytes are read and written;
    otherwise (TF, markers) the message is taken apart.

    Args:
        store: rosbags type store that knows the type.
        msgtype: for instance `aux_motion_msgs/msg/SkeletonArray`.
    """

    def __init__(self, store: Any, msgtype: str) -> None:
        self._store, self._msgtype = store, msgtype
        definition = store.fielddefs[msgtype][1]
        inside = [self._headers(detail, set()) for _, detail in definition]
        first = definition[0][1][1] if definition else None
        self.stamped = any(inside)
        self._in_front = first == _HEADER and not any(inside[1:])

    def _headers(self, field: Any, seen: set[str]) -> bool:
        """Whether a field's type is or holds a header."""
        _, detail = field
        while isinstance(detail, tuple) and detail and isinstance(detail[0], tuple):
            detail = detail[0][1]  # of an array: its elements
        if detail == _HEADER:
            return True
        if not isinstance(detail, str) or detail in seen or detail not in self._store.fielddefs:
            return False
        seen.add(detail)
        return any(self._headers(inner, seen) for _, inner in self._store.fielddefs[detail][1])

    def stamp_ns(self, raw: bytes) -> int | None:
        """The first stamp of a message, nanoseconds, or None when there is none."""
        if not self.stamped or len(raw) < _STAMP_END:
            return None
        if self._in_front:
            sec, nanosec = struct.unpack_from(self._order(raw) + "iI", raw, 4)
            return sec * NS + nanosec
        message = self._decoded(raw)
        return next((stamp_to_ns(header.stamp) for header in _walk(message)), None)

    def moved(self, raw: bytes, move: Callable[[int], int]) -> bytes:
        """The message with other stamps.

        Args:
            raw: CDR bytes.
            move: from the recorded stamp to the new one, nanoseconds. A stamp of zero, which means none, stays; so
                does one that would not fit into a message then.
        """
        if not self.stamped or len(raw) < _STAMP_END:
            return raw
        if self._in_front:
            stamp_ns = self.stamp_ns(raw)
            if not stamp_ns:
                return raw
            moved = bytearray(raw)
            sec, nanosec = divmod(move(stamp_ns), NS)
            if not _FIRST_S <= sec <= _LAST_S:
                return raw
            struct.pack_into(self._order(raw) + "iI", moved, 4, sec, nanosec)
            return bytes(moved)
        message = self._decoded(raw)
        if message is None:
            return raw
        time = self._store.types["builtin_interfaces/msg/Time"]
        for header in _walk(message):
            stamp_ns = stamp_to_ns(header.stamp)
            if stamp_ns and _FIRST_S <= move(stamp_ns) // NS <= _LAST_S:
                header.stamp = time(**ns_to_stamp(move(stamp_ns)))
        return bytes(self._store.serialize_cdr(message, self._msgtype))

    def _decoded(self, raw: bytes) -> Any:
        try:
            return self._store.deserialize_cdr(raw, self._msgtype)
        except Exception:  # a damaged message goes out as it is: the node is to cope with it
            return None

    @staticmethod
    def _order(raw: bytes) -> str:
        return "<" if raw[1] & 1 else ">"  # representation identifier, DDSI-RTPS 2.5, clause 10.2


def _walk(value: Any) -> Iterator[Any]:
    """All headers in a message."""
    if getattr(value, "__msgtype__", None) == _HEADER:
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _walk(getattr(value, field.name))
    elif isinstance(value, list):
        for element in value:
            yield from _walk(element)
