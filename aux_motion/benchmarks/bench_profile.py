# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion bench --profile`: where the node's time goes under load, as a table and as a flame graph."""

from __future__ import annotations

import pstats
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import rclpy

from aux_motion.benchmarks import flame_graph
from aux_motion.benchmarks.bench_client import FRAME, Client
from aux_motion.benchmarks.flame_graph import Call
from aux_motion.commands import processes

#: Functions in the table.
_ROWS = 40
#: Seconds that the file is waited for.
_PATIENCE_S = 10.0


def run(model: Path | None, backend: str, people: int, rate_hz: int, seconds: float, out: Path) -> str:
    """Profile the real node in a process of its own while people are played to it, on a private ROS domain.

    Args:
        model: folder; None: the shipped one.
        backend: of the node.
        people: in every frame.
        rate_hz: of the frames.
        seconds: profiled.
        out: folder for `profile.txt`, `profile.svg` and `profile.pstats`.

    Returns:
        The table.

    Raises:
        LiveError: the node ends or does not answer.
    """
    processes.private_domain()
    out.mkdir(parents=True, exist_ok=True)
    rclpy.init(args=[])
    client = None
    try:
        client = Client()
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "profile.pstats"
            arguments = [str(file), "--fixed-frame", FRAME, "--backend", backend, "--input-topic", "skeletons"]
            arguments += ["--model", str(model)] if model is not None else []
            module = "aux_motion.benchmarks.profiled_node"
            with processes.Process(module, arguments, Path(name) / "node.log") as node:
                frames = _play(client, node, people, rate_hz, seconds, file)
                stats = pstats.Stats(str(file))
    finally:
        if client is not None:
            client.close()
        rclpy.try_shutdown()
    root = flame_graph.tree(stats)
    title = f"{people} people, {rate_hz} Hz, {frames} frames; processor time by cProfile, which makes calls longer"
    text = table(root, title, frames)
    (out / "profile.txt").write_text(text + "\n", encoding="utf-8")
    (out / "profile.svg").write_text(flame_graph.svg(root, title, frames), encoding="utf-8")
    stats.dump_stats(out / "profile.pstats")
    return text


def _play(client: Client, node: processes.Process, people: int, rate_hz: int, seconds: float, file: Path) -> int:
    messages = client.messages(people, rate_hz)
    side = client.sides["node"]
    end = time.monotonic() + processes.STARTUP_TIMEOUT_S
    while not side.answered:
        node.check()
        if time.monotonic() > end:
            raise processes.LiveError(f"no prediction from the node ({node.last_line()})")
        client.send("node", messages[0])
        time.sleep(0.1)
    client.turn("node", messages, rate_hz, 1.0)  # people are believed, caches are warm
    node.popen.send_signal(signal.SIGUSR1)
    before = len(side.answered)
    client.turn("node", messages, rate_hz, seconds)
    frames = len(side.answered) - before
    node.popen.send_signal(signal.SIGUSR1)
    end = time.monotonic() + _PATIENCE_S
    while not file.exists() and time.monotonic() < end:
        node.check()
        client.send("node", messages[0])  # a signal is handled when the node wakes up
        time.sleep(0.05)
    if not file.exists() or not frames:
        raise processes.LiveError(f"{frames} frames were predicted, and no profile came ({node.last_line()})")
    return frames


def _room(call: Call, above: tuple[Call, ...]) -> str:
    """What a call belongs to: the network, or the room of the package that made it."""
    if "onnxruntime" in call.function[2] or "onnxruntime" in call.function[0]:
        return "network"
    for c in (call, *reversed(above)):
        for package in ("aux_motion_core", "aux_motion"):
            parts = Path(c.function[0]).parts
            if package in parts:
                rest = parts[len(parts) - parts[::-1].index(package) :]
                return f"{package}.{rest[0].removesuffix('.py')}"
    return "rclpy and the rest"


def table(root: Call, title: str, frames: int) -> str:
    """Time by room and by function, ms a frame.

    Args:
        root: of `flame_graph.tree`.
        title: first line.
        frames: that were predicted.
    """
    rooms: dict[str, float] = defaultdict(float)
    functions: dict[str, Any] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for call, above in flame_graph.walk(root):
        rooms[_room(call, above)] += call.own_s
        row = functions[call.name]
        row[0] += call.own_s
        row[1] += call.seconds if call.name not in {c.name for c in above} else 0.0
        row[2] += call.calls
    each = 1e3 / frames
    lines = [title, "", f"{'where':<34}{'ms a frame':>12}{'share':>8}"]
    for room, seconds in sorted(rooms.items(), key=lambda r: -r[1]):
        if seconds > 0.001 * root.seconds:
            lines.append(f"{room:<34}{each * seconds:>12.3f}{seconds / root.seconds:>8.1%}")
    lines += [f"{'all':<34}{each * root.seconds:>12.3f}", ""]
    lines += [f"{'own ms':>9}{'with below':>12}{'calls':>8}  function"]
    for name, (own_s, seconds, calls) in sorted(functions.items(), key=lambda f: -f[1][0])[:_ROWS]:
        lines.append(f"{each * own_s:>9.3f}{each * seconds:>12.3f}{calls / frames:>8.1f}  {name}")
    return "\n".join(lines)
