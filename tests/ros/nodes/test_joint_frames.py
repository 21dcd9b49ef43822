# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Joints as TF frames: names of REP-155, places, and a real node that publishes them."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from scipy.spatial.transform import Rotation  # noqa: E402
from support import foreign_messages  # noqa: E402
from support.node_harness import STANDING  # noqa: E402

from aux_motion.nodes.joint_frames import LINKS, body_rotation, transforms  # noqa: E402
from aux_motion_core.constants import NS  # noqa: E402
from aux_motion_core.skeleton import INDEX, JOINTS, JointStatus  # noqa: E402
from aux_motion_core.trackers.ros4hri import LINKS as REP155  # noqa: E402
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState  # noqa: E402

LISTENER = """
import json, sys, time, rclpy
from tf2_msgs.msg import TFMessage
rclpy.init(); node = rclpy.create_node("listener"); got = []
node.create_subscription(TFMessage, "/tf", got.append, 100)
end = time.monotonic() + 30
while len(got) < 3 and time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps({t.child_frame_id: [t.header.frame_id, t.header.stamp.sec + 1e-9 * t.header.stamp.nanosec,
    t.transform.translation.x, t.transform.translation.y, t.transform.translation.z] for t in got[-1].transforms}))
print("done", flush=True)
"""


def batch(state=TrackState.TRACKING, missing=(), person_id="7", at_s=3.0):
    status = np.full(20, JointStatus.OBSERVED, np.uint8)
    status[list(missing)] = JointStatus.MISSING
    steps = 25
    mean = np.stack([STANDING + (0.04 * (k + 1), 0.0, 0.0) for k in range(steps)])
    person = MotionPrediction(
        person_id, state, Reason(0), int(at_s * NS), int(at_s * NS), 0.0, int((at_s + 2) * NS), mean, STANDING, status
    )
    return PredictionBatch(int(at_s * NS), "map", "m", "1", 0.04, steps, tuple(JOINTS), (person,))


def by_name(found):
    return {t.child_frame_id: t for t in found}


def place(transform):
    at = transform.transform.translation
    return np.array([at.x, at.y, at.z])


def test_names_are_those_of_rep_155():
    assert {LINKS[joint] for joint in REP155.values()} == set(REP155)
    assert LINKS["left_hand"] == "l_hand" and LINKS["neck"] == "neck"


def test_present_joints_that_are_seen_and_predicted_ones():
    hand = INDEX["left_hand"]
    frames = by_name(transforms(batch(missing=[hand]), "", 0.5))
    assert len(frames) == 19 + 20 and "l_hand_7" not in frames and "l_hand_7_predicted" in frames
    head = frames["head_7"]
    assert head.header.frame_id == "map" and head.header.stamp.sec == 3
    np.testing.assert_allclose(place(head), STANDING[INDEX["head"]])
    np.testing.assert_allclose(place(frames["head_7_predicted"]), STANDING[INDEX["head"]] + (0.5, 0.0, 0.0))
    assert frames["head_7_predicted"].header.stamp.sec == 3
    assert len(transforms(batch(), "aux/", 0.0)) == 20
    assert "aux/body_0_3" in by_name(transforms(batch(person_id="0/3"), "aux/", 0.0))


@pytest.mark.parametrize("state, count", [(TrackState.WARMING_UP, 20), (TrackState.STALE, 0), (TrackState.ABSENT, 0)])
def test_who_is_not_seen_has_no_frames(state, count):
    assert len(transforms(batch(state), "", 0.5)) == count


def test_the_bodys_axes_are_those_of_rep_155():
    turn = Rotation.from_euler("z", 70, degrees=True)
    axes = Rotation.from_quat(body_rotation(turn.apply(STANDING))).as_matrix()
    np.testing.assert_allclose(axes, turn.as_matrix(), atol=1e-6)  # x forward, z up to the neck
    assert body_rotation(np.full((20, 3), np.nan)).tolist() == [0.0, 0.0, 0.0, 1.0]


def test_a_node_publishes_them(probe, start):
    start(extra=foreign_messages.built("tf2_msgs"), fixed_frame="world", backend="damped_pose", autostart=True,
          publish_tf=True, tf_ahead_s=0.4)  # fmt: skip
    listener = start([sys.executable, "-c", LISTENER])
    end = time.monotonic() + 40.0
    while "done" not in listener.output():
        assert time.monotonic() < end, listener.output()
        probe.send(time.time_ns())
        probe.spin_for(1 / 30)
    frames = json.loads(listener.output().splitlines()[-2])
    assert len(frames) == 40 and {f"{link}_1" for link in LINKS.values()} < set(frames)
    parent, stamp_s, *at = frames["head_1"]
    assert parent == "world" and abs(time.time() - stamp_s) < 2.0
    np.testing.assert_allclose(at, STANDING[INDEX["head"]], atol=0.02)
    np.testing.assert_allclose(frames["head_1_predicted"][2:], at, atol=0.05)  # who stands is predicted to stand


def test_the_names_of_the_trackers_own_frames_are_refused(probe, start):
    node = start(extra=foreign_messages.built("tf2_msgs"), fixed_frame="world", backend="damped_pose", autostart=True,
                 publish_tf=True, tracker="ros4hri")  # fmt: skip
    end = time.monotonic() + 20.0
    while "set tf_prefix" not in node.output() and "not installed" not in node.output():
        assert time.monotonic() < end, node.output()
        time.sleep(0.1)
