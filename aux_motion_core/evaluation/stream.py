# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The input itself and the time it took: frames, gaps, delays, states."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.evaluation.errors import MAX_PEOPLE
from aux_motion_core.evaluation.histogram import Histograms
from aux_motion_core.types import PredictionBatch, SkeletonFrame, TrackState

#: Stamps and log times farther apart are of two clocks.
_OTHER_CLOCK_NS = 10 * NS
#: A clock that was set: stamps and log times advance differently by more than this.
_CLOCK_SET_NS = NS // 2
#: Gaps that are listed: the longest.
_MOST_GAPS = 20
_PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)


class StreamMetrics:
    """Counts of the input, its rate and its delay, and how long predicting took.

    Args:
        max_gap_s: a longer pause between frames is a gap.
        back_s: stamps that go back by more mean that the clock was set or the bag looped.
    """

    def __init__(self, max_gap_s: float = 0.25, back_s: float = 1.0) -> None:
        self._max_gap_ns, self._back_ns = round(max_gap_s * NS), round(back_s * NS)
        self.frames = self.empty_frames = self.predictions = self.person_frames = self.other_clock = 0
        self.rejected: Counter[str] = Counter()
        self.counters: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.people: set[str] = set()
        self.more_people = False
        self.span_ns = self.log_span_ns = 0
        self.same_stamp = 0
        self.jumps: list[tuple[float, float]] = []  # (seconds from the start, by how much), forward positive
        self.jump_count = 0
        self.gaps: list[tuple[float, float]] = []  # (seconds from the start, length)
        self.gap_count = 0
        self.joints_seen = np.zeros(2)
        self.first_ns: int | None = None
        self._last_ns = self._last_log_ns = 0
        self._interval = Histograms(low=1e-4, high=100.0)
        self._delay = Histograms(low=1e-5, high=10.0)
        self._least_delay_s = np.inf
        self._processing = Histograms(low=1e-6, high=10.0)
        self._waiting: list[tuple[float, float, float]] = []  # interval, delay, processing

    def update(
        self, log_time_ns: int, frame: SkeletonFrame, batch: PredictionBatch, processing_s: float, seen: np.ndarray
    ) -> None:
        """Take a frame and what was predicted with it.

        Args:
            log_time_ns: when it was recorded.
            frame: as it went into the predictor.
            batch: what came out.
            processing_s: how long that took.
            seen: (P, J) bool joints that were observed.
        """
        stamp_ns = frame.stamp_ns
        interval_s = np.nan
        if self.first_ns is None:
            self.first_ns = self._last_ns = stamp_ns
        else:
            passed_ns = stamp_ns - self._last_ns
            log_ns = log_time_ns - self._last_log_ns
            if passed_ns < -self._back_ns or passed_ns - log_ns > max(_CLOCK_SET_NS, log_ns):
                self.jump_count += 1
                if len(self.jumps) < _MOST_GAPS:
                    self.jumps.append((round(self.span_ns / NS, 3), round(passed_ns / NS, 3)))
                self._last_ns = stamp_ns
            elif passed_ns == 0:
                self.same_stamp += 1
            elif passed_ns > 0:
                self.span_ns += passed_ns
                self._last_ns = stamp_ns
                interval_s = passed_ns / NS
                if passed_ns > self._max_gap_ns:
                    self.gap_count += 1
                    self.gaps.append((round((self.span_ns - passed_ns) / NS, 3), round(passed_ns / NS, 3)))
                    if len(self.gaps) > 2 * _MOST_GAPS:
                        self._longest()
            self.log_span_ns += max(log_ns, 0)
        self._last_log_ns = log_time_ns
        delay_ns = log_time_ns - frame.stamp_ns
        same_clock = abs(delay_ns) <= _OTHER_CLOCK_NS
        self.other_clock += not same_clock
        self._waiting.append((interval_s, delay_ns / NS if same_clock else np.nan, processing_s))
        if len(self._waiting) >= 512:
            self._flush()
        self.frames += 1
        self.empty_frames += not frame.person_ids
        self.person_frames += len(frame.person_ids)
        self.joints_seen += (int(seen.sum()), seen.size)
        for person_id in frame.person_ids:
            if person_id not in self.people:
                if len(self.people) < 1000:
                    self.people.add(person_id)
                else:
                    self.more_people = True
        predicted = False
        for person in batch.people:
            self.states[person.state.name] += 1
            predicted |= person.state in _PREDICTED
        self.predictions += predicted

    def _flush(self) -> None:
        if not self._waiting:
            return
        interval, delay, processing = np.array(self._waiting).T
        self._waiting = []
        self._interval.add(interval)
        self._delay.add(np.maximum(delay, 0.0))
        if np.isfinite(delay).any():
            self._least_delay_s = min(self._least_delay_s, float(np.nanmin(delay)))
        self._processing.add(processing)

    def _longest(self) -> None:
        self.gaps = sorted(sorted(self.gaps, key=lambda g: -g[1])[:_MOST_GAPS])

    def merge(self, other: StreamMetrics) -> None:
        """Add another recording's."""
        self._flush()
        other._flush()
        for name in (
            "frames", "empty_frames", "predictions", "person_frames", "other_clock", "span_ns", "log_span_ns",
            "same_stamp", "jump_count", "gap_count",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("rejected", "counters", "states"):
            getattr(self, name).update(getattr(other, name))
        self.people |= other.people
        self.more_people |= other.more_people
        self.joints_seen += other.joints_seen
        self.gaps, self.jumps = [], []  # of one recording only
        self._least_delay_s = min(self._least_delay_s, other._least_delay_s)
        for name in ("_interval", "_delay", "_processing"):
            getattr(self, name).merge(getattr(other, name))

    def summary(self) -> dict[str, Any]:
        """Plain values."""
        self._flush()
        self._longest()

        def quantiles(histogram: Histograms, factor: float = 1e3) -> dict[str, float] | None:
            if not histogram.count:
                return None
            return {f"p{round(100 * q)}": round(factor * float(histogram.quantile(q)), 3) for q in (0.5, 0.95, 0.99)}

        median_s = float(self._interval.quantile(0.5))
        rejected = sum(self.rejected.values())
        return {
            "frames": self.frames,
            "frames_without_people": self.empty_frames,
            "rejected": rejected,
            "rejected_share": round(rejected / max(rejected + self.frames, 1), 5),
            "rejected_reasons": dict(self.rejected.most_common(10)),
            "people": sorted(self.people)[:100],
            "people_count": len(self.people),
            "duration_s": round(self.span_ns / NS, 3),
            "rate_hz": round(1.0 / median_s, 2) if np.isfinite(median_s) and median_s > 0 else None,
            "interval_ms": quantiles(self._interval),
            "gaps": {"count": self.gap_count, "longest": [{"at_s": a, "length_s": n} for a, n in self.gaps]},
            "stamps": {
                "repeated": self.same_stamp,
                "jumps": self.jump_count,
                "jumped": [{"at_s": a, "by_s": b} for a, b in self.jumps],
                "of_another_clock_than_log": self.other_clock,
                "log_span_s": round(self.log_span_ns / NS, 3),
            },
            "log_minus_stamp_ms": None
            if not self._delay.count
            else {"least": round(1e3 * self._least_delay_s, 3) + 0.0, **(quantiles(self._delay) or {})},
            "joints_seen_share": round(float(self.joints_seen[0] / max(self.joints_seen[1], 1)), 4),
            "counters": {k: int(v) for k, v in sorted(self.counters.items()) if v and k != "frames"},
            "predictions": self.predictions,
            "predicted_share": round(self.predictions / max(self.frames, 1), 4),
            "states": dict(sorted(self.states.items())),
            "processing_ms": quantiles(self._processing),
        }


class Timeline:
    """States of each person over time, and the error of the first source, in bins of which there are at most so many.

    Args:
        first_bin_s: length of a bin, doubled whenever the recording grows out of all bins.
        most: bins.
    """

    def __init__(self, first_bin_s: float = 0.1, most: int = 1200) -> None:
        self.bin_s, self._most = first_bin_s, most
        self.people: dict[str, np.ndarray] = {}  # (bins, states)
        self._errors = np.zeros((2, most))  # sums, counts

    def _bin(self, at_s: float) -> int:
        while at_s >= self._most * self.bin_s:
            self._coarsen()
        return max(int(at_s / self.bin_s), 0)

    def _coarsen(self) -> None:
        self.bin_s *= 2.0
        half = self._most // 2

        def halved(table: np.ndarray) -> np.ndarray:  # bins first
            new = np.zeros_like(table)
            new[:half] = table[0::2] + table[1::2]
            return new

        self.people = {k: halved(v) for k, v in self.people.items()}
        self._errors = halved(self._errors.T).T.copy()

    def states(self, at_s: float, batch: PredictionBatch) -> None:
        """Take what is known of everybody, seconds from the start."""
        at = self._bin(at_s)
        for person in batch.people:
            table = self.people.get(person.person_id)
            if table is None:
                if len(self.people) >= MAX_PEOPLE:
                    continue
                table = self.people[person.person_id] = np.zeros((self._most, len(TrackState)), np.int32)
            table[at, person.state] += 1

    def errors(self, at_s: np.ndarray, error_m: np.ndarray) -> None:
        """Take errors (N,) of predictions made (N,) seconds from the start."""
        good = np.isfinite(error_m)
        if not good.any():
            return
        at_s, error_m = at_s[good], error_m[good]
        self._bin(float(at_s.max()))
        at = np.clip((at_s / self.bin_s).astype(int), 0, self._most - 1)
        np.add.at(self._errors[0], at, error_m)
        np.add.at(self._errors[1], at, 1)

    def error_m(self) -> tuple[np.ndarray, np.ndarray]:
        """Middle of each bin in seconds from the start, and its mean error, where there is one."""
        has = self._errors[1] > 0
        return (np.flatnonzero(has) + 0.5) * self.bin_s, self._errors[0, has] / self._errors[1, has]

    def summary(self) -> dict[str, Any]:
        """Each person's state over time as stretches (start and end in seconds from the start)."""
        found: dict[str, Any] = {}
        for name, table in self.people.items():
            state = np.where(table.any(1), table.argmax(1), -1)
            edges = np.flatnonzero(np.diff(state, prepend=-2, append=-2))
            found[name] = [
                {
                    "from_s": round(a * self.bin_s, 3),
                    "to_s": round(b * self.bin_s, 3),
                    "state": TrackState(state[a]).name,
                }
                for a, b in zip(edges[:-1], edges[1:], strict=True)
                if state[a] >= 0
            ]
        at, error = self.error_m()
        return {
            "bin_s": self.bin_s,
            "states": found,
            "error": {"at_s": [round(float(a), 3) for a in at], "mm": [round(1e3 * float(e), 2) for e in error]},
        }
