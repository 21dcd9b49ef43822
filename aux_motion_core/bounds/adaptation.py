# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Radii that follow what is seen: wider within seconds where they do not hold, narrower slowly.

Online quantile tracking, as adaptive conformal inference (Gibbs and Candes, NeurIPS 2021) in the form of Angelopoulos,
Candes and Tibshirani (NeurIPS 2023): the logarithm of a factor goes up where an outcome was outside and down where it
was inside, in the ratio of the nominal coverage, so that over time the nominal share is inside. Each person, horizon
and joint has a factor; half of what moves it are the joint's own outcomes, half those of the whole body. Unlike there,
it does not fall below a floor, and never for a joint that is often not seen: what is not seen cannot say that a radius
is too large.

Before anybody's outcomes have told anything, all factors may be kept at a start above 1. It moves by the same rule, by
the outcomes of all people together, and is over for good once it has come down to 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aux_motion_core.arrays import every, some
from aux_motion_core.constants import NS
from aux_motion_core.skeleton import N_JOINTS

#: Change of the logarithm for each second of outcomes that are all outside; chosen on validation recordings with a
#: table half as wide as it should be (`training.studies.style_change --tiers validation --narrow 0.5`).
GAIN_PER_S = 3.0
#: Outcomes farther apart count as so far apart, seconds.
_MOST_S = 0.2
#: Factors do not go beyond.
_HIGHEST = 8.0
#: Factor at the start where learning is on, see `Adaptation`.
CAUTIOUS_START = 2.0
#: A joint seen in fewer of its outcomes is never narrowed; time constant of that share and of the coverage, seconds.
_SEEN_SHARE, _SHARE_S = 0.7, 3.0


class Realised(NamedTuple):
    """How often published radii held lately; NaN where nothing is known.

    Attributes:
        joints: share of joint outcomes within their radius, by horizon (H,).
        body: share of predictions whose whole body was within its radii.
        factor: mean factor on the offline radii, by horizon (H,).
        outcomes: joint outcomes by horizon (H,), older ones counting less.
    """

    joints: np.ndarray
    body: float
    factor: np.ndarray
    outcomes: np.ndarray


class Adaptation:
    """Factors on radii, by row of the self-check.

    Args:
        level: nominal coverage of the marginal radii and of the body radii.
        index: (H,) steps that are judged.
        dt_s: seconds from step to step.
        steps: of a prediction.
        under_way: predictions kept of each person.
        floor: factors do not fall below: 1 is the offline table.
        learn: whether factors change; else outcomes are only counted.
        window_s: time constant of the realised coverage.
        start: marginal factors are at least this until outcomes of this tracker's people say less.
    """

    def __init__(
        self,
        level: float,
        index: np.ndarray,
        dt_s: float,
        steps: int,
        under_way: int,
        floor: float = 1.0,
        learn: bool = True,
        window_s: float = 10.0,
        start: float = 1.0,
    ) -> None:
        self.level, self.learning = level, learn
        self._window_s = window_s
        self._low, self._high = float(np.log(floor)), float(np.log(_HIGHEST))
        self._index, self._under_way = index, under_way
        h = len(index)
        # factors between judged horizons: linear
        at = np.interp(np.arange(steps), index, np.arange(h))
        left = np.minimum(at.astype(int), max(h - 2, 0))
        self._between = np.zeros((steps, h))
        self._between[np.arange(steps), left] = 1.0 - (at - left)
        self._between[np.arange(steps), np.minimum(left + 1, h - 1)] += at - left
        self._raised = False  # whether any factor was ever another than 1
        self._most_start = float(np.log(start))
        #: (H,) logarithms that no factor is below yet; None once all have come down.
        self._start: np.ndarray | None = np.full(h, self._most_start) if learn and start > 1.0 else None
        self._rows: dict[str, np.ndarray] = {}
        self._grow(32)  # growing later would copy them all

    def _grow(self, more: int) -> None:
        h, r = len(self._index), self._under_way
        new: dict[str, np.ndarray] = {
            "log": np.zeros((more, h, N_JOINTS)),
            "body_log": np.zeros(more),
            "seen": np.ones((more, N_JOINTS)),
            "hits": np.zeros((more, h)),
            "tries": np.zeros((more, h)),
            "body_hits": np.zeros(more),
            "body_tries": np.zeros(more),
            "last_ns": np.zeros((more, h), np.int64),
            "offline": np.full((more, r, h, N_JOINTS), np.nan, np.float32),
            "published": np.full((more, r, h, N_JOINTS), np.nan, np.float32),
            "body": np.full((more, r, h, N_JOINTS), np.nan, np.float32),
            "body_published": np.full((more, r, h, N_JOINTS), np.nan, np.float32),
            "outside": np.zeros((more, r, 2), bool),
        }
        self._rows = {k: np.concatenate([self._rows[k], v]) if self._rows else v for k, v in new.items()}

    def start(self, row: int) -> None:
        """A new person has this row."""
        while row >= len(self._rows["log"]):
            self._grow(len(self._rows["log"]))
        for name in ("log", "body_log", "hits", "tries", "body_hits", "body_tries", "last_ns", "outside"):
            self._rows[name][row] = 0
        for name in ("offline", "published", "body", "body_published"):
            self._rows[name][row] = np.nan
        self._rows["seen"][row] = 1.0

    def factors(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of people's radii (N, S, J), and of their body radii (N,)."""
        if not self.moved(rows):
            return np.ones((len(rows), len(self._between), N_JOINTS)), np.ones(len(rows))
        return np.exp(self._between @ self._at_least(self._rows["log"][rows])), np.exp(self._rows["body_log"][rows])

    def _at_least(self, log: np.ndarray) -> np.ndarray:
        """(N, H, J) logarithms of factors, none below the start."""
        return log if self._start is None else np.maximum(log, self._start[:, None])

    def moved(self, rows: np.ndarray) -> bool:
        """Whether any of these people's factors is not 1."""
        if self._start is not None:
            return True
        return self._raised and self.learning and (some(self._rows["log"][rows]) or some(self._rows["body_log"][rows]))

    def predicted(
        self,
        rows: np.ndarray,
        at: np.ndarray,
        offline: np.ndarray | None,
        published: np.ndarray | None,
        body: np.ndarray | None,
        body_published: np.ndarray | None,
    ) -> None:
        """Take the radii of predictions to be judged later.

        Args:
            rows: (N,) of the people; at: (N,) places of the predictions.
            offline: (N, S, J) metres before the factors; published: with what was published; NaN: no calibrated radius.
            body: (N, S, J) the same of the body radii, or None.
            body_published: (N, S, J) or None.
        """
        a, i = self._rows, self._index
        a["offline"][rows, at] = np.nan if offline is None else offline[:, i]
        a["published"][rows, at] = np.nan if published is None else published[:, i]
        a["body"][rows, at] = np.nan if body is None else body[:, i]
        a["body_published"][rows, at] = np.nan if body_published is None else body_published[:, i]
        a["outside"][rows, at] = False

    def presses(
        self, row: np.ndarray, at: np.ndarray, horizon: np.ndarray, error_m: np.ndarray, good: np.ndarray
    ) -> bool:
        """Whether `learn` would change a factor: else it may wait. Where all factors are at the floor and nothing was
        outside, they stay there. Arguments as of `learn`.
        """
        a = self._rows
        if self._start is not None:
            return True
        may = self._low < 0.0 or self._raised
        if may and (some(a["log"][row, horizon] > self._low) or some(a["body_log"][row] > self._low)):
            return True
        limits = np.fmin(a["offline"][row, at, horizon], a["body"][row, at, horizon])  # NaN where neither is
        return some((error_m > limits) & good) or some(a["outside"][row, at])

    def learn(
        self,
        row: np.ndarray,
        at: np.ndarray,
        horizon: np.ndarray,
        stamp_ns: np.ndarray,
        error_m: np.ndarray,
        good: np.ndarray,
        had: np.ndarray,
    ) -> None:
        """Outcomes of K predictions at one horizon each.

        Args:
            row: (K,), at: (K,), horizon: (K,) which prediction and which of its horizons.
            stamp_ns: (K,) of the outcomes.
            error_m: (K, J) metres; good: (K, J) bool, seen; had: (K, J) bool, seen when it was predicted.
        """
        a = self._rows
        published = a["published"][row, at, horizon]
        told = good & (published == published)  # not NaN
        of = told.any(1)
        if not every(of):
            if not some(of):
                return
            row, at, horizon, stamp_ns = row[of], at[of], horizon[of], stamp_ns[of]
            error_m, had, told, published = error_m[of], had[of], told[of], published[of]
        passed_s = np.minimum(np.maximum((stamp_ns - a["last_ns"][row, horizon]) / NS, 0.0), _MOST_S)
        a["last_ns"][row, horizon] = stamp_ns

        n = told.sum(1)
        hits = ((error_m <= published) & told).sum(1)
        keep = np.exp(-passed_s / self._window_s)
        for name, new in (("hits", hits), ("tries", n)):
            a[name][row, horizon] = a[name][row, horizon] * keep + new

        offline, before = a["offline"][row, at, horizon], a["log"][row, horizon]
        if self._start is not None:
            missed = told & (error_m > offline * np.exp(self._start[horizon])[:, None])
            self._lower_start(self._start, horizon, passed_s, missed, n)
        fade = np.exp(-passed_s / _SHARE_S)[:, None]
        seen = a["seen"][row]
        seen = a["seen"][row] = np.where(had, fade * seen + (1.0 - fade) * told, seen)
        at_floor = self._low == 0.0 and not some(before)
        miss = told & (error_m > (offline if at_floor else offline * np.exp(before)))
        if not at_floor or some(miss):  # else factors stay at the floor
            pooled = (miss.sum(1) / n)[:, None]
            own = np.where(told, miss, pooled)
            push = 0.5 * own + 0.5 * pooled - (1.0 - self.level)
            push = np.where((push < 0.0) & (~told | (seen < _SEEN_SHARE)), 0.0, push)
            log = before + (GAIN_PER_S * passed_s)[:, None] * push
            log = a["log"][row, horizon] = np.minimum(np.maximum(log, self._low), self._high)
            self._raised = self._raised or some(log)
        self._learn_body(row, at, horizon, passed_s, error_m, told)

    def _lower_start(
        self, start: np.ndarray, horizon: np.ndarray, passed_s: np.ndarray, miss: np.ndarray, n: np.ndarray
    ) -> None:
        """Outcomes of K predictions move the start: miss (K, J), of n (K,) joints."""
        push = GAIN_PER_S * passed_s * (miss.sum(1) / n - (1.0 - self.level))
        people = np.maximum(np.bincount(horizon, minlength=len(start)), 1)
        start += np.bincount(horizon, weights=push, minlength=len(start)) / people
        np.clip(start, 0.0, self._most_start, out=start)
        if not some(start):
            self._start = None

    def _learn_body(
        self,
        row: np.ndarray,
        at: np.ndarray,
        horizon: np.ndarray,
        passed_s: np.ndarray,
        error_m: np.ndarray,
        told: np.ndarray,
    ) -> None:
        a = self._rows
        body, published = a["body"][row, at, horizon], a["body_published"][row, at, horizon]
        has = (body == body).any(1)  # not NaN
        if not has.any():
            return
        limit = body * np.exp(a["body_log"][row])[:, None] if self._raised else body
        outside, beyond = (told & (error_m > limit)).any(1), (told & (error_m > published)).any(1)
        if outside.any() or beyond.any():
            np.logical_or.at(a["outside"], (row, at), np.stack([outside, beyond], 1))
        # judged when its last horizon is
        last = (horizon == len(self._index) - 1) & has
        if not last.any():
            return
        row, at, passed_s = row[last], at[last], passed_s[last]
        outside = a["outside"][row, at]
        keep = np.exp(-passed_s / self._window_s)
        a["body_hits"][row] = a["body_hits"][row] * keep + ~outside[:, 1]
        a["body_tries"][row] = a["body_tries"][row] * keep + 1.0
        if self._low == 0.0 and not some(outside[:, 0]) and not some(a["body_log"][row]):
            return  # stays at the floor
        push = outside[:, 0] - (1.0 - self.level)
        often = a["seen"][row].mean(1) >= _SEEN_SHARE
        push = np.where((push < 0.0) & ~often, 0.0, push)
        log = a["body_log"][row] + GAIN_PER_S * passed_s * push
        log = a["body_log"][row] = np.minimum(np.maximum(log, self._low), self._high)
        self._raised = self._raised or some(log)

    def realised(self, rows: np.ndarray | None = None) -> Realised:
        """Of people by row, or of all that have one."""
        a = self._rows
        pick = slice(None) if rows is None else rows
        tries, body = a["tries"][pick].sum(0), float(a["body_tries"][pick].sum())
        tried = tries > 1e-6
        alive = a["tries"][pick].sum(1) > 0.0
        log = self._at_least(a["log"][pick][alive]) if self.learning else np.zeros((0, len(self._index), N_JOINTS))
        return Realised(
            joints=np.where(tried, a["hits"][pick].sum(0) / np.maximum(tries, 1e-6), np.nan),
            body=float(a["body_hits"][pick].sum()) / body if body > 1e-6 else float("nan"),
            factor=np.exp(log).mean((0, 2)) if len(log) else np.ones(len(self._index)),
            outcomes=tries.copy(),
        )
