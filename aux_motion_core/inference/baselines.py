# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Baselines with the interface of a backend. What a model must beat."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from aux_motion_core.history.normalise import REST_POSE, last_observed
from aux_motion_core.skeleton import INDEX, JOINTS

#: Decays fitted on the training split (`python -m training.fitting.baselines`).
_FITTED = Path(__file__).with_name("baselines.json")
_TRUNK = np.array(
    [INDEX[n] for n in ("pelvis", "spine", "neck", "left_hip", "right_hip", "left_shoulder", "right_shoulder")]
)


def glide(t: np.ndarray, tau_s: float) -> np.ndarray:
    """Displacement per unit of velocity after `t` seconds when speed decays with `tau_s`."""
    return tau_s * -np.expm1(-t / tau_s)


class Baseline:
    """Common parts: the last observed pose, fitted velocities, the grid. See `Backend` for the interface."""

    version = "1"
    joint_names = JOINTS
    velocity_steps = 5

    def __init__(self, dt_s: float = 0.04, history_steps: int = 10, future_steps: int = 25) -> None:
        self.name = next(n for n, c in BASELINES.items() if type(self) is c)
        self.dt_s, self.history_steps, self.future_steps = dt_s, history_steps, future_steps
        self._time = dt_s * (np.arange(history_steps) - history_steps + 1)
        self._ahead = dt_s * np.arange(1, future_steps + 1)
        self.counters: Counter[str] = Counter()
        self.about, self.fell_back = {"backend": self.name}, False

    def open(self) -> None:
        """Nothing to take."""

    def close(self) -> None:
        """Nothing to give back."""

    def infer(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, None]:
        """See `Backend.infer`; without a scale."""
        values, last, age = self._looked(values, mask)
        recovered = np.where(mask[..., None], values, last[:, None])
        future = self._future(values, mask, last, age)
        return future.astype(np.float32), recovered.astype(np.float32), None

    def _looked(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, T, joints, 3) float64 with 0 where missing, where joints were last, and their age, as of `_future`."""
        values = np.where(mask[..., None], values, 0.0).astype(np.float64)
        last, seen, index = last_observed(values, mask)
        return values, np.where(seen[..., None], last, REST_POSE), -self._time[index] * seen

    def _future(self, values: np.ndarray, mask: np.ndarray, last: np.ndarray, age: np.ndarray) -> np.ndarray:
        """(N, steps, joints, 3) from `last` (N, joints, 3), seen `age` (N, joints) seconds before the present."""
        raise TypeError(f"{type(self).__name__} does not predict")

    def _velocity(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least-squares slope over the newest observed steps, (N, joints, 3), and where there is one."""
        w = mask[:, -self.velocity_steps :].astype(np.float64)
        x, t = values[:, -self.velocity_steps :], self._time[-self.velocity_steps :]
        n = w.sum(1)
        centred = w * (t[:, None] - ((w * t[:, None]).sum(1) / np.maximum(n, 1))[:, None])
        spread = (centred**2).sum(1)
        slope = np.einsum("ntj,ntjc->njc", centred, x) / np.maximum(spread, 1e-12)[..., None]
        has = n >= 2
        return np.where(has[..., None], slope, 0.0), has

    def _root_velocity(self, velocity: np.ndarray, has: np.ndarray) -> np.ndarray:
        """Mean velocity of the trunk, of all joints where no trunk joint has one; (N, 1, 3)."""
        trunk = np.zeros(len(JOINTS))
        trunk[_TRUNK] = 1.0
        w = has * trunk
        w = np.where(w.any(1, keepdims=True), w, has)
        return (np.einsum("nj,njc->nc", w, velocity) / np.maximum(w.sum(1), 1)[:, None])[:, None]


class ZeroVelocity(Baseline):
    """Every joint stays where it was last seen."""

    def _future(self, values, mask, last, age):
        return np.repeat(last[:, None], self.future_steps, 1)


class ConstantVelocity(Baseline):
    """Every joint goes on at its fitted velocity; without one, at the trunk's."""

    def _displacement(self, t: np.ndarray) -> np.ndarray:
        return t

    def _future(self, values, mask, last, age):
        velocity, has = self._velocity(values, mask)
        velocity = np.where(has[..., None], velocity, self._root_velocity(velocity, has))
        # a joint last seen earlier has moved since: time runs from its own last sight
        ahead = self._displacement(age[:, None] + self._ahead[:, None])[..., None]
        return last[:, None] + velocity[:, None] * ahead


class DampedVelocity(ConstantVelocity):
    """As `ConstantVelocity`, speed decaying with `tau_s`."""

    def __init__(self, tau_s: float = 0.3, **grid) -> None:
        super().__init__(**grid)
        self.tau_s = tau_s

    def _displacement(self, t):
        return glide(t, self.tau_s)


class DampedPose(Baseline):
    """The trunk goes on (nearly) at constant velocity, the pose about it comes to rest: the strongest of them."""

    def __init__(self, tau_pose_s: float = 0.15, tau_root_s: float = 4.0, **grid) -> None:
        super().__init__(**grid)
        self.tau_pose_s, self.tau_root_s = tau_pose_s, tau_root_s

    def _future(self, values, mask, last, age):
        velocity, has = self._velocity(values, mask)
        root = self._root_velocity(velocity, has)
        local = np.where(has[..., None], velocity - root, 0.0)
        t = (age[:, None] + self._ahead[:, None])[..., None]
        return last[:, None] + root[:, None] * glide(t, self.tau_root_s) + local[:, None] * glide(t, self.tau_pose_s)


class KalmanConstantAcceleration(Baseline):
    """A constant-acceleration Kalman filter for each joint, its acceleration held."""

    def __init__(self, jerk_sigma: float = 10.0, measurement_sigma_m: float = 0.005, **grid) -> None:
        super().__init__(**grid)
        self.jerk_sigma, self.measurement_sigma_m = jerk_sigma, measurement_sigma_m

    def _gains(self, masks: np.ndarray) -> np.ndarray:
        """(P, T, 3) gains over the steps of P histories (P, T) bool: they do not depend on what was measured."""
        dt = self.dt_s
        step = np.array([[1, dt, dt * dt / 2], [0, 1, dt], [0, 0, 1]])
        g = np.array([dt**3 / 6, dt**2 / 2, dt])
        noise = self.jerk_sigma**2 * np.outer(g, g)
        cov = np.broadcast_to(np.diag([1.0, 4.0, 25.0]), (len(masks), 3, 3)).copy()
        started = np.zeros(len(masks), bool)
        gains = np.zeros((*masks.shape, 3))
        for k in range(masks.shape[1]):
            seen = masks[:, k]
            cov = np.where(started[:, None, None], step @ cov @ step.T + noise, cov)
            gain = cov[..., 0] / (cov[:, 0, 0] + self.measurement_sigma_m**2)[:, None]
            gains[:, k] = np.where(seen[:, None], gain, 0.0)
            cov = cov - gains[:, k, :, None] * cov[:, 0, None, :]
            started |= seen
        return gains

    def _future(self, values, mask, last, age):
        dt, steps = self.dt_s, self.history_steps
        n, _, joints, _ = values.shape
        # joints that were seen at the same steps share their gains
        seen_at = mask.swapaxes(1, 2).reshape(-1, steps)
        _, first, which = np.unique(seen_at @ (1 << np.arange(steps)), return_index=True, return_inverse=True)
        gains = self._gains(seen_at[first])[which.reshape(n, joints)]
        p, v, a = last.copy(), np.zeros_like(last), np.zeros_like(last)
        started = np.zeros((n, joints, 1), bool)
        for k in range(steps):
            m = mask[:, k, :, None]
            p = np.where(m & ~started, values[:, k], np.where(started, p + v * dt + a * (dt * dt / 2), p))
            v = np.where(started, v + a * dt, v)
            wrong = values[:, k] - p  # its gain is 0 where nothing was seen
            p, v, a = (x + gains[:, :, k, i, None] * wrong for i, x in enumerate((p, v, a)))
            started |= m
        t = self._ahead[:, None, None]
        return p[:, None] + v[:, None] * t + 0.5 * a[:, None] * t * t


BASELINES: dict[str, type[Baseline]] = {
    "zero_velocity": ZeroVelocity,
    "constant_velocity": ConstantVelocity,
    "damped_velocity": DampedVelocity,
    "kalman_constant_acceleration": KalmanConstantAcceleration,
    "damped_pose": DampedPose,
}


def futures(members: list[Baseline], values: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """The answers of several baselines of one grid, (N, steps, joints, 3) float32 each, as of `infer`."""
    if not members:
        return []
    values, last, age = members[0]._looked(values, mask)
    return [b._future(values, mask, last, age).astype(np.float32) for b in members]


def make(name: str, **parameters: float) -> Baseline:
    """A baseline with its fitted parameters, `parameters` replacing them.

    Raises:
        ValueError: no baseline has that name.
    """
    if name not in BASELINES:
        raise ValueError(f"no baseline is called {name!r}: choose {', '.join(BASELINES)}")
    fitted = json.loads(_FITTED.read_text(encoding="utf-8")).get(name, {}) if _FITTED.is_file() else {}
    return BASELINES[name](**{**fitted, **parameters})
