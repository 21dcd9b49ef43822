# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Faults of ids, frames, clocks and stamps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aux_motion_core.evaluation.fault_base import MS, NS, RESTART_NS, Fault, Faulty, rows_of


class SwapIds(Fault):
    name = "swap_ids"
    help = "chance per message that two people exchange their ids for good (somebody alone gets a new id)"

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._given: dict[str, str] = {}
        self._last_ns = -RESTART_NS
        self._new = 0

    def __call__(self, item: Faulty) -> Faulty | None:
        stamp_ns = item.source.stamp_ns
        if stamp_ns < self._last_ns - RESTART_NS:
            self._given, self._new = {}, 0
        self._last_ns = stamp_ns
        people = item.frame.person_ids
        given = {p: self._given.get(p, p) for p in people}
        rng = self.draw(stamp_ns)
        if people and rng.random() < self.value:
            if len(people) > 1:
                a, b = (people[int(i)] for i in rng.choice(len(people), 2, replace=False))
                given[a], given[b] = given[b], given[a]
            else:
                self._new += 1
                given[people[0]] = f"{people[0]}_new{self._new}"
            self._given.update(given)
        return replace(item, frame=replace(item.frame, person_ids=tuple(given[p] for p in people)))


class Twins(Fault):
    name = "twins"
    help = "share of the time in which a person is reported twice, the second time under another id and 3 cm beside"
    second = ("length_s", 0.5, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        people = item.frame.person_ids
        true = [item.source.person_ids[row] for row in item.rows]
        doubled = [row for row, p in enumerate(true) if self.in_block(item.source.stamp_ns, self.extra, p)]
        if not doubled:
            return item
        item = rows_of(item, [*range(len(people)), *doubled])
        names = (*people, *(f"{people[row]}_twin" for row in doubled))
        positions = np.array(item.frame.positions, np.float64)
        positions[len(people) :, :, 0] += 0.03
        return replace(item, frame=replace(item.frame, person_ids=names, positions=positions))


class PeopleFault(Fault):
    name = "people"
    help = "share of the time in which a person is not detected"
    second = ("length_s", 0.3, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        true = [item.source.person_ids[row] for row in item.rows]
        kept = [row for row, p in enumerate(true) if not self.in_block(item.source.stamp_ns, self.extra, p)]
        return item if len(kept) == len(true) else rows_of(item, kept)


class Gap(Fault):
    name = "gap"
    help = "share of the time without any message"
    second = ("length_s", 0.5, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        return None if self.in_block(item.source.stamp_ns, self.extra) else item


class FramesFault(Fault):
    name = "frames"
    help = "share of messages that are lost, each by itself"

    def __call__(self, item: Faulty) -> Faulty | None:
        return None if self.draw(item.source.stamp_ns).random() < self.value else item


class Rate(Fault):
    name = "rate_hz"
    help = "at most this many messages a second; others are left out"
    unit, low, high = "Hz", 0.1, 1000.0

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._due_ns: int | None = None

    @classmethod
    def scale(cls, value: float, fraction: float) -> float:
        return float(np.clip(value / fraction, cls.low, cls.high))

    def __call__(self, item: Faulty) -> Faulty | None:
        stamp_ns, period_ns = item.source.stamp_ns, round(NS / self.value)
        due_ns = self._due_ns
        if due_ns is None or stamp_ns < due_ns - period_ns - RESTART_NS or stamp_ns >= due_ns + period_ns:
            self._due_ns = stamp_ns + period_ns
            return item
        if stamp_ns < due_ns - period_ns // 100:  # a camera's jitter does not cost a frame
            return None
        self._due_ns = due_ns + period_ns
        return item


class ClockFault(Fault):
    def moved(self, item: Faulty, stamp_ns: int) -> Faulty:
        return replace(item, frame=replace(item.frame, stamp_ns=int(stamp_ns)))


class Offset(ClockFault):
    name = "offset_ms"
    help = "stamps of a clock that is ahead by this time (behind: negative)"
    unit, low, high = "ms", -1e9, 1e9

    def __call__(self, item: Faulty) -> Faulty | None:
        return self.moved(item, item.frame.stamp_ns + round(self.value * MS))


class Drift(ClockFault):
    name = "drift_ppm"
    help = "stamps of a clock that runs fast by this many millionths (slow: negative)"
    unit, low, high = "ppm", -1e5, 1e5

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._first_ns: int | None = None

    def __call__(self, item: Faulty) -> Faulty | None:
        stamp_ns = item.source.stamp_ns
        if self._first_ns is None or stamp_ns < self._first_ns:
            self._first_ns = stamp_ns
        return self.moved(item, item.frame.stamp_ns + round(1e-6 * self.value * (stamp_ns - self._first_ns)))


class StampNoise(ClockFault):
    name = "stamp_noise_ms"
    help = "Gaussian noise of the stamps, one sigma"
    unit, high = "ms", 1000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        noise_ms = self.value * self.draw(item.source.stamp_ns).normal()
        return self.moved(item, item.frame.stamp_ns + round(noise_ms * MS))


class Delay(Fault):
    name = "delay_ms"
    help = "messages arrive later by this time; their stamps stay"
    unit, high = "ms", 10000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        return replace(item, log_time_ns=item.log_time_ns + round(self.value * MS))


class JitterFault(Fault):
    name = "jitter_ms"
    help = "messages arrive later by a random time up to this, each by itself: they may overtake each other"
    unit, high = "ms", 10000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        late_ms = self.value * self.draw(item.source.stamp_ns).random()
        return replace(item, log_time_ns=item.log_time_ns + round(late_ms * MS))


class StampsFault(ClockFault):
    name = "stamps"
    help = (
        "messages are stamped when they are published, not when the picture was taken: later by delay_ms and jitter_ms"
    )
    unit = ""

    def __call__(self, item: Faulty) -> Faulty | None:
        return item  # the injector knows how late the message is
