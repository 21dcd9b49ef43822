# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Faults on live skeletons: late messages come late, joints go missing, nothing reaches the tracker's own domain."""

import os
import signal
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import SkeletonArray  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from support.node_harness import NodeProcess, Probe, private_domain, stamp_ns  # noqa: E402

from aux_motion.commands import fault_inject  # noqa: E402
from aux_motion_core.evaluation.faults import Faults  # noqa: E402
from aux_motion_core.skeleton import INDEX, JointStatus  # noqa: E402
from aux_motion_core.wire.messages import frame_from_message  # noqa: E402

INJECT = [sys.executable, "-m", "aux_motion.cli", "fault-inject"]


def test_faults_go_to_another_domain_and_delays_are_real(tmp_path):
    here, there = Probe(private_domain()), None
    heard, leaked = [], []
    other = private_domain()
    try:
        there = Probe(other)
        there.node.create_subscription(
            SkeletonArray, "skeletons_faulty", lambda m: heard.append((time.time_ns(), m)), qos_profile_sensor_data
        )
        here.node.create_subscription(SkeletonArray, "skeletons_faulty", leaked.append, qos_profile_sensor_data)
        command = [*INJECT, "drop=0.3,limb=left_arm,nan=0.1,delay_ms=200,jitter_ms=100", "--domain", str(other)]
        process = NodeProcess(here.node.context.get_domain_id(), tmp_path / "inject.log", command)
        here.watched.append(process)
        here.until(lambda: here.skeletons.get_subscription_count() > 0, "the injector")
        there.until(lambda: there.node.count_publishers("skeletons_faulty") > 0, "its publisher")
        end = time.monotonic() + 20.0
        while len(heard) < 60:
            assert time.monotonic() < end, process.output()
            here.send(time.time_ns(), ids=("1", "2"))
            here.spin_for(0.01)
            there.spin_for(0.01)
        here.watched.clear()
        assert process.stop(signal.SIGINT) == 0
        here.spin_for(0.2)
    finally:
        for probe in (here, there):
            if probe is not None:
                probe.close()
    late_ms = np.array([t - stamp_ns(m.header.stamp) for t, m in heard]) * 1e-6
    assert late_ms.min() >= 200.0 and 220 < np.median(late_ms) < 400
    stamps = [stamp_ns(m.header.stamp) for _, m in heard]
    assert stamps != sorted(stamps)  # they overtake each other
    frames = [frame_from_message(m) for _, m in heard]
    missing = np.concatenate([f.status == JointStatus.MISSING for f in frames])
    assert missing[:, INDEX["left_wrist"]].all() and 0.2 < missing[:, INDEX["right_wrist"]].mean() < 0.55
    claimed = np.concatenate([np.array(m.joint_status) for _, m in heard]) == JointStatus.OBSERVED
    broken = np.isnan(np.concatenate([m.positions for _, m in heard]).reshape(-1, 3)).any(1)
    assert (claimed & broken).any()  # said to be seen, and not a number
    assert not leaked
    assert "passed on" in process.output() and f"ROS_DOMAIN_ID={other}" in process.output()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"domain": 7}, "--domain 7 is the domain of the skeletons themselves"),
        ({"domain": 8, "same_domain": True}, "not both"),
        ({"target": "/skeletons", "same_domain": True}, "give two topics"),
        ({"source": "x y"}, "'x y' is no name of a topic .*: give another with --from"),
        ({"target": "x//y"}, "'x//y' is no name of a topic .*: give another with --to"),
    ],
)
def test_a_tracker_is_not_spoken_over_by_accident(monkeypatch, options, says):
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    with pytest.raises(ValueError, match=says):
        fault_inject.inject(Faults.parse("drop=0.1"), **options)


def test_without_a_domain_it_speaks_on_a_private_one(monkeypatch):
    monkeypatch.delenv("AUX_MOTION_DOMAIN_ID", raising=False)
    own = private_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(own))
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)
    listening, publishing, here, there = fault_inject.contexts(None, False)
    try:
        assert here == own == listening.get_domain_id() and there == publishing.get_domain_id() != own
        assert os.environ["ROS_DOMAIN_ID"] == str(own) and "ROS_AUTOMATIC_DISCOVERY_RANGE" not in os.environ
    finally:
        listening.try_shutdown()
        publishing.try_shutdown()
