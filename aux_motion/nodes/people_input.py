# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the monitor knows of people: the newest occupancy of every predictor, and who publishes it.

Two predictors on one topic contradict each other: a stray one that sees nobody would free the robot each time.
So publishers are counted, in the graph and by what messages say of their producer, and the monitor stops where there
are others than expected.
"""

from __future__ import annotations

import time
from typing import Any

from aux_motion_msgs.msg import OccupancyArray
from rclpy.qos import QoSProfile, ReliabilityPolicy

from aux_motion_core.constants import NS
from aux_motion_core.safety.merge import merged
from aux_motion_core.safety.occupancy import Occupancy, occupancy_from_message
from aux_motion_core.safety.separation import SpeedReason
from aux_motion_core.wire.messages import MessageError

#: How often publishers are counted, nanoseconds.
_COUNT_EVERY_NS = NS // 10
#: Silence after which a producer is forgotten (it was started again under another number), nanoseconds.
_FORGET_NS = 2 * NS
_TOPIC = "occupancy"


class PeopleInput:
    """The subscription of `occupancy`.

    Args:
        node: has it.
        expected: how many publishers there must be.
        timeout_s: silence of any of them that stops the robot.
        on_new: called after each message.
    """

    def __init__(self, node: Any, expected: int, timeout_s: float, on_new: Any) -> None:
        self._node, self._expected, self._timeout_s, self._on_new = node, expected, timeout_s, on_new
        self._newest: dict[str, tuple[Occupancy, int]] = {}
        self._bad: dict[str, str] = {}
        self._input: dict[str, tuple[int, int]] = {}  # producer -> oldest input, and when that was here first
        self._counted_ns = 0
        self.publishers: list[str] = []
        reliable = QoSProfile(depth=4 * expected, reliability=ReliabilityPolicy.RELIABLE)
        self._subscription = node.create_subscription(OccupancyArray, _TOPIC, self._take, reliable)

    def _take(self, message: OccupancyArray) -> None:
        producer = str(message.producer)
        try:
            occupancy, here_ns = occupancy_from_message(message), time.monotonic_ns()
            self._newest[producer] = occupancy, here_ns
            input_ns = occupancy.view.oldest_input_ns
            if self._input.get(producer, (None, 0))[0] != input_ns:
                self._input[producer] = input_ns, here_ns
            self._bad.pop(producer, None)
        except MessageError as error:
            self._bad[producer] = str(error)
        self._on_new()

    def reset(self) -> None:
        """Forget what came: it is of before the activation."""
        self._newest.clear()
        self._bad.clear()
        self._input.clear()
        self._counted_ns = 0

    @property
    def newest(self) -> list[Occupancy]:
        """The newest of each producer."""
        return [occupancy for occupancy, _ in self._newest.values()]

    def _count(self, here_ns: int) -> None:
        if here_ns - self._counted_ns < _COUNT_EVERY_NS:
            return
        self._counted_ns = here_ns
        infos = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(_TOPIC))
        self.publishers = sorted(f"{i.node_namespace.rstrip('/')}/{i.node_name}" for i in infos)

    def state(self) -> tuple[Occupancy | None, SpeedReason | None, str]:
        """What is known now: all people, or why nothing can be concluded.

        Returns:
            The occupancy (None: none yet), and a reason to stop with its text (None: there is none here).
        """
        here_ns = time.monotonic_ns()
        self._count(here_ns)
        names = self.publishers if len(self.publishers) > self._expected else list(self._newest)
        if max(len(self.publishers), len(self._newest)) > self._expected:
            text = (
                f"{len(names)} publishers of {_TOPIC}, expected {self._expected}: {', '.join(names)}; stop the others, "
                "or set expected_publishers"
            )
            self._forget(here_ns)
            return None, SpeedReason.PUBLISHERS, text
        if self._bad:
            return None, SpeedReason.BAD_DATA, f"occupancy: {next(iter(self._bad.values()))}"
        if not self._newest:
            return None, None, ""
        silent = {name: (here_ns - came_ns) / NS for name, (_, came_ns) in self._newest.items()}
        name = max(silent, key=lambda n: silent[n])
        if silent[name] > self._timeout_s:  # also where the node's clock stands still
            who = f" of {name}" if self._expected > 1 else ""
            return (
                None,
                SpeedReason.PEOPLE_STALE,
                f"no occupancy{who} for {silent[name]:.2f} s, limit {self._timeout_s} s",
            )
        repeated = {name: (here_ns - self._input[name][1]) / NS for name in self._newest}
        name = max(repeated, key=lambda n: repeated[n])
        if repeated[name] > self._timeout_s:  # also where the clock goes back, by which it would stay young
            text = f"the oldest input is the same for {repeated[name]:.2f} s, limit {self._timeout_s} s"
            return None, SpeedReason.PEOPLE_STALE, text
        if len(self._newest) < self._expected:
            heard = ", ".join(silent)
            text = f"{len(self._newest)} of {self._expected} expected publishers of {_TOPIC} are heard: {heard}"
            return None, SpeedReason.PUBLISHERS, text
        try:
            return merged([occupancy for occupancy, _ in self._newest.values()]), None, ""
        except MessageError as error:
            return None, SpeedReason.BAD_DATA, f"occupancy: {error}"

    def _forget(self, here_ns: int) -> None:
        for name in [n for n, (_, came_ns) in self._newest.items() if here_ns - came_ns > _FORGET_NS]:
            del self._newest[name]
            self._bad.pop(name, None)
            self._input.pop(name, None)

    def close(self) -> None:
        """Take the subscription down."""
        self._node.destroy_subscription(self._subscription)
