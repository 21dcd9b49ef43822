# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The messages of a bag on the time line on which they arrived."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aux_motion_core.bags.files import BagError, Topic
from aux_motion_core.bags.reader import BagReader
from aux_motion_core.bags.restamp import Restamper
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.replay import arrival_ns

#: Stamps that advance by this much more or less than the log do not set the pace.
_JUMP_NS = NS


@dataclass(frozen=True)
class Item:
    """A message on the time line of the bag.

    Attributes:
        topic: of the bag.
        at_ns: when it arrived, on the clock of its stamps.
        raw: CDR bytes.
        passed_ns: time since the first message.
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

    Attributes:
        main: topic of the people.
        path: of the bag.
        stamps: moves the stamps of each topic's messages, by key of the topic.
        length_s: of what is played, by the log.
    """

    def __init__(self, bag: BagReader, main: Topic, others: list[Topic], start_s: float = 0.0) -> None:
        self._bag, self.main, self._others = bag, main, others
        self.path = bag.path
        self._start_ns = bag.start_ns + round(start_s * NS) if start_s else None
        if self._start_ns is not None and self._start_ns > bag.end_ns:
            length_s = (bag.end_ns - bag.start_ns) * 1e-9
            raise BagError(f"bag {bag.path} is {length_s:.1f} s long: nothing is left after --start {start_s:g}")
        self.length_s = max(bag.end_ns - (self._start_ns or bag.start_ns), 0) * 1e-9
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
        """All messages of latched topics (static transforms)."""
        found = self._bag.messages(topics, raw=True) if topics else ()
        return [Item(t, m.log_time_ns, m.message) for m in found for t in topics if t.key == (m.topic, m.msgtype)]
