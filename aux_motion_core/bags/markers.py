# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Markers and numbers as the bytes of their messages: a type store makes some objects of every point, which takes
longer than all else that is written of a prediction.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.bags.cdr import ENCAPSULATION, Cdr
from aux_motion_core.constants import NS

_LIFETIME_S = 1
_NO_POINTS, _NO_COLOURS = np.zeros((0, 3)), np.zeros((0, 4), np.float32)


@dataclass(frozen=True)
class Marker:
    """A `visualization_msgs/Marker` without what is never used here.

    Attributes:
        namespace: with `number` its name.
        number: its id.
        kind: `type`.
        action: add, or delete all.
        points: (n, 3) metres.
        colours: (n, 4) float32 red, green, blue, alpha of each point.
        position: metres.
        scale: metres.
        text: of a label.
    """

    namespace: str
    number: int
    kind: int
    action: int = 0
    points: np.ndarray = field(default_factory=lambda: _NO_POINTS)
    colours: np.ndarray = field(default_factory=lambda: _NO_COLOURS)
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (0.0, 0.0, 0.0)
    text: str = ""


def _end(out: Cdr, text: str) -> None:
    """What comes after the colours, which end where an integer may begin."""
    out.string("")  # texture_resource; texture: stamp, frame, format, data
    out.put("iI", 0, 0)
    out.string("")
    out.string("")
    out.put("2I", 0, 0)  # the second: uv_coordinates
    out.string(text)
    out.string("")  # mesh_resource; mesh_file: name, data
    out.string("")
    out.put("IB", 0, 0)  # the second: mesh_use_embedded_materials


def _without_text() -> bytes:
    out = Cdr()
    _end(out, "")
    return bytes(out.data[len(ENCAPSULATION) :])


_END = _without_text()


def marker_array(markers: Sequence[Marker], stamp_ns: int, frame_id: str) -> bytes:
    """A `visualization_msgs/MarkerArray` as a bag holds it.

    Args:
        markers: all of one stamp and frame.
        stamp_ns: nanoseconds.
        frame_id: of their positions.
    """
    out = Cdr()
    out.put("I", len(markers))
    for m in markers:
        out.put("iI", stamp_ns // NS, stamp_ns % NS)
        out.string(frame_id)
        out.string(m.namespace)
        out.put("3i", m.number, m.kind, m.action)
        out.put("10d", *m.position, 0.0, 0.0, 0.0, 1.0, *m.scale, align=8)
        out.put("4fiIB", 1.0, 1.0, 1.0, 1.0, _LIFETIME_S, 0, 0)  # the last: frame_locked
        out.array(m.points, "<f8")
        out.array(m.colours, "<f4")
        if m.text:
            _end(out, m.text)
        else:
            out.data += _END
    return bytes(out.data)


def number(value: float) -> bytes:
    """A `std_msgs/Float32` as a bag holds it."""
    return ENCAPSULATION + struct.pack("<f", value)
