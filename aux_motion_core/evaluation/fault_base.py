# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What every kind of fault is made of."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import SkeletonFrame

MS = 1_000_000
#: Stamps that jump back by more than this begin anew (a recording that is played again).
RESTART_NS = NS


class FaultError(ValueError):
    """A fault that cannot be made, in one line: expected, came, what to do."""


@dataclass(frozen=True)
class Faulty:
    """A frame after the faults.

    Attributes:
        log_time_ns: when it arrives, nanoseconds.
        frame: as the predictor gets it.
        source: the clean frame.
        rows: of each person in `frame`, the row in `source`: who it truly is.
    """

    log_time_ns: int
    frame: SkeletonFrame
    source: SkeletonFrame
    rows: tuple[int, ...]


def generator(*key: object) -> np.random.Generator:
    """Random numbers that belong to a key, from a counter-based generator: nothing is shared between keys."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


class Fault(ABC):
    """One kind of fault. An instance holds its state on one stream.

    Args:
        value: its strength, or what it is about.
        extra: what stands behind the colon.
        seed: of all faults.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    unit: ClassVar[str] = "share"
    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0
    #: name, default, least and greatest of a second number behind a colon
    second: ClassVar[tuple[str, float, float, float] | None] = None

    def __init__(self, value: float, extra: float, seed: int) -> None:
        self.value, self.extra, self.seed = value, extra, seed
        self._shift_ns: dict[tuple, int] = {}
        self._block: dict[tuple, tuple[int, bool]] = {}  # the newest block of each person, and whether it has the fault

    @abstractmethod
    def __call__(self, item: Faulty) -> Faulty | None:
        """The item with the fault, or None when it is lost."""

    @classmethod
    def scale(cls, value: float, fraction: float) -> float:
        """The value at a fraction of its strength."""
        return float(np.clip(value * fraction, cls.low, cls.high))

    def draw(self, *key: object) -> np.random.Generator:
        """Random numbers for a person, a stamp, a block of time."""
        return generator(self.seed, self.name, *key)

    def each(self, item: Faulty) -> Iterator[tuple[int, np.random.Generator]]:
        """Row and random numbers of every person of a frame."""
        for row, person_id in enumerate(item.frame.person_ids):
            yield row, self.draw(person_id, item.source.stamp_ns)

    def in_block(self, stamp_ns: int, length_s: float, *key: object) -> bool:
        """Whether the block of time that a stamp lies in has the fault, at the share `value`."""
        length_ns = max(1, round(length_s * NS))
        if key not in self._shift_ns:
            self._shift_ns[key] = int(self.draw("shift", *key).integers(length_ns))
        block = (stamp_ns + self._shift_ns[key]) // length_ns
        if self._block.get(key, (None,))[0] != block:
            self._block[key] = block, bool(self.draw("block", block, *key).random() < self.value)
        return self._block[key][1]


def hide(item: Faulty, hidden: np.ndarray) -> Faulty:
    """The item without some joints.

    Args:
        item: P people.
        hidden: (P, 20) bool.
    """
    frame = item.frame
    covariance = frame.covariance
    return replace(
        item,
        frame=replace(
            frame,
            positions=np.where(hidden[..., None], np.nan, frame.positions),
            status=np.where(hidden, JointStatus.MISSING, frame.status).astype(np.uint8),
            confidence=np.where(hidden, 0.0, frame.confidence).astype(np.float32),
            covariance=None if covariance is None else np.where(hidden[..., None], np.nan, covariance),
        ),
    )


def moved(item: Faulty, positions: np.ndarray) -> Faulty:
    return replace(item, frame=replace(item.frame, positions=positions))


def rows_of(item: Faulty, rows: list[int]) -> Faulty:
    """The item with these rows of its people only, or again."""
    frame = item.frame
    index = np.array(rows, dtype=np.intp)
    return replace(
        item,
        rows=tuple(item.rows[r] for r in rows),
        frame=replace(
            frame,
            person_ids=tuple(frame.person_ids[r] for r in rows),
            positions=frame.positions[index],
            status=frame.status[index],
            confidence=frame.confidence[index],
            covariance=None if frame.covariance is None else frame.covariance[index],
        ),
    )
