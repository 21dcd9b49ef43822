# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the correction is computed from: how a person moves, where that person usually is, what the network says."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from aux_motion_core.arrays import every
from aux_motion_core.skeleton import INDEX, N_JOINTS

#: Joints that say the same as a neighbour are no inputs.
_LEFT_OUT = ("spine", "left_hand", "right_hand", "left_foot", "right_foot")
INPUTS = np.array([j for name, j in INDEX.items() if name not in _LEFT_OUT])
#: Spans over which velocities are taken, seconds; a shorter history gives what it has.
LAGS_S = (0.08, 0.32)
#: Velocities are worth so many seconds, so that all inputs are of one order (metres).
_VELOCITY_S = 0.3
#: Time constants of the poses that the newest one is compared with, seconds.
USUAL_S = (1.0, 3.0, 60.0)
#: Steps of the network's answer that are inputs, as parts of the horizon.
_ANSWER_AT = (0.4, 1.0)
#: Value of the input that is always the same.
_BIAS = 0.1
#: Inputs are no larger than this, metres: what is, is no motion of a person.
_LARGEST = 3.0
_MOST_S = 2.0
#: Random Fourier features (Rahimi and Recht, NeurIPS 2007) of where the body is and how it moves: what a linear map of
#: the inputs alone cannot say, such as that an arm that is up comes down. Their scale is in metres.
N_RANDOM, RANDOM_M = 128, 1.0
_NS = 1e-9

#: Blocks of inputs: velocities, then from here the network's answers, then the usual poses.
_ANSWERS, _USUAL = len(LAGS_S), len(LAGS_S) + len(_ANSWER_AT)
_BLOCKS = _USUAL + len(USUAL_S)
_COSINE = np.float32(np.sqrt(2.0 / N_RANDOM))
#: Inputs that tell whether much was learnt where a person is now: the longest velocity, the farthest answer, and the
#: pose beside the usual one.
_TELLING_BLOCKS = np.array([_ANSWERS - 1, _USUAL - 1, _BLOCKS - 1])
TELLING = (_TELLING_BLOCKS[:, None] * 3 * len(INPUTS) + np.arange(3 * len(INPUTS))).ravel()
#: Number of inputs.
N_INPUTS = _BLOCKS * 3 * len(INPUTS) + N_RANDOM + 1
#: Blocks of the inputs that the random features are made of: the longest velocity, the shortest and the longest usual.
_RANDOM_OF = np.array([_ANSWERS - 1, _USUAL, _BLOCKS - 1])


class Features:
    """Inputs of the regression for all people at once, with what is remembered of each (a row, see `SelfCheck`).

    What is remembered are means of the pose in the body's own frame, over `USUAL_S`; they leave with the person.

    Args:
        dt_s: grid spacing.
        history: length of the windows.
        steps: length of the answers.
    """

    def __init__(self, dt_s: float, history: int, steps: int) -> None:
        lags = np.array([min(max(round(lag / dt_s), 1), history - 1) for lag in LAGS_S])
        answers = np.array([min(max(round(part * steps) - 1, 0), steps - 1) for part in _ANSWER_AT])
        self._seen = (np.array([history - 1, *(history - 1 - lags)])[:, None] * N_JOINTS + INPUTS).ravel()
        self._past = (3 * self._seen[:, None] + np.arange(3)).ravel()
        self._ahead = (3 * (answers[:, None] * N_JOINTS + INPUTS).reshape(-1, 1) + np.arange(3)).ravel()
        self._factor = (_VELOCITY_S / (lags * dt_s)).astype(np.float32)[:, None, None]
        self._rate = -1.0 / np.array(USUAL_S)
        self._sum = np.zeros((0, len(USUAL_S), len(INPUTS), 3), np.float32)
        self._weight = np.zeros((0, len(USUAL_S), len(INPUTS), 1), np.float32)
        self._usual = np.zeros_like(self._sum)
        self._known = np.zeros(self._weight.shape, bool)
        self._last_ns = np.zeros(0, np.int64)

    @cached_property
    def _random(self) -> tuple[np.ndarray, np.ndarray]:
        """Directions and phases of the random features; numpy's part that draws them takes long to load."""
        rng = np.random.default_rng(0)
        of = len(_RANDOM_OF) * 3 * len(INPUTS)
        directions = (rng.normal(size=(of, N_RANDOM)) / RANDOM_M).astype(np.float32)
        return directions, rng.uniform(0.0, 2.0 * np.pi, N_RANDOM).astype(np.float32)

    def warm_up(self) -> None:
        """Draw what is drawn once, so that no prediction waits for it."""
        _ = self._random

    def start(self, row: int) -> None:
        """A new person has this row: nothing is remembered."""
        while row >= len(self._last_ns):
            more = max(len(self._last_ns), 16)
            for name in ("_sum", "_weight", "_usual", "_known", "_last_ns"):
                a = getattr(self, name)
                setattr(self, name, np.concatenate([a, np.zeros((more, *a.shape[1:]), a.dtype)]))
        self._sum[row], self._weight[row], self._known[row], self._last_ns[row] = 0.0, 0.0, False, 0

    def remember(self, rows: np.ndarray, stamp_ns: np.ndarray, values: np.ndarray, seen: np.ndarray) -> None:
        """What is usual of these people moves on; once what was taken of now is out.

        Args:
            rows: (N,) of the people.
            stamp_ns: (N,) of the newest observation.
            values: (N, J, 3) metres, the newest pose, normalised; seen: (N, J) bool.
        """
        now, sees = values[:, None, INPUTS], seen[:, None, INPUTS, None]
        passed_s = np.minimum(np.maximum((stamp_ns - self._last_ns[rows]) * _NS, 0.0), _MOST_S)
        self._last_ns[rows] = stamp_ns
        keep = np.exp(passed_s[:, None] * self._rate).astype(np.float32)[:, :, None, None]
        new = (1.0 - keep) * sees
        weight = keep * self._weight[rows] + new
        total = keep * self._sum[rows] + new * now
        self._weight[rows], self._sum[rows] = weight, total
        self._known[rows] = weight > 0.0
        self._usual[rows] = total / np.maximum(weight, 1e-9)

    def take(self, rows: np.ndarray, values: np.ndarray, mask: np.ndarray, future: np.ndarray) -> np.ndarray:
        """Inputs of these people now.

        Args:
            rows: (N,) of the people.
            values: (N, T, J, 3) metres, normalised, zero where not observed; mask: (N, T, J) bool.
            future: (N, S, J, 3) the network's answer.

        Returns:
            (N, `N_INPUTS`) float32; zero where a joint is not seen now.
        """
        n = len(rows)
        i = len(INPUTS)
        past = values.reshape(n, -1).take(self._past, 1).reshape(n, -1, i, 3)  # (N, 1 + lags, I, 3)
        seen = mask.reshape(n, -1).take(self._seen, 1).reshape(n, -1, i)
        ahead = future.reshape(n, -1).take(self._ahead, 1).reshape(n, -1, i, 3)
        now, sees = past[:, :1], seen[:, :1, :, None]
        x = np.empty((n, _BLOCKS, len(INPUTS), 3), np.float32)
        np.subtract(now, past[:, 1:], out=x[:, :_ANSWERS])
        whole, known = every(seen), self._known[rows]
        x[:, :_ANSWERS] *= self._factor if whole else self._factor * seen[:, 1:, :, None]
        np.subtract(ahead, now, out=x[:, _ANSWERS:_USUAL])
        np.subtract(now, self._usual[rows], out=x[:, _USUAL:])
        if not every(known):
            x[:, _USUAL:] *= known
        if not whole:
            x *= sees
        np.minimum(np.maximum(x, -_LARGEST, out=x), _LARGEST, out=x)
        out = np.empty((n, N_INPUTS), np.float32)
        out[:, : -1 - N_RANDOM] = x.reshape(n, -1)
        directions, phases = self._random
        cosine = np.cos(x[:, _RANDOM_OF].reshape(n, -1) @ directions + phases)
        np.multiply(cosine, _COSINE, out=out[:, -1 - N_RANDOM : -1])
        out[:, -1] = _BIAS
        return out
