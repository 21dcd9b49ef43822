# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Real node processes and a probe that talks to them over DDS, on a domain of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from aux_motion_msgs.msg import PredictionArray, SkeletonArray
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from aux_motion.commands.processes import free_domain
from aux_motion_core.skeleton import JOINTS

ROOT = Path(__file__).resolve().parents[2]
NODE = "/aux_motion_predictor"
PATIENCE_S = 20.0
#: A standing person, feet on the floor, who looks along +x, left is +y.
STANDING = np.array(
    [
        [0.00, 0.00, 0.95], [0.00, 0.00, 1.20], [0.00, 0.00, 1.45], [0.03, 0.00, 1.65],
        [0.00, 0.18, 1.40], [0.00, 0.22, 1.12], [0.03, 0.24, 0.88], [0.05, 0.25, 0.80],
        [0.00, -0.18, 1.40], [0.00, -0.22, 1.12], [0.03, -0.24, 0.88], [0.05, -0.25, 0.80],
        [0.00, 0.09, 0.92], [0.01, 0.10, 0.50], [0.00, 0.10, 0.09], [0.14, 0.10, 0.03],
        [0.00, -0.09, 0.92], [0.01, -0.10, 0.50], [0.00, -0.10, 0.09], [0.14, -0.10, 0.03],
    ]
)  # fmt: skip

#: A robot whose only link is on a frame that moves, for the monitor.
MOVING_ROBOT = """
name: cart
max_speed_mps: 1.0
reaction_time_s: 0.1
stopping: [{speed_fraction: 1.0, time_s: 0.3, distance_m: 0.15}]
links: [{name: box, frame: cart, ends_m: [[0, 0, 0.2], [0, 0, 1.0]], radius_m: 0.2}]
"""


def private_domain() -> int:
    """A domain that nobody else here uses."""
    return free_domain()


def environment(domain: int) -> dict[str, str]:
    """Environment of a child process: the private domain, this machine only."""
    kept = {k: v for k, v in os.environ.items() if k not in ("ROS_LOCALHOST_ONLY", "ROS_NAMESPACE")}
    return {
        **kept,
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p),
    }


class NodeProcess:
    """`aux_motion_predictor` (or another command) in a process of its own; its output goes to a file."""

    def __init__(self, domain: int, log: Path, command: list[str] | None = None, **parameters: object) -> None:
        arguments = ["--ros-args"]
        if command is None:  # people of these tests stand truly still, as a simulator's
            parameters = {"frozen_after_s": 0.0, "autostart": False, **parameters}
        for name, value in parameters.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            arguments += ["-p", f"{name}:={text}"]
        command = [sys.executable, "-m", "aux_motion.nodes.predictor_node", *arguments] if command is None else command
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment(domain), stdout=out, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        return self._process.wait(timeout_s)

    def stop(self, how: int = signal.SIGINT) -> int:
        """Signal it and wait for its exit status."""
        if self.alive():
            self._process.send_signal(how)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


class Probe:
    """A node in the test's process: sends skeletons, hears predictions and diagnostics, calls services."""

    def __init__(self, domain: int) -> None:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        self.domain = domain
        self.watched: list[NodeProcess] = []
        self.context = Context()
        self.context.init(domain_id=domain)
        self.node = Node(f"probe_{id(self)}", context=self.context, start_parameter_services=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.predictions: list = []
        self.diagnostics: dict[str, object] = {}
        reliable = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
        volatile = QoSProfile(depth=32, durability=DurabilityPolicy.VOLATILE)
        self.node.create_subscription(PredictionArray, "predictions", self.predictions.append, reliable)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.skeletons = self.node.create_publisher(SkeletonArray, "skeletons", volatile)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def _on_diagnostics(self, array: DiagnosticArray) -> None:
        self.diagnostics.update({status.name.split(": ")[-1]: status for status in array.status})

    def until(self, condition, what: str, timeout_s: float = PATIENCE_S):
        """Spin until the condition gives something true, and return that."""
        end = time.monotonic() + timeout_s
        while not (result := condition()):
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
            dead = [p for p in self.watched if not p.alive()]
            assert not dead, f"the node ended while the test waited for {what}:\n{dead[0].output()}"
            self.executor.spin_once(timeout_sec=0.02)
        return result

    def spin_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind, name: str, request):
        client = self.node.create_client(kind, f"{NODE}/{name}")
        self.until(client.service_is_ready, f"service {name}")
        self.spin_for(0.2)  # ready here is not yet ready there: an answer before that is lost
        future = client.call_async(request)
        self.until(future.done, f"the answer of {name}")
        self.node.destroy_client(client)
        return future.result()

    def transition(self, label: str) -> bool:
        request = ChangeState.Request()
        request.transition.label = label
        return self.call(ChangeState, "change_state", request).success

    def state(self) -> str:
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def set_parameter(self, name: str, value: object):
        parameter: ParameterMsg = Parameter(name, value=value).to_parameter_msg()
        return self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=[parameter])).results[0]

    def describe(self, *names: str):
        return self.call(DescribeParameters, "describe_parameters", DescribeParameters.Request(names=list(names)))

    def values(self, part: str) -> dict[str, str]:
        """Key-value pairs of a part of the newest diagnostics, empty before the first."""
        status = self.diagnostics.get(part)
        return {} if status is None else {pair.key: pair.value for pair in status.values}

    def send(self, stamp_ns: int, ids=("1",), frame_id: str = "world", x: float = 0.0, **changes: object) -> None:
        """Publish people who stand, two metres from each other, at x."""
        message = SkeletonArray(joint_names=list(JOINTS), person_ids=list(ids))
        message.header.frame_id = frame_id
        message.header.stamp = Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        people = [STANDING + (x, 2.0 * i, 0.0) for i in range(len(ids))]
        message.positions = np.asarray(people, np.float32).reshape(-1).tolist()
        for name, value in changes.items():
            setattr(message, name, value)
        self.skeletons.publish(message)

    def connect(self) -> None:
        """Send messages without people until one is answered: only then is every later message received."""
        end = time.monotonic() + PATIENCE_S
        while not any(m.processing_time_s > 0.0 for m in self.predictions):
            assert time.monotonic() < end, "the node does not answer to skeletons"
            self.send(0, ids=())
            self.spin_for(0.05)

    def walk(self, start_ns: int, frames: int = 20, dt_s: float = 0.04, speed_mps: float = 1.0, **kw: object) -> int:
        """Publish a person who walks along +x, frame after frame; returns the last stamp."""
        stamp_ns = start_ns
        for k in range(frames):
            stamp_ns = start_ns + round(k * dt_s * 1e9)
            self.send(stamp_ns, x=k * dt_s * speed_mps, **kw)
            self.spin_for(dt_s / 4)
        return stamp_ns


def stamp_ns(stamp) -> int:
    """Nanoseconds of a message's time."""
    return stamp.sec * 10**9 + stamp.nanosec


def wave(probe: Probe, condition: Callable[[], Any], what: str, waves_hz: float = 1.2, timeout_s: float = 60.0) -> Any:
    """Somebody goes to and fro, from 4 s ago up to now and on, until the condition gives something true."""
    begin_ns, k = time.time_ns() - 4 * 10**9, 0

    def step() -> Any:
        nonlocal k
        while begin_ns + k * 40_000_000 < time.time_ns():
            probe.send(begin_ns + k * 40_000_000, x=0.15 * float(np.sin(2.0 * np.pi * waves_hz * k / 25)))
            k += 1
            probe.spin_for(0.005)
        return condition()

    return probe.until(step, what, timeout_s=timeout_s)
