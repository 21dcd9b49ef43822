# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from training import loop
from training.checkpoint import save_atomically
from training.commands import guard
from training.config import read_config
from training.data.files import try_to_write
from training.studies.benchmark import evaluate
from training.studies.benchmark_data import HISTORY, PROTOCOLS, Sequence, load_sequences, windows
from training.studies.benchmark_networks import (
    MIRROR,
    VERSION,
    BenchmarkConfig,
    Transformer,
    as_predictor,
    as_trained,
    make_network,
    mirrored_joints,
    write_checkpoint,
)


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


class BenchmarkRun:
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

    def rate(self, step: int) -> float:
        """Linear warm-up over 100 steps, then a cosine to a hundredth."""
        c = self.config
        rate = c.learning_rate * min(1.0, (step + 1) / 100)
        return rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / c.steps)))

    def loss(self, batch: Tensor, weights: Tensor) -> Tensor:
        """The loss of a batch in mm; `weights` (joints,) add up to one."""
        c, past, future = self.config, batch[:, :HISTORY], batch[:, HISTORY:]
        near = torch.arange(1, future.shape[1] + 1) ** -c.near
        near = (near / near.mean())[:, None]
        self.model.train()
        if c.recovery and isinstance(self.model, Transformer):
            return self.model.losses(past, future, weights)
        predicted = self.model(past)
        loss = ((near * (predicted - future).norm(dim=-1)) @ weights).mean()
        if c.velocity_loss:
            difference = torch.diff(predicted - future, dim=1)
            loss = loss + c.velocity_loss * (difference.norm(dim=-1) @ weights).mean()
        return loss

    def train(self, draw: Callable[[int], Tensor], weights: Tensor) -> Iterator[float]:
        """Train to the last step; yields the loss in mm after each.

        Raises:
            FloatingPointError: the loss is NaN or Inf; nothing has been changed.
        """
        learner = loop.Learner(self.model, self.mean, self.optimiser, clip_norm=50.0)
        bar = tqdm(
            range(self.step, self.config.steps),
            initial=self.step,
            total=self.config.steps,
            mininterval=10,
            disable=None,
        )
        loss_of = lambda step: (self.loss(draw(step), weights), None)  # noqa: E731
        decay_of = lambda step: loop.average_decay(self.config.ema, step + 1)  # noqa: E731
        for step, loss, _ in loop.run(learner, bar, loss_of, self.rate, decay_of, lambda *_: "; lower learning_rate"):
            self.step = step + 1
            yield loss


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
    batches, run = Batches(fitted, config), BenchmarkRun(config, out, refit)
    weights = torch.tensor(protocol.weights(), dtype=torch.float32)
    started, before, losses = time.monotonic(), run.seconds, []
    for loss in run.train(batches.draw, weights):
        losses.append(loss)
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
    with guard("training.studies.benchmark_train", code=2):
        recipe = read_config(config, BenchmarkConfig).model_dump()
        for pair in settings or []:
            key, _, value = pair.partition("=")
            recipe[key] = value
        training = train(BenchmarkConfig.model_validate(recipe), data, out, refit, minutes)
    typer.echo(json.dumps(training["last"]))


if __name__ == "__main__":
    typer.run(main)
