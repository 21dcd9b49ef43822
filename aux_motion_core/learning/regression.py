# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recursive regularised least squares with forgetting, in information form.

The sums of products of inputs and of inputs with targets are kept, multiplied by a little less than one as time goes
on, and solved again with the same regulariser every time: unlike the recursion of the covariance, this cannot wind up
when inputs stand still, and nothing that was ever learnt stays for ever (Salgado, Goodwin and Middleton, Modified
least squares algorithm incorporating exponential resetting and forgetting, Int. J. Control 47 (1988)).
"""

from __future__ import annotations

import numpy as np


class Regression:
    """Linear map from inputs to targets that follows what it is given.

    Args:
        inputs: p.
        targets: q.
        memory_s: samples so old count 1/e.
        ridge: of the squared weights, in the unit of squared inputs times samples.
    """

    def __init__(self, inputs: int, targets: int, memory_s: float, ridge: float) -> None:
        self.memory_s, self.ridge = memory_s, ridge
        self.products = np.zeros((inputs, inputs))
        self.cross = np.zeros((inputs, targets))
        #: Sum of the samples' weights.
        self.samples = 0.0
        self.weights: np.ndarray = np.zeros((inputs, targets))

    def add(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, passed_s: float) -> None:
        """Take K samples, after so much time.

        Args:
            x: (K, p) inputs.
            y: (K, q) targets.
            weight: (K,) in 0..1.
            passed_s: since the samples before.
        """
        keep = np.exp(-max(passed_s, 0.0) / self.memory_s)
        weighted = x * weight[:, None]
        self.products *= keep
        self.cross *= keep
        self.products += weighted.T @ x
        self.cross += weighted.T @ y
        self.samples = self.samples * keep + float(weight.sum())

    def solve(self) -> None:
        """`weights` become the solution.

        Raises:
            numpy.linalg.LinAlgError: the products are no sums of squares.
        """
        regular = self.products + self.ridge * np.eye(len(self.products))
        np.linalg.cholesky(regular)  # raises; `solve` takes any matrix
        self.weights = np.linalg.solve(regular, self.cross)

    def inverse(self, of: np.ndarray, ridge: float) -> np.ndarray:
        """(T, T) of the products of some inputs, by index (T,), with a regulariser of its own."""
        regular = self.products[np.ix_(of, of)] + ridge * np.eye(len(of))
        return np.linalg.inv(regular)
