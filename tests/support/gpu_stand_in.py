# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A stand-in for the CUDA driver and TensorRT's runtime: computes on the CPU, counts what is held, fails on demand."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from aux_motion_core.inference import artefact, engine
from aux_motion_core.inference.cuda import GpuError
from aux_motion_core.inference.onnx import OnnxBackend

SM = "sm89"


class StandInGpu:
    """What `cuda.Gpu` is, without one.

    Attributes:
        held: kind -> how many are held now, over all instances made by one `Machine`.
    """

    def __init__(self, machine: Machine) -> None:
        if not machine.has_gpu:
            raise GpuError("no GPU answers (no device): see nvidia-smi")
        self.machine, self.held = machine, machine.held
        self.name, self.sm = "stand-in", SM
        self.held["contexts"] += 1
        self.inside = 0

    @contextmanager
    def current(self):
        if self.machine.lost:
            raise GpuError("the GPU is lost (unknown error): see nvidia-smi and dmesg")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def free_bytes(self) -> int:
        return self.machine.free_bytes

    def host(self, shape, dtype) -> np.ndarray:
        assert self.inside
        return np.empty(shape, dtype)

    def device(self, nbytes: int) -> StandInMemory:
        assert self.inside
        return StandInMemory(self, nbytes)

    def stream(self):
        assert self.inside
        return SimpleNamespace(handle=1)

    def event(self):
        return SimpleNamespace(record=lambda stream: None, query=self._query)

    def _query(self) -> bool:
        assert self.inside
        if self.machine.lost:
            raise GpuError("the GPU is lost (unknown error): see nvidia-smi and dmesg")
        return not self.machine.hangs

    def to_device(self, target, source, stream) -> None:
        assert self.inside
        target.bytes[: source.nbytes] = source.reshape(-1).view(np.uint8)

    def to_host(self, target, source, stream) -> None:
        assert self.inside
        target.reshape(-1).view(np.uint8)[:] = source.bytes[: target.nbytes]

    def close(self) -> None:
        self.held["contexts"] -= 1


class StandInMemory:
    """Device memory; its address is a number of its own."""

    by_address: dict[int, StandInMemory] = {}

    def __init__(self, gpu: StandInGpu, nbytes: int) -> None:
        self.gpu, self.bytes = gpu, np.zeros(nbytes, np.uint8)
        self.address = id(self)
        self.by_address[self.address] = self
        gpu.held["memory"] += 1

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        del self.by_address[self.address]
        self.gpu.held["memory"] -= 1


class _Context:
    def __init__(self, machine: Machine) -> None:
        self.machine, self.shapes, self.addresses = machine, {}, {}

    def set_tensor_address(self, name: str, address: int) -> None:
        self.addresses[name] = address

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> None:
        assert shape[0] <= self.machine.max_people
        self.shapes[name] = shape

    def execute_async_v3(self, handle: int) -> bool:
        memory = {n: StandInMemory.by_address[a].bytes for n, a in self.addresses.items()}
        given = {n: memory[n].view(np.float32)[: int(np.prod(s))].reshape(s) for n, s in self.shapes.items()}
        answer = self.machine.model.infer(given["positions"], given["observed"])
        for name, value in zip(self.machine.artefact.output_names, answer):
            memory[name].view(np.float32)[: value.size] = value.reshape(-1)
        self.machine.runs.append(len(given["positions"]))
        return True


class Machine:
    """A computer with a stand-in GPU and a stand-in TensorRT.

    Args:
        model_dir: artefact that its engines hold.
        flavour: module name of the TensorRT.
        real: a real module that builds; without one nothing can be built.
    """

    version = "1.7.1.116"

    def __init__(self, model_dir, flavour: str = "tensorrt_rtx", real=None) -> None:
        self.held, self.runs = Counter(), []
        self.has_gpu, self.hangs, self.lost = True, False, False
        self.free_bytes, self.max_people = 2**30, 16
        self.artefact = artefact.load(model_dir)
        self.model = OnnxBackend(self.artefact)
        self.flavour = flavour

        class Logger:
            ERROR, INTERNAL_ERROR = 1, 0

        self.saved = b"compiled"

        def engine(plan: bytes):
            cache = SimpleNamespace(deserialize=lambda blob: True, serialize=lambda: self.saved)
            config = SimpleNamespace(create_runtime_cache=lambda: cache, set_runtime_cache=lambda c: True)
            return SimpleNamespace(
                device_memory_size_v2=2**20,
                create_runtime_config=lambda: config,
                create_execution_context=lambda *config: _Context(self),
            )

        parts = {"Runtime": lambda log: SimpleNamespace(deserialize_cuda_engine=engine), "ILogger": Logger}
        if real is not None:
            parts = {**vars(real), "Runtime": parts["Runtime"]}
        elif flavour == "tensorrt_rtx":
            parts["CudaGraphStrategy"] = SimpleNamespace(DISABLED=0, WHOLE_GRAPH_CAPTURE=1)
        self.trt = SimpleNamespace(**{**parts, "__name__": flavour, "__version__": self.version})

    def open_gpu(self) -> StandInGpu:
        return StandInGpu(self)

    def load_flavour(self, name: str):
        if name != self.flavour:
            raise engine.EngineError(f"{name} is not installed")
        return self.trt

    def holds_nothing(self) -> bool:
        return not any(self.held.values())

    def engine(self, folder, **changes) -> None:
        """Write an engine of the stand-in, as `build.build` would."""
        plan = b"a plan"
        card = {
            "model": self.artefact.name,
            "model_version": self.artefact.version,
            "onnx_sha256": self.artefact.onnx_sha256,
            "flavour": self.flavour,
            "flavour_version": self.version,
            "target": SM,
            "gpu": None,
            "precision": "fp32",
            "max_people": self.max_people,
            "inputs": engine.shapes(self.artefact.inputs),
            "outputs": engine.shapes(self.artefact.outputs),
            "settings": {},
            "parity": {"cpu": None, "gpu": None},
            "plan_sha256": hashlib.sha256(plan).hexdigest(),
            "build_s": 0.0,
            **changes,
        }
        folder.mkdir(exist_ok=True)
        (folder / engine.PLAN).write_bytes(plan)
        (folder / engine.CARD).write_bytes(engine.card_content(engine.EngineCard(**card)))
