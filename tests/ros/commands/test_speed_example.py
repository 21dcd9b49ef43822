# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""examples/speed_to_controller.py beside a stand-in for MoveIt Servo: real parameters, real services, real silence."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from std_msgs.msg import Float64  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "speed_to_controller.py"
SERVO = """
import json, rclpy
from rclpy.node import Node
from std_srvs.srv import SetBool
rclpy.init()
node = Node("servo_node")
state = {"paused": None, "factor": None}
def say(): print(json.dumps(state), flush=True)
def changed(parameters):
    from rcl_interfaces.msg import SetParametersResult
    state["factor"] = parameters[0].value; say()
    return SetParametersResult(successful=True)
def pause(request, response):
    state["paused"] = request.data; say(); response.success = True
    return response
node.declare_parameter("moveit_servo.override_velocity_scaling_factor", 0.0)
node.add_on_set_parameters_callback(changed)
node.create_service(SetBool, "/servo_node/pause_servo", pause)
print("ready", flush=True)
rclpy.spin(node)
"""


def test_moveit_servo_slows_down_and_stands_when_nothing_is_heard(probe, start):
    servo = start([sys.executable, "-c", SERVO])
    start([sys.executable, str(EXAMPLE), "--to", "servo", "--timeout", "0.4", "--rate", "20"])
    publisher = probe.node.create_publisher(Float64, "speed_fraction", 1)

    def state():
        lines = [line for line in servo.output().splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}

    def until(condition, what, send=None):
        end = time.monotonic() + 20.0
        while not condition(state()):
            assert time.monotonic() < end, f"waited for {what}: {servo.output()}"
            if send is not None:
                publisher.publish(Float64(data=send))
            probe.spin_for(0.05)

    until(lambda s: s.get("paused") is True, "a pause before the first message")
    until(lambda s: s.get("paused") is False and s.get("factor") == 0.4, "40 %", send=0.4)
    until(lambda s: s.get("factor") == 1.0, "full speed, no more", send=7.0)
    until(lambda s: s["paused"], "a pause at 0: a factor of 0 would be full speed", send=0.0)
    assert state()["factor"] != 0.0
    until(lambda s: not s["paused"], "on again", send=0.5)
    until(lambda s: s["paused"], "a pause in silence")
    until(lambda s: not s["paused"], "on again", send=0.5)
    until(lambda s: s["paused"], "a pause at what is no number", send=float("nan"))
