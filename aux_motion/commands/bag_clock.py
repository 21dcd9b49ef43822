# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The time of a bag on /clock."""

from __future__ import annotations

import threading
import time
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node

from aux_motion_core.wire.messages import ns_to_stamp


class BagClock:
    """Publishes the time of the bag on /clock from a thread of its own; use as a context manager.

    Args:
        node: to publish with.
        rate_hz: how often; 0: not at all.
    """

    def __init__(self, node: Node, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz if rate_hz else 0.0
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._begin: tuple[int, int, float] | None = None
        self._said_ns = 0
        if rate_hz:
            from rosgraph_msgs.msg import Clock as ClockMessage

            self._type = ClockMessage
            self._publisher = node.create_publisher(ClockMessage, "/clock", 10)
            self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
            self._thread.start()

    def begin(self, wall_ns: int, bag_ns: int, rate: float) -> None:
        """From `wall_ns` of this machine on, the bag's time is `bag_ns` and runs at `rate`."""
        self._begin = wall_ns, bag_ns, rate

    def tick(self, bag_ns: int) -> None:
        """Publish the time: before a message, so that no subscriber gets one from the future. It never goes back."""
        if not self._period_s:
            return
        with self._lock:
            self._said_ns = max(self._said_ns, bag_ns)
            self._publisher.publish(self._type(clock=Time(**ns_to_stamp(self._said_ns))))

    def _run(self) -> None:
        while not self._end.wait(self._period_s):
            if self._begin is None or not rclpy.ok():
                continue
            wall_ns, bag_ns, rate = self._begin
            self.tick(bag_ns + max(0, round((time.time_ns() - wall_ns) * rate)))

    def __enter__(self) -> BagClock:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._end.set()
        if self._period_s:
            self._thread.join(timeout=2.0)
