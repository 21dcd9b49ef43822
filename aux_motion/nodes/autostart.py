# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Configure and activate a node at its start, and again where that failed."""

from __future__ import annotations

import time
from typing import Any

from rclpy.clock import Clock, ClockType

#: So long until it is tried again, seconds.
AGAIN_S = 10.0


class Autostart:
    """Calls `node.start()` until the node was configured and activated, or somebody else has done it.

    What was missing may come: a folder that is mounted, a parameter that is set. So the failure is said again with
    each attempt, not only once among the first lines of a launch.

    Args:
        node: with `start`, `lifecycle` (name of its state) and `changes` (how many parameters were set).
    """

    def __init__(self, node: Any) -> None:
        self._node = node
        self._timer: Any = None
        self._next = 0.0
        self._changes = -1

    def begin(self) -> bool:
        """Try now, and later where that fails; whether it has succeeded."""
        if self._try():
            return True
        self._timer = self._node.create_timer(1.0, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return False

    def _try(self) -> bool:
        self._changes = self._node.changes
        done = bool(self._node.start())
        self._next = time.monotonic() + AGAIN_S
        return done

    def _look(self) -> None:
        if self._node.lifecycle not in ("unconfigured", "inactive"):
            self._timer.cancel()
        elif (time.monotonic() >= self._next or self._node.changes != self._changes) and self._try():
            self._timer.cancel()
