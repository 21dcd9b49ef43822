# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Misses within the first tenths of a second: what nobody has time to answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.evaluation.outcomes import Outcomes

#: Misses until then are told apart, seconds after a prediction's stamp.
EARLY_S = 0.2


class Early:
    """Joints outside their bound at the steps up to `EARLY_S`, of one kind of bound.

    Args:
        dt_s: of the predictions' steps.
    """

    def __init__(self, dt_s: float) -> None:
        self._steps = int(EARLY_S / dt_s + 1e-6)
        self._joints = np.zeros(2, np.int64)  # missed, all
        self._people = np.zeros(2, np.int64)
        self._beyond_m = 0.0

    def update(self, outcomes: Outcomes) -> None:
        """Take outcomes of predictions with that bound."""
        error = outcomes.step_error_m[:, : self._steps]
        p = outcomes.predicted
        radius, body = p.radius[:, : error.shape[1]], p.body_radius[:, : error.shape[1]]
        body = np.where(np.isfinite(body), body, radius)
        usable = np.isfinite(error) & np.isfinite(radius)
        missed = usable & (error > radius)
        self._joints += missed.sum(), usable.sum()
        some = usable.any((1, 2))
        self._people += (usable & (error > body)).any((1, 2)).sum(), some.sum()
        if missed.any():
            self._beyond_m = max(self._beyond_m, float((error - radius)[missed].max()))

    def merge(self, other: Early) -> None:
        """Add another recording's."""
        self._joints += other._joints
        self._people += other._people
        self._beyond_m = max(self._beyond_m, other._beyond_m)

    def summary(self) -> dict[str, Any] | None:
        """Counts and shares; None where no step lies within that time, or nothing was seen there."""
        if not self._joints[1]:
            return None
        return {
            "until_s": EARLY_S,
            "joints_judged": int(self._joints[1]),
            "joints_missed": int(self._joints[0]),
            "joint_miss_share": round(float(self._joints[0] / self._joints[1]), 5),
            "predictions": int(self._people[1]),
            "predictions_missed": int(self._people[0]),
            "prediction_miss_share": round(float(self._people[0] / self._people[1]), 5),
            "farthest_beyond_mm": round(1000.0 * self._beyond_m, 1),
        }
