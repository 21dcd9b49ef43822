# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A backend by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aux_motion_core.inference import artefact, baselines
from aux_motion_core.inference.artefact import ArtefactError
from aux_motion_core.inference.interface import Backend
from aux_motion_core.inference.onnx import Loading, OnnxBackend

#: Names of `make_backend` that run the model; the baselines come beside them.
MODEL_BACKENDS = ("onnx", "tensorrt", "tensorrt_rtx", "auto")


def make_backend(name: str, model_dir: str | Path = "", threads: int = 1, **options: Any) -> Backend:
    """The backend of that name: one that runs the artefact in `model_dir`, or a baseline.

    `tensorrt` and `tensorrt_rtx` answer from the CPU where they cannot work, and say why in `about["fallback"]`.
    `auto` takes TensorRT where it works, else onnxruntime, and says which and why.

    Args:
        name: one of `MODEL_BACKENDS` or a baseline.
        model_dir: folder of the artefact.
        threads: of the CPU session; 0: automatic.
        options: `cores`, `share` (of `onnx`, see `OnnxBackend`), `beside` (of `onnx`: return before the model is
            loaded, see `Loading`), `engine_dir`, `deadline_s`, `strict`, `windows` (see
            `aux_motion_core.inference.tensorrt.make`); what a backend does not know it ignores.

    Raises:
        ArtefactError: the artefact is missing or wrong, or with `strict` the engine.
        ValueError: no backend has that name.
    """
    if name in baselines.BASELINES:
        return baselines.make(name)
    if name not in MODEL_BACKENDS:
        known = ", ".join((*MODEL_BACKENDS, *baselines.BASELINES))
        raise ValueError(f"no backend is called {name!r}: choose {known}")
    if name == "onnx":
        return _onnx(Path(model_dir), threads, options)
    loaded = artefact.load(model_dir)
    from aux_motion_core.inference import tensorrt  # which takes as long to load as the model

    of_gpu = {k: v for k, v in options.items() if k not in ("share", "beside")}
    return tensorrt.make(name, loaded, threads, **of_gpu)


def _onnx(folder: Path, threads: int, options: dict[str, Any]) -> OnnxBackend:
    file = artefact.onnx_file(folder)
    beside = options.get("beside") and threads and file.is_file()  # automatic threads are measured with it
    loading = Loading(file) if beside else None  # while the card is read
    try:
        return OnnxBackend(artefact.load(folder), threads, options.get("cores"), options.get("share"), loading)
    except ArtefactError:
        if loading is not None:
            loading.wait()
        raise
