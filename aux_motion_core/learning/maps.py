# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The two maps from inputs to corrections, with a long and a short memory, and what they are taught by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aux_motion_core.learning.features import N_INPUTS, TELLING
from aux_motion_core.learning.regression import Regression
from aux_motion_core.learning.under_way import Samples
from aux_motion_core.skeleton import N_JOINTS

#: Memory of the slow and of the fast map, seconds of outcomes.
MEMORY_S = (300.0, 20.0)
RIDGE = 0.3
#: Of the leverage: inputs count as known where much more than so much was learnt.
LEVERAGE_RIDGE = 2.0
#: Functions of time that corrections are made of: sines that are zero now.
N_BASIS = 3
#: A sample that stands for so many seconds has weight 1.
_SAMPLE_S = 0.08
#: Maps are solved again after so many seconds of outcomes.
SOLVE_S = 1.0
#: A sample whose error is so many times the usual one counts less; the usual one is over so many seconds.
ROBUST, _USUAL_S = 3.0, 20.0


class Solution(NamedTuple):
    """What a prediction needs of what was learnt: never changed, only replaced.

    Attributes:
        weights: (inputs, 2 targets) float32, of the slow and the fast map.
        inverse: (T, T) float32, of the slow map's sum of products of the inputs `TELLING`: what these times themselves
            by it come to (their leverage) is small where much was learnt from inputs like them.
    """

    weights: np.ndarray
    inverse: np.ndarray


class Maps:
    """See the module.

    Args:
        steps: length of the answers.
        judged: (H,) steps that are judged.
    """

    def __init__(self, steps: int, judged: np.ndarray) -> None:
        self.n_basis = min(N_BASIS, len(judged))
        part = (np.arange(steps) + 1.0) / steps
        every = np.sin(0.5 * np.pi * part[:, None] * np.arange(1, self.n_basis + 1))  # (S, B)
        self.basis = every.astype(np.float32)
        self._project = np.linalg.pinv(every[judged])  # (B, H)
        self._targets = self.n_basis * N_JOINTS * 3
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.regressions = [Regression(N_INPUTS, self._targets, memory_s, RIDGE) for memory_s in MEMORY_S]
        self.solution = Solution(
            np.zeros((N_INPUTS, 2 * self._targets), np.float32), np.eye(len(TELLING), dtype=np.float32) / LEVERAGE_RIDGE
        )
        #: Seconds of people's motion that taught something.
        self.learnt_s = 0.0
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._newest_ns: int | None = None
        self._passed_s = self._usual_m = 0.0

    def teach(self, samples: Samples) -> None:
        """Take samples; about once a second the maps are solved again."""
        if self._newest_ns is not None:  # a clock that goes back makes nothing older
            self._passed_s += float(np.clip((samples.stamp_ns - self._newest_ns) * 1e-9, 0.0, SOLVE_S))
        self._newest_ns = samples.stamp_ns
        use = samples.good.any(1) & np.isfinite(samples.x).all(1)
        if use.any():
            self._collect(samples.x[use], samples.residual[use], samples.good[use], samples.passed_s[use])
        if self._passed_s >= SOLVE_S - 1e-9 and self._waiting:
            self._absorb()
            self.solve()

    def _collect(self, x: np.ndarray, residual: np.ndarray, good: np.ndarray, passed_s: np.ndarray) -> None:
        target = np.einsum("bh,khjc->kbjc", self._project, residual.astype(np.float64)) * good[:, None, :, None]
        error = np.sqrt((target**2).sum((1, 2, 3)) / good.sum(1))
        self._usual_m = self._usual_m or float(error.mean())
        most = ROBUST * self._usual_m
        weight = passed_s / _SAMPLE_S * np.minimum(1.0, most / np.maximum(error, 1e-6))
        keep = np.exp(-float(passed_s.mean()) / _USUAL_S)
        self._usual_m = keep * self._usual_m + (1.0 - keep) * float(np.minimum(error, most).mean())
        self._waiting.append((x.astype(np.float64), target, good, weight))
        self.learnt_s += float(passed_s.sum())

    def _absorb(self) -> None:
        """The samples that wait enter the sums."""
        x, target, good, weight = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting.clear()
        for regression in self.regressions:
            known = (x @ regression.weights).reshape(target.shape)
            # a joint that was not seen teaches what is already believed
            y = np.where(good[:, None, :, None], target, known).reshape(len(x), -1)
            regression.add(x, y, weight, self._passed_s)
        self._passed_s = 0.0

    def solve(self) -> None:
        """Make `solution` of the sums."""
        for regression in self.regressions:
            regression.solve()
        self.solution = Solution(
            np.concatenate([r.weights for r in self.regressions], 1).astype(np.float32),
            self.regressions[0].inverse(TELLING, LEVERAGE_RIDGE).astype(np.float32),
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the arrays of `state`."""
        triangle = N_INPUTS * (N_INPUTS + 1) // 2
        n = len(MEMORY_S)
        return {
            "products": (n, triangle),
            "cross": (n, N_INPUTS, self._targets),
            "samples": (n,),
            "learnt_s": (),
        }

    def state(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays for a file."""
        low = np.tril_indices(N_INPUTS)
        return {
            "products": np.stack([r.products[low] for r in self.regressions]).astype(np.float32),
            "cross": np.stack([r.cross for r in self.regressions]).astype(np.float32),
            "samples": np.array([r.samples for r in self.regressions]),
            "learnt_s": np.array(self.learnt_s),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from `state`.

        Raises:
            ValueError: it is no state of such maps; nothing changes.
        """
        low = np.tril_indices(N_INPUTS)
        made = []
        for k, memory_s in enumerate(MEMORY_S):
            regression = Regression(N_INPUTS, self._targets, memory_s, RIDGE)
            regression.products[low] = arrays["products"][k]
            regression.products += np.tril(regression.products, -1).T
            regression.cross[:] = arrays["cross"][k]
            regression.samples = float(arrays["samples"][k])
            try:
                regression.solve()
            except np.linalg.LinAlgError:
                raise ValueError("its sums are no sums of squares") from None
            if not np.isfinite(regression.weights).all():
                raise ValueError("its sums have no finite solution")
            made.append(regression)
        self.reset()
        self.regressions, self.learnt_s = made, float(arrays["learnt_s"])
        self.solve()
