# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The node's executor hands messages over by itself, and asks rclpy only where something else is ready."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

rclpy = pytest.importorskip("rclpy")

from std_msgs.msg import Int32  # noqa: E402
from support.node_harness import private_domain  # noqa: E402

from aux_motion.nodes.executor import InputExecutor  # noqa: E402

MESSAGES = 40


class Stop(Exception):
    """Ends the spinning."""


class Counting(InputExecutor):
    passes = 0

    def spin_once(self, timeout_sec: float | None = None) -> None:
        self.passes += 1
        super().spin_once(timeout_sec)


@pytest.fixture
def node() -> Iterator[Any]:
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=private_domain())
    node = rclpy.create_node("executor_test", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_timer_that_is_set_anew_is_no_reason_to_look_at_everything(node: Any) -> None:
    came: list[int] = []
    passes: list[int] = []

    def ready() -> None:
        raise Stop  # a timer that is ready is served

    timer = node.create_timer(1.0, ready)

    def take(message: Int32, info: dict[str, int]) -> None:
        came.append(message.data)
        passes.append(executor.passes)
        timer.reset()

    def send() -> None:
        while not came:  # until they know each other
            publisher.publish(Int32(data=-1))
            time.sleep(0.05)
        time.sleep(0.2)
        for k in range(MESSAGES):
            publisher.publish(Int32(data=k))
            time.sleep(0.01)

    subscription = node.create_subscription(Int32, "numbers", take, 10)
    publisher = node.create_publisher(Int32, "numbers", 10)
    executor = Counting(node, lambda: [subscription], node.context)
    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(Stop):
        executor.spin()
    thread.join(10.0)
    executor.shutdown()
    assert came[-MESSAGES:] == list(range(MESSAGES))
    assert passes[-1] - passes[-MESSAGES] < MESSAGES // 2


def test_other_work_is_done(node: Any) -> None:
    def work() -> None:
        raise Stop

    executor = InputExecutor(node, list, node.context)
    thread = threading.Timer(0.2, lambda: executor.create_task(work))
    thread.start()
    with pytest.raises(Stop):
        executor.spin()
    thread.join(10.0)
    executor.shutdown()
