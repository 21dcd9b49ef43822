# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A MarkerArray from its bytes says the same as the message, or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from support import tracker_messages as make

from aux_motion_core import trackers
from aux_motion_core.bags.definitions import typestore
from aux_motion_core.trackers.marker_bytes import MarkerBytes

NS = make.NS
KIND = "visualization_msgs/msg/MarkerArray"


def as_bytes(message) -> bytes:
    return bytes(typestore().serialize_cdr(message, KIND))


def bodies(count: int = 4, frame: str = "depth_camera_link", time_s: float = 0.0):
    return make.azure_kinect({i: make.person("k4a32", time_s, float(i)) for i in range(count)}, 5 * NS + 7, frame)


@pytest.mark.parametrize("frame", ["a", "ab", "abc", "abcd", "depth_camera_link"])
@pytest.mark.parametrize("namespace", ["", "x", "xyzw"])
def test_says_what_the_message_says_whatever_the_padding(frame: str, namespace: str) -> None:
    adapter, usual = trackers.make("azure_kinect"), trackers.make("azure_kinect")
    for count, time_s in ((4, 0.0), (4, 0.1), (1, 0.2), (3, 0.3)):  # the layout of the last message is tried first
        message = bodies(count, frame, time_s)
        for marker in message.markers:
            marker.ns, marker.text = namespace, namespace
        (got,), (expected,) = adapter.frames_of_bytes(as_bytes(message)), usual.frames(message)
        np.testing.assert_array_equal(got.positions, expected.positions)
        assert (got.stamp_ns, got.frame_id, got.person_ids) == (5 * NS + 7, frame, expected.person_ids)


@pytest.mark.parametrize("k", [1, 5, 40, 127])
def test_markers_that_are_not_alike_are_left_to_the_usual_way(k: int) -> None:
    reader = MarkerBytes()
    assert reader.read(as_bytes(bodies())) is not None

    def with_change(change) -> bytes:
        message = bodies()
        change(message.markers[k])
        return as_bytes(message)

    def stamp(marker) -> None:
        marker.header.stamp.nanosec = 8

    def frame(marker) -> None:
        marker.header.frame_id = "depth_camera_lin2"

    def action(marker) -> None:
        marker.action = 2

    def name(marker) -> None:
        marker.ns = "other"

    def points(marker) -> None:
        marker.points = [make.blank("geometry_msgs/msg/Point")]

    for change in (stamp, frame, action, name, points):
        assert reader.read(with_change(change)) is None, change.__name__
    assert reader.read(as_bytes(bodies())) is not None, "and the next one again"


def test_cut_off_foreign_and_small_data_is_left_too() -> None:
    reader, data = MarkerBytes(), as_bytes(bodies())
    for cut in (0, 3, 10, 50, 300, 5000, len(data) - 4, len(data) - 1):
        assert reader.read(data[:cut]) is None
    assert reader.read(b"\x00\x00" + data[2:]) is None, "big endian"
    assert reader.read(as_bytes(make.azure_kinect({}))) is None
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert reader.read(data[:4] + rng.integers(0, 256, 3000, np.uint8).tobytes()) is None
