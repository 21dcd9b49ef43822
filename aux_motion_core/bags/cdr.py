# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Messages that are written often, as the bytes that a bag holds of them: a type store makes some objects of each."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import frame_fields

#: Little-endian CDR; alignment counts from its end.
ENCAPSULATION = b"\x00\x01\x00\x00"
_STAMP = struct.calcsize("<iI")


class Cdr:
    """Writes fields one after the other, each aligned to its size (OMG CDR, as ROS 2 uses it)."""

    def __init__(self) -> None:
        self.data = bytearray(ENCAPSULATION)

    def put(self, layout: str, *values: float, align: int = 4) -> None:
        """Values by their `struct` characters, the first of them of this size, the others where they follow."""
        self.data += bytes(-(len(self.data) - 4) % align) + struct.pack(f"<{layout}", *values)

    def string(self, text: str) -> None:
        raw = text.encode() + b"\x00"
        self.put("I", len(raw))
        self.data += raw

    def array(self, values: np.ndarray, dtype: str) -> None:
        """A sequence of as many items as rows."""
        self.put("I", len(values))
        if len(values):
            size = np.dtype(dtype).itemsize
            self.data += bytes(-(len(self.data) - 4) % size) + np.ascontiguousarray(values, dtype).tobytes()


@lru_cache(maxsize=64)
def _names(frame_id: str, joints: tuple[str, ...], people: tuple[str, ...]) -> bytes:
    """What is between a `SkeletonArray`'s stamp and its arrays."""
    out = Cdr()
    out.put("iI", 0, 0)
    out.string(frame_id)
    for names in (joints, people):
        out.put("I", len(names))
        for name in names:
            out.string(name)
    return bytes(out.data[len(ENCAPSULATION) + _STAMP :])


def skeleton_array(frame: SkeletonFrame) -> bytes:
    """An `aux_motion_msgs/SkeletonArray` as a bag holds it."""
    fields = frame_fields(frame)
    out = Cdr()
    out.put("iI", frame.stamp_ns // NS, frame.stamp_ns % NS)
    out.data += _names(frame.frame_id, tuple(fields["joint_names"]), tuple(fields["person_ids"]))
    out.array(fields["positions"], "<f4")
    out.array(fields["confidence"], "<f4")
    out.array(fields["joint_status"], "u1")
    out.array(fields["covariance"], "<f4")
    return bytes(out.data)
