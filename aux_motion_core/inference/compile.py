# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion compile`: build an engine, compare it with fp32, and say what was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aux_motion_core.inference import precision as precisions
from aux_motion_core.inference import tensorrt
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.build import Windows, build, refuse_unlike
from aux_motion_core.inference.cuda import Gpu, GpuError
from aux_motion_core.inference.engine import CARD, PLAN, EngineError, card_content, read_card
from aux_motion_core.inference.onnx import OnnxBackend


def open_gpu() -> Gpu | None:
    """A `Gpu`, or None where there is none."""
    try:
        return Gpu()
    except GpuError:
        return None


def compile_model(
    artefact: Artefact,
    out: str | Path,
    target: str = "current",
    precision: str = "fp32",
    max_people: int = 16,
    windows: Windows | None = None,
    source: str | Path | None = None,
    gpu: Gpu | None = None,
) -> Iterator[str]:
    """`aux-motion compile`: build, compare, and say line by line what was done.

    Args:
        artefact: a checked one.
        out: folder of the engine.
        target: `current` or one of `TARGETS`.
        precision: fp32, fp16 or int8.
        max_people: largest batch, 1 to 256.
        windows: normalised values and mask of a recording, for scales and parity; None: there are none.
        source: the recording that these are of, for what is said.
        gpu: an open one, None where there is none.

    Raises:
        ValueError: in one line, what is wrong.
    """
    precisions.check(precision)
    if windows is None and precision != "fp32":
        raise EngineError(
            f"{precision} is compared with fp32 on a recording, and the sample is not here: give one, --data BAG"
        )
    card = build(artefact, out, target, precision, max_people, windows, gpu=gpu)
    yield (
        f"{card.flavour} {card.flavour_version} built {artefact.name} {artefact.version} for {card.target} "
        f"({card.precision}, up to {card.max_people} people) in {card.build_s:.1f} s"
    )
    if card.gpu is not None and windows is not None:
        card.parity["gpu"] = found = _gpu_parity(artefact, out, windows)
        if precision != "fp32" and not precisions.close_enough(found):
            (Path(out) / CARD).unlink()
            refuse_unlike(precision, found, artefact)
        (Path(out) / CARD).write_bytes(card_content(card))
    for where, parity in card.parity.items():
        if parity is not None:
            what = "the engine" if where == "gpu" else "its graph on the CPU"
            yield (
                f"parity with fp32 ({what}, {parity['windows']} windows of {source}): "
                f"mean {parity['mean_mm']:.3f} mm, at most {parity['most_mm']:.3f} mm"
            )
    if card.gpu is None:
        yield f"not run here: that needs a GPU of kind {card.target}"
    yield f"written: {Path(out) / PLAN}, {Path(out) / CARD}"


def _gpu_parity(artefact: Artefact, out: str | Path, windows: Windows) -> dict[str, float | int]:
    flavour = read_card(out, artefact.folder).flavour
    backend = tensorrt.make(flavour, artefact, 1, engine_dir=out, deadline_s=10.0, strict=True)
    try:
        found = precisions.parity(OnnxBackend(artefact).infer(*windows), backend.infer(*windows))
    finally:
        backend.close()
    return found
