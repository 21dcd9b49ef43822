# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""TensorRT, with a warm CPU session for the frame that the GPU does not answer in time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from aux_motion_core.inference import engine as engines
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.build import Windows, build
from aux_motion_core.inference.cuda import Gpu, GpuError
from aux_motion_core.inference.execution import RUNTIME_CACHE, Execution, GpuLate
from aux_motion_core.inference.interface import Answer
from aux_motion_core.inference.onnx import OnnxBackend


class TensorrtBackend:
    """The model on the GPU. See `Backend` for the interface; `make` for the arguments.

    A frame that the GPU does not answer by the deadline is answered by the CPU session, and so are all while the GPU
    still works on it; a lost GPU is given up until `open` is called again.
    """

    def __init__(
        self,
        name: str,
        artefact: Artefact,
        cpu: OnnxBackend,
        start: Callable[[], tuple[Execution, dict[str, str]]],
        deadline_s: float,
        strict: bool,
    ) -> None:
        self._asked, self._cpu, self._start = name, cpu, start
        self._deadline_s, self._strict = deadline_s, strict
        self._execution: Execution | None = None
        self.name, self.version = artefact.name, artefact.version
        self.joint_names = cpu.joint_names
        self.dt_s, self.history_steps, self.future_steps = cpu.dt_s, cpu.history_steps, cpu.future_steps
        self.calibration = cpu.calibration
        self.counters: Counter[str] = Counter()
        self.about: dict[str, str] = {}
        self.fell_back = False
        self._opened = False
        self.open()

    def open(self) -> None:
        """See `Backend.open`."""
        if self._opened:
            return
        self._cpu.open()
        steps = self.history_steps
        self._cpu.infer(*(np.zeros((1, steps, len(self.joint_names), *s), np.float32) for s in ((3,), ())))
        start = time.perf_counter()
        try:
            self._execution, about = self._start()
            self.about = {**about, "load_s": f"{time.perf_counter() - start:.2f}"}
            self.fell_back = False
        except Exception as error:  # TensorRT, the driver and what they load raise what they like
            if self._strict:
                self._cpu.close()
                raise engines.EngineError(_line(error)) from None
            self.about = dict(self._cpu.about)
            self.fell_back = self._asked != "auto"  # auto did not ask for a GPU
            self.about["fallback" if self.fell_back else "why"] = _line(error)
        self._opened = True

    def infer(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        """See `Backend.infer`; more people than the engine takes are split."""
        if self._execution is not None:
            try:
                if not self._execution.busy():
                    answer = self._on_gpu(values, mask)
                    self.fell_back = False
                    self.about.pop("fallback", None)
                    return answer
                self.counters["gpu_busy"] += 1
            except GpuLate:
                self.counters["gpu_late"] += 1
                self.about["fallback"] = (
                    f"the GPU did not answer within {1e3 * self._deadline_s:.0f} ms: see nvidia-smi"
                )
            except Exception as error:  # whatever it is: the CPU answers from now on
                self.counters["gpu_lost"] += 1
                self.about["fallback"] = f"{_line(error)}; then clean up and configure the node"
                lost, self._execution = self._execution, None
                lost.close()
            self.fell_back = True
        if self.fell_back:
            self.counters["answered_by_cpu"] += 1
        return self._cpu.infer(values, mask)

    def _on_gpu(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        execution = self._execution
        assert execution is not None
        most, end_s = execution.max_people, time.perf_counter() + self._deadline_s
        if len(values) <= most:
            return execution.run(values, mask, end_s)
        self.counters["batches_split"] += 1
        cuts = [slice(i, i + most) for i in range(0, len(values), most)]
        parts = [execution.run(values[c], mask[c], end_s) for c in cuts]
        future, recovered = (np.concatenate([p[k] for p in parts]) for k in (0, 1))
        scales = [p[2] for p in parts if p[2] is not None]
        return future, recovered, np.concatenate(scales) if scales else None

    def close(self) -> None:
        """See `Backend.close`."""
        if self._execution is not None:
            self._execution.close()
            self._execution = None
        self._cpu.close()
        self._opened = False


def _line(error: Exception) -> str:
    """What is wrong in one line, with its kind where the package did not write it."""
    said = " ".join(str(error).split())
    return said if isinstance(error, (GpuError, engines.EngineError)) else f"{type(error).__name__}: {said}"


def _auto_precision(flavour: str, sm: str) -> str:
    """fp32, where that flavour can multiply fp32 matrices on that GPU."""
    return "fp16" if (flavour, sm) == ("tensorrt_rtx", engines.TURING) else "fp32"


def make(
    name: str,
    artefact: Artefact,
    threads: int = 1,
    engine_dir: str | Path = "",
    deadline_s: float = 0.02,
    strict: bool = False,
    max_people: int = 16,
    open_gpu: Callable[[], Gpu] = Gpu,
    load_flavour: Callable[[str], ModuleType] = engines.load_flavour,
    windows: Callable[[Artefact], Windows | None] | None = None,
    cores: int | None = None,
) -> TensorrtBackend:
    """A backend that runs the artefact with TensorRT.

    Args:
        name: `tensorrt`, `tensorrt_rtx`, or `auto` for the first of them that works.
        artefact: a checked one.
        threads: of the CPU session.
        engine_dir: folder made by `aux-motion compile`; empty: the one that `auto` built into its cache.
        deadline_s: longest wait for the GPU, then the CPU answers.
        strict: raise instead of answering from the CPU.
        max_people: largest batch of an engine that `auto` builds.
        open_gpu: opens the GPU.
        load_flavour: imports TensorRT.
        windows: gives real windows to compare a lower precision on, when `auto` builds an engine; None: it is not
            compared.
        cores: see `OnnxBackend`.

    Raises:
        EngineError: with `strict`, what is wrong and the command that builds the engine.
    """

    def of_flavour(flavour: str) -> tuple[Execution, dict[str, str]]:
        trt = load_flavour(flavour)
        gpu = open_gpu()
        try:
            precision = _auto_precision(flavour, gpu.sm)
            folder = Path(engine_dir or engines.cache_dir(artefact, trt, gpu.sm, precision, max_people))
            built = ""
            try:
                card, plan = engines.read_plan(folder, artefact, trt, gpu.sm)
            except engines.EngineError as error:
                if name != "auto":
                    raise
                if engine_dir and (folder / engines.CARD).is_file():
                    built = f"instead of one that does not match ({str(error).split(': build')[0]}); "
                folder = engines.cache_dir(artefact, trt, gpu.sm, precision, max_people)
                try:
                    card, plan = engines.read_plan(folder, artefact, trt, gpu.sm)
                except engines.EngineError:
                    real = windows(artefact) if windows is not None and precision != "fp32" else None
                    build(artefact, folder, gpu.sm, precision, max_people, real, flavour, gpu, trt)
                    built += f"built now into {folder}"
                    card, plan = engines.read_plan(folder, artefact, trt, gpu.sm)
        except BaseException:
            gpu.close()
            raise
        execution = Execution(trt, gpu, plan, card, folder / RUNTIME_CACHE)
        about = {
            "backend": flavour,
            "runtime": f"{flavour} {trt.__version__}",
            "engine": str(folder / engines.PLAN),
            "precision": card.precision,
            "gpu": f"{gpu.name} ({gpu.sm})",
            "cuda_graphs": str(execution.uses_graphs),
        }
        return execution, {**about, "engine_built": built} if built else about

    def start() -> tuple[Execution, dict[str, str]]:
        if name != "auto":
            return of_flavour(name)
        reasons = []
        for flavour in engines.FLAVOURS:
            try:
                return of_flavour(flavour)
            except Exception as error:  # see `TensorrtBackend.open`
                reasons.append(_line(error))
        raise GpuError("; ".join(dict.fromkeys(reasons)))

    return TensorrtBackend(name, artefact, OnnxBackend(artefact, threads, cores), start, deadline_s, strict)
