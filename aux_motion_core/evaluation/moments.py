# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A stretch of a recording, or of what is heard now, kept to be looked at: moment by moment, with what came of each."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.evaluation.errors import mean_of_seen
from aux_motion_core.evaluation.outcomes import Outcomes, Predicted, seen_joints
from aux_motion_core.safety.separation import Separation
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.types import PredictionBatch, SkeletonFrame, TrackState

_JUDGED = (TrackState.TRACKING, TrackState.DEGRADED)


@dataclass(frozen=True)
class ReplayMoment:
    """A message of the tracker and what was made of it.

    Attributes:
        at_s: seconds from the start, by the log.
        frame: what was seen, in the fixed frame.
        batch: what was published.
        separation: what the monitor decided; None: there is none.
        robot: its capsules in the fixed frame, ends (L, 2, 3) and radii (L,) in metres; None: not known.
        robot_trouble: why they are not known, in one line; empty where they are or none was named.
    """

    at_s: float
    frame: SkeletonFrame
    batch: PredictionBatch
    separation: Separation | None = None
    robot: tuple[np.ndarray, np.ndarray] | None = None
    robot_trouble: str = ""


@dataclass(frozen=True)
class SeenLater:
    """What came of one person's prediction, at H horizons and of K sources, the published one first.

    Attributes:
        truth: (H, J, 3) float32 metres, NaN where a joint was not seen.
        poses: (K, H, J, 3) float32 metres: what each source had said.
        error_m: (K, H) mean over the joints seen, NaN where there is none.
        inside: (H,) share of the joints seen that were within their radius, NaN where there is none.
        nominal: coverage that the radius promised, NaN where it promised none.
    """

    truth: np.ndarray
    poses: np.ndarray
    error_m: np.ndarray
    inside: np.ndarray
    nominal: float


@dataclass(frozen=True)
class Curves:
    """One person's errors and coverage over time, at one horizon.

    Attributes:
        at_s: (N,) seconds from the start, when the predictions were made.
        error_mm: source -> (N,), NaN where it is not known.
        inside: (N,) share of joints within their radius, NaN where it is not known.
        nominal: coverage promised by the newest of them, NaN where none was.
    """

    at_s: np.ndarray
    error_mm: dict[str, np.ndarray]
    inside: np.ndarray
    nominal: float


@dataclass
class Moments:
    """Moments in order, and outcomes; one thread may write while another reads.

    Args:
        sources: K names, the published one first.
        horizons_s: (H,) of the outcomes.
    """

    sources: tuple[str, ...] = ()
    horizons_s: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._times: list[float] = []
        self._moments: list[ReplayMoment] = []
        self._outcomes: dict[tuple[str, int], SeenLater] = {}
        self._judged_s = -np.inf

    def __len__(self) -> int:
        return len(self._times)

    @property
    def first_s(self) -> float:
        """Time of the oldest moment; NaN where there is none."""
        with self._lock:
            return self._times[0] if self._times else float("nan")

    @property
    def last_s(self) -> float:
        """Time of the newest moment; NaN where there is none."""
        with self._lock:
            return self._times[-1] if self._times else float("nan")

    @property
    def judged_s(self) -> float:
        """Until when outcomes are there; -inf where there is none."""
        return self._judged_s

    def put(self, moment: ReplayMoment) -> None:
        """Take a moment; one that is not later than the newest takes the place of what follows it."""
        with self._lock:
            if self._times and moment.at_s <= self._times[-1]:
                cut = bisect_left(self._times, moment.at_s)
                del self._times[cut:], self._moments[cut:]
            self._times.append(moment.at_s)
            self._moments.append(moment)

    def judge(self, outcomes: Outcomes, names: dict[int, str]) -> None:
        """Take outcomes; `names` gives each person's id."""
        found = _each(outcomes, names)
        with self._lock:
            self._outcomes.update(found)
            if found and self._moments:
                newest_ns = max(stamp_ns for _, stamp_ns in found)
                stamps = [m.frame.stamp_ns for m in self._moments]
                at = bisect_right(stamps, newest_ns) - 1
                self._judged_s = max(self._judged_s, self._times[max(at, 0)])

    def trim(self, from_s: float) -> None:
        """Forget what is older."""
        with self._lock:
            cut = bisect_left(self._times, from_s)
            for moment in self._moments[:cut]:
                for person in moment.batch.people:
                    self._outcomes.pop((person.person_id, person.stamp_ns), None)
            del self._times[:cut], self._moments[:cut]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._times.clear()
            self._moments.clear()
            self._outcomes.clear()
            self._judged_s = -np.inf

    def at(self, at_s: float) -> ReplayMoment | None:
        """The newest moment at or before a time, else the oldest; None where there is none."""
        with self._lock:
            if not self._moments:
                return None
            return self._moments[max(bisect_right(self._times, at_s + 1e-9) - 1, 0)]

    def beside(self, at_s: float, by: int) -> ReplayMoment | None:
        """The moment so many after (before, where negative) that at a time; at the ends the last (first) one."""
        with self._lock:
            if not self._moments:
                return None
            at = bisect_right(self._times, at_s + 1e-9) - 1 + by
            return self._moments[min(max(at, 0), len(self._moments) - 1)]

    def between(self, from_s: float, to_s: float) -> list[ReplayMoment]:
        """Moments within a time."""
        with self._lock:
            return self._moments[bisect_left(self._times, from_s) : bisect_right(self._times, to_s)]

    def outcome(self, person_id: str, stamp_ns: int) -> SeenLater | None:
        """What came of the prediction that a person had from that observation; None: not known (yet)."""
        with self._lock:
            return self._outcomes.get((person_id, stamp_ns))

    def curves(self, person_id: str, horizon: int, from_s: float, to_s: float) -> Curves:
        """Errors and coverage of one person's predictions.

        Args:
            person_id: whose.
            horizon: index of the horizon.
            from_s: first time.
            to_s: last time.
        """
        times, found = [], []
        for moment in self.between(from_s, to_s):
            stamp_ns = next((p.stamp_ns for p in moment.batch.people if p.person_id == person_id), None)
            outcome = None if stamp_ns is None else self.outcome(person_id, stamp_ns)
            if outcome is not None:
                times.append(moment.at_s)
                found.append(outcome)
        nothing = np.zeros(0)
        error = 1e3 * np.array([o.error_m[:, horizon] for o in found]).T if found else [nothing] * len(self.sources)
        return Curves(
            np.array(times),
            dict(zip(self.sources, error, strict=True)),
            np.array([o.inside[horizon] for o in found]),
            found[-1].nominal if found else float("nan"),
        )


def _each(outcomes: Outcomes, names: dict[int, str]) -> dict[tuple[str, int], SeenLater]:
    """Outcomes by (person id, stamp)."""
    p = outcomes.predicted
    if not len(p):
        return {}
    poses = outcomes.at_horizons(p.future, axis=2).astype(np.float32)
    radius = outcomes.at_horizons(p.radius)
    error = mean_of_seen(outcomes.error_m)
    bounded = outcomes.seen & np.isfinite(radius)
    held = bounded & (outcomes.error_m[:, 0] <= radius)
    count = bounded.sum(-1)
    inside = np.where(count > 0, held.sum(-1) / np.maximum(count, 1), np.nan)
    truth = np.where(outcomes.seen[..., None], outcomes.truth, np.nan).astype(np.float32)
    return {
        (names[int(p.person[row])], int(p.stamp_ns[row])): SeenLater(
            truth[row], poses[row], error[row], inside[row], float(p.level[row])
        )
        for row in np.flatnonzero(p.judged)
    }


def published(batch: PredictionBatch, people: Iterable[int], at_s: float) -> Predicted:
    """What a message says, ready to be judged: the published prediction is the only source.

    Args:
        batch: as it came.
        people: index of each of its people.
        at_s: seconds from the start.
    """
    n, steps = len(batch.people), batch.steps

    def bounds(name: str) -> np.ndarray:
        out = np.full((n, steps, N_JOINTS), np.nan, np.float32)
        for row, person in enumerate(batch.people):
            if (value := getattr(person, name)) is not None:
                out[row] = value
        return out

    some = batch.people
    status = np.array([p.joint_status for p in some], np.uint8).reshape(n, N_JOINTS)
    state = np.array([p.state for p in some], np.uint8)
    mean = np.array([p.mean for p in some], np.float32).reshape(n, 1, steps, N_JOINTS, 3)
    return Predicted(
        person=np.array(list(people), int),
        stamp_ns=np.array([p.stamp_ns for p in some], np.int64),
        age_s=np.array([p.age_s for p in some]),
        at_s=np.full(n, at_s),
        judged=np.isin(state, _JUDGED),
        state=state,
        future=mean,
        present=np.array([p.recovered for p in some], np.float32).reshape(n, N_JOINTS, 3),
        asked=(status == JointStatus.OBSERVED) | (status == JointStatus.DERIVED),
        speed_mps=np.zeros(n),
        radius=bounds("radius"),
        body_radius=bounds("body_radius"),
        basis=np.full(n, -1),
        level=np.array([p.radius_coverage for p in some]),
        body_level=np.array([p.body_coverage for p in some]),
        scale=np.full((n, steps, N_JOINTS, 3), np.nan, np.float32),
        at_levels=np.zeros((n, 0, steps, N_JOINTS), np.float32),
        body_at_levels=np.zeros((n, 0, steps, N_JOINTS), np.float32),
        stood=np.zeros(n, bool),
    )


def visible(frame: SkeletonFrame) -> dict[str, np.ndarray]:
    """Poses (J, 3) of a frame's people, NaN where a joint was not seen."""
    seen = seen_joints(frame)
    positions = np.where(seen[..., None], frame.positions, np.nan)
    return dict(zip(frame.person_ids, positions, strict=True))
