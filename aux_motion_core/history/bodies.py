# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is remembered of each body: where its joints were believed last, and under which id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.arrays import every, lengths, some
from aux_motion_core.constants import NS
from aux_motion_core.history.limits import SPEED_LIMITS_MPS
from aux_motion_core.skeleton import MISSING, N_JOINTS

#: What is older says nothing about where a joint can be now.
MEMORY_NS = NS
#: Gate of a re-linked body: mean distance of its joints to where the lost one was carried on to, and of its pose with
#: the place taken out. Metres, metres a second, and at most metres. Of the validation clips' bodies that come back
#: after 0.03 to 0.7 s, 95 % are within 0.03 to 0.55 m and 0.03 to 0.32 m. Wider gates would hide a lost person behind
#: another who comes near.
PLACE_GATE = (0.15, 0.6, 0.7)
POSE_GATE = (0.1, 0.35, 0.4)
#: Re-linked bodies nearer than this to where the lost one would be are that one: two trunks are not; metres.
SURELY_M = 0.15
#: Factor by which a match must be better than any other.
CLEARLY = 0.6
#: Joints in common that tell bodies apart.
MIN_COMMON = 5
#: Mean distance of two skeletons' joints: closer is one body; closer than the second cannot be told to be two, and a
#: second id that is known to be of one body stays with it. Trunks are about 0.25 m deep.
ONE_BODY_M, DOUBTFUL_M = 0.12, 0.2
#: Bodies whose centres are farther apart than this, along an axis, are two.
APART_M = 0.6

CARRY_S = 0.3
#: A body whose joints moved less than this on average goes on as it was, metres.
CALM_M = 0.1
#: Noise of a tracker between two frames, not motion; metres.
NOISE_M = 0.08


@dataclass
class Taken:
    """What became of a frame.

    Attributes:
        ids: of the rows that are left.
        positions: (rows, 20, 3) metres.
        status: (rows, 20) `JointStatus`, outliers MISSING.
        moves: new id -> id under which that body's history was kept until now.
        doubtful: those new ids whose body is so far from where the lost one would be that it may be somebody else.
        merged: ids whose history is dropped: another id has the body.
        restarted: ids whose history is of another place or side: it starts anew with this frame.
        forgotten: id -> (20,) joints that were believed after a jump: where they were before is no part of a motion.
        duplicated: ids that share a body with another, or may.
        disputed: id, (20,) joints and (20, 3) metres: where a second skeleton of that body has them.
        counters: what was repaired.
    """

    ids: list[str]
    positions: np.ndarray
    status: np.ndarray
    moves: dict[str, str] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    merged: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    forgotten: dict[str, np.ndarray] = field(default_factory=dict)
    duplicated: set[str] = field(default_factory=set)
    disputed: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)


class Bodies:
    """Where each body's joints were believed last: one slot a body, all arrays of (slots, ...)."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.aliases: dict[str, tuple[str, int]] = {}  # id -> id of the person who has that body, and when it had
        self.former: dict[str, tuple[str, int]] = {}  # id -> the id before it, and when it was re-linked
        self.free: list[int] = []
        self.known: Collection[str] = ()  # ids that people have; not all have a slot
        self._allocate(8)

    def _allocate(self, size: int) -> None:
        self.place = np.zeros((size, N_JOINTS, 3))  #: believed last; metres
        self.seen_ns = np.zeros((size, N_JOINTS), np.int64)  #: and when; 0: never
        self.pending = np.zeros((size, N_JOINTS, 3))  #: said last, not believed; metres
        self.pending_ns = np.zeros((size, N_JOINTS), np.int64)
        self.pending_n = np.zeros((size, N_JOINTS), np.int64)  #: sights there in a row
        self.doubt = np.zeros((size, N_JOINTS), np.int64)  #: sights where it was that are needed until that is sure
        self.velocity = np.zeros((size, 3))  #: of the whole body; m/s
        self.apart = np.zeros(size, bool)  #: it was seen away from all others
        self.newest_ns = np.zeros(size, np.int64)
        self.swapped_ns = np.zeros(size, np.int64)  #: since when its sides are exchanged; 0: they are not
        self.free.extend(range(size - 1, len(self.slots) - 1, -1))

    def _grow(self) -> None:
        was = {name: array for name, array in vars(self).items() if isinstance(array, np.ndarray)}
        old = len(self.newest_ns)  # all slots are taken
        self._allocate(2 * old)
        for name, array in was.items():
            getattr(self, name)[:old] = array

    def open(self, person_id: str) -> int:
        """An empty slot for that person."""
        if not self.free:
            self._grow()
        slot = self.free.pop()
        self.slots[person_id] = slot
        self.clear(slot)
        return slot

    def clear(self, slot: int) -> None:
        """Forget what that slot remembers."""
        for of_joints in (self.seen_ns, self.pending_n, self.doubt):
            of_joints[slot] = 0
        for of_body in (self.newest_ns, self.swapped_ns, self.velocity, self.apart):
            of_body[slot] = 0

    def close(self, person_id: str) -> None:
        """That person's slot is free again."""
        self.free.append(self.slots.pop(person_id))
        self.former.pop(person_id, None)

    def distances(self, stamp_ns: int, slots: np.ndarray, taken: Taken) -> tuple[np.ndarray, np.ndarray]:
        """How far each joint is from where it was believed last (rows, 20), and which have such a place."""
        since = self.seen_ns[slots]
        common = taken.status != MISSING
        common &= since > max(stamp_ns - MEMORY_NS, 0)
        common &= since < stamp_ns + MEMORY_NS
        delta = taken.positions - self.place[slots]
        return lengths(delta), common

    def go_on(self, stamp_ns: int, slots: list[int], taken: Taken, most_mps: float) -> bool:
        """Remember bodies that are wholly seen and went on as they were, of which there is nothing else to tell.

        Args:
            stamp_ns: of the frame.
            slots: of its rows.
            taken: the frame.
            most_mps: speed below which no joint is doubted.

        Returns:
            False where anything is otherwise; then nothing was done.
        """
        at = _together(slots)
        newest_ns = self.newest_ns[at]
        passed_ns = (stamp_ns - newest_ns).tolist()
        if min(passed_ns) <= 0 or max(passed_ns) >= MEMORY_NS or newest_ns.min() <= 0:
            return False
        if not every(taken.status) or some(self.doubt[at]) or some(self.swapped_ns[at]):
            return False
        if not every(self.seen_ns[at] == newest_ns[:, None]):
            return False
        delta = taken.positions - self.place[at]
        dist = lengths(delta)
        if dist.sum(1).max() > CALM_M * N_JOINTS or dist.max() > most_mps * 1e-9 * min(passed_ns) + NOISE_M:
            return False
        over_s = np.maximum(passed_ns, NS // 1000) * (1e-9 * N_JOINTS)
        speed = delta.sum(1) / over_s[:, None]
        fresh = np.abs(speed).max(1) < SPEED_LIMITS_MPS["trunk"]
        velocity = self.velocity[at]
        speed += velocity
        speed *= 0.5
        self.velocity[at] = speed if every(fresh) else np.where(fresh[:, None], speed, velocity)
        self.place[at], self.seen_ns[at], self.newest_ns[at] = taken.positions, stamp_ns, stamp_ns
        self.apart[at] = True
        return True

    def remember(self, stamp_ns: int, slots: np.ndarray, taken: Taken, ahead: np.ndarray, dt: np.ndarray) -> None:
        """What was believed of this frame becomes what is known."""
        was, newest = self.seen_ns[slots], self.newest_ns[slots]
        seen = taken.status != MISSING
        if not ahead.all():  # a second sight of one moment fills what the first lacks
            seen &= ahead[:, None] | ((stamp_ns == newest)[:, None] & (was < stamp_ns))
        both = seen & (was == newest[:, None])
        both &= was > 0
        n = both.sum(1)
        place = self.place[slots]
        step = np.einsum("ijk,ij->ik", taken.positions - place, both) / np.maximum(n, 1)[:, None]
        speed = step / np.maximum(dt, 1e-3)[:, None]
        fresh = (n > 0) & (np.abs(speed).max(1) < SPEED_LIMITS_MPS["trunk"])
        velocity = self.velocity[slots]
        self.velocity[slots] = np.where(fresh[:, None], 0.5 * (velocity + speed), velocity)
        if seen.all():
            self.place[slots], self.seen_ns[slots] = taken.positions, stamp_ns
        else:
            self.place[slots] = np.where(seen[..., None], taken.positions, place)
            self.seen_ns[slots] = np.where(seen, stamp_ns, was)
        self.newest_ns[slots[ahead & seen.any(1)]] = stamp_ns


def _together(slots: list[int]) -> slice | np.ndarray:
    """An index of these slots; one that needs no copy where they follow each other, as they mostly do."""
    first, n = slots[0], len(slots)
    return slice(first, first + n) if slots == list(range(first, first + n)) else np.array(slots)


def row_of(taken: Taken, row: int) -> Taken:
    return Taken([], taken.positions[row : row + 1], taken.status[row : row + 1])


def mean_distance(dist: np.ndarray, common: np.ndarray) -> np.ndarray:
    """(rows,) mean over common joints, infinite where there are none."""
    n = common.sum(1)
    mean: np.ndarray = np.einsum("ij,ij->i", dist, common) / np.maximum(n, 1)
    return mean if n.all() else np.where(n > 0, mean, np.inf)


def gate(gate: tuple[float, float, float], age_s: np.ndarray) -> np.ndarray:
    return np.minimum(gate[0] + gate[1] * age_s, gate[2])
