"""Judges predictions by what was seen later, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import MotionPrediction, SkeletonFrame, TrackState

HORIZONS_S: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0)
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


@dataclass
class _Person:
    previous: tuple[int, np.ndarray, np.ndarray] | None = None
    # (target_ns, horizon index, (sources, joints, 3)), targets not in order
    pending: list[tuple[int, int, np.ndarray]] = field(default_factory=list)


def _seen(frame: SkeletonFrame) -> np.ndarray:
    status = np.asarray(frame.status)
    seen = (status == JointStatus.OBSERVED) | (status == JointStatus.DERIVED)
    return seen & np.isfinite(frame.positions).all(axis=-1)


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
        self._max_gap_ns = round(max_gap_s * 1e9)
        self._people: dict[str, _Person] = {}
        self._sum = np.zeros((len(self.horizons_s), len(self.sources)))
        self._count = np.zeros(len(self.horizons_s), dtype=int)

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
        means = np.stack([np.asarray(predictions[s].mean, dtype=float) for s in self.sources])
        person = self._people.setdefault(first.person_id, _Person())
        for index, horizon_s in enumerate(self.horizons_s):
            step = horizon_s / dt_s - 1.0
            if step < -1e-6 or step > means.shape[1] - 1 + 1e-6:
                continue
            low = int(np.clip(np.floor(step + 1e-9), 0, means.shape[1] - 1))
            high = min(low + 1, means.shape[1] - 1)
            weight = float(np.clip(step - low, 0.0, 1.0))
            pose = (1.0 - weight) * means[:, low] + weight * means[:, high]
            person.pending.append((first.stamp_ns + round(horizon_s * 1e9), index, pose))
        return True

    def observe(self, frame: SkeletonFrame) -> None:
        """Take a frame, in the frame of the predictions; stamps that do not advance are left out."""
        seen = _seen(frame)
        for row, person_id in enumerate(frame.person_ids):
            person = self._people.setdefault(person_id, _Person())
            now = (frame.stamp_ns, np.asarray(frame.positions[row], dtype=float), seen[row])
            before = person.previous
            if before is not None and now[0] <= before[0]:
                if before[0] - now[0] > self._max_gap_ns:  # the stream starts again (a looped bag)
                    person.previous, person.pending = now, []
                continue
            person.previous = now
            due = [p for p in person.pending if p[0] <= now[0]]
            if not due:
                continue
            person.pending = [p for p in person.pending if p[0] > now[0]]
            if before is None or now[0] - before[0] > self._max_gap_ns:
                continue
            both = before[2] & now[2]
            if not both.any():
                continue
            for target_ns, index, poses in due:
                if target_ns < before[0]:
                    continue
                weight = (target_ns - before[0]) / (now[0] - before[0])
                truth = (1.0 - weight) * before[1][both] + weight * now[1][both]
                self._sum[index] += np.linalg.norm(poses[:, both] - truth, axis=-1).mean(axis=-1)
                self._count[index] += 1

    def verdict(self) -> Verdict:
        """What was found so far; horizons without a sample are left out."""
        mpjpe_mm: dict[str, dict[str, float]] = {}
        samples: dict[str, int] = {}
        for index, horizon_s in enumerate(self.horizons_s):
            if self._count[index]:
                mean = 1000.0 * self._sum[index] / self._count[index]
                key = f"{horizon_s:g}" if horizon_s != round(horizon_s) else f"{horizon_s:.1f}"
                mpjpe_mm[key] = {s: float(v) for s, v in zip(self.sources, mean, strict=True)}
                samples[key] = int(self._count[index])
        return Verdict(mpjpe_mm, samples)


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
    return "\n".join(lines)
