# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How long `aux-motion evaluate` takes, in two versions in turn, and how much memory.

    python tools/bench_evaluate.py OLD --minutes 10 --json docs/benchmarks/evaluate.json

OLD is a checkout of another version (`git worktree add OLD COMMIT`). Evaluates the sample, and bags of people who walk,
at 30 Hz, with 5 mm of noise and 5 % of the joints missing, with all that is on by default: baselines, mix, report and
annotated bag. Of several rounds the best counts, of wall time and of processor time apart.
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

HERE = Path(__file__).resolve().parents[1]
SAMPLE = Path("samples/sports2d_demo.mcap")
_RATE_HZ = 30.0


def make_bag(path: Path, seconds: float, people: int) -> None:
    """Write such a bag."""
    rng = np.random.default_rng(0)
    with BagWriter(path) as writer:
        for frame in synthetic.frames(people, seconds, _RATE_HZ):
            noisy = frame.positions + rng.normal(0.0, 0.005, frame.positions.shape)
            status = np.where(rng.random(frame.status.shape) < 0.05, 0, frame.status).astype(np.uint8)
            writer.write("/skeletons", replace(frame, positions=noisy, status=status), frame.stamp_ns + 20_000_000)


def measure(checkout: Path, bag: Path, out: Path) -> dict[str, float]:
    """Evaluate a bag with a version, in processes of its own.

    Returns:
        Seconds on the clock, seconds of processor time of all its processes, and the largest memory of one of them.
    """
    command = [sys.executable, "-m", "aux_motion.entry", "evaluate", str(bag), "--out", str(out), "--no-progress"]
    # GNU time or not: wait4 tells of the command and of the children that it waited for
    start = time.perf_counter()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}  # modules compiled, as a user's are
    env["PYTHONPATH"] = str(checkout)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env, cwd=checkout)
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


def compare(versions: dict[str, Path], bag: Path, folder: Path, rounds: int) -> dict:
    """The versions in turn on one bag."""
    found: dict[str, list[dict[str, float]]] = {version: [] for version in versions}
    for _ in range(rounds):
        for version, checkout in versions.items():
            found[version].append(measure(checkout, bag, folder / version))
    best = {v: {k: min(r[k] for r in rows) for k in rows[0]} for v, rows in found.items()}
    summary = {v: json.loads((folder / v / "summary.json").read_text(encoding="utf-8")) for v in versions}
    new = summary["new"]
    errors = [s["errors_mm"][h][k]["mean"] for s in summary.values() for h, row in s["errors_mm"].items() for k in row]
    old_mm, new_mm = np.array(errors).reshape(2, -1)
    return {
        "model": new["model"],
        "frames": new["input"]["frames"],
        "predictions_judged": new["samples"]["0.2"],
        **best,
        "wall_ratio": round(best["new"]["wall_s"] / best["old"]["wall_s"], 3),
        "cpu_ratio": round(best["new"]["cpu_s"] / best["old"]["cpu_s"], 3),
        "times_real_time": round(new["input"]["duration_s"] / best["new"]["wall_s"], 1),
        "errors_differ_by_mm": round(float(np.abs(old_mm - new_mm).max()), 4),
        "report_bytes": (folder / "new" / "report.html").stat().st_size,
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="checkout of the other version")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--minutes", type=float, nargs="*", default=[10.0], help="lengths of the bags")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 2], help="people in each of them")
    parser.add_argument("--rounds", type=int, default=3, help="of the sample and of bags of a minute; of longer ones 1")
    arguments = parser.parse_args()
    versions = {"old": arguments.old.resolve(), "new": HERE}
    found: dict = {
        "command": "python tools/bench_evaluate.py OLD --minutes "
        f"{' '.join(f'{m:g}' for m in arguments.minutes)} --people {' '.join(map(str, arguments.people))} "
        "--json docs/benchmarks/evaluate.json",
        "cpus": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "rate_hz": _RATE_HZ,
        "bags": [],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bags = [({"bag": SAMPLE.name}, versions["old"] / SAMPLE)]
        for minutes in arguments.minutes:
            for people in arguments.people:
                bag = folder / f"walk_{minutes:g}_{people}.mcap"
                make_bag(bag, 60.0 * minutes, people)
                bags.append(({"minutes": minutes, "people": people}, bag))
        for which, bag in bags:
            rounds = arguments.rounds if which.get("minutes", 0.0) <= 1.0 else 1
            found["bags"].append({**which, **compare(versions, bag, folder, rounds)})
            print(json.dumps(found["bags"][-1]), flush=True)
    found["load_after"] = round(os.getloadavg()[0], 2)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
