# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the CPU backend was chosen from: the same model run in other ways, for `aux-motion bench --backends`."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from aux_motion_core.inference import precision, tensorrt
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.build import Windows
from aux_motion_core.inference.compile import open_gpu
from aux_motion_core.inference.interface import Backend
from aux_motion_core.inference.onnx import OnnxBackend

_CPU = ("CPUExecutionProvider",)
Infer = Callable[[np.ndarray, np.ndarray], Any]
#: Calls of one variant in a row, before the next one's turn: the machine's mood hits all alike.
_TURN = 25
#: What is so slow that it took this long gets no further turn; seconds.
_MOST_S = 3.0


def _options(threads: int = 1, spin: bool = False, arena: bool = True, **entries: str) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    return options


def _session(model: str | bytes, options: ort.SessionOptions, providers: Sequence[str] = _CPU) -> Infer:
    session = ort.InferenceSession(model, options, providers=list(providers))
    names = [o.name for o in session.get_outputs()]

    def infer(values: np.ndarray, mask: np.ndarray) -> Any:
        return session.run(names, {"positions": values, "observed": mask.astype(np.float32)})

    return infer


def _backend(backend: Backend) -> Infer:
    return lambda *batch: [x for x in backend.infer(*batch) if x is not None]


def _bound(model: str, options: ort.SessionOptions) -> Infer:
    """Inputs bound where they lie, outputs into buffers that are used again."""
    session = ort.InferenceSession(model, options, providers=list(_CPU))
    binding, buffers = session.io_binding(), {}

    def infer(values: np.ndarray, mask: np.ndarray) -> Any:
        n = len(values)
        if n not in buffers:
            buffers[n] = {o.name: np.empty((n, *o.shape[1:]), np.float32) for o in session.get_outputs()}
        observed = mask.astype(np.float32)
        for name, array in (("positions", values), ("observed", observed)):
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in buffers[n].items():
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        session.run_with_iobinding(binding)
        return tuple(buffers[n].values())

    return infer


def _fixed_batch(model: str) -> Infer:
    """A session for each batch, its shapes known when the graph is optimised."""
    sessions: dict[int, Infer] = {}

    def infer(values: np.ndarray, mask: np.ndarray) -> Any:
        if len(values) not in sessions:
            options = _options()
            options.add_free_dimension_override_by_name("batch", len(values))
            sessions[len(values)] = _session(model, options)
        return sessions[len(values)](values, mask)

    return infer


def _openvino(model: str, threads: int) -> Infer:
    import openvino as ov

    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(model, "CPU", config).create_infer_request()

    def infer(values: np.ndarray, mask: np.ndarray) -> Any:
        found = request.infer({"positions": values, "observed": mask.astype(np.float32)}, share_outputs=True)
        return tuple(found.values())

    return infer


@contextmanager
def variants(artefact: Artefact, windows: Windows) -> Iterator[dict[str, Callable[[], Infer]]]:
    """Name -> what makes it; the first one is what the backend `onnx` does. What is not installed is left out.

    Args:
        artefact: a checked one.
        windows: normalised values and mask of real windows, for the scales of int8.
    """
    file = str(artefact.onnx_file)
    with tempfile.TemporaryDirectory() as folder:
        saved = str(Path(folder) / "optimised.onnx")
        options = _options()
        options.optimized_model_filepath = saved
        ort.InferenceSession(file, options, providers=list(_CPU))
        plain = _options()
        plain.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        made: dict[str, Callable[[], Infer]] = {
            "onnx": lambda: _session(file, _options()),
            "onnx, 2 threads": lambda: _backend(OnnxBackend(artefact, 2)),
            "onnx, 2 intra-op threads": lambda: _session(file, _options(2)),
            "onnx, 2 intra-op threads that spin": lambda: _session(file, _options(2, spin=True)),
            "onnx, no arena": lambda: _session(file, _options(arena=False)),
            "onnx, denormals are zero": lambda: _session(file, _options(set_denormal_as_zero="1")),
            "onnx, saved optimised graph": lambda: _session(saved, plain),
            "onnx, io binding": lambda: _bound(file, _options()),
            "onnx, a session for each batch": lambda: _fixed_batch(file),
        }
        try:
            import onnx
            from onnxruntime.quantization import QuantType, quantize_dynamic
        except ImportError:
            pass
        else:
            dynamic = Path(folder) / "dynamic.onnx"
            linear = precision.linear_nodes(onnx.load(file).graph)
            with precision.quiet_quantizer():
                quantize_dynamic(file, dynamic, nodes_to_quantize=linear, weight_type=QuantType.QInt8, per_channel=True)
            static = precision.make(artefact, "int8", windows)
            made["onnx, int8 dynamic"] = lambda: _session(str(dynamic), _options())
            made["onnx, int8 static"] = lambda: _session(static, _options())
        try:
            import openvino  # noqa: F401
        except ImportError:
            pass
        else:
            made["openvino"] = lambda: _openvino(file, 1)
            made["openvino, 2 threads"] = lambda: _openvino(file, 2)
        if "CUDAExecutionProvider" in ort.get_available_providers():
            made["onnx, CUDA"] = lambda: _session(file, _options(), ["CUDAExecutionProvider"])
        made |= _on_gpu(artefact, windows)
        yield made


def _on_gpu(artefact: Artefact, windows: Windows) -> dict[str, Callable[[], Infer]]:
    """TensorRT, where it works here."""
    gpu = open_gpu()
    if gpu is None:
        return {}
    gpu.close()
    backend = tensorrt.make("auto", artefact, 1, deadline_s=1.0, windows=lambda _: windows)
    if backend.about["backend"] == "onnx":
        return {}
    return {backend.about["runtime"]: lambda: _backend(backend)}


def measure(
    artefact: Artefact,
    windows: Windows,
    people: list[int],
    rounds: int = 500,
    others: dict[str, Callable[[], Infer]] | None = None,
    only: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Time all variants in turn.

    Args:
        artefact: a checked one.
        windows: normalised values and mask of a recording, which are predicted.
        people: batch sizes.
        rounds: calls of each variant and batch.
        others: name -> what makes it: measured beside the variants.
        only: of the variants, which beside the first; None: all.

    Returns:
        One record a variant and batch: backend, people, p50_ms, p95_ms, p99_ms, load_ms (with the first call)
        and how far its answers are from the first variant's (mean_mm, most_mm).
    """
    values, mask = windows
    records, reference = [], None
    with variants(artefact, (values, mask)) as made:
        running: dict[str, Infer] = {}
        about: dict[str, dict[str, float]] = {}
        wanted = {n: make for n, make in made.items() if only is None or n == "onnx" or n in only}
        for name, make in {**wanted, **(others or {})}.items():
            start = time.perf_counter()
            running[name] = make()
            running[name](values[:1], mask[:1])
            load_ms = round(1e3 * (time.perf_counter() - start), 1)
            answer = [np.array(part) for part in running[name](values, mask)]
            reference = reference or answer
            found = precision.parity(reference, answer)
            about[name] = {"load_ms": load_ms, "mean_mm": found["mean_mm"], "most_mm": found["most_mm"]}
        for n in people:
            pick = np.arange(n) * (len(values) // n)
            batch = np.ascontiguousarray(values[pick]), mask[pick]
            spent: dict[str, list[float]] = {name: [] for name in running}
            gc.collect()
            for name in running:
                for _ in range(3):
                    running[name](*batch)
            while len(spent["onnx"]) < rounds:
                for name, infer in running.items():
                    if sum(spent[name]) > _MOST_S and name != "onnx":
                        continue
                    infer(*batch)  # what ran before it has left its own traces
                    for _ in range(_TURN):
                        start = time.perf_counter()
                        infer(*batch)
                        spent[name].append(time.perf_counter() - start)
                        if sum(spent[name]) > _MOST_S and name != "onnx":
                            break
            for name, seconds in spent.items():
                p50, p95, p99 = (round(1e3 * float(q), 3) for q in np.percentile(seconds, (50, 95, 99)))
                row = {"backend": name, "people": n, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}
                records.append({**row, **about[name]})
    return records


def table(records: list[dict[str, Any]]) -> str:
    """Records of `measure` as text."""
    head = f"{'backend':<32}{'people':>7}{'p50 ms':>9}{'p99 ms':>9}{'load ms':>9}{'from onnx, mm: mean':>21}{'most':>8}"
    lines = [head, "-" * len(head)]
    for r in records:
        lines.append(
            f"{r['backend']:<32}{r['people']:>7}{r['p50_ms']:>9.2f}{r['p99_ms']:>9.2f}{r['load_ms']:>9.0f}"
            f"{r['mean_mm']:>21.3f}{r['most_mm']:>8.2f}"
        )
    return "\n".join(lines)
