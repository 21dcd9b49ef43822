# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A graph to an engine: on the GPU that will run it with `tensorrt`, also ahead of time with `tensorrt_rtx`."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort

from aux_motion_core.inference import precision as precisions
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.engine import (
    CARD,
    PLAN,
    TARGETS,
    TIMING,
    TUNED_PEOPLE,
    TURING,
    EngineCard,
    EngineError,
    card_content,
    load_flavour,
    logger,
    shapes,
)
from aux_motion_core.inference.onnx import OnnxBackend

#: Normalised values (N, history, joints, 3) float32 and mask (N, history, joints) bool of real windows.
Windows: TypeAlias = tuple[np.ndarray, np.ndarray]


def _choose(target: str, gpu: Any) -> tuple[str, str]:
    """Flavour and compute capability for a target."""
    here = None if gpu is None else gpu.sm
    if target == "current":
        if here is None:
            raise EngineError(
                f"--target current needs a GPU and PyCUDA here: name a target instead ({', '.join(TARGETS)})"
            )
        target = here
    if target == here:
        try:
            load_flavour("tensorrt")
            return "tensorrt", target
        except EngineError as error:
            if target not in TARGETS:
                raise EngineError(f"{target} needs tensorrt, tensorrt_rtx does not know it: {error}") from None
    if target not in TARGETS:
        raise EngineError(
            f"expected --target current or {', '.join(TARGETS)}, got {target!r}: Hopper (sm90) and Jetson (sm87) need "
            "tensorrt, which builds only on that machine: run it there with --target current"
        )
    return "tensorrt_rtx", target


def build(
    artefact: Artefact,
    out: str | Path,
    target: str = "current",
    precision: str = "fp32",
    max_people: int = 16,
    windows: Windows | None = None,
    flavour: str | None = None,
    gpu: Any = None,
    trt: ModuleType | None = None,
) -> EngineCard:
    """Build an engine into a folder; what lies there is replaced only when that worked.

    Args:
        artefact: a checked one.
        out: folder, made where it is missing.
        target: `current` or a compute capability as `sm89`.
        precision: fp32, fp16 or int8.
        max_people: largest batch.
        windows: normalised values and mask of real windows: int8 takes its scales from them, fp16 and int8 are
            compared with fp32 on them.
        flavour: `tensorrt` or `tensorrt_rtx`, with the GPU's own `target`; None: what can build that target.
        gpu: an open `Gpu`, None where there is none.
        trt: the flavour's module, where it is loaded already.

    Raises:
        EngineError: nothing that could build it is installed, the target is none, the lower precision is too far
            from fp32, or the build failed.
    """
    out = Path(out)
    chosen, sm = (flavour, target) if flavour is not None else _choose(target, gpu)
    if chosen == "tensorrt_rtx" and sm not in TARGETS:
        raise EngineError(f"tensorrt_rtx does not know {sm} (it knows {', '.join(TARGETS)}): use tensorrt")
    trt = trt or load_flavour(chosen)
    turing = chosen == "tensorrt_rtx" and sm == TURING
    if turing and precision != "fp16":
        raise EngineError(f"tensorrt_rtx multiplies only fp16 matrices on {sm} (Turing): use --precision fp16")
    graph = precisions.make(artefact, precision, windows, fp32_products=not turing)
    parity: dict[str, dict[str, float | int] | None] = {"cpu": None, "gpu": None}
    if precision != "fp32" and windows is not None:
        parity["cpu"] = graph_parity(artefact, graph, windows)
        refuse_unlike(precision, parity["cpu"], artefact)
    start = time.perf_counter()
    with gpu.current() if gpu is not None else nullcontext():
        plan, timing, settings = _build(trt, graph, artefact, sm, max_people, out / TIMING)
    card = EngineCard(
        model=artefact.name,
        model_version=artefact.version,
        onnx_sha256=artefact.onnx_sha256,
        flavour=chosen,
        flavour_version=trt.__version__,
        target=sm,
        gpu=gpu.name if gpu is not None and gpu.sm == sm else None,
        precision=precision,
        max_people=max_people,
        inputs=shapes(artefact.inputs),
        outputs=shapes(artefact.outputs),
        settings=settings,
        parity=parity,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        build_s=round(time.perf_counter() - start, 2),
    )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        for name, content in ((TIMING, timing), (PLAN, plan), (CARD, card_content(card))):
            if content:
                file = Path(folder) / name
                file.write_bytes(content)
                os.replace(file, out / name)
    return card


def graph_parity(artefact: Artefact, graph: bytes, windows: Windows) -> dict[str, float | int]:
    """`precision.parity` of a graph against the artefact, both run by onnxruntime on the CPU."""
    values, mask = windows
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    got = session.run(artefact.output_names, {"positions": values, "observed": mask.astype(np.float32)})
    return precisions.parity(OnnxBackend(artefact).infer(values, mask), got)


def refuse_unlike(precision: str, found: dict[str, float | int] | None, artefact: Artefact) -> None:
    """Raise `EngineError` where a lower precision is too far from fp32."""
    if found is not None and not precisions.close_enough(found):
        raise EngineError(
            f"{precision} of {artefact.name} is {found['mean_mm']:.2f} mm from fp32 in the mean and "
            f"{found['most_mm']:.2f} mm at most over {found['windows']} windows (its scale "
            f"{found.get('scale_mean_percent', 0.0):.2f} and {found.get('scale_most_percent', 0.0):.2f} %), allowed "
            f"are {precisions.MEAN_M * 1e3:.0f} and {precisions.MOST_M * 1e3:.0f} mm: use "
            f"{'fp16 or ' if precision == 'int8' else ''}fp32"
        )


def _build(
    trt: ModuleType, graph: bytes, artefact: Artefact, sm: str, max_people: int, timing_file: Path
) -> tuple[bytes, bytes, dict[str, Any]]:
    """Plan, timing cache (empty where the flavour keeps none) and the settings used."""
    log = logger(trt)
    builder = trt.Builder(log)
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # TensorRT 11 and RTX know no other
    network = builder.create_network(0 if typed is None else 1 << int(typed))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(graph):
        said = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors)) or log.last()
        raise EngineError(f"{trt.__name__} {trt.__version__} cannot read {artefact.onnx_file}: {said[:300]}")
    for kind, count, get, expected in (
        ("input", network.num_inputs, network.get_input, shapes(artefact.inputs)),
        ("output", network.num_outputs, network.get_output, shapes(artefact.outputs)),
    ):
        got = {get(i).name: list(get(i).shape) for i in range(count)}
        if got != expected:
            raise EngineError(f"expected {kind}s {expected} (model.json), {trt.__name__} sees {got}: export it again")
    config = builder.create_builder_config()
    ahead_of_time = trt.__name__.startswith("tensorrt_rtx")
    if ahead_of_time:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, sm.upper()), 0)
    profile = builder.create_optimization_profile()
    tuned = min(TUNED_PEOPLE, max_people)
    for name, shape in shapes(artefact.inputs).items():
        profile.set_shape(name, (1, *shape[1:]), (tuned, *shape[1:]), (max_people, *shape[1:]))
    config.add_optimization_profile(profile)
    settings = {
        "batch": [1, tuned, max_people],
        "strongly_typed": True,
        "optimization_level": config.builder_optimization_level,
        "ahead_of_time": ahead_of_time,
    }
    if not ahead_of_time:  # RTX times nothing when it builds
        old = timing_file.read_bytes() if timing_file.is_file() else b""
        config.set_timing_cache(config.create_timing_cache(old), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineError(f"{trt.__name__} {trt.__version__} could not build for {sm}: {log.last()}")
    timing = b"" if ahead_of_time else bytes(memoryview(config.get_timing_cache().serialize()))
    return bytes(memoryview(plan)), timing, settings
