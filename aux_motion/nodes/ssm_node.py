# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The node `aux_motion_ssm`: the speed and separation monitor.

It takes `occupancy` (aux_motion_msgs/OccupancyArray) and the robot's pose, and publishes `separation`
(aux_motion_msgs/SeparationStatus) and `speed_fraction` (std_msgs/Float64, 0 to 1), and for RViz, when somebody looks,
`separation_markers`. Not a certified safety function: see
docs/planners.md for what a user must check.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from aux_motion_msgs.msg import SeparationStatus
from builtin_interfaces.msg import Time
from pydantic import ValidationError
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Float64
from visualization_msgs.msg import MarkerArray

from aux_motion.nodes import declaration, spinning
from aux_motion.nodes.errors import one_line
from aux_motion.nodes.given import unknown_names, without_section
from aux_motion.nodes.people_input import PeopleInput
from aux_motion.nodes.qos import output_qos
from aux_motion.nodes.robot_poses import RobotPoses, make_robot_poses
from aux_motion.nodes.separation_markers import Capsules, separation_markers
from aux_motion.nodes.ssm_diagnostics import SsmDiagnostics
from aux_motion.nodes.ssm_parameters import SsmError, SsmParameters
from aux_motion_core.safety.robot import load_robot
from aux_motion_core.safety.separation import Monitor, Separation, SpeedReason
from aux_motion_core.wire.messages import ns_to_stamp

NODE_NAME = "aux_motion_ssm"
#: Markers are sent no more often, nanoseconds: a person cannot look at more.
_MARKERS_NS = 66_000_000
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


class SsmNode(LifecycleNode):
    """Decides with every occupancy and at least `rate_hz` times a second while it is active; rclpy must be initialised.

    Args:
        overrides: parameter values that win over files and arguments.

    Raises:
        ParameterError: a parameter has the wrong type or is out of range.
    """

    def __init__(self, overrides: dict[str, Any] | None = None) -> None:
        given = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
        super().__init__(NODE_NAME, parameter_overrides=given)
        declaration.declare(self, SsmParameters)
        self.remark, _ = unknown_names(self, SsmParameters)
        if self.remark:
            self.get_logger().warning(self.remark)
        self.failure, self._starting = "", False
        self._people: PeopleInput | None = None
        self._poses: RobotPoses | None = None
        self._timer: Any = None
        self._outputs: list[Any] = []
        self._active = False
        self._frame_id = self._first_frame_id = ""
        self._decided: Separation | None = None
        self._capsules: Capsules | None = None  # of the newest decision, where the robot's place was known
        self._marked_ns = 0
        self._diagnostics = SsmDiagnostics(self)

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read parameters and robot, make publishers and subscriptions."""
        self.failure = ""
        try:
            self._configure()
        except Exception as error:  # whatever is wrong with a file or a parameter: one line, never a traceback
            self._release()
            self.failure = one_line(error)
            if not self._starting:  # who started it says it
                self.get_logger().error(f"configure failed: {self.failure}")
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def _configure(self) -> None:
        p = self._read()
        robot = load_robot(p.robot)
        self._first_frame_id = ""
        self._values, self._monitor = p, Monitor(robot, p)
        self._poses = make_robot_poses(robot, p.robot_source, self)
        self._people = PeopleInput(self, p.expected_publishers, p.people_timeout_s, self._on_people)
        for kind, topic in ((SeparationStatus, "separation"), (Float64, "speed_fraction")):
            self._outputs.append(self.create_lifecycle_publisher(kind, topic, output_qos(p.rate_hz)))
        self._status, self._speed = self._outputs
        self._markers = self.create_lifecycle_publisher(MarkerArray, "separation_markers", 1)
        self._outputs.append(self._markers)
        self._timer = self.create_timer(1.0 / p.rate_hz, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.cancel()  # until activate
        self.get_logger().info(
            f"monitors {robot.name!r} ({len(robot.links)} capsules) by {p.formulation}; not a certified safety function"
        )

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Decide from now on, from what comes from now on: what was known before is of another time."""
        self._people.reset()
        self._monitor = Monitor(self._monitor.robot, self._values)
        self._robot_seen, self._last, self._decided = False, None, None
        result = super().on_activate(state)
        self._active = True
        self._timer.reset()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say 0 a last time, then nothing."""
        self._stand("the monitor is deactivated")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back what configure made."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Say 0 a last time, and give back everything."""
        self._stand("the monitor is shut down")
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an error in a transition: back to unconfigured."""
        self._release()
        return super().on_error(state)

    def start(self) -> None:
        """Configure and activate.

        Raises:
            SsmError: a parameter or the robot description cannot be used.
        """
        self._starting = True
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            raise SsmError(self.failure)
        self._starting = False
        self.trigger_activate()

    def _stand(self, text: str) -> None:
        if self._active:
            self._active = False
            self._timer.cancel()
            self._publish(self._monitor.refuse(SpeedReason.PEOPLE_STALE, text, self.get_clock().now().nanoseconds))

    def _release(self) -> None:
        self._active = False
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for held in (self._people, self._poses):
            if held is not None:
                held.close()
        self._people = self._poses = None
        while self._outputs:
            self.destroy_lifecycle_publisher(self._outputs.pop())

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

    # Decisions

    def _on_people(self) -> None:
        if self._active:
            self.decide()

    def _on_timer(self) -> None:
        if self._active:
            self.decide()

    def decide(self) -> None:
        """Decide now, and publish it."""
        self._publish(self._decision(self.get_clock().now().nanoseconds))

    def _publish(self, decision: Separation) -> None:
        self._speed.publish(Float64(data=decision.allowed_speed_fraction))
        stamp_ns = self.get_clock().now().nanoseconds
        self._status.publish(separation_message(decision, self._frame_id, stamp_ns))
        if self._decided is None or decision.reason is not self._decided.reason:
            self.get_logger().info(f"{decision.reason.name}: {decision.reason_text}", throttle_duration_sec=0.5)
        self._decided = decision
        self._diagnostics.decisions += 1
        if self._markers.get_subscription_count() and abs(stamp_ns - self._marked_ns) >= _MARKERS_NS:
            self._marked_ns = stamp_ns
            self._markers.publish(separation_markers(decision, self._capsules, self._frame_id, stamp_ns))

    def _decision(self, now_ns: int) -> Separation:
        p, monitor = self._values, self._monitor
        self._capsules = None
        occupancy, reason, text = self._people.state()
        if reason is not None:
            return monitor.refuse(reason, text, now_ns)
        if occupancy is None:
            return monitor.decide(now_ns, None, None)
        self._frame_id = occupancy.frame_id
        for one in self._people.newest:  # each: what is ahead of the time would hide behind what is not
            refused = monitor.refuse_people(now_ns, one)
            if refused is not None:
                return refused
        refused = self._refuse_frame(occupancy.frame_id, now_ns)
        if refused is not None:
            return refused
        try:
            poses, age_s = self._poses.newest(occupancy.frame_id, now_ns)
        except (LookupError, ValueError) as error:
            reason = SpeedReason.ROBOT_STALE if self._robot_seen else SpeedReason.NO_ROBOT_YET
            return monitor.refuse(reason, " ".join(str(error.args[0] if error.args else error).split()), now_ns)
        self._robot_seen = True
        if age_s > p.robot_timeout_s:
            text = f"the robot's poses are {age_s:.2f} s old, limit {p.robot_timeout_s} s"
            return monitor.refuse(SpeedReason.ROBOT_STALE, text, now_ns)
        ends, radius = self._capsules = monitor.robot.capsules(poses)
        return monitor.decide(now_ns, occupancy, (ends, radius), self._measured(ends, now_ns), age_s)

    def _refuse_frame(self, frame_id: str, now_ns: int) -> Separation | None:
        """Links without a frame are in one fixed frame: that of the description, else the first that people came in."""
        robot = self._monitor.robot
        expected = robot.fixed_frame or self._first_frame_id
        if not expected:
            expected = self._first_frame_id = frame_id
        if frame_id == expected or all(link.frame for link in robot.links):
            return None
        text = f"occupancy is in frame {frame_id!r}, the robot's links without a frame are in {expected!r}"
        return self._monitor.refuse(SpeedReason.BAD_DATA, text, now_ns)

    def _measured(self, ends: np.ndarray, now_ns: int) -> float | None:
        """The robot's speed against its full one, but never less than what is commanded."""
        last, self._last = self._last, (now_ns, ends)
        if last is None or not 0.0 < (now_ns - last[0]) * 1e-9 < 1.0:
            return None
        speed = np.linalg.norm(ends - last[1], axis=-1).max() / ((now_ns - last[0]) * 1e-9)
        return max(self._monitor.limiter.fraction, min(float(speed) / self._monitor.robot.max_speed_mps, 1.0))

    @property
    def decided(self) -> Separation | None:
        """The newest decision; None: there was none since the activation."""
        return self._decided

    @property
    def people_publishers(self) -> list[str]:
        """Nodes that publish people."""
        return [] if self._people is None else self._people.publishers

    def destroy_node(self) -> None:
        """Stop listening too."""
        self._release()
        super().destroy_node()


def spin(arguments: list[str] | None = None, overrides: dict[str, Any] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM.

    Args:
        arguments: command line with ROS arguments; None: the process' own.
        overrides: parameter values that win over files and arguments.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """
    given = sys.argv if arguments is None else arguments

    def make() -> SsmNode:
        node = SsmNode(overrides)
        try:
            if lines := without_section(given, node):
                raise SsmError(f"{lines[0]}: a monitor does not start with defaults where parameters were meant")
            if node.get_parameter("autostart").value:
                node.start()
            else:
                node.get_logger().info("unconfigured: waits for a lifecycle manager (or set the parameter autostart)")
        except BaseException:
            node.destroy_node()
            raise
        return node

    def run(node: SsmNode) -> None:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spinning.spin(executor)

    return spinning.until_signal(NODE_NAME, arguments, make, run)
