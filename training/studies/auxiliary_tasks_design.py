# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The study of the auxiliary tasks: its settings and its cells."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from training.config import TrainConfig

HORIZONS_S = (0.2, 0.4, 1.0)
#: tiers that cells are judged on, and the one that the sweeps choose on
JUDGED, CHOSEN = ("new_subject", "seen_group"), "validation"
ARMS = {
    "clean": "prediction on clean input",
    "augment": "prediction under the same corruption, no auxiliary loss",
    "mask": "masking",
    "denoise": "denoising",
    "both": "both",
    "past_only": "both, recovery of the past only",
    "detached": "both, auxiliary heads detached from the trunk",
}
#: forward passes in each update step, where these are not three
PASSES = {"clean": 1, "mask": 2, "denoise": 2}
MASK_RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
NOISE_RATIOS = (0.2, 0.4, 0.6, 0.8)
DATA_SHARES = (0.25, 0.5)


class StudyConfig(BaseModel):
    """configs/study.yaml."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(500, gt=0, description="update steps of an arm with three forward passes a step")
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    stride_s: float = Field(0.6, gt=0, description="between the windows that cells are judged on")
    train: TrainConfig


@dataclass(frozen=True)
class Cell:
    """One training; all cells are alike but for these."""

    arm: str
    seed: int
    equal_passes: bool = False  # as many forward passes as `both`, instead of update steps
    data: float = 1.0  # share of the training clips
    mask: float | None = None  # ratio of masked joint-frames, instead of the range
    noise: float | None = None  # share of noised joint-frames, instead of the range
    structured: bool = False  # half of the masks are a tracker's

    @property
    def name(self) -> str:
        parts = [
            self.arm,
            self.equal_passes and "equal-passes",
            self.data < 1 and f"data{round(100 * self.data)}",
            self.mask is not None and f"mask{round(100 * self.mask)}",
            self.noise is not None and f"noise{round(100 * self.noise)}",
            self.structured and "structured",
            f"seed{self.seed}",
        ]
        return "-".join(p for p in parts if p)


def plan(seeds: list[int]) -> list[Cell]:
    """All cells, the most telling first."""
    cells = []
    for seed in seeds:
        cells += [Cell(a, seed) for a in ARMS]
        cells += [Cell(a, seed, equal_passes=True) for a in PASSES]
    for seed in seeds:
        cells += [Cell(a, seed, data=share) for share in DATA_SHARES for a in ("clean", "augment", "both")]
        cells += [Cell("mask", seed, mask=r) for r in MASK_RATIOS]
        cells += [Cell("denoise", seed, noise=r) for r in NOISE_RATIOS]
        cells.append(Cell("both", seed, structured=True))
    return cells


def settings(cell: Cell, study: StudyConfig) -> TrainConfig:
    """The cell's training."""
    c = study.train.model_copy(deep=True)
    c.name, c.arm, c.seed = cell.name, cell.arm, cell.seed
    c.steps = round(study.steps * 3 / PASSES.get(cell.arm, 3)) if cell.equal_passes else study.steps
    c.validate_every = max(1, c.steps // 4)
    if cell.mask is not None:
        c.corruption.mask_low = c.corruption.mask_high = cell.mask
    if cell.noise is not None:
        c.corruption.noisy_low = c.corruption.noisy_high = cell.noise
    if cell.structured:
        c.corruption.structured_share = 0.5
    return c
