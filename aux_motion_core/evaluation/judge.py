# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Judges published predictions of several predictors by what was seen later, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from aux_motion_core.constants import HORIZONS_S
from aux_motion_core.evaluation.errors import Errors, horizon_key
from aux_motion_core.evaluation.outcomes import Court, Outcomes, Predicted
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import MotionPrediction, PredictionBatch, SkeletonFrame, TrackState

_JUDGED = (TrackState.TRACKING, TrackState.DEGRADED)


@dataclass(frozen=True)
class Verdict:
    """Errors of one clip.

    Attributes:
        mpjpe_mm: horizon ("0.4") -> source -> mean error in millimetres over that horizon's samples, each
            the mean over the joints seen at that time.
        samples: horizon -> number of samples (a person at a time).
    """

    mpjpe_mm: dict[str, dict[str, float]]
    samples: dict[str, int]


class Judge:
    """Compares several sources' predictions with the frames that come after them.

    A sample is one person's prediction at one horizon. The truth at that time is interpolated between
    the two frames around it, for the joints observed (not guessed by the tracker) in both. Sources are
    compared on the very same samples and joints.

    Args:
        sources: names, for instance ("model", "zero_velocity").
        horizons_s: seconds after the prediction's stamp.
        max_gap_s: frames farther apart say nothing about the time between them.
    """

    def __init__(
        self,
        sources: Iterable[str],
        horizons_s: Iterable[float] = HORIZONS_S,
        max_gap_s: float = 0.25,
    ) -> None:
        self.sources = tuple(sources)
        self.horizons_s = tuple(horizons_s)
        self._max_gap_s = max_gap_s
        self._court: Court | None = None  # made with the first prediction, which tells the grid
        self._errors = Errors(self.sources, np.array(self.horizons_s))
        self._people: dict[str, int] = {}
        self._before: list[SkeletonFrame] = []

    def predict(self, predictions: Mapping[str, MotionPrediction], dt_s: float) -> bool:
        """Take one person's predictions, one of each source, all of the same stamp.

        Args:
            predictions: source -> prediction; give it before the frames that follow it.
            dt_s: seconds from step to step.

        Returns:
            Whether it will be judged: every source is there and none only holds a pose (WARMING_UP, STALE,
            ABSENT).
        """
        if any(s not in predictions or predictions[s].state not in _JUDGED for s in self.sources):
            return False
        first = predictions[self.sources[0]]
        if any(predictions[s].stamp_ns != first.stamp_ns for s in self.sources):
            return False
        if self._court is None:
            self._court = Court(np.array(self.horizons_s), dt_s, self._max_gap_s)
            for frame in self._before:
                self._observe(frame)
            self._before.clear()
        future = np.stack([np.asarray(predictions[s].mean, float) for s in self.sources])
        self._court.take(_one(first, self._index(first.person_id), future))
        return True

    def observe(self, frame: SkeletonFrame) -> None:
        """Take a frame, in the frame of the predictions; stamps that do not advance are left out."""
        if self._court is None:
            self._before = [frame]
        else:
            self._observe(frame)

    def take(self, frame: SkeletonFrame, batches: Mapping[str, PredictionBatch]) -> None:
        """Take a frame and what each source predicted from it.

        Args:
            frame: in the predictions' frame.
            batches: source -> batch.
        """
        self.observe(frame)
        people = {source: {p.person_id: p for p in batch.people} for source, batch in batches.items()}
        dt_s = next(iter(batches.values())).dt_s
        for person_id in frame.person_ids:
            self.predict({s: p[person_id] for s, p in people.items() if person_id in p}, dt_s)

    def _observe(self, frame: SkeletonFrame) -> None:
        if self._court is None:
            return
        done = self._court.observe(frame, [self._index(i) for i in frame.person_ids])
        self._update([*done, *self._court.judge()])

    def _index(self, person_id: str) -> int:
        return self._people.setdefault(person_id, len(self._people))

    def _update(self, outcomes: Iterable[Outcomes]) -> None:
        names = {index: name for name, index in self._people.items()}
        for one in outcomes:
            self._errors.update(one, names)

    def verdict(self) -> Verdict:
        """What was found, to the last frame; horizons without a sample are left out. Call it at the end."""
        if self._court is not None:
            self._update(self._court.close())
        mpjpe_mm: dict[str, dict[str, float]] = {}
        samples: dict[str, int] = {}
        for horizon_s, mean_m, count in zip(
            self.horizons_s, self._errors.mpjpe_m().T, self._errors.samples(), strict=True
        ):
            if count:
                key = horizon_key(horizon_s)
                mpjpe_mm[key] = {s: 1000.0 * float(v) for s, v in zip(self.sources, mean_m, strict=True)}
                samples[key] = int(count)
        return Verdict(mpjpe_mm, samples)


def _one(prediction: MotionPrediction, person: int, future: np.ndarray) -> Predicted:
    """A person's predictions as a block of one; (K, steps, J, 3) without bounds."""
    bounds = np.full((1, *future.shape[1:3]), np.nan, np.float32)
    none = np.full(1, np.nan)
    return Predicted(
        person=np.array([person]),
        stamp_ns=np.array([prediction.stamp_ns], np.int64),
        age_s=np.array([prediction.age_s]),
        at_s=np.zeros(1),
        judged=np.ones(1, bool),
        state=np.array([prediction.state], np.uint8),
        future=future[None],
        present=np.asarray(prediction.recovered, np.float32)[None],
        asked=np.asarray(prediction.joint_status != JointStatus.MISSING)[None],
        speed_mps=np.zeros(1),
        radius=bounds,
        body_radius=bounds,
        basis=np.array([-1]),
        level=none,
        body_level=none,
        scale=np.full((1, *future.shape[1:]), np.nan, np.float32),
        at_levels=np.empty((1, 0, *future.shape[1:3]), np.float32),
        body_at_levels=np.empty((1, 0, *future.shape[1:3]), np.float32),
        stood=np.zeros(1, bool),
    )


def mean_over_clips(verdicts: Iterable[Verdict]) -> Verdict:
    """Every clip counts the same, however long; a horizon that a clip lacks is averaged over the others."""
    verdicts = list(verdicts)
    keys = sorted({k for v in verdicts for k in v.mpjpe_mm}, key=float)
    mpjpe_mm, samples = {}, {}
    for key in keys:
        having = [v for v in verdicts if key in v.mpjpe_mm]
        sources = having[0].mpjpe_mm[key]
        mpjpe_mm[key] = {s: float(np.mean([v.mpjpe_mm[key][s] for v in having])) for s in sources}
        samples[key] = sum(v.samples[key] for v in having)
    return Verdict(mpjpe_mm, samples)


def error_table(verdict: Verdict) -> str:
    """Readable table: a row per source, a column per horizon, millimetres; a star marks the best of each."""
    keys = list(verdict.mpjpe_mm)
    if not keys:
        return "nothing could be judged: no prediction was followed by observations"
    sources = list(verdict.mpjpe_mm[keys[0]])
    width = max(len("error in mm after"), *(len(s) for s in sources))
    lines = ["  ".join(["error in mm after".ljust(width), *(f"{k + ' s':>9}" for k in keys)])]
    lines.append("-" * len(lines[0]))
    for source in sources:
        cells = []
        for key in keys:
            row = verdict.mpjpe_mm[key]
            cells.append(f"{row[source]:8.1f}{'*' if row[source] == min(row.values()) else ' '}")
        lines.append("  ".join([source.ljust(width), *cells]))
    lines.append("  ".join(["samples".ljust(width), *(f"{verdict.samples[k]:8d} " for k in keys)]))
    if len(sources) > 1:
        lines.append("* the smallest error of that column")
    return "\n".join(lines)
