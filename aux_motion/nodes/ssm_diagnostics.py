# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the monitor says about itself on /diagnostics, once a second."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType

from aux_motion_core.safety.separation import SpeedReason

#: With these the monitor works as it should, whatever the speed.
_WELL = (SpeedReason.FREE, SpeedReason.SLOWED, SpeedReason.STOPPED)
#: With these something is missing that may still come.
_WAITS = (SpeedReason.NO_PEOPLE_YET, SpeedReason.NO_ROBOT_YET)


class SsmDiagnostics:
    """Publishes from the start of the node to its end, also while it is not configured.

    Args:
        node: the monitor.

    Attributes:
        decisions: how many were published.
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self.decisions = 0
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        node.create_timer(1.0, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def status(self) -> DiagnosticStatus:
        """The status of now."""
        node, name = self._node, self._node.get_fully_qualified_name().lstrip("/")
        decision = node.decided
        values = {
            "decisions": self.decisions,
            "publishers": ", ".join(node.people_publishers) or "none",
        }
        level, message = DiagnosticStatus.OK, "not active"
        if node.failure:
            level, message = DiagnosticStatus.ERROR, f"configure failed: {node.failure}"
        elif decision is not None:
            message = decision.reason_text
            values |= {
                "reason": decision.reason.name,
                "speed_fraction": f"{decision.allowed_speed_fraction:.3f}",
                "minimum_distance_m": f"{decision.minimum_distance_m:.3f}",
                "age_s": f"{decision.age_s:.3f}",
            }
            if decision.reason in _WAITS:
                level = DiagnosticStatus.WARN
            elif decision.reason not in _WELL:
                level = DiagnosticStatus.ERROR
        if node.remark and level == DiagnosticStatus.OK:
            level, message = DiagnosticStatus.WARN, f"{message}; {node.remark}"
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(
            level=level, name=f"{name}: separation", message=message, hardware_id=name, values=pairs
        )

    def _publish(self) -> None:
        if not self._publisher.get_subscription_count():
            return
        array = DiagnosticArray(status=[self.status()])
        array.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(array)
