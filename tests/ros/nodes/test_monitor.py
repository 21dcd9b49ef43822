# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The monitor over DDS: who publishes people, how old the input behind them is, parameters, lifecycle, diagnostics."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import OccupancyArray, SeparationStatus  # noqa: E402
from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from std_msgs.msg import Float64  # noqa: E402
from support.node_harness import NodeProcess, Probe, private_domain, stamp_ns  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from aux_motion.commands.ssm import main  # noqa: E402
from aux_motion_core.safety.separation import SpeedReason  # noqa: E402

NS = 1_000_000_000
ROOT = Path(__file__).resolve().parents[3]
ROBOT = ROOT / "config" / "robot_example.yaml"
PREDICTOR = {
    "assume_empty_at_start": True,
    "fixed_frame": "world",
    "backend": "damped_pose",
    "autostart": True,
    "publish_occupancy": True,
    "lost_after_s": 8.0,
}


class Cell(Probe):
    """A tracker, and what hears the monitor."""

    def __init__(self, domain: int, folder: Path) -> None:
        super().__init__(domain)
        self._domain, self._folder = domain, folder
        self.processes: list[NodeProcess] = []
        self.status: list[SeparationStatus] = []
        self.speeds: list[tuple[float, float]] = []
        self.occupancy: list[OccupancyArray] = []
        self.node.create_subscription(SeparationStatus, "separation", self.status.append, 50)
        self.node.create_subscription(Float64, "speed_fraction", self._on_speed, 50)
        self.node.create_subscription(OccupancyArray, "occupancy", self.occupancy.append, 50)

    def _on_speed(self, message: Float64) -> None:
        self.speeds.append((time.monotonic(), message.data))

    def start(self, command: list[str] | None = None, **parameters: object) -> NodeProcess:
        log = self._folder / f"process{len(self.processes)}.log"
        self.processes.append(NodeProcess(self._domain, log, command, **parameters))
        return self.processes[-1]

    def monitor(self, *options: str) -> NodeProcess:
        return self.start([sys.executable, "-m", "aux_motion.entry", "ssm", "--robot", str(ROBOT), *options])

    def empty_room(self) -> None:
        """The tracker lives and sees nobody."""
        self.send(self.node.get_clock().now().nanoseconds, ids=())
        self.spin_for(0.03)

    def full_speed(self) -> None:
        """Until the robot is fast in an empty room."""
        self.until(lambda: self.empty_room() or (self.speeds and self.speeds[-1][1] == 1.0), "full speed")

    def why(self, reason: SpeedReason) -> SeparationStatus | None:
        newest = self.status[-1] if self.status else None
        return newest if newest is not None and newest.reason == reason else None

    def change(self, label: str) -> bool:
        client = self.node.create_client(ChangeState, "/aux_motion_ssm/change_state")
        self.until(client.service_is_ready, "change_state")
        self.spin_for(0.2)
        request = ChangeState.Request()
        request.transition.label = label
        future = client.call_async(request)
        self.until(future.done, label)
        self.node.destroy_client(client)
        return future.result().success


@pytest.fixture
def cell(tmp_path):
    cell = Cell(private_domain(), tmp_path)
    yield cell
    for process in cell.processes:
        process.stop(signal.SIGKILL)
    cell.close()


def test_a_dead_tracker_over_an_empty_room_stops_the_robot_within_the_timeout(cell) -> None:
    """Heartbeats stamp old emptiness as new; with `lost_after_s` 8 s it was believed for 8.2 s."""
    cell.start(**PREDICTOR)
    cell.monitor()
    cell.full_speed()
    dead = time.monotonic()
    cell.until(lambda: cell.speeds[-1][1] == 0.0, "the stop", 5.0)
    assert cell.speeds[-1][0] - dead < 0.3 + 0.3
    cell.spin_for(2.0)
    assert all(v == 0.0 for t, v in cell.speeds if t > dead + 0.6)
    assert cell.occupancy[-1].header.stamp.sec >= cell.status[-1].header.stamp.sec - 1, "the predictor goes on"
    assert stamp_ns(cell.occupancy[-1].oldest_input) < stamp_ns(cell.occupancy[-1].header.stamp) - NS
    cell.full_speed()


def test_rviz_shows_the_robot_the_nearest_points_and_the_speed(cell) -> None:
    """Two metres from the robot; when nobody is known the line goes away."""
    heard: list[MarkerArray] = []
    cell.node.create_subscription(MarkerArray, "separation_markers", heard.append, 10)
    cell.start(**{**PREDICTOR, "lost_after_s": 0.6, "absent_hold_s": 1.0})
    cell.monitor()

    def newest(namespace: str) -> list[Marker]:
        return [m for m in heard[-1].markers if m.ns == namespace] if heard else []

    def green() -> bool:
        return bool(newest("speed")) and newest("speed")[0].color.g > newest("speed")[0].color.r

    cell.until(lambda: cell.empty_room() or green(), "green text", 40.0)
    assert heard[-1].markers[0].action == Marker.DELETEALL and not newest("nearest")
    assert len(newest("robot")) == 12 and newest("speed")[0].text.startswith("100 %")  # 4 capsules of 3 parts
    base = newest("robot")[0]
    assert (base.pose.position.z, base.scale.x, base.scale.z) == pytest.approx((0.175, 0.2, 0.35))

    def somebody() -> None:
        cell.send(cell.node.get_clock().now().nanoseconds, x=2.0)
        cell.spin_for(0.03)

    cell.until(lambda: somebody() or newest("nearest"), "the nearest points")
    (line,), (text,) = newest("nearest"), newest("speed")
    assert len(line.points) == 2 and line.points[0].x > line.points[1].x  # from the person to the robot
    assert " m to 1, " in text.text and text.color.r > 0.8


def test_a_stray_predictor_stops_the_robot_and_is_named(cell) -> None:
    first = cell.start(**PREDICTOR)
    cell.monitor()
    cell.full_speed()
    stray = [sys.executable, "-m", "aux_motion.nodes.predictor_node", "--ros-args", "-r", "__node:=stray_predictor"]
    stray += ["-p", "fixed_frame:=world", "-p", "backend:=damped_pose", "-p", "autostart:=true"]
    cell.start([*stray, "-p", "publish_occupancy:=true"])
    found = cell.until(lambda: cell.empty_room() or cell.why(SpeedReason.PUBLISHERS), "a stop")
    assert found.allowed_speed_fraction == 0.0
    text = cell.until(
        lambda: (
            cell.empty_room() or (m := cell.why(SpeedReason.PUBLISHERS)) and "stray_predictor" in m.reason_text and m
        ),
        "its name",
    ).reason_text
    assert "2 publishers of occupancy, expected 1" in text and "aux_motion_predictor" in text
    first.stop(signal.SIGKILL)  # the right one dies: the stray one must not take its place unseen
    killed = time.monotonic()
    while time.monotonic() < killed + 4.0:
        cell.empty_room()
    assert all(v == 0.0 for t, v in cell.speeds if t > killed)


def test_two_predictors_that_are_expected_count_both(cell) -> None:
    cell.start(**PREDICTOR)
    cell.monitor("--expected-publishers", "2")
    cell.until(lambda: cell.empty_room() or cell.why(SpeedReason.PUBLISHERS), "one of two is not enough")
    assert "1 of 2" in cell.status[-1].reason_text
    second = [sys.executable, "-m", "aux_motion.nodes.predictor_node", "--ros-args", "-r", "__node:=second"]
    second += ["-p", "fixed_frame:=world", "-p", "backend:=damped_pose", "-p", "autostart:=true"]
    cell.start([*second, "-p", "publish_occupancy:=true"])
    cell.full_speed()
    cell.processes[0].stop(signal.SIGKILL)
    cell.until(lambda: cell.empty_room() or cell.speeds[-1][1] == 0.0, "a stop as one of them is gone", 5.0)


def test_it_is_a_lifecycle_node_with_diagnostics(cell) -> None:
    cell.start(**PREDICTOR)
    cell.monitor()
    cell.full_speed()
    status = cell.until(
        lambda: cell.empty_room() or (s := cell.diagnostics.get("separation")) and "full speed" in s.message and s,
        "diagnostics",
    )
    values = {pair.key: pair.value for pair in status.values}
    assert values["publishers"] == "/aux_motion_predictor" and values["reason"] == "FREE"
    assert status.level == DiagnosticStatus.OK
    assert cell.change("deactivate")
    cell.until(lambda: cell.speeds[-1][1] == 0.0, "0 as the last word", 3.0)
    cell.spin_for(0.3)
    heard = len(cell.speeds)
    cell.spin_for(0.5)
    assert len(cell.speeds) == heard, "nothing is published while it is not active"
    assert cell.change("activate")
    cell.full_speed()
    cell.spin_for(2.0)  # nobody sends any more
    worst = cell.until(
        lambda: (s := cell.diagnostics.get("separation")) and s.level == DiagnosticStatus.ERROR and s, "an error"
    )
    assert "old" in worst.message or "view is" in worst.message
    client = cell.node.create_client(GetState, "/aux_motion_ssm/get_state")
    cell.until(client.service_is_ready, "get_state")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("/**:\n  ros__parameters: {people_timeout_s: 0.1", "is no YAML"),
        ("other_node:\n  ros__parameters: {people_timeout_s: 0.1}\n", "has no section for /aux_motion_ssm"),
        ("", "has no section for /aux_motion_ssm"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_a_parameter_file_that_says_nothing_is_an_error_not_defaults(tmp_path, capfd, content, expected) -> None:
    file = tmp_path / "ssm.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["--robot", str(ROBOT), "--params", str(file)]) == 1
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1 and expected in lines[0] and str(file) in lines[0]


def test_a_missing_parameter_file_is_an_error_of_the_executable_too(cell, tmp_path) -> None:
    command = [sys.executable, "-c", "from aux_motion.entry import monitor; monitor()", "--ros-args", "--params-file"]
    process = cell.start([*command, str(tmp_path / "none.yaml"), "-p", f"robot:={ROBOT}"])
    assert process.wait() == 1
    assert "none.yaml" in process.output() and "Traceback" not in process.output()
