# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Errors of a recording over the strength of faults that are laid over it."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

from tqdm import tqdm

from aux_motion.commands.offline import Job, Reading, make
from aux_motion_core.evaluation.comparisons import Grid
from aux_motion_core.evaluation.faults import Faults
from aux_motion_core.evaluation.replay import Replayed, predict, quiet
from aux_motion_core.evaluation.run import judge
from aux_motion_core.predictor import Predictor
from aux_motion_core.types import SkeletonFrame

#: Fractions of the asked strength at which faults are judged.
FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _sweep_point(job: Job, settings: str, fraction: float) -> dict[str, Any]:
    """Errors with faults at a fraction of their strength, judged by the recording as it is."""
    laid = Faults.parse(settings, seed=job.seed).scaled(fraction)
    reading = Reading(job)
    true_ids: dict[str, str] = {}
    names: deque[dict[str, str]] = deque()  # of the frames that are read and not judged yet

    def stream() -> Iterator[tuple[int, SkeletonFrame]]:
        for item in laid.trace(reading.frames()):
            ids = item.source.person_ids
            names.append({i: ids[row] for i, row in zip(item.frame.person_ids, item.rows, strict=True)})
            yield item.log_time_ns, item.frame

    def taken(predictor: Predictor) -> Iterator[Replayed]:
        for item in predict(stream(), predictor):
            true_ids.update(names.popleft())
            yield item

    backend = make(reading.parameters)
    try:
        table = getattr(backend, "calibration", None)
        config = quiet(reading.parameters, table is not None)
        predictor = Predictor(backend, config, reading.parameters.fixed_frame)
        found = judge(
            taken(predictor),
            Grid.of(backend),
            config,
            truth=reading.frames(),
            whose=true_ids.get,
            from_arrival=True,
            compare=job.compare,
            table=table,
        )
        found.stream.counters.update(predictor.counters)
    finally:
        backend.close()
    part = found.summary()
    return {
        "fraction": fraction,
        "faults": str(laid) if laid.settings else "",
        **{k: part[k] for k in ("mpjpe_mm", "samples", "jitter_mm")},
        "interval_mm": {h: {s: [c["low"], c["high"]] for s, c in row.items()} for h, row in part["errors_mm"].items()},
        "unseen": {h: u["share"] for h, u in part["unseen"].items()},
        "coverage": {
            label: {h: c["coverage"] for h, c in kind["horizons"].items()} for label, kind in part["bounds"].items()
        },
        "predicted_share": part["input"]["predicted_share"],
        "states": part["input"]["states"],
        "counters": part["input"]["counters"],
    }


def sweep(job: Job) -> dict[str, Any]:
    """Error over the strength of each fault, and of all together."""
    faults = Faults.parse(job.faults, seed=job.seed)
    names = [s.name for s in faults.settings]
    single = {s.name if names.count(s.name) == 1 else str(s): str(s) for s in faults.settings}
    if len(single) > 1:
        single["all"] = str(faults)
    # nothing is laid over it at 0, whatever the fault
    runs = [(next(iter(single)), 0.0)] + [(name, f) for name in single for f in FRACTIONS if f > 0.0]
    silent = replace(job, progress=False, annotated=False)
    arguments = [[silent] * len(runs), [single[n] for n, _ in runs], [f for _, f in runs]]
    bar = {"desc": "faults", "unit": " runs", "total": len(runs), "disable": not job.progress or None}
    if job.workers > 1:
        with ProcessPoolExecutor(job.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            points = list(tqdm(pool.map(_sweep_point, *arguments), **bar))
    else:
        points = list(tqdm(map(_sweep_point, *arguments), **bar))
    curves: dict[str, Any] = {name: [points[0]] for name in single}
    for (name, _), point in zip(runs[1:], points[1:], strict=True):
        curves[name].append(point)
    return {"spec": str(faults), "seed": job.seed, "fractions": list(FRACTIONS), "from_arrival": True, "curves": curves}
