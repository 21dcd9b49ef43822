# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bodies of a `zed_msgs/ObjectsStamped` straight from its bytes: rclpy makes 180 small arrays of each of them."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

_HEADER = 4  # of the encapsulation; alignment counts from its end
_LITTLE = b"\x00\x01"
#: Of an object, from its confidence on: where the fields are that are read, and how long it is without and with the
#: confidence of each key point.
_TRACKING, _SKELETON, _KEYPOINTS, _ENDS = 52, 196, 900, (1740, 2020)
_SLOTS = 70


class ZedBody(NamedTuple):
    """What is read of an object; `points` is (70, 3), `skeleton_keypoint_confidence` (70,) or None."""

    label_id: int
    confidence: float
    tracking_available: bool
    tracking_state: int
    skeleton_available: bool
    body_format: int
    points: np.ndarray
    skeleton_keypoint_confidence: np.ndarray | None


def read(data: bytes) -> tuple[int, int, str, list[ZedBody]] | None:
    """Seconds, nanoseconds, frame and bodies; None where it is not a message of a known version."""
    if len(data) < 20 or data[:2] != _LITTLE:
        return None
    for end in _ENDS:
        try:
            found = _read(data, end)
        except (struct.error, ValueError):
            continue
        if found is not None:
            return found
    return None


def _text(data: bytes, at: int) -> tuple[bytes, int]:
    at += (_HEADER - at) % 4
    (length,) = struct.unpack_from("<I", data, at)
    if at + 4 + length > len(data):
        raise struct.error("beyond the end")
    return data[at + 4 : at + 3 + length], at + 4 + length


def _read(data: bytes, size: int) -> tuple[int, int, str, list[ZedBody]] | None:
    sec, nanosec = struct.unpack_from("<iI", data, _HEADER)
    frame, at = _text(data, _HEADER + 8)
    at += (_HEADER - at) % 4
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    if count * size > len(data):
        return None
    bodies = []
    for _ in range(count):
        _, at = _text(data, at)
        at += (_HEADER - at) % 2
        (label_id,) = struct.unpack_from("<h", data, at)
        _, at = _text(data, at + 2)
        at += (_HEADER - at) % 4
        (confidence,) = struct.unpack_from("<f", data, at)
        available, state = struct.unpack_from("<?b", data, at + _TRACKING)
        skeleton, body_format = struct.unpack_from("<?b", data, at + _SKELETON)
        points = np.frombuffer(data, "<f4", 3 * _SLOTS, at + _KEYPOINTS).reshape(_SLOTS, 3)
        each = np.frombuffer(data, "<f4", _SLOTS, at + _ENDS[0]) if size == _ENDS[1] else None
        bodies.append(ZedBody(label_id, confidence, available, state, skeleton, body_format, points, each))
        at += size
    if not 0 <= len(data) - at < 4:
        return None
    return sec, nanosec, frame.decode("utf-8", "replace"), bodies
