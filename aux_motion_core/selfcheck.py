# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Past predictions against what was then observed, while the predictor runs.

Everything of all people is in arrays with one row a person, so that a frame costs a fixed number of numpy calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

from aux_motion_core.arrays import lengths, some
from aux_motion_core.bounds.adaptation import CAUTIOUS_START, Adaptation
from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import HORIZONS_S, NS
from aux_motion_core.inference.ensemble import Ensemble
from aux_motion_core.inference.interface import Backend
from aux_motion_core.skeleton import N_JOINTS, sighted
from aux_motion_core.types import MIN_OUTCOMES, Fit, FitVerdict

#: Predictions of one person nearer to each other than this are not both judged, seconds.
EVERY_S = 0.03
#: Successive predictions farther apart do not count for the jitter, seconds.
_SUCCESSIVE_S = 0.2
#: Sources before the members of a mix: what is published, and the newest pose held.
_PUBLISHED, _HELD, _OTHERS = 0, 1, 2
#: Nothing more is expected of somebody who was not seen for this time, nanoseconds.
_PATIENCE_NS = 2 * NS
#: A model does not fit when its error is larger than that of holding the pose by this factor and by this much, metres
#: (less is a tracker's noise on people who stand), for this time, seconds.
WORSE_FACTOR, WORSE_M, WORSE_FOR_S = 1.1, 0.01, 3.0
#: Rolling sums: judged outcomes, error, error of holding, joints predicted, joints never seen, updates, jitter.
_N, _ERROR, _HOLDING, _JOINTS, _UNSEEN, _UPDATES, _JITTER, _SUMS = range(8)


def _fit(sums: np.ndarray, weights: np.ndarray | None = None) -> Fit:
    def mean(what: int, of: int) -> np.ndarray:
        return np.where(sums[of] > 1e-6, sums[what] / np.maximum(sums[of], 1e-6), np.nan)

    return Fit(
        error_m=mean(_ERROR, _N),
        holding_error_m=mean(_HOLDING, _N),
        jitter_m=mean(_JITTER, _UPDATES),
        unseen_share=mean(_UNSEEN, _JOINTS),
        outcomes=sums[_N].copy(),
        weights=weights,
    )


class Listener(Protocol):
    """Whoever else learns from outcomes (`aux_motion_core.learning.learner.Learner`)."""

    def start(self, row: int) -> None:
        """A new person has this row."""

    def predicted(self, rows: np.ndarray, at: np.ndarray, radius: np.ndarray | None = None) -> None:
        """Predictions of people (N,) are in these slots (N,), with radii (N, H, J) of the model alone, or None."""

    def outcomes(
        self,
        row: np.ndarray,
        at: np.ndarray,
        horizon: np.ndarray,
        stamp_ns: np.ndarray,
        truth: np.ndarray,
        good: np.ndarray,
    ) -> None:
        """What was seen, truth (K, J, 3) where good (K, J), at horizons of predictions (K,)."""


class SelfCheck:
    """Judges predictions of people by what is observed later.

    A person is any object with an attribute `row`, -1 at the start, which this class sets; set it to -1 to forget
    what is under way for that person.

    Args:
        dt_s: grid spacing of the predictions.
        steps: grid length.
        window_s: time constant of the rolling values: what is so old counts 1/e.
        max_gap_s: observations farther apart say nothing about the time between them.
        mix: told about the errors of its members.
    """

    def __init__(
        self, dt_s: float, steps: int, window_s: float = 10.0, max_gap_s: float = 0.25, mix: Ensemble | None = None
    ) -> None:
        self.steps = grid_steps(dt_s, steps)
        #: (H,) seconds.
        self.horizons_s = dt_s * (self.steps + 1)
        self.window_s, self.mix = window_s, mix
        self._dt_s, self._length = dt_s, steps
        self._ahead_ns = ahead_ns(dt_s, self.steps)
        self._max_gap_ns = round(max_gap_s * NS)
        #: Whether errors and jitter are measured, for `fit`; nothing else depends on it.
        self.measures = True
        self._sources = _OTHERS + (len(mix.names) if mix else 0)
        self._under_way = int(self.horizons_s[-1] / EVERY_S) + 4
        #: Told about the outcomes of calibrated radii, where it is set.
        self.adaptation: Adaptation | None = None
        #: Told about predictions and outcomes, where it is set.
        self.listener: Listener | None = None
        self._rest: Callable[[], None] | None = None
        self._all = np.zeros((_SUMS, len(self.steps)))
        self._all_ns = 0
        self._worse_since_ns: int | None = None
        self._owner: list[Any] = []
        self._rows: dict[str, np.ndarray] = {}
        self._grow(32)  # growing later would copy them all

    @property
    def under_way(self) -> int:
        """Predictions kept of each person until they are judged."""
        return self._under_way

    def _grow(self, more: int) -> None:
        h, r = len(self.steps), self._under_way
        new: dict[str, np.ndarray] = {
            "stamp": np.zeros((more, r), np.int64),
            "pose": np.zeros((more, r, self._sources, h, N_JOINTS, 3), np.float32),
            "joints": np.zeros((more, r, N_JOINTS), bool),
            "open": np.zeros((more, r, h), bool),
            "next": np.zeros(more, np.int64),
            "taken": np.zeros(more, np.int64),
            "last": np.zeros((more, self._length, N_JOINTS, 3), np.float32),
            "last_ns": np.zeros(more, np.int64),
            "seen": np.zeros((more, N_JOINTS), bool),
            "seen_pose": np.zeros((more, N_JOINTS, 3), np.float32),
            "seen_ns": np.zeros(more, np.int64),
            "sums": np.zeros((more, _SUMS, h)),
        }
        for array in new.values():
            array.fill(0)  # touched now, so that no page is new to the kernel while people are predicted
        self._rows = {k: np.concatenate([self._rows[k], v]) if self._rows else v for k, v in new.items()}
        self._owner += [None] * more

    def reset(self) -> None:
        """Forget everybody and everything."""
        self._rest = None
        self.keep(())
        self._all[:] = 0.0
        self._all_ns, self._worse_since_ns = 0, None

    def keep(self, people: Any) -> None:
        """Free the rows of all but these."""
        alive = {p.row for p in people}
        for row, owner in enumerate(self._owner):
            if owner is not None and row not in alive:
                self.finish()
                self._owner[row] = None

    def _gone(self, now_ns: int) -> np.ndarray:
        """(rows,) bool: whoever has that row was not seen for so long that nothing more is expected."""
        gone: np.ndarray = now_ns - self._rows["seen_ns"] > _PATIENCE_NS
        return gone

    def rows_in_use(self) -> np.ndarray:
        """(N,) rows of the people who are followed now."""
        return np.array([row for row, owner in enumerate(self._owner) if owner is not None], np.intp)

    def rows_of(self, people: list[Any]) -> np.ndarray:
        """(N,) rows of these people; new ones get one."""
        for person in people:
            if person.row < 0:
                if None not in self._owner:
                    self._grow(len(self._owner))
                person.row = row = self._owner.index(None)
                self._owner[row] = person
                for name in ("open", "taken", "last_ns", "seen_ns", "sums"):
                    self._rows[name][row] = 0
                if self.mix:
                    self.mix.start(row)
                if self.adaptation:
                    self.adaptation.start(row)
                if self.listener:
                    self.listener.start(row)
        return np.array([p.row for p in people], np.intp)

    def observe(
        self, people: list[Any], stamp_ns: int, positions: np.ndarray, status: np.ndarray, adapt: bool = True
    ) -> None:
        """Judge what was predicted for the time up to now. Each person's stamp is newer than any before.

        Radii adapt at once; everything else that outcomes tell is left for `finish`: first somebody may predict.

        Args:
            people: N of them.
            stamp_ns: of the observation.
            positions: (N, J, 3) metres in the frame of the predictions.
            status: (N, J) `JointStatus`; what the tracker guessed is no sight.
            adapt: radii of the next prediction depend on it; else that is left, too.
        """
        self.finish()
        rows, a = self.rows_of(people), self._rows
        before_ns = a["seen_ns"][rows]
        seen = sighted(status)
        positions = positions.astype(np.float32)
        judge: Callable[[], None] | None = None
        due = a["open"][rows]
        due &= a["stamp"][rows][..., None] <= stamp_ns - self._ahead_ns
        who, what, horizon = due.nonzero()
        if len(who):
            row = rows[who]
            a["open"][row, what, horizon] = False
            gap_ns = stamp_ns - before_ns[who]
            back_ns = stamp_ns - a["stamp"][row, what] - self._ahead_ns[horizon]
            f = (back_ns / np.maximum(gap_ns, 1)).astype(np.float32)[:, None, None]
            now = positions.take(who, 0)
            truth = a["seen_pose"].take(row, 0)
            truth -= now
            truth *= f
            truth += now
            good = a["seen"].take(row, 0)
            good &= seen.take(who, 0)
            good &= ((gap_ns <= self._max_gap_ns) & (back_ns < gap_ns))[:, None]
            judge = self._judge(row, what, horizon, truth, good, adapt)
        a["seen"][rows], a["seen_pose"][rows], a["seen_ns"][rows] = seen, positions, stamp_ns

        def rest() -> None:
            if self.measures:
                self._age(rows, before_ns, stamp_ns)
            if judge is not None:
                judge()

        self._rest = rest

    def finish(self) -> None:
        """Do what the last `observe` left; everything that depends on it does it first."""
        rest, self._rest = self._rest, None
        if rest is not None:
            rest()

    def _judge(
        self, row: np.ndarray, what: np.ndarray, horizon: np.ndarray, truth: np.ndarray, good: np.ndarray, adapt: bool
    ) -> Callable[[], None]:
        """Adapt radii; the rest is done by what is returned."""
        a = self._rows
        stamp_ns = a["stamp"][row, what] + self._ahead_ns[horizon]

        learn: Callable[[], None] | None = None
        if self.adaptation:
            error_m = lengths(a["pose"][row, what, _PUBLISHED, horizon] - truth)
            presses = adapt and self.adaptation.presses(row, what, horizon, error_m, good)
            had = a["joints"][row, what]
            learn = partial(self.adaptation.learn, row, what, horizon, stamp_ns, error_m, good, had)
            if presses:
                learn()
                learn = None

        def rest() -> None:
            if self.listener:
                self.listener.outcomes(row, what, horizon, stamp_ns, truth, good)
            if learn is not None:
                learn()
            if not self.measures and not self.mix:
                return
            away = a["pose"][row, what, :, horizon] - truth[:, None]
            error = lengths(away)
            n = good.sum(1)
            error = (error * good[:, None]).sum(-1) / np.maximum(n, 1)[:, None]  # (K, sources)
            judged = n > 0
            had = a["joints"][row, what]
            new = np.zeros((len(row), _SUMS))
            new[:, _N] = judged
            new[:, _ERROR], new[:, _HOLDING] = error[:, _PUBLISHED] * judged, error[:, _HELD] * judged
            new[:, _JOINTS], new[:, _UNSEEN] = had.sum(1), (had & ~good).sum(1)
            self._add(row, horizon, new)
            if self.mix and judged.any():
                self.mix.learn(row[judged], horizon[judged], error[judged, _OTHERS:])

        return rest

    def _add(self, row: np.ndarray, horizon: np.ndarray, new: np.ndarray) -> None:
        every = np.arange(new.shape[1])
        np.add.at(self._rows["sums"], (row[:, None], every, horizon[:, None]), new)
        np.add.at(self._all, (every, horizon[:, None]), new)

    def _age(self, rows: np.ndarray, before_ns: np.ndarray, stamp_ns: int) -> None:
        """What was summed so far counts less."""
        passed_s = np.where(before_ns > 0, np.maximum(stamp_ns - before_ns, 0), 0) / NS
        self._rows["sums"][rows] *= np.exp(-passed_s / self.window_s)[:, None, None]
        since_s = (stamp_ns - self._all_ns) / NS
        if since_s > 0.0 and self._all_ns:
            self._all *= np.exp(-since_s / self.window_s)
        if since_s > 0.0 or since_s < -1.0:  # the clock went back
            self._all_ns = stamp_ns

    def predicted(
        self,
        people: list[Any],
        stamp_ns: np.ndarray,
        future: np.ndarray,
        pose: np.ndarray,
        joints: np.ndarray,
        members: np.ndarray | None = None,
        radii: tuple[np.ndarray | None, ...] | None = None,
        bare: np.ndarray | None = None,
    ) -> None:
        """Take predictions to be judged later.

        Args:
            people: N of them.
            stamp_ns: (N,) int64, origin of each prediction.
            future: (N, steps, J, 3) as published.
            pose: (N, J, 3), the newest, which holding repeats.
            joints: (N, J) bool, seen at the stamp.
            members: (N, members, H, J, 3) of the mix, at `steps`.
            radii: for `Adaptation.predicted`: offline, published, body, published body, each (N, steps, J) or None.
            bare: (N, steps, J) radii of the model's own mean by the table alone, for the listener, or None.
        """
        self.finish()
        rows, a = self.rows_of(people), self._rows
        future = future.astype(np.float32)
        if self.measures:
            self._jitter(rows, stamp_ns, future)
            a["last"][rows], a["last_ns"][rows] = future, stamp_ns
        fresh = stamp_ns - a["taken"][rows] >= EVERY_S * NS
        if not fresh.all():
            rows, stamp_ns, future, pose, joints = (x[fresh] for x in (rows, stamp_ns, future, pose, joints))
            members = None if members is None else members[fresh]
            radii = None if radii is None else tuple(None if x is None else x[fresh] for x in radii)
            bare = None if bare is None else bare[fresh]
        at = a["next"][rows]
        a["next"][rows] = (at + 1) % self._under_way
        a["taken"][rows] = a["stamp"][rows, at] = stamp_ns
        a["open"][rows, at], a["joints"][rows, at] = True, joints
        a["pose"][rows, at, _PUBLISHED] = future[:, self.steps]
        a["pose"][rows, at, _HELD] = pose[:, None]
        if members is not None:
            a["pose"][rows, at, _OTHERS:] = members
        if self.adaptation:
            nothing = np.full((len(rows), self._length, N_JOINTS), np.nan)
            self.adaptation.predicted(rows, at, *(radii or (nothing, nothing, None, None)))
        if self.listener:
            self.listener.predicted(rows, at, None if bare is None else bare[:, self.steps])

    def _jitter(self, rows: np.ndarray, stamp_ns: np.ndarray, future: np.ndarray) -> None:
        passed_s = (stamp_ns - self._rows["last_ns"][rows]) / NS
        step = self.steps - passed_s[:, None] / self._dt_s  # on the new grid, where the old one has its horizons
        known = (passed_s > 0.0)[:, None] & (passed_s < _SUCCESSIVE_S)[:, None] & (step >= 0.0)
        if not known.any():
            return
        low = np.minimum(np.maximum(step.astype(np.intp), 0), max(self._length - 2, 0))
        f = np.minimum(np.maximum(step - low, 0.0), 1.0).astype(np.float32)[..., None, None]
        n = np.arange(len(rows))[:, None]
        changed = future[n, low]
        changed += f * (future[n, np.minimum(low + 1, self._length - 1)] - changed)
        away = changed - self._rows["last"][rows][:, self.steps]
        jitter = lengths(away).mean(-1)
        who, horizon = np.nonzero(known)
        new = np.zeros((len(who), _SUMS))
        new[:, _UPDATES], new[:, _JITTER] = 1.0, jitter[who, horizon]
        self._add(rows[who], horizon, new)

    def sweep(self, now_ns: int) -> None:
        """What was predicted for people who are not seen any more counts as never seen."""
        a = self._rows
        gone = self._gone(now_ns)
        if not some(gone) or not (gone & a["open"].any((1, 2))).any():
            return
        self.finish()
        late = a["stamp"][..., None] + self._ahead_ns <= now_ns - _PATIENCE_NS
        row, what, horizon = np.nonzero(a["open"] & late & gone[:, None, None])
        a["open"][row, what, horizon] = False
        new = np.zeros((len(row), _SUMS))
        new[:, _JOINTS] = new[:, _UNSEEN] = a["joints"][row, what].sum(1)
        self._add(row, horizon, new)

    def verdict(self, now_ns: int) -> FitVerdict:
        """Whether the model fits; asked about once a second, since it must be worse for a while.

        Args:
            now_ns: the present.
        """
        overall = self.fit()
        enough = (overall.outcomes >= MIN_OUTCOMES) & np.isfinite(overall.error_m)
        if not enough.any():
            self._worse_since_ns = None
            return FitVerdict.UNKNOWN
        limit = WORSE_FACTOR * overall.holding_error_m + WORSE_M
        if not (overall.error_m > limit)[enough].any():
            self._worse_since_ns = None
            return FitVerdict.FITS
        if self._worse_since_ns is None or now_ns < self._worse_since_ns:
            self._worse_since_ns = now_ns
        return FitVerdict.DOES_NOT_FIT if now_ns - self._worse_since_ns >= WORSE_FOR_S * NS else FitVerdict.FITS

    def fit(self, person: Any = None) -> Fit:
        """How predictions fitted lately: of a person, or of all together (also of those who left)."""
        self.finish()
        if person is None:
            return _fit(self._all)
        weights = self.mix.weights[person.row].copy() if self.mix and person.row >= 0 else None
        return _fit(self._rows["sums"][person.row] if person.row >= 0 else np.zeros_like(self._all), weights)


def grid_steps(dt_s: float, steps: int) -> np.ndarray:
    """Index of each of `HORIZONS_S` on a grid, as far as it goes; the last step where it is shorter than all."""
    index = np.round(np.array(HORIZONS_S) / dt_s).astype(int) - 1
    index = index[(index >= 0) & (index < steps)]
    return index if len(index) else np.array([steps - 1])


def ahead_ns(dt_s: float, steps: np.ndarray) -> np.ndarray:
    """(H,) int64 nanoseconds from a prediction's stamp to steps of its grid."""
    ahead: np.ndarray = np.round(dt_s * (steps + 1) * NS).astype(np.int64)
    return ahead


def self_check_for(backend: Backend, config: PredictorConfig, calibrated: bool) -> SelfCheck | None:
    """The self-check that a configuration asks for; None: none.

    Args:
        backend: whose predictions are judged.
        config: what for: its own report, an ensemble, adapted radii.
        calibrated: whether there are radii to adapt.
    """
    mix = Ensemble(backend, grid_steps(backend.dt_s, backend.future_steps)) if config.mix else None
    adapts = calibrated and config.adaptation != "off"
    if not (config.mix or adapts or config.self_check_s > 0.0 or config.learning == "on"):
        return None
    check = SelfCheck(backend.dt_s, backend.future_steps, config.self_check_s or 10.0, mix=mix)
    if calibrated:
        check.adaptation = Adaptation(
            config.coverage_level,
            check.steps,
            backend.dt_s,
            backend.future_steps,
            check.under_way,
            floor=config.adaptation_floor,
            learn=adapts,
            window_s=config.self_check_s or 10.0,
            start=CAUTIOUS_START if config.learning == "on" else 1.0,
        )
    return check
