# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The distance of a body from the camera, filtered over time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class DepthFilter:
    """Constant-velocity Kalman filter of the logarithm of a distance.

    PnP knows a person's direction to a few millimetres and its distance to a few percent, new each frame;
    what the body does between two frames is smaller than that.

    Attributes:
        relative_sd: of one measured distance. Measured are 3 %, but errors last several frames, which a filter
            for independent errors must be told as a larger one.
        acceleration_mps2: one sigma of what people do.
        gate_sigma: a measurement farther from the expected one is taken for an outlier.
        patience: after so many outliers in a row the filter is lost.
        rejected: outliers so far.
    """

    relative_sd: float = 0.06
    acceleration_mps2: float = 2.0
    gate_sigma: float = 3.0
    patience: int = 8
    rejected: int = 0
    _state: np.ndarray | None = None
    _covariance: np.ndarray = field(default_factory=lambda: np.eye(2))
    _in_a_row: int = 0

    def update(self, distance: float | None, dt_s: float, looseness: float = 1.0) -> tuple[float, float]:
        """One step.

        Args:
            distance: measured, metres; None: nothing measured.
            dt_s: since the last step, seconds.
            looseness: factor on `relative_sd` of this measurement.

        Returns:
            Distance in metres and its relative standard deviation.
        """
        variance = (self.relative_sd * looseness) ** 2
        if self._state is None:
            if distance is None:
                raise ValueError("a depth filter starts with a measured distance")
            self._start(distance, variance)
        else:
            dt = float(np.clip(dt_s, 1e-4, 1.0))
            step = np.array([[1.0, dt], [0.0, 1.0]])
            push = np.array([0.5 * dt * dt, dt]) * self.acceleration_mps2 / np.exp(self._state[0])
            self._state = step @ self._state
            self._covariance = step @ self._covariance @ step.T + np.outer(push, push)
            if distance is not None:
                self._measure(distance, variance)
        assert self._state is not None
        return float(np.exp(self._state[0])), float(np.sqrt(self._covariance[0, 0]))

    @property
    def lost(self) -> bool:
        """Whether the measurements have left the filter for good: start a new one."""
        return self._in_a_row >= self.patience

    def _start(self, distance: float, variance: float) -> None:
        self._state = np.array([np.log(distance), 0.0])
        self._covariance = np.diag([variance, (1.0 / distance) ** 2])

    def _measure(self, distance: float, variance: float) -> None:
        assert self._state is not None
        innovation = np.log(distance) - self._state[0]
        spread = self._covariance[0, 0] + variance
        if innovation**2 > self.gate_sigma**2 * spread:
            self.rejected += 1
            self._in_a_row += 1
            return
        self._in_a_row = 0
        gain = self._covariance[:, 0] / spread
        self._state = self._state + gain * innovation
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])


def ray_covariance(points: np.ndarray, along_m: np.ndarray, across_m: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Covariance of points that are known across their viewing rays better than along them.

    Args:
        points: (..., 3) metres in the camera frame.
        along_m: (...) one sigma along the ray.
        across_m: (...) one sigma across it.
        rotation: (3, 3) from the camera's to the output's axes.

    Returns:
        (..., 6) m^2: xx, xy, xz, yy, yz, zz in output axes.
    """
    ray = points / np.linalg.norm(points, axis=-1, keepdims=True) @ rotation.T
    along, across = np.asarray(along_m)[..., None] ** 2, np.asarray(across_m)[..., None] ** 2
    i, j = np.triu_indices(3)
    return across * np.eye(3)[i, j] + (along - across) * ray[..., i] * ray[..., j]
