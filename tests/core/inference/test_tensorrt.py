# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The TensorRT backend: answers, deadline, a lost GPU, too little memory, engines that do not match, giving back.

Where no GPU is, a stand-in takes the place of driver and runtime; what only a GPU can show is skipped with a reason.
"""

from __future__ import annotations

import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
from support.core_helpers import MODEL
from support.gpu_stand_in import Machine

from aux_motion_core.inference import artefact, build, cuda, engine, execution, tensorrt
from aux_motion_core.inference.factory import make_backend


def windows(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mask = rng.random((n, 25, 20)) < 0.7
    return (0.5 * rng.normal(size=(n, 25, 20, 3)) * mask[..., None]).astype(np.float32), mask


def tensors(machine: Machine) -> list[str]:
    """What an engine has on the GPU."""
    return [*machine.artefact.inputs, *machine.artefact.outputs]


@pytest.fixture
def machine():
    return Machine(MODEL)


@pytest.fixture
def start(machine, tmp_path):
    """Make backends on the stand-in that are closed with the test; nothing may be held then."""
    made = []

    def run(name: str = "tensorrt_rtx", engine: bool = True, **options):
        if engine:
            machine.engine(tmp_path / "engine")
            options.setdefault("engine_dir", tmp_path / "engine")
        stand_in = {"open_gpu": machine.open_gpu, "load_flavour": machine.load_flavour}
        made.append(tensorrt.make(name, machine.artefact, **stand_in, **options))
        return made[-1]

    yield run
    machine.hangs = machine.lost = False
    for backend in made:
        backend.close()
    assert machine.holds_nothing()


@pytest.mark.parametrize("flavour", ["tensorrt", "tensorrt_rtx"])
def test_the_engine_answers_as_the_model_does(machine, tmp_path, flavour):
    machine = Machine(MODEL, flavour)
    machine.engine(tmp_path)
    backend = tensorrt.make(
        flavour, machine.artefact, engine_dir=tmp_path, open_gpu=machine.open_gpu, load_flavour=machine.load_flavour
    )
    for n in (1, 3, 2, 16):
        values, mask = windows(n, n)
        for got, expected in zip(backend.infer(values, mask), machine.model.infer(values, mask)):
            assert (got is None) == (expected is None)
            assert got is None or (got.shape == expected.shape and np.allclose(got, expected, atol=1e-6))
    assert not backend.fell_back and backend.counters["answered_by_cpu"] == 0
    assert backend.about["backend"] == flavour and backend.about["precision"] == "fp32"
    assert float(backend.about["load_s"]) >= 0.0
    backend.close()
    assert machine.holds_nothing()


def test_an_answer_is_not_overwritten_by_the_next(machine, start):
    backend = start()
    first = backend.infer(*windows(2, 1))[0]
    kept = first.copy()
    backend.infer(*windows(2, 2))
    assert np.array_equal(first, kept)


def test_more_people_than_the_engine_takes_are_split(machine, start):
    machine.max_people = 4
    backend = start()
    machine.runs.clear()
    values, mask = windows(10)
    got = backend.infer(values, mask)
    assert machine.runs == [4, 4, 2] and backend.counters["batches_split"] == 1
    assert np.allclose(got[0], machine.model.infer(values, mask)[0], atol=1e-5)


def test_a_hung_gpu_costs_one_frame_and_is_used_again_when_it_answers(machine, start):
    backend = start(deadline_s=0.01)
    values, mask = windows(1)
    expected = machine.model.infer(values, mask)[0]
    machine.hangs = True
    assert np.array_equal(backend.infer(values, mask)[0], expected)
    assert backend.fell_back and backend.counters["gpu_late"] == 1
    assert "did not answer within 10 ms" in backend.about["fallback"]
    runs = len(machine.runs)
    for _ in range(3):  # nothing waits for it, and nothing more is asked of it
        backend.infer(values, mask)
    assert backend.counters["gpu_late"] == 1 and backend.counters["gpu_busy"] == 3 and len(machine.runs) == runs
    machine.hangs = False
    assert np.allclose(backend.infer(values, mask)[0], expected, atol=1e-6)
    assert not backend.fell_back and "fallback" not in backend.about and len(machine.runs) == runs + 1
    assert backend.counters["answered_by_cpu"] == 4


def test_a_lost_gpu_leaves_the_cpu_until_the_backend_is_opened_again(machine, start):
    backend = start()
    values, mask = windows(2)
    machine.lost = True
    expected = machine.model.infer(values, mask)[0]
    for _ in range(2):
        assert np.array_equal(backend.infer(values, mask)[0], expected) and backend.fell_back
    assert backend.counters["gpu_lost"] == 1 and backend.counters["answered_by_cpu"] == 2
    assert "the GPU is lost" in backend.about["fallback"]
    assert machine.held["contexts"] == 0
    machine.held.clear()  # device memory went with the context
    machine.lost = False
    backend.close()
    backend.open()
    backend.infer(values, mask)
    assert not backend.fell_back and "fallback" not in backend.about


def test_a_gpu_that_never_answers_does_not_stop_the_closing(machine, start):
    backend = start(deadline_s=0.01)
    machine.hangs = True
    backend.infer(*windows(1))
    backend.close()  # the test's own limit would end a wait for ever
    assert machine.held["memory"] == len(tensors(machine))  # it may still write there
    execution._ABANDONED.clear()
    machine.held.clear()


def test_too_little_gpu_memory_is_said_with_numbers_and_the_cpu_predicts(machine, start, tmp_path):
    machine.free_bytes = 1000
    backend = start()
    assert backend.fell_back and "too little GPU memory: expected " in backend.about["fallback"]
    assert "--max-people" in backend.about["fallback"] and machine.holds_nothing()
    values, mask = windows(1)
    assert np.array_equal(backend.infer(values, mask)[0], machine.model.infer(values, mask)[0])
    with pytest.raises(engine.EngineError, match="too little GPU memory"):
        start(strict=True)
    assert machine.holds_nothing()


def test_no_gpu_is_said_and_the_cpu_predicts(machine, start):
    machine.has_gpu = False
    asked, auto = start(), start("auto")
    assert asked.fell_back and "no GPU answers" in asked.about["fallback"]
    assert not auto.fell_back and "no GPU answers" in auto.about["why"] and auto.about["backend"] == "onnx"
    for backend in (asked, auto):
        assert np.isfinite(backend.infer(*windows(1))[0]).all()
    assert asked.counters["answered_by_cpu"] == 1 and not auto.counters


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"onnx_sha256": "0" * 64}, "model.onnx: expected"),
        ({"target": "sm86"}, "GPU: expected sm89, it is for sm86"),
        ({"flavour_version": "1.0.0"}, "TensorRT: expected tensorrt_rtx 1.7.1.116, it is for tensorrt_rtx 1.0.0"),
        ({"flavour": "tensorrt"}, "it is for tensorrt 1.7"),
        ({"plan_sha256": "0" * 64}, "is not the one of engine.json"),
        ({"inputs": {"positions": [-1, 25, 20, 3]}}, "inputs: expected"),
    ],
)
def test_an_engine_that_does_not_match_is_refused_with_the_command_that_builds_it(machine, tmp_path, changes, said):
    machine.engine(tmp_path / "engine", **{"precision": "fp16", "max_people": 8, **changes})
    stand_in = {"open_gpu": machine.open_gpu, "load_flavour": machine.load_flavour}
    options = {"engine_dir": tmp_path / "engine", **stand_in}
    with pytest.raises(engine.EngineError) as refused:
        tensorrt.make("tensorrt_rtx", machine.artefact, strict=True, **options)
    assert said in str(refused.value) and "\n" not in str(refused.value)
    again = f"aux-motion compile {MODEL} --target sm89 --precision fp16 --max-people 8 --out {tmp_path / 'engine'}"
    assert again in str(refused.value)
    assert machine.holds_nothing()


def test_a_missing_or_broken_engine_names_the_command_that_builds_one(machine, tmp_path):
    stand_in = {"open_gpu": machine.open_gpu, "load_flavour": machine.load_flavour, "strict": True}
    for content in (None, b"", b"{}", b'{"schema_version": 9}'):
        if content is not None:
            (tmp_path / engine.CARD).write_bytes(content)
        with pytest.raises(engine.EngineError, match="aux-motion compile .* --out"):
            tensorrt.make("tensorrt_rtx", machine.artefact, engine_dir=tmp_path, **stand_in)


def test_auto_builds_once_into_the_cache_and_says_so(tmp_path, monkeypatch):
    real = pytest.importorskip("tensorrt_rtx_bindings", reason="tensorrt_rtx builds without a GPU; it is not installed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machine = Machine(MODEL, real=real)
    stand_in = {"open_gpu": machine.open_gpu, "load_flavour": machine.load_flavour}
    wrong = tmp_path / "engine"
    machine.engine(wrong, target="sm86")
    first = tensorrt.make("auto", machine.artefact, engine_dir=wrong, **stand_in)
    assert first.about["backend"] == "tensorrt_rtx" and not first.fell_back
    assert "it is for sm86" in first.about["engine_built"] and "built now into" in first.about["engine_built"]
    first.close()
    again = tensorrt.make("auto", machine.artefact, **stand_in)
    assert "engine_built" not in again.about and again.about["engine"] == first.about["engine"]
    assert again.about["engine"].startswith(str(tmp_path / "aux_motion"))
    again.close()
    runtime_cache = Path(again.about["engine"]).with_name(execution.RUNTIME_CACHE)
    assert runtime_cache.read_bytes() == machine.saved
    assert machine.holds_nothing()


def test_a_thousand_engines_come_and_go(machine, tmp_path):
    machine.engine(tmp_path)
    card = engine.read_card(tmp_path, MODEL)
    machine.model = types.SimpleNamespace(infer=lambda values, mask: ())  # what it computes does not matter here
    for _ in range(1000):
        gpu = machine.open_gpu()
        running = execution.Execution(machine.trt, gpu, b"a plan", card)
        assert machine.held == {"contexts": 1, "memory": len(tensors(machine))}
        running.close()
        running.close()  # twice does no harm
        assert machine.holds_nothing()


@pytest.mark.parametrize("breaks", ["deserialize", "context", "lost"])
def test_what_breaks_while_loading_gives_everything_back(machine, start, breaks):
    if breaks == "deserialize":
        machine.trt.Runtime = lambda log: types.SimpleNamespace(deserialize_cuda_engine=lambda plan: None)
    elif breaks == "context":
        make = machine.trt.Runtime

        def runtime(log):
            engine = make(log).deserialize_cuda_engine(b"")
            engine.create_execution_context = lambda *config: None
            return types.SimpleNamespace(deserialize_cuda_engine=lambda plan: engine)

        machine.trt.Runtime = runtime
    else:
        machine.lost = True
    backend = start()
    assert backend.fell_back and backend.about["fallback"] and machine.holds_nothing()


@pytest.mark.parametrize("name", ["tensorrt_rtx", "auto"])
def test_an_error_of_any_kind_at_the_start_leaves_the_cpu(machine, start, name):
    def broken(log):
        raise RuntimeError("symbol not\nfound")

    machine.trt.Runtime = broken
    backend = start(name)
    said = backend.about["fallback" if name == "tensorrt_rtx" else "why"]
    assert "RuntimeError: symbol not found" in said and machine.holds_nothing()
    assert np.isfinite(backend.infer(*windows(1))[0]).all()
    with pytest.raises(engine.EngineError, match="RuntimeError: symbol not found"):
        start(name, strict=True)


def test_an_error_of_any_kind_while_running_costs_one_frame(machine, start):
    backend = start()
    values, mask = windows(2)
    expected = machine.model.infer(values, mask)[0]

    def broken(handle):
        raise RuntimeError("unknown exception")

    backend._execution._context.execute_async_v3 = broken
    for _ in range(2):
        assert np.array_equal(backend.infer(values, mask)[0], expected) and backend.fell_back
    assert backend.counters["gpu_lost"] == 1 and "RuntimeError: unknown exception; then" in backend.about["fallback"]
    assert machine.holds_nothing()


def test_a_runtime_cache_that_cannot_be_read_is_made_again(machine, start, tmp_path, monkeypatch):
    machine.engine(tmp_path / "engine")
    file = tmp_path / "engine" / execution.RUNTIME_CACHE
    file.write_bytes(b"old")
    read = Path.read_bytes

    def refused(path):
        if path == file:
            raise PermissionError(13, "Permission denied")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        assert not start().fell_back
    assert file.read_bytes() == machine.saved


def test_a_machine_without_pycuda_is_told_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(cuda.GpuError, match=r"PyCUDA is not installed: pip install 'aux_motion\[cuda\]'"):
        cuda.Gpu()


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (
            "raise ImportError('libcuda.so.1: cannot open shared object file: No such file or directory')",
            r"PyCUDA cannot be loaded \(libcuda.so.1: .*\): install the NVIDIA driver",
        ),
        (
            "class Error(Exception): pass\ndef init(): raise Error('cuInit failed: no CUDA-capable device')",
            r"no GPU answers \(cuInit failed: no CUDA-capable device\): see nvidia-smi",
        ),
    ],
    ids=["no driver", "no gpu"],
)
def test_a_machine_without_driver_or_gpu_says_so_and_the_cpu_predicts(tmp_path, monkeypatch, driver, said):
    package = tmp_path / "pycuda"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "driver.py").write_text(driver + "\n")
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(cuda.GpuError, match=said):
        cuda.Gpu()
    machine = Machine(MODEL)
    machine.engine(tmp_path / "engine")
    backend = tensorrt.make(
        "tensorrt_rtx", machine.artefact, engine_dir=tmp_path / "engine", load_flavour=machine.load_flavour
    )
    assert backend.fell_back and "\n" not in backend.about["fallback"]
    assert np.isfinite(backend.infer(*windows(1))[0]).all()
    backend.close()
    for name in ("pycuda", "pycuda.driver"):
        sys.modules.pop(name, None)


def test_a_lost_gpu_is_closed_although_the_driver_refuses(tmp_path, monkeypatch):
    package = tmp_path / "pycuda"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "driver.py").write_text(
        "class Error(Exception): pass\n"
        "class Primary:\n"
        "    def detach(self): raise Error('cuDevicePrimaryCtxRelease failed: unspecified launch failure')\n"
        "class Device:\n"
        "    def __init__(self, index): pass\n"
        "    def retain_primary_context(self): return Primary()\n"
        "    def name(self): return 'stand-in'\n"
        "    def compute_capability(self): return 8, 9\n"
        "def init(): pass\n"
    )
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    gpu = cuda.Gpu()
    gpu.close()
    gpu.close()
    for name in ("pycuda", "pycuda.driver"):
        sys.modules.pop(name, None)


def test_another_major_version_and_a_broken_install_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", types.SimpleNamespace(__version__="9.3.0"))
    with pytest.raises(engine.EngineError, match="expected tensorrt 10 or 11, 9.3.0 is installed"):
        engine.load_flavour("tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(engine.EngineError, match=r"tensorrt is not installed: pip install 'aux_motion\[tensorrt\]'"):
        engine.load_flavour("tensorrt")


@pytest.fixture
def gpu():
    try:
        gpu = cuda.Gpu()
    except cuda.GpuError as error:
        pytest.skip(f"needs an NVIDIA GPU and PyCUDA: {error}")
    yield gpu
    gpu.close()


@pytest.mark.parametrize("flavour", ["tensorrt", "tensorrt_rtx"])
def test_on_a_gpu_the_engine_agrees_with_onnxruntime_and_a_thousand_cycles_hold_nothing(gpu, flavour, tmp_path):
    try:
        engine.load_flavour(flavour)
        build.build(artefact.load(MODEL), tmp_path, gpu.sm, flavour=flavour, gpu=gpu)
    except engine.EngineError as error:
        pytest.skip(str(error))
    make = lambda: make_backend(flavour, MODEL, engine_dir=tmp_path, deadline_s=1.0, strict=True)  # noqa: E731
    backend, cpu = make(), make_backend("onnx", MODEL)
    for n in (1, 4, 16, 40):
        values, mask = windows(n, n)
        for got, expected in zip(backend.infer(values, mask), cpu.infer(values, mask)):
            assert got is expected is None or np.abs(got - expected).max() < 1e-3
    backend.close()
    with gpu.current():
        before = gpu.free_bytes()
    end = time.monotonic() + 60.0
    for _ in range(1000):
        backend.open()
        backend.infer(*windows(1))
        backend.close()
        if time.monotonic() > end:
            break
    with gpu.current():
        assert before - gpu.free_bytes() < 2**23
