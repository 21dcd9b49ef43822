# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion record`: skeletons, predictions and what else this package publishes, to an MCAP file.

Messages are taken serialised as they came and written by another thread (`aux_motion_core.bags.recording`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.clock import Clock, ClockType
from rclpy.executors import Executor, ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from aux_motion.commands.topics import check_topic, message_class
from aux_motion.nodes import spinning
from aux_motion_core.bags.recording import Recording
from aux_motion_core.constants import NS
from aux_motion_core.trackers import NAMES, adapter_class

POLL_S = 0.05
SILENCE_S = 10.0
_DEPTH = 1000
#: Types that are recorded without being asked for: of this package, of trackers of people, transforms, diagnostics.
_OWN = "aux_motion_msgs/msg/"
_ALSO = ("tf2_msgs/msg/TFMessage", "diagnostic_msgs/msg/DiagnosticArray")
_AMBIGUOUS = ("visualization_msgs/", "geometry_msgs/", "std_msgs/")  # anything can be in those


def default_file() -> Path:
    """A name with the present time, in the working folder."""
    return Path(f"aux_motion_{datetime.now():%Y%m%d_%H%M%S}.mcap")


def wanted_types() -> set[str]:
    """Types that are recorded without being asked for, beside all of this package's own."""
    trackers = {msgtype for name in NAMES for msgtype in adapter_class(name).types()}
    return {*_ALSO, *(t for t in trackers if not t.startswith(_AMBIGUOUS))}


def qos_text(offered: Sequence[QoSProfile]) -> str:
    """Quality of service that publishers offer, as rosbag2 keeps it in bags."""

    def time(duration: Any) -> dict[str, int]:
        sec, nsec = divmod(duration.nanoseconds, NS)
        return {"sec": sec, "nsec": nsec}

    profiles = [
        {
            "history": int(q.history),
            "depth": int(q.depth),
            "reliability": int(q.reliability),
            "durability": int(q.durability),
            "deadline": time(q.deadline),
            "lifespan": time(q.lifespan),
            "liveliness": int(q.liveliness),
            "liveliness_lease_duration": time(q.liveliness_lease_duration),
            "avoid_ros_namespace_conventions": bool(q.avoid_ros_namespace_conventions),
        }
        for q in offered
    ]
    return yaml.safe_dump(profiles, sort_keys=False)


class Recorder:
    """Subscribes to topics as they appear and hands their messages to a recording.

    Args:
        node: to subscribe with.
        recording: open.
        topics: names; empty: all topics of this package's types, of trackers, transforms and diagnostics.
        say: takes a line.
        sim_time: log by /clock instead of the time of this machine.
    """

    def __init__(
        self,
        node: Node,
        recording: Recording,
        topics: Sequence[str],
        say: Callable[[str], None],
        sim_time: bool = False,
    ) -> None:
        self._node, self._recording, self._say = node, recording, say
        self._names = {node.resolve_topic_name(topic) for topic in topics}
        self._types = wanted_types()
        self._clock = node.get_clock() if sim_time else None
        self._subscriptions: dict[tuple[str, str], tuple[Any, bool]] = {}
        self._unknown: set[str] = set()
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # a simulated one may stand still
        self._timer = node.create_timer(POLL_S, self.poll, clock=steady)

    @property
    def topics(self) -> list[str]:
        """Topics that are recorded."""
        return sorted({topic for topic, _ in self._subscriptions})

    def poll(self) -> None:
        """Subscribe to what has appeared, with a quality of service that its publishers offer."""
        for topic, types in self._node.get_topic_names_and_types():
            for msgtype in types:
                wanted = topic in self._names if self._names else msgtype.startswith(_OWN) or msgtype in self._types
                if wanted:
                    self._subscribe(topic, msgtype)

    def _subscribe(self, topic: str, msgtype: str) -> None:
        offered = [e.qos_profile for e in self._node.get_publishers_info_by_topic(topic) if e.topic_type == msgtype]
        if not offered:
            return
        reliable = all(q.reliability == ReliabilityPolicy.RELIABLE for q in offered)
        key = (topic, msgtype)
        subscribed = self._subscriptions.get(key)
        if subscribed is not None and (reliable or not subscribed[1]):
            return
        kind = message_class(msgtype)
        if kind is None:
            if msgtype not in self._unknown:
                self._unknown.add(msgtype)
                package = msgtype.split("/")[0]
                self._say(f"not recorded: {topic} [{msgtype}]: package {package} is not here, source its workspace")
            return
        if subscribed is not None:  # a best-effort publisher has come, which a reliable subscription does not match
            self._node.destroy_subscription(subscribed[0])
        latched = all(q.durability == DurabilityPolicy.TRANSIENT_LOCAL for q in offered)
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=_DEPTH,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        )
        put = self._recording.put

        clock = self._clock

        def heard(raw: bytes, info: Any) -> None:
            if clock is not None:
                received_ns = clock.now().nanoseconds
                put(topic, msgtype, raw, received_ns)
                return
            received_ns = info.get("received_timestamp") or time.time_ns()
            put(topic, msgtype, raw, received_ns, info.get("source_timestamp"))

        subscription = self._node.create_subscription(kind, topic, heard, qos, raw=True)
        if subscribed is None:
            self._recording.offered(topic, msgtype, qos_text(offered))
            self._say(f"recording {topic} [{msgtype}]")
        self._subscriptions[key] = (subscription, reliable)


def record(
    out: str | Path | None = None,
    topics: Sequence[str] = (),
    seconds: float | None = None,
    sim_time: bool = False,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> str:
    """Record until interrupted, or for a time.

    Args:
        out: `.mcap` file that does not exist yet; None: named after the present time.
        topics: names; empty: those of this package, of trackers, transforms and diagnostics.
        seconds: length; None: until SIGINT or SIGTERM.
        sim_time: log by /clock instead of the time of this machine.
        say: takes lines of progress.

    Returns:
        A line on what was recorded.

    Raises:
        BagError: the file cannot be made.
        ValueError: no name of a topic, nothing was heard, or the disk took nothing more; what was recorded is kept.
    """
    for topic in topics:
        check_topic(topic, "give names such as /skeletons")
    path = default_file() if out is None else Path(out)
    begin = time.monotonic()
    with Recording(path) as recording:
        rclpy.init(args=[])
        signal.signal(signal.SIGHUP, lambda number, frame: rclpy.try_shutdown())  # the terminal was closed
        clock = [Parameter("use_sim_time", value=sim_time)]
        node = rclpy.create_node("aux_motion_recorder", parameter_overrides=clock)
        try:
            with spinning.executing(node) as executor:
                say(f"recording to {path} (ROS domain {_domain()}); Ctrl-C ends it")
                recorder = Recorder(node, recording, topics, say, sim_time)
                _spin(executor, recorder, recording, topics, seconds, say)
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            node.destroy_node()
            rclpy.try_shutdown()
    return _result(recording, path, topics, time.monotonic() - begin)


def _domain() -> str:
    return os.environ.get("ROS_DOMAIN_ID") or "0"


def _named(topics: Sequence[str]) -> str:
    return ", ".join(topics) or "skeletons or predictions"


def _spin(
    executor: Executor,
    recorder: Recorder,
    recording: Recording,
    topics: Sequence[str],
    seconds: float | None,
    say: Callable[[str], None],
) -> None:
    """Record until the time is over or the disk takes nothing more; say once that nobody publishes."""
    begin, silent = time.monotonic(), True
    while recording.error is None and (seconds is None or time.monotonic() < begin + seconds):
        executor.spin_once(timeout_sec=0.1)
        if silent and not recorder.topics and time.monotonic() > begin + SILENCE_S:
            silent = False
            say(f"nobody publishes {_named(topics)} in ROS domain {_domain()} yet; waiting")


def _result(recording: Recording, path: Path, topics: Sequence[str], length_s: float) -> str:
    """The line on what was recorded; an empty file is removed."""
    total = recording.counts.total()
    each = ", ".join(f"{topic} {count}" for topic, count in sorted(recording.counts.items()))
    if recording.error is not None:
        raise ValueError(f"{recording.error}: recording stopped, {path} keeps {total} messages ({each or 'none'})")
    if not total:
        path.unlink()
        raise ValueError(
            f"nothing recorded in {length_s:.1f} s: nobody published {_named(topics)} in ROS domain {_domain()}"
        )
    lost = f"; {recording.dropped} dropped, the disk is too slow" if recording.dropped else ""
    return f"recorded {total} messages in {length_s:.1f} s to {path}: {each}{lost}"
