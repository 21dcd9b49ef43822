# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A picture of each movement of `training.data.work_motions`, laid over a recorded person who stands:

python -m training.studies.work_motions_picture --data ../shared/data --out docs/images/primitives.png
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import typer

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from aux_motion_core.skeleton import INDEX, PARENTS
from training.data import load_split
from training.data.sampler import SamplerConfig, WindowSampler
from training.data.work_motions import MOVEMENTS

_COLUMNS, _TIMES = 5, (0, 12, 24, 36, 49)


def standing(sampler: WindowSampler, rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, steps, joints, 3) windows of the most upright of many drawn people, who keep still."""
    x = sampler.draw(rng, 600)[:, sampler.history - 1]
    feet = [INDEX["left_ankle"], INDEX["right_ankle"]]
    hands = x[:, [INDEX["left_wrist"], INDEX["right_wrist"]], 2].max(1)
    apart = np.linalg.norm(x[:, feet[0], :2] - x[:, feet[1], :2], axis=-1)
    upright = x[:, INDEX["head"], 2] - x[:, feet, 2].mean(1) - 0.5 * np.abs(hands + 0.1) - apart
    return np.repeat(x[np.argsort(-upright)[:n], None], len(sampler.time), 1)


def main(
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="PNG")] = Path("docs/images/primitives.png"),
) -> None:
    """Draw them: dark is early, light is late."""
    try:
        plain = SamplerConfig(
            standing_share=0, work_share=0, mixed_share=0, definition_share=0, drift_share=0, slow_share=0
        )
        sampler = WindowSampler(load_split(data, "train"), 25, 25, 0.04, plain)
        base = standing(sampler, np.random.default_rng(5), 40)
        size = (2.4 * _COLUMNS, 2.4 * len(MOVEMENTS))
        fig, axes = plt.subplots(len(MOVEMENTS), _COLUMNS, figsize=size, subplot_kw={"projection": "3d"})
        for row, movement in zip(axes, MOVEMENTS):
            moved = movement(np.random.default_rng(3), base, sampler.time)
            most = np.argsort(-np.linalg.norm(moved[:, 0] - moved[:, -1], axis=-1).max(1))
            for ax, person in zip(row, most[:: max(1, len(most) // 8)]):
                for k, t in enumerate(_TIMES):
                    for j, parent in enumerate(PARENTS):
                        if parent >= 0:
                            colour = plt.cm.viridis(k / len(_TIMES))
                            ax.plot(*moved[person, t, [j, parent]].T, color=colour, linewidth=1.0)
                ax.set(xlim=(-0.9, 0.9), ylim=(-0.9, 0.9), zlim=(-1, 1), xticks=[], yticks=[], zticks=[])
                ax.set_box_aspect((1, 1, 1.1))
                ax.view_init(12, -60)
            row[0].set_title(movement.__name__.replace("_", " "), fontsize=9)
        fig.tight_layout()
        out.parent.mkdir(parents=True, exist_ok=True)
        fig.savefig(out, dpi=60)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.studies.work_motions_picture: {e}") from None
    print(f"written: {out}")


if __name__ == "__main__":
    typer.run(main)
