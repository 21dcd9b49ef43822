# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Skeletons and predictions in rosbag2 bags, read without ROS.

Reads sqlite3 and MCAP, as a bag folder or as a bare `.mcap` or `.db3` file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_typestore

from aux_motion_core.bags.definitions import (
    PREDICTIONS,
    SKELETONS,
    definitions_of,
    installed_definitions,
    renamed_definitions,
    store_for,
)
from aux_motion_core.bags.files import BagError, Definition, RawBag, Topic, first_line
from aux_motion_core.types import PredictionBatch, SkeletonFrame
from aux_motion_core.wire.messages import (
    MessageError,
    batch_from_message,
    frame_from_message,
)

_log = logging.getLogger("aux_motion")


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: its topic.
        log_time_ns: when it was recorded, nanoseconds.
        message: rosbags message object, or the CDR bytes where raw ones were asked for.
        msgtype: its type.
    """

    topic: str
    log_time_ns: int
    message: Any
    msgtype: str = ""


class BagReader:
    """A bag's topics and messages; use as a context manager.

    A damaged bag is read as far as it is whole. One line then says what is wrong and how much could be read.

    Args:
        path: bag folder (with or without metadata.yaml), `.mcap` or `.db3` file, also compressed (`.zstd`).
        on_damage: called once with that line, when a bag that was read to its end is closed; None: it is logged as a
            warning.

    Attributes:
        topics: sorted by name.
        start_ns, end_ns: first and last log time, nanoseconds; start after end when there is no message.
        damage: the line, after `messages` has come to its end.

    Raises:
        BagError: no bag, or nothing in it can be read.
    """

    def __init__(self, path: str | Path, on_damage: Callable[[str], None] | None = None) -> None:
        self.path = Path(path)
        self.damage: str | None = None
        self._on_damage = on_damage or _log.warning
        self._stores: dict[tuple[str, str], Any] = {}
        self._raw = RawBag(path)
        self.topics = tuple(sorted(self._raw.topics.values(), key=lambda t: t.key))
        self.start_ns, self.end_ns = self._raw.start_ns, self._raw.end_ns

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._raw.close()
        if self.damage is not None and not any(exc):
            self._on_damage(self.damage)

    def select(self, msgtypes: str | Collection[str], topic: str | None = None) -> Topic:
        """The topic to read.

        Args:
            msgtypes: type, or types, that would do.
            topic: its name; None: the only one of such a type.

        Raises:
            BagError: none or several would do; lists those that would and those that there are.
        """
        msgtypes = [msgtypes] if isinstance(msgtypes, str) else list(msgtypes)
        would_do = [t for t in self.topics if t.msgtype in msgtypes]
        found = [t for t in would_do if topic is None or t.name.strip("/") == topic.strip("/")]
        if not found:
            kind = " or ".join(msgtypes)
            what = f"topic {topic!r} of type {kind}" if topic else f"topic of type {kind}"
            there = ", ".join(map(str, self.topics)) or "no topics at all"
            listed = f"; these would do: {', '.join(map(str, would_do))}" if would_do else ""
            raise BagError(f"bag {self.path} has no {what}{listed}; it has: {there}{self._but()}")
        names = sorted({t.name for t in found})
        if len(names) > 1:
            kinds = " or ".join(sorted({t.msgtype for t in found}))
            raise BagError(f"bag {self.path} has several {kinds}: {', '.join(names)}; name one (--topic)")
        if len(found) > 1:
            kinds = ", ".join(sorted(t.msgtype for t in found))
            raise BagError(
                f"topic {names[0]} of bag {self.path} has several types that would do: {kinds}; choose one (--tracker)"
            )
        return found[0]

    def messages(
        self, topics: Collection[Topic] | Topic, start_ns: int | None = None, raw: bool = False
    ) -> Iterator[BagMessage]:
        """Messages of some topics in the order of their log times.

        Args:
            topics: of this bag.
            start_ns: none that was logged before, nanoseconds.
            raw: give CDR bytes instead of message objects.

        Yields:
            One `BagMessage` after the other; memory does not grow with their number.

        Raises:
            BagError: a type is not known here.
        """
        topics = [topics] if isinstance(topics, Topic) else list(topics)
        stores: dict[tuple[str, str], Any] = {t.key: None if raw else self.store(t) for t in topics}
        count = undecoded = 0
        reason = ""
        for key, log_time_ns, data in self._raw.messages(stores, start_ns):
            message: Any = data
            if not raw:
                try:
                    message = stores[key].deserialize_cdr(data, key[1])
                except Exception as error:  # whatever damaged bytes make of it
                    undecoded, reason = undecoded + 1, reason or first_line(error)
                    continue
            count += 1
            yield BagMessage(key[0], log_time_ns, message, key[1])
        wrong = [self._raw.damage] if self._raw.damage else []
        if undecoded:
            wrong.append(f"{undecoded} messages cannot be decoded ({reason})")
        names = {t.name for t in topics}
        others = [t for t in self.topics if t.name in names and t.key not in stores and t.count]
        wrong += [f"{t.count} messages of topic {t.name} are of another type ({t.msgtype})" for t in others]
        self.damage = f"bag {self.path}: {count} messages read; {'; '.join(wrong)}" if wrong else None

    @property
    def trouble(self) -> str | None:
        """What is known to be wrong with the files as far as they were looked at, or None."""
        return self._raw.damage

    def _but(self) -> str:
        return f"; and it is damaged: {self._raw.damage}" if self._raw.damage else ""

    def store(self, topic: Topic) -> Any:
        """The rosbags type store that decodes a topic: of the bag's own definition, else of what is known here.

        Raises:
            BagError: the type is known neither in the bag nor here.
        """
        if topic.key in self._stores:
            return self._stores[topic.key]
        store = store_for(topic.msgtype)
        try:
            carried = _carried(topic.msgtype, topic.definition)
            types: dict[str, Any] = {}
            if carried is not None:
                store = carried
            elif topic.msgtype not in store.fielddefs:
                types = installed_definitions(topic.msgtype, store.fielddefs)
                types = types or renamed_definitions(topic.msgtype)
                types = types and {**store.fielddefs, **types}
            if types:
                store = get_typestore(Stores.EMPTY)
                store.register(types)
        except Exception as error:
            reason = first_line(error)
            raise BagError(f"bag {self.path} has a damaged definition of {topic.msgtype}: {reason}") from None
        if topic.msgtype not in store.fielddefs:
            raise BagError(
                f"type {topic.msgtype} of topic {topic.name} is unknown and bag {self.path} holds no definition of it: "
                "run this where its ROS package is sourced, or record with ROS 2 Iron or later, or to MCAP"
            )
        self._stores[topic.key] = store
        return store


@lru_cache(maxsize=64)
def _carried(msgtype: str, definition: Definition) -> Any:
    """The type store of what a bag itself says of a type; None: it says nothing."""
    types = definitions_of(Topic("", msgtype, 0, definition))
    if not types:
        return None
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store


def read_messages(
    path: str | Path,
    msgtype: str | Collection[str],
    topic: str | None = None,
    on_damage: Callable[[str], None] | None = None,
) -> Iterator[BagMessage]:
    """Messages of one topic in the order of their log times.

    Args:
        path: bag folder or bare `.mcap` / `.db3` file.
        msgtype: type, or types, that the topic must have, for instance `SKELETONS`.
        topic: topic to read; None: the only one of this type.
        on_damage: called once with one line where the bag is damaged (see `BagReader`); None: it is logged.

    Yields:
        One `BagMessage` after the other.

    Raises:
        BagError: nothing can be read, no topic (or several) of that type; lists the topics there are.
    """
    with BagReader(path, on_damage) as bag:
        chosen = bag.select(msgtype, topic)
        count = 0
        for message in bag.messages(chosen):
            count += 1
            yield message
        if not count and bag.damage:
            raise BagError(f"no message of {chosen} can be read: {bag.damage}")
        if not count:
            raise BagError(f"bag {path} has no message on {chosen.name}: record it while the tracker runs")


def count_messages(path: str | Path, msgtype: str, topic: str | None = None) -> int:
    """How many messages of a type (and topic) can be read from a bag; `BagError` when it cannot be opened."""
    with BagReader(path) as bag:
        return sum(
            t.count
            for t in bag.topics
            if t.msgtype == msgtype and (topic is None or t.name.strip("/") == topic.strip("/"))
        )


def read_skeletons(
    path: str | Path,
    topic: str | None = None,
    on_bad: Callable[[MessageError], None] | None = None,
    on_damage: Callable[[str], None] | None = None,
) -> Iterator[tuple[int, SkeletonFrame]]:
    """Skeleton frames of a bag.

    Args:
        path: bag folder or bare `.mcap` / `.db3` file.
        topic: topic to read; None: the only `SkeletonArray` topic.
        on_bad: called with the reason for each message that cannot be used, which is then skipped as a node
            does; None: such a message ends the reading with a `BagError`.
        on_damage: called once with one line where the bag is damaged (see `BagReader`); None: it is logged.

    Yields:
        (log_time_ns, frame).

    Raises:
        BagError: see `read_messages`.
    """
    for index, item in enumerate(read_messages(path, SKELETONS, topic, on_damage)):
        try:
            frame = frame_from_message(item.message)
        except (MessageError, AttributeError, TypeError) as error:
            if on_bad is None:
                raise BagError(f"bag {path}, message {index} of {item.topic}: {first_line(error)}") from None
            on_bad(error if isinstance(error, MessageError) else MessageError(first_line(error)))
            continue
        yield item.log_time_ns, frame


def read_predictions(path: str | Path, topic: str | None = None) -> Iterator[tuple[int, PredictionBatch]]:
    """Predictions of a bag as (log_time_ns, batch); raises as `read_messages`."""
    for index, item in enumerate(read_messages(path, PREDICTIONS, topic)):
        try:
            yield item.log_time_ns, batch_from_message(item.message)
        except (MessageError, AttributeError, TypeError) as error:
            raise BagError(f"bag {path}, message {index} of {item.topic}: {first_line(error)}") from None
