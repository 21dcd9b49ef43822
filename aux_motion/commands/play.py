"""Publishes a bag's skeletons in real time (`aux-motion play`, the demo, the replay launch file).

The bag is streamed; memory does not grow with its length.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from aux_motion.commands.record import check_topic, message_class
from aux_motion_core.bags.reader import BagError, BagReader, Topic
from aux_motion_core.bags.restamp import Restamper
from aux_motion_core.evaluation.replay import arrival_ns
from aux_motion_core.trackers.recorded import TF_TYPE, choose
from aux_motion_core.wire.messages import ns_to_stamp

DISCOVERY_TIMEOUT_S = 20.0
_LEAD_NS = 20_000_000
_SLICE_S = 0.1  # how long a signal waits
_DEPTH = 100
_NS = 1_000_000_000
#: Stamps that advance so much more or less than the log do not set the pace.
_JUMP_NS = _NS


@dataclass(frozen=True)
class Item:
    """A message on the time line of the bag.

    Attributes:
        topic: of the bag.
        at_ns: when it arrived, on the clock of its stamps.
        raw: CDR bytes.
        passed_ns: so long after the first message.
    """

    topic: Topic
    at_ns: int
    raw: bytes
    passed_ns: int = 0


class Timeline:
    """The messages of a bag to play, in order of arrival.

    Args:
        bag: open.
        main: topic of the people.
        others: topics played beside it.
        start_s: left out at the beginning.
    """

    def __init__(self, bag: BagReader, main: Topic, others: list[Topic], start_s: float = 0.0) -> None:
        self._bag, self.main, self._others = bag, main, others
        self._start_ns = bag.start_ns + round(start_s * _NS) if start_s else None
        if self._start_ns is not None and self._start_ns > bag.end_ns:
            length_s = (bag.end_ns - bag.start_ns) * 1e-9
            raise BagError(f"bag {bag.path} is {length_s:.1f} s long: nothing is left after --start {start_s:g}")
        self.stamps = {topic.key: Restamper(bag.store(topic), topic.msgtype) for topic in (main, *others)}

    def __iter__(self) -> Iterator[Item]:
        topics = {t.key: t for t in (self.main, *self._others)}
        passed_ns = 0
        before: tuple[int, int] | None = None
        for message in self._bag.messages(list(topics.values()), self._start_ns, raw=True):
            topic = topics[message.topic, message.msgtype]
            stamp_ns = self.stamps[topic.key].stamp_ns(message.message)
            at_ns = arrival_ns(message.log_time_ns, stamp_ns) if stamp_ns else message.log_time_ns
            if before is not None:
                by_ns, by_log_ns = at_ns - before[0], message.log_time_ns - before[1]
                # a clock that was set, stamps of another clock than the topic before, no stamp at all
                passed_ns += by_ns if abs(by_ns - by_log_ns) < _JUMP_NS else max(by_log_ns, 0)
            before = at_ns, message.log_time_ns
            yield Item(topic, at_ns, message.message, passed_ns)

    def latched(self, topics: list[Topic]) -> list[Item]:
        """All messages of topics that are said once (static transforms)."""
        found = self._bag.messages(topics, raw=True) if topics else ()
        return [Item(t, m.log_time_ns, m.message) for m in found for t in topics if t.key == (m.topic, m.msgtype)]


class Clock:
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
        """From a time of this machine on, the bag's time is so much and runs so fast."""
        self._begin = wall_ns, bag_ns, rate

    def tick(self, bag_ns: int) -> None:
        """Say the time; before a message, so that it is not from the future for who hears it. Never goes back."""
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

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._end.set()
        if self._period_s:
            self._thread.join(timeout=2.0)


def _topics(bag: BagReader, topic: str | None, tracker: str | None, tf: bool) -> tuple[Topic, list[Topic], list[Topic]]:
    """Topic of the people, transforms, static transforms."""
    named = [t for t in bag.topics if topic is not None and t.name.strip("/") == topic.strip("/")]
    main = named[0] if len(named) == 1 and tracker is None else choose(bag, topic, tracker)[0]
    if message_class(main.msgtype) is None:
        package = main.msgtype.split("/")[0]
        raise BagError(f"cannot play {main}: package {package} is not here, source its workspace")
    transforms = [t for t in bag.topics if tf and t.msgtype == TF_TYPE and t.count and t != main]
    if transforms and message_class(TF_TYPE) is None:
        print("aux-motion play: tf2_msgs is not here, so the bag's transforms are not played", flush=True)
        transforms = []
    static = [t for t in transforms if t.name.strip("/").split("/")[-1] == "tf_static"]
    return main, [t for t in transforms if t not in static], static


def _wait_for(publisher: Any, count: int, to: str) -> None:
    end = time.monotonic() + DISCOVERY_TIMEOUT_S
    while publisher.get_subscription_count() < count:
        if time.monotonic() > end:
            raise ValueError(
                f"{publisher.get_subscription_count()} of {count} subscribers on {to} "
                f"after {DISCOVERY_TIMEOUT_S:.0f} s; start the predictor first, in the same ROS_DOMAIN_ID"
            )
        if not rclpy.ok():
            raise KeyboardInterrupt
        time.sleep(0.02)
    time.sleep(0.2)  # the subscribers' side of the match, and other publishers


def _refuse_company(node: Node, topic: str) -> None:
    """A recorded human beside those that a tracker sees, or a second clock, is worse than no recording."""
    others = node.count_publishers(topic) - 1
    if others > 0:
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        raise ValueError(
            f"{topic} has {others} other publishers in ROS domain {domain} already (a tracker?): play on "
            "another domain (--domain) or topic (--to)"
        )


def _sleep_until(wall_ns: int) -> None:
    while (wait_s := (wall_ns - time.time_ns()) * 1e-9) > 0.0:
        if not rclpy.ok():
            raise KeyboardInterrupt
        time.sleep(min(wait_s, _SLICE_S))


def _later(stamp_ns: int, by_ns: int) -> int:
    return stamp_ns + by_ns


def _present(stamp_ns: int, now_ns: int, at_ns: int, rate: float) -> int:
    """As long before now as it was before the message arrived."""
    return now_ns + round((stamp_ns - at_ns) / rate)


def play(
    bag: str | Path,
    to: str | None = None,
    topic: str | None = None,
    rate: float = 1.0,
    loop: bool = False,
    keep_stamps: bool = False,
    wait_for: int = 1,
    start_s: float = 0.0,
    clock_hz: float = 0.0,
    tracker: str | None = None,
    tf: bool = True,
) -> int:
    """Publish every message about people in a bag at the pace at which they arrived.

    Messages go out as they were recorded, the damaged ones too; only their stamps are moved to the present, by what
    lies between arrival and stamp in the bag too. Each further round of a loop goes on in time; it never jumps back.

    Args:
        bag: folder or bare file.
        to: topic to publish on; None: `skeletons` for SkeletonArray, the recorded name for a tracker's own messages.
        topic: topic in the bag, of any type whose package is installed; None: the only one with people.
        rate: 2 is twice as fast.
        loop: start again at the end, until interrupted.
        keep_stamps: leave the recorded stamps.
        wait_for: subscribers that must be matched before the first message.
        start_s: left out at the beginning.
        clock_hz: publish the bag's time on /clock so often; stamps are then left as they are. 0: not at all.
        tracker: whose messages to play, where the type does not tell.
        tf: play the bag's transforms beside.

    Returns:
        Number of messages about people that were published.

    Raises:
        BagError: the bag cannot be read, or nothing in it can be played.
        ValueError: nobody subscribed in time, or somebody else publishes there.
    """
    count = 0
    with BagReader(bag) as reader:
        main, transforms, static = _topics(reader, topic, tracker, tf)
        timeline = Timeline(reader, main, transforms + static, start_s)
        to = to or ("skeletons" if main.msgtype == reader.SKELETONS else main.name)
        check_topic(to, "give another with --to")
        rclpy.init(args=[])
        node = rclpy.create_node("aux_motion_player")
        try:
            # reliable, as ros2 bag play is: that is heard by every subscriber
            publisher = node.create_publisher(message_class(main.msgtype), to, _DEPTH)
            publishers = {main.key: publisher}
            for t in transforms:
                publishers[t.key] = node.create_publisher(message_class(t.msgtype), t.name, _DEPTH)
            latched = QoSProfile(depth=_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            for t in static:
                publishers[t.key] = node.create_publisher(message_class(t.msgtype), t.name, latched)
            _wait_for(publisher, wait_for, to)
            _refuse_company(node, to)
            for item in timeline.latched(static):
                publishers[item.topic.key].publish(item.raw)
            keep = keep_stamps or clock_hz > 0.0
            with Clock(node, clock_hz) as clock:
                if clock_hz > 0.0:
                    _refuse_company(node, "/clock")
                passed_ns = 0  # of the bag's time, by earlier rounds
                while True:
                    begin_ns, first_ns, length_ns = time.time_ns() + _LEAD_NS, None, 0
                    for item in timeline:
                        if item.topic in static:
                            continue
                        if first_ns is None:
                            first_ns = item.at_ns - item.passed_ns
                            clock.begin(begin_ns, first_ns + passed_ns, rate)
                        now_ns = begin_ns + round(item.passed_ns / rate)
                        if keep:
                            move = partial(_later, by_ns=passed_ns)
                        else:
                            move = partial(_present, now_ns=now_ns, at_ns=item.at_ns, rate=rate)
                        raw = timeline.stamps[item.topic.key].moved(item.raw, move)
                        _sleep_until(now_ns)
                        clock.tick(first_ns + item.passed_ns + passed_ns)
                        publishers[item.topic.key].publish(raw)
                        count += item.topic == main
                        length_ns = max(length_ns, item.passed_ns)
                    if first_ns is None:
                        raise BagError(f"bag {bag} has no message on {main.name}: record it while the tracker runs")
                    if not loop or not rclpy.ok():
                        break
                    passed_ns += length_ns + round(_LEAD_NS * rate)
            time.sleep(0.2)  # the last message leaves before the publisher does
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        finally:
            node.destroy_node()
            rclpy.try_shutdown()
    return count
