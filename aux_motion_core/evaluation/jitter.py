# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How much a prediction for one time changes from one message to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.evaluation.errors import horizon_key, millimetres
from aux_motion_core.evaluation.histogram import Histograms
from aux_motion_core.evaluation.outcomes import Predicted, at_steps

_SUCCESSIVE_NS = 200_000_000


class Jitter:
    """Mean distance of a joint between two successive predictions for the same time, by source and horizon.

    Args:
        sources: K names.
        horizons_s: (H,) of the newer prediction.
        dt_s: of the steps.
    """

    def __init__(self, sources: tuple[str, ...], horizons_s: np.ndarray, dt_s: float) -> None:
        self.sources, self.horizons_s, self._dt_s = sources, np.asarray(horizons_s, float), dt_s
        self._histograms = Histograms((len(sources), len(self.horizons_s)), low=1e-4)
        self._last: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # stamp and future of the newest

    def update(self, predicted: Predicted) -> None:
        """Take predictions, each person's in the order in which they were made."""
        for person in np.unique(predicted.person[predicted.judged]):
            rows = np.flatnonzero((predicted.person == person) & predicted.judged)
            stamp_ns, future = predicted.stamp_ns[rows], predicted.future[rows]
            if person in self._last:
                stamp_ns, future = (np.concatenate(p) for p in zip(self._last[person], (stamp_ns, future), strict=True))
            if len(self._last) > 256:
                self._last.clear()
            self._last[int(person)] = stamp_ns[-1:], future[-1:].copy()
            if len(stamp_ns) > 1:
                self._compare(stamp_ns, future)

    def _compare(self, stamp_ns: np.ndarray, future: np.ndarray) -> None:
        passed_ns = np.diff(stamp_ns)
        steps = future.shape[2]
        step = self.horizons_s / self._dt_s - 1.0 + passed_ns[:, None] * 1e-9 / self._dt_s  # (N-1, H) of the older
        usable = ((passed_ns > 0) & (passed_ns < _SUCCESSIVE_NS))[:, None] & (step <= steps - 1 + 1e-6)
        if not usable.any():
            return
        here = np.broadcast_to(self.horizons_s / self._dt_s - 1.0, step.shape)
        away = at_steps(future[1:], here, axis=2) - at_steps(future[:-1], step, axis=2)  # (N-1, K, H, J, 3)
        value = np.sqrt(np.einsum("nkhjc,nkhjc->nkhj", away, away)).mean(-1)
        value = np.where(usable[:, None], value, np.nan)
        k, h = value.shape[1:]
        self._histograms.add(value, np.broadcast_to(np.arange(k * h).reshape(k, h), value.shape))

    def merge(self, other: Jitter) -> None:
        """Add another recording's."""
        self._histograms.merge(other._histograms)

    def summary(self) -> dict[str, Any]:
        """Millimetres by horizon and source."""
        count, mean, p95 = self._histograms.count, self._histograms.mean, self._histograms.quantile(0.95)
        return {
            horizon_key(s): {
                source: dict(zip(("mean", "p95"), millimetres(np.array([mean[k, i], p95[k, i]])), strict=True))
                for k, source in enumerate(self.sources)
            }
            for i, s in enumerate(self.horizons_s)
            if count[0, i]
        }
