# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How long exported networks take on one CPU core, in turn in one run:

python -m training.latency --model models/body20_25hz --against FOLDER --json docs/benchmarks/latency.json
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime as ort
import typer

from aux_motion_core.inference import artefact
from training.commands import guard

PEOPLE = (1, 8)


def latencies(files: dict[str, Path], rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    """p50 and p99 in ms of each network on one core, {name: {people: {p50_ms, p99_ms}}}; the networks take turns."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    runs = []
    for name, file in files.items():
        session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        shape = session.get_inputs()[0].shape[1:]
        for n in PEOPLE:
            x = np.random.default_rng(0).normal(0, 0.5, (n, *shape)).astype(np.float32)
            runs.append((name, n, session, {"positions": x, "observed": np.ones(x.shape[:3], np.float32)}))
    spent: dict[tuple[str, int], list[float]] = {}
    for k in range(rounds + 3):  # the first ones warm up
        for name, n, session, feed in runs:
            session.run(None, feed)  # the caches are this network's again
            start = time.perf_counter()
            session.run(None, feed)
            if k >= 3:
                spent.setdefault((name, n), []).append(1e3 * (time.perf_counter() - start))
    out: dict[str, dict[str, dict[str, float]]] = {}
    for (name, n), ms in spent.items():
        p50, p99 = (round(float(v), 3) for v in np.percentile(ms, (50, 99)))
        out.setdefault(name, {})[str(n)] = {"p50_ms": p50, "p99_ms": p99}
    return out


def main(
    against: Annotated[Path, typer.Option(help="folder of the artefact that is compared with")],
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    json_path: Annotated[Path, typer.Option("--json")] = Path("docs/benchmarks/latency.json"),
    rounds: Annotated[int, typer.Option(help="calls of each", min=20)] = 1000,
) -> None:
    """Measure both; the ratio is of the medians."""
    with guard("training.latency"):
        both = [artefact.load(folder, calibrated=False) for folder in (model, against)]
        names = [f"{a.name} {a.version}" for a in both]
        if names[0] == names[1]:
            raise ValueError(f"expected two models, both are {names[0]}: name another --against")
        found = latencies({n: a.onnx_file for n, a in zip(names, both)}, rounds)
        ratio = {n: round(row["p50_ms"] / found[names[1]][n]["p50_ms"], 3) for n, row in found[names[0]].items()}
        report = {"schema_version": 1, "command": "python -m training.latency", "ms": found, "ratio_by_people": ratio}
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    for people, value in ratio.items():
        print(f"{people} people: {value} of {names[1]}'s latency")
    print(f"written: {json_path}")


if __name__ == "__main__":
    typer.run(main)
