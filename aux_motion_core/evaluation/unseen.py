# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What became of joints that were seen when the prediction was made: judged, or never seen at its horizon."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.evaluation.errors import horizon_key
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.skeleton import JOINTS, N_JOINTS


class Unseen:
    """Share of outcomes never seen. Joints that vanish are often the fast or hidden ones: they bias what is judged.

    Args:
        horizons_s: (H,).
    """

    def __init__(self, horizons_s: np.ndarray) -> None:
        self.horizons_s = np.asarray(horizons_s, float)
        self._joints = np.zeros((2, len(self.horizons_s), N_JOINTS), np.int64)  # never seen, all

    def update(self, outcomes: Outcomes) -> None:
        """Take outcomes; what lies after the end of the recording does not count."""
        p = outcomes.predicted
        asked = p.asked[p.judged][:, None] & outcomes.known[p.judged][..., None]
        self._joints += np.stack([(asked & ~outcomes.seen[p.judged]).sum(0), asked.sum(0)])

    def merge(self, other: Unseen) -> None:
        """Add another recording's."""
        self._joints += other._joints

    def summary(self) -> dict[str, Any]:
        """Shares by horizon, of all joints and of each."""
        found = {}
        for i, s in enumerate(self.horizons_s):
            never, total = self._joints[:, i]
            if total.sum():
                found[horizon_key(s)] = {
                    "share": round(float(never.sum() / total.sum()), 4),
                    "joints": {j: round(float(never[c] / total[c]), 4) for c, j in enumerate(JOINTS) if total[c]},
                }
        return found
