# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Predictions and what was seen later, brought together a block at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.types import SkeletonFrame

#: A prediction that comes so late is still judged.
_LATE_NS = 2 * NS


@dataclass(frozen=True)
class Predicted:
    """N predictions, one of a person at a time each, of K sources, in the fixed frame.

    Attributes:
        person: (N,) index of the person.
        stamp_ns: (N,) int64 origin of the steps.
        age_s: (N,) how much later it was made than what it was made from.
        at_s: (N,) seconds from the start of the recording, not moved by clocks that are set.
        judged: (N,) bool: TRACKING or DEGRADED, so that its error counts; the others only hold a pose.
        state: (N,) `TrackState`.
        future: (N, K, steps, J, 3) float32 metres, the first source as published; NaN where a source says nothing.
        present: (N, J, 3) float32 the newest pose, gaps filled.
        asked: (N, J) bool: seen in the newest observation (not guessed by the tracker).
        speed_mps: (N,) mean speed of the joints over the last steps.
        radius: (N, steps, J) float32 published bound, NaN where there is none.
        body_radius: (N, steps, J) simultaneous bound, NaN where there is none.
        basis: (N,) index of what kind of bound, -1: none.
        level: (N,) its nominal coverage, NaN where it has none.
        body_level: (N,) the same of the simultaneous bound.
        scale: (N, steps, J, 3) one sigma per axis, NaN where there is none.
        at_levels: (N, L, steps, J) float32 radii of the model's table at each of its levels, without adaptation; NaN
            where the table does not apply.
        body_at_levels: (N, L, steps, J) float32 the same of the simultaneous bound.
        stood: (N,) bool: who stood in the older part of the window (`aux_motion_core.bounds.onset`).
    """

    person: np.ndarray
    stamp_ns: np.ndarray
    age_s: np.ndarray
    at_s: np.ndarray
    judged: np.ndarray
    state: np.ndarray
    future: np.ndarray
    present: np.ndarray
    asked: np.ndarray
    speed_mps: np.ndarray
    radius: np.ndarray
    body_radius: np.ndarray
    basis: np.ndarray
    level: np.ndarray
    body_level: np.ndarray
    scale: np.ndarray
    at_levels: np.ndarray
    body_at_levels: np.ndarray
    stood: np.ndarray

    def __len__(self) -> int:
        return len(self.stamp_ns)

    def rows(self, index: np.ndarray | slice) -> Predicted:
        """Those rows."""
        return Predicted(*(getattr(self, f.name)[index] for f in fields(self)))


def concatenate(parts: Iterable[Predicted]) -> Predicted:
    """One block of several, at least one."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    return Predicted(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Predicted)))


@dataclass(frozen=True)
class Outcomes:
    """N predictions with what was seen H horizons later.

    Attributes:
        predicted: the predictions.
        horizons_s: (H,).
        step: (N, H) where the horizons are on the grid of the prediction, 0-based and in between.
        known: (N, H) bool: the recording goes on to that time.
        seen: (N, H, J) bool: the joint was observed just before and just after that time.
        truth: (N, H, J, 3) float32 metres, 0 where not seen.
        error_m: (N, K, H, J) float32 distance of each source's joint from the truth, NaN where not seen.
        step_error_m: (N, S, J) float32 the same of the first source at every step of its grid up to the last horizon,
            counted from its stamp.
    """

    predicted: Predicted
    horizons_s: np.ndarray
    step: np.ndarray
    known: np.ndarray
    seen: np.ndarray
    truth: np.ndarray
    error_m: np.ndarray
    step_error_m: np.ndarray

    def rows(self, index: np.ndarray | slice) -> Outcomes:
        """Those rows; of increasing indices of all of them nothing is copied."""
        if isinstance(index, np.ndarray) and index.dtype != bool and len(index) == len(self.predicted):
            index = slice(None) if (np.diff(index) > 0).all() else index
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        predicted, horizons_s = parts.pop("predicted"), parts.pop("horizons_s")
        return Outcomes(predicted.rows(index), horizons_s, **{k: v[index] for k, v in parts.items()})

    def at_horizons(self, values: np.ndarray, axis: int = 1) -> np.ndarray:
        """(N, ..., steps, ...) values of the prediction, steps along `axis`, brought to the horizons."""
        return at_steps(values, self.step, axis)


def at_steps(values: np.ndarray, step: np.ndarray, axis: int) -> np.ndarray:
    """Values between the steps of a grid, by linear interpolation.

    Args:
        values: (N, ..., steps, ...), steps along `axis`, which is 1 or 2.
        step: (N, H) 0-based; what lies outside the grid is taken at its end.
        axis: which axis holds the steps.

    Returns:
        The same with H in the place of the steps.
    """
    steps = values.shape[axis]
    step = np.clip(step, 0.0, steps - 1)
    low = np.floor(step + 1e-6).astype(int)
    weight = (step - low).astype(values.dtype)
    same = (step == step[:1]).all()

    def take(index: np.ndarray) -> np.ndarray:
        if same:
            return np.take(values, index[0], axis)
        row = np.arange(len(values))[:, None]
        # index arrays with a slice between them put (N, H) first
        return values[row, index] if axis == 1 else np.moveaxis(values[row, :, index], 1, 2)

    found = take(low)
    if len(step) and (weight > 1e-6).any():
        shape = [len(step) if i == 0 else step.shape[1] if i == axis else 1 for i in range(values.ndim)]
        found = found + weight.reshape(shape) * (take(np.minimum(low + 1, steps - 1)) - found)
    return found


def seen_joints(frame: SkeletonFrame) -> np.ndarray:
    """(P, J) bool: finite and observed or derived, not guessed by the tracker."""
    status = np.asarray(frame.status)
    seen = (status == JointStatus.OBSERVED) | (status == JointStatus.DERIVED)
    return seen & np.isfinite(frame.positions).all(-1)


class _Truth:
    """What the tracker saw of one person, oldest first, in buffers that are trimmed."""

    def __init__(self) -> None:
        self.stamps: list[int] = []
        self.positions: list[np.ndarray] = []
        self.seen: list[np.ndarray] = []

    def trim(self, before_ns: int) -> None:
        """Forget what is older, but for one frame."""
        n = int(np.searchsorted(self.stamps, before_ns)) - 1
        if n > 0:
            del self.stamps[:n], self.positions[:n], self.seen[:n]


class Court:
    """Keeps predictions until their time has come and compares them with the frames around it.

    The truth at a time is interpolated between the frame before and the frame after it, for joints observed in both.

    Args:
        horizons_s: seconds after the stamp, increasing.
        dt_s: of the predictions' steps.
        max_gap_s: frames farther apart say nothing about the time between them.
        from_arrival: horizons begin when a prediction was made, not at its stamp: what who uses it at once gets.
    """

    def __init__(
        self, horizons_s: np.ndarray, dt_s: float, max_gap_s: float = 0.25, from_arrival: bool = False
    ) -> None:
        self._from_arrival = from_arrival
        self.horizons_s, self.dt_s = np.asarray(horizons_s, float), dt_s
        self._ahead_ns = np.round(self.horizons_s * NS).astype(np.int64)
        self._max_gap_ns = round(max_gap_s * NS)
        self._truth: dict[int, _Truth] = {}
        self._waiting: list[Predicted] = []
        self._newest_ns: int | None = None

    def observe(self, frame: SkeletonFrame, people: list[int]) -> list[Outcomes]:
        """Take a frame as truth.

        Args:
            frame: in the frame of the predictions; stamps that do not advance are left out.
            people: (P,) index of each person.

        Returns:
            Outcomes of everything before, where the stamps jumped back by more than the gap; else nothing.
        """
        stamp_ns = frame.stamp_ns
        done = self.close() if self.goes_back(stamp_ns) else []
        if self._newest_ns is None or stamp_ns > self._newest_ns:
            self._newest_ns = stamp_ns
        if people:
            seen = seen_joints(frame)
            positions = np.asarray(frame.positions)
            for row, person in enumerate(people):
                truth = self._truth.get(person)
                if truth is None:
                    truth = self._truth[person] = _Truth()
                if not truth.stamps or stamp_ns > truth.stamps[-1]:
                    truth.stamps.append(stamp_ns)
                    truth.positions.append(positions[row])
                    truth.seen.append(seen[row])
        return done

    def goes_back(self, stamp_ns: int) -> bool:
        """Whether a frame of that stamp would end what is under way."""
        return self._newest_ns is not None and stamp_ns < self._newest_ns - self._max_gap_ns

    def take(self, predicted: Predicted) -> None:
        """Keep predictions to be judged."""
        if len(predicted):
            self._waiting.append(predicted)

    def judge(self) -> list[Outcomes]:
        """Outcomes of what can be judged by now: the time of the last horizon, and a gap more, has passed."""
        if not self._waiting or self._newest_ns is None:
            return []
        waiting = concatenate(self._waiting)
        ripe = waiting.stamp_ns + (self._ahead_ns[-1] + self._max_gap_ns) <= self._newest_ns
        first: np.ndarray | slice = ripe
        rest: np.ndarray | slice = ~ripe
        if ripe[: (n := int(ripe.sum()))].all():  # as nearly always: nothing to copy
            first, rest = slice(n), slice(n, None)
        self._waiting = [waiting.rows(rest)] if not ripe.all() else []
        since_ns = self._waiting[0].stamp_ns.min() if self._waiting else self._newest_ns
        done = [self._compare(waiting.rows(first))] if ripe.any() else []
        needed_ns = int(since_ns) - self._max_gap_ns - _LATE_NS
        for person in [p for p, t in self._truth.items() if t.stamps[-1] < needed_ns]:
            del self._truth[person]
        for truth in self._truth.values():
            truth.trim(needed_ns)
        return done

    def close(self) -> list[Outcomes]:
        """Outcomes of all that is left; what was predicted for after the end is not known."""
        done = [self._compare(concatenate(self._waiting))] if self._waiting and self._newest_ns is not None else []
        self._waiting, self._newest_ns = [], None
        self._truth.clear()
        return done

    def _compare(self, predicted: Predicted) -> Outcomes:
        n, h = len(predicted), len(self.horizons_s)
        ahead_ns = np.broadcast_to(self._ahead_ns, (n, h))
        if self._from_arrival:
            ahead_ns = ahead_ns + np.round(predicted.age_s * NS).astype(np.int64)[:, None]
        step = ahead_ns / (self.dt_s * NS) - 1.0
        within = step <= predicted.future.shape[2] - 1 + 1e-6
        target_ns = predicted.stamp_ns[:, None] + ahead_ns
        truth, seen = self._truth_at(predicted.person, target_ns, within)
        poses = at_steps(predicted.future, step, axis=2)  # (N, K, H, J, 3)
        away = poses - truth[:, None]
        error = np.sqrt(np.einsum("nkhjc,nkhjc->nkhj", away, away))
        error = np.where(seen[:, None], error, np.float32(np.nan))
        known = (target_ns <= (self._newest_ns or 0)) & within
        every = self._error_at_every_step(predicted)
        return Outcomes(predicted, self.horizons_s, step, known, seen, truth, error, every)

    def _error_at_every_step(self, predicted: Predicted) -> np.ndarray:
        steps = min(predicted.future.shape[2], int(self.horizons_s[-1] / self.dt_s + 1e-6))
        ahead_ns = np.round(self.dt_s * NS * np.arange(1, steps + 1)).astype(np.int64)
        target_ns = predicted.stamp_ns[:, None] + ahead_ns
        truth, seen = self._truth_at(predicted.person, target_ns, np.ones(target_ns.shape, bool))
        away = predicted.future[:, 0, :steps] - truth
        error = np.sqrt(np.einsum("nsjc,nsjc->nsj", away, away))
        return np.where(seen, error, np.float32(np.nan))

    def _truth_at(self, people: np.ndarray, target_ns: np.ndarray, within: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What was seen of people at some times.

        Args:
            people: (N,) indices.
            target_ns: (N, H) times.
            within: (N, H) bool, the times that are asked for.

        Returns:
            (N, H, J, 3) float32 metres, 0 where not seen, and (N, H, J) bool, where it was seen.
        """
        n, h = target_ns.shape
        truth = np.zeros((n, h, N_JOINTS, 3), np.float32)
        seen = np.zeros((n, h, N_JOINTS), bool)
        for person in np.unique(people):
            if (found := self._truth.get(int(person))) is None or len(found.stamps) < 2:
                continue
            rows = np.flatnonzero(people == person)
            stamps = np.array(found.stamps)
            positions, visible = np.stack(found.positions), np.stack(found.seen)
            times = target_ns[rows]
            after = np.searchsorted(stamps, times)
            inside = (after > 0) & (after < len(stamps)) & within[rows]
            after = np.clip(after, 1, len(stamps) - 1)
            before = after - 1
            gap_ns = stamps[after] - stamps[before]
            good = inside & (gap_ns <= self._max_gap_ns)
            both = visible[before] & visible[after] & good[..., None]
            weight = np.where(good, (times - stamps[before]) / gap_ns, 0.0)[..., None, None]
            a, b = positions[before], positions[after]
            where = np.where(both[..., None], (1.0 - weight) * a + weight * b, 0.0)
            truth[rows], seen[rows] = where, both
        return truth, seen
