# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Other ways to fit a linear map on line, to be measured in the place of `aux_motion_core.learning.regression`."""

from __future__ import annotations

import numpy as np

from aux_motion_core.learning.regression import Regression


class Nlms(Regression):
    """Normalised least mean squares: a step along the gradient of each sample, divided by the inputs' energy.

    `ridge` is the step in hundredths; what was learnt leaks with `memory_s`.
    """

    step = 0.3

    def add(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, passed_s: float) -> None:
        """See `Regression`."""
        self.samples += float(weight.sum())
        self.weights = self.weights * np.exp(-passed_s / (10.0 * self.memory_s))
        for row, target, w in zip(x, y, weight, strict=True):
            error = target - row @ self.weights
            self.weights += (self.step * min(w, 1.0) / (0.05 + row @ row)) * np.outer(row, error)

    def solve(self) -> None:
        """The weights are always the solution."""


class KalmanEma(Regression):
    """Extended Kalman filter with exponential moving averages (Abuduweili and Liu, L4DC 2020) of a linear layer.

    The covariance is shared by all targets, forgets by a factor, and both the gain's step and the weights are smoothed.
    """

    noise, average = 0.1, 0.7

    def __init__(self, inputs: int, targets: int, memory_s: float, ridge: float) -> None:
        super().__init__(inputs, targets, memory_s, ridge)
        self.covariance = np.eye(inputs) / ridge
        self._step = np.zeros((inputs, targets))
        self._raw = np.zeros((inputs, targets))

    def add(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, passed_s: float) -> None:
        """See `Regression`."""
        self.samples += float(weight.sum())
        p = self.covariance
        spread = x @ p
        r = np.diag(self.noise * 10.0 / np.maximum(weight, 1e-3))
        gain = np.linalg.solve(spread @ x.T + r, spread).T  # (p, K)
        step = gain @ (y - x @ self._raw)
        self._step = self.average * step + (1.0 - self.average) * self._step
        self._raw = self._raw + self._step
        p = p - gain @ spread
        p = 0.5 * (p + p.T) * np.exp(min(passed_s / self.memory_s, 0.2))
        top = np.trace(p) / len(p) * self.ridge
        self.covariance = p / max(top, 1.0)
        self.weights = self.average * self._raw + (1.0 - self.average) * self.weights

    def solve(self) -> None:
        """The weights are always the solution."""
