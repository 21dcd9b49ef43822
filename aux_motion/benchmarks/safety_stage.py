# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A running predictor and monitor with scripted cameras, for `aux-motion safety-check`.

Everything is real: processes of the installed commands, DDS on a private domain, the user's parameters. Only the
cameras are scripted: `SkeletonArray` on topics of their own, in the fixed frame, at `RATE_HZ`.
"""

from __future__ import annotations

import array
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aux_motion.commands.processes import Process, wait
from aux_motion_core.constants import NS
from aux_motion_core.safety.robot import Robot
from aux_motion_core.skeleton import INDEX, JOINTS, JointStatus
from aux_motion_core.testing.synthetic import walker
from aux_motion_core.wire.messages import ns_to_stamp

RATE_HZ = 30.0
NODE = "aux_motion_predictor"
#: Noise of a camera that sees somebody, metres.
_NOISE_M = 0.003
_START_S = 40.0


def standing() -> np.ndarray:
    """(20, 3) metres: somebody upright over the origin, feet on the floor."""
    pose = walker(np.zeros(1))[0]
    return pose - np.array([pose[INDEX["pelvis"], 0], pose[INDEX["pelvis"], 1], pose[:, 2].min()])


@dataclass(frozen=True)
class Setup:
    """What is checked.

    Attributes:
        fixed_frame: of the predictor.
        predictor: arguments of `aux-motion run` beside inputs.
        monitor: arguments of `aux-motion ssm`.
        robot: its description.
        hold_s: how long somebody who was lost is repeated.
        timeout_s: `people_timeout_s` of the monitor.
        near_m: x, y of the place beside the robot.
        far_m: x, y of somebody elsewhere.
        folder: of the logs.
    """

    fixed_frame: str
    predictor: tuple[str, ...]
    monitor: tuple[str, ...]
    robot: Robot
    hold_s: float
    timeout_s: float
    near_m: tuple[float, float]
    far_m: tuple[float, float]
    folder: Path


def people_message(frame_id: str, stamp_ns: int, people: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]):
    """Positions (20, 3) metres by id as a `SkeletonArray`; pairs where an id comes twice."""
    from aux_motion_msgs.msg import SkeletonArray
    from builtin_interfaces.msg import Time

    pairs = list(people.items() if isinstance(people, Mapping) else people)
    message = SkeletonArray(joint_names=list(JOINTS), person_ids=[i for i, _ in pairs])
    message.header.frame_id, message.header.stamp = frame_id, Time(**ns_to_stamp(stamp_ns))
    flat = np.concatenate([p.reshape(-1) for _, p in pairs]) if pairs else np.zeros(0)
    message.positions = array.array("f", flat.astype(np.float32).tobytes())
    return message


@dataclass
class Stage:
    """One predictor, one monitor, and cameras.

    Args:
        setup: what is checked.
        inputs: cameras; the first one is the one that looks at the robot.
        sim_time: predictor and monitor take the time from /clock, which the stage publishes.
    """

    setup: Setup
    inputs: int
    sim_time: bool = False
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        import rclpy
        from aux_motion_msgs.msg import OccupancyArray, SeparationStatus, SkeletonArray
        from geometry_msgs.msg import PoseArray
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        from rosgraph_msgs.msg import Clock
        from std_msgs.msg import Float64

        self._rclpy, self._kinds = rclpy, (SkeletonArray, PoseArray, Clock)
        self._context = Context()
        self._context.init()
        self.node = rclpy.create_node("aux_motion_safety_check", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.topics = [f"safety_check_{i}" for i in range(self.inputs)]
        self._cameras = [self.node.create_publisher(SkeletonArray, topic, 10) for topic in self.topics]
        self._robot = self.node.create_publisher(PoseArray, "robot_poses", 1)
        self._clock = self.node.create_publisher(Clock, "/clock", 10) if self.sim_time else None
        self.clock_shift_ns = 0
        self.speeds: list[tuple[float, float]] = []
        self.reasons: list[tuple[float, str]] = []
        self.occupancies = 0
        self.node.create_subscription(Float64, "speed_fraction", self._on_speed, 50)
        self.node.create_subscription(SeparationStatus, "separation", self._on_status, 50)
        self.node.create_subscription(OccupancyArray, "occupancy", self._on_occupancy, 50)
        self._rng = np.random.default_rng(0)
        self.mark: float | None = None
        self.others: list[Callable[[float, int], tuple[int, Any] | None]] = []

    def _on_speed(self, message: Any) -> None:
        self.speeds.append((time.monotonic(), float(message.data)))

    def _on_status(self, message: Any) -> None:
        self.reasons.append((time.monotonic(), str(message.reason_text)))

    def _on_occupancy(self, message: Any) -> None:
        self.occupancies += 1

    # Processes

    def start_predictor(self, topics: list[str] | None = None) -> Process:
        """Start a predictor that listens to these topics, by default to the cameras."""
        s, names = self.setup, topics or self.topics
        arguments = ["run", *s.predictor, "-p", "publish_occupancy:=true", "-p", "tracker:=aux_motion"]
        arguments += ["-p", f"input_topics:=[{', '.join(names)}]", "-p", "input_trackers:=[aux_motion]"]
        arguments += ["-p", "input_frames:=['-']"] + (["--use-sim-time"] if self.sim_time else [])
        log = s.folder / f"predictor_{len(self.processes)}.log"
        self.processes.append(Process("aux_motion.cli", arguments, log))
        return self.processes[-1]

    def start_monitor(self) -> Process:
        """Start the monitor; a robot with frames stands where they are the fixed frame."""
        s = self.setup
        arguments = ["ssm", *s.monitor, "--robot-source", "poses" if s.robot.frames else "static"]
        arguments += ["--use-sim-time"] if self.sim_time else []
        self.processes.append(Process("aux_motion.cli", arguments, s.folder / f"monitor_{len(self.processes)}.log"))
        return self.processes[-1]

    def forget(self, process: Process) -> None:
        """A process that is meant to end is no longer watched."""
        self.processes.remove(process)

    def transition(self, label: str) -> None:
        """Ask the predictor for a lifecycle transition."""
        from lifecycle_msgs.srv import ChangeState

        client = self.node.create_client(ChangeState, f"/{NODE}/change_state")
        request = ChangeState.Request()
        request.transition.label = label
        self._until(client.service_is_ready, "the service change_state")
        future = client.call_async(request)
        self._until(future.done, f"the answer of {label}")
        self.node.destroy_client(client)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        def spun() -> bool:
            self._spin_once(0.005)
            return condition()

        wait(spun, self.processes, _START_S, what)

    # Cameras

    def now_ns(self) -> int:
        """The time that cameras stamp with."""
        return time.time_ns() + self.clock_shift_ns

    def seen(self, x: float, y: float) -> np.ndarray:
        """(20, 3) metres: somebody who stands there, as a camera sees it."""
        pose = standing() + np.array([x, y, 0.0])
        return pose + self._rng.normal(0.0, _NOISE_M, pose.shape)

    def near(self) -> np.ndarray:
        """Somebody beside the robot."""
        return self.seen(*self.setup.near_m)

    def far(self) -> np.ndarray:
        """Somebody elsewhere."""
        return self.seen(*self.setup.far_m)

    def message(self, people: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]] = (), **changes: Any) -> Any:
        """What a camera sends now; `frame_id` and `stamp_ns` may be given, other names are fields of the message."""
        frame_id = changes.pop("frame_id", self.setup.fixed_frame)
        message = people_message(frame_id, changes.pop("stamp_ns", self.now_ns()), people)
        for name, value in changes.items():
            setattr(message, name, value)
        return message

    def guessed(self, pose: np.ndarray) -> Any:
        """Somebody all of whose joints the tracker guesses."""
        status = array.array("B", [int(JointStatus.TRACKER_PREDICTED)] * len(JOINTS))
        return self.message({"near": pose}, joint_status=status)

    def play(
        self, seconds: float, first: Callable[[float], Any] | None, until: Callable[[], bool] | None = None
    ) -> None:
        """Run the cameras for some time.

        Args:
            seconds: how long.
            first: message (or messages, or None) of the first camera at a time since the begin; None: it is dead. The
                other cameras see somebody elsewhere.
            until: ends it before.
        """
        begin, k = time.monotonic(), 0
        while (passed := time.monotonic() - begin) < seconds and not (until and until()):
            if passed < k / RATE_HZ:
                self._spin_once(min(k / RATE_HZ - passed, 0.01))
                continue
            k += 1
            self._tick()
            sent = first(passed) if first is not None else None
            for message in sent if isinstance(sent, list) else [sent]:
                if message is not None:
                    self._cameras[0].publish(message)
            for camera in self._cameras[1:]:
                camera.publish(self.message({"far": self.far()}))

    def _tick(self) -> None:
        _, poses, clock = self._kinds
        if self._clock is not None:
            message = clock()
            message.clock.sec, message.clock.nanosec = divmod(self.now_ns(), NS)
            self._clock.publish(message)
        if self.setup.robot.frames:
            from builtin_interfaces.msg import Time
            from geometry_msgs.msg import Pose

            message = poses()
            message.header.frame_id = self.setup.fixed_frame
            message.header.stamp = Time(**ns_to_stamp(self.now_ns()))
            message.poses = [Pose() for _ in self.setup.robot.frames]
            for pose in message.poses:
                pose.orientation.w = 1.0
            self._robot.publish(message)

    def _spin_once(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)

    def nobody(self, passed_s: float = 0.0) -> Any:
        """The first camera lives, and sees nobody."""
        return self.message()

    def settle(self, least: float, timeout_s: float) -> bool:
        """Run healthy cameras that see nobody near until the robot is fast; whether it became so."""
        begin = time.monotonic()

        def fast() -> bool:
            recent = [v for t, v in self.speeds[-5:] if t > max(begin, time.monotonic() - 0.5)]
            return len(recent) == 5 and min(recent) >= least

        self.play(timeout_s, self.nobody, fast)
        return fast()

    # What is judged

    def judge(self) -> None:
        """From now on the robot may not be fast."""
        self.mark = time.monotonic()

    def worst(self) -> tuple[float, int, str]:
        """Largest speed fraction since `judge`, how many were heard, and why it was what it was."""
        since = [(t, v) for t, v in self.speeds if self.mark is not None and t >= self.mark]
        if not since:
            return float("nan"), 0, ""
        at, value = max(since, key=lambda x: x[1])
        before = [text for t, text in self.reasons if t <= at + 0.1]
        return value, len(since), before[-1] if before else ""

    def close(self) -> None:
        """End everything."""
        for process in self.processes:
            process.stop()
        self._executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        self._context.try_shutdown()
