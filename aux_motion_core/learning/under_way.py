# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Predictions that are not judged yet, and what they become: outcomes of each horizon, and whole samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.history.normalise import Heading, into_frame
from aux_motion_core.learning.evidence import GROUPS
from aux_motion_core.learning.features import N_INPUTS
from aux_motion_core.skeleton import N_JOINTS

#: Predictions of one person nearer to each other than this are not both judged, seconds.
EVERY_S = 0.07
#: Outcomes farther apart count as so far apart, seconds.
_MOST_S = 0.2
#: An outcome farther from what was predicted is no motion, metres.
FARTHEST_M = 1.5


class TakenOutcomes(NamedTuple):
    """What was known when people were predicted, H horizons.

    Attributes:
        stamp_ns: (N,) of the newest observations.
        x: (N, inputs).
        corrections: (N, 2, H, J, 3) metres, slow and fast, in the normalised frame.
        published: (N, H, J, 3) metres, what entered or would have.
        shipped: (N, H, J, 3) metres, the network's answers.
        seen: (N, J) bool, seen at the prediction.
        motion: (N, G) how much parts of the body move, see `evidence.motions`.
        heading: what normalisation took out.
    """

    stamp_ns: np.ndarray
    x: np.ndarray
    corrections: np.ndarray
    published: np.ndarray
    shipped: np.ndarray
    seen: np.ndarray
    motion: np.ndarray
    heading: Heading


class LearningOutcomes(NamedTuple):
    """K outcomes, each of one prediction at one horizon.

    Attributes:
        row: (K,), generation: (K,) of the people; horizon: (K,).
        passed_s: (K,) since the outcome before of the person and the horizon.
        residual: (K, J, 3) metres from the network's answer to what was seen, in the normalised frame.
        corrections: (K, 2, J, 3), published: (K, J, 3), radius: (K, J) metres (NaN: none), good: (K, J) bool.
        motion: (K, G) of the predictions.
    """

    row: np.ndarray
    generation: np.ndarray
    horizon: np.ndarray
    passed_s: np.ndarray
    residual: np.ndarray
    corrections: np.ndarray
    published: np.ndarray
    radius: np.ndarray
    good: np.ndarray
    motion: np.ndarray


class Samples(NamedTuple):
    """M predictions judged at every horizon.

    Attributes:
        stamp_ns: of the newest outcome.
        x: (M, inputs); residual: (M, H, J, 3) metres; good: (M, J) bool, seen at all horizons; passed_s: (M,).
    """

    stamp_ns: int
    x: np.ndarray
    residual: np.ndarray
    good: np.ndarray
    passed_s: np.ndarray


class UnderWay:
    """Rings of predictions, one a person.

    Args:
        horizons: H of them.
        slots: predictions kept of each person.
    """

    def __init__(self, horizons: int, slots: int) -> None:
        self._h, self._slots = horizons, slots
        self._rows: dict[str, np.ndarray] = {}
        self._grow(16)

    def _grow(self, more: int) -> None:
        h, r = self._h, self._slots
        new = {
            "x": np.zeros((more, r, N_INPUTS), np.float32),
            "corrections": np.zeros((more, r, 2, h, N_JOINTS, 3), np.float32),
            "published": np.zeros((more, r, h, N_JOINTS, 3), np.float32),
            "shipped": np.zeros((more, r, h, N_JOINTS, 3), np.float32),
            "residual": np.zeros((more, r, h, N_JOINTS, 3), np.float32),
            "radius": np.full((more, r, h, N_JOINTS), np.nan, np.float32),
            "good": np.zeros((more, r, h, N_JOINTS), bool),
            "seen": np.zeros((more, r, N_JOINTS), bool),
            "motion": np.zeros((more, r, len(GROUPS)), np.intp),
            "origin": np.zeros((more, r, 3)),
            "yaw": np.zeros((more, r)),
            "open": np.zeros((more, r), bool),
            "taken_ns": np.zeros(more, np.int64),
            "told_ns": np.zeros((more, h), np.int64),
            "generation": np.zeros(more, np.int64),
        }
        self._rows = {k: np.concatenate([self._rows[k], v]) if self._rows else v for k, v in new.items()}

    def start(self, row: int) -> None:
        """A new person has this row."""
        while row >= len(self._rows["open"]):
            self._grow(len(self._rows["open"]))
        a = self._rows
        a["generation"][row] += 1
        a["open"][row], a["taken_ns"][row], a["told_ns"][row] = False, 0, 0

    def generation(self, rows: np.ndarray) -> np.ndarray:
        """(N,) how many people these rows had before."""
        return self._rows["generation"][rows]

    def close(self, rows: np.ndarray) -> None:
        """What was predicted for these people is not judged any more."""
        self._rows["open"][rows] = False

    def close_slots(self, rows: np.ndarray, at: np.ndarray) -> None:
        """What was in these slots is over."""
        self._rows["open"][rows, at] = False

    def due(self, rows: np.ndarray, stamp_ns: np.ndarray) -> np.ndarray:
        """(N,) bool: whose prediction will be judged, since the one before is old enough."""
        passed_ns = stamp_ns - self._rows["taken_ns"][rows]
        return (passed_ns >= EVERY_S * NS) | (passed_ns < 0)

    def put(
        self, rows: np.ndarray, at: np.ndarray, pick: np.ndarray, t: TakenOutcomes, radius: np.ndarray | None
    ) -> None:
        """Keep predictions to be judged.

        Args:
            rows: (N,) of the people, at: (N,) slots; whatever was there is over.
            pick: (N,) rows of `t`.
            t: what was known.
            radius: (N, H, J) metres around the network's answer, NaN or None where it has none.
        """
        a = self._rows
        fresh = self.due(rows, t.stamp_ns[pick])
        a["open"][rows, at] = fresh
        if not fresh.all():
            rows, at, pick = rows[fresh], at[fresh], pick[fresh]
            radius = None if radius is None else radius[fresh]
        a["taken_ns"][rows] = t.stamp_ns[pick]
        for name in ("x", "corrections", "published", "shipped", "seen", "motion"):
            a[name][rows, at] = getattr(t, name)[pick]
        a["origin"][rows, at], a["yaw"][rows, at] = t.heading.origin[pick], t.heading.yaw[pick]
        a["radius"][rows, at] = np.nan if radius is None else radius
        a["good"][rows, at] = False

    def judge(
        self,
        row: np.ndarray,
        at: np.ndarray,
        horizon: np.ndarray,
        stamp_ns: np.ndarray,
        truth: np.ndarray,
        good: np.ndarray,
    ) -> tuple[LearningOutcomes | None, Samples | None]:
        """What was seen at horizons of predictions, as copies; arguments as of `Learner.outcomes`."""
        a = self._rows
        some = a["open"][row, at]
        if not some.any():
            return None, None
        row, at, horizon, stamp_ns, truth, good = (v[some] for v in (row, at, horizon, stamp_ns, truth, good))
        heading = Heading(a["origin"][row, at], a["yaw"][row, at])
        with np.errstate(invalid="ignore", over="ignore"):
            residual = into_frame(truth.astype(np.float64), heading) - a["shipped"][row, at, horizon]
            good = good & a["seen"][row, at] & (np.abs(residual) < FARTHEST_M).all(-1)  # False for NaN
        residual = np.where(good[..., None], residual, 0.0)
        a["residual"][row, at, horizon], a["good"][row, at, horizon] = residual, good
        passed_s = np.minimum(np.maximum((stamp_ns - a["told_ns"][row, horizon]) / NS, 0.0), _MOST_S)
        a["told_ns"][row, horizon] = stamp_ns
        outcomes = LearningOutcomes(
            row,
            a["generation"][row],
            horizon,
            passed_s,
            residual,
            a["corrections"][row, at, :, horizon],
            a["published"][row, at, horizon],
            a["radius"][row, at, horizon],
            good,
            a["motion"][row, at],
        )
        last = horizon == self._h - 1
        if not last.any():
            return outcomes, None
        row, at, passed_s, newest_ns = row[last], at[last], passed_s[last], int(stamp_ns[last].max())
        a["open"][row, at] = False
        whole = a["good"][row, at].all(1)
        samples = Samples(newest_ns, a["x"][row, at], a["residual"][row, at], whole, passed_s)
        return outcomes, samples
