# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Coverage of those who stood and now move (`aux_motion_core.bounds.onset`), as a group of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.bounds.onset import DEFINITION, MOVED_AFTER_S, moved
from aux_motion_core.evaluation.bootstrap import Segments
from aux_motion_core.evaluation.errors import horizon_key
from aux_motion_core.evaluation.outcomes import Outcomes


class _Held:
    """How often one kind of bound, or one level, held."""

    def __init__(self, horizons: int, level: float, body_level: float) -> None:
        self.level, self.body_level = level, body_level
        self.predictions = 0
        self.joints = np.zeros((2, horizons))  # inside, all
        self.body = np.zeros(2)  # held at every step, all
        self.segments = Segments(horizons)

    def add(self, outcomes: Outcomes, radius: np.ndarray, body: np.ndarray) -> None:
        """Radii (N, S, J) of joints and of the whole body, NaN where there is none."""
        error, at = outcomes.error_m[:, 0], outcomes.at_horizons(radius)
        usable = np.isfinite(error) & np.isfinite(at)
        inside = (usable & (error <= at)).sum(2)
        self.predictions += len(error)
        self.joints += np.stack([inside.sum(0), usable.sum((0, 2))])
        self.segments.add(outcomes.predicted.person, outcomes.predicted.stamp_ns, inside, usable.sum(2))
        every = outcomes.step_error_m
        body = body[:, : every.shape[1]]
        usable = np.isfinite(every) & np.isfinite(body)
        whole = usable.any(2).all(1)
        held = (~usable | (every <= body)).all((1, 2))
        self.body += held[whole].sum(), whole.sum()

    def merge(self, other: _Held) -> None:
        self.predictions += other.predictions
        self.joints += other.joints
        self.body += other.body
        self.segments.merge(other.segments)

    def summary(self, horizons_s: np.ndarray) -> dict[str, Any]:
        low, high = self.segments.interval()
        return {
            "nominal": _number(self.level),
            "body_nominal": _number(self.body_level),
            "predictions": self.predictions,
            "segments": self.segments.count,
            "whole_second_body_coverage": _share(*self.body),
            "horizons": {
                horizon_key(s): {
                    "joints_judged": int(self.joints[1, i]),
                    "coverage": _share(*self.joints[:, i]),
                    "low": _number(low[i]),
                    "high": _number(high[i]),
                }
                for i, s in enumerate(horizons_s)
                if self.joints[1, i]
            },
        }


class Onsets:
    """Coverage of those who stood and now move: of what was published, and of the model's table at each level.

    Args:
        horizons_s: (H,).
        levels: of the model's table.
    """

    def __init__(self, horizons_s: np.ndarray, levels: tuple[float, ...] = ()) -> None:
        self.horizons_s, self._levels = np.asarray(horizons_s, float), tuple(levels)
        self._at = int(np.argmin(np.abs(self.horizons_s - MOVED_AFTER_S)))
        self._published: dict[str, _Held] = {}
        self._table = [_Held(len(self.horizons_s), level, level) for level in self._levels]

    def update(self, outcomes: Outcomes, labels: list[str]) -> None:
        """Take outcomes; `labels` says what basis indices mean."""
        p = outcomes.predicted
        away = moved(p.present, outcomes.truth[:, self._at], p.asked & outcomes.seen[:, self._at])
        outcomes = outcomes.rows(np.flatnonzero(p.judged & p.stood & away))
        p = outcomes.predicted
        for basis in np.unique(p.basis[p.basis >= 0]):
            here = outcomes.rows(np.flatnonzero(p.basis == basis))
            own = here.predicted
            held = self._published.get(labels[int(basis)])
            if held is None:
                held = _Held(len(self.horizons_s), float(own.level[0]), float(own.body_level[0]))
                self._published[labels[int(basis)]] = held
            held.add(here, own.radius, np.where(np.isfinite(own.body_radius), own.body_radius, own.radius))
        for k, held in enumerate(self._table):
            rows = np.flatnonzero(np.isfinite(p.at_levels[:, k]).any((1, 2)))
            if len(rows):
                here = outcomes.rows(rows)
                held.add(here, here.predicted.at_levels[:, k], here.predicted.body_at_levels[:, k])

    def merge(self, other: Onsets) -> None:
        """Add another recording's."""
        for label, held in other._published.items():
            if label in self._published:
                self._published[label].merge(held)
            else:
                self._published[label] = held
        if self._levels == other._levels:
            for own, held in zip(self._table, other._table, strict=True):
                own.merge(held)

    def summary(self) -> dict[str, Any]:
        """The group's definition, and its coverage by kind of bound and by level of the table."""
        return {
            "definition": dict(DEFINITION),
            "bounds": {label: held.summary(self.horizons_s) for label, held in sorted(self._published.items())},
            "table": {f"{h.level:g}": h.summary(self.horizons_s) for h in self._table if h.predictions},
        }


def _number(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 4)


def _share(part: float, total: float) -> float | None:
    return _number(part / total) if total else None
