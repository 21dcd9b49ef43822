"""`aux-motion bench`: latency per stage, end to end over DDS, start-up and memory of the node."""

from __future__ import annotations

import gc
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aux_motion import live
from aux_motion.parameters import default_model_dir
from aux_motion_core import baselines as others
from aux_motion_core import synthetic
from aux_motion_core.config import PredictorConfig
from aux_motion_core.predictor import Predictor, make_backend
from aux_motion_core.replay import PREDICTED

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

    Stages: convert (message to frame, into the tracks), resample (windows, normalisation and its undoing,
    states), backend (inference), publish (message made and handed to DDS), total.

    Args:
        name: "onnx" or a baseline.
        folder: model folder.
        people: in every frame, fully observed, 30 Hz.
        threads: of the backend.
        rounds: measured messages.
        publisher: of PredictionArray.
    """
    from aux_motion.conversion import frame_from_message, prediction_message, skeleton_message

    backend = make_backend(name, folder, threads=threads)
    predictor = Predictor(backend, PredictorConfig(max_people=max(people, 1)), _FRAME)
    frames = synthetic.frames(people, (rounds + _WARM_UP) / RATE_HZ, RATE_HZ, frame_id=_FRAME)
    spent: dict[str, list[float]] = {s: [] for s in ("convert", "resample", "backend", "publish", "total")}
    gc.collect()
    for index, frame in enumerate(frames):
        message = skeleton_message(frame)
        start = time.perf_counter()
        predictor.add(frame_from_message(message))
        converted = time.perf_counter()
        batch = predictor.predict(frame.stamp_ns)
        predicted = time.perf_counter()
        publisher.publish(prediction_message(batch))
        published = time.perf_counter()
        if index < _WARM_UP:
            continue
        spent["convert"].append(converted - start)
        spent["resample"].append(predicted - converted - predictor.stage_s["backend"])
        spent["backend"].append(predictor.stage_s["backend"])
        spent["publish"].append(published - predicted)
        spent["total"].append(published - start)
    if not any(p.state in PREDICTED for p in batch.people):
        raise ValueError(f"backend {name} predicted nobody of {people} people: nothing to measure")
    return [_record(stage, name, people, threads, values) for stage, values in spent.items()]


class _Client:
    """Publishes one walking person at 30 Hz and notes when predictions of it come back."""

    def __init__(self, people: int = 1) -> None:
        self.latencies_s: list[float] = []
        self.first_ns: int | None = None
        self._seen = 0
        self._people = people
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> _Client:
        import rclpy
        from aux_motion_msgs.msg import PredictionArray, SkeletonArray
        from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
        from rclpy.qos import qos_profile_sensor_data

        from aux_motion.conversion import skeleton_message
        from aux_motion_core.messages import ns_to_stamp

        self._rclpy = rclpy
        node = rclpy.create_node("aux_motion_bench")
        publisher = node.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data)
        node.create_subscription(PredictionArray, "predictions", self._on_prediction, 10)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        frames = synthetic.frames(self._people, 60.0, RATE_HZ, frame_id=_FRAME)
        messages = [skeleton_message(f) for f in frames]

        def publish() -> None:
            next_at = time.perf_counter()
            index = 0
            while not self._stop.is_set():
                message = messages[index % len(messages)]
                stamp = ns_to_stamp(time.time_ns())
                message.header.stamp.sec, message.header.stamp.nanosec = stamp["sec"], stamp["nanosec"]
                publisher.publish(message)
                index += 1
                next_at += 1.0 / RATE_HZ
                self._stop.wait(max(0.0, next_at - time.perf_counter()))

        def spin() -> None:
            try:
                while not self._stop.is_set():
                    executor.spin_once(timeout_sec=0.1)
            except ExternalShutdownException:
                return

        self._node, self._executor = node, executor
        self._threads = [threading.Thread(target=f, daemon=True) for f in (spin, publish)]
        for thread in self._threads:
            thread.start()
        return self

    def _on_prediction(self, message: Any) -> None:
        now_ns = time.time_ns()
        for person in message.people:
            stamp_ns = person.stamp.sec * 1_000_000_000 + person.stamp.nanosec
            if person.state in PREDICTED and stamp_ns > self._seen:
                self._seen = stamp_ns
                self.first_ns = self.first_ns or now_ns
                self.latencies_s.append((now_ns - stamp_ns) * 1e-9)

    def __exit__(self, *exc: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()


def end_to_end(model: Path | None, backend: str, seconds: float) -> Record:
    """The node in a process of its own, one walking person at 30 Hz over DDS; rclpy must be initialised.

    Returns:
        Latencies from before publishing the skeletons to having the prediction, and the node's start-up time
        (from the start of its process, the person already walking, to the first prediction) and memory.
    """
    with tempfile.TemporaryDirectory() as folder, _Client() as client:
        with live.predictor_process(_FRAME, Path(folder) / "node.log", model, backend) as node:
            limit_s = live.STARTUP_TIMEOUT_S
            live.wait(lambda: client.first_ns is not None, [node], limit_s, "prediction")
            started_s = (client.first_ns - node.started_ns) * 1e-9
            time.sleep(1.0)
            client.latencies_s.clear()
            end = time.monotonic() + seconds
            live.wait(lambda: time.monotonic() > end, [node], seconds + 5.0, "end")
            latencies, memory = list(client.latencies_s), node.resident_mib()
    if not latencies:
        raise live.LiveError("the node stopped to predict during the run")
    more = {"start_to_first_prediction_s": round(started_s, 3), "node_rss_mib": round(memory, 1)}
    return _record("end_to_end", backend, 1, 1, latencies, messages=len(latencies), **more)


def run(
    model: Path | None,
    people: list[int],
    threads: list[int],
    rounds: int,
    baselines: bool,
    dds_seconds: float,
    backend: str = "onnx",
) -> list[Record]:
    """Measure everything, on a private ROS domain.

    Args:
        model: folder; None: the shipped one.
        people: numbers of people.
        threads: numbers of threads of the backend.
        rounds: measured rounds of each stage.
        baselines: measure the baselines' backend stage too.
        dds_seconds: length of the end-to-end run; 0: none.
        backend: what is measured.

    Returns:
        Records with the keys stage, backend, people, threads, p50_ms, p95_ms, p99_ms.
    """
    live.private_domain()
    import rclpy
    from aux_motion_msgs.msg import PredictionArray

    folder = str(model or default_model_dir())
    make_backend(backend, folder, threads=1)  # a wrong model is said before anything starts
    rclpy.init(args=[])
    try:
        node = rclpy.create_node("aux_motion_bench_stages")
        publisher = node.create_publisher(PredictionArray, "unheard", 1)
        jobs = [(backend, n, t) for t in threads for n in people]
        jobs += [(name, n, 1) for name in others.BASELINES if baselines and name != backend for n in people]
        records: list[Record] = []
        for name, n, t in tqdm(jobs, unit=" runs", disable=None):
            rows = stages(name, folder, n, t, rounds, publisher)
            records += rows if name == backend else [r for r in rows if r["stage"] == "backend"]
        if dds_seconds > 0.0:
            records.append(end_to_end(model, backend, dds_seconds))
    finally:
        rclpy.try_shutdown()
    return records


def table(records: list[Record]) -> str:
    """Records as a readable table, milliseconds."""
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
        if "node_rss_mib" in r:
            lines.append(
                f"node: first prediction {r['start_to_first_prediction_s']:.2f} s after its start, "
                f"{r['node_rss_mib']:.0f} MiB resident, {r['messages']} predictions timed"
            )
    return "\n".join(lines)
