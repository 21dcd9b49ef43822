# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What all storage files of bags share: topics, raw messages, and the error that names a bag that cannot be used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

UNKNOWN_NS = 2**63 - 1


class BagError(ValueError):
    """A bag that cannot be used, in one line: expected, came, what to do."""


def first_line(error: BaseException) -> str:
    """The first line that an exception says, or its name."""
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


class Definition(NamedTuple):
    """A message definition in a bag: its format (`ros2msg`, `ros2idl` or "") and its text."""

    format: str
    text: str


@dataclass(frozen=True)
class Topic:
    """A topic of a bag, of one type.

    Attributes:
        name: as recorded.
        msgtype: for instance `aux_motion_msgs/msg/SkeletonArray`.
        count: messages that can be read.
        definition: of the type, empty where the bag has none.
    """

    name: str
    msgtype: str
    count: int = 0
    definition: Definition = Definition("", "")

    @property
    def key(self) -> tuple[str, str]:
        """Name and type."""
        return self.name, self.msgtype

    def __str__(self) -> str:
        return f"{self.name} [{self.msgtype}]"


class RawMessage(NamedTuple):
    """A serialised message: (topic name, type), nanoseconds when it was recorded, CDR bytes."""

    key: tuple[str, str]
    log_time_ns: int
    data: bytes


class Storage(ABC):
    """One storage file.

    Attributes:
        topics: by (name, type).
        start_ns, end_ns: first and last log time, nanoseconds; start after end when there is no message.
        damage: what is wrong with the file, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[tuple[str, str], Topic] = {}
        self.start_ns, self.end_ns = UNKNOWN_NS, 0
        self.damage: str | None = None

    @abstractmethod
    def messages(self, keys: Collection[tuple[str, str]], start_ns: int) -> Iterator[RawMessage]:
        """Messages of these topics logged at or after a time, in the order of the file."""

    def close(self) -> None:  # noqa: B027 - nothing may be open
        """Free what is open."""

    def _count(self, counts: Counter) -> None:
        self.topics = {key: Topic(t.name, t.msgtype, counts[key], t.definition) for key, t in self.topics.items()}


def shortfall(stated: Mapping[tuple[str, str], int], there: Mapping[tuple[str, str], int]) -> str | None:
    """What a file states but does not hold, in one phrase; None: it holds all of it.

    Args:
        stated: messages of each topic as the file says.
        there: messages of each topic as they were read.
    """
    less = [f"{n} on {key[0]}, {there.get(key, 0)} are there" for key, n in stated.items() if there.get(key, 0) < n]
    return f"it states more messages than it holds: {'; '.join(less)}" if less else None
