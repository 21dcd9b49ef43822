# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What planners take, from real processes: predictor -> occupancy -> monitor -> speed fraction."""

from __future__ import annotations

import dataclasses
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import OccupancyArray, SeparationStatus, SkeletonArray  # noqa: E402
from geometry_msgs.msg import Pose, PoseArray  # noqa: E402
from rcl_interfaces.srv import GetParameters  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Float64  # noqa: E402
from support.node_harness import MOVING_ROBOT, STANDING, Probe, stamp_ns  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from aux_motion.commands.ssm import main  # noqa: E402
from aux_motion.nodes.collision_objects import CollisionObjects  # noqa: E402
from aux_motion.nodes.planner_messages import (  # noqa: E402
    CloudWriter,
    people_message,
    poses_message,
    swept_points,
)
from aux_motion.nodes.robot_poses import TfPoses, make_robot_poses  # noqa: E402
from aux_motion.nodes.ssm_parameters import SsmParameters  # noqa: E402
from aux_motion_core.constants import NS  # noqa: E402
from aux_motion_core.safety.anthropometry import SEGMENTS  # noqa: E402
from aux_motion_core.safety.occupancy import BoundKind, OccupancyBuilder, OccupancyConfig, occupancy_from_message
from aux_motion_core.safety.robot import load_robot  # noqa: E402
from aux_motion_core.safety.separation import SpeedReason  # noqa: E402
from aux_motion_core.skeleton import JOINTS  # noqa: E402
from aux_motion_core.space.frames import rotation_matrix  # noqa: E402
from aux_motion_core.space.tf import TfBuffer  # noqa: E402
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState  # noqa: E402

PREDICTOR = {
    "fixed_frame": "world",
    "backend": "damped_pose",
    "autostart": True,
    "publish_occupancy": True,
    "publish_occupancy_markers": True,
    "publish_swept_volume": True,
    "swept_volume_resolution_m": 0.1,
    "publish_human_poses": True,
    "lost_after_s": 0.6,
    "absent_hold_s": 0.6,
    "assume_empty_at_start": True,
}


class Listener(Probe):
    """A probe that hears the outputs too."""

    def __init__(self, domain: int) -> None:
        super().__init__(domain)
        self.heard: dict[str, list] = {}
        qos = QoSProfile(depth=50, durability=DurabilityPolicy.VOLATILE)
        for kind, topic in (
            (OccupancyArray, "occupancy"),
            (MarkerArray, "occupancy_markers"),
            (PointCloud2, "swept_volume"),
            (PoseArray, "poses"),
            (SeparationStatus, "separation"),
            (Float64, "speed_fraction"),
        ):
            self.heard[topic] = []
            self.node.create_subscription(kind, topic, self.heard[topic].append, qos)
        self.robot = self.node.create_publisher(PoseArray, "robot_poses", 1)

    def newest(self, topic: str):
        """The newest message of a topic, None before the first."""
        return self.heard[topic][-1] if self.heard[topic] else None

    def first(self, topic: str, wanted):
        """The first message of a topic that is as wanted, None before it."""
        return next((m for m in self.heard[topic] if wanted(m)), None)

    def put_robot(self, x: float, frame_id: str = "world", poses: int = 1, **orientation: float) -> None:
        """Say where the robot is, now."""
        message = PoseArray()
        message.header.frame_id = frame_id
        message.header.stamp = self.node.get_clock().now().to_msg()
        for _ in range(poses):
            pose = Pose()
            pose.position.x = x
            pose.orientation.w = 1.0
            for name, value in orientation.items():
                setattr(pose.orientation, name, value)
            message.poses.append(pose)
        self.robot.publish(message)

    def stand(self, x: float) -> None:
        """Somebody stands at x, now."""
        self.send(self.node.get_clock().now().nanoseconds, x=x)


@pytest.fixture
def probe(domain):
    probe = Listener(domain)
    yield probe
    probe.close()


def ssm(robot: Path | str, *options: str) -> list[str]:
    """The command that starts the monitor."""
    code = "from aux_motion.cli import main; main()"
    return [sys.executable, "-c", code, "ssm", "--robot", str(robot), *options]


def nobody_seen(probe) -> None:
    """The tracker lives, and sees nobody."""
    probe.send(probe.node.get_clock().now().nanoseconds, ids=())


def complete(message) -> bool:
    """Whether a message says that the view is complete."""
    return message.view == OccupancyArray.VIEW_COMPLETE and not message.view_reasons


def walk(probe, seconds: float = 0.8) -> int:
    """Somebody walks past now; returns the last stamp."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        last = probe.node.get_clock().now().nanoseconds
        probe.send(last, x=passed)
        probe.spin_for(0.04)
    return last


def clear(probe) -> None:
    """Forget what was heard."""
    for topic in probe.heard:
        probe.heard[topic].clear()


#: Outputs without a field that says how complete the view is.
FOREIGN = ("swept_volume", "poses", "occupancy_markers")


def test_without_usable_input_no_output_says_that_nobody_is_there(start, probe) -> None:
    probe.watched.append(start(**PREDICTOR))
    probe.until(lambda: len(probe.heard["occupancy"]) > 10, "heartbeats")

    def refused() -> bool:
        probe.send(probe.node.get_clock().now().nanoseconds, frame_id="elsewhere")
        said = str(probe.diagnostics.get("input"))
        return "no transform" in said or "not the fixed frame" in said

    probe.until(refused, "the error of the frame")
    probe.spin_for(0.3)
    assert not any(complete(m) for m in probe.heard["occupancy"] + probe.predictions)
    silent = OccupancyArray.VIEW_REASON_INPUT_SILENT
    rejected = OccupancyArray.VIEW_REASON_INPUT_REJECTED
    assert probe.heard["occupancy"][0].view_reasons == silent and stamp_ns(probe.newest("occupancy").oldest_input) == 0
    assert probe.newest("occupancy").view_reasons == silent | rejected, "people are seen in a frame that nobody knows"
    assert not any(probe.heard[topic] for topic in FOREIGN)


def test_every_output_comes_from_the_running_node(start, probe) -> None:
    probe.watched.append(start(**PREDICTOR))
    probe.connect()
    last = walk(probe)
    at_last = probe.until(
        lambda: probe.first("occupancy", lambda m: m.people and stamp_ns(m.people[0].last_observed) == last),
        "occupancy of the last frame",
    )
    assert complete(at_last) and stamp_ns(at_last.oldest_input) == last and at_last.producer
    occupancy = occupancy_from_message(at_last)
    assert occupancy.segments == SEGMENTS and occupancy.ends.shape == (1, 25, len(SEGMENTS), 2, 3)
    assert occupancy.frame_id == "world" and occupancy.anthropometry == "ansur2_p99"
    assert np.isfinite(occupancy.radius).all() and (occupancy.kind >= BoundKind.REACH).all()

    cloud = probe.until(lambda: walk(probe, 0.2) and probe.first("swept_volume", lambda m: m.width), "a cloud")
    points = np.frombuffer(bytes(cloud.data), "<f4").reshape(-1, 3)
    assert len(points) == cloud.width and cloud.header.frame_id == "world"
    assert [f.name for f in cloud.fields] == ["x", "y", "z"] and np.isfinite(points).all()
    assert np.allclose(np.round(points / 0.1 - 0.5), points / 0.1 - 0.5, atol=1e-3)

    poses = probe.until(lambda: probe.first("poses", lambda m: m.poses), "poses of joints")
    assert len(poses.poses) == len(STANDING)
    assert max(p.position.z for p in poses.poses) == pytest.approx(STANDING[:, 2].max(), abs=0.05)

    shapes = probe.until(lambda: probe.first("occupancy_markers", lambda m: len(m.markers) > 1), "markers")
    assert shapes.markers[0].action == Marker.DELETEALL
    assert {m.type for m in shapes.markers[1:]} == {Marker.CYLINDER, Marker.SPHERE}

    # the tracker sees nobody any more: what the person may occupy grows, and is cleared after the configured time
    clear(probe)
    sizes = []

    def forgotten() -> bool:
        nobody_seen(probe)
        return bool(probe.heard["occupancy"]) and not probe.newest("occupancy").people

    probe.until(forgotten, "the person to be forgotten")
    for message in probe.heard["occupancy"]:
        if message.people and message.people[0].age_s > 0.35:
            sizes.append((message.people[0].age_s, message.people[0].radius[0]))
    assert len(sizes) >= 2 and all(a <= b for (_, a), (_, b) in zip(sizes, sizes[1:])) and sizes[0][1] < sizes[-1][1]

    def emptied() -> bool:
        nobody_seen(probe)
        cloud, poses = probe.newest("swept_volume"), probe.newest("poses")
        return cloud is not None and poses is not None and cloud.width == 0 and not poses.poses

    probe.until(emptied, "an empty cloud and no poses, when the hold has ended and the tracker sees nobody")


def test_a_silent_tracker_makes_the_view_incomplete_and_the_foreign_outputs_silent(start, probe) -> None:
    """Somebody who is known far away must not hide that nobody sees who else comes."""
    probe.watched.append(start(**{**PREDICTOR, "absent_hold_s": 8.0}))
    probe.connect()
    last = walk(probe, 1.5)
    probe.until(lambda: probe.first("occupancy", lambda m: m.people and complete(m)), "occupancy of the person")
    assert probe.newest("swept_volume").width
    probe.spin_for(0.6)
    clear(probe)
    probe.predictions.clear()
    probe.spin_for(1.0)
    for topic in ("occupancy", "predictions"):
        heard = probe.predictions if topic == "predictions" else probe.heard[topic]
        assert heard and all(m.people for m in heard), topic
        assert all(m.view_reasons & OccupancyArray.VIEW_REASON_INPUT_SILENT for m in heard), topic
        assert all(stamp_ns(m.oldest_input) == last for m in heard), "a heartbeat makes no input new"
    assert not any(probe.heard[topic] for topic in FOREIGN), "what they said last grows old"
    probe.until(
        lambda: nobody_seen(probe) or probe.first("occupancy", lambda m: m.people and not m.view_reasons & 1),
        "the lost person, as the tracker is heard again",
    )


def test_no_output_leaves_out_somebody_who_was_seen(start, probe) -> None:
    node = start(**{**PREDICTOR, "max_people": 1})
    probe.watched.append(node)
    probe.connect()
    probe.until(lambda: nobody_seen(probe) or probe.first("occupancy", complete), "nobody")

    def send(seconds: float, late_s: float = 0.0, **kw: object) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            probe.send(probe.node.get_clock().now().nanoseconds - round(late_s * NS), **kw)
            probe.spin_for(0.04)

    def incomplete(what: str, **kw: object) -> None:
        send(0.3, **kw)
        clear(probe)
        send(0.7, **kw)
        assert probe.heard["occupancy"] and not any(complete(m) for m in probe.heard["occupancy"]), what
        assert not any(probe.heard[topic] for topic in FOREIGN), what

    incomplete("stamps of another clock: the person is dropped, not gone", late_s=60.0)
    incomplete("more people than there are places", ids=("1", "2"))
    assert "people_over_limit" in node.output() and "max_people 1" in node.output()
    clear(probe)
    send(2.0)
    assert complete(probe.newest("occupancy")), "the second one was lost for long enough"


def test_a_skeleton_in_millimetres_reaches_no_foreign_output(start, probe) -> None:
    node = start(**PREDICTOR)
    probe.watched.append(node)
    probe.connect()
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        people = ((STANDING + (1.2, 0.0, 0.0)) * 1000.0).astype(np.float32).reshape(-1).tolist()
        probe.send(probe.node.get_clock().now().nanoseconds, positions=people)
        if time.monotonic() < end - 1.5:
            clear(probe)
        probe.spin_for(0.04)
    assert probe.heard["occupancy"] and not any(probe.heard[topic] for topic in FOREIGN)


def test_after_activation_nobody_is_said_to_be_there_before_the_tracker_says_so(start, probe) -> None:
    probe.watched.append(start(**{**PREDICTOR, "lost_after_s": 10.0}))
    probe.connect()
    probe.until(lambda: nobody_seen(probe) or probe.first("occupancy", complete), "nobody")
    assert probe.transition("deactivate")
    probe.spin_for(0.2)
    clear(probe)
    assert probe.transition("activate")
    probe.spin_for(0.6)
    assert probe.heard["occupancy"] and not any(map(complete, probe.heard["occupancy"])), "forgotten, not gone"
    probe.until(lambda: nobody_seen(probe) or probe.first("occupancy", complete), "nobody, as the tracker says")


def test_a_camera_that_is_not_heard_is_not_an_empty_room(start, probe) -> None:
    probe.watched.append(start(**{**PREDICTOR, "input_topics": "[skeletons, others]"}))
    probe.connect()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        nobody_seen(probe)
        probe.spin_for(0.05)
    assert not any(map(complete, probe.heard["occupancy"])), "the second camera was never heard"
    second = probe.node.create_publisher(SkeletonArray, "others", 10)

    def both() -> list:
        nobody_seen(probe)
        message = SkeletonArray(joint_names=list(JOINTS))
        message.header.frame_id = "world"
        message.header.stamp = probe.node.get_clock().now().to_msg()
        second.publish(message)
        return probe.first("occupancy", complete)

    probe.until(both, "nobody, as both say")
    clear(probe)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:  # the second one dies, the first one goes on
        probe.stand(9.0)
        probe.spin_for(0.05)
    late = probe.heard["occupancy"][-5:]
    assert all(m.view_reasons & OccupancyArray.VIEW_REASON_INPUT_SILENT for m in late)
    assert probe.node.get_clock().now().nanoseconds - stamp_ns(late[-1].oldest_input) > 0.8 * NS


def test_outputs_whose_messages_are_missing_are_named_at_configure(start, domain, tmp_path) -> None:
    for package, parameter in (("moveit_msgs", "publish_collision_objects"), ("people_msgs", "publish_people")):
        try:
            __import__(package)
        except ImportError:
            node = start(fixed_frame="world", backend="damped_pose", autostart=True, **{parameter: True})
            deadline = time.monotonic() + 20
            while "configure failed" not in node.output() and time.monotonic() < deadline:
                time.sleep(0.05)
            lines = [line for line in node.output().splitlines() if "configure failed" in line]
            assert len(lines) == 1, node.output()
            assert f"parameter {parameter} needs the package {package}" in lines[0] and "apt install" in lines[0]
            node.stop(signal.SIGKILL)


def test_a_separation_bound_without_its_table_is_named_at_configure(start, root, tmp_path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.json", "model.onnx"):
        (folder / name).write_bytes((root / "models" / "body20_25hz" / name).read_bytes())
    node = start(fixed_frame="world", autostart=True, model_dir=folder, occupancy_bound="separation")
    deadline = time.monotonic() + 30
    while "configure failed" not in node.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = [line for line in node.output().splitlines() if "configure failed" in line]
    assert len(lines) == 1 and "no table of separation bounds" in lines[0], node.output()
    assert "training.fitting.calibrate_separation" in lines[0]


def test_speed_follows_people_and_the_robot_over_dds(start, probe, tmp_path) -> None:
    """Predictor and monitor in processes of their own; the robot's poses come from the test."""
    description = tmp_path / "cart.yaml"
    description.write_text(MOVING_ROBOT)
    monitor = start(ssm(description, "--robot-source", "poses"))
    probe.watched.append(monitor)

    def reason(wanted: SpeedReason):
        return lambda: (m := probe.newest("separation")) is not None and m.reason == wanted and m

    first = probe.until(reason(SpeedReason.NO_PEOPLE_YET), "a decision before the first data")
    assert first.allowed_speed_fraction == 0.0
    assert probe.until(lambda: probe.newest("speed_fraction"), "the speed fraction").data == 0.0

    probe.watched.append(start(**{**PREDICTOR, "backend": "onnx", "occupancy_bound": "separation"}))
    probe.connect()

    def without_robot():
        nobody_seen(probe)
        return reason(SpeedReason.NO_ROBOT_YET)()

    probe.until(without_robot, "a decision without the robot")

    def keep(person_x: float | None, robot_x: float, until, what: str):
        """Send both until the condition is met."""
        sent = 0.0

        def step():
            nonlocal sent
            if time.monotonic() - sent > 0.03:
                sent = time.monotonic()
                if person_x is not None:
                    probe.stand(person_x)
                if robot_x is not None:
                    probe.put_robot(robot_x)
            return until()

        return probe.until(step, what)

    def predicted() -> bool:
        people = probe.newest("occupancy").people
        return bool(people) and people[0].kind[0] == BoundKind.SEPARATION

    keep(6.0, 0.0, predicted, "a person with the separation bound")
    free = keep(6.0, 0.0, reason(SpeedReason.FREE), "full speed")
    assert free.allowed_speed_fraction == 1.0 and free.formulation == SeparationStatus.SWEPT_OCCUPANCY

    def touching():
        m = reason(SpeedReason.STOPPED)()
        return m and m.minimum_distance_m < 0.0 and m

    near = keep(6.0, 5.5, touching, "a stop as the robot is near")
    assert near.person_id == "1" and near.robot_link == "box" and near.person_segment in SEGMENTS
    assert near.allowed_speed_fraction == 0.0 and near.margin_m < 0.0
    assert near.s_h_m == near.z_d_m == 0.0 and near.header.frame_id == "world"
    keep(6.0, 0.0, lambda: probe.newest("speed_fraction").data > 0.5, "speed as the robot is away")
    gone = keep(6.0, None, reason(SpeedReason.ROBOT_STALE), "a stop as the robot's poses stop coming")
    assert gone.allowed_speed_fraction == 0.0 and "old, limit 0.2 s" in gone.reason_text
    keep(6.0, 0.0, lambda: probe.newest("speed_fraction").data > 0.5, "speed again")
    probe.put_robot(0.0, w=0.0)
    probe.until(lambda: "is no pose" in probe.newest("separation").reason_text, "a stop at a pose that is none")
    keep(6.0, 0.0, lambda: probe.newest("speed_fraction").data > 0.5, "speed again")
    probe.watched[1].stop(signal.SIGKILL)  # the predictor dies
    del probe.watched[1]
    keep(None, 0.0, reason(SpeedReason.PEOPLE_STALE), "a stop as people stop coming")
    keep(None, 0.0, lambda: probe.newest("speed_fraction").data == 0.0, "speed 0")
    assert monitor.stop() == 0
    assert "not a certified safety function" in monitor.output()


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (None, [], "parameter robot is required"),
        ("", [], "is empty: expected links"),
        (MOVING_ROBOT.replace("links:", "links: []  #"), [], "links is empty: expected at least one capsule"),
        (MOVING_ROBOT, ["--robot-source", "static"], "robot_source is static, but the description names frames"),
        (MOVING_ROBOT, ["--robot-source", "magic"], "parameter robot_source"),
        (MOVING_ROBOT, ["--formulation", "both"], "parameter formulation"),
        (MOVING_ROBOT.replace("frame: cart, ", ""), ["--robot-source", "poses"], "no link of the description names"),
    ],
)
def test_what_the_monitor_cannot_start_with_is_one_line(tmp_path, capfd, content, options, expected) -> None:
    robot = tmp_path / "robot.yaml"
    if content is not None:
        robot.write_text(content)
        options = ["--robot", str(robot), *options]
    assert main(options) == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1 and expected in lines[0], lines


def test_the_monitor_tells_its_parameters(start, probe, tmp_path) -> None:
    robot = tmp_path / "robot.yaml"
    robot.write_text(MOVING_ROBOT)
    probe.watched.append(start(ssm(robot, "--robot-source", "poses", "--formulation", "present_body")))
    client = probe.node.create_client(GetParameters, "/aux_motion_ssm/get_parameters")
    probe.until(client.service_is_ready, "the service")
    probe.spin_for(0.2)
    future = client.call_async(GetParameters.Request(names=["formulation", "rate_hz"]))
    probe.until(future.done, "the answer")
    formulation, rate = future.result().values
    assert formulation.string_value == "present_body" and rate.double_value == 25.0


def test_a_robot_in_tf(tmp_path, monkeypatch) -> None:
    """Frames at their newest; old, unknown and future ones are not used."""
    steady_ns = [NS]
    monkeypatch.setattr("aux_motion.nodes.robot_poses.time.monotonic_ns", lambda: steady_ns[0])
    description = tmp_path / "cart.yaml"
    description.write_text(MOVING_ROBOT)
    buffer = TfBuffer()
    poses = TfPoses(load_robot(description), buffer)
    with pytest.raises(LookupError, match="'cart' and 'world' not heard"):
        poses.newest("world", 10 * NS)
    buffer.set("base", "world", (1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), 0, static=True)
    for k in range(5):
        buffer.set("cart", "base", (0.1 * k, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0), 10 * NS + k * NS // 10)
    found, age_s = poses.newest("world", 10 * NS + 450_000_000)
    np.testing.assert_allclose(found["cart"][1], (1.4, 2.0, 0.0))
    assert age_s == pytest.approx(0.05)
    assert poses.newest("world", 12 * NS)[1] == pytest.approx(1.6)
    assert poses.newest("world", 9 * NS)[1] == pytest.approx(1.4)  # of another clock
    steady_ns[0] += NS // 2  # the node's clock stands still, and so do the transforms
    assert poses.newest("world", 10 * NS + 450_000_000)[1] == pytest.approx(0.5)
    buffer.set("cart", "base", (0.5, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0), 10 * NS + NS // 2)
    assert poses.newest("world", 10 * NS + NS // 2)[1] == pytest.approx(0.0)


def test_a_robot_whose_poses_are_closed_hears_no_more(tmp_path, probe) -> None:
    description = tmp_path / "cart.yaml"
    description.write_text(MOVING_ROBOT)
    before = len(list(probe.node.subscriptions))
    poses = make_robot_poses(load_robot(description), "poses", probe.node)
    assert len(list(probe.node.subscriptions)) == before + 1
    poses.close()
    assert len(list(probe.node.subscriptions)) == before


class _Strict:
    """A message with these fields only, as one of rosidl."""

    fields: tuple[str, ...] = ()

    def __init__(self, **values: object) -> None:
        for name in self.fields:
            setattr(self, name, Pose() if name == "pose" else None)
        for name, value in values.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        assert name in self.fields, f"{type(self).__name__} has no field {name}"
        super().__setattr__(name, value)


class _SolidPrimitive(_Strict):  # shape_msgs
    SPHERE, CYLINDER = 2, 3
    fields = ("type", "dimensions")


class _CollisionObject(_Strict):  # moveit_msgs
    ADD, REMOVE = b"\x00", b"\x01"
    fields = ("header", "pose", "id", "primitives", "primitive_poses", "operation")


class _Person(_Strict):  # people_msgs
    fields = ("name", "position", "velocity", "reliability", "tagnames", "tags")


class _People(_Strict):
    fields = ("header", "people")


def walkers(*ids: str) -> PredictionBatch:
    """A batch of people who walk at 1 m/s along x."""
    now, steps = 5 * NS, 25
    poses = STANDING + np.array([0.04, 0.0, 0.0]) * np.arange(steps + 1)[:, None, None]
    people = [
        MotionPrediction(
            person_id=i,
            state=TrackState.TRACKING,
            reasons=Reason.NONE,
            stamp_ns=now,
            last_observed_ns=now,
            age_s=0.0,
            valid_until_ns=now + NS,
            mean=poses[1:],
            recovered=poses[0],
            joint_status=np.ones(20, np.uint8),
        )
        for i in ids
    ]
    return PredictionBatch(now, "world", "m", "1", 0.04, steps, JOINTS, tuple(people))


def test_people_are_objects_of_the_planning_scene(monkeypatch) -> None:
    """Stand-ins with the fields of the real messages, which no wheel has."""
    shapes = SimpleNamespace(SolidPrimitive=_SolidPrimitive)
    monkeypatch.setitem(sys.modules, "shape_msgs", SimpleNamespace(msg=shapes))
    monkeypatch.setitem(sys.modules, "shape_msgs.msg", shapes)
    builder = OccupancyBuilder(OccupancyConfig(occupancy_interval_s=0.2))
    objects = CollisionObjects(SimpleNamespace(CollisionObject=_CollisionObject))
    both = builder.build(walkers("a", "b"))
    first = list(objects.update(both))
    assert [(m.id, m.operation) for m in first] == [("aux_motion/a", b"\x00"), ("aux_motion/b", b"\x00")]
    shown = [(m.type, len(m.dimensions)) for m in first[0].primitives]
    assert len(shown) == len(first[0].primitive_poses) == 3 * len(SEGMENTS) * both.intervals
    assert set(shown) == {(_SolidPrimitive.SPHERE, 1), (_SolidPrimitive.CYLINDER, 2)}
    for shape, pose in zip(first[0].primitives, first[0].primitive_poses):  # every cylinder ends at its spheres
        if shape.type == _SolidPrimitive.CYLINDER:
            q, p = pose.orientation, pose.position
            axis = rotation_matrix((q.x, q.y, q.z, q.w)) @ (0.0, 0.0, shape.dimensions[0] / 2)
            tip = np.array([p.x, p.y, p.z]) + axis
            assert np.linalg.norm(both.ends[0].reshape(-1, 3) - tip, axis=1).min() < 1e-5
    again = list(objects.update(builder.build(walkers("b"))))
    assert [(m.id, m.operation) for m in again] == [("aux_motion/a", b"\x01"), ("aux_motion/b", b"\x00")]
    gone = list(objects.update(builder.build(walkers())))
    assert [(m.id, m.operation) for m in gone] == [("aux_motion/b", b"\x01")]


def test_objects_of_a_run_that_was_killed_are_removed_by_the_next(monkeypatch, tmp_path) -> None:
    from aux_motion.nodes.collision_objects import memory_of

    shapes = SimpleNamespace(SolidPrimitive=_SolidPrimitive)
    monkeypatch.setitem(sys.modules, "shape_msgs.msg", shapes)
    monkeypatch.setenv("ROS_HOME", str(tmp_path))
    file, messages = memory_of("/robot1/aux_motion_predictor"), SimpleNamespace(CollisionObject=_CollisionObject)
    builder = OccupancyBuilder(OccupancyConfig(occupancy_interval_s=0.2))
    killed = CollisionObjects(messages, file)
    next(killed.update(builder.build(walkers("a", "b"))))  # killed while it sends the first object
    following = CollisionObjects(messages, file)
    sent = list(following.update(builder.build(walkers("c"))))
    assert [(m.id, m.operation) for m in sent] == [
        ("aux_motion/a", b"\x01"), ("aux_motion/b", b"\x01"), ("aux_motion/c", b"\x00")
    ]  # fmt: skip
    assert [m.id for m in CollisionObjects(messages, file).update(builder.build(walkers()))] == ["aux_motion/c"]
    assert list(CollisionObjects(messages, file).update(builder.build(walkers()))) == []
    file.unlink()
    file.mkdir()
    unwritable = CollisionObjects(messages, file)
    list(unwritable.update(builder.build(walkers("a"))))
    assert "stay in the planning scene; set ROS_HOME" in unwritable.trouble


def test_people_for_social_layers_have_the_predicted_velocity() -> None:
    message = people_message(walkers("a", "b"), _People, _Person)
    assert [p.name for p in message.people] == ["a", "b"] and message.header.frame_id == "world"
    one = message.people[0]
    assert one.velocity.x == pytest.approx(1.0) and one.velocity.y == 0.0 and one.reliability == 1.0
    assert (one.position.x, one.position.z) == (0.0, 0.95) and one.tags == ["tracking"]


def test_poses_ahead_are_joints_until_then() -> None:
    batch = walkers("a", "b")
    assert len(poses_message(batch, 0.0).poses) == 2 * 20
    assert len(poses_message(batch, 0.4).poses) == 2 * 20 * 11
    assert len(poses_message(batch, 9.0).poses) == 2 * 20 * 26
    assert not poses_message(walkers(), 0.4).poses


def test_clouds_leave_out_what_is_no_number() -> None:
    occupancy = OccupancyBuilder(OccupancyConfig(occupancy_interval_s=0.2)).build(walkers("a", "b"))
    occupancy.radius[0, 0, 3] = np.nan
    parts = list(swept_points(occupancy, 0.1))
    assert len(parts) == 2 and all(len(p) and np.isfinite(p).all() for p in parts)


def test_a_cloud_holds_its_own_points_whatever_was_in_the_message_before() -> None:
    cloud, rng = CloudWriter(), np.random.default_rng(0)
    for counts in ((), (3, 5000), (20,), (0, 7), ()):
        parts = [rng.normal(size=(n, 3)).astype(np.float32) for n in counts]
        message = cloud.fill(parts, "world", NS)
        assert message.width == sum(counts) and message.row_step == 12 * message.width == len(message.data)
        assert message.header.frame_id == "world" and message.header.stamp.sec == 1
        assert message.data.tobytes() == b"".join(p.tobytes() for p in parts)


def test_clouds_hold_somebody_who_may_stand_up() -> None:
    batch = walkers("a")
    lies = np.repeat(STANDING[None, :, [2, 1, 0]] * (1.0, 1.0, 0.5) + (0.0, 0.0, 0.15), batch.steps, 0)
    person = dataclasses.replace(batch.people[0], mean=lies, recovered=lies[0])  # no radius: all that can be reached
    occupancy = OccupancyBuilder(OccupancyConfig(occupancy_interval_s=0.2)).build(
        dataclasses.replace(batch, people=(person,))
    )
    (points,) = swept_points(occupancy, 0.1)
    assert lies[..., 2].max() < 0.4 and 2.2 < points[:, 2].max() < 2.8


def test_shipped_parameters_of_the_monitor_are_its_defaults(root: Path) -> None:
    values = yaml.safe_load((root / "config" / "ssm.yaml").read_text())["/**"]["ros__parameters"]
    assert values == {name: field.default for name, field in SsmParameters.model_fields.items()}
