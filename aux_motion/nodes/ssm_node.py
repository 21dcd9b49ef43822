"""The node `aux_motion_ssm`: the speed and separation monitor.

It takes `occupancy` (aux_motion_msgs/OccupancyArray) and the robot's pose, and publishes `separation`
(aux_motion_msgs/SeparationStatus) and `speed_fraction` (std_msgs/Float64, 0 to 1). Not a certified safety function: see
docs/planners.md for what a user must check.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from aux_motion_msgs.msg import OccupancyArray, SeparationStatus
from builtin_interfaces.msg import Time
from pydantic import ValidationError
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Float64

from aux_motion.nodes import declaration, spinning
from aux_motion.nodes.qos import output_qos
from aux_motion.nodes.robot_poses import make_robot_poses
from aux_motion.nodes.ssm_parameters import SsmError, SsmParameters
from aux_motion_core.safety.occupancy import Occupancy, occupancy_from_message
from aux_motion_core.safety.robot import load_robot
from aux_motion_core.safety.separation import Monitor, Separation, SpeedReason
from aux_motion_core.wire.messages import MessageError, ns_to_stamp

NODE_NAME = "aux_motion_ssm"
#: Fields of a decision that go into the status as they are.
_NUMBERS = (
    "allowed_speed_fraction minimum_distance_m protective_distance_m margin_m s_h_m s_r_m s_s_m c_m z_d_m z_r_m "
    "reaction_time_s stopping_time_s considered_s beyond_horizon_s age_s robot_speed_fraction"
).split()


def separation_message(decision: Separation, frame_id: str, stamp_ns: int) -> SeparationStatus:
    """A decision as an `aux_motion_msgs/SeparationStatus`."""
    message = SeparationStatus()
    message.header.frame_id, message.header.stamp = frame_id, Time(**ns_to_stamp(stamp_ns))
    message.formulation, message.reason = int(decision.formulation), int(decision.reason)
    message.reason_text = decision.reason_text
    for name in _NUMBERS:
        setattr(message, name, float(getattr(decision, name)))
    for name in ("person_id", "person_segment", "robot_link"):
        setattr(message, name, getattr(decision, name))
    for name in ("point_on_person_m", "point_on_robot_m"):
        setattr(message, name, np.asarray(getattr(decision, name), np.float32))
    return message


class SsmNode(Node):
    """Decides with every occupancy and at least `rate_hz` times a second; rclpy must be initialised.

    Args:
        overrides: parameter values that win over files and arguments.

    Raises:
        SsmError: a parameter or the robot description cannot be used.
    """

    def __init__(self, overrides: dict[str, Any] | None = None) -> None:
        given = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
        super().__init__(NODE_NAME, parameter_overrides=given)
        declaration.declare(self, SsmParameters)
        p = self._read()
        robot = load_robot(p.robot)
        self._config = p
        self._poses = make_robot_poses(robot, p.robot_source, self)
        self._monitor = Monitor(robot, p)
        self._occupancy: Occupancy | None = None
        self._came_ns = 0
        self._bad = ""
        self._robot_seen = False
        self._reason: SpeedReason | None = None
        self._last: tuple[int, np.ndarray] | None = None
        self._status = self.create_publisher(SeparationStatus, "separation", output_qos(p.rate_hz))
        self._speed = self.create_publisher(Float64, "speed_fraction", output_qos(p.rate_hz))
        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        self.create_subscription(OccupancyArray, "occupancy", self._on_occupancy, reliable)
        self.create_timer(1.0 / p.rate_hz, self.decide, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(
            f"monitors {robot.name!r} ({len(robot.links)} capsules) by {p.formulation}; not a certified safety function"
        )

    def _read(self) -> SsmParameters:
        try:
            p = SsmParameters.model_validate(declaration.read(self, SsmParameters))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise SsmError(f"parameter {name}: {first['msg']}, came {first['input']!r}") from None
        if not p.robot:
            raise SsmError("parameter robot is required: the YAML file that describes the robot")
        return p

    def _on_occupancy(self, message: OccupancyArray) -> None:
        try:
            self._occupancy, self._bad = occupancy_from_message(message), ""
        except MessageError as error:
            self._bad = str(error)
        self._came_ns = time.monotonic_ns()
        self.decide()

    def decide(self) -> None:
        """Decide now, and publish it."""
        now_ns = self.get_clock().now().nanoseconds
        decision = self._decision(now_ns)
        frame_id = self._occupancy.frame_id if self._occupancy is not None else ""
        self._speed.publish(Float64(data=decision.allowed_speed_fraction))
        self._status.publish(separation_message(decision, frame_id, now_ns))
        if decision.reason is not self._reason:
            self._reason = decision.reason
            self.get_logger().info(f"{decision.reason.name}: {decision.reason_text}", throttle_duration_sec=0.5)

    def _decision(self, now_ns: int) -> Separation:
        p, monitor, occupancy = self._config, self._monitor, self._occupancy
        if self._bad:
            return monitor.refuse(SpeedReason.BAD_DATA, f"occupancy: {self._bad}", now_ns)
        silence_s = (time.monotonic_ns() - self._came_ns) * 1e-9
        if occupancy is not None and silence_s > p.people_timeout_s:  # also where the node's clock stands still
            text = f"no occupancy for {silence_s:.2f} s, limit {p.people_timeout_s} s"
            return monitor.refuse(SpeedReason.PEOPLE_STALE, text, now_ns)
        if occupancy is None:
            return monitor.decide(now_ns, None, None)
        try:
            poses, age_s = self._poses.newest(occupancy.frame_id, now_ns)
        except (LookupError, ValueError) as error:
            reason = SpeedReason.ROBOT_STALE if self._robot_seen else SpeedReason.NO_ROBOT_YET
            return monitor.refuse(reason, " ".join(str(error.args[0] if error.args else error).split()), now_ns)
        self._robot_seen = True
        if age_s > p.robot_timeout_s:
            text = f"the robot's poses are {age_s:.2f} s old, limit {p.robot_timeout_s} s"
            return monitor.refuse(SpeedReason.ROBOT_STALE, text, now_ns)
        ends, radius = monitor.robot.capsules(poses)
        return monitor.decide(now_ns, occupancy, (ends, radius), self._measured(ends, now_ns), age_s)

    def _measured(self, ends: np.ndarray, now_ns: int) -> float | None:
        """The robot's speed against its full one, but never less than what is commanded."""
        last, self._last = self._last, (now_ns, ends)
        if last is None or not 0.0 < (now_ns - last[0]) * 1e-9 < 1.0:
            return None
        speed = np.linalg.norm(ends - last[1], axis=-1).max() / ((now_ns - last[0]) * 1e-9)
        return max(self._monitor.limiter.fraction, min(float(speed) / self._monitor.robot.max_speed_mps, 1.0))

    def destroy_node(self) -> None:
        """Stop listening too."""
        if hasattr(self, "_poses"):
            self._poses.close()
        super().destroy_node()


def spin(arguments: list[str] | None = None, overrides: dict[str, Any] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM.

    Args:
        arguments: command line with ROS arguments; None: the process' own.
        overrides: parameter values that win over files and arguments.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """

    def run(node: SsmNode) -> None:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spinning.spin(executor)

    return spinning.until_signal(NODE_NAME, arguments, lambda: SsmNode(overrides), run)


def node_main() -> None:
    """Entry point of the executable `aux_motion_ssm` (ROS arguments)."""
    sys.exit(spin())


if __name__ == "__main__":
    node_main()
