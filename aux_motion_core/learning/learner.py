# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A correction of the network's answer that is learnt where it is used, and judged before it counts.

On top of a fixed network a linear map is fitted on line, as Cheng, Zhao, Liu and Tomizuka (Human motion prediction
using semi-adaptable neural networks, ACC 2019) do with the last layer by recursive least squares, and Abuduweili and
Liu (Robust online model adaptation by extended Kalman filter with exponential moving average and dynamic multi-epoch
strategy, L4DC 2020) by a Kalman filter. Here the inputs are not the last layer's (a shipped network gives none) but
how the person moves and where that person usually is; two maps, with a long and a short memory, are shared by
everybody the tracker sees; and how much of each enters is earned by evidence (`aux_motion_core.learning.evidence`).
What measured best: docs/learning.md.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.history.normalise import Heading
from aux_motion_core.inference.interface import Backend
from aux_motion_core.learning import files
from aux_motion_core.learning.evidence import GROUP_OF, Evidence, motions
from aux_motion_core.learning.features import TELLING, Features
from aux_motion_core.learning.maps import Maps
from aux_motion_core.learning.stream import ASK_S, LearningStream
from aux_motion_core.learning.under_way import LearningOutcomes, Samples, TakenOutcomes, UnderWay
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.solvers import one_blas_thread
from aux_motion_core.types import Learning

#: Fastest growth of a correction, metres per second.
TOP_MPS = 1.5
#: Inputs of a larger leverage (variance of what was learnt there, in parts of the outcomes') are corrected less.
STRANGE = 0.06
#: Outcomes that wait for the background; more are dropped, oldest first.
_WAIT = 256
#: What the report sums up is forgotten with this time constant, seconds.
REPORT_S = 60.0


class Learner:
    """Corrects predictions of people, and learns from what was then seen.

    Methods without a word about it are called from the thread that predicts. Outcomes are worked off by `work`: at
    once, or where `submit` is set, by whoever it hands the job to.

    Args:
        dt_s: grid spacing.
        history: length of the windows.
        steps: length of the answers.
        judged: (H,) steps that are judged.
        slots: predictions kept of each person.
        identity: what the learnt belongs to.
    """

    def __init__(
        self,
        dt_s: float,
        history: int,
        steps: int,
        judged: np.ndarray,
        slots: int,
        identity: files.Identity | None = None,
    ) -> None:
        one_blas_thread()
        self.judged = np.asarray(judged)
        self.identity = identity or files.Identity("")
        h = len(self.judged)
        self.features = Features(dt_s, history, steps)
        self.evidence = Evidence(h)
        self.maps = Maps(steps, self.judged)
        self.under_way = UnderWay(h, slots)
        self._at_judged = self.maps.basis[self.judged]
        self._most_m = (TOP_MPS * dt_s * (self.judged + 1.0)).astype(np.float32)[:, None]
        at = np.concatenate([[-1], self.judged])  # zero now, and straight from one judged step to the next
        to_grid = [np.interp(np.arange(steps), at, np.concatenate([[0.0], row])) for row in np.eye(h)]
        self._to_grid = np.stack(to_grid, 1).astype(np.float32)  # (S, H)
        between = [np.interp(np.arange(steps), self.judged, row) for row in np.eye(h)]
        self._between = np.stack(between, 1).astype(np.float32)
        self._taken: TakenOutcomes | None = None
        self._of_row = np.zeros(16, np.intp)
        self._seen_ns = np.zeros(16, np.int64)
        #: Hands `work` to another thread; None: outcomes are worked off at once.
        self.submit: Callable[[Callable[[], Iterator[None]]], None] | None = None
        self._waiting: deque[tuple[LearningOutcomes | None, Samples | None]] = deque(maxlen=_WAIT)
        self._lock = threading.Lock()
        #: Nothing is learnt, only judged.
        self.frozen = False
        #: What was last wrong with the file or the stream, in one line.
        self.remark = ""
        #: Number of times that what was learnt changed.
        self.version = 0
        self._start_anew()

    def _start_anew(self) -> None:
        self._sums = np.zeros((3, len(self.judged)))
        self._stream = LearningStream()
        #: What the stream that was learnt from was like.
        self.stream = self._stream

    # People

    def start(self, row: int) -> None:
        """A new person has this row: nothing of the one before is remembered."""
        if row >= len(self._of_row):
            self._of_row = np.concatenate([self._of_row, np.zeros(row + 1, np.intp)])
            self._seen_ns = np.concatenate([self._seen_ns, np.zeros(row + 1, np.int64)])
        self.under_way.start(row)
        self.features.start(row)
        self.evidence.start(row)
        self._seen_ns[row] = 0

    def forget_under_way(self, rows: np.ndarray) -> None:
        """What was predicted for these people is not judged: they may have been others."""
        self.under_way.close(rows)

    # Predictions

    def correct(
        self,
        rows: np.ndarray,
        stamp_ns: np.ndarray,
        values: np.ndarray,
        mask: np.ndarray,
        future: np.ndarray,
        heading: Heading,
        every: bool = True,
    ) -> np.ndarray | None:
        """What is to be added to the network's answers.

        Args:
            rows: (N,) of the people.
            stamp_ns: (N,) of the newest observations.
            values: (N, T, J, 3) metres, normalised; mask: (N, T, J) bool.
            future: (N, S, J, 3) the network's answer.
            heading: what normalisation took out.
            every: False where nothing is to be added: only what will be judged is worked out.

        Returns:
            (N, S, J, 3) float32 metres in the normalised frame; zero for joints that are not seen now. Without `every`
            of those people who will be judged, or None.
        """
        stamp_ns = np.asarray(stamp_ns)
        due = self.under_way.due(rows, stamp_ns)
        some_due = bool(due.any())
        if not every:
            if not some_due:
                self._taken = None
                return None
            if not due.all():
                rows, stamp_ns, values, mask, future = (a[due] for a in (rows, stamp_ns, values, mask, future))
                heading = Heading(heading.origin[due], heading.yaw[due])
        maps, solution, n, h = self.maps, self.maps.solution, len(rows), len(self.judged)
        x = self.features.take(rows, values, mask, future)
        if np.isnan(x.sum()):  # of inputs that are bounded
            np.nan_to_num(x, copy=False)
        seen = mask[:, -1]
        coefficients = (x @ solution.weights).reshape(n, 2, maps.n_basis, N_JOINTS * 3)
        telling = x.take(TELLING, 1)
        motion = motions(telling)
        leverage = np.einsum("np,np->n", telling @ solution.inverse, telling)
        familiar = np.square(np.minimum(1.0, STRANGE / np.maximum(leverage, 1e-6)))
        corrections = (self._at_judged @ (familiar[:, None, None, None] * coefficients)).reshape(n, 2, h, N_JOINTS, 3)
        if np.count_nonzero(seen) < seen.size:
            corrections *= seen[:, None, None, :, None]
        shares = self.evidence.shares(rows, motion)  # (N, G, H, 2)
        if shares.any():
            share = shares.take(GROUP_OF, 1).transpose(3, 0, 2, 1)[..., None]  # (2, N, H, J, 1)
            entering = corrections[:, 0] * share[0]
            entering += corrections[:, 1] * share[1]
            length = np.sqrt(np.einsum("nhjc,nhjc->nhj", entering, entering))
            entering *= np.minimum(1.0, self._most_m / np.maximum(length, 1e-9))[..., None]
            out = (self._to_grid @ entering.reshape(n, h, -1)).reshape(n, -1, N_JOINTS, 3)
        else:
            entering, out = np.zeros_like(corrections[:, 0]), np.zeros_like(future)
        if not some_due:
            self._taken = None
            return out
        self._of_row[:] = -1
        self._of_row[rows] = np.arange(n)
        self._taken = TakenOutcomes(stamp_ns, x, corrections, entering, future[:, self.judged], seen, motion, heading)
        return out

    def watch(self, rows: np.ndarray, stamp_ns: np.ndarray, values: np.ndarray, seen: np.ndarray) -> None:
        """Remember what is usual of people and of the stream, once the prediction is out.

        Where a loaded file is of another stream, what was learnt is forgotten.

        Args:
            rows: (N,) of the people.
            stamp_ns: (N,) of the newest observations.
            values: (N, J, 3) metres, the newest poses, normalised; seen: (N, J) bool.
        """
        self.features.remember(rows, stamp_ns, values, seen)
        passed_s = (stamp_ns - self._seen_ns[rows]) / NS
        self._seen_ns[rows] = stamp_ns
        apart = (passed_s > 0.0) & (passed_s < 0.5)
        if apart.any():
            self._stream.add(float(passed_s[apart].mean()), seen[apart].mean(0))
        if self.stream is not self._stream and self._stream.watched_s >= ASK_S:
            trouble = self.stream.unlike(self._stream)
            if trouble:
                self.reset()
                self.remark = f"what was learnt is of another stream ({trouble}): learning starts from nothing"
            else:
                self._stream.joints = np.maximum(self._stream.joints, self.stream.joints)
                self.stream = self._stream

    def widening(self, rows: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """What radii of the network's answer are widened by around the corrected one, (N, S, J) metres.

        Args:
            rows: (N,) of the people.
            moved: (N, S, J) metres from the network's answer to what is published: by all of it until outcomes tell.
        """
        share = self._between @ self.evidence.widening(rows)  # (N, S, G)
        return moved * share[:, :, GROUP_OF]

    def predicted(self, rows: np.ndarray, at: np.ndarray, radius: np.ndarray | None = None) -> None:
        """Predictions of these people, of the last `correct`, are judged later.

        Args:
            rows: (N,) of the people; at: (N,) slots.
            radius: (N, H, J) metres around the network's answers, NaN or None where there is none.
        """
        pick = self._of_row[rows] if self._taken is not None else np.full(len(rows), -1)
        known = pick >= 0
        if not known.all():
            self.under_way.close_slots(rows[~known], at[~known])
            rows, at, pick = rows[known], at[known], pick[known]
            radius = None if radius is None else radius[known]
        if self._taken is not None and len(rows):
            self.under_way.put(rows, at, pick, self._taken, radius)

    def outcomes(
        self,
        row: np.ndarray,
        at: np.ndarray,
        horizon: np.ndarray,
        stamp_ns: np.ndarray,
        truth: np.ndarray,
        good: np.ndarray,
    ) -> None:
        """What was seen at horizons of predictions.

        Args:
            row: (K,), at: (K,), horizon: (K,) which.
            stamp_ns: (K,) of the outcomes.
            truth: (K, J, 3) metres in the fixed frame; good: (K, J) bool, seen.
        """
        told = self.under_way.judge(row, at, horizon, stamp_ns, truth, good)
        if told[0] is None:
            return
        self._waiting.append(told)
        if self.submit is not None:
            self.submit(self.work)
            return
        for _ in self.work():
            pass

    # In the background

    def work(self) -> Iterator[None]:
        """Learn from what waits, with breaks."""
        while self._waiting:
            with self._lock:
                try:
                    outcomes, samples = self._waiting.popleft()
                except IndexError:  # the other side dropped it
                    return
                if outcomes is not None:
                    self._weigh(outcomes)
                if samples is not None and not self.frozen:
                    self.maps.teach(samples)
                    self.version += 1
            yield

    def _weigh(self, o: LearningOutcomes) -> None:
        """Tell the evidence, a pair of row and horizon once at a time."""
        alive = o.generation == self.under_way.generation(o.row)
        n = o.good.sum(1)
        told = alive & (n > 0)
        for what, away in enumerate((o.residual, o.residual - o.published)):
            error = (np.sqrt(np.einsum("kjc,kjc->kj", away, away)) * o.good).sum(1) / np.maximum(n, 1)
            keep = np.exp(-np.bincount(o.horizon, o.passed_s, len(self.judged)) / REPORT_S)
            self._sums[1 + what] = keep * self._sums[1 + what] + np.bincount(o.horizon, error * told, len(self.judged))
        self._sums[0] = keep * self._sums[0] + np.bincount(o.horizon, told, len(self.judged))
        left = np.flatnonzero(alive) if not self.frozen else np.zeros(0, np.intp)
        while len(left):
            _, first = np.unique(o.row[left] * len(self.judged) + o.horizon[left], return_index=True)
            k = left[first]
            self.evidence.learn(
                o.row[k],
                o.horizon[k],
                o.passed_s[k],
                o.residual[k],
                o.corrections[k],
                o.published[k],
                o.radius[k],
                o.good[k],
                o.motion[k],
            )
            left = np.delete(left, first)

    # From any thread

    def report(self, mode: str) -> Learning:
        """What learning gained lately, or would have.

        Args:
            mode: shadow or on.
        """
        n = self._sums[0]
        mean = np.where(n > 1e-6, self._sums[1:] / np.maximum(n, 1e-6), np.nan)
        share, learnt_s = self.evidence.share_of_all(), self.maps.learnt_s
        return Learning(mode, mean[0], mean[1], share, n.copy(), learnt_s, self.remark)

    def reset(self) -> None:
        """Forget everything that was learnt; people stay."""
        with self._lock:
            self._waiting.clear()
            self.maps.reset()
            self.evidence.reset()
            self._start_anew()
            self.version += 1

    def save(self, path: str | Path) -> None:
        """Write what was learnt.

        Raises:
            LearnedFileError: it cannot be written.
        """
        with self._lock:
            arrays = {**self.maps.state(), **self.evidence.state()}
            arrays |= {"rate_hz": np.array(self.stream.rate_hz), "joints": self.stream.joints}
        files.save(path, self.identity, arrays)

    def load(self, path: str | Path) -> None:
        """Go on with what was learnt.

        Raises:
            FileNotFoundError: there is no file yet.
            LearnedFileError: it cannot be used; what is known stays.
        """
        shapes = {**self.maps.shapes(), **self.evidence.shapes(), "rate_hz": (), "joints": (N_JOINTS,)}
        arrays = files.load(path, self.identity, shapes)
        with self._lock:
            try:
                self.maps.restore(arrays)
            except ValueError as error:
                raise files.LearnedFileError(f"{path}: {error}: learning starts from nothing") from None
            self._start_anew()
            self.evidence.restore(arrays)
            rate_hz = float(arrays["rate_hz"])
            self.stream = LearningStream(1.0 / rate_hz if rate_hz > 0.0 else 0.0, arrays["joints"].astype(np.float64))
            self.version += 1


def learner_for(backend: Backend, judged: np.ndarray, slots: int) -> Learner:
    """A learner on top of a backend.

    Args:
        backend: whose answers are corrected.
        judged: (H,) steps that are judged.
        slots: predictions kept of each person.
    """
    model = getattr(backend, "onnx_sha256", None) or getattr(getattr(backend, "calibration", None), "onnx_sha256", None)
    grid = f"{backend.history_steps}+{backend.future_steps} x {backend.dt_s:g} s"
    identity = files.Identity(model or f"{backend.name} {backend.version}", grid=grid)
    return Learner(backend.dt_s, backend.history_steps, backend.future_steps, judged, slots, identity)
