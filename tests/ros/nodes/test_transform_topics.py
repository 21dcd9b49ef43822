# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""TF of a robot in a namespace, with QoS of all kinds: heard, and where it is not, the error is true."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import PredictionArray, SkeletonArray  # noqa: E402
from support import foreign_messages  # noqa: E402
from support.node_harness import MOVING_ROBOT, STANDING  # noqa: E402

from aux_motion_core.skeleton import INDEX  # noqa: E402
from aux_motion_core.wire.views import PredictionView  # noqa: E402

TF_PROCESS = Path(__file__).resolve().parents[2] / "support" / "tf_process.py"


def test_a_namespaced_robot_is_heard_and_what_is_not_is_named(probe, start, tmp_path):
    packages = foreign_messages.built("tf2_msgs")
    names = ["__ns:=/robot1", "/tf:=tf", "/tf_static:=tf_static"]
    parameters = ["fixed_frame:=world", "autostart:=true", "backend:=damped_pose", "frozen_after_s:=0.0"]
    command = [sys.executable, "-m", "aux_motion.nodes.predictor_node", "--ros-args"]
    command += [w for n in names for w in ("-r", n)] + [w for p in parameters for w in ("-p", p)]
    robot = tmp_path / "robot.yaml"
    robot.write_text(MOVING_ROBOT)
    monitor = ["-c", "from aux_motion.entry import monitor; monitor()", "--ros-args", "-p", f"robot:={robot}"]
    start([sys.executable, *monitor, *(w for n in names for w in ("-r", n))], packages)
    other = start([sys.executable, str(TF_PROCESS), "/tf"], packages)  # of another robot
    start(command, packages)
    heard: list[PredictionArray] = []
    probe.node.create_subscription(PredictionArray, "/robot1/predictions", heard.append, 10)
    probe.skeletons = probe.node.create_publisher(SkeletonArray, "/robot1/skeletons", 5)

    def until(condition, what: str):
        def step():
            probe.send(time.time_ns() - 20_000_000, frame_id="camera")
            return condition()

        return probe.until(step, what)

    def error(text: str):
        status = probe.diagnostics.get("input")
        return status is not None and text in status.message

    until(lambda: error("nobody publishes /robot1/tf or /robot1/tf_static, but there are transforms on /tf: remap"), "")
    other.stop()
    broken = start([sys.executable, str(TF_PROCESS), "/robot1/tf_static", "--x", "nan"])  # volatile
    until(lambda: error("the transform from 'world' to 'camera' is not a number (nan 0 0 0 0 0 1)"), "what is wrong")
    broken.stop()
    start([sys.executable, str(TF_PROCESS), "/robot1/tf", "--best-effort", "--x", "3.0"])
    (person,) = until(lambda: heard and list(PredictionView(heard[-1])), "somebody")
    pelvis = INDEX["pelvis"]
    assert person.recovered[pelvis][0] == pytest.approx(STANDING[pelvis][0] + 3.0, abs=0.05)
    for topic in ("/robot1/tf", "/robot1/tf_static"):
        listeners = {(i.node_namespace, i.node_name) for i in probe.node.get_subscriptions_info_by_topic(topic)}
        assert {("/robot1", "aux_motion_predictor_tf"), ("/robot1", "aux_motion_ssm_tf")} <= listeners
