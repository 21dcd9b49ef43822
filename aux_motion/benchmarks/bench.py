# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion bench`: latency per stage, of backends, and end to end over DDS, start-up and memory of the node."""

from __future__ import annotations

import gc
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from aux_motion_msgs.msg import PredictionArray
from tqdm import tqdm

from aux_motion.benchmarks import bench_dds, bench_planners
from aux_motion.benchmarks.machine import machine
from aux_motion.commands import processes
from aux_motion.nodes.conversion import PredictionWriter, frame_from_message, skeleton_message
from aux_motion.nodes.parameters import default_model_dir
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.evaluation.windows import bag_windows, sample_bag
from aux_motion_core.inference import artefact, variants
from aux_motion_core.inference import baselines as others
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.inference.interface import Backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame

STAGES = ("convert", "resample", "backend", "learning", "describe", "message", "publish", "total", "settle")
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

    Stages: convert (message to frame, into the tracks), resample (windows, normalised), backend (inference), learning
    (a correction that enters: none in shadow), describe (normalisation undone, bounds, states), message (written),
    publish (serialised and handed to DDS), total; settle (what is done after publishing: the self-check, learning in
    shadow); and learning_on, the correction of every prediction with `learning: on`.

    Args:
        name: "onnx" or a baseline.
        folder: model folder.
        people: in every frame, fully observed, 30 Hz.
        threads: of the backend.
        rounds: measured messages.
        publisher: of PredictionArray.
    """
    writer = PredictionWriter()
    backend = make_backend(name, folder, threads=threads)
    predictor = Predictor(backend, PredictorConfig(max_people=max(people, 1)), _FRAME)
    frames = synthetic.frames(people, (rounds + _WARM_UP) / RATE_HZ, RATE_HZ, frame_id=_FRAME)
    jobs: list[Any] = []
    if predictor.learner is not None:
        predictor.learner.submit = jobs.append
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
        predictor.settle()  # as the node does between frames
        settled = time.perf_counter()
        while jobs:
            deque(jobs.pop()(), maxlen=0)
        if index < _WARM_UP:
            continue
        spent["settle"].append(settled - published)
        spent["convert"].append(converted - start)
        for stage, seconds in predictor.stage_s.items():
            spent[stage].append(seconds)
        spent["message"].append(written - predicted)
        spent["publish"].append(published - written)
        spent["total"].append(published - start)
    if not any(p.state in PREDICTED for p in batch.people):
        raise ValueError(f"backend {name} predicted nobody of {people} people: nothing to measure")
    rows = [_record(stage, name, people, threads, values) for stage, values in spent.items()]
    return [*rows, _record("learning_on", name, people, threads, _learning_on(backend, frames))]


def _learning_on(backend: Backend, frames: list[SkeletonFrame]) -> list[float]:
    """Seconds that a correction takes which enters, on the same frames."""
    predictor = Predictor(backend, PredictorConfig(learning="on"), _FRAME)
    jobs: list[Any] = []
    if predictor.learner is not None:
        predictor.learner.submit = jobs.append
    spent = []
    for index, frame in enumerate(frames):
        predictor.add(frame)
        predictor.predict(frame.stamp_ns)
        predictor.settle()
        while jobs:
            deque(jobs.pop()(), maxlen=0)
        if index >= _WARM_UP:
            spent.append(predictor.stage_s["learning"])
    return spent


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
        backends: measure the ways to run the model that the backend was chosen from, in turn; plain torch, whose
            network is in `training`, is measured by `python -m training.studies.torch_eager`.

    Returns:
        `machine`, and `records` with the keys stage, backend, people, threads, p50_ms, p95_ms, p99_ms.
    """
    folder = str(model or default_model_dir())
    make_backend(backend, folder, threads=1).close()  # report a wrong model before anything starts
    about = machine()
    processes.private_domain()
    records: list[Record] = []
    if backends:
        model_used, bag = artefact.load(folder), sample_bag()
        if bag is None:
            raise ValueError("the variants are compared on the recording in samples/, which is not here")
        windows = bag_windows(bag, model_used, 128)
        found = variants.measure(model_used, windows, people, rounds)
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
        for n in tqdm(people, unit=" runs", desc="planners", disable=None):
            spent = bench_planners.measure(n, rounds)
            records += [_record(stage, "planners", n, 1, values) for stage, values in spent.items()]
        node.destroy_node()
        if dds_seconds > 0.0:
            rates = rates_hz or [round(RATE_HZ)]
            records += bench_dds.measure(model, folder, backend, people, rates, dds_seconds, threads[0])
    finally:
        rclpy.try_shutdown()
    return {"machine": {**machine(), "load": about["load"]}, "records": records}
