# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Quantiles of a stream in memory that does not grow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Each bin is wider than the one before by this share: quantiles are right to about 1 %.
_WIDTH = 0.03


class Histograms:
    """A grid of histograms over logarithmic bins, with exact counts, sums and maxima.

    Args:
        shape: of the grid, for instance (sources, horizons, joints).
        low: smaller values share a bin with 0.
        high: larger values share the last bin.
    """

    def __init__(self, shape: Sequence[int] = (), low: float = 1e-3, high: float = 20.0) -> None:
        self.shape = tuple(shape)
        self._low, self._high = low, high
        self._bins = int(np.ceil(np.log(high / low) / _WIDTH)) + 2
        size = int(np.prod(self.shape, dtype=int))
        self._counts = np.zeros((size, self._bins), np.int64)
        self._sum, self._max = np.zeros(size), np.full(size, -np.inf)

    def add(self, values: np.ndarray, cell: np.ndarray | int = 0) -> None:
        """Count values.

        Args:
            values: (n,) not negative; NaN and infinite ones are left out.
            cell: (n,) index of the histogram in the flattened grid, or one for all.
        """
        values = np.asarray(values, np.float64).ravel()
        cell = np.broadcast_to(np.ravel(cell), values.shape)
        finite = np.isfinite(values)
        if not finite.all():
            values, cell = values[finite], cell[finite]
        if not len(values):
            return
        size = len(self._sum)
        bin_ = np.log(np.maximum(values, self._low) / self._low) / _WIDTH
        bin_ = np.minimum(bin_.astype(np.int64) + (values >= self._low), self._bins - 1)
        flat = np.bincount(cell * self._bins + bin_, minlength=size * self._bins)
        self._counts += flat.reshape(size, self._bins)
        self._sum += np.bincount(cell, weights=values, minlength=size)
        if size == 1:
            self._max[0] = max(self._max[0], values.max())
        else:
            np.maximum.at(self._max, cell, values)

    def merge(self, other: Histograms) -> None:
        """Add another stream's counts; both have the same shape and bins."""
        self._counts += other._counts
        self._sum += other._sum
        np.maximum(self._max, other._max, out=self._max)

    @property
    def count(self) -> np.ndarray:
        """How many values, of the grid's shape."""
        return self._counts.sum(-1).reshape(self.shape)

    @property
    def mean(self) -> np.ndarray:
        """Exact means, NaN where there is no value."""
        count = self._counts.sum(-1)
        return np.where(count > 0, self._sum / np.maximum(count, 1), np.nan).reshape(self.shape)

    @property
    def maximum(self) -> np.ndarray:
        """Exact largest values, NaN where there is no value."""
        return np.where(np.isfinite(self._max), self._max, np.nan).reshape(self.shape)

    def quantile(self, share: float) -> np.ndarray:
        """Below which that share of the values lies, of the grid's shape; NaN where there is no value."""
        below = np.cumsum(self._counts, -1)
        total = below[:, -1]
        wanted = share * total
        bin_ = np.minimum((below < np.maximum(wanted, 1e-9)[:, None]).sum(-1), self._bins - 1)
        row = np.arange(len(total))
        inside = self._counts[row, bin_]
        part = (wanted - (below[row, bin_] - inside)) / np.maximum(inside, 1)
        start = np.where(bin_ > 0, self._low * np.exp(_WIDTH * (bin_ - 1)), 0.0)
        end = self._low * np.exp(_WIDTH * bin_)
        value = np.minimum(start + np.clip(part, 0.0, 1.0) * (end - start), self._max)
        return np.where(total > 0, value, np.nan).reshape(self.shape)
