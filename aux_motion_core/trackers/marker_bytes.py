# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Ids and places of a `visualization_msgs/MarkerArray` straight from its bytes.

rclpy makes some twenty Python objects of every marker: for the 128 markers of four people that takes longer than the
prediction. The markers of one tracker have the same layout, though, so their bytes are rows of a table.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

#: Fields of `Marker` in order: i 4 bytes, f 4 bytes, d 8 bytes, b 1 byte, s string, B bytes, P points (3 d), C colours
#: (4 f), U uv coordinates (2 f). A new field at the end makes the layout unknown, and the message is read as usual.
_FIELDS = "iissiiiddddddddddffffiibPCsiissBUsssBb"
_SIZES = {"i": 4, "f": 4, "d": 8, "b": 1}
_ITEMS = {"s": 1, "B": 1, "P": 24, "C": 16, "U": 8}
_FRAME, _ID, _ACTION, _X = 2, 4, 6, 7  # places in _FIELDS
_HEADER = 4  # of the encapsulation; alignment counts from its end
_LITTLE = b"\x00\x01"


class Markers(NamedTuple):
    """Markers of one stamp and frame.

    Attributes:
        sec, nanosec, frame_id: of all of them.
        values: (n, 4) id, x, y, z.
    """

    sec: int
    nanosec: int
    frame_id: str
    values: np.ndarray


def _walk(data: bytes, at: int) -> tuple[list[int], list[int], int]:
    """Offsets of a marker's fields, of its lengths, and its end; raises `struct.error` beyond the end of the data."""
    fields, lengths = [], []
    for kind in _FIELDS:
        size = _SIZES.get(kind, 4)
        at += (_HEADER - at) % size
        fields.append(at)
        if kind in _SIZES:
            at += size
            continue
        lengths.append(at)
        (count,) = struct.unpack_from("<I", data, at)
        at += 4
        if kind in "P" and count:
            at += (_HEADER - at) % 8
        at += count * _ITEMS[kind]
    if at > len(data):
        raise struct.error("beyond the end")
    return fields, lengths, at


class _Rows(NamedTuple):
    """Markers of one layout: where they start, how far apart, and what must be the same in all of them.

    Attributes:
        part: which of the markers.
        start, n, size, stride: of the rows, bytes.
        fixed, expected: columns of the lengths and of the action, and their bytes: they make the layout.
        head: so many bytes are stamp and frame.
        id, x: columns of the id and of x, y, z.
    """

    part: slice
    start: int
    n: int
    size: int
    stride: int
    fixed: np.ndarray
    expected: np.ndarray
    head: int
    id: int
    x: int


def _layout(data: bytes, count: int) -> list[_Rows] | None:
    """Taken from the first four markers.

    A marker's layout depends on whether it starts at a multiple of 8. So layouts alternate, or are all the same from
    the second marker on.
    """
    walked, at = [], _HEADER + 4
    try:
        for _ in range(4):
            at += (_HEADER - at) % 4
            fields, lengths, end = _walk(data, at)
            walked.append((at, fields, lengths, end))
            at = end
    except struct.error:
        return None
    starts = [w[0] for w in walked]
    if starts[2] - starts[0] == starts[3] - starts[1]:
        parts = [(0, slice(0, None, 2), starts[2] - starts[0]), (1, slice(1, None, 2), starts[2] - starts[0])]
    else:
        parts = [(0, slice(0, 1), 0), (1, slice(1, None), starts[2] - starts[1])]
    found = []
    for marker, part, stride in parts:
        start, fields, lengths, end = walked[marker]
        fixed = np.array([o - start + k for o in (*lengths, fields[_ACTION]) for k in range(4)])
        expected = np.frombuffer(data, np.uint8)[start + fixed]
        expected[-4:] = 0  # ADD
        n = len(range(count)[part])
        head, places = fields[_FRAME + 1] - start, (fields[_ID] - start, fields[_X] - start)
        found.append(_Rows(part, start, n, end - start, stride, fixed, expected, head, *places))
    # the tables must end where the data does: else a marker in them is of another layout
    end = max(r.start + (r.n - 1) * r.stride + r.size for r in found)
    return found if 0 <= len(data) - end < 4 else None


class MarkerBytes:
    """Reads messages of one topic; the layout of the last one is tried first."""

    def __init__(self) -> None:
        self._key: tuple[int, int] | None = None
        self._rows: list[_Rows] = []

    def read(self, data: bytes) -> Markers | None:
        """The markers of a serialised MarkerArray; None where they are not all alike, and must be read as usual."""
        if len(data) < 12 or data[:2] != _LITTLE:
            return None
        (count,) = struct.unpack_from("<I", data, _HEADER)
        if count < 4:
            return None
        known = self._key == (len(data), count)
        if known and (found := self._table(data, count)) is not None:
            return found
        rows = _layout(data, count)
        self._key, self._rows = None, rows or []
        if rows is None:
            return None
        found = self._table(data, count)
        if found is not None:
            self._key = (len(data), count)
        return found

    def _table(self, data: bytes, count: int) -> Markers | None:
        values = np.empty((count, 4))
        first = None
        for part in self._rows:
            table = np.ndarray((part.n, part.size), np.uint8, data, part.start, (part.stride, 1))
            if (table[:, part.fixed] != part.expected).any():
                return None
            head = table[:, : part.head]
            first = head[0] if first is None else first
            # padding after the frame's name may be anything, but it is the same bytes of one writer
            if len(first) != part.head or (head != first).any():
                return None
            own = values[part.part]
            own[:, 0] = np.ascontiguousarray(table[:, part.id : part.id + 4]).view("<i4")[:, 0]
            own[:, 1:] = np.ascontiguousarray(table[:, part.x : part.x + 24]).view("<f8")
        start = self._rows[0].start
        sec, nanosec, length = struct.unpack_from("<iII", data, start)
        name = data[start + 12 : start + 11 + length]
        return Markers(sec, nanosec, name.decode("utf-8", "replace"), values)
