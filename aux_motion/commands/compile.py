# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion compile`: the recording that an engine is compared on, then the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aux_motion_core.evaluation.windows import bag_windows, sample_bag
from aux_motion_core.inference import artefact as artefacts
from aux_motion_core.inference import precision as precisions
from aux_motion_core.inference.compile import compile_model, open_gpu


def run(
    model_dir: Path, out: Path, target: str, precision: str, max_people: int, data: Path | None = None
) -> Iterator[str]:
    """Build an engine, line by line of what was done.

    Args:
        model_dir: artefact.
        out: folder of the engine.
        target: `current` or one of `engine.TARGETS`.
        precision: fp32, fp16 or int8.
        max_people: largest batch.
        data: recording for scales and parity; None: the sample that comes with the checkout.

    Raises:
        ValueError: in one line, what is wrong.
    """
    artefact = artefacts.load(model_dir)
    precisions.check(precision)
    source = data if data is not None else sample_bag()
    gpu = open_gpu()
    try:
        wanted = precision != "fp32" or gpu is not None
        windows = bag_windows(source, artefact) if source is not None and wanted else None
        yield from compile_model(artefact, out, target, precision, max_people, windows, source, gpu)
    finally:
        if gpu is not None:
            gpu.close()
