# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Fit how much of a still person's predicted displacement is taken back:

    python -m training.train --config training/configs/left_out_a.yaml     # and left_out_b.yaml
    python -m training.fitting.still_shrink --checkpoint build/training/body20_25hz/checkpoint.pt \\
        --left-out build/training/left_out_a/checkpoint.pt --left-out build/training/left_out_b/checkpoint.pt

A network trusts itself too much with motions that it never saw, and clips of motions that it was trained on cannot show
that. So three numbers are fitted with models from whose training some motion classes were left out: on all clips of
these classes and on the validation clips of the others, by a grid, for the least mean over classes of the log error.
They are written into the configuration of the checkpoint that is to be exported.

Without such models they are fitted with the checkpoint itself on recordings that it never saw, people and trackers
alike (`TIERS`, validation; never the new subject), each tier counting alike:

    python -m training.fitting.still_shrink --checkpoint build/training/body20_25hz/checkpoint.pt --data ../shared/data
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from tqdm import tqdm

from aux_motion_core.constants import HORIZONS_S
from aux_motion_core.history.normalise import into_frame, normalise
from training.checkpoint import load_checkpoint, load_model, save_atomically
from training.commands import guard
from training.data import load_split
from training.data.windows import cut
from training.model import AuxMotionModel

SHRINK = tuple(np.arange(0.0, 1.01, 0.1).round(2).tolist())
SPEED_MPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.2)
LOCAL = (0.0, 0.5, 1.0, 2.0, 4.0)
#: Split -> every how many clips of it.
TIERS = {
    "real_tracker": 12,
    "rehab": 2,
    "nuitrack": 3,
    "robot_work": 1,
    "handover": 1,
    "construction": 1,
    "validation": 1,
}
#: Tried on them: many clips, so a coarse grid.
COARSE = tuple(itertools.product((0.2, 0.4, 0.6, 0.8), (0.05, 0.1, 0.2, 0.4), (0.0, 0.5)))


class Case:
    """What a model says of one clip, kept, so that many settings can be tried on it."""

    @torch.no_grad()
    def __init__(self, model: AuxMotionModel, clip, windows) -> None:
        c = model.config
        self.model, self.action = model, clip.action
        self.steps = [round(h / c.dt_s) - 1 for h in HORIZONS_S]
        values, heading = normalise(windows.past, windows.past_mask)
        as_float = lambda x: torch.as_tensor(x, dtype=torch.float32)  # noqa: E731
        self.out = model.forward_all(as_float(values), as_float(windows.past_mask))
        self.truth = as_float(into_frame(windows.future, heading))[:, self.steps]
        self.seen = as_float(windows.future_mask)[:, self.steps]

    @torch.no_grad()
    def log_error(self, settings: tuple[float, float, float]) -> float:
        """Mean over horizons of the log of the clip's mean error, with (share, speed in m/s, weight of limbs)."""
        c = self.model.config
        c.still_shrink, c.still_speed_mps, c.still_local = settings
        error = (self.model.take_back(self.out)[:, self.steps] - self.truth).norm(dim=-1) * self.seen
        seen = self.seen.sum((0, 2))
        return float((error.sum((0, 2)) / seen.clamp(min=1.0))[seen > 0].log().mean())


def cases(checkpoint: Path, train: list, validation: list) -> list[Case]:
    """All clips of the classes that this model never saw, and the validation clips of the others."""
    model, config, _ = load_model(checkpoint)
    if not config.leave_out:
        raise ValueError(f"{checkpoint}: expected a model trained with leave_out, it saw all classes")
    c = model.config
    clips = [c for c in train if c.action in config.leave_out] + validation
    cuts = [(clip, cut(clip, c.history_steps, c.future_steps, c.dt_s)) for clip in clips]
    return [Case(model, clip, w) for clip, w in cuts if w is not None]


def cases_of_tiers(checkpoint: Path, data: Path) -> list[Case]:
    """The clips of `TIERS`, each tier as one class."""
    model, _, _ = load_model(checkpoint)
    c = model.config
    out = []
    for tier, every in TIERS.items():
        for clip in load_split(data, tier)[::every]:
            w = cut(clip, c.history_steps, c.future_steps, c.dt_s, 0.3)
            if w is not None:
                out.append(Case(model, clip, w))
                out[-1].action = tier
    return out


def fit(all_cases: list[Case], tried: tuple | None = None) -> tuple[tuple[float, float, float], float]:
    """The best (share, speed in m/s, weight of limbs), and by how many percent it lowers the error."""
    classes = defaultdict(list)
    for case in all_cases:
        classes[id(case.model), case.action].append(case)

    def score(settings: tuple[float, float, float]) -> float:
        return float(np.mean([np.mean([x.log_error(settings) for x in group]) for group in classes.values()]))

    off = (0.0, SPEED_MPS[0], 0.0)
    grid = [off, *(tried or itertools.product(SHRINK[1:], SPEED_MPS, LOCAL))]
    scores = {g: score(g) for g in tqdm(grid, desc="shrink", disable=None)}
    best = min(scores, key=scores.get)
    return best, 100 * (1 - np.exp(scores[best] - scores[off]))


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt that the result is written into")],
    left_out: Annotated[
        list[Path] | None, typer.Option(help="checkpoint.pt of a model trained with leave_out; repeatable")
    ] = None,
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
) -> None:
    """Fit and write into the checkpoint."""
    with guard("training.fitting.still_shrink"):
        train, validation = load_split(data, "train"), load_split(data, "validation")
        found = [case for path in left_out or () for case in cases(path, train, validation)]
        best, gain = fit(found) if found else fit(cases_of_tiers(checkpoint, data), COARSE)
        state = load_checkpoint(checkpoint, None, torch.device("cpu"))
    state["config"]["model"].update(zip(("still_shrink", "still_speed_mps", "still_local"), best))
    save_atomically(state, checkpoint)
    print(f"{checkpoint}: share {best[0]}, below {best[1]} m/s, limbs weigh {best[2]}: {gain:.1f} % less error")


if __name__ == "__main__":
    typer.run(main)
