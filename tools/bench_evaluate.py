# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How long `aux-motion evaluate` takes, and how much memory.

    python tools/bench_evaluate.py --json docs/benchmarks/evaluate.json

Makes bags of two people who walk, at 30 Hz, with 5 mm of noise and 5 % of the joints missing, of one and of
ten minutes, and evaluates each with all that is on by default: baselines, mix, report and annotated bag.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic

_RATE_HZ, _PEOPLE = 30.0, 2


def make_bag(path: Path, seconds: float) -> None:
    """Write such a bag."""
    rng = np.random.default_rng(0)
    with BagWriter(path) as writer:
        for frame in synthetic.frames(_PEOPLE, seconds, _RATE_HZ):
            noisy = frame.positions + rng.normal(0.0, 0.005, frame.positions.shape)
            status = np.where(rng.random(frame.status.shape) < 0.05, 0, frame.status).astype(np.uint8)
            writer.write("/skeletons", replace(frame, positions=noisy, status=status), frame.stamp_ns + 20_000_000)


def measure(bag: Path, out: Path) -> dict[str, float]:
    """Evaluate a bag in processes of its own.

    Returns:
        Seconds on the clock, seconds of CPU time of all its processes, and the largest memory of one of them.
    """
    command = [sys.executable, "-m", "aux_motion.cli", "evaluate", str(bag), "--out", str(out), "--no-progress"]
    # GNU time or not: wait4 tells of the command and of the children that it waited for
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return {
        "wall_s": round(wall_s, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "largest_process_mib": round(used.ru_maxrss / 1024, 1),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 10.0], help="lengths of the bags")
    arguments = parser.parse_args()
    found: dict = {
        "command": "python tools/bench_evaluate.py --json docs/benchmarks/evaluate.json",
        "cpus": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "people": _PEOPLE,
        "rate_hz": _RATE_HZ,
        "bags": [],
    }
    with tempfile.TemporaryDirectory() as folder:
        for minutes in arguments.minutes:
            bag = Path(folder) / f"walk_{minutes:g}.mcap"
            make_bag(bag, 60.0 * minutes)
            figures = measure(bag, Path(folder) / "out")
            summary = json.loads((Path(folder) / "out" / "summary.json").read_text(encoding="utf-8"))
            found["bags"].append(
                {
                    "minutes": minutes,
                    "model": summary["model"],
                    "frames": summary["input"]["frames"],
                    "predictions_judged": summary["samples"]["0.2"],
                    **figures,
                    "times_real_time": round(60.0 * minutes / figures["wall_s"], 1),
                    "report_bytes": (Path(folder) / "out" / "report.html").stat().st_size,
                }
            )
            print(json.dumps(found["bags"][-1]))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
