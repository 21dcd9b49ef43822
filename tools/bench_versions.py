# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Two versions in turn in one run, as ratios: `python tools/bench_versions.py OLD --json FILE`.

OLD is a checkout of another version (`git worktree add OLD COMMIT`). Both are measured by this checkout's
`aux-motion bench`, round by round, so that a busy machine is busy for both; of each number the best round counts.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parents[1]
_PARTS = ("aux_motion", "aux_motion_core", "models", "config")


def prepared(checkout: Path, folder: Path) -> Path:
    """What is measured of a checkout, with this checkout's benchmarks."""
    for part in _PARTS:
        shutil.copytree(checkout / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "msg"))
    shutil.rmtree(folder / "aux_motion" / "benchmarks")
    shutil.copytree(HERE / "aux_motion" / "benchmarks", folder / "aux_motion" / "benchmarks")
    return folder


def sgemm_mflop_per_ms(size: int = 256, rounds: int = 200) -> float:
    """What this machine multiplies on one core, in millions of operations a millisecond."""
    code = (
        "import numpy as np, time, threadpoolctl; threadpoolctl.threadpool_limits(1)\n"
        f"a = np.ones(({size}, {size}), np.float32); t = []\n"
        f"for _ in range({rounds}): s = time.perf_counter(); a @ a; t.append(time.perf_counter() - s)\n"
        f"print(2 * {size}**3 / np.median(t) / 1e9)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def measure(folder: Path, options: list[str]) -> dict[tuple[str, int], dict]:
    """Records of one round, by stage and number of people."""
    out = folder / "bench.json"
    command = [sys.executable, "-m", "aux_motion.cli", "bench", "--json", str(out), "--no-baselines", *options]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report = json.loads(out.read_text())
    found = {(r["stage"], r["people"]): r for r in report["records"] if r["backend"] in ("onnx", "planners")}
    found["machine", 0] = report["machine"]
    return found


def ratios(best: dict[tuple[str, int], float], mflop_per_ms: float) -> dict[str, float]:
    """The numbers that do not depend on the machine; p50 of each stage in ms."""
    net = {n: best["backend", n] for n in (1, 4, 8)}
    return {
        "total over network, one person": best["total", 1] / net[1],
        "total over network, eight": best["total", 8] / net[8],
        "end to end above the echo over network, one person": best["above_floor", 1] / net[1],
        "network, one person, sgemm MFLOP": net[1] * mflop_per_ms,
        "total, one person, sgemm MFLOP": best["total", 1] * mflop_per_ms,
        "end to end above the echo, one person, sgemm MFLOP": best["above_floor", 1] * mflop_per_ms,
        "network, one of eight, sgemm MFLOP": net[8] / 8 * mflop_per_ms,
        "occupancy over network, four": best["occupancy", 4] / net[4],
        "separation over network, four": best["separation", 4] / net[4],
        "swept volume over network, four": best["swept", 4] / net[4],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, help="checkout of the other version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    options = ["--people", "1,4,8", "--threads", "1", "--rates", "30", "--rounds", "150", "--dds-seconds", "4"]
    with tempfile.TemporaryDirectory() as name:
        folders = {}
        for version, checkout in (("old", given.old.resolve()), ("new", HERE)):
            folders[version] = prepared(checkout, Path(name) / version)
        rounds: dict[str, list[dict]] = {version: [] for version in folders}
        gemm = []
        for _ in range(given.rounds):
            for version, folder in folders.items():
                rounds[version].append(measure(folder, options))
                gemm.append(sgemm_mflop_per_ms())
    report: dict = {"command": " ".join(["python", *sys.argv]), "machine": rounds["new"][-1]["machine", 0]}
    for version, found in rounds.items():
        keys = [k for k in found[0] if k[0] not in ("machine", "end_to_end")]
        best = {k: min(r[k]["p50_ms"] for r in found) for k in keys}
        for n in (1, 4, 8):
            best["end_to_end", n] = min(r["end_to_end", n]["p50_ms"] for r in found)
            best["above_floor", n] = min(r["end_to_end", n]["above_floor_p50_ms"] for r in found)
        start_s = min(r["end_to_end", 1]["start_to_first_prediction_s"] for r in found)
        report[version] = {
            "ratios": {k: round(v, 2) for k, v in ratios(best, float(np.median(gemm))).items()},
            "start_to_first_prediction_s": start_s,
            "p50_ms": {f"{stage}, {n}": round(v, 3) for (stage, n), v in sorted(best.items())},
        }
    for name, old in report["old"]["ratios"].items():
        print(f"{name:<55}{old:>8.2f}{report['new']['ratios'][name]:>8.2f}")
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
