"""What predicts: one interface for the model's runtimes and the baselines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

#: Names of `make_backend` that run the model; the baselines come beside them.
MODEL_BACKENDS = ("onnx", "tensorrt", "tensorrt_rtx", "auto")

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


def make_backend(name: str, model_dir: str | Path = "", threads: int = 1, **options: Any) -> Backend:
    """The backend of that name: one that runs the artefact in `model_dir`, or a baseline.

    `tensorrt` and `tensorrt_rtx` answer from the CPU where they cannot work, and say why in `about["fallback"]`.
    `auto` takes TensorRT where it works, else onnxruntime, and says which and why.

    Args:
        name: one of `MODEL_BACKENDS` or a baseline.
        model_dir: folder of the artefact.
        threads: of the CPU session.
        options: `engine_dir`, `deadline_s`, `strict` (see `aux_motion_core.inference.tensorrt.make`); what a backend
            does not know it ignores.

    Raises:
        ArtefactError: the artefact is missing or wrong, or with `strict` the engine.
        ValueError: no backend has that name.
    """
    from aux_motion_core.inference import baselines

    if name in baselines.BASELINES:
        return baselines.make(name)
    if name not in MODEL_BACKENDS:
        known = ", ".join((*MODEL_BACKENDS, *baselines.BASELINES))
        raise ValueError(f"no backend is called {name!r}: choose {known}")
    from aux_motion_core.inference import artefact

    loaded = artefact.load(model_dir)
    if name == "onnx":
        from aux_motion_core.inference.onnx import OnnxBackend

        return OnnxBackend(loaded, threads)
    from aux_motion_core.inference import tensorrt

    return tensorrt.make(name, loaded, threads, **options)
