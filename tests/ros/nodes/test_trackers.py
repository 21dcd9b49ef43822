# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Trackers over real DDS: their messages, their QoS, their frames."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from scipy.spatial.transform import Rotation  # noqa: E402
from support import (
    foreign_messages,  # noqa: E402
    tracker_process,  # noqa: E402
)
from support.node_harness import STANDING, Probe, environment  # noqa: E402

from aux_motion_core import trackers  # noqa: E402
from aux_motion_core.skeleton import INDEX, JointStatus  # noqa: E402
from aux_motion_core.trackers.joint_maps import SOURCES  # noqa: E402
from aux_motion_core.types import TrackState  # noqa: E402
from aux_motion_core.wire.views import PredictionView  # noqa: E402

PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)
SUPPORT = Path(__file__).resolve().parents[2] / "support"


class Tracker:
    """Publishes a tracker's messages from the test's process."""

    def __init__(self, probe: Probe, tracker: str, topic: str, qos: QoSProfile | int = 10) -> None:
        self._probe, self._tracker = probe, tracker
        self.msgtype = trackers.adapter_class(tracker).msgtype
        self.publisher = probe.node.create_publisher(tracker_process.message_class(self.msgtype), topic, qos)
        self._start = time.monotonic()

    def send(self, **options: object) -> int:
        """One message, stamped now; returns its stamp."""
        ns = time.time_ns()
        message = tracker_process.people(self._tracker, time.monotonic() - self._start, ns, **options)
        self.publisher.publish(tracker_process.as_bytes(message, self.msgtype))
        self._probe.spin_for(1.0 / 30.0)
        return ns

    def until(self, condition, what: str, timeout_s: float = 30.0, **options: object):
        """Send until the condition gives something true, and return that."""
        end = time.monotonic() + timeout_s
        while not (result := condition()):
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}; {said(self._probe)}"
            self.send(**options)
        return result

    def close(self) -> None:
        self._probe.node.destroy_publisher(self.publisher)


def said(probe: Probe) -> str:
    """What the node says of its input."""
    status = probe.diagnostics.get("input")
    return "" if status is None else f"{status.message} {probe.values('input')}"


def predicted(probe: Probe, count: int = 1):
    """The newest message in which so many people are predicted."""
    for message in reversed(probe.predictions):
        view = PredictionView(message)
        if sum(p.state in PREDICTED for p in view) >= count:
            return view
    return None


@pytest.fixture
def start(start):
    """Start the node (or a command) with a baseline."""
    values = {"fixed_frame": "world", "backend": "damped_pose", "autostart": True}

    def run(command=None, extra=None, **parameters: object):
        return start(command, extra, **({} if command else {**values, **parameters}))

    return run


STATIC = {"static_transform_frame": "camera", "static_transform": "[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]"}


def test_azure_kinect(probe, start):
    start(tracker="azure_kinect", input_topic="body_tracking_data", **STATIC)
    tracker = Tracker(probe, "azure_kinect", "body_tracking_data")
    view = tracker.until(lambda: predicted(probe, 2), "two people", count=2)
    assert set(view.people) == {"1", "2"}
    for person in view:
        assert np.isfinite(person.mean).all() and person.recovered[INDEX["head"]][2] > 1.4
        assert (person.joint_status != JointStatus.MISSING).all()
    probe.until(lambda: probe.values("input").get("tracker") == "azure_kinect", "the tracker in the diagnostics")
    # an empty array has no stamp: nobody is told to be gone, and the people go STALE by time
    before = len(probe.predictions)
    tracker.until(
        lambda: any(p.state == TrackState.STALE for m in probe.predictions[before:] for p in PredictionView(m)),
        "STALE",
        count=0,
    )
    probe.until(lambda: int(probe.values("input").get("azure_kinect_nobody", 0)) > 0, "empty arrays counted")


def test_pose_array_with_a_joint_list_and_bad_messages(probe, start):
    start(tracker="pose_array", tracker_joints="[coco17]", input_topic="poses", **STATIC)
    tracker = Tracker(probe, "pose_array", "poses")
    view = tracker.until(lambda: predicted(probe), "a prediction")
    (person,) = view
    assert person.joint_status[INDEX["spine"]] == JointStatus.MISSING
    assert person.joint_status[INDEX["pelvis"]] == JointStatus.DERIVED
    from support import tracker_messages as make

    for _ in range(3):  # a pose is missing: whose joint is which, nobody knows
        wrong = make.poses(np.ones((16, 3)), time.time_ns(), "camera")
        tracker.publisher.publish(tracker_process.as_bytes(wrong, tracker.msgtype))
        probe.spin_for(0.05)
    probe.until(lambda: int(probe.values("input").get("bad_messages", 0)) >= 3, "bad messages counted")
    status = probe.diagnostics["input"]
    assert status.level == DiagnosticStatus.WARN and "multiple of 17" in status.message, status.message
    before = len(probe.predictions)
    tracker.until(lambda: len(probe.predictions) > before + 5 and predicted(probe), "going on")


def test_qos_is_matched_and_again_when_publishers_change(probe, start):
    node = start(tracker="pose_array", tracker_joints="[coco17]", input_topic="poses", **STATIC)

    def qos_is(words: str):
        return lambda: probe.values("input").get("input_qos") == words

    latched = QoSProfile(depth=5, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    first = Tracker(probe, "pose_array", "poses", latched)
    first.until(qos_is("reliable, transient local"), "reliable and transient local")
    first.until(lambda: predicted(probe), "predictions by reliable messages")
    best_effort = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    second = Tracker(probe, "pose_array", "poses", best_effort)
    first.until(qos_is("best effort, volatile"), "the least that both offer")
    first.close()
    probe.predictions.clear()
    second.until(lambda: predicted(probe), "predictions by best effort messages")
    second.close()
    third = Tracker(probe, "pose_array", "poses", 10)
    third.until(qos_is("reliable, volatile"), "reliable again")
    assert "as it is published" in node.output()


def test_a_topic_of_another_type_is_named_with_its_tracker(probe, start):
    start(tracker="azure_kinect", input_topic="poses")
    tracker = Tracker(probe, "pose_array", "poses")
    tracker.until(lambda: "no publisher on /poses matches" in said(probe), "the mismatch")
    status = probe.diagnostics["input"]
    assert status.level == DiagnosticStatus.WARN
    assert "visualization_msgs/msg/MarkerArray" in status.message and "pose_array" in status.message


#: (parameters, what is said)
UNUSABLE = [
    ({"tracker": "zed"}, "zed_msgs/msg/ObjectsStamped, which is not installed: apt install"),
    ({"tracker": "yolo"}, "build https://github.com/mgonzs13/yolo_ros"),
    ({"tracker": "ros4hri"}, "apt install ros-$ROS_DISTRO-hri-msgs"),
    ({"tracker": "hiros"}, "skeleton_msgs/msg/SkeletonGroup, which is not installed: build https"),
    ({"tracker": "kinect9"}, "unknown tracker 'kinect9': expected one of aux_motion, zed"),
    ({"tracker": "pose_array"}, "no joint list: name one of"),
    ({"tracker": "pose_array", "tracker_joints": ["left_elbo"]}, "did you mean 'left_elbow'"),
    ({"tracker_joints": ["coco17"]}, "name their joints: leave it empty"),
    ({"input_topics": ["a", "b", "c"], "input_trackers": ["zed", "yolo"]}, "input_trackers has 2 values: expected"),
    ({"static_transforms": ["camera 1 2 3"]}, "expected a frame, x y z in metres"),
]


def test_what_cannot_be_used_is_one_line_at_configure(domain):
    """All in one process, which is quicker."""
    code = (
        "import sys, json, rclpy\n"
        "from aux_motion.nodes.predictor_node import PredictorNode\n"
        "rclpy.init()\n"
        "for more in json.loads(sys.argv[1]):\n"
        "    node = PredictorNode({'fixed_frame': 'world', 'backend': 'zero_velocity', **more})\n"
        "    print(json.dumps([node.start(), node.failure]))\n"
        "    node.destroy_node()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([parameters for parameters, _ in UNUSABLE])],
        env=environment(domain),
        capture_output=True,
        text=True,
        timeout=100,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(told) == len(UNUSABLE) and "Traceback" not in done.stderr, done.stdout + done.stderr
    for (started, line), (_, says) in zip(told, UNUSABLE, strict=True):
        assert not started and says in line and "\n" not in line, line


def test_two_cameras_see_one_body_and_it_is_one_person(probe, start):
    start(
        input_topics="[kinect/bodies, poses]",
        input_trackers="[azure_kinect, pose_array]",
        tracker_joints="[coco17]",
        static_transforms="['camera 1 0 0 0 0 0 1']",
    )
    first, second = Tracker(probe, "azure_kinect", "kinect/bodies"), Tracker(probe, "pose_array", "poses")
    second._start = first._start

    def both():
        second.send()
        view = predicted(probe)
        return view if view and probe.values("input").get("fusion_linked") == "1" else None

    view = first.until(both, "one person of two cameras")
    assert len(view.people) == 1
    assert probe.values("input")["tracker"] == "azure_kinect, pose_array"
    assert probe.values("input")["fusion_linked"] == "1"
    for _ in range(30):  # the second alone
        second.send()
    last = PredictionView(probe.predictions[-1])
    assert set(last.people) == set(view.people) and last[next(iter(last.people))].state in PREDICTED


def test_a_camera_whose_tilt_is_not_told_is_named(probe, start):
    start(**STATIC)  # says that it is level
    probe.connect()
    turn = Rotation.from_euler("y", 20.0, degrees=True).as_matrix()
    tilted = (STANDING @ turn.T).astype(np.float32).reshape(-1).tolist()
    start_ns = time.time_ns() - 6 * 10**9
    for k in range(60):
        probe.send(start_ns + k * 10**8, frame_id="camera", positions=tilted)
        probe.spin_for(0.01)
    probe.until(lambda: "lean by 20 degrees: the transform of 'camera'" in said(probe), "the tilt")
    assert probe.diagnostics["input"].level == DiagnosticStatus.WARN
    assert float(probe.values("input")["tilt_deg"]) == pytest.approx(20.0, abs=1.0)


# With tf2_msgs


@pytest.fixture(scope="session")
def tf_messages() -> dict[str, str]:
    return foreign_messages.built("tf2_msgs")


def test_frames_wait_for_the_transform_of_a_moving_camera_and_nothing_blocks(probe, start, tf_messages):
    start(extra=tf_messages, tracker="pose_array", tracker_joints="[coco17]", input_topics="[poses, fixed]",
          input_trackers="[pose_array]", static_transforms="['fixed 0 9 0 0 0 0 1']", tf_timeout_s=0.6)  # fmt: skip
    start([sys.executable, str(SUPPORT / "tracker_process.py"), "pose_array", "--topic", "poses", "--tf-late-s", "0.1"])
    view = probe.until(lambda: predicted(probe), "a prediction", timeout_s=40.0)
    (person,) = view
    waited = probe.until(lambda: int(probe.values("input").get("tf_waited", 0)) > 20, "frames that waited")
    counts = probe.values("input")  # a few give up while the transforms' publisher starts, and on a slow machine
    assert waited and int(counts.get("tf_timeout", 0)) < int(counts["tf_waited"]) / 4
    # the robot moves by 0.1 m/s, the person walks in a circle of 2 m around the world's origin, whatever it does
    probe.predictions.clear()
    view = probe.until(lambda: predicted(probe), "a newer prediction")
    (person,) = view
    assert abs(np.linalg.norm(person.recovered[INDEX["pelvis"]][:2]) - 2.0) < 0.05
    assert abs(person.recovered[INDEX["pelvis"]][2] - 0.9) < 0.1
    # the other input goes on at once while these wait
    other = probe.node.create_publisher(tracker_process.message_class("geometry_msgs/msg/PoseArray"), "fixed", 10)
    from support import tracker_messages as make

    delays = []
    for _ in range(40):
        ns = time.time_ns()
        message = make.poses(make.person("coco17", ns * 1e-9 % 1000.0) + 3.0, ns, "fixed")
        other.publish(tracker_process.as_bytes(message, "geometry_msgs/msg/PoseArray"))
        probe.spin_for(1.0 / 30.0)
        for p in PredictionView(probe.predictions[-1]):
            if p.id.startswith("1/") and p.stamp_ns > ns - 100_000_000:
                delays.append(p.stamp_ns)
    assert len(set(delays)) > 5, "the second input came through while frames of the first waited for 0.1 s"


def test_without_the_transform_the_error_names_frame_and_remedy(probe, start, tf_messages):
    start(extra=tf_messages, tracker="azure_kinect", input_topic="bodies")
    tracker = Tracker(probe, "azure_kinect", "bodies")
    tracker.until(lambda: "no transform from 'camera' to the fixed frame 'world'" in said(probe), "the error")
    status = probe.diagnostics["input"]
    assert status.level == DiagnosticStatus.ERROR and "static_transform" in status.message
    assert int(probe.values("input")["tf_timeout"]) > 0
    assert all(not m.people for m in probe.predictions)


# With the trackers' own packages: a matter of minutes, so only where they were built before
# (PYTHONPATH=tests python -m support.foreign_messages)


WORN = "[" + ", ".join(f"'{joint}={joint}'" for joint in SOURCES["coco17"]) + "]"


@pytest.mark.parametrize(
    ("tracker", "options", "earlier"),
    [
        ("zed", {}, False), ("yolo", {}, False), ("hiros", {}, False), ("ros4hri", {}, False),
        ("ros_openpose", {}, False), ("openptrack", {}, False), ("jsk", {}, False),
        ("mocap4r2_markers", {"tracker_joints": WORN}, False), ("mocap4r2_bodies", {"tracker_joints": WORN}, False),
        ("zed", {}, True), ("mocap4r2_markers", {"tracker_joints": WORN}, True),
    ],
)  # fmt: skip
def test_the_trackers_own_messages(probe, start, tracker, options, earlier):
    packages = foreign_messages.if_built()
    if packages is None:
        pytest.skip("the trackers' packages are not built: PYTHONPATH=tests python -m support.foreign_messages")
    topic = trackers.adapter_class(tracker).topic
    start(extra=packages, tracker=tracker, **options, **STATIC)
    command = [sys.executable, str(SUPPORT / "tracker_process.py"), tracker, "--topic", topic]
    start([*command, *(["--earlier"] if earlier else [])])
    view = probe.until(lambda: predicted(probe), f"a prediction of {tracker}; {said(probe)}", timeout_s=40.0)
    (person,) = view
    assert set(view.people) <= {"0", "1", "u0", "x1"}
    assert abs(np.linalg.norm(person.recovered[INDEX["pelvis"]][:2] - (1.0, 0.0)) - 2.0) < 0.1
