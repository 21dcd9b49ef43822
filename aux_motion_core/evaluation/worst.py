# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The moments at which predictions were worst, kept to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.evaluation.errors import mean_of_seen
from aux_motion_core.evaluation.outcomes import Outcomes

#: Moments of one person nearer to each other are one, seconds.
_APART_S = 1.0
_MIN_JOINTS = 6


@dataclass(frozen=True)
class WorstMoment:
    """A prediction and what came of it.

    Attributes:
        person_id: whose.
        stamp_ns: when it was made.
        at_s: the same in seconds from the start.
        horizon_s: after which it was that wrong.
        error_m: mean over the joints seen.
        others_m: the same of the other sources.
        present: (J, 3) metres, the pose at the prediction.
        observed: (J,) bool, seen then.
        predicted: (J, 3) metres at the horizon.
        truth: (J, 3) metres, NaN where not seen.
        path: (steps, J, 3) metres, predicted at each step.
    """

    person_id: str
    stamp_ns: int
    at_s: float
    horizon_s: float
    error_m: float
    others_m: dict[str, float]
    present: np.ndarray
    observed: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray
    path: np.ndarray


class Worst:
    """The worst moments of the first source at one horizon.

    Args:
        sources: K names.
        horizon: index of the horizon.
        most: how many are kept.
    """

    def __init__(self, sources: tuple[str, ...], horizon: int, most: int = 8) -> None:
        self._sources, self._horizon, self._most = sources, horizon, most
        self.moments: list[WorstMoment] = []

    def update(self, outcomes: Outcomes, names: dict[int, str]) -> None:
        """Take outcomes; `names` gives each person's id."""
        p, h = outcomes.predicted, self._horizon
        error = mean_of_seen(outcomes.error_m[:, :, h])  # (N, K)
        usable = p.judged & (outcomes.seen[:, h].sum(1) >= _MIN_JOINTS) & np.isfinite(error[:, 0])
        floor = self.moments[-1].error_m if len(self.moments) == self._most else -1.0
        candidates = np.flatnonzero(usable & (error[:, 0] > floor))
        for row in candidates[np.argsort(-error[candidates, 0])][: 4 * self._most]:
            pose = outcomes.rows(slice(row, row + 1)).at_horizons(p.future[row : row + 1, 0])[0, h]
            self._put(
                WorstMoment(
                    names[int(p.person[row])],
                    int(p.stamp_ns[row]),
                    float(p.at_s[row]),
                    float(outcomes.horizons_s[h]),
                    float(error[row, 0]),
                    {s: float(error[row, k]) for k, s in enumerate(self._sources) if k},
                    p.present[row].copy(),
                    p.asked[row].copy(),
                    pose.copy(),
                    np.where(outcomes.seen[row, h, :, None], outcomes.truth[row, h], np.nan),
                    p.future[row, 0].copy(),
                )
            )

    def _put(self, moment: WorstMoment) -> None:
        near = [
            m for m in self.moments
            if m.person_id == moment.person_id and abs(m.at_s - moment.at_s) < _APART_S
        ]  # fmt: skip
        if any(m.error_m >= moment.error_m for m in near):
            return
        self.moments = [m for m in self.moments if not any(m is n for n in near)]
        self.moments.append(moment)
        self.moments.sort(key=lambda m: -m.error_m)
        del self.moments[self._most :]
