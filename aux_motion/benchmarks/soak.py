"""`aux-motion soak`: the node for minutes, people coming, going and changing ids; what must stay is judged."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from aux_motion.benchmarks.bench import machine
from aux_motion.benchmarks.bench_dds import FRAME
from aux_motion.commands import processes
from aux_motion.nodes.realtime import resident_bytes
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame

#: Resident memory may change by this share from the beginning to the end.
MEMORY_SHARE = 0.02
#: Medians of the latency may grow by this share, and by so much besides, which the clock and other work make.
LATENCY_SHARE, LATENCY_MS = 0.25, 0.5
#: Share of the frames that may get no prediction of their own, and of the seconds that may lack a diagnostics message.
MISSED_SHARE, SILENT_SHARE = 0.01, 0.1
#: The beginning, which is not judged: caches and pools fill; seconds, and at most this share of the run.
_WARM_UP_S, _WARM_UP_SHARE = 30.0, 0.25
#: Values without which a diagnostics message is not complete, by the part that has them.
EXPECTED = {
    "input": ("input_rate_hz", "messages", "bad_messages", "frame_errors", "stamp_age_s", "frames"),
    "prediction": (
        "backend",
        "predictions",
        "heartbeats",
        "superseded_inferences",
        "prediction_errors",
        "people",
        *(f"{stage}_ms_p99" for stage in ("convert", "resample", "backend", "describe", "message", "publish")),
        "end_to_end_ms_p50",
        "end_to_end_ms_p99",
    ),
}
#: Seconds that people stay and that their places stay empty, at least and at most.
_STAYS_S, _EMPTY_S = (4.0, 20.0), (0.5, 4.0)
#: Seconds between two exchanges of ids.
_SWAP_EVERY_S = 5.0
_NS = 1_000_000_000


def crowd(people: int, rate_hz: float, seed: int = 0) -> Iterator[SkeletonFrame]:
    """Frames without end: people who walk, enter, leave, come back under another id, and exchange ids.

    Args:
        people: places; each is empty now and then.
        rate_hz: frames a second.
        seed: of who does what when.
    """
    rng = np.random.default_rng(seed)
    seconds = 60.0
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    paths = np.stack([synthetic.walker(times, phase=2.0 * np.pi * p / people) for p in range(people)], axis=1)
    ids = [f"person_{p}" for p in range(people)]
    there = np.ones(people, bool)
    until_s = rng.uniform(*_STAYS_S, people)
    born, swap_s, k = people, _SWAP_EVERY_S, 0
    while True:
        now_s = k / rate_hz
        for p in np.flatnonzero(until_s <= now_s):
            there[p] = not there[p]
            until_s[p] = now_s + rng.uniform(*(_STAYS_S if there[p] else _EMPTY_S))
            if there[p] and rng.random() < 0.7:  # else the same person comes back
                ids[p], born = f"person_{born}", born + 1
        if now_s >= swap_s:
            swap_s += _SWAP_EVERY_S
            present = np.flatnonzero(there)
            if len(present) > 1:
                a, b = rng.choice(present, 2, replace=False)
                ids[a], ids[b] = ids[b], ids[a]
        who = np.flatnonzero(there)
        yield SkeletonFrame(
            stamp_ns=0,
            frame_id=FRAME,
            person_ids=tuple(ids[p] for p in who),
            positions=paths[k % len(times)][who],
            status=np.full((len(who), N_JOINTS), JointStatus.OBSERVED, np.uint8),
            confidence=np.ones((len(who), N_JOINTS), np.float32),
        )
        k += 1


class _Watch:
    """Plays the crowd, and keeps latencies and diagnostics as arrays of fixed size."""

    def __init__(self, people: int, rate_hz: float, seconds: float) -> None:
        import rclpy
        from aux_motion_msgs.msg import PredictionArray, SkeletonArray
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
        from rclpy.serialization import deserialize_message

        from aux_motion.nodes.spinning import in_thread

        self._deserialise, self._type = deserialize_message, PredictionArray
        self._frames, self._rate_hz, self._people = crowd(people, rate_hz), rate_hz, people
        size = round(rate_hz * (seconds + 60.0))
        self.sent_ns = np.zeros(size, np.int64)
        self.sent = 0
        self._answered: set[int] = set()  # stamps of the last seconds
        self.latency_s = np.full(size, np.nan, np.float32)
        self.answered_at_ns = np.zeros(size, np.int64)
        self.answers = 0
        self.diagnostics: list[tuple[float, dict[str, dict[str, str]], int]] = []
        self._node = node = rclpy.create_node("aux_motion_soak")
        self._publisher = node.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data)
        reliable = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(PredictionArray, "predictions", self._on_prediction, reliable, raw=True)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._stop = threading.Event()

        def spin() -> None:
            while not self._stop.is_set():
                self._executor.spin_once(timeout_sec=0.1)

        self._threads = [threading.Thread(target=in_thread(f), daemon=True) for f in (spin, self._publish)]
        for thread in self._threads:
            thread.start()

    def _publish(self) -> None:
        from aux_motion.nodes.conversion import skeleton_message

        due = time.perf_counter()
        while not self._stop.is_set() and self.sent < len(self.sent_ns):
            message = skeleton_message(next(self._frames))
            due += 1.0 / self._rate_hz
            self._stop.wait(max(0.0, due - time.perf_counter()))
            stamp_ns = time.time_ns()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, _NS)
            if message.person_ids:
                self.sent_ns[self.sent] = stamp_ns
                self.sent += 1
            try:
                self._publisher.publish(message)
            except Exception:  # a signal shut the context down
                if self._node.context.ok():
                    raise
                return

    def _on_prediction(self, raw: bytes) -> None:
        now_ns = time.time_ns()
        stamps = [p.stamp for p in self._deserialise(raw, self._type).people if p.state in PREDICTED]
        newest_ns = max((s.sec * _NS + s.nanosec for s in stamps), default=0)
        if newest_ns and newest_ns not in self._answered and self.answers < len(self.latency_s):
            if len(self._answered) > 1000:
                self._answered = {s for s in self._answered if s > newest_ns - 2 * _NS}
            self._answered.add(newest_ns)
            self.latency_s[self.answers] = (now_ns - newest_ns) * 1e-9
            self.answered_at_ns[self.answers] = now_ns
            self.answers += 1

    def _on_diagnostics(self, array: Any) -> None:
        found = {s.name.split(": ")[-1]: {v.key: v.value for v in s.values} for s in array.status}
        level = max(int.from_bytes(s.level, "little") for s in array.status)
        self.diagnostics.append((time.monotonic(), found, level))

    def close(self) -> None:
        """End the threads."""
        from rclpy.signals import uninstall_signal_handlers

        uninstall_signal_handlers()  # rclpy's signal thread uses the executor, see spinning.spin
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self._executor.shutdown(timeout_sec=1.0)
        self._node.destroy_node()


def run(
    minutes: float, people: int, rate_hz: float, model: Path | None = None, backend: str = "onnx", threads: int = 1
) -> dict[str, Any]:
    """Run the node in a process of its own, on a private ROS domain.

    Args:
        minutes: length, the warm-up included.
        people: places of the crowd.
        rate_hz: frames a second.
        model: folder; None: the shipped one.
        backend: of the node.
        threads: of the backend.

    Returns:
        `verdicts`, each with name, passed and what was seen, and the series that they were drawn from.
    """
    processes.private_domain()
    import rclpy

    seconds = 60.0 * minutes
    warm_up_s = min(_WARM_UP_S, _WARM_UP_SHARE * seconds)
    memory: list[tuple[float, int]] = []
    rclpy.init(args=[])
    try:
        with tempfile.TemporaryDirectory() as folder:
            with processes.predictor_process(FRAME, Path(folder) / "node.log", model, backend, threads) as node:
                watch = _Watch(people, rate_hz, seconds + processes.STARTUP_TIMEOUT_S)
                try:
                    processes.wait(lambda: watch.answers > 0, [node], processes.STARTUP_TIMEOUT_S, "prediction")
                    begin = time.monotonic()
                    begin_ns = time.time_ns()
                    next_at = begin
                    while (now := time.monotonic()) < begin + seconds:
                        node.check()
                        if not rclpy.ok():
                            raise processes.LiveError("ended by a signal")
                        if now >= next_at:
                            memory.append((now - begin, resident_bytes(node.popen.pid)))
                            next_at += 1.0
                        time.sleep(0.05)
                    end_ns = time.time_ns()
                    time.sleep(0.3)  # the last answers
                finally:
                    watch.close()
    finally:
        rclpy.try_shutdown()
    kept = [(t - begin, values, level) for t, values, level in watch.diagnostics if t >= begin]
    judged_ns = (begin_ns + round(warm_up_s * _NS), end_ns)
    return {
        "machine": machine(),
        "minutes": minutes,
        "people": people,
        "rate_hz": rate_hz,
        "backend": backend,
        **judge(watch, judged_ns, [(t, b) for t, b in memory if t >= warm_up_s], kept, seconds),
    }


def judge(
    watch: Any,
    span_ns: tuple[int, int],
    memory: list[tuple[float, int]],
    diagnostics: list[tuple[float, dict[str, dict[str, str]], int]],
    seconds: float,
) -> dict[str, Any]:
    """Verdicts on a run.

    Args:
        watch: with `sent_ns`, `sent`, `latency_s`, `answered_at_ns` and `answers`.
        span_ns: what is judged, system clock.
        memory: (seconds, bytes resident), a value a second.
        diagnostics: (seconds, part -> values, level).
        seconds: length of the run.
    """
    sent_ns = watch.sent_ns[: watch.sent]
    sent = int(((sent_ns >= span_ns[0]) & (sent_ns < span_ns[1])).sum())
    at_ns, late_ms = watch.answered_at_ns[: watch.answers], 1e3 * watch.latency_s[: watch.answers].astype(float)
    inside = (at_ns >= span_ns[0]) & (at_ns < span_ns[1] + _NS // 4)
    at_ns, late_ms = at_ns[inside], late_ms[inside]
    thirds = np.array_split(late_ms, 3)
    (first_p50, first_p99), (last_p50, last_p99) = (
        np.percentile(part, (50, 99)) if len(part) else (np.nan, np.nan) for part in (thirds[0], thirds[2])
    )
    fifth = max(len(memory) // 5, 1)
    before, after = (float(np.median([b for _, b in part])) for part in (memory[:fifth], memory[-fifth:]))
    grown = after / before - 1.0
    missing = sorted(
        {
            f"{part}: {key}"
            for t, values, _ in diagnostics
            if t >= 3.0  # before, not every stage has run
            for part, keys in EXPECTED.items()
            for key in keys
            if key not in values.get(part, {})
        }
    )
    silent = 1.0 - min(len(diagnostics) / max(seconds - 1.0, 1.0), 1.0)
    errors = sum(level >= 2 for _, _, level in diagnostics)
    missed = max(sent - len(late_ms), 0)

    def verdict(name: str, passed: bool, seen: str) -> dict[str, Any]:
        return {"name": name, "passed": bool(passed), "seen": seen}

    verdicts = [
        verdict(
            "memory",
            abs(grown) <= MEMORY_SHARE,
            f"resident {before / 2**20:.1f} MiB at first, {after / 2**20:.1f} MiB at last: {100 * grown:+.2f} %, "
            f"allowed {100 * MEMORY_SHARE:.0f} %",
        ),
        verdict(
            "latency",
            last_p50 <= (1.0 + LATENCY_SHARE) * first_p50 + LATENCY_MS,
            f"p50 {first_p50:.2f} ms in the first third, {last_p50:.2f} ms in the last, allowed "
            f"{(1.0 + LATENCY_SHARE) * first_p50 + LATENCY_MS:.2f} ms; p99 {first_p99:.2f} and {last_p99:.2f} ms",
        ),
        verdict(
            "frames",
            sent > 0 and missed <= MISSED_SHARE * sent,
            f"{missed} of {sent} frames without a prediction of their own, allowed {100 * MISSED_SHARE:.0f} %",
        ),
        verdict(
            "diagnostics",
            not missing and not errors and silent <= SILENT_SHARE,
            f"{len(diagnostics)} messages in {seconds:.0f} s, {errors} with an error, "
            + (f"missing: {', '.join(missing[:5])}" if missing else "all complete"),
        ),
    ]
    every = max(len(memory) // 60, 1)
    last = diagnostics[-1][1] if diagnostics else {}
    for values in last.values():
        values.pop("model_dir", None)  # says where it ran, not how
    return {
        "verdicts": verdicts,
        "latency_ms": {
            "p50": round(float(np.median(late_ms)), 3) if len(late_ms) else None,
            "p99": round(float(np.percentile(late_ms, 99)), 3) if len(late_ms) else None,
            "p50_by_tenth": [round(float(np.median(p)), 3) for p in np.array_split(late_ms, 10) if len(p)],
        },
        "resident_mib": [round(b / 2**20, 2) for _, b in memory[::every]],
        "last_diagnostics": last,
    }


def text(report: dict[str, Any]) -> str:
    """The verdicts, a line each."""
    lines = [
        f"{report['minutes']:g} min at {report['rate_hz']:g} Hz, {report['people']} people who come and go, "
        f"backend {report['backend']}"
    ]
    for v in report["verdicts"]:
        lines.append(f"{'pass' if v['passed'] else 'FAIL'}  {v['name']:<12} {v['seen']}")
    return "\n".join(lines)
