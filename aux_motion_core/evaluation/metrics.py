# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""All metrics of a recording together."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.evaluation.bones import Bones
from aux_motion_core.evaluation.bounds import BoundCoverage
from aux_motion_core.evaluation.errors import Errors, mean_of_seen
from aux_motion_core.evaluation.jitter import Jitter
from aux_motion_core.evaluation.judge import HORIZONS_S
from aux_motion_core.evaluation.onset import Onsets
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.evaluation.stream import StreamMetrics, Timeline
from aux_motion_core.evaluation.unseen import Unseen
from aux_motion_core.evaluation.worst import Worst


class Evaluation:
    """All metrics of a recording, or of several.

    Args:
        sources: K names, the first is what is published.
        dt_s: of the predictions' steps.
        steps: how many.
        max_gap_s: frames farther apart say nothing about the time between them.
        levels: of the model's calibration table.
    """

    def __init__(
        self,
        sources: tuple[str, ...],
        dt_s: float,
        steps: int,
        max_gap_s: float = 0.25,
        levels: tuple[float, ...] = (),
    ) -> None:
        self.sources, self.dt_s, self.levels = sources, dt_s, levels
        fit = [h for h in HORIZONS_S if h >= dt_s - 1e-9 and h <= steps * dt_s + 1e-6]
        self.horizons_s = np.array(fit or [steps * dt_s])
        self.errors = Errors(sources, self.horizons_s)
        self.jitter = Jitter(sources, self.horizons_s, dt_s)
        self.bones = Bones(sources, self.horizons_s)
        self.bounds = BoundCoverage(self.horizons_s, dt_s, levels)
        self.onsets = Onsets(self.horizons_s, levels)
        self.unseen = Unseen(self.horizons_s)
        self.stream = StreamMetrics(max_gap_s)
        self.timeline = Timeline()
        self.worst = Worst(sources, len(self.horizons_s) - 1)

    def update(self, outcomes: Outcomes, names: dict[int, str], labels: list[str]) -> None:
        """Give outcomes to every metric; `names` and `labels` say what person and basis indices mean."""
        self.errors.update(outcomes, names)
        self.bones.update(outcomes)
        self.bounds.update(outcomes, labels)
        self.onsets.update(outcomes, labels)
        self.unseen.update(outcomes)
        self.worst.update(outcomes, names)
        judged = outcomes.predicted.judged
        shown = min(1, len(self.horizons_s) - 1)
        self.timeline.errors(outcomes.predicted.at_s[judged], mean_of_seen(outcomes.error_m[judged, 0, shown]))

    def merge(self, other: Evaluation) -> None:
        """Add another recording, made with the same sources and grid."""
        for name in ("errors", "jitter", "bones", "bounds", "onsets", "unseen", "stream"):
            getattr(self, name).merge(getattr(other, name))

    def summary(self) -> dict[str, Any]:
        """Plain values of all metrics."""
        errors = self.errors.summary()
        return {
            "sources": list(self.sources),
            "horizons_s": [float(h) for h in self.horizons_s],
            "dt_s": self.dt_s,
            "mpjpe_mm": {h: {s: v["mean"] for s, v in row.items()} for h, row in errors["errors_mm"].items()},
            **errors,
            "unseen": self.unseen.summary(),
            "jitter_mm": self.jitter.summary(),
            "bones": self.bones.summary(),
            "bounds": self.bounds.summary(),
            "table": self.bounds.levels(),
            "onset": self.onsets.summary(),
            "scale": self.bounds.scales(),
            "input": self.stream.summary(),
        }

    def moments(self) -> list[dict[str, Any]]:
        """The worst moments as plain values."""
        return [
            {
                "person": m.person_id,
                "at_s": round(m.at_s, 3),
                "stamp_s": m.stamp_ns / NS,
                "horizon_s": m.horizon_s,
                "error_mm": round(1e3 * m.error_m, 1),
                "others_mm": {k: round(1e3 * v, 1) for k, v in m.others_m.items()},
            }
            for m in self.worst.moments
        ]
