# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Fit the baselines' decays on the training clips: `python -m training.fitting.baselines`.

A coordinate search over a grid for the least error, averaged over clips and horizons; written to the core's
`baselines.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.constants import HORIZONS_S
from aux_motion_core.inference import baselines
from training.commands import guard
from training.data import load_split
from training.data.files import try_to_write
from training.data.windows import cut, mean_error, predict

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "damped_velocity": {"tau_s": (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0, 4.0)},
    "damped_pose": {
        "tau_pose_s": (0.02, 0.03, 0.05, 0.08, 0.12, 0.16, 0.2, 0.3, 0.4),
        "tau_root_s": (0.5, 1.0, 2.0, 4.0, 8.0, 1e6),
    },
    "kalman_constant_acceleration": {"jerk_sigma": (1.0, 3.0, 10.0, 30.0, 100.0)},
}


def score(backend, windows: list) -> float:
    """Mean over clips and horizons of the error in metres."""
    steps = [round(h / backend.dt_s) - 1 for h in HORIZONS_S]
    return float(np.mean([mean_error(predict(backend.infer, w.past, w.past_mask), w, steps) for w in windows]))


def fit(name: str, windows: list) -> dict[str, float]:
    """The best parameters of one baseline, one after the other, twice round."""
    best: dict[str, float] = {}
    for _ in range(2 if len(GRIDS[name]) > 1 else 1):
        for key, grid in GRIDS[name].items():
            best[key] = min(grid, key=lambda v, key=key: score(baselines.make(name, **{**best, key: v}), windows))
    return best


def main(
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option()] = Path("aux_motion_core/inference/baselines.json"),
) -> None:
    """Fit all decays and write them."""
    b = baselines.make("zero_velocity")
    with guard("training.fitting.baselines"):
        try_to_write(out.parent)
        cuts = [cut(c, b.history_steps, b.future_steps, b.dt_s, 0.5) for c in load_split(data, "train")]
    windows = [w for w in cuts if w is not None]
    result = {name: fit(name, windows) for name in tqdm(GRIDS, desc="baselines", disable=None)}
    for name in baselines.BASELINES:
        print(
            f"{name}: {1000 * score(baselines.make(name, **result.get(name, {})), windows):.1f} mm",
            result.get(name, {}),
        )
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
