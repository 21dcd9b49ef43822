# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The interface of everything that predicts: the model's runtimes and the baselines."""

from __future__ import annotations

from collections import Counter
from typing import Protocol, TypeAlias

import numpy as np

#: What `Backend.infer` returns: future, recovered, and scale or None.
Answer: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class Backend(Protocol):
    """Predicts all people in one batch, in the normalised frame (see `aux_motion_core.history.normalise`).

    Attributes:
        counters: what happened beside plain inference, such as frames that the CPU had to answer.
        about: for the diagnostics: backend, and where they apply flavour, engine file, precision, and `fallback`, why
            another backend than the one asked for answers.
        fell_back: the last answer came from the CPU although something else was asked for.
    """

    name: str
    version: str
    joint_names: tuple[str, ...]
    dt_s: float
    history_steps: int
    future_steps: int
    counters: Counter[str]
    about: dict[str, str]
    fell_back: bool

    def infer(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        """Predict.

        Args:
            values: (N, history, joints, 3) float32 metres, zero where not observed.
            mask: (N, history, joints) bool, which are observed.

        Returns:
            future (N, steps, joints, 3) float32, the history with its gaps recovered (N, history, joints, 3), and the
            scale of the future's error (N, steps, joints, 3), one sigma per axis in metres, or None without it.
        """
        ...

    def open(self) -> None:
        """Take again what `close` gave back; a new backend is open."""
        ...

    def close(self) -> None:
        """Give back memory and GPU; it is not used until it is opened again."""
        ...
