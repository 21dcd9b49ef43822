# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the predictor node does once a second: look at its publishers, and say how it is on /diagnostics."""

from __future__ import annotations

import re
import time
from collections import Counter

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode

from aux_motion.nodes import realtime
from aux_motion.nodes.conversion import self_check_message
from aux_motion.nodes.diagnostics import Diagnostics
from aux_motion.nodes.learned import Learned
from aux_motion.nodes.prediction_loop import PredictionLoop

#: A trouble with the input is logged after so long an activity, and again after so long, seconds.
_SETTLED_S, _AGAIN_S = 5.0, 60.0
_NUMBERS = re.compile(r"[-\d.]+")


class Reporting:
    """Chores of a node, from its start to its end, also while it is not configured.

    Args:
        node: its clock stamps the diagnostics.
        diagnostics: what is published.
        background: publishes.

    Attributes:
        loop: of the configured node; None: it is not configured.
        learned: what it learns; None: it is not configured.
    """

    def __init__(self, node: LifecycleNode, diagnostics: Diagnostics, background: realtime.Background) -> None:
        self._node, self._diagnostics, self._background = node, diagnostics, background
        self.loop: PredictionLoop | None = None
        self.learned: Learned | None = None
        self._due = False
        self._active_since = time.monotonic()
        self._logged: dict[str, float] = {}  # kind of trouble -> when it was logged last
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        node.create_timer(1.0, self._once_a_second, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _once_a_second(self) -> None:
        """While messages come, chores wait until a prediction was published, so that they delay none."""
        if self.loop is not None and self.loop.busy:
            self._due = True
        else:
            self._do()

    def between_frames(self) -> None:
        """Do what is due."""
        if self._due:
            self._do()

    def _do(self) -> None:
        self._due = False
        start = time.perf_counter()
        loop = self.loop
        trace = None if loop is None else loop.trace
        if trace is not None:
            self._background.submit("trace", trace.flush)
            if trace.trouble:
                self._diagnostics.realtime["trace_file"] = f"{trace.file} ended early: {trace.trouble}"
        if loop is not None:
            self._look_at(loop)
        if self._publisher.get_subscription_count():
            self._background.submit("diagnostics", self._publish)
        if trace is not None:
            trace.add("chores", start, time.perf_counter())

    def _look_at(self, loop: PredictionLoop) -> None:
        diagnostics = self._diagnostics
        loop.sources.check()
        diagnostics.counters = Counter(loop.predictor.counters) + loop.sources.counters()
        diagnostics.source_trouble = self._clock_trouble() or loop.sources.trouble()
        diagnostics.source_values = {
            **loop.sources.values(),
            "unconfirmed_people": ", ".join(loop.predictor.people.unconfirmed()),
        }
        fit = diagnostics.fit = loop.predictor.fit(self._node.get_clock().now().nanoseconds)
        diagnostics.bounds = loop.predictor.about_bounds()
        if self.learned is not None:
            self.learned.once_a_second()
            diagnostics.learned_file_trouble = self.learned.trouble
        self._log(loop)
        if fit is not None and loop.active and loop.self_check.get_subscription_count():
            self._background.submit("self_check", lambda: loop.self_check.publish(self_check_message(fit)))

    def _clock_trouble(self) -> str:
        clock = self._node.get_clock()
        if not clock.ros_time_is_active or clock.now().nanoseconds:
            return ""
        return "use_sim_time is set, but nothing came on /clock: publish it, or set use_sim_time to false"

    def _log(self, loop: PredictionLoop) -> None:
        """The first line of a trouble with the input, for who reads no diagnostics; again after a minute."""
        diagnostics, now = self._diagnostics, time.monotonic()
        if not loop.active or diagnostics.frame_errors.recent or diagnostics.bad_messages.recent:  # those are logged
            self._active_since = now if not loop.active else self._active_since
            return
        level, line = diagnostics.input_verdict(self._node.get_clock().now().nanoseconds)
        if level == DiagnosticStatus.OK or now - self._active_since < _SETTLED_S:
            return
        kind = _NUMBERS.sub("#", line)
        if now - self._logged.get(kind, float("-inf")) > _AGAIN_S:
            self._logged[kind] = now
            self._node.get_logger().warning(line)

    def _publish(self) -> None:
        """In the background."""
        start = time.perf_counter()
        self._publisher.publish(self._diagnostics.report(self._node.get_clock().now().nanoseconds))
        trace = None if self.loop is None else self.loop.trace
        if trace is not None:
            trace.add("diagnostics", start, time.perf_counter())
