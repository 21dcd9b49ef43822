# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether predicted bodies keep their bones' lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.evaluation.errors import horizon_key
from aux_motion_core.evaluation.histogram import Histograms
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.skeleton import BONES

_PARENT, _CHILD = np.array(BONES).T
_SHORTEST_M = 0.02


def lengths(poses: np.ndarray) -> np.ndarray:
    """(..., bones) lengths of (..., J, 3) poses, in metres."""
    away = poses[..., _CHILD, :] - poses[..., _PARENT, :]
    return np.sqrt(np.einsum("...c,...c->...", away, away))


class Bones:
    """Change of a predicted bone's length as a share of the person's own, by source and horizon.

    A person's own length of a bone is the mean of what was observed of it so far. `input` is the same share of the
    observed skeletons themselves: a tracker that lets limbs grow and shrink cannot be predicted with constant ones.

    Args:
        sources: K names.
        horizons_s: (H,).
    """

    def __init__(self, sources: tuple[str, ...], horizons_s: np.ndarray) -> None:
        self.sources, self.horizons_s = sources, np.asarray(horizons_s, float)
        self._histograms = Histograms((len(sources), len(self.horizons_s)), low=1e-4, high=100.0)
        self._input = Histograms((), low=1e-4, high=100.0)
        self._own: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # sums and counts of each bone

    def update(self, outcomes: Outcomes) -> None:
        """Take outcomes in the order of time."""
        judged, people = outcomes.predicted.judged, outcomes.predicted.person
        for person in np.unique(people[judged]):
            own_outcomes = outcomes.rows(np.flatnonzero((people == person) & judged))
            rows = own_outcomes.predicted
            asked = rows.asked[:, _PARENT] & rows.asked[:, _CHILD]
            now = lengths(rows.present)
            if len(self._own) > 256:
                self._own.clear()
            total, count = self._own.get(int(person), (np.zeros(now.shape[1]), np.zeros(now.shape[1])))
            totals = total + np.cumsum(np.where(asked, now, 0.0), 0)
            counts = count + np.cumsum(asked, 0)
            self._own[int(person)] = (totals[-1], counts[-1])
            own = totals / np.maximum(counts, 1)
            known = (counts > 0) & (own > _SHORTEST_M)
            share = np.abs(now - own) / np.maximum(own, _SHORTEST_M)
            self._input.add(share[known & asked])
            then = lengths(own_outcomes.at_horizons(rows.future, axis=2))  # (N, K, H, bones)
            change = np.abs(then - own[:, None, None]) / np.maximum(own, _SHORTEST_M)[:, None, None]
            change = np.where(known[:, None, None], change, np.nan)
            k, h = change.shape[1:3]
            self._histograms.add(change, np.broadcast_to(np.arange(k * h).reshape(k, h, 1), change.shape))

    def merge(self, other: Bones) -> None:
        """Add another recording's."""
        self._histograms.merge(other._histograms)
        self._input.merge(other._input)

    def summary(self) -> dict[str, Any]:
        """Shares of a bone's length by horizon and source, and of the input."""

        def part(mean: float, p95: float) -> dict[str, float]:
            return {"mean": round(float(mean), 5), "p95": round(float(p95), 5)}

        count, mean, p95 = self._histograms.count, self._histograms.mean, self._histograms.quantile(0.95)
        found: dict[str, Any] = {
            horizon_key(s): {source: part(mean[k, i], p95[k, i]) for k, source in enumerate(self.sources)}
            for i, s in enumerate(self.horizons_s)
            if count[0, i]
        }
        if self._input.count > 0:
            found["input"] = part(float(self._input.mean), float(self._input.quantile(0.95)))
        return found
