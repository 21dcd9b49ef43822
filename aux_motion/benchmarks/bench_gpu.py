# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Everything that a GPU is measured for, in one command: `make gpu`, or `python -m aux_motion.benchmarks.bench_gpu`.

Builds the engine for the GPU of this machine, compares it with ONNX on the sample's windows, measures its latency for 1
to 16 people, and writes `docs/benchmarks/gpu_<name>.json`. Without a GPU it says so in one line and measures nothing.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from aux_motion.benchmarks.bench import machine
from aux_motion_core.evaluation.windows import bag_windows, sample_bag
from aux_motion_core.inference import artefact as artefacts
from aux_motion_core.inference import precision as precisions
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.build import build
from aux_motion_core.inference.cuda import Gpu, GpuError
from aux_motion_core.inference.engine import EngineError
from aux_motion_core.inference.onnx import OnnxBackend

PEOPLE = (1, 2, 4, 8, 16)
#: A call that takes longer counts as failed: nothing that answers so late is of use.
_DEADLINE_S = 1.0
_WARM_UP = 50


def file_name(gpu: str) -> str:
    """`gpu_<name>.json` of a GPU's own name, in small letters and underscores."""
    return f"gpu_{re.sub(r'[^a-z0-9]+', '_', gpu.lower()).strip('_')}.json"


def latency(
    infer: Callable[..., Any], windows: tuple[np.ndarray, np.ndarray], people: int, rounds: int
) -> dict[str, float]:
    """p50, p99 and largest milliseconds of calls with so many people, from host memory to host memory.

    Args:
        infer: a backend's.
        windows: values (N, history, joints, 3) and mask (N, history, joints); taken in turn.
        people: in a call.
        rounds: calls measured.
    """
    values, mask = windows
    rows = [np.arange(k, k + people) % len(values) for k in range(rounds + _WARM_UP)]
    taken = []
    for at in rows:
        batch = values[at], mask[at]
        start = time.perf_counter()
        infer(*batch)
        taken.append(time.perf_counter() - start)
    ms = 1e3 * np.array(taken[_WARM_UP:])
    p50, p99 = np.percentile(ms, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "max_ms": round(float(ms.max()), 3)}


def measure(artefact: Artefact, sample: Path, rounds: int, open_gpu: Callable[[], Gpu] = Gpu) -> dict[str, Any]:
    """Build, compare, measure.

    Args:
        artefact: a checked one.
        sample: recording for parity and latency.
        rounds: calls for each number of people.
        open_gpu: opens the GPU.

    Raises:
        GpuError: there is none, in one line.
        EngineError: the engine cannot be built, or is too far from fp32.
    """
    from aux_motion_core.inference import tensorrt

    gpu = open_gpu()
    name, sm = gpu.name, gpu.sm
    windows = bag_windows(sample, artefact)
    cpu = OnnxBackend(artefact)
    with tempfile.TemporaryDirectory() as folder:
        try:
            card = build(artefact, folder, "current", "fp32", max(PEOPLE), windows, gpu=gpu)
        finally:
            gpu.close()
        backend = tensorrt.make(card.flavour, artefact, engine_dir=folder, deadline_s=_DEADLINE_S, strict=True)
        try:
            parity = precisions.parity(cpu.infer(*windows), backend.infer(*windows))
            rows = {str(n): latency(backend.infer, windows, n, rounds) for n in PEOPLE}
            about, counters = dict(backend.about), dict(backend.counters)
        finally:
            backend.close()
    if not precisions.close_enough(parity) or counters:
        raise EngineError(
            f"{name}: expected the engine to answer as ONNX does, got {parity} and {counters}: nothing is written"
        )
    about.pop("engine", None)  # a temporary folder's name
    return {
        "schema_version": 1,
        "command": "make gpu",
        "gpu": name,
        "target": sm,
        "machine": machine(),
        "model": {"name": artefact.name, "version": artefact.version},
        "engine": {
            "flavour": card.flavour,
            "version": card.flavour_version,
            "precision": card.precision,
            "build_s": round(card.build_s, 1),
        },
        "about": about,
        "parity": parity,
        "people": rows,
        "onnx_one_person_one_core": latency(cpu.infer, windows, 1, rounds),
    }


def main(
    model: Annotated[Path, typer.Option(help="Folder of the artefact.")] = Path("models/body20_25hz"),
    out: Annotated[Path, typer.Option(help="Folder for gpu_<name>.json.")] = Path("docs/benchmarks"),
    rounds: Annotated[int, typer.Option(help="Calls for each number of people.", min=20)] = 2000,
) -> None:
    """Measure the model on this machine's NVIDIA GPU with TensorRT."""
    try:
        artefact = artefacts.load(model)
        sample = sample_bag()
        if sample is None:
            raise ValueError("samples/sports2d_demo.mcap: expected the sample of the checkout, it is not there")
        report = measure(artefact, sample, rounds)
        file = out / file_name(report["gpu"])
        file.write_text(json.dumps(report, indent=1) + "\n")
    except GpuError as error:
        typer.echo(f"no GPU is measured here: {error}")
        return
    except (OSError, ValueError) as error:
        raise SystemExit(f"aux_motion.benchmarks.bench_gpu: {error}") from None
    for people, row in report["people"].items():
        typer.echo(f"{people:>2} people: p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms")
    typer.echo(f"written: {file}")


if __name__ == "__main__":
    typer.run(main)
