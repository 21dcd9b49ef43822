# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""End to end over DDS: the node against a node that only answers, in turns, at several rates and numbers of people."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from tqdm import tqdm

from aux_motion.benchmarks.bench_client import FRAME, Client, Side
from aux_motion.benchmarks.bench_echo import FLOOR
from aux_motion.commands import processes
from aux_motion.nodes.conversion import prediction_message
from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.testing import synthetic

#: Turns of each of the two.
_TURNS = 2

Record = dict[str, Any]


def templates(model_dir: str, backend: str, people: list[int]) -> dict[int, bytes]:
    """For each number of people a serialised prediction as the node would send it."""
    made = {}
    used = make_backend(backend, model_dir)
    for n in people:
        predictor = Predictor(used, PredictorConfig(max_people=max(people)), FRAME)
        for frame in synthetic.frames(n, 0.6, 30.0, frame_id=FRAME):
            predictor.add(frame)
        made[n] = serialize_message(prediction_message(predictor.predict(frame.stamp_ns)))
    used.close()
    return made


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds; NaN where /proc does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    model: Path | None,
    folder: str,
    backend: str,
    people: list[int],
    rates_hz: list[int],
    seconds: float,
    threads: int = 1,
) -> list[Record]:
    """Node and echo, each in a process of its own, in turns; rclpy must be initialised, on a private domain.

    Args:
        model: folder given to the node; None: the shipped one.
        folder: the same, resolved.
        backend: of the node.
        people: numbers of people.
        rates_hz: of the input.
        seconds: for each of the two at each rate and number of people.
        threads: of the node's backend.

    Returns:
        Records of stage "end_to_end", latency from before publishing skeletons to having the prediction. `missed` are
        frames that got no prediction of their own, of `sent`. Those of the node have `above_floor_p50_ms` and
        `above_floor_p99_ms`, and the node's processor time as a share of one core; the first has the node's start-up
        time (from the start of its process, the people already walking) and resident memory.
    """
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        made = templates(folder, backend, sorted({1, *people}))
        file = scratch / "templates.json"
        file.write_text(json.dumps({n: base64.b64encode(b).decode() for n, b in made.items()}))
        client = Client()
        try:
            with (
                processes.Process("aux_motion.benchmarks.bench_echo", [str(file)], scratch / "echo.log") as echoing,
                processes.predictor_process(FRAME, scratch / "node.log", model, backend, threads) as node,
            ):
                about = _start(client, echoing, node)
                cells = [(rate, n) for n in people for rate in rates_hz]
                for rate, n in tqdm(cells, unit=" cells", disable=None):
                    share = _play(client, echoing, node, n, rate, seconds)
                    floor, own = (_row(client.sides[s], n, rate) for s in (FLOOR, "node"))
                    row = {
                        **_cell(backend, n, threads, rate),
                        **own,
                        "above_floor_p50_ms": round(own["p50_ms"] - floor["p50_ms"], 4),
                        "above_floor_p99_ms": round(own["p99_ms"] - floor["p99_ms"], 4),
                        "node_cpu_share": share,
                        **about,
                    }
                    about = {}
                    records += [row, {**_cell(FLOOR, n, 1, rate), **floor}]
                records[0]["node_rss_mib"] = round(node.resident_mib(), 1)
        finally:
            client.close()
    return records


def _cell(backend: str, people: int, threads: int, rate_hz: int) -> Record:
    return {"stage": "end_to_end", "backend": backend, "people": people, "threads": threads, "rate_hz": rate_hz}


def _play(
    client: Client, echoing: processes.Process, node: processes.Process, people: int, rate_hz: int, seconds: float
) -> float:
    """Play to node and echo in turns; the node's processor time as a share of one core."""
    messages = client.messages(people, rate_hz)
    cpu_s = wall_s = 0.0
    for side in client.sides.values():
        side.sent.clear()
        side.answered.clear()
    for _ in range(_TURNS):
        cpu, start = _cpu_s(node.popen.pid), time.perf_counter()
        client.turn("node", messages, rate_hz, seconds / _TURNS)
        cpu_s += _cpu_s(node.popen.pid) - cpu
        wall_s += time.perf_counter() - start
        client.turn(FLOOR, messages, rate_hz, seconds / _TURNS)
        node.check()
        echoing.check()
    return round(cpu_s / wall_s, 3)


def _start(client: Client, echoing: processes.Process, node: processes.Process) -> Record:
    """Play until both answer; the node's start-up time."""
    messages = client.messages(1, 30.0)
    end = time.monotonic() + processes.STARTUP_TIMEOUT_S
    index = 0
    while not all(side.answered for side in client.sides.values()):
        for name, process in (("node", node), (FLOOR, echoing)):
            process.check()
            client.send(name, messages[index % len(messages)])
        if time.monotonic() > end:
            raise processes.LiveError(
                f"no prediction within {processes.STARTUP_TIMEOUT_S:.0f} s (node: {node.last_line()})"
            )
        index += 1
        time.sleep(1.0 / 30.0)
    first_ns = min(client.sides["node"].answered.values())
    return {"start_to_first_prediction_s": round((first_ns - node.started_ns) * 1e-9, 3)}


def _row(side: Side, people: int, rate_hz: float) -> Record:
    late_s = [(side.answered[s] - s) * 1e-9 for s in side.sent if s in side.answered]
    if not late_s:
        raise processes.LiveError(
            f"no prediction came back of {len(side.sent)} messages ({people} people, {rate_hz} Hz)"
        )
    p50, p95, p99 = (round(1e3 * float(q), 4) for q in np.percentile(late_s, (50, 95, 99)))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "sent": len(side.sent), "missed": len(side.sent) - len(late_s)}
