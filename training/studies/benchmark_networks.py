# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The networks of the papers' benchmark, their recipe, and the folders that they are kept in."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from training.data.files import write_atomically
from training.model import AuxMotionModel, ModelConfig, cosine_basis
from training.studies.benchmark_data import HISTORY, PROTOCOLS, Predictor, Protocol

VERSION = 1
#: Pairs of the predicted CMU joints that change sides in a mirror, as joints of the skeleton.
CMU_SIDES = {
    3: 9, 4: 10, 5: 11, 6: 12, 21: 30, 22: 31, 23: 32, 25: 34, 26: 35, 28: 37,
}  # fmt: skip
MIRROR = np.array([-1, 1, 1], np.float32)


class BenchmarkConfig(BaseModel):
    """A recipe. Lengths in the benchmark's mm."""

    model_config = ConfigDict(extra="forbid")

    dataset: Literal["cmu", "h36m", "3dpw"] = "cmu"
    network: Literal["mixer", "transformer"] = "mixer"
    width: int = Field(128, gt=0)
    layers: int = Field(6, gt=0)
    coefficients: int = Field(12, gt=0, description="of the cosine basis over the future; mixer")
    dropout: float = Field(0.0, ge=0, lt=1)
    recovery: bool = Field(False, description="also recover masked and noised input, as AuxFormer; transformer")
    seed: int = 0
    steps: int = Field(4000, gt=0)
    batch: int = Field(128, gt=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = 0.02
    ema: float = Field(0.998, ge=0, lt=1)
    velocity_loss: float = Field(0.0, ge=0, description="weight of the error of the differences between frames")
    near: float = Field(0.0, ge=0, description="frame t ahead weighs t to the minus this in the loss; 0: all alike")
    mirror: bool = Field(False, description="half of the samples with left and right exchanged; CMU")
    average_mirrored: bool = Field(False, description="predict the mirror image too, and average; CMU")
    reverse: float = Field(0.0, ge=0, le=1, description="share of samples run backwards")
    scale: float = Field(0.0, ge=0, lt=1, description="bodies up to this share larger or smaller")
    yaw_rad: float = Field(0.0, ge=0, description="samples turned about the vertical axis, standard deviation")
    balance: float = Field(0.0, ge=0, le=1, description="0: all windows alike; 1: all actions alike")
    save_every: int = Field(250, gt=0)


def as_trained(config: BenchmarkConfig) -> dict:
    """The recipe less what is done with a trained model."""
    return config.model_dump(exclude={"average_mirrored"})


class Block(nn.Module):
    """Mixes time, then channels; pre-norm, residual."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.time = nn.LayerNorm(width), nn.Linear(HISTORY, HISTORY)
        self.channels = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.time(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(x)


class Mixer(nn.Module):
    """Mixes over time and channels after siMLPe (Guo et al., WACV 2023); the residual is from a damped pose."""

    def __init__(self, config: BenchmarkConfig, protocol: Protocol) -> None:
        super().__init__()
        j, w = len(protocol.predicted), config.width
        self.encode = nn.Linear(9 * j, w)
        self.blocks = nn.Sequential(*[Block(w, config.dropout) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(w)
        self.time = nn.Linear(HISTORY, config.coefficients)
        self.out = nn.Linear(w, 3 * j)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.log_tau = nn.Parameter(torch.full((j,), math.log(6.0)))  # rows
        self.register_buffer("basis", torch.tensor(cosine_basis(protocol.future, config.coefficients)).float(), False)
        self.register_buffer("ahead", torch.arange(1, protocol.future + 1).float(), False)

    def forward(self, past: Tensor) -> Tensor:
        """(batch, HISTORY, joints, 3) mm -> (batch, future, joints, 3) mm."""
        last = past[:, -1:]
        step = torch.diff(past, dim=1, prepend=past[:, :1])
        x = torch.cat([(past - last) / 60, step / 15, past / 400], -1).flatten(2)
        x = self.norm(self.blocks(self.encode(x)))
        y = self.basis @ self.out(self.time(x.transpose(1, 2)).transpose(1, 2)) * 60
        tau = self.log_tau.exp()
        glide = tau * (1 - torch.exp(-self.ahead[:, None] / tau))
        return last + glide[..., None] * step[:, -1:] + y.unflatten(2, (-1, 3))


class Transformer(nn.Module):
    """The project's own model at the benchmark's rows and joints."""

    def __init__(self, config: BenchmarkConfig, protocol: Protocol) -> None:
        super().__init__()
        j = len(protocol.predicted)
        self.net = AuxMotionModel(
            ModelConfig(
                history_steps=HISTORY, future_steps=protocol.future, dt_s=protocol.row_s, joints=j,
                trunk=list(range(j)), width=config.width, layers=config.layers, dropout=config.dropout,
                coefficients=5, velocity_steps=3,
            )
        )  # fmt: skip

    def forward(self, past: Tensor) -> Tensor:
        return 1000 * self.net.forward_all(past / 1000, torch.ones_like(past[..., 0]))["future"][-1]

    def losses(self, past: Tensor, future: Tensor, weights: Tensor) -> Tensor:
        """Prediction from clean, masked and noised input, all layers' heads, and recovery of the past, in one pass."""
        n = len(past)
        seen = torch.ones(3, *past.shape[:3])
        seen[1] = (torch.rand(past.shape[:3]) > 0.3 + 0.4 * torch.rand(n, 1, 1)).float()
        noisy = (torch.rand(past.shape[:3]) < 0.2 + 0.4 * torch.rand(n, 1, 1))[..., None]
        given = torch.stack([past, past, past + noisy * torch.randn_like(past) * (20 + 80 * torch.rand(n, 1, 1, 1))])
        out = self.net.forward_all(given.flatten(0, 1) / 1000, seen.flatten(0, 1))
        predicted = (1000 * out["future"] - future.repeat(3, 1, 1, 1)).norm(dim=-1) @ weights
        recovered = 1000 * out["recovered"].unflatten(0, (3, n))[1] - past
        denoised = 1000 * out["denoised"].unflatten(0, (3, n))[2] - past
        hidden = 1 - seen[1]
        return predicted.mean() + (recovered.norm(dim=-1) * hidden).sum() / hidden.sum() + denoised.norm(dim=-1).mean()


def make_network(config: BenchmarkConfig) -> Mixer | Transformer:
    return {"mixer": Mixer, "transformer": Transformer}[config.network](config, PROTOCOLS[config.dataset])


def mirrored_joints(protocol: Protocol) -> list[int]:
    """For each predicted joint of CMU the place of its twin on the other side, or its own."""
    joints, other = list(protocol.predicted), CMU_SIDES | {b: a for a, b in CMU_SIDES.items()}
    return [joints.index(other.get(j, j)) for j in joints]


def as_predictor(model: nn.Module, config: BenchmarkConfig) -> Predictor:
    """The model on arrays, in evaluation mode."""

    @torch.no_grad()
    def once(past: np.ndarray) -> np.ndarray:
        return model.eval()(torch.as_tensor(np.ascontiguousarray(past), dtype=torch.float32)).double().numpy()

    def both(past: np.ndarray) -> np.ndarray:
        return (once(past) + once(past[:, :, twins] * MIRROR)[:, :, twins] * MIRROR) / 2

    twins = mirrored_joints(PROTOCOLS[config.dataset]) if config.average_mirrored else []
    return both if twins else once


def load_checkpoint(folder: Path, dataset: str) -> tuple[Predictor, dict]:
    """The predictor in a folder of `write_checkpoint`, and what its training was.

    Raises:
        ValueError: no checkpoint, a damaged one, one of another version or for another data set.
    """
    about_file, weights_file = folder / "benchmark.json", folder / "weights.safetensors"
    missing = [f.name for f in (about_file, weights_file) if not f.is_file()]
    if missing:
        raise ValueError(f"{folder}: no {' and no '.join(missing)}; make it with training.studies.benchmark_train")
    try:
        about = json.loads(about_file.read_text())
        if about.get("version") != VERSION:
            raise ValueError(f"expected version {VERSION}, got {about.get('version')}; train it again")
        config = BenchmarkConfig.model_validate(about["config"])
        model = make_network(config)
        model.load_state_dict(load_file(weights_file))
    except (ValueError, KeyError, AttributeError, RuntimeError, SafetensorError) as e:
        raise ValueError(f"{folder}: not a checkpoint of this version: {' '.join(str(e).split())[:200]}") from None
    if config.dataset != dataset:
        raise ValueError(f"{folder}: is for --dataset {config.dataset}, not {dataset}")
    return as_predictor(model, config), {"training": about["training"]}


def write_checkpoint(folder: Path, config: BenchmarkConfig, weights: dict[str, Tensor], training: dict) -> None:
    """`weights.safetensors` and `benchmark.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = save({k: v.contiguous() for k, v in weights.items()})
    write_atomically(folder / "weights.safetensors", lambda f: f.write(packed))
    about = {"version": VERSION, "config": config.model_dump(), "training": training}
    write_atomically(folder / "benchmark.json", lambda f: f.write((json.dumps(about, indent=1) + "\n").encode()))
