"""Train a model for the papers' benchmark:

    python -m training.studies.benchmark_train --config training/configs/benchmark_cmu.yaml --data ../shared/data \
        --out DIR
    python -m training.studies.benchmark_train ... --refit      # the recipe frozen, on all training files

Without --refit the last file of each action is held out and judged; the test files are then not read. With --refit
they are judged too, for the papers' "best epoch on test", which is kept apart. A killed run goes on from DIR.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from tqdm import tqdm

from training.data.files import try_to_write
from training.model import AuxMotionModel, ModelConfig, cosine_basis
from training.studies.benchmark import Predictor, evaluate
from training.studies.benchmark_data import HISTORY, PROTOCOLS, Protocol, Sequence, load_sequences, windows
from training.train import read_config, save_atomically, write_atomically

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


def hold_out(sequences: list[Sequence]) -> tuple[list[Sequence], list[Sequence]]:
    """The sequences without the last one of each action, and those."""
    last = {s.action: s.name for s in sequences}
    return [s for s in sequences if last[s.action] != s.name], [s for s in sequences if last[s.action] == s.name]


class Batches:
    """Draws augmented windows; a batch is a function of seed and step."""

    def __init__(self, sequences: list[Sequence], config: BenchmarkConfig) -> None:
        self.protocol, self.config = PROTOCOLS[config.dataset], config
        cut = [windows(s, self.protocol) for s in sequences]
        self.windows = np.concatenate(cut).astype(np.float32)
        actions = np.concatenate([[s.action] * len(w) for s, w in zip(sequences, cut, strict=True)])
        names, index, count = np.unique(actions, return_inverse=True, return_counts=True)
        share = (1.0 / count[index]) ** config.balance
        self.share = share / share.sum()
        self.mirrored = mirrored_joints(self.protocol) if config.mirror else None

    def draw(self, step: int) -> Tensor:
        """(batch, HISTORY + future, joints, 3) mm."""
        c, rng = self.config, np.random.default_rng([self.config.seed, step])
        w = self.windows[rng.choice(len(self.windows), c.batch, p=self.share)]
        n = len(w)
        backwards = rng.random(n) < c.reverse
        w[backwards] = w[backwards, ::-1]
        if self.mirrored:
            swap = rng.random(n) < 0.5
            w[swap] = w[swap][:, :, self.mirrored] * MIRROR
        if c.scale:
            w = w * rng.uniform(1 - c.scale, 1 + c.scale, (n, 1, 1, 1)).astype(np.float32)
        if c.yaw_rad:
            a = rng.normal(0, c.yaw_rad, n)
            turn = np.zeros((n, 3, 3), np.float32)
            turn[:, 0, 0], turn[:, 0, 2], turn[:, 2, 0], turn[:, 2, 2] = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
            turn[:, 1, 1] = 1
            w = np.einsum("ntjc,ncd->ntjd", w, turn)
        return torch.as_tensor(np.ascontiguousarray(w))


class Run:
    """Model, averaged weights and optimiser at a step, with the curve so far; resumes from `out`."""

    def __init__(self, config: BenchmarkConfig, out: Path, refit: bool) -> None:
        self.config, self.refit, self.file = config, refit, out / "checkpoint.pt"
        torch.manual_seed(config.seed)
        self.model, self.mean = make_network(config), make_network(config)
        self.mean.load_state_dict(self.model.state_dict())
        self.optimiser = torch.optim.AdamW(self.model.parameters(), lr=0.0, weight_decay=config.weight_decay)
        self.step, self.seconds, self.curve, self.best = 0, 0.0, [], None
        if self.file.is_file():
            self._resume()

    def _state(self) -> dict:
        return {
            "version": VERSION, "config": self.config.model_dump(), "refit": self.refit, "step": self.step,
            "seconds": self.seconds, "curve": self.curve, "best": self.best, "model": self.model.state_dict(),
            "mean": self.mean.state_dict(), "optimiser": self.optimiser.state_dict(), "rng": torch.get_rng_state(),
        }  # fmt: skip

    def _resume(self) -> None:
        try:
            state = torch.load(self.file, weights_only=True)
            recipe = BenchmarkConfig.model_validate(state["config"])
            made = (state["version"], as_trained(recipe), state["refit"])
        except Exception as e:  # whatever a damaged file makes of the reader
            raise ValueError(f"{self.file}: cannot be read ({str(e).splitlines()[0]}); delete it") from None
        if made != (VERSION, as_trained(self.config), self.refit):
            raise ValueError(f"{self.file}: is of another recipe or version; name another --out or delete it")
        self.step, self.seconds, self.curve, self.best = (state[k] for k in ("step", "seconds", "curve", "best"))
        self.model.load_state_dict(state["model"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        save_atomically(self._state(), self.file)

    def update(self, batch: Tensor, weights: Tensor) -> float:
        """One step of training; returns the loss in mm.

        Raises:
            FloatingPointError: the loss is NaN or Inf; nothing has been changed.
        """
        c, past, future = self.config, batch[:, :HISTORY], batch[:, HISTORY:]
        rate = c.learning_rate * min(1.0, (self.step + 1) / 100)
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.step / c.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        near = torch.arange(1, future.shape[1] + 1) ** -c.near
        near = (near / near.mean())[:, None]
        self.model.train()
        if c.recovery and isinstance(self.model, Transformer):
            loss = self.model.losses(past, future, weights)
        else:
            predicted = self.model(past)
            loss = ((near * (predicted - future).norm(dim=-1)) @ weights).mean()
            if c.velocity_loss:
                difference = torch.diff(predicted - future, dim=1)
                loss = loss + c.velocity_loss * (difference.norm(dim=-1) @ weights).mean()
        if not torch.isfinite(loss):
            raise FloatingPointError(f"step {self.step}: the loss is {float(loss)}; lower learning_rate")
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 50.0)
        self.optimiser.step()
        self.step += 1
        keep = min(c.ema, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for a, b in zip(self.mean.state_dict().values(), self.model.state_dict().values(), strict=True):
                a.lerp_(b, 1 - keep) if a.is_floating_point() else a.copy_(b)
        return float(loss.detach())


def score(result: dict) -> float:
    """Mean over the reported frames, of the five actions where they are there."""
    return float(np.mean(result.get("five_actions_mm", result["average_mm"])))


def train(config: BenchmarkConfig, data: Path, out: Path, refit: bool, minutes: float | None = None) -> dict:
    """Train, and write to `out` a checkpoint folder (and `best_on_test/` with `refit`), and `curve.json`.

    Returns:
        What `benchmark.json` says of the training.
    """
    try_to_write(out)
    protocol = PROTOCOLS[config.dataset]
    if (config.mirror or config.average_mirrored) and config.dataset != "cmu":
        raise ValueError("mirror, average_mirrored: only the sides of the CMU skeleton are known; set them to false")
    sequences = load_sequences(config.dataset, data, "train")
    fitted, judged = (sequences, load_sequences(config.dataset, data, "test")) if refit else hold_out(sequences)
    judged_name = "test" if refit else "held-out training files"
    batches, run = Batches(fitted, config), Run(config, out, refit)
    weights = torch.tensor(protocol.weights(), dtype=torch.float32)
    started, before, losses = time.monotonic(), run.seconds, []
    for _ in tqdm(range(run.step, config.steps), initial=run.step, total=config.steps, mininterval=10):
        losses.append(run.update(batches.draw(run.step), weights))
        run.seconds = before + time.monotonic() - started
        late = minutes is not None and run.seconds - before > 60 * minutes
        if run.step % config.save_every == 0 or run.step == config.steps or late:
            result = evaluate(judged, protocol, as_predictor(run.mean, config))
            point = {"step": run.step, "seconds": round(run.seconds), "loss_mm": round(float(np.mean(losses)), 2),
                     "average_mm": result["average_mm"], "five_actions_mm": result.get("five_actions_mm"),
                     "score_mm": round(score(result), 3)}  # fmt: skip
            run.curve.append(point)
            losses = []
            if refit and (run.best is None or point["score_mm"] < run.best["score_mm"]):
                run.best = point
                about = {"chosen": "best step on the test files, as the papers do", "step": run.step}
                write_checkpoint(out / "best_on_test", config, run.mean.state_dict(), about)
            run.save()
        if late:
            break
    result = evaluate(judged, protocol, as_predictor(run.mean, config))
    last = {k: result[k] for k in ("average_mm", "five_actions_mm") if k in result}
    training = {
        "chosen": "the last step, averaged weights; nothing was chosen on test",
        "files": "all training files" if refit else "training files less the last of each action",
        "windows": len(batches.windows), "steps": run.step, "of_steps": config.steps,
        "seconds": round(run.seconds), "parameters": sum(p.numel() for p in run.model.parameters()),
        "judged_on": judged_name, "best": run.best,
        "last": {"step": run.step, **last, "score_mm": round(score(result), 3)},
    }  # fmt: skip
    write_checkpoint(out, config, run.mean.state_dict(), training)
    if refit:  # by the recipe of now, which may differ in what is done with a trained model
        about = {"chosen": "best step on the test files, as the papers do", "step": run.best["step"]}
        best = load_file(out / "best_on_test" / "weights.safetensors")
        write_checkpoint(out / "best_on_test", config, best, about)
    (out / "curve.json").write_text(json.dumps({"judged_on": judged_name, "curve": run.curve}, indent=1) + "\n")
    return training


def main(
    config: Annotated[Path, typer.Option(help="the recipe, YAML")],
    data: Annotated[Path, typer.Option(help="folder with the data set")],
    out: Annotated[Path, typer.Option(help="where checkpoints go; a run found there goes on")],
    refit: Annotated[bool, typer.Option(help="on all training files")] = False,
    minutes: Annotated[float | None, typer.Option(help="stop after so long; the same command goes on")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE over the recipe's")] = None,
) -> None:
    """Train a model for the papers' benchmark."""
    try:
        recipe = read_config(config, BenchmarkConfig).model_dump()
        for pair in settings or []:
            key, _, value = pair.partition("=")
            recipe[key] = value
        training = train(BenchmarkConfig.model_validate(recipe), data, out, refit, minutes)
    except (OSError, ValueError, FloatingPointError) as e:
        typer.echo(f"training.studies.benchmark_train: {e}", err=True)
        raise typer.Exit(2) from None
    typer.echo(json.dumps(training["last"]))


if __name__ == "__main__":
    typer.run(main)
