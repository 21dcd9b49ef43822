"""`aux-motion ssm`: the speed and separation monitor, as a node and as a closed-loop replay.

The node takes `occupancy` (aux_motion_msgs/OccupancyArray) and the robot's pose, and publishes `separation`
(aux_motion_msgs/SeparationStatus) and `speed_fraction` (std_msgs/Float64, 0 to 1). Not a certified safety function: see
docs/planners.md for what a user must check.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from pydantic import Field, ValidationError

from aux_motion_core.safety.robot import Robot, load_robot
from aux_motion_core.safety.separation import Monitor, Separation, SeparationConfig, SpeedReason
from aux_motion_core.space.tf import TfBuffer, TfError, matrix

if TYPE_CHECKING:
    from rclpy.node import Node

NODE_NAME = "aux_motion_ssm"
_NS = 1_000_000_000
_READ_ONLY = {"read_only": True}
#: Fields of a decision that go into the status as they are.
_NUMBERS = (
    "allowed_speed_fraction minimum_distance_m protective_distance_m margin_m s_h_m s_r_m s_s_m c_m z_d_m z_r_m "
    "reaction_time_s stopping_time_s considered_s beyond_horizon_s age_s robot_speed_fraction"
).split()


class SsmError(ValueError):
    """The monitor cannot start, in one line: expected, came, what to do."""


class SsmParameters(SeparationConfig):
    """Parameters of `aux_motion_ssm`; all of them are fixed at the start."""

    robot: str = Field(
        "", description="Required. Robot description (YAML): capsules and stopping data.", json_schema_extra=_READ_ONLY
    )
    robot_source: Literal["auto", "static", "tf", "poses"] = Field(
        "auto",
        description="Where the capsules' frames are: tf (tf2), poses (PoseArray on robot_poses, one pose a frame in "
        "the order of the description), static; auto: tf where the description names frames, else static.",
        json_schema_extra=_READ_ONLY,
    )
    rate_hz: float = Field(
        25.0,
        ge=1.0,
        le=200.0,
        description="At least so many decisions a second, also without input.",
        json_schema_extra=_READ_ONLY,
    )


def _read_only(parameters: type[SsmParameters]) -> None:
    for info in parameters.model_fields.values():
        info.json_schema_extra = _READ_ONLY


_read_only(SsmParameters)


def separation_message(decision: Separation, frame_id: str, stamp_ns: int) -> Any:
    """A decision as an `aux_motion_msgs/SeparationStatus`."""
    from aux_motion_msgs.msg import SeparationStatus
    from builtin_interfaces.msg import Time

    from aux_motion_core.wire.messages import ns_to_stamp

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


class RobotPoses:
    """Where the frames of a robot are, and how old that is. This one: a robot that stands still."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    def newest(self, frame_id: str, now_ns: int) -> tuple[dict[str, Any], float]:
        """Rotation and translation of each frame in `frame_id`, and the age of the oldest in seconds.

        Raises:
            LookupError: there is none yet; one line.
        """
        return {}, 0.0

    def close(self) -> None:
        """Give back what it holds."""


class PosesTopic(RobotPoses):
    """Frames from a `geometry_msgs/PoseArray`, one pose a frame in the order of `Robot.frames`."""

    def __init__(self, robot: Robot, node: Node) -> None:
        from geometry_msgs.msg import PoseArray

        super().__init__(robot)
        self._message: Any = None
        self._came_ns = 0
        node.create_subscription(PoseArray, "robot_poses", self._take, 1)

    def _take(self, message: Any) -> None:
        self._message, self._came_ns = message, time.monotonic_ns()

    def newest(self, frame_id: str, now_ns: int) -> tuple[dict[str, Any], float]:
        """See `RobotPoses.newest`."""
        from aux_motion.nodes.transform_listener import rotation_matrix
        from aux_motion_core.wire.messages import stamp_to_ns

        message = self._message
        if message is None:
            raise LookupError("no message on robot_poses yet")
        if message.header.frame_id != frame_id:
            raise LookupError(f"robot_poses is in frame {message.header.frame_id!r}: expected {frame_id!r}")
        if len(message.poses) != len(self.robot.frames):
            raise LookupError(f"robot_poses has {len(message.poses)} poses: expected {len(self.robot.frames)}")
        poses = {}
        for frame, pose in zip(self.robot.frames, message.poses):
            q, t = pose.orientation, pose.position
            numbers = np.array([q.x, q.y, q.z, q.w, t.x, t.y, t.z])
            if not np.isfinite(numbers).all() or abs(np.linalg.norm(numbers[:4]) - 1.0) > 1e-2:
                raise LookupError(f"robot_poses: the pose of {frame!r} is no pose (quaternion of length 1, finite)")
            poses[frame] = rotation_matrix(numbers[:4]), numbers[4:]
        # a stamp of another clock shows as old or in the future; a sender that hangs by the time of receipt
        age_s = (now_ns - stamp_to_ns(message.header.stamp)) * 1e-9
        silence_s = (time.monotonic_ns() - self._came_ns) * 1e-9
        return poses, max(age_s, -age_s, silence_s)


class TfPoses(RobotPoses):
    """Frames from TF, each at its newest.

    Args:
        robot: names the frames.
        buffer: of transforms.
        listener: fills it when it is polled; None: something else fills it.
    """

    def __init__(self, robot: Robot, buffer: TfBuffer, listener: Any = None) -> None:
        super().__init__(robot)
        self._buffer, self._listener = buffer, listener
        self._came: dict[str, tuple[int, int]] = {}  # frame -> newest stamp, and when it was here first (steady clock)

    def newest(self, frame_id: str, now_ns: int) -> tuple[dict[str, Any], float]:
        """See `RobotPoses.newest`."""
        if self._listener is not None:
            self._listener.poll()
        found, oldest_s, here_ns = {}, 0.0, time.monotonic_ns()
        for frame in self.robot.frames:
            try:
                stamp_ns = self._buffer.latest_ns(frame_id, frame)
                found[frame] = matrix(self._buffer.lookup(frame_id, frame, now_ns if stamp_ns is None else stamp_ns))
            except TfError as error:
                raise LookupError(f"TF: {error}") from None
            if stamp_ns is not None:  # not all static
                age_s = (now_ns - stamp_ns) * 1e-9
                before = self._came.get(frame)
                if before is None or before[0] != stamp_ns:
                    before = self._came[frame] = (stamp_ns, here_ns)
                # also where the node's clock stands still
                oldest_s = max(oldest_s, age_s, -age_s, (here_ns - before[1]) * 1e-9)
        return found, oldest_s

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()


def _tf(robot: Robot, name: str) -> TfPoses:
    from aux_motion.nodes.transform_listener import TfListener

    buffer = TfBuffer()
    try:
        return TfPoses(robot, buffer, TfListener(f"{name}_tf", buffer))
    except ImportError as error:
        raise SsmError(
            f"the robot description names frames ({', '.join(robot.frames[:3])}) and TF is not available: {error}, or "
            "set robot_source to poses"
        ) from None


def robot_poses(robot: Robot, source: str, node: Node) -> RobotPoses:
    """Where the robot's frames come from.

    Raises:
        SsmError: the description and the source do not fit, or TF is not installed.
    """
    if source == "auto":
        source = "tf" if robot.frames else "static"
    if source == "static" and robot.frames:
        raise SsmError(
            f"robot_source is static, but the description names frames ({', '.join(robot.frames[:3])}): "
            "set robot_source to tf or poses, or give the links without frame"
        )
    if source != "static" and not robot.frames:
        raise SsmError(f"robot_source is {source}, but no link of the description names a frame: name them, or static")
    if source == "tf":
        return _tf(robot, node.get_name())
    return PosesTopic(robot, node) if source == "poses" else RobotPoses(robot)


def make_node(overrides: dict[str, Any] | None = None) -> Node:
    """The node `aux_motion_ssm`; rclpy must be initialised.

    Raises:
        SsmError: a parameter or the robot description cannot be used.
    """
    from aux_motion_msgs.msg import OccupancyArray, SeparationStatus
    from rclpy.clock import Clock, ClockType
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from std_msgs.msg import Float64

    from aux_motion.nodes import parameters as node_parameters
    from aux_motion.nodes.predictor_node import output_qos
    from aux_motion_core.safety.occupancy import Occupancy, occupancy_from_message
    from aux_motion_core.wire.messages import MessageError

    class SsmNode(Node):
        """Decides with every occupancy and at least `rate_hz` times a second."""

        def __init__(self) -> None:
            given = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
            super().__init__(NODE_NAME, parameter_overrides=given)
            node_parameters.declare(self, SsmParameters)
            try:
                p = SsmParameters.model_validate(node_parameters.read(self, SsmParameters))
            except ValidationError as error:
                first = error.errors()[0]
                name = ".".join(map(str, first["loc"]))
                raise SsmError(f"parameter {name}: {first['msg']}, came {first['input']!r}") from None
            if not p.robot:
                raise SsmError("parameter robot is required: the YAML file that describes the robot")
            robot = load_robot(p.robot)
            self._parameters = p
            self._poses = robot_poses(robot, p.robot_source, self)
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
                f"monitors {robot.name!r} ({len(robot.links)} capsules) by {p.formulation}; not a certified safety "
                "function"
            )

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
            p, monitor, occupancy = self._parameters, self._monitor, self._occupancy
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

    return SsmNode()


def spin(arguments: list[str] | None = None, overrides: dict[str, Any] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM.

    Args:
        arguments: command line with ROS arguments; None: the process' own.
        overrides: parameter values that win over files and arguments.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """
    from rclpy.executors import SingleThreadedExecutor

    from aux_motion.nodes import spinning

    def run(node: Any) -> None:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        spinning.spin(executor)

    return spinning.until_signal(NODE_NAME, arguments, lambda: make_node(overrides), run)


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def ssm(
    robot: Annotated[Path | None, typer.Option(help="Robot description (YAML).")] = None,
    formulation: Annotated[str | None, typer.Option(help="present_body or swept_occupancy.")] = None,
    robot_source: Annotated[str | None, typer.Option(help="auto, static, tf or poses.")] = None,
    params: Annotated[Path | None, typer.Option(help="ROS parameter file (YAML).")] = None,
    use_sim_time: Annotated[bool | None, typer.Option(help="Take the time from /clock.")] = None,
    namespace: Annotated[str | None, typer.Option(help="ROS namespace of the node.")] = None,
    domain: Annotated[int | None, typer.Option(min=0, max=232, help="ROS_DOMAIN_ID.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warn, error or fatal.")] = "info",
    demo: Annotated[bool, typer.Option(help="No node: a robot arm against recorded people, in closed loop.")] = False,
    data: Annotated[
        Path | None, typer.Option(help="With --demo: folder of recordings held out of training, beside the sample.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="With --demo: model folder; the shipped one by default.")] = None,
    out: Annotated[Path, typer.Option(help="With --demo: folder of the table and the picture.")] = Path("build/ssm"),
) -> None:
    """Speed and separation monitor: how fast a robot may be beside people. Not a certified safety function."""
    if params is not None and not params.is_file():
        raise typer.BadParameter(f"parameter file {params} does not exist", param_hint="--params")
    if demo:
        from aux_motion.benchmarks import ssm_demo

        summary = ssm_demo.run(out, data=data, model=model)
        typer.echo(ssm_demo.text(summary))
        typer.echo(f"written: {out / 'summary.json'}, {out / 'table.txt'}, {out / 'ssm.png'}")
        return
    overrides = {
        "robot": None if robot is None else str(robot),
        "formulation": formulation,
        "robot_source": robot_source,
        "use_sim_time": use_sim_time,
    }
    arguments = ["aux-motion", "--ros-args", "--log-level", log_level.lower()]
    if params is not None:
        arguments += ["--params-file", str(params)]
    if namespace:
        arguments += ["-r", f"__ns:=/{namespace.strip('/')}"]
    if domain is not None:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
    raise typer.Exit(spin(arguments, {k: v for k, v in overrides.items() if v is not None}))


def main(arguments: list[str] | None = None) -> int:
    """Parse `arguments` (None: the process' own) and run.

    Returns:
        Exit status: 0 after a signal or the demo, 1 when the node could not start, 2 for wrong options.
    """
    try:
        app(args=arguments, prog_name="aux-motion ssm")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def node_main() -> None:
    """Entry point of the executable `aux_motion_ssm` (ROS arguments)."""
    sys.exit(spin())


if __name__ == "__main__":
    node_main()
