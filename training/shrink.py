"""Fit how much of a still person's predicted displacement is taken back:

    python -m training.train --config training/configs/left_out.yaml
    python -m training.shrink --checkpoint build/training/body20_25hz/checkpoint.pt \\
        --left-out build/training/left_out/checkpoint.pt

A network trusts itself too much with motions that it never saw, and clips of motions that it was trained on cannot show
that. So the two numbers are fitted with a model from whose training some motion classes were left out: on all clips of
these classes and on the validation clips of the others, by a grid, for the least mean over clips of the log error. They
are written into the configuration of the checkpoint that is to be exported.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from tqdm import tqdm

from training.data import load_split
from training.export import load_model
from training.model import AuxMotionModel
from training.train import save_atomically, torch_infer
from training.windows import cut, mean_error, predict

SHRINK = tuple(np.arange(0.0, 1.01, 0.1).round(2).tolist())
SPEED_MPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
HORIZONS_S = (0.2, 0.4, 0.6, 0.8, 1.0)


def fit(model: AuxMotionModel, clips: list) -> tuple[float, float, float, float]:
    """The best (shrink, speed in m/s), and the mean log error without and with it."""
    c = model.config
    steps = [round(h / c.dt_s) - 1 for h in HORIZONS_S]
    cuts = [cut(clip, c.history_steps, c.future_steps, c.dt_s) for clip in clips]
    windows = [w for w in cuts if w is not None]

    def score(shrink: float, speed: float) -> float:
        c.still_shrink, c.still_speed_mps = shrink, speed
        error = [mean_error(predict(torch_infer(model), w.past, w.past_mask), w, steps) for w in windows]
        return float(np.mean(np.log(error)))

    grid = [(s, v) for s, v in itertools.product(SHRINK, SPEED_MPS) if s > 0 or v == SPEED_MPS[0]]
    scores = {g: score(*g) for g in tqdm(grid, desc="shrink")}
    best = min(scores, key=scores.get)
    return *best, scores[(0.0, SPEED_MPS[0])], scores[best]


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt that the result is written into")],
    left_out: Annotated[Path, typer.Option(help="checkpoint.pt of a model trained with leave_out")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
) -> None:
    """Fit and write into the checkpoint."""
    try:
        model, config, _ = load_model(left_out)
        if not config.leave_out:
            raise ValueError(f"{left_out}: expected a model trained with leave_out, it saw all classes")
        new = [c for c in load_split(data, "train") if c.action in config.leave_out]
        shrink, speed, before, after = fit(model, new + load_split(data, "validation"))
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.shrink: {e}") from None
    state["config"]["model"].update(still_shrink=shrink, still_speed_mps=speed)
    save_atomically(state, checkpoint)
    gain = 100 * (1 - np.exp(after - before))
    print(f"{checkpoint}: {shrink:.1f} of the displacement below {speed:.2f} m/s: {gain:.1f} % less error")


if __name__ == "__main__":
    typer.run(main)
