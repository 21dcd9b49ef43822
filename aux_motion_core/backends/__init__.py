"""What predicts: one interface for the model's runtimes and the baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np


class Backend(Protocol):
    """Predicts all people in one batch, in the normalised frame (see `aux_motion_core.normalise`)."""

    name: str
    version: str
    joint_names: tuple[str, ...]
    dt_s: float
    history_steps: int
    future_steps: int

    def infer(self, values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict.

        Args:
            values: (N, history, joints, 3) float32 metres, zero where not observed.
            mask: (N, history, joints) bool, which are observed.

        Returns:
            future (N, steps, joints, 3) float32, and the history with its gaps recovered (N, history, joints, 3).
        """
        ...


def make_backend(name: str, model_dir: str | Path = "", threads: int = 1) -> Backend:
    """The backend of that name: `onnx` (the artefact in `model_dir`) or a baseline.

    Raises:
        ArtefactError: the artefact is missing or wrong.
        ValueError: no backend has that name.
    """
    from aux_motion_core import baselines

    if name == "onnx":
        from aux_motion_core import artefact
        from aux_motion_core.backends.onnx import OnnxBackend

        return OnnxBackend(artefact.load(model_dir), threads)
    if name in baselines.BASELINES:
        return baselines.make(name)
    raise ValueError(f"no backend is called {name!r}: choose onnx, {', '.join(baselines.BASELINES)}")
