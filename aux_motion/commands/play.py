# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Publishes a bag's skeletons in real time (`aux-motion play`, the demo, the replay launch file).

The bag is streamed; memory does not grow with its length.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tqdm import tqdm

from aux_motion.commands.bag_clock import BagClock
from aux_motion.commands.timeline import Timeline
from aux_motion.commands.topics import check_topic, message_class
from aux_motion_core.bags.definitions import SKELETONS
from aux_motion_core.bags.files import BagError, Topic
from aux_motion_core.bags.inputs import TF_TYPE, choose
from aux_motion_core.bags.reader import BagReader

DISCOVERY_TIMEOUT_S = 20.0
_LEAD_NS = 20_000_000
_SLICE_S = 0.1  # how long a signal waits
_DEPTH = 100


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
    """Refuse to play beside other publishers: people of a tracker, or a second clock."""
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
    with BagReader(bag) as opened:
        main, transforms, static = _topics(opened, topic, tracker, tf)
        timeline = Timeline(opened, main, transforms + static, start_s)
        to = to or ("skeletons" if main.msgtype == SKELETONS else main.name)
        check_topic(to, "give another with --to")
        rclpy.init(args=[])
        node = rclpy.create_node("aux_motion_player")
        player = _Player(node, timeline, rate, keep_stamps or clock_hz > 0.0)
        try:
            player.open(to, transforms, static)
            _wait_for(player.publishers[main.key], wait_for, to)
            _refuse_company(node, to)
            player.latch()
            with BagClock(node, clock_hz) as clock:
                if clock_hz > 0.0:
                    _refuse_company(node, "/clock")
                player.rounds(clock, loop)
            time.sleep(0.2)  # the last message leaves before the publisher does
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except RuntimeError:  # rclpy's: a signal shuts down under whatever publishes just then
            if rclpy.ok():
                raise
        finally:
            node.destroy_node()
            rclpy.try_shutdown()
    return player.count


def _bar(length_s: float) -> tqdm:
    """Progress of a round; quiet where there is no terminal."""
    form = "{desc}: {n:.1f} of {total:.1f} s [{elapsed} passed, {remaining} left]"
    return tqdm(total=length_s, desc="playing", bar_format=form, leave=False, disable=None)


class _Player:
    """Publishes the messages of a time line.

    Args:
        node: to publish with.
        timeline: of a bag.
        rate: 2 is twice as fast.
        keep: leave the recorded stamps.

    Attributes:
        publishers: by key of the topic in the bag.
        count: messages about people that were published.
    """

    def __init__(self, node: Node, timeline: Timeline, rate: float, keep: bool) -> None:
        self._node, self._timeline, self._rate, self._keep = node, timeline, rate, keep
        self._static: list[Topic] = []
        self.publishers: dict[Any, Any] = {}
        self.count = 0

    def open(self, to: str, transforms: list[Topic], static: list[Topic]) -> None:
        """Make the publishers: of the people, on `to`, and of the transforms."""
        main, self._static = self._timeline.main, static
        # reliable, as ros2 bag play is: that matches every subscriber
        self.publishers[main.key] = self._node.create_publisher(message_class(main.msgtype), to, _DEPTH)
        for t in transforms:
            self.publishers[t.key] = self._node.create_publisher(message_class(t.msgtype), t.name, _DEPTH)
        latched = QoSProfile(depth=_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for t in static:
            self.publishers[t.key] = self._node.create_publisher(message_class(t.msgtype), t.name, latched)

    def latch(self) -> None:
        """Publish the static transforms."""
        for item in self._timeline.latched(self._static):
            self.publishers[item.topic.key].publish(item.raw)

    def rounds(self, clock: BagClock, loop: bool) -> None:
        """Play the bag once, or with `loop` until the shutdown; stamps continue from round to round."""
        passed_ns = 0  # of the bag's time, by earlier rounds
        while True:
            length_ns = self._round(clock, passed_ns)
            if length_ns is None:
                name = self._timeline.main.name
                raise BagError(f"bag {self._timeline.path} has no message on {name}: record it while the tracker runs")
            if not loop or not rclpy.ok():
                return
            passed_ns += length_ns + round(_LEAD_NS * self._rate)

    def _round(self, clock: BagClock, passed_ns: int) -> int | None:
        """Play the bag once.

        Args:
            clock: of the bag's time.
            passed_ns: of the bag's time, by earlier rounds.

        Returns:
            Length of the round in the bag's time, nanoseconds; None: there was no message.
        """
        begin_ns, first_ns, length_ns = time.time_ns() + _LEAD_NS, None, 0
        with _bar(self._timeline.length_s) as bar:
            for item in self._timeline:
                if item.topic in self._static:
                    continue
                if first_ns is None:
                    first_ns = item.at_ns - item.passed_ns
                    clock.begin(begin_ns, first_ns + passed_ns, self._rate)
                now_ns = begin_ns + round(item.passed_ns / self._rate)
                if self._keep:
                    move = partial(_later, by_ns=passed_ns)
                else:
                    move = partial(_present, now_ns=now_ns, at_ns=item.at_ns, rate=self._rate)
                raw = self._timeline.stamps[item.topic.key].moved(item.raw, move)
                _sleep_until(now_ns)
                clock.tick(first_ns + item.passed_ns + passed_ns)
                self.publishers[item.topic.key].publish(raw)
                self.count += item.topic == self._timeline.main
                length_ns = max(length_ns, item.passed_ns)
                bar.update(max(length_ns * 1e-9 - bar.n, 0.0))
        return None if first_ns is None else length_ns
