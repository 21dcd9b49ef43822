# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Weighs the model and the baselines by how well each predicted lately, per person and horizon.

Exponential weights with fixed share (Herbster, Warmuth, Tracking the Best Expert, Machine Learning 32, 1998). Bounded
is the weighted mean of the members' losses: for losses in 0..1 over T judged predictions and every sequence of members
that changes m times, its sum exceeds the sequence's by at most
`sqrt(T / 2 * ((m + 1) * ln(1 / p) + (T - 1) * H(m / (T - 1))))`, p the smallest prior weight and H the binary entropy,
at the rate and share tuned to T and m (Cesa-Bianchi and Lugosi, Prediction, Learning, and Games, 2006, theorem 5.2 and
corollary 5.1, there with uniform weights, 1 / p of them: a prior and a share of p or more cost no more). A distance is
convex in the prediction, so the mixture's is at most the weighted mean of its members' (Jensen), as long as none of
them is larger than a loss of 1; beyond, the bound is on the members' losses only.

Outcomes are known one horizon late. With D predictions under way, D + 1 sets of weights that take turns would have a
bound larger by sqrt(D + 1) (Joulani, Gyorgy and Szepesvari, Online Learning under Delayed Feedback, ICML 2013). Here
one set takes every outcome when it is known, for which that proof does not hold; and the constants are chosen on
recordings for few seconds (`python -m training.studies.ensemble`), not for a T known ahead. So the bounds tell the
order, and what
is reached is measured.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from aux_motion_core.inference import baselines

#: Weights of the baselines at the start and in the share; the model has the rest. Chosen on the validation clips, like
#: the other constants: what they cost where the model is the best, against how soon they follow where it is not.
PRIOR = {
    "zero_velocity": 0.02,
    "damped_pose": 0.02,
    "damped_velocity": 0.005,
    "constant_velocity": 0.002,
    "kalman_constant_acceleration": 0.001,
}
#: Exponent of a loss of 1.
RATE = 2.0
#: Part of the weights that goes back to the prior with each judged prediction.
SHARE = 0.01
#: A mean joint error of this length or more is a loss of 1, metres.
LOSS_M = 1.0


class GridOf(Protocol):
    """What the ensemble needs to know of a backend: its name and the grid of its predictions."""

    @property
    def name(self) -> str: ...
    @property
    def dt_s(self) -> float: ...
    @property
    def history_steps(self) -> int: ...
    @property
    def future_steps(self) -> int: ...


class Ensemble:
    """The members, and their weights for each person (a row, see `SelfCheck`) and horizon.

    Args:
        backend: the model, or a baseline.
        steps: (H,) of the prediction's grid, 0-based, at which weights are learned.
    """

    def __init__(self, backend: GridOf, steps: np.ndarray) -> None:
        grid: dict[str, Any] = {
            "dt_s": backend.dt_s,
            "history_steps": backend.history_steps,
            "future_steps": backend.future_steps,
        }
        self._baselines = [baselines.make(n, **grid) for n in baselines.BASELINES if n != backend.name]
        #: Names of the members, the backend's own first.
        self.names: tuple[str, ...] = (backend.name, *(b.name for b in self._baselines))
        others = np.array([PRIOR[b.name] for b in self._baselines])  # the backend has the rest
        prior = np.concatenate([[1.0 - others.sum()], others])
        #: (H, members) weights at the start.
        self.prior: np.ndarray = np.repeat(prior[None], len(steps), 0)
        self._rate, self._share = RATE, SHARE
        each = np.eye(len(steps))
        every = np.arange(backend.future_steps)
        self._spread = np.stack([np.interp(every, steps, row) for row in each], 1)  # (steps, H)
        #: (rows, H, members) weights, which sum to 1.
        self.weights = np.zeros((0, len(steps), len(self.names)))

    def start(self, row: int) -> None:
        """A new person has this row."""
        if row >= len(self.weights):
            more = np.broadcast_to(self.prior, (row + 1 - len(self.weights), *self.weights.shape[1:]))
            self.weights = np.concatenate([self.weights, more])
        self.weights[row] = self.prior

    def members(self, values: np.ndarray, mask: np.ndarray, future: np.ndarray) -> np.ndarray:
        """What each member predicts, in the normalised frame.

        Args:
            values: (N, history, J, 3) as for `Backend.infer`.
            mask: (N, history, J) bool.
            future: (N, steps, J, 3), the backend's own answer.

        Returns:
            (N, members, steps, J, 3) float32.
        """
        return np.stack([future, *baselines.futures(self._baselines, values, mask)], 1)

    def combine(self, rows: np.ndarray, members: np.ndarray) -> np.ndarray:
        """The weighted mean of the members, (N, steps, J, 3); between horizons weights are interpolated.

        Args:
            rows: (N,) of the people.
            members: (N, members, steps, J, 3).
        """
        return self.mixed(self.weights[rows], members)

    def mixed(self, weights: np.ndarray, members: np.ndarray) -> np.ndarray:
        """As `combine`, with weights (N, H, members) in place of the people's own now."""
        n, k, steps = members.shape[:3]
        weights = (self._spread @ weights).astype(np.float32)  # (N, steps, members)
        # einsum over the last axes as one product for each step
        flat = np.moveaxis(members, 1, 2).reshape(n, steps, k, -1)
        return (weights[:, :, None] @ flat).reshape(n, steps, *members.shape[3:])

    def learn(self, rows: np.ndarray, horizons: np.ndarray, error_m: np.ndarray) -> None:
        """Take errors that became known.

        Args:
            rows: (K,) of the people.
            horizons: (K,) indices of the horizons; a pair of row and horizon may come more than once.
            error_m: (K, members) mean joint error, metres.
        """
        exponent = np.zeros_like(self.weights)
        np.add.at(exponent, (rows, horizons), self.exponents(error_m))
        judged = np.zeros(self.weights.shape[:2], bool)
        judged[rows, horizons] = True
        self.weights[judged] = self.after(self.weights[judged], exponent[judged])

    def exponents(self, error_m: np.ndarray) -> np.ndarray:
        """(K, members) of these errors; those of one horizon that become known together are added."""
        exponents: np.ndarray = self._rate * np.fmin(error_m / LOSS_M, 1.0)  # what is no number is the largest
        return exponents

    def after(self, weights: np.ndarray, exponents: np.ndarray) -> np.ndarray:
        """(K, members) weights (K, members) of people and horizons after outcomes with these exponents."""
        weights = weights * np.exp(exponents.min(-1, keepdims=True) - exponents)
        weights /= weights.sum(-1, keepdims=True)
        return (1.0 - self._share) * weights + self._share * self.prior[0]
