"""`aux-motion bench`: latency per stage, of backends, and end to end over DDS, start-up and memory of the node."""

from __future__ import annotations

import gc
import importlib
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aux_motion.benchmarks import bench_dds, bench_planners
from aux_motion.commands import processes
from aux_motion.nodes.parameters import default_model_dir
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.inference import baselines as others
from aux_motion_core.predictor import Predictor, make_backend
from aux_motion_core.testing import synthetic

STAGES = ("convert", "resample", "backend", "describe", "message", "publish", "total")
RATE_HZ = 30.0
_WARM_UP = 30
_FRAME = "map"

Record = dict[str, Any]


def _record(stage: str, backend: str, people: int, threads: int, seconds: list[float], **more: Any) -> Record:
    p50, p95, p99 = (round(1e3 * float(v), 4) for v in np.percentile(seconds, (50, 95, 99)))
    row = {"stage": stage, "backend": backend, "people": people, "threads": threads}
    return {**row, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, **more}


def stages(name: str, folder: str, people: int, threads: int, rounds: int, publisher: Any) -> list[Record]:
    """Time the node's path stage by stage in this process.

    Stages: convert (message to frame, into the tracks), resample (windows, normalised), backend (inference), describe
    (normalisation undone, bounds, states), message (written), publish (serialised and handed to DDS), total.

    Args:
        name: "onnx" or a baseline.
        folder: model folder.
        people: in every frame, fully observed, 30 Hz.
        threads: of the backend.
        rounds: measured messages.
        publisher: of PredictionArray.
    """
    from aux_motion.nodes.conversion import PredictionWriter, frame_from_message, skeleton_message

    writer = PredictionWriter()
    backend = make_backend(name, folder, threads=threads)
    predictor = Predictor(backend, PredictorConfig(max_people=max(people, 1)), _FRAME)
    frames = synthetic.frames(people, (rounds + _WARM_UP) / RATE_HZ, RATE_HZ, frame_id=_FRAME)
    spent: dict[str, list[float]] = {s: [] for s in STAGES}
    gc.collect()
    for index, frame in enumerate(frames):
        message = skeleton_message(frame)
        start = time.perf_counter()
        predictor.add(frame_from_message(message))
        converted = time.perf_counter()
        batch = predictor.predict(frame.stamp_ns)
        predicted = time.perf_counter()
        filled = writer.fill(batch)
        written = time.perf_counter()
        publisher.publish(filled)
        published = time.perf_counter()
        if index < _WARM_UP:
            continue
        spent["convert"].append(converted - start)
        for stage, seconds in predictor.stage_s.items():
            spent[stage].append(seconds)
        spent["message"].append(written - predicted)
        spent["publish"].append(published - written)
        spent["total"].append(published - start)
    if not any(p.state in PREDICTED for p in batch.people):
        raise ValueError(f"backend {name} predicted nobody of {people} people: nothing to measure")
    return [_record(stage, name, people, threads, values) for stage, values in spent.items()]


def torch_eager(folder: str) -> dict[str, Any]:
    """What makes the artefact's own network in plain torch, for `variants.measure`; empty where torch is not.

    The network's code is in `training`, which is in a checkout only.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "training").is_dir():
        return {}
    if str(root) not in sys.path:
        sys.path.append(str(root))
    try:
        torch = importlib.import_module("torch")
        load_weights = importlib.import_module("training.finetune").load_weights
        torch_infer = importlib.import_module("training.train").torch_infer
    except ImportError:
        return {}

    def make(threads: int, device: str = "cpu") -> Any:
        infer = torch_infer(load_weights(Path(folder))[0].to(device))

        def on_threads(values: np.ndarray, mask: np.ndarray) -> Any:
            torch.set_num_threads(threads)
            return [part for part in infer(values, mask) if part is not None]

        return on_threads

    made = {"torch eager": lambda: make(1), "torch eager, 2 threads": lambda: make(2)}
    if torch.cuda.is_available():
        made["torch eager, CUDA"] = lambda: make(1, "cuda")
    return made


def machine() -> dict[str, Any]:
    """What was measured on."""
    names = {}
    for module in ("numpy", "onnxruntime", "torch", "openvino"):
        if module in sys.modules:
            names[module] = sys.modules[module].__version__
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    about = {"cpu": cpu, "cores": cores, "python": platform.python_version(), **names}
    return {**about, "load": round(os.getloadavg()[0], 2)}


def run(
    model: Path | None,
    people: list[int],
    threads: list[int],
    rounds: int,
    baselines: bool,
    dds_seconds: float,
    backend: str = "onnx",
    rates_hz: list[int] | None = None,
    backends: bool = False,
) -> dict[str, Any]:
    """Measure everything, on a private ROS domain.

    Args:
        model: folder; None: the shipped one.
        people: numbers of people.
        threads: numbers of threads of the backend.
        rounds: measured rounds of each stage.
        baselines: measure the baselines' backend stage too.
        dds_seconds: of node and of echo, for each rate and number of people; 0: no run over DDS.
        backend: what is measured.
        rates_hz: of the input over DDS.
        backends: measure the ways to run the model that the backend was chosen from, in turn.

    Returns:
        `machine`, and `records` with the keys stage, backend, people, threads, p50_ms, p95_ms, p99_ms.
    """
    folder = str(model or default_model_dir())
    make_backend(backend, folder, threads=1).close()  # a wrong model is said before anything starts
    about = machine()
    processes.private_domain()
    import rclpy
    from aux_motion_msgs.msg import PredictionArray

    records: list[Record] = []
    if backends:
        from aux_motion_core.inference import variants

        found = variants.measure(folder, people, rounds, others=torch_eager(folder))
        records += [{**r, "stage": "variant", "threads": 2 if ", 2 " in r["backend"] else 1} for r in found]
    rclpy.init(args=[])
    try:
        node = rclpy.create_node("aux_motion_bench_stages")
        publisher = node.create_publisher(PredictionArray, "unheard", 1)
        jobs = [(backend, n, t) for t in threads for n in people]
        jobs += [(name, n, 1) for name in others.BASELINES if baselines and name != backend for n in people]
        for name, n, t in tqdm(jobs, unit=" runs", disable=None):
            rows = stages(name, folder, n, t, rounds, publisher)
            records += rows if name == backend else [r for r in rows if r["stage"] == "backend"]
        for n in people:
            spent = bench_planners.measure(n, rounds)
            records += [_record(stage, "planners", n, 1, values) for stage, values in spent.items()]
        node.destroy_node()
        if dds_seconds > 0.0:
            rates = rates_hz or [round(RATE_HZ)]
            records += bench_dds.measure(model, folder, backend, people, rates, dds_seconds, threads[0])
    finally:
        rclpy.try_shutdown()
    return {"machine": {**machine(), "load": about["load"]}, "records": records}


def table(records: list[Record]) -> str:
    """Records as readable tables, milliseconds."""
    parts = [_stage_table([r for r in records if r["stage"] not in ("variant", "end_to_end")])]
    if variants := [r for r in records if r["stage"] == "variant"]:
        from aux_motion_core.inference.variants import table as variant_table

        parts.insert(0, variant_table(variants))
    if live_records := [r for r in records if r["stage"] == "end_to_end"]:
        parts.append(_live_table(live_records))
    return "\n\n".join(parts)


def _stage_table(records: list[Record]) -> str:
    titles = "".join(f"{t:>10}" for t in ("p50 ms", "p95 ms", "p99 ms"))
    head = f"{'stage':<12}{'backend':<30}{'people':>7}{'threads':>9}{titles}"
    lines = [head, "-" * len(head)]
    main, previous = records[0]["backend"], None
    for r in records:
        group = (r["backend"], r["people"], r["threads"]) if r["backend"] == main else r["backend"]
        if previous is not None and group != previous:
            lines.append("")
        previous = group
        lines.append(
            f"{r['stage']:<12}{r['backend']:<30}{r['people']:>7}{r['threads']:>9}"
            f"{r['p50_ms']:>10.2f}{r['p95_ms']:>10.2f}{r['p99_ms']:>10.2f}"
        )
    return "\n".join(lines)


def _live_table(records: list[Record]) -> str:
    head = (
        f"{'end_to_end':<12}{'rate Hz':>8}{'people':>7}{'p50 ms':>9}{'p99 ms':>9}{'echo p50':>10}{'p99':>8}"
        f"{'above p50':>11}{'p99':>8}{'missed':>8}{'of':>6}{'one core':>10}"
    )
    lines = [head, "-" * len(head)]
    for r in records:
        if r["backend"] == bench_dds.FLOOR:
            continue
        floor = next(
            f
            for f in records
            if (f["backend"], f["people"], f["rate_hz"]) == (bench_dds.FLOOR, r["people"], r["rate_hz"])
        )
        lines.append(
            f"{r['backend']:<12}{r['rate_hz']:>8}{r['people']:>7}{r['p50_ms']:>9.2f}{r['p99_ms']:>9.2f}"
            f"{floor['p50_ms']:>10.2f}{floor['p99_ms']:>8.2f}{r['above_floor_p50_ms']:>11.2f}"
            f"{r['above_floor_p99_ms']:>8.2f}{r['missed']:>8}{r['sent']:>6}{100 * r['node_cpu_share']:>9.0f}%"
        )
    first = records[0]
    lines.append(
        f"node: first prediction {first['start_to_first_prediction_s']:.2f} s after its start, "
        f"{first['node_rss_mib']:.0f} MiB resident"
    )
    return "\n".join(lines)
