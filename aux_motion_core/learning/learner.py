"""A correction of the network's answer that is learnt where it is used: recursive, regularised, judged before it counts.

On top of a fixed network a linear map is fitted on line, as Cheng, Zhao, Liu and Tomizuka (Human motion prediction using
semi-adaptable neural networks, ACC 2019) do with the last layer, and Abuduweili and Liu (Robust online model adaptation
by extended Kalman filter with exponential moving average and dynamic multi-epoch strategy, L4DC 2020) by a Kalman
filter. Here the inputs are not the last layer's (a shipped network gives none) but how the person moves and where that
person usually is; two maps, with a short and a long memory, are shared by everybody the tracker sees; and how much of
each enters is earned by evidence (`aux_motion_core.learning.evidence`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.history.normalise import Heading, into_frame
from aux_motion_core.learning.evidence import GROUP_OF, Evidence
from aux_motion_core.learning.features import N_INPUTS, Features
from aux_motion_core.learning.regression import Regression
from aux_motion_core.skeleton import N_JOINTS

#: Memory of the slow and of the fast map, seconds of outcomes.
MEMORY_S = (300.0, 40.0)
RIDGE = 2.0
#: Functions of time that corrections are made of: sines that are zero now, flat or falling at the horizon's end.
N_BASIS = 3
#: Predictions of one person nearer to each other than this do not both teach, seconds.
EVERY_S = 0.07
#: A sample of EVERY_S of these seconds has weight 1.
_SAMPLE_S = 0.08
_MOST_S = 0.2
#: Maps are solved again after so many seconds of outcomes.
SOLVE_S = 1.0
#: An outcome farther from what was predicted is no motion, metres.
FARTHEST_M = 1.5
#: A sample whose error is so many times the usual one counts less.
ROBUST = 3.0
_USUAL_S = 20.0
#: Fastest growth of a correction, metres per second.
TOP_MPS = 1.5
#: Inputs farther from what was learnt from than this (mean squared deviation in units of the spread) get less.
STRANGE = 4.0
_NS = 1_000_000_000


@dataclass(frozen=True)
class _Map:
    """What a prediction needs of what was learnt: never changed, only replaced."""

    weights: np.ndarray  # (p, 2 q) float32, slow and fast
    spread: np.ndarray  # (p,) float32, 1 / mean square of each input


@dataclass(frozen=True)
class _Taken:
    """What was known at a prediction: arrays with one row a person."""

    rows: np.ndarray
    x: np.ndarray
    corrections: np.ndarray  # (N, 2, H, J, 3)
    published: np.ndarray  # (N, H, J, 3)
    shipped: np.ndarray  # (N, H, J, 3)
    heading: Heading
    stamp_ns: np.ndarray


class Learner:
    """Corrects predictions of people, and learns from what was then seen.

    Args:
        dt_s: grid spacing.
        history: length of the windows.
        steps: length of the answers.
        judged: (H,) steps that are judged.
        under_way: predictions kept of each person.
    """

    def __init__(self, dt_s: float, history: int, steps: int, judged: np.ndarray, under_way: int) -> None:
        self.judged, self._under_way = np.asarray(judged), under_way
        h = len(self.judged)
        self.features = Features(dt_s, history, steps)
        self.evidence = Evidence(h)
        part = (np.arange(steps) + 1.0) / steps
        every = np.sin(0.5 * np.pi * part[:, None] * np.arange(1, N_BASIS + 1))  # (S, B)
        n = min(N_BASIS, h)
        self._basis = every[:, :n].astype(np.float32)
        self._at_judged = self._basis[self.judged]
        self._project = np.linalg.pinv(every[self.judged][:, :n])  # (B, H)
        self._n = n
        self._most_m = (TOP_MPS * dt_s * (np.arange(steps) + 1.0)).astype(np.float32)[:, None]
        self._between = np.stack([np.interp(np.arange(steps), self.judged, row) for row in np.eye(h)], 1).astype(np.float32)
        q = n * N_JOINTS * 3
        self.maps = [Regression(N_INPUTS, q, memory_s, RIDGE) for memory_s in MEMORY_S]
        self.square = np.zeros(N_INPUTS)
        self._map = _Map(np.zeros((N_INPUTS, 2 * q), np.float32), np.zeros(N_INPUTS, np.float32))
        self._taken: _Taken | None = None
        self._of_row = np.zeros(0, np.intp)
        self._ring: dict[str, np.ndarray] = {}
        self._generation = np.zeros(0, np.int64)
        self._newest_ns = 0
        self._since_solved_s = 0.0
        self._passed_s = 0.0
        self._usual = 0.0
        #: Seconds of a person's motion that taught something.
        self.learnt_s = 0.0

    # People

    def start(self, row: int) -> None:
        """A new person has this row."""
        while row >= len(self._generation):
            self._grow(max(len(self._generation), 16))
        self._generation[row] += 1
        self.features.start(row)
        self.evidence.start(row)
        self._ring["open"][row] = False
        for name in ("taken_ns", "told_ns"):
            self._ring[name][row] = 0

    def _grow(self, more: int) -> None:
        h, r = len(self.judged), self._under_way
        new = {
            "x": np.zeros((more, r, N_INPUTS), np.float32),
            "corrections": np.zeros((more, r, 2, h, N_JOINTS, 3), np.float32),
            "published": np.zeros((more, r, h, N_JOINTS, 3), np.float32),
            "shipped": np.zeros((more, r, h, N_JOINTS, 3), np.float32),
            "residual": np.zeros((more, r, h, N_JOINTS, 3), np.float32),
            "good": np.zeros((more, r, h, N_JOINTS), bool),
            "seen": np.zeros((more, r, N_JOINTS), bool),
            "origin": np.zeros((more, r, 3)),
            "yaw": np.zeros((more, r)),
            "open": np.zeros((more, r), bool),
            "taken_ns": np.zeros(more, np.int64),
            "told_ns": np.zeros((more, h), np.int64),
        }
        self._ring = {k: np.concatenate([self._ring[k], v]) if self._ring else v for k, v in new.items()}
        self._generation = np.concatenate([self._generation, np.zeros(more, np.int64)])
        self._of_row = np.concatenate([self._of_row, np.full(more, -1, np.intp)])

    def forget_under_way(self, row: int) -> None:
        """What was predicted for this person is not judged any more: it may be somebody else."""
        self._ring["open"][row] = False

    # Predictions

    def correct(
        self,
        rows: np.ndarray,
        stamp_ns: np.ndarray,
        values: np.ndarray,
        mask: np.ndarray,
        future: np.ndarray,
        heading: Heading,
    ) -> np.ndarray:
        """What is to be added to the network's answers.

        Args:
            rows: (N,) of the people.
            stamp_ns: (N,) of the newest observations.
            values: (N, T, J, 3) metres, normalised; mask: (N, T, J) bool.
            future: (N, S, J, 3) the network's answer.
            heading: what normalisation took out.

        Returns:
            (N, S, J, 3) metres in the normalised frame; zero for joints that are not seen now.
        """
        m, n, b = self._map, len(rows), self._n
        x = self.features.take(rows, stamp_ns, values, mask, future)
        seen = mask[:, -1]
        coefficients = (x @ m.weights).reshape(n, 2, b, N_JOINTS * 3)
        strange = np.einsum("np,p,np->n", x, m.spread, x) / N_INPUTS
        familiar = np.minimum(1.0, STRANGE / np.maximum(strange, 1e-6)) ** 2
        coefficients *= familiar.astype(np.float32)[:, None, None, None]
        shares = self.evidence.shares(rows)  # (N, H, G, 2)
        at_judged = (self._at_judged @ coefficients).reshape(n, 2, len(self.judged), N_JOINTS, 3)
        at_judged *= seen[:, None, None, :, None]
        share = (self._between @ shares.reshape(n, len(self.judged), -1)).reshape(n, len(self._between), -1, 2)
        if shares.any():
            full = (self._basis @ coefficients).reshape(n, 2, len(self._basis), N_JOINTS, 3)
            share = share[:, :, GROUP_OF]  # (N, S, J, 2)
            out = full[:, 0] * share[..., 0, None] + full[:, 1] * share[..., 1, None]
            out *= seen[:, None, :, None]
            length = np.sqrt(np.einsum("nsjc,nsjc->nsj", out, out))
            out *= np.minimum(1.0, self._most_m / np.maximum(length, 1e-9))[..., None]
        else:
            out = np.zeros_like(future)
        self._of_row[rows] = np.arange(n)
        self._taken = _Taken(
            rows, x, at_judged, out[:, self.judged], future[:, self.judged], heading, np.asarray(stamp_ns)
        )
        self._seen = seen
        return out

    def predicted(self, rows: np.ndarray, at: np.ndarray) -> None:
        """The predictions of these people, from the last `correct`, are judged later, at these places."""
        t, a = self._taken, self._ring
        if t is None:
            return
        pick = self._of_row[rows]
        fresh = t.stamp_ns[pick] - a["taken_ns"][rows] >= EVERY_S * _NS
        a["open"][rows, at] = fresh
        if not fresh.all():
            rows, at, pick = rows[fresh], at[fresh], pick[fresh]
        a["taken_ns"][rows] = t.stamp_ns[pick]
        for name, value in (
            ("x", t.x),
            ("corrections", t.corrections),
            ("published", t.published),
            ("shipped", t.shipped),
            ("seen", self._seen),
            ("origin", t.heading.origin),
            ("yaw", t.heading.yaw),
        ):
            a[name][rows, at] = value[pick]
        a["good"][rows, at] = False

    # Outcomes

    def outcomes(
        self, row: np.ndarray, at: np.ndarray, horizon: np.ndarray, stamp_ns: np.ndarray, truth: np.ndarray, good: np.ndarray
    ) -> None:
        """What was seen at horizons of predictions.

        Args:
            row: (K,), at: (K,), horizon: (K,) which.
            stamp_ns: (K,) of the outcomes.
            truth: (K, J, 3) metres in the fixed frame; good: (K, J) bool, seen.
        """
        a = self._ring
        some = a["open"][row, at]
        if not some.any():
            return
        row, at, horizon, stamp_ns, truth, good = (v[some] for v in (row, at, horizon, stamp_ns, truth, good))
        heading = Heading(a["origin"][row, at], a["yaw"][row, at])
        residual = into_frame(truth.astype(np.float64), heading) - a["shipped"][row, at, horizon]
        good = good & a["seen"][row, at] & (np.abs(residual) < FARTHEST_M).all(-1)  # False for NaN
        residual = np.where(good[..., None], residual, 0.0)
        a["residual"][row, at, horizon], a["good"][row, at, horizon] = residual, good
        passed_s = np.clip((stamp_ns - a["told_ns"][row, horizon]) / _NS, 0.0, _MOST_S)
        a["told_ns"][row, horizon] = stamp_ns
        for k in range(len(row)):
            place = row[k], at[k]
            self.evidence.learn(
                int(row[k]),
                int(horizon[k]),
                float(passed_s[k]),
                residual[k],
                a["corrections"][place][:, horizon[k]],
                a["published"][place][horizon[k]],
                good[k],
            )
        last = horizon == len(self.judged) - 1
        if last.any():
            self._teach(row[last], at[last], stamp_ns[last], passed_s[last])

    def _teach(self, row: np.ndarray, at: np.ndarray, stamp_ns: np.ndarray, passed_s: np.ndarray) -> None:
        """Whole predictions become samples of the maps."""
        a = self._ring
        a["open"][row, at] = False
        newest_ns = int(stamp_ns.max())
        since_s = np.clip((newest_ns - self._newest_ns) / _NS, 0.0, 1.0)
        self._newest_ns = newest_ns
        self._passed_s += since_s
        good = a["good"][row, at].all(1)  # (K, J) at all horizons
        use = good.any(1)
        if use.any():
            self._collect(row[use], at[use], good[use], passed_s[use])
        self._since_solved_s += since_s
        if self._since_solved_s >= SOLVE_S:
            self._since_solved_s = 0.0
            self._solve()

    def _collect(self, row: np.ndarray, at: np.ndarray, good: np.ndarray, passed_s: np.ndarray) -> None:
        a, b = self._ring, self._n
        x = a["x"][row, at].astype(np.float64)
        target = np.einsum("bh,khjc->kbjc", self._project, a["residual"][row, at].astype(np.float64))
        weight = passed_s / _SAMPLE_S
        error = np.sqrt((target**2).sum((1, 3)).sum(-1) / np.maximum(good.sum(1), 1))
        self._usual = self._usual or float(error.mean())
        weight = weight * np.minimum(1.0, ROBUST * self._usual / np.maximum(error, 1e-6))
        fade = np.exp(-float(passed_s.mean()) / _USUAL_S)
        self._usual = fade * self._usual + (1.0 - fade) * float(np.minimum(error, ROBUST * self._usual).mean())
        keep = np.exp(-self._passed_s / MEMORY_S[0])
        self.square = keep * self.square + weight @ x**2
        for regression in self.maps:
            known = (x @ regression.weights).reshape(len(x), b, N_JOINTS, 3)
            # a joint that was not seen teaches what is already believed
            y = np.where(good[:, None, :, None], target, known).reshape(len(x), -1)
            regression.add(x, y, weight, self._passed_s)
        self._passed_s = 0.0
        self.learnt_s += float(passed_s.sum())

    def _solve(self) -> None:
        for regression in self.maps:
            regression.solve()
        samples = max(self.maps[0].samples, 1e-9)
        self._map = _Map(
            np.concatenate([r.weights for r in self.maps], 1).astype(np.float32),
            (1.0 / (self.square / samples + 1e-4)).astype(np.float32),
        )
