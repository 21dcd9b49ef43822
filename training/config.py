# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The settings of one training run, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.data.corrupt import CorruptionConfig
from training.data.sampler import SamplerConfig
from training.model import ModelConfig

Settings = TypeVar("Settings", bound=BaseModel)
#: What is trained: all of it (`both`), or an arm of the study of the auxiliary tasks
#: (`training.studies.auxiliary_tasks`).
Arm = Literal["both", "clean", "augment", "mask", "denoise", "past_only", "detached"]
#: arm -> the equal parts of its batch, where these are not all three
PARTS = {"clean": ("clean",), "mask": ("clean", "masked"), "denoise": ("clean", "noised")}
ALL_PARTS = ("clean", "masked", "noised")


class TrainConfig(BaseModel):
    """One training run."""

    model_config = ConfigDict(extra="forbid")

    name: str = "body20_25hz"
    seed: int = 0
    steps: int = Field(10000, gt=0)
    batch: int = Field(126, gt=2, description="samples per step, a third for each task")
    arm: Arm = Field(
        "both",
        description="`both` is the model's own training; the others are arms of training.studies.auxiliary_tasks",
    )
    chunks: int | None = Field(
        None, gt=0, description="draws that a batch is made of; a multiple of the processes, by default their number"
    )
    loaders: int = Field(1, gt=0, description="threads that draw batches ahead")
    bf16: bool = Field(True, description="forward in bfloat16; on CUDA only")
    bf16_on_cpu: bool = Field(False, description="also on a CPU; pays where it has AVX512-BF16 or AMX")
    compile: bool = Field(False, description="torch.compile the forward pass")
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.998
    validate_every: int = 500
    horizon_power: float = Field(0.0, description="an error counts as its horizon to minus this power")
    heading_sigma_rad: float = 0.35
    leave_out: list[str] = Field([], description="motion classes that are not trained on")
    splits: list[str] = Field(["train"], description="what is trained on, of training/splits")
    task_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)  # prediction, masking, denoising
    model: ModelConfig = Field(default_factory=ModelConfig)
    sampler: SamplerConfig = Field(default_factory=SamplerConfig)
    corruption: CorruptionConfig = Field(default_factory=CorruptionConfig)


def read_config(path: Path, kind: type[Settings] = TrainConfig) -> Settings:
    """A configuration from YAML.

    Raises:
        ValueError: it is no YAML, or not of this `kind`; names the file and the field.
    """
    try:
        return kind.model_validate(yaml.safe_load(path.read_text()) or {})
    except yaml.YAMLError as e:
        raise ValueError(f"{path}: expected YAML: {' '.join(str(e).split())}") from None
    except ValidationError as e:
        first = e.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise ValueError(f"{path}: {where}: {first['msg']}, got {first['input']!r}") from None
