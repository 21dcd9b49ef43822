# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Between the weights of a network and those that it was trained further to:

    python -m training.fitting.average --before models/body20_25hz --after build/training/third/checkpoint.pt \\
        --out build/training/averaged/checkpoint.pt --json build/average.json

A straight line between the two is often better than its ends, on what was trained on and beyond it (Wortsman and
others, "Robust fine-tuning of zero-shot models", 2022). Taken is the largest of `SHARES` of the way at which no tier of
validation is worse than before by more than `WORSE`, with the blend of `--before`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from training.checkpoint import as_checkpoint, load_checkpoint, save_atomically
from training.commands import guard
from training.config import TrainConfig
from training.data import Clip, load_split
from training.data.files import try_to_write
from training.data.windows import cut
from training.fitting import blending
from training.losses import distance
from training.model import AuxMotionModel

#: Of the way that are tried.
SHARES = (0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
#: Split -> every how many clips of it; never the new subject.
TIERS = {"validation": 1, "real_tracker": 15, "rehab": 4, "nuitrack": 8, "robot_work": 2}
#: So much worse is within what a thinned tier tells.
WORSE = 0.01
#: Seconds ahead.
JUDGED_S = (0.4, 1.0)


def between(before: dict[str, Tensor], after: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights at `share` of the way; the blend stays that of `before`.

    Raises:
        ValueError: the two networks have different weights.
    """
    mine = {n: p for n, p in before.items() if not n.startswith("blend.")}
    if missing := {n for n, p in mine.items() if n not in after or after[n].shape != p.shape}:
        raise ValueError(f"the two are of different shapes: {', '.join(sorted(missing)[:3])}: train one from the other")
    moved = {n: torch.lerp(p, after[n], share) for n, p in mine.items() if p.is_floating_point()}
    return {**before, **moved}


@torch.no_grad()
def errors(model: AuxMotionModel, clips: list[Clip]) -> list[float]:
    """Mean error in mm at `JUDGED_S`, mean over clips, as recorded."""
    c = model.config
    steps = [min(c.future_steps, round(s / c.dt_s)) - 1 for s in JUDGED_S]
    rows = []
    for clip in clips:
        w = cut(clip, c.history_steps, c.future_steps, c.dt_s, 0.2)
        if w is not None:
            p = blending.of_windows(model, w, w.past, w.past_mask)
            future = blending.apply(model.blend, p)[0] if model.blend is not None else p.network
            seen = p.seen[:, steps]
            total = (distance(future[:, steps], p.truth[:, steps]) * seen).sum((0, 2))
            rows.append((1000.0 * total / seen.sum((0, 2)).clamp(min=1.0)).numpy())
    return [round(float(x), 2) for x in np.mean(rows, 0)]


def main(
    before: Annotated[Path, typer.Option(help="artefact that was trained further")],
    after: Annotated[Path, typer.Option(help="checkpoint that this training ended with")],
    out: Annotated[Path, typer.Option(help="checkpoint to write")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path | None, typer.Option("--json", help="errors at each share")] = None,
) -> None:
    """Choose how far to go from one network to the other, and write what lies there."""
    with guard("training.fitting.average"):
        torch.set_num_threads(1)
        for path in (out, json_path or out):
            try_to_write(path.parent)
        state, old = load_checkpoint(after, None, torch.device("cpu")), as_checkpoint(before)
        model = AuxMotionModel(TrainConfig.model_validate(old["config"]).model).eval()
        tiers = {name: load_split(data, name)[::step] for name, step in TIERS.items()}
        table: dict[float, dict[str, list[float]]] = {}
        for share in (0.0, *SHARES):
            model.load_state_dict(between(old["average"], state["average"], share))
            table[share] = {name: errors(model, clips) for name, clips in tiers.items()}
            print(f"{share:g}: {table[share]}")
        most = {name: [(1.0 + WORSE) * mm for mm in row] for name, row in table[0.0].items()}
        good = [s for s in SHARES if all(x <= y for n in tiers for x, y in zip(table[s][n], most[n]))]
        if not good:
            raise ValueError("at every share some tier is worse than before: train on, or keep what was there")
        state["average"] = between(old["average"], state["average"], max(good))
        state["config"]["model"] = old["config"]["model"]
        report: dict[str, Any] = {"schema_version": 1, "horizons_s": JUDGED_S, "share": max(good), "mm": table}
        save_atomically(state, out)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{max(good):g} of the way; written: {out}")


if __name__ == "__main__":
    typer.run(main)
