# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The monitor's `speed_fraction` to what moves the robot: slow, stop, and stop when nothing is heard.

python examples/speed_to_controller.py --to trajectory_controller   # ros2_control's joint_trajectory_controller
python examples/speed_to_controller.py --to ur                      # speed slider of the Universal Robots driver
python examples/speed_to_controller.py --to servo                   # MoveIt Servo

Each of them keeps the last speed that it was told, so this node tells 0 by itself when `speed_fraction` is silent for
`--timeout` seconds, and before the first message. Nothing tells it when this node dies: let a safety-rated function
stop the robot (docs/planners.md, "Before a robot listens to it").
"""

import argparse
import sys
import time
from importlib import import_module

import rclpy
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Float64
from std_srvs.srv import SetBool


def needed(package, kind, name):
    """A message or service class of a package that only this controller needs."""
    try:
        return getattr(import_module(f"{package}.{kind}"), name)
    except ImportError:
        sys.exit(f"{package} is not installed: apt install ros-$ROS_DISTRO-{package.replace('_', '-')}")


class TrajectoryController:
    """joint_trajectory_controller (ros2_controllers of Kilted and later): it scales the time of the trajectory."""

    def __init__(self, node, name):
        self._kind = needed("control_msgs", "msg", "SpeedScalingFactor")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._publisher = node.create_publisher(self._kind, f"{name}/speed_scaling_input", latched)

    def set(self, fraction):
        self._publisher.publish(self._kind(factor=fraction))


class UrSlider:
    """The speed slider of ur_robot_driver; the driver's scaled_joint_trajectory_controller follows it."""

    def __init__(self, node, name):
        self._kind = needed("ur_msgs", "srv", "SetSpeedSliderFraction")
        self._client = node.create_client(self._kind, f"{name}/set_speed_slider")

    def set(self, fraction):
        self._client.call_async(self._kind.Request(speed_slider_fraction=fraction))


class Servo:
    """MoveIt Servo. A scaling factor of 0 means "not scaled" there, that is full speed: to stand, it is paused."""

    def __init__(self, node, name):
        self._parameters = node.create_client(SetParameters, f"{name}/set_parameters")
        self._pause = node.create_client(SetBool, f"{name}/pause_servo")
        self._paused = None

    def set(self, fraction):
        paused = fraction <= 0.0
        if paused != self._paused or paused:
            self._pause.call_async(SetBool.Request(data=paused))
            self._paused = paused
        if not paused:
            value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=fraction)
            scaling = Parameter(name="moveit_servo.override_velocity_scaling_factor", value=value)
            self._parameters.call_async(SetParameters.Request(parameters=[scaling]))


CONTROLLERS = {
    "trajectory_controller": (TrajectoryController, "/joint_trajectory_controller"),
    "ur": (UrSlider, "/io_and_status_controller"),
    "servo": (Servo, "/servo_node"),
}


class SpeedToController(Node):
    """Hands the fraction on; 0 when it is silent or no number."""

    def __init__(self, make, name, timeout_s, rate_hz):
        super().__init__("speed_to_controller")
        self._controller = make(self, name)
        self._timeout_s, self._heard, self._fraction, self._sent = timeout_s, float("-inf"), 0.0, None
        self.create_subscription(Float64, "speed_fraction", self._take, 1)
        # of a clock that neither simulation nor a time server moves
        self.create_timer(1.0 / rate_hz, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _take(self, message):
        self._heard = time.monotonic()
        fraction = message.data if message.data == message.data else 0.0
        self._fraction = min(max(fraction, 0.0), 1.0)
        if self._fraction < (self._sent or 0.0):  # slower: at once
            self._tell()

    def _tell(self):
        silent = time.monotonic() - self._heard > self._timeout_s
        fraction = 0.0 if silent else self._fraction
        if silent and self._sent:
            self.get_logger().error(f"speed_fraction is silent for {self._timeout_s} s: the robot is told to stand")
        self._sent = fraction
        self._controller.set(fraction)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--to", choices=CONTROLLERS, required=True)
    parser.add_argument("--name", help="of the controller's node; by default the usual one")
    parser.add_argument("--timeout", type=float, default=0.3, help="seconds of silence after which the robot stands")
    parser.add_argument("--rate", type=float, default=10.0, help="how often the controller is told, Hz")
    given = parser.parse_args(rclpy.utilities.remove_ros_args(sys.argv)[1:])
    make, usual = CONTROLLERS[given.to]
    rclpy.init()
    node = SpeedToController(make, given.name or usual, given.timeout, given.rate)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
