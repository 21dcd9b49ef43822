"""Fit how much a still person's predicted displacement is taken back, on the validation split:

    python -m training.shrink --checkpoint build/training/body20_25hz/checkpoint.pt

Two numbers, by a grid, for the least mean over clips of the log error; written into the checkpoint's configuration.
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
from training.train import save_atomically, torch_infer
from training.windows import cut, mean_error, predict

SHRINK = tuple(np.arange(0.0, 0.81, 0.1).round(2).tolist())
SPEED_MPS = (0.1, 0.15, 0.2, 0.3, 0.4)
HORIZONS_S = (0.2, 0.4, 0.6, 0.8, 1.0)


def fit(checkpoint: Path, clips: list) -> tuple[float, float, float, float]:
    """The best (shrink, speed in m/s), and the mean log error without and with it."""
    model, _, _ = load_model(checkpoint)
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
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt of training.train")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
) -> None:
    """Fit and write into the checkpoint."""
    try:
        shrink, speed, before, after = fit(checkpoint, load_split(data, "validation"))
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.shrink: {e}") from None
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    state["config"]["model"].update(still_shrink=shrink, still_speed_mps=speed)
    save_atomically(state, checkpoint)
    gain = 100 * (1 - np.exp(after - before))
    print(f"{checkpoint}: {shrink:.1f} of the displacement below {speed:.2f} m/s: {gain:.1f} % less error")


if __name__ == "__main__":
    typer.run(main)
