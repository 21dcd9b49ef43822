"""How long exported networks take on one CPU core."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

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
