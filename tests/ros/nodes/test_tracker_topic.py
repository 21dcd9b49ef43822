# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The camera tracker's skeletons over DDS."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")

from aux_motion_msgs.msg import SkeletonArray  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402

from aux_motion.commands import track  # noqa: E402
from aux_motion.commands.people_tracker import nobody  # noqa: E402
from aux_motion.commands.video import TrackerError  # noqa: E402
from aux_motion_core.types import SkeletonFrame  # noqa: E402
from aux_motion_core.wire.messages import frame_from_message  # noqa: E402


def test_frames_arrive_as_they_left() -> None:
    person = SkeletonFrame(
        stamp_ns=5_000_000_001,
        frame_id="camera_floor",
        person_ids=("person_1",),
        positions=np.arange(60.0).reshape(1, 20, 3),
        status=np.ones((1, 20), np.uint8),
        confidence=np.full((1, 20), 0.5, np.float32),
        covariance=np.tile(np.float32([1, 0, 0, 2, 0, 3]), (1, 20, 1)),
    )
    with track._topic_sink("skeletons") as send:
        node = rclpy.create_node("listener")
        got: list[SkeletonFrame] = []
        node.create_subscription(
            SkeletonArray, "skeletons", lambda m: got.append(frame_from_message(m)), qos_profile_sensor_data
        )
        end = time.monotonic() + 20.0
        while len({f.person_ids for f in got}) < 2 and time.monotonic() < end:
            send(nobody(4_000_000_000, "camera_floor"))
            send(person)
            rclpy.spin_once(node, timeout_sec=0.05)
        node.destroy_node()
        rclpy.shutdown()
        with pytest.raises(KeyboardInterrupt):  # ROS was shut down: the tracker ends
            send(person)
    full = next(f for f in got if f.person_ids)
    assert (full.stamp_ns, full.frame_id, full.person_ids) == (5_000_000_001, "camera_floor", ("person_1",))
    np.testing.assert_array_equal(full.positions, person.positions)
    np.testing.assert_array_equal(full.covariance, person.covariance)
    empty = next(f for f in got if not f.person_ids)
    assert empty.stamp_ns == 4_000_000_000


def test_without_ros_the_error_says_what_to_do(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "aux_motion.nodes.conversion", None)
    with pytest.raises(TrackerError, match="ROS is not here.*or write a bag with --out") as caught:
        with track._topic_sink("skeletons"):
            pass
    assert "\n" not in str(caught.value)
