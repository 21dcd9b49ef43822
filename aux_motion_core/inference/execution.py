# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""An engine on a GPU, through PyCUDA."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from aux_motion_core.inference.artefact import OUTPUTS
from aux_motion_core.inference.cuda import Gpu, GpuError
from aux_motion_core.inference.engine import TUNED_PEOPLE, EngineCard, logger
from aux_motion_core.inference.interface import Answer

#: File beside the engine in which RTX keeps what it compiled for this GPU.
RUNTIME_CACHE = "runtime.cache"
#: The first runs compile and load kernels; seconds.
_WARM_UP_S = 60.0
_RUNS = 20
#: How long `close` waits for a GPU that has not answered; seconds.
_LAST_WAIT_S = 1.0
#: What a GPU that never answered still writes to: freeing it would wait for ever.
_ABANDONED: list[Any] = []


class GpuLate(GpuError):
    """The GPU did not answer by the deadline."""


class Execution:
    """An engine on a GPU: one context, one stream, page-locked and device buffers for the largest batch.

    Args:
        trt: flavour of TensorRT.
        gpu: open; closed with this.
        plan: engine.
        card: what engine.json says.
        cache_file: RTX's runtime cache.

    Raises:
        GpuError: the engine cannot be loaded, or there is too little memory. Everything is given back then.
    """

    def __init__(
        self, trt: ModuleType, gpu: Gpu, plan: bytes, card: EngineCard, cache_file: Path | None = None
    ) -> None:
        self.max_people = card.max_people
        self._trt, self._cache_file = trt, cache_file
        self._gpu: Any = gpu  # None once it was given back
        self._pending = False
        self._shaped = 0
        self._device: dict[str, Any] = {}
        self._host: dict[str, np.ndarray] = {}
        self._engine: Any = None
        self._context: Any = None
        self._runtime: Any = None
        self._cache: Any = None
        self._stream: Any = None
        self._event: Any = None
        self._inputs: dict[str, tuple[int, ...]] = {}
        self._outputs: dict[str, tuple[int, ...]] = {}
        self._graphs: dict[int, Any] = {}
        try:
            with gpu.current():
                self._load(plan, card)
                self._warm_up()
        except BaseException:
            self.close()
            raise

    def _load(self, plan: bytes, card: EngineCard) -> None:
        trt, gpu = self._trt, self._gpu
        log = logger(trt)
        self._runtime = trt.Runtime(log)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise GpuError(f"{trt.__name__} {trt.__version__} cannot load the engine: {log.last()}")
        self._inputs = {n: tuple(s[1:]) for n, s in card.inputs.items()}
        self._outputs = {n: tuple(s[1:]) for n, s in card.outputs.items()}
        sizes = {n: (card.max_people, *s) for n, s in {**self._inputs, **self._outputs}.items()}
        needed = 4 * sum(int(np.prod(s)) for s in sizes.values())
        engine = self._engine
        needed += int(getattr(engine, "device_memory_size_v2", 0) or getattr(engine, "device_memory_size", 0) or 0)
        free = gpu.free_bytes()
        if free < needed:
            raise GpuError(
                f"too little GPU memory: expected {needed / 2**20:.0f} MiB, {free / 2**20:.0f} MiB are free: end other "
                "programs on the GPU, or compile with a smaller --max-people"
            )
        self._context = self._make_context()
        if self._context is None:
            raise GpuError(f"{trt.__name__} cannot make an execution context: {log.last()}")
        for name, size in sizes.items():
            self._host[name] = gpu.host(size, np.float32)
            self._device[name] = gpu.device(4 * int(np.prod(size)))
            self._context.set_tensor_address(name, int(self._device[name]))
        self._stream, self._event = gpu.stream(), gpu.event()

    def _make_context(self) -> Any:
        """An execution context; of RTX one that keeps what it compiles, and replays whole graphs."""
        strategies = getattr(self._trt, "CudaGraphStrategy", None)
        if strategies is None:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        self._cache = config.create_runtime_cache()
        if self._cache_file is not None and self._cache_file.is_file():
            with suppress(OSError):  # what is not there is compiled again
                self._cache.deserialize(self._cache_file.read_bytes())  # of another GPU or version: refused, made again
        config.set_runtime_cache(self._cache)
        config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE
        return self._engine.create_execution_context(config)

    def _common(self) -> list[int]:
        return sorted({*range(1, min(TUNED_PEOPLE, self.max_people) + 1), self.max_people})

    def _zeros(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        values, mask = (np.zeros((n, *s), np.float32) for s in self._inputs.values())
        return values, mask

    def _warm_up(self) -> None:
        """Run the common batches; what RTX compiled meanwhile is kept for the next start."""
        for n in self._common():
            for _ in range(2):
                self._run(*self._zeros(n), time.perf_counter() + _WARM_UP_S)
        if self._cache is None:
            self._try_graphs()
        elif self._cache_file is not None:
            part = self._cache_file.with_suffix(f".{os.getpid()}")
            try:
                part.write_bytes(bytes(memoryview(self._cache.serialize())))
                os.replace(part, self._cache_file)
            except OSError:  # a read-only model folder: it is compiled again at the next start
                part.unlink(missing_ok=True)

    def _try_graphs(self) -> None:
        """Capture the common batches as CUDA graphs (cuda.bindings) where replaying one person's is faster."""
        try:
            from cuda.bindings import driver as cu
        except ImportError:
            return
        self._cu = cu

        def median() -> float:
            spent = []
            for _ in range(_RUNS):
                start = time.perf_counter()
                self._run(*self._zeros(1), start + _WARM_UP_S)
                spent.append(time.perf_counter() - start)
            return float(np.median(spent))

        plain = median()
        try:
            self._graphs[1] = self._capture(1)
            if median() < plain:
                self._graphs |= {n: self._capture(n) for n in self._common() if n != 1}
                return
        except GpuLate:
            raise
        except Exception:  # what this engine does cannot be captured; the driver raises what it likes
            pass
        self._drop_graphs()

    def _capture(self, n: int) -> Any:
        self._run(*self._zeros(n), time.perf_counter() + _WARM_UP_S)  # nothing is allocated while capturing
        cu, stream = self._cu, self._cu.CUstream(self._stream.handle)
        self._check(*cu.cuStreamBeginCapture(stream, cu.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED))
        try:
            self._enqueue(n)
        finally:
            graph = self._check(*cu.cuStreamEndCapture(stream))
        made = self._check(*cu.cuGraphInstantiate(graph, 0))
        self._check(*cu.cuGraphDestroy(graph))
        return made

    def _drop_graphs(self) -> None:
        for made in self._graphs.values():
            self._cu.cuGraphExecDestroy(made)
        self._graphs = {}

    def _check(self, status: Any, value: Any = None) -> Any:
        if int(status) != 0:
            raise GpuError(f"CUDA graph: {status.name}")
        return value

    def _enqueue(self, n: int) -> None:
        gpu, stream = self._gpu, self._stream
        for name in self._inputs:
            gpu.to_device(self._device[name], self._host[name][:n], stream)
        if not self._context.execute_async_v3(stream.handle):
            raise GpuError("TensorRT could not start the inference: see nvidia-smi")
        for name in self._outputs:
            gpu.to_host(self._host[name][:n], self._device[name], stream)

    def run(self, values: np.ndarray, mask: np.ndarray, end_s: float) -> Answer:
        """Predict up to `max_people`; `end_s` on `time.perf_counter`.

        Raises:
            GpuLate: no answer by then; the GPU still works on it, see `busy`.
            GpuError: the GPU is lost.
        """
        with self._gpu.current():
            return self._run(values, mask, end_s)

    def _run(self, values: np.ndarray, mask: np.ndarray, end_s: float) -> Answer:
        n = len(values)
        for (name, shape), array in zip(self._inputs.items(), (values, mask)):
            self._host[name][:n] = array
            if n != self._shaped:
                self._context.set_input_shape(name, (n, *shape))
        self._shaped = n
        if n in self._graphs:
            self._check(*self._cu.cuGraphLaunch(self._graphs[n], self._cu.CUstream(self._stream.handle)))
        else:
            self._enqueue(n)
        self._event.record(self._stream)
        self._pending = True
        while not self._event.query():
            if time.perf_counter() > end_s:
                raise GpuLate("the GPU did not answer in time")
            time.sleep(0)
        self._pending = False
        future, recovered, *scale = (self._host[name][:n].copy() for name in OUTPUTS if name in self._outputs)
        return future, recovered, scale[0] if scale else None

    @property
    def uses_graphs(self) -> bool:
        """Whether runs are replayed as CUDA graphs."""
        return bool(self._graphs) or self._cache is not None

    def busy(self) -> bool:
        """Whether the GPU still works on what was late; `GpuError` when it is lost."""
        if self._pending:
            with self._gpu.current():
                self._pending = not self._event.query()
        return self._pending

    def close(self) -> None:
        """Give everything back; what a GPU that never answered holds is left to the end of the process."""
        gpu, end = self._gpu, time.monotonic() + _LAST_WAIT_S
        if gpu is None:
            return
        try:
            while self.busy() and time.monotonic() < end:
                time.sleep(0.005)
        except GpuError:
            self._pending = False  # lost: nothing runs any more
        if self._pending:
            held = (self._context, self._engine, self._runtime, self._cache, self._stream, self._event)
            _ABANDONED.append((held, self._host, self._device, self._graphs, gpu))
            self._forget()
            return
        try:
            with gpu.current():
                self._drop_graphs()
                for memory in self._device.values():
                    memory.free()
                self._forget()
        except GpuError:
            self._forget()  # the context went with the GPU, and all that was in it
        gpu.close()

    def _forget(self) -> None:
        self._context = self._cache = self._engine = self._runtime = self._stream = self._event = None
        self._device, self._host, self._graphs = {}, {}, {}
        self._gpu, self._pending = None, False
