# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The node as its users meet it: a process, DDS, services."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import PredictionArray  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.qos import LivelinessPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from support.node_harness import ROOT, STANDING, NodeProcess, Probe, private_domain, stamp_ns  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from aux_motion_core.skeleton import JOINTS  # noqa: E402
from aux_motion_core.types import Reason, TrackState, View, ViewReason  # noqa: E402
from aux_motion_core.wire.views import PredictionView  # noqa: E402

MODEL = ROOT / "models" / "body20_25hz"
PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """An active node with a baseline, and a probe; one for all tests that leave it running."""
    domain = private_domain()
    log = tmp_path_factory.mktemp("node") / "node.log"
    node = NodeProcess(
        domain,
        log,
        fixed_frame="world",
        backend="damped_pose",
        autostart=True,
        lost_after_s=0.6,  # people are soon forgotten, so that the next test starts with nobody
        absent_hold_s=0.6,
        static_transform_frame="camera",
        static_transform="[1.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0]",
    )
    probe = Probe(domain)
    probe.watched.append(node)
    probe.connect()
    yield node, probe
    probe.close()
    node.stop(signal.SIGKILL)


@pytest.fixture
def quiet(running):
    """The running node when it knows nobody."""
    node, probe = running
    probe.predictions.clear()
    probe.until(lambda: probe.predictions and not probe.predictions[-1].people, "everybody forgotten")
    probe.predictions.clear()
    probe.diagnostics.clear()
    return probe


def person(message, person_id: str = "1"):
    """The view of one person in a message, None when it is not in it."""
    return PredictionView(message).people.get(person_id)


def newest_with(probe, condition):
    """The newest prediction of person 1 for which the condition holds."""
    for message in reversed(probe.predictions):
        view = person(message)
        if view is not None and condition(view):
            return message
    return None


def test_a_message_comes_out_as_a_prediction(quiet):
    last_ns = quiet.walk(time.time_ns())
    message = quiet.until(
        lambda: newest_with(quiet, lambda p: p.state in PREDICTED and p.stamp_ns == last_ns), "a prediction"
    )
    view = PredictionView(message)
    assert view.frame_id == "world"
    assert view.joint_names == JOINTS
    assert message.model_name == "damped_pose"
    assert message.processing_time_s > 0.0
    walker = view["1"]
    assert Reason.UNCALIBRATED in walker.reasons
    assert walker.mean.shape == (view.steps, 20, 3)
    pelvis_now, pelvis_later = walker.recovered[0], walker.at(last_ns + 400_000_000)[0]
    assert 0.1 < pelvis_later[0] - pelvis_now[0] < 0.6, "a walker goes on"
    assert abs(pelvis_later[1]) < 0.05


def test_heartbeat_without_input_then_stale_then_absent_then_nobody(quiet):
    quiet.until(lambda: len(quiet.predictions) >= 3, "heartbeats without input")
    assert all(not m.people for m in quiet.predictions)
    last_ns = quiet.walk(time.time_ns() - 700_000_000)
    for state in (TrackState.STALE, TrackState.ABSENT):
        found = quiet.until(
            lambda s=state: newest_with(quiet, lambda p: p.state == s and p.last_observed_ns == last_ns),
            state.name,
        )
        view = person(found)
        assert view.radius is not None and np.all(np.diff(view.radius, axis=0) > 0), "reach grows"
    quiet.until(lambda: not quiet.predictions[-1].people, "nobody")


def test_every_message_of_a_burst_enters_its_track(quiet):
    before = int(quiet.until(lambda: quiet.values("input"), "diagnostics")["messages"])
    start_ns = time.time_ns() - 700_000_000
    for k in range(16):
        quiet.send(start_ns + k * 40_000_000, x=0.04 * k)
    last_ns = start_ns + 15 * 40_000_000
    quiet.until(
        lambda: newest_with(quiet, lambda p: p.stamp_ns == last_ns and p.state in PREDICTED),
        "the burst's prediction",
    )
    quiet.until(lambda: int(quiet.values("input")["messages"]) == before + 16, "the count of messages")


def test_stamps_that_jump_back_start_a_new_track(quiet):
    late_ns = quiet.walk(time.time_ns() + 10_000_000_000)
    quiet.until(lambda: newest_with(quiet, lambda p: p.stamp_ns == late_ns), "the first round")
    quiet.predictions.clear()
    early_ns = quiet.walk(time.time_ns())
    message = quiet.until(
        lambda: newest_with(quiet, lambda p: p.stamp_ns == early_ns and p.state in PREDICTED),
        "the second round",
    )
    pelvis = person(message).recovered[0]
    assert abs(pelvis[0] - 0.76) < 0.05, "nothing of the first round is left in the window"


def test_bad_messages_are_counted_and_named_and_stop_nothing(quiet):
    before = int(quiet.until(lambda: quiet.values("input"), "diagnostics")["bad_messages"])
    now_ns = time.time_ns()
    quiet.send(now_ns, joint_names=["pelvis", "third_eye"])
    quiet.send(now_ns, positions=[1.0, 2.0])
    quiet.until(lambda: int(quiet.values("input")["bad_messages"]) == before + 2, "both counted")
    status = quiet.diagnostics["input"]
    assert status.level == DiagnosticStatus.WARN
    assert "positions has 2 values" in quiet.values("input")["last_bad_message"]
    quiet.send((2**31 - 1) * 10**9, ids=["from_the_far_future"])
    quiet.until(lambda: int(quiet.values("input")["bad_messages"]) == before + 3, "a stamp that is none")
    last_ns = quiet.walk(time.time_ns())
    quiet.until(lambda: newest_with(quiet, lambda p: p.stamp_ns == last_ns), "a prediction after bad messages")


def test_nan_and_inf_joints_stay_out_of_the_prediction(quiet):
    start_ns = time.time_ns()
    for k in range(15):
        stamp = start_ns + k * 40_000_000
        positions = (STANDING + [0.02 * k, 0.0, 0.0]).astype(np.float32).reshape(-1)
        positions[3 * 7 : 3 * 8] = np.nan
        positions[3 * 11] = np.inf
        quiet.send(stamp, positions=positions.tolist())
        quiet.spin_for(0.01)
    message = quiet.until(lambda: newest_with(quiet, lambda p: p.stamp_ns == stamp), "a prediction")
    view = person(message)
    assert np.isfinite(view.mean).all() and np.isfinite(view.recovered).all()
    assert view.joint_status[7] == 0 and view.joint_status[11] == 0 and view.joint_status[0] == 1


def test_z_pointing_down_is_said_and_only_a_bound_is_given(quiet):
    start_ns = time.time_ns()
    upside_down = (STANDING * (1.0, -1.0, -1.0)).astype(np.float32).reshape(-1).tolist()
    for k in range(25):
        quiet.send(start_ns + k * 40_000_000, positions=upside_down)
        quiet.spin_for(0.01)
    message = quiet.until(lambda: newest_with(quiet, lambda p: Reason.NOT_Z_UP in p.reasons), "the reason")
    assert person(message).radius is not None
    status = quiet.until(
        lambda: next((s for s in quiet.diagnostics.values() if "upside down" in s.message), None),
        "the line in the diagnostics",
    )
    assert status.level == DiagnosticStatus.WARN and "z up" in status.message


def test_sixty_people_and_one_with_two_joints(quiet):
    start_ns = time.time_ns()
    ids = [f"p{i}" for i in range(60)]
    for k in range(8):
        positions = np.stack([STANDING + (0.0, float(i), 0.0) for i in range(60)]).astype(np.float32)
        positions[7, 2:] = np.nan
        quiet.send(start_ns + k * 40_000_000, ids=ids, positions=positions.reshape(-1).tolist())
        quiet.spin_for(0.03)
    last_ns = start_ns + 7 * 40_000_000
    message = quiet.until(
        lambda: next((m for m in quiet.predictions if stamp_ns(m.header.stamp) >= last_ns and m.people), None),
        "a prediction of everybody",
    )
    view = PredictionView(message)
    assert set(view.people) == set(ids)
    assert Reason.FEW_JOINTS in view["p7"].reasons and Reason.FEW_JOINTS not in view["p8"].reasons
    assert all(np.isfinite(p.mean).all() for p in view)


def test_a_frame_that_cannot_be_brought_to_the_fixed_frame_is_an_error_and_predicts_nothing(quiet):
    quiet.walk(time.time_ns(), frames=5, frame_id="moving_camera")
    quiet.until(
        lambda: "input" in quiet.diagnostics and quiet.diagnostics["input"].level == DiagnosticStatus.ERROR,
        "an error",
    )
    line = quiet.diagnostics["input"].message
    assert "moving_camera" in line and "world" in line and "static_transform" in line
    assert all(not m.people for m in quiet.predictions)


def test_a_static_transform_brings_the_camera_to_the_fixed_frame(quiet):
    last_ns = quiet.walk(time.time_ns(), frame_id="camera")
    message = quiet.until(lambda: newest_with(quiet, lambda p: p.stamp_ns == last_ns), "a prediction")
    pelvis = person(message).recovered[0]
    np.testing.assert_allclose(pelvis, [1.0 - 0.76, 2.0, 0.95], atol=0.02)  # half a turn about z, then moved


def test_markers_only_when_somebody_looks(quiet):
    before = int(quiet.until(lambda: quiet.values("prediction"), "diagnostics")["marker_arrays"])
    assert before == 0, "nobody looked yet"
    received: list[MarkerArray] = []
    subscription = quiet.node.create_subscription(MarkerArray, "markers", received.append, 10)
    quiet.walk(time.time_ns())
    array = quiet.until(lambda: next((a for a in received if len(a.markers) == 3), None), "markers of a person")
    lines = array.markers[1]
    assert lines.header.frame_id == "world"
    assert len(lines.points) == len(lines.colors) == 2 * 19 * 6, "19 bones, the present and five later poses"
    alphas = [c.a for c in lines.colors[:: 2 * 19]]
    assert alphas == sorted(alphas, reverse=True) and alphas[0] == 1.0
    quiet.node.destroy_subscription(subscription)


def test_output_is_reliable_with_deadline_and_liveliness(running):
    _, probe = running
    info = probe.until(lambda: probe.node.get_publishers_info_by_topic("/predictions"), "the publisher")[0]
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    assert info.qos_profile.deadline.nanoseconds == 200_000_000
    assert info.qos_profile.liveliness == LivelinessPolicy.MANUAL_BY_TOPIC
    assert info.qos_profile.liveliness_lease_duration.nanoseconds == 400_000_000
    received: list = []
    strict = QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        deadline=Duration(seconds=0.2),
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=0.4),
    )
    subscription = probe.node.create_subscription(PredictionArray, "predictions", received.append, strict)
    probe.until(lambda: received, "a message for a subscriber that asks for all of it")
    probe.node.destroy_subscription(subscription)


def test_diagnostics_say_what_runs(quiet):
    quiet.walk(time.time_ns())
    values = quiet.until(lambda: quiet.values("prediction"), "diagnostics")
    assert values["backend"] == "damped_pose"
    assert values["lifecycle_state"] == "active"
    keys = {f"{s}_ms_{q}" for s in ("inference", "end_to_end") for q in ("p50", "p95", "p99")}
    quiet.until(lambda: keys <= set(quiet.values("prediction")), "latencies")
    assert {"input_rate_hz", "input_age_s", "messages", "bad_messages"} <= set(quiet.values("input"))


def test_parameters_are_described_and_checked_while_it_runs(running):
    _, probe = running
    fixed, gap, threads = probe.describe("fixed_frame", "max_gap_s", "threads").descriptors
    assert not fixed.read_only and "Required" in fixed.description
    assert gap.description and len(gap.floating_point_range) == 1 and not gap.read_only
    assert threads.integer_range[0].from_value == 0
    assert probe.set_parameter("max_gap_s", 0.2).successful
    assert not probe.set_parameter("fixed_frame", "map").successful
    assert not probe.set_parameter("max_gap_s", -1.0).successful
    refused = probe.set_parameter("backend", "zero_velocity")
    assert not refused.successful and "configure" in refused.reason


def test_lifecycle_and_a_wrong_model(start, probe, tmp_path):
    node = start(fixed_frame="world", model_dir=tmp_path / "no_model")
    assert probe.state() == "unconfigured"
    assert not probe.transition("configure")
    assert probe.state() == "unconfigured"
    probe.until(lambda: "prediction" in probe.diagnostics, "diagnostics")
    probe.until(lambda: "no_model" in probe.diagnostics["prediction"].message, "the failure in the diagnostics")
    assert probe.diagnostics["prediction"].level == DiagnosticStatus.ERROR
    failures = [line for line in node.output().splitlines() if "configure failed" in line]
    assert len(failures) == 1 and "no_model" in failures[0]
    assert "Traceback" not in node.output()

    assert probe.set_parameter("backend", "zero_velocity").successful
    assert probe.transition("configure") and probe.state() == "inactive"
    assert not probe.predictions, "an inactive node says nothing"
    assert probe.transition("activate") and probe.state() == "active"
    probe.until(lambda: probe.predictions, "a heartbeat")
    assert probe.transition("deactivate") and probe.state() == "inactive"
    probe.spin_for(0.3)
    probe.predictions.clear()
    probe.spin_for(0.5)
    assert not probe.predictions
    assert probe.transition("cleanup") and probe.state() == "unconfigured"
    assert probe.transition("configure") and probe.transition("activate")
    probe.until(lambda: probe.predictions, "a heartbeat after the second activation")
    assert probe.transition("shutdown")
    assert node.stop(signal.SIGTERM) == 0, node.output()


def test_a_missing_fixed_frame_is_asked_for_and_the_node_starts_when_it_is_set(start, probe, tmp_path):
    params, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    params.write_text("/**:\n  ros__parameters: {stale_after: 0.5, backend: damped_pose}\n")
    other.write_text("aux_predictor:\n  ros__parameters: {fixed_frame: map}\n")
    files = [word for file in (params, other) for word in ("--params-file", str(file))]
    node = start([sys.executable, "-m", "aux_motion.nodes.predictor_node", "--ros-args", *files])
    probe.until(lambda: "fixed_frame is required" in node.output(), "the line")
    assert probe.state() == "unconfigured"
    assert "does not know, and that change nothing: stale_after (did you mean stale_after_s?)" in node.output()
    assert f"{other} has no section for /aux_motion_predictor" in node.output()
    assert not probe.set_parameter("stale_after_s", -1.0).successful
    assert probe.set_parameter("tracker", "aux_motion").successful, "one thing after the other"
    assert probe.set_parameter("fixed_frame", "world").successful
    probe.until(lambda: probe.predictions, "a heartbeat: it was tried again")
    assert probe.predictions[-1].header.frame_id == "world"
    probe.until(lambda: "stale_after_s?" in probe.diagnostics["prediction"].message, "the remark in the diagnostics")
    assert "applies at configure" in probe.set_parameter("fixed_frame", "map").reason
    assert node.stop() == 0


def test_a_parameter_out_of_range_ends_the_start_in_one_line(start):
    node = start(fixed_frame="world", threads=-1)
    assert node.wait() == 1
    assert "threads" in node.output() and "Traceback" not in node.output()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"use_sim_time": 5}, "expecting type 'BOOL': use_sim_time"),
        ({"start_type_description_service": 5}, "expecting type 'BOOL': start_type_description_service"),
        ({"tracker_joints": "coco17"}, "(a list of one is written [a])"),
        ({"static_transform": "[1, 2, 3, 0, 0, 0, 1]"}, "(a list of whole numbers is written [1.0, 2.0])"),
        ({"stale_after_s": 1}, "(a whole number is written 1.0)"),
    ],
)
def test_a_parameter_of_another_type_ends_the_start_in_one_line(start, given, said):
    node = start(fixed_frame="world", **given)
    assert node.wait() == 1
    assert node.output().count("\n") == 1 and said in node.output(), node.output()


def test_a_configure_that_fails_leaves_nothing(start, probe):
    topics = "[first, 'not a topic']"
    node = start(fixed_frame="world", backend="damped_pose", publish_occupancy=True, input_topics=topics)
    for _ in range(2):
        assert not probe.transition("configure")

    def of_node(endpoints) -> int:  # one that lived for milliseconds may stay in DDS' books, of a node unknown
        return sum(e.node_name == "aux_motion_predictor" for e in endpoints)

    def heard(topic: str) -> int:
        return of_node(probe.node.get_subscriptions_info_by_topic(topic))

    def told(topic: str) -> int:
        return of_node(probe.node.get_publishers_info_by_topic(topic))

    probe.until(lambda: not heard("first") and not told("occupancy"), "nothing of the failed configure")
    assert probe.set_parameter("input_topics", ["first", "second"]).successful
    assert probe.transition("configure") and probe.transition("activate")
    probe.until(lambda: heard("first") == 1 and told("occupancy") == 1, "one of each")
    assert probe.transition("shutdown")
    probe.until(lambda: not heard("first") and not told("occupancy") and not told("predictions"), "nothing")
    assert node.stop() == 0 and "Traceback" not in node.output(), node.output()


LEAVES = """
import rclpy
from aux_motion.nodes.predictor_node import PredictorNode

rclpy.init(args=[])
node = PredictorNode({"fixed_frame": "world", "backend": "zero_velocity"})
node.trigger_configure(), node.trigger_activate()
outputs, said = node._outputs, []
outputs.clear = lambda frame_id, stamp_ns: said.append(f"cleared {frame_id}")
outputs.close = lambda: said.append("closed")
node.trigger_shutdown()
print(said)
"""


def test_a_shutdown_while_active_does_not_say_that_people_left(start):
    """What planners were told stays until it is out of date: that the node goes is no evidence of an empty room."""
    node = start(command=[sys.executable, "-c", LEAVES])
    assert node.wait() == 0 and "['closed']" in node.output(), node.output()


def test_wrong_ros_arguments_end_the_start_in_one_line(start, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("/**:\n  ros__parameters: [1, 2\n")
    node = start(command=command("--params", params))
    assert node.wait() == 1
    assert "params.yaml" in node.output() and "Traceback" not in node.output()


def test_simulation_time_paused_and_looped(start, probe):
    node = start(fixed_frame="world", backend="damped_pose", autostart=True, use_sim_time=True)
    clock = probe.node.create_publisher(Clock, "/clock", 10)

    def tick(seconds: float) -> None:
        message = Clock()
        message.clock.sec, message.clock.nanosec = int(seconds), round(seconds % 1 * 1e9)
        clock.publish(message)

    probe.until(lambda: len(probe.predictions) >= 2, "heartbeats without any clock")
    assert not probe.predictions[-1].people
    probe.until(lambda: clock.get_subscription_count(), "the node at /clock")
    tick(100.0)
    probe.until(lambda: stamp_ns(probe.predictions[-1].header.stamp) == 100 * 10**9, "the simulated time")

    probe.connect()
    last_ns = probe.walk(100 * 10**9 - 760_000_000)
    probe.until(lambda: newest_with(probe, lambda p: p.stamp_ns == last_ns and p.state in PREDICTED), "a prediction")
    probe.until(lambda: person(probe.predictions[-1]).state == TrackState.STALE, "STALE under a paused clock")
    probe.predictions.clear()
    probe.spin_for(1.2)  # longer than lost_after_s: time stands, so nobody is forgotten
    assert person(probe.predictions[-1]).state == TrackState.STALE

    tick(50.0)
    probe.until(lambda: not probe.predictions[-1].people, "nobody known after the jump back")
    early_ns = probe.walk(50 * 10**9)
    message = probe.until(
        lambda: newest_with(probe, lambda p: p.stamp_ns == early_ns and p.state in PREDICTED),
        "the second round",
    )
    assert abs(person(message).recovered[0, 0] - 0.76) < 0.05
    assert node.stop() == 0, node.output()


def test_time_that_goes_forward_at_once_makes_nobody_gone(start, probe):
    node = start(
        fixed_frame="world", backend="damped_pose", autostart=True, use_sim_time=True, assume_empty_at_start=True
    )
    clock = probe.node.create_publisher(Clock, "/clock", 10)
    probe.until(lambda: probe.predictions and clock.get_subscription_count(), "heartbeats, and the node at /clock")
    clock.publish(Clock(clock=Time(sec=100)))
    probe.until(lambda: stamp_ns(probe.predictions[-1].header.stamp) == 100 * 10**9, "the simulated time")
    probe.connect()
    probe.walk(100 * 10**9 - 760_000_000)
    probe.until(lambda: probe.predictions[-1].view == View.COMPLETE, "a complete view")
    clock.publish(Clock(clock=Time(sec=160)))
    probe.until(lambda: not probe.predictions[-1].people, "nobody known after the step")
    assert probe.predictions[-1].view == View.INCOMPLETE
    assert probe.predictions[-1].view_reasons & ViewReason.RESET, probe.predictions[-1]
    assert "went forward by" in node.output()
    assert node.stop() == 0, node.output()


def test_stamps_that_are_ahead_make_the_view_incomplete(start, probe):
    node = start(fixed_frame="world", backend="damped_pose", autostart=True, assume_empty_at_start=True)
    probe.watched.append(node)
    probe.connect()

    def said(ahead_s: float) -> int:
        begin_ns = time.time_ns()
        for k in range(60):  # as fast as time passes
            last_ns = begin_ns + round((0.03 * k + ahead_s) * 1e9)
            probe.send(last_ns, x=0.01 * k)
            probe.spin_for(max(0.03 * (k + 1) - (time.time_ns() - begin_ns) * 1e-9, 0.001))
        return probe.until(lambda: newest_with(probe, lambda p: p.stamp_ns == last_ns), "a prediction").view_reasons

    assert not said(0.0)
    assert said(3.0) & ViewReason.INPUT_STAMPS


TAKEN_DOWN = """
import os, signal, sys
from aux_motion.nodes import predictor_node, ssm_node

for kind in (predictor_node.PredictorNode, ssm_node.SsmNode):
    def destroy(self, real=kind.destroy_node):
        os.kill(os.getpid(), signal.SIGINT)  # as from ros2 launch, after that of the terminal
        real(self)
        os.kill(os.getpid(), signal.SIGINT)
    kind.destroy_node = destroy

class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

freed = Freed()
module = predictor_node if sys.argv[1] == "predictor" else ssm_node
values = {"fixed_frame": "world", "backend": "zero_velocity"} if sys.argv[1] == "predictor" else {"robot": sys.argv[2]}
print("starts", flush=True)
sys.exit(module.spin([], values))
"""


@pytest.mark.parametrize("which", ["predictor", "monitor"])
def test_interrupts_that_come_again_and_again_leave_no_traceback(start, root, which):
    robot = root / "config" / "robot_example.yaml"
    node = start([sys.executable, "-c", TAKEN_DOWN, which, str(robot)])
    end = time.monotonic() + 20.0
    while "configured" not in node.output() and "monitors" not in node.output():
        assert time.monotonic() < end and node.alive(), node.output()
        time.sleep(0.05)
    for _ in range(3):
        if node.alive():
            os.kill(node.pid, signal.SIGINT)
    assert node.wait() == 0, node.output()
    assert "Traceback" not in node.output() and "KeyboardInterrupt" not in node.output(), node.output()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_with_status_0(start, probe, how):
    node = start(fixed_frame="world", backend="damped_pose", autostart=True)
    probe.until(lambda: probe.predictions, "a heartbeat")
    assert node.stop(how) == 0, node.output()
    assert "Traceback" not in node.output()


STARTS = """
import os, signal, sys, time
from aux_motion.nodes import prediction_loop, predictor_node

real = prediction_loop.output_qos

def half_way(heartbeat_hz):
    os.kill(os.getpid(), int(sys.argv[1]))
    time.sleep(1.0)
    return real(heartbeat_hz)

prediction_loop.output_qos = half_way
values = {"fixed_frame": "world", "backend": "zero_velocity", "autostart": True}
sys.exit(predictor_node.spin([], values, needs_start=True))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_half_way_through_configure_ends_it_with_status_0(start, how):
    node = start(command=[sys.executable, "-c", STARTS, str(int(how))])
    assert node.wait() == 0, node.output()
    assert "Traceback" not in node.output() and "AttributeError" not in node.output(), node.output()


IMPORTS = """
import os, signal, sys, time

class Inside:
    def __set_name__(self, owner, name):  # Python makes a RuntimeError of what is raised here
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1.0)

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "aux_motion.nodes.predictor_node":
            type("Made", (), {"inside": Inside()})

sys.meta_path.insert(0, Interrupted())
from aux_motion.nodes import predictor_main
predictor_main.main()
"""


def test_an_interrupt_while_the_executable_is_loaded_says_nothing(start):
    node = start(command=[sys.executable, "-c", IMPORTS])
    assert node.wait() == 0 and node.output() == "", node.output()


SPINS = """
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import get_current_signal_handlers_options as installed
from aux_motion.nodes import spinning

class Executor(SingleThreadedExecutor):
    def spin(self):
        print("spins", flush=True)
        super().spin()

    def __del__(self):
        print("freed with", installed().name, flush=True)

def run(node):
    executor = Executor()
    executor.add_node(node)
    spinning.spin(executor)

raise SystemExit(spinning.until_signal("spins", [], lambda: rclpy.create_node("spins"), run))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_executor_outlives_the_signal_thread(start, tmp_path, how):
    """That thread triggers the executor's guard conditions: after they were freed that is a SIGSEGV, now and then."""
    node = start(command=[sys.executable, "-c", SPINS])
    end = time.monotonic() + 20.0
    while "spins" not in node.output():
        assert time.monotonic() < end and node.alive(), node.output()
        time.sleep(0.02)
    assert node.stop(how) == 0, node.output()
    assert node.output().split("freed with ")[1:] == ["NO\n"], node.output()


@pytest.mark.skipif(not (MODEL / "model.onnx").exists(), reason="no shipped model here")
def test_the_shipped_model_predicts(start, probe):
    node = start(fixed_frame="world", autostart=True)
    probe.connect()
    last_ns = probe.walk(time.time_ns())
    message = probe.until(
        lambda: newest_with(probe, lambda p: p.stamp_ns == last_ns and p.state in PREDICTED), "a prediction"
    )
    view = PredictionView(message)
    assert message.model_name == "body20_25hz" and message.model_version
    assert view["1"].at(last_ns + 400_000_000)[0, 0] > view["1"].recovered[0, 0] + 0.1
    assert node.stop() == 0, node.output()


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "aux_motion.cli", "run", *map(str, arguments)]


def test_aux_motion_run_takes_a_parameter_file(start, probe, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("aux_motion_predictor:\n  ros__parameters: {fixed_frame: hall, backend: kalman}\n")
    options = ["--input-topic", "skeletons", "--fixed-frame", "world", "-p", "backend:=zero_velocity"]
    node = start(command=command("--params", params, *options))
    message = probe.until(lambda: probe.predictions and probe.predictions[-1], "a heartbeat")
    assert message.header.frame_id == "world", "options win over the file"
    assert message.model_name == "zero_velocity"
    assert node.stop() == 0, node.output()


def test_aux_motion_run_refuses_a_missing_model(start, tmp_path):
    node = start(command=command("--model", tmp_path / "no_model", "--fixed-frame", "world"))
    assert node.wait() == 1
    assert "no_model" in node.output() and "Traceback" not in node.output()
