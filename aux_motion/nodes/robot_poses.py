# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Where the frames of a robot are: it stands still, or TF or a `geometry_msgs/PoseArray` tells."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseArray
from rclpy.node import Node

from aux_motion.nodes.ssm_parameters import SsmError
from aux_motion.nodes.transform_listener import TfListener
from aux_motion_core.safety.robot import Robot
from aux_motion_core.space.frames import rotation_matrix
from aux_motion_core.space.tf import TfBuffer, TfError, matrix
from aux_motion_core.wire.messages import stamp_to_ns

#: How often the publishers of TF are looked at, nanoseconds.
_CHECK_NS = 1_000_000_000
#: How often those of `robot_poses` are counted, nanoseconds.
_COUNT_NS = 100_000_000
_TOPIC = "robot_poses"


class RobotPoses:
    """Poses of a robot's frames and their age. This class: a robot that does not move."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    def newest(self, frame_id: str, now_ns: int) -> tuple[dict[str, Any], float]:
        """Rotation (3, 3) and translation (3,) in metres of each frame in `frame_id`, and an age in seconds.

        The age is that of the oldest of them.

        Raises:
            LookupError: there is none yet; one line.
        """
        return {}, 0.0

    def close(self) -> None:
        """Free what it holds."""


class PosesTopic(RobotPoses):
    """Frames from a `geometry_msgs/PoseArray`, one pose a frame in the order of `Robot.frames`."""

    def __init__(self, robot: Robot, node: Node) -> None:
        super().__init__(robot)
        self._message: Any = None
        self._came_ns = 0
        self._node = node
        self._senders: list[str] = []
        self._checked_ns = 0  # when the publishers were counted
        self._subscription = node.create_subscription(PoseArray, _TOPIC, self._take, 1)

    def _take(self, message: Any) -> None:
        before, self._message = self._message, message
        if before is None or before.header.stamp != message.header.stamp:  # repeated it is no news
            self._came_ns = time.monotonic_ns()

    def _count(self) -> None:
        here_ns = time.monotonic_ns()
        if here_ns - self._checked_ns >= _COUNT_NS:
            self._checked_ns = here_ns
            infos = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(_TOPIC))
            self._senders = sorted(f"{i.node_namespace.rstrip('/')}/{i.node_name}" for i in infos)
        if len(self._senders) > 1:
            raise LookupError(f"{len(self._senders)} publishers of {_TOPIC}, expected 1: {', '.join(self._senders)}")

    def newest(self, frame_id: str, now_ns: int) -> tuple[dict[str, Any], float]:
        """See `RobotPoses.newest`."""
        self._count()
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

    def close(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)


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
        self._checked_ns = 0  # when the publishers were looked at
        self._came: dict[str, tuple[int, int]] = {}  # frame -> newest stamp, and when it was here first (steady clock)

    def newest(self, frame_id: str, now_ns: int) -> tuple[dict[str, Any], float]:
        """See `RobotPoses.newest`."""
        found, oldest_s, here_ns = {}, 0.0, time.monotonic_ns()
        if self._listener is not None:
            if here_ns - self._checked_ns > _CHECK_NS:
                self._checked_ns = here_ns
                self._listener.check()
            self._listener.poll()
        for frame in self.robot.frames:
            try:
                stamp_ns = self._buffer.latest_ns(frame_id, frame)
                found[frame] = matrix(self._buffer.lookup(frame_id, frame, now_ns if stamp_ns is None else stamp_ns))
            except TfError as error:
                raise LookupError(f"TF: {error}: {error.remedy}") from None
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


def _tf(robot: Robot, node: Node) -> TfPoses:
    buffer = TfBuffer()
    try:
        return TfPoses(robot, buffer, TfListener(node, buffer))
    except ImportError as error:
        raise SsmError(
            f"the robot description names frames ({', '.join(robot.frames[:3])}) and there is no TF ({error}): "
            "provide it, or set robot_source to poses"
        ) from None


def make_robot_poses(robot: Robot, source: str, node: Node) -> RobotPoses:
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
        return _tf(robot, node)
    return PosesTopic(robot, node) if source == "poses" else RobotPoses(robot)
