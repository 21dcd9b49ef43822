# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion fault-inject`: lays seeded faults over live skeletons, to see what the predictor makes of them.

It listens on the domain of its environment and publishes on another one, so that false skeletons never reach a robot
that works. Delays are real: a late message is published late.
"""

from __future__ import annotations

import heapq
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
from aux_motion_msgs.msg import SkeletonArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions, install_signal_handlers

from aux_motion.commands.processes import private_domain
from aux_motion.commands.topics import check_topic
from aux_motion.nodes import spinning
from aux_motion.nodes.conversion import skeleton_message
from aux_motion_core.evaluation.faults import Faults
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, frame_from_message

_REPORT_S = 10.0


@contextmanager
def _environment() -> Any:
    """What is done inside to the process' environment is undone after."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def contexts(domain: int | None, same_domain: bool) -> tuple[Context, Context, int, int]:
    """Contexts to listen and to publish with.

    Args:
        domain: to publish on; None: a private one on this machine, unless:
        same_domain: publish where it listens.

    Returns:
        Listening context, publishing context (the same one for one domain), and their domains.

    Raises:
        ValueError: both ways to choose a domain at once, or the domain is the one it listens on.
    """
    here = int(os.environ.get("ROS_DOMAIN_ID") or 0)
    if domain is not None and same_domain:
        raise ValueError("give --domain or --same-domain, not both")
    if domain == here:
        raise ValueError(
            f"--domain {domain} is the domain of the skeletons themselves: give --same-domain if faulty skeletons may "
            "be published there, never where a robot works"
        )
    listening = Context()
    listening.init(domain_id=here)
    if same_domain:
        return listening, listening, here, here
    publishing = Context()
    with _environment():  # the private domain's settings are for it alone
        there = private_domain() if domain is None else domain
        publishing.init(domain_id=there)
    return listening, publishing, here, there


def faulty_message(frame: SkeletonFrame) -> SkeletonArray:
    """A frame as a message that says what the tracker would say: a joint may be NaN and yet called observed."""
    message = skeleton_message(frame)
    message.joint_status = np.ascontiguousarray(frame.status, np.uint8).reshape(-1).tolist()
    message.confidence = np.ascontiguousarray(frame.confidence, np.float32).reshape(-1).tolist()
    return message


class FaultInjector:
    """Listens to skeletons, publishes them with faults; messages that are late wait in a thread.

    Args:
        faults: to lay over them.
        listener: node to listen with.
        speaker: node to publish with.
        source: topic to listen to.
        target: topic to publish on.

    Attributes:
        heard, sent, rejected: numbers of messages.
    """

    def __init__(self, faults: Faults, listener: Node, speaker: Node, source: str, target: str) -> None:
        self._injector = faults.start()
        self._publisher = speaker.create_publisher(SkeletonArray, target, 100)  # reliable: matches every subscriber
        self._late: list[tuple[int, int, SkeletonArray]] = []
        self._wake = threading.Condition()
        self._open = True
        self.heard = self.sent = self.rejected = 0
        qos = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = listener.create_subscription(SkeletonArray, source, self._hear, qos)
        self._thread = threading.Thread(target=self._publish, name="late", daemon=True)
        self._thread.start()

    def _hear(self, message: SkeletonArray) -> None:
        now_ns = time.monotonic_ns()
        self.heard += 1
        try:
            frame = frame_from_message(message)
        except MessageError:
            self.rejected += 1
            return
        item = self._injector.push(now_ns, frame)
        if item is None:
            return
        with self._wake:
            heapq.heappush(self._late, (item.log_time_ns, self.heard, faulty_message(item.frame)))
            self._wake.notify()

    def _publish(self) -> None:
        while True:
            with self._wake:
                while self._open and (not self._late or self._late[0][0] > time.monotonic_ns()):
                    wait_s = (self._late[0][0] - time.monotonic_ns()) * 1e-9 if self._late else None
                    self._wake.wait(wait_s)
                if not self._open:
                    return
                message = heapq.heappop(self._late)[2]
            self._publisher.publish(message)
            self.sent += 1

    def close(self) -> None:
        """Discard queued messages."""
        with self._wake:
            self._open = False
            self._wake.notify()
        self._thread.join(timeout=2.0)


def inject(
    faults: Faults,
    source: str = "skeletons",
    target: str = "skeletons_faulty",
    domain: int | None = None,
    same_domain: bool = False,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> str:
    """Publish skeletons with faults until interrupted.

    Args:
        faults: to lay over them.
        source: topic to listen to, on the domain of the environment.
        target: topic to publish on.
        domain: to publish on; None: a private one on this machine.
        same_domain: publish on the domain it listens on.
        say: takes lines of progress.

    Returns:
        A line on what was done.

    Raises:
        ValueError: names of no topics; topics or domains that make a loop, or would publish where the skeletons
            themselves are.
    """
    check_topic(source, "give another with --from")
    check_topic(target, "give another with --to")
    if same_domain and source.strip("/") == target.strip("/"):
        raise ValueError(f"--from and --to are both {source}: on one domain give two topics")
    listening, publishing, here, there = contexts(domain, same_domain)
    install_signal_handlers(SignalHandlerOptions.ALL)
    options = {"start_parameter_services": False, "enable_rosout": False}
    listener = speaker = Node("aux_motion_fault_inject", context=listening, **options)
    if publishing is not listening:
        speaker = Node("aux_motion_fault_inject", context=publishing, **options)
    injector = FaultInjector(faults, listener, speaker, source, target)
    say(
        f"faults {faults} (seed {faults.seed}): {source} of ROS domain {here} -> {target} of ROS domain {there}; start "
        f"the predictor with ROS_DOMAIN_ID={there}"
    )
    try:
        with spinning.executing(listener, listening) as executor:
            begin, silent = time.monotonic(), True
            while listening.ok():
                executor.spin_once(timeout_sec=0.1)
                if silent and not injector.heard and time.monotonic() > begin + _REPORT_S:
                    silent = False
                    say(f"nobody publishes {source} in ROS domain {here} yet; waiting")
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        injector.close()
        for context in {listening, publishing}:
            context.try_shutdown()
    bad = f", {injector.rejected} unusable" if injector.rejected else ""
    return f"{injector.sent} of {injector.heard} messages passed on{bad}"
