# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Seconds from the start of the node's process to its first prediction, of two versions in turn:

    python -m tools.bench_start OLD --rounds 5

OLD is a checkout (`git worktree add`) whose messages are those of this environment. The executable is started as it is
when installed: with compiled modules. What else runs, and DDS announcements that were missed, only make a start longer:
the least of the rounds counts, and the median tells how often that happens.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
PATIENCE_S = 60.0


def start(root: Path, compiled: str) -> tuple[float, float]:
    """Processor seconds of the node's process at its first prediction, and seconds on the clock.

    Args:
        root: of the checkout.
        compiled: folder for what Python compiles.
    """
    from support.node_harness import Probe, private_domain

    domain = private_domain()
    probe = Probe(domain)
    node = [sys.executable, "-m", "aux_motion.nodes.predictor_main", "--ros-args"]
    node += ["-p", "autostart:=true", "-p", "fixed_frame:=world"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONPATH": str(root), "PYTHONPYCACHEPREFIX": compiled, "ROS_DOMAIN_ID": str(domain)}
    begin = time.monotonic()
    process = subprocess.Popen(node, cwd=root, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not any(m.people for m in probe.predictions):
            if process.poll() is not None or time.monotonic() - begin > PATIENCE_S:
                raise SystemExit(f"{root}: no prediction within {PATIENCE_S:g} s: start the node there by hand")
            probe.send(time.time_ns())
            probe.spin_for(0.01)  # a slower tracker would add its own interval
        seconds = time.monotonic() - begin
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), seconds
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        probe.close()


def main(
    old: Annotated[Path, typer.Argument(help="Checkout of the other version.")],
    rounds: Annotated[int, typer.Option(min=1)] = 5,
    json_path: Annotated[Path | None, typer.Option("--json", help="The least and all times.")] = None,
) -> None:
    """Start both in turn and print the least of each."""
    times: dict[str, list[tuple[float, float]]] = {"old": [], "new": []}
    with tempfile.TemporaryDirectory() as compiled:
        for k in range(rounds + 1):
            for name, root in (("old", old.resolve()), ("new", ROOT)):
                took = start(root, compiled)
                if k:  # the first start compiles
                    times[name].append(took)
    report = {
        name: {
            "processor_s": round(min(t[0] for t in rows), 2),
            "clock_s": round(min(t[1] for t in rows), 2),
            "clock_median_s": round(median(t[1] for t in rows), 2),
            "all": [[round(x, 2) for x in t] for t in rows],
        }
        for name, rows in times.items()
    }
    print(json.dumps(report, indent=1))
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
