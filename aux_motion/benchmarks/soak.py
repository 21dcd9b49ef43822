# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion soak`: the node for minutes, people coming, going and changing ids; what must stay is judged."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rclpy
from tqdm import tqdm

from aux_motion.benchmarks.bench_client import FRAME
from aux_motion.benchmarks.machine import machine
from aux_motion.benchmarks.soak_verdicts import judge
from aux_motion.benchmarks.soak_watch import Watch
from aux_motion.commands import processes
from aux_motion.nodes.realtime import resident_bytes
from aux_motion_core.constants import NS

#: The beginning, which is not judged: caches and pools fill; seconds, and at most this share of the run.
_WARM_UP_S, _WARM_UP_SHARE = 30.0, 0.25


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
    seconds = 60.0 * minutes
    warm_up_s = min(_WARM_UP_S, _WARM_UP_SHARE * seconds)
    memory: list[tuple[float, int]] = []
    rclpy.init(args=[])
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "node.log"
            with ExitStack() as stack, processes.predictor_process(FRAME, log, model, backend, threads) as node:
                watch = Watch(people, rate_hz, seconds + processes.STARTUP_TIMEOUT_S)
                try:
                    processes.wait(lambda: watch.answers > 0, [node], processes.STARTUP_TIMEOUT_S, "prediction")
                    begin = time.monotonic()
                    begin_ns = time.time_ns()
                    next_at = begin
                    bar = stack.enter_context(tqdm(total=round(seconds), unit=" s", desc="running", disable=None))
                    while (now := time.monotonic()) < begin + seconds:
                        bar.update(int(now - begin) - bar.n)
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
    judged_ns = (begin_ns + round(warm_up_s * NS), end_ns)
    return {
        "machine": machine(),
        "minutes": minutes,
        "people": people,
        "rate_hz": rate_hz,
        "backend": backend,
        **judge(watch, judged_ns, [(t, b) for t, b in memory if t >= warm_up_s], kept, seconds),
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
