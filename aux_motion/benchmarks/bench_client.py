# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Publishes walking people, and notes when their predictions arrive."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import rclpy
from aux_motion_msgs.msg import PredictionArray, SkeletonArray
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import deserialize_message

from aux_motion.benchmarks.bench_echo import ECHO_IN, ECHO_OUT, FLOOR
from aux_motion.nodes.conversion import skeleton_message
from aux_motion.nodes.spinning import SpinThread
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.testing import synthetic

FRAME = "map"
#: A turn begins with frames that are not counted: people come back, caches are warm again; seconds.
_LEAD_IN_S = 0.6
#: How long the last answers of a turn are waited for; seconds.
_LAST_WAIT_S = 1.0


@dataclass
class Side:
    """One of the two that answer: stamps that were sent and when they were answered, nanoseconds."""

    sent: list[int] = field(default_factory=list)
    answered: dict[int, int] = field(default_factory=dict)


class Client:
    """Publishes walking people, and notes when their predictions arrive; rclpy must be initialised."""

    def __init__(self) -> None:
        self.sides = {"node": Side(), FLOOR: Side()}
        self._next = {name: 0 for name in self.sides}
        self._node = node = rclpy.create_node("aux_motion_bench")
        self._publishers = {
            "node": node.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data),
            FLOOR: node.create_publisher(SkeletonArray, ECHO_IN, qos_profile_sensor_data),
        }

        def hear(side: Side, raw: bytes) -> None:
            now_ns = time.time_ns()  # the message is there; what follows is the bench's own work
            message = deserialize_message(raw, PredictionArray)
            for person in message.people:
                if person.state in PREDICTED:
                    side.answered.setdefault(person.stamp.sec * NS + person.stamp.nanosec, now_ns)
                    break

        qos = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        for topic, name in (("predictions", "node"), (ECHO_OUT, FLOOR)):
            side = self.sides[name]
            node.create_subscription(PredictionArray, topic, lambda raw, s=side: hear(s, raw), qos, raw=True)
        self._thread = SpinThread(node, "client")

    def close(self) -> None:
        """Give back node and thread."""
        self._thread.close()
        self._node.destroy_node()

    def messages(self, people: int, rate_hz: float, seconds: float = 20.0) -> list[Any]:
        """Frames to play, made before the clock runs."""
        return [skeleton_message(f) for f in synthetic.frames(people, seconds, rate_hz, frame_id=FRAME)]

    def send(self, name: str, message: Any) -> int:
        """Stamp a message with the present and publish it to "node" or the floor; returns the stamp."""
        stamp_ns = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS)
        self._publishers[name].publish(message)
        return stamp_ns

    def turn(self, name: str, messages: list[Any], rate_hz: float, seconds: float) -> None:
        """Play to one side for `seconds`; stamps sent after the lead-in are added to its `sent`.

        People go on where the last turn left them: who is elsewhere at once would be another person.
        """
        side = self.sides[name]
        start = time.perf_counter()
        stamp_ns, index = 0, 0
        while True:
            due = start + index / rate_hz
            now = time.perf_counter()
            if due > start + _LEAD_IN_S + seconds:
                break
            if due > now:
                time.sleep(due - now)
            stamp_ns = self.send(name, messages[self._next[name] % len(messages)])
            self._next[name] += 1
            if due >= start + _LEAD_IN_S:
                side.sent.append(stamp_ns)
            index += 1
        end = time.perf_counter() + _LAST_WAIT_S
        while stamp_ns not in side.answered and time.perf_counter() < end:
            time.sleep(0.005)
