# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Intervals by drawing whole stretches of the recording: samples a frame apart tell almost the same."""

from __future__ import annotations

import numpy as np

#: Length of a segment of one person, seconds; longer than the window and the horizon together.
SEGMENT_S = 3.0
#: Fewer segments give no interval.
MIN_SEGMENTS = 5
#: More segments are made half as many and twice as long, so that memory does not grow.
MAX_SEGMENTS = 4096
_DRAWS, _LEVEL, _NS = 2000, 0.95, 1_000_000_000


class Segments:
    """Sums of samples over non-overlapping segments, one person and `SEGMENT_S` each, and intervals of their means.

    Percentile bootstrap over segments (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13; blocks
    because of the dependence between frames: Carlstein, Annals of Statistics 14, 1986).

    Args:
        shape: of a sample.
    """

    def __init__(self, *shape: int) -> None:
        self.length_s = SEGMENT_S
        self._shape = shape
        self._sums: dict[tuple[int, int, int], np.ndarray] = {}  # (recording, person, block) -> (2, *shape)
        self._recordings = 1

    def add(
        self, person: np.ndarray, stamp_ns: np.ndarray, samples: np.ndarray, counts: np.ndarray | None = None
    ) -> None:
        """Take samples.

        Args:
            person: (N,) whose.
            stamp_ns: (N,) int64.
            samples: (N, *shape); NaN counts as none.
            counts: (N, *shape), where samples are already sums: of how many; None: one each.
        """
        block = stamp_ns // round(self.length_s * _NS)
        counts = np.isfinite(samples) if counts is None else counts
        both = np.stack([np.nan_to_num(samples), counts], 1).astype(float)
        keys, index = np.unique(np.stack([person, block]), axis=1, return_inverse=True)
        index = index.ravel()
        for g, (who, when) in enumerate(keys.T):
            self._put((0, int(who), int(when)), both[index == g].sum(0))
        self._fit()

    def _fit(self) -> None:
        while len(self._sums) > MAX_SEGMENTS:
            before = len(self._sums)
            self._coarsen()
            if len(self._sums) == before:  # as many people: longer segments do not help
                break

    def _put(self, key: tuple[int, int, int], sums: np.ndarray) -> None:
        known = self._sums.get(key)
        if known is None:
            self._sums[key] = sums.copy()
        else:
            known += sums

    def _coarsen(self) -> None:
        old, self._sums, self.length_s = self._sums, {}, 2.0 * self.length_s
        for (recording, who, when), sums in old.items():
            self._put((recording, who, when // 2), sums)

    def merge(self, other: Segments) -> None:
        """Add another recording's segments."""
        while other.length_s < self.length_s:
            other._coarsen()
        while self.length_s < other.length_s:
            self._coarsen()
        first, self._recordings = self._recordings, self._recordings + other._recordings
        for (recording, who, when), sums in other._sums.items():
            self._put((first + recording, who, when), sums)
        self._fit()

    @property
    def count(self) -> int:
        """Segments with at least one sample."""
        return sum(1 for s in self._sums.values() if s[1].any())

    def _drawn(self) -> np.ndarray | None:
        """(draws, 2, *shape) sums and counts of drawn segments; None: too few."""
        if self.count < MIN_SEGMENTS:
            return None
        table = np.stack([s for s in self._sums.values() if s[1].any()])
        times = np.random.default_rng(0).multinomial(len(table), np.full(len(table), 1 / len(table)), _DRAWS)
        return (times @ table.reshape(len(table), -1)).reshape(_DRAWS, *table.shape[1:])

    def _ends(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ends = np.full((2, *values.shape[1:]), np.nan)
        some = np.isfinite(values).all(0)
        ends[:, some] = np.quantile(values[:, some], [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
        return ends[0], ends[1]

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval of the mean, each of the sample's shape; NaN where there are too few segments."""
        drawn = self._drawn()
        if drawn is None:
            nothing = np.full(self._shape, np.nan)
            return nothing, nothing
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._ends(drawn[:, 0] / drawn[:, 1])

    def ratio(self, first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean of column `first` of the last axis over each column's mean, and its interval: below 1 is better."""
        table = sum(self._sums.values(), np.zeros((2, *self._shape)))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = table[0, ..., first, None] / table[0]
            drawn = self._drawn()
            if drawn is None:
                nothing = np.full(self._shape, np.nan)
                return ratio, nothing, nothing
            return (ratio, *self._ends(drawn[:, 0, ..., first, None] / drawn[:, 0]))
