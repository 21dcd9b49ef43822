# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Markers and skeletons as bytes are what the type store makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from aux_motion_core.bags.cdr import skeleton_array
from aux_motion_core.bags.definitions import SKELETONS, build_message, typestore
from aux_motion_core.bags.markers import Marker, marker_array, number
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import frame_fields

ARRAY = "visualization_msgs/msg/MarkerArray"
STAMP = {"sec": 1_700_000_000, "nanosec": 5}


def message(m: Marker, frame_id: str) -> dict:
    names = ("r", "g", "b", "a")
    nothing = np.zeros(0, np.uint8)
    return {
        "header": {"stamp": STAMP, "frame_id": frame_id},
        "ns": m.namespace, "id": m.number, "type": m.kind, "action": m.action,
        "pose": {
            "position": dict(zip("xyz", m.position, strict=True)),
            "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
        },
        "scale": dict(zip("xyz", m.scale, strict=True)),
        "color": dict.fromkeys(names, 1.0),
        "lifetime": {"sec": 1, "nanosec": 0},
        "frame_locked": False,
        "points": [dict(zip("xyz", p.tolist(), strict=True)) for p in m.points],
        "colors": [dict(zip(names, c.tolist(), strict=True)) for c in m.colours],
        "texture_resource": "",
        "texture": {"header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""}, "format": "", "data": nothing},
        "uv_coordinates": [], "text": m.text, "mesh_resource": "",
        "mesh_file": {"filename": "", "data": nothing},
        "mesh_use_embedded_materials": False,
    }  # fmt: skip


@pytest.mark.parametrize("frame_id", ["", "map", "a_longer_främe"])
@pytest.mark.parametrize("points", [0, 1, 5])
def test_bytes_are_those_of_the_type_store(frame_id, points):
    rng = np.random.default_rng(points)
    markers = [
        Marker("", 0, 5, action=3),
        Marker("lines", 7, 5, 0, rng.normal(size=(points, 3)), rng.random((points, 4)).astype(np.float32)),
        Marker("labels", -1, 9, position=(1.0, -2.0, 0.5), scale=(0.0, 0.0, 0.12), text="somebody"),
    ]
    expected = build_message(ARRAY, {"markers": [message(m, frame_id) for m in markers]})
    made = marker_array(markers, STAMP["sec"] * 10**9 + STAMP["nanosec"], frame_id)
    assert made == bytes(typestore().serialize_cdr(expected, ARRAY))
    assert marker_array([], 0, "map") == bytes(typestore().serialize_cdr(build_message(ARRAY, {"markers": []}), ARRAY))


def test_numbers_too():
    expected = build_message("std_msgs/msg/Float32", {"data": 1.25})
    assert number(1.25) == bytes(typestore().serialize_cdr(expected, "std_msgs/msg/Float32"))


@pytest.mark.parametrize("frame_id", ["", "map", "a_longer_främe"])
@pytest.mark.parametrize("ids", [(), ("1",), ("one", "zwölf", "a long name")])
@pytest.mark.parametrize("covariance", [False, True])
def test_skeletons_too(frame_id, ids, covariance):
    rng = np.random.default_rng(len(ids))
    positions = rng.normal(size=(len(ids), 20, 3))
    positions[:, 3] = np.nan
    frame = SkeletonFrame(
        stamp_ns=STAMP["sec"] * 10**9 + STAMP["nanosec"],
        frame_id=frame_id,
        person_ids=ids,
        positions=positions,
        status=rng.integers(0, 4, (len(ids), 20)).astype(np.uint8),
        confidence=rng.random((len(ids), 20)).astype(np.float32),
        covariance=rng.random((len(ids), 20, 6)).astype(np.float32) if covariance else None,
    )
    expected = build_message(SKELETONS, frame_fields(frame))
    assert skeleton_array(frame) == bytes(typestore().serialize_cdr(expected, SKELETONS))
