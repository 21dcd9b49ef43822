# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Train the deployed model: `python -m training.train --config training/configs/body20_25hz.yaml`.

On several GPUs or machines: `torchrun --nproc_per_node N -m training.train ...`; each process draws its share of every
step's batch, and all see the folder of checkpoints. Killed runs go on from the last checkpoint, on the CPU to the bit.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.distributed as dist
import typer
from tqdm import tqdm

from training import loop
from training.batches import chunk_rng, make_batch
from training.checkpoint import CHECKPOINT_VERSION, as_checkpoint, fitting, load_checkpoint, save_atomically
from training.commands import guard
from training.config import ALL_PARTS, PARTS, TrainConfig, read_config
from training.data import Clip, load_split
from training.data.files import write_atomically
from training.data.sampler import WindowSampler
from training.data.shards import load_prepared
from training.data.terms import DataTerms, refuse_validation_only
from training.infer import torch_infer
from training.losses import Tasks, blame
from training.model import AuxMotionModel
from training.monitor import Board, Validator
from training.warm_start import begin_with


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def processes() -> tuple[int, int, torch.device]:
    """This process's rank, how many there are, and its device; joins those that torchrun started."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else "cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return rank, size, device


def held_out(clips: list[Clip], share: float = 0.1) -> tuple[list[Clip], list[Clip]]:
    """Training and validation clips of a data set without a split of its own: whole recording groups are held out.

    Raises:
        ValueError: there is one group only.
    """
    groups = sorted({c.group for c in clips})
    if len(groups) < 2:
        raise ValueError(f"expected two recording groups or more, to validate on one, got {groups}: prepare more of it")
    chosen = np.random.default_rng(0).permutation(groups)[: max(1, round(share * len(groups)))]
    return [c for c in clips if c.group not in chosen], [c for c in clips if c.group in chosen]


class Training:
    """One run: the model with its average and optimiser, the batches, and the checkpoint that it all goes to.

    Args:
        start_from: a checkpoint, or an artefact, that a new run takes averaged weights and the model's settings from.
        split: which part of the data `clips` are.
        warm_from: weights (safetensors) of a network of another shape; those that fit are taken.
    """

    def __init__(
        self,
        config: TrainConfig,
        clips: list,
        out: Path,
        resume: bool,
        start_from: Path | None,
        split: str,
        warm_from: Path | None = None,
    ) -> None:
        self.config, self.out = config, out
        self.rank, self.size, self.device = processes()
        self.chunks = config.chunks or self.size
        if self.chunks % self.size or config.batch // 3 < self.chunks:
            raise ValueError(
                f"chunks: expected a multiple of the {self.size} processes, at most a third of the batch of "
                f"{config.batch}, got {self.chunks}"
            )
        torch.manual_seed(config.seed)
        c = config.model
        self.sampler = WindowSampler(clips, c.history_steps, c.future_steps, c.dt_s, config.sampler)
        self.data, self.before = DataTerms.of(clips, split), self._begin_from(start_from)
        if not np.any(config.model.rest_pose):
            now = self.sampler.draw(np.random.default_rng(config.seed), 4096)[:, config.model.history_steps - 1]
            config.model.rest_pose = np.nanmean(now, 0).tolist()
        model = AuxMotionModel(config.model).to(self.device)
        if warm_from is not None:
            tqdm.write(f"begins with {begin_with(model, warm_from):.0%} of its weights from {warm_from}")
        if self.before:
            fitting(model, self.before["average"], start_from)
            self.data = DataTerms.of_checkpoint(self.before).then(self.data)
        if model.blend is not None:
            model.blend.requires_grad_(False)  # is fitted on its own, by training.fitting.blending
        optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=self.device.type == "cuda",
        )
        self.learner = loop.Learner(model, copy.deepcopy(model), optimiser, config.clip_norm)
        self.checkpoint, self.first, self.history, self.minutes = out / "checkpoint.pt", 0, [], 0.0
        out.mkdir(parents=True, exist_ok=True)
        if resume and self.checkpoint.exists():
            self._resume()
        self.tasks = self._tasks()
        self.started = time.monotonic()

    def _begin_from(self, start_from: Path | None) -> dict[str, Any]:
        if start_from is None:
            return {}
        if start_from.is_dir():
            before = as_checkpoint(start_from)
        else:
            before = load_checkpoint(start_from, None, self.device)
        self.config.model = TrainConfig.model_validate(before["config"]).model
        self.config.model.still_shrink = 0.0  # was fitted for those weights
        return before

    def _resume(self) -> None:
        state, learner = load_checkpoint(self.checkpoint, self.config, self.device), self.learner
        for key, part in (("model", learner.model), ("average", learner.average), ("optimiser", learner.optimiser)):
            fitting(part, state[key], self.checkpoint)
        self.first, self.history, self.minutes = state["step"], state["history"], state["minutes"]
        self.data = DataTerms.of_checkpoint(state).then(self.data)

    def _tasks(self) -> torch.nn.Module:
        config, kind = self.config, self.device.type
        half = config.bf16 and (kind == "cuda" or config.bf16_on_cpu)
        tasks = Tasks(self.learner.model, config.arm, kind if half else None, config.horizon_power)
        if config.compile:
            tasks.compile()
        if self.size > 1:
            return torch.nn.parallel.DistributedDataParallel(tasks, find_unused_parameters=config.arm != "both")
        return tasks

    def save(self, step: int) -> None:
        """Write the checkpoint."""
        learner, before, device = self.learner, self.before, self.device
        save_atomically(
            {
                "version": CHECKPOINT_VERSION,
                "config": self.config.model_dump(mode="json"),
                "model": learner.model.state_dict(),
                "average": learner.average.state_dict(),
                "optimiser": learner.optimiser.state_dict(),
                "step": step,
                "history": self.history,
                "minutes": self.minutes + (time.monotonic() - self.started) / 60,
                "steps_before": before.get("step", 0) + before.get("steps_before", 0),
                "minutes_before": before.get("minutes", 0.0) + before.get("minutes_before", 0.0),
                "device": f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type,
                "data": self.data.model_dump(),
            },
            self.checkpoint,
        )

    def load(self, step: int) -> dict[str, torch.Tensor]:
        """This process's batch of a step, on its device."""
        arrays = make_batch(self.sampler, self.config, step, self.rank, self.size)
        batch = {k: torch.as_tensor(v) for k, v in arrays.items()}
        if self.device.type == "cuda":
            batch = {k: v.pin_memory().to(self.device, non_blocking=True) for k, v in batch.items()}
        return batch

    def explain(self, step: int, beside: tuple[dict, dict]) -> str:
        """Which recordings of the batch give a loss that is not finite."""
        parts = len(PARTS.get(self.config.arm, ALL_PARTS))
        n = self.config.batch // 3 // self.chunks
        of = range(self.rank, self.chunks, self.size)
        mine = [self.sampler.choose(chunk_rng(self.config, step, k), parts * n) for k in of]
        names = self.sampler.names[np.concatenate([c.reshape(parts, n) for c in mine], 1).ravel()]
        blamed = blame(self.learner.model, beside[0], names)
        return f" {blamed}; the checkpoint before it is kept in {self.out}"

    @contextmanager
    def losses(self) -> Iterator[Callable[[int], tuple[torch.Tensor, tuple[dict, dict]]]]:
        """A function for `loop.run`; batches are drawn ahead in other threads meanwhile."""
        config = self.config
        weights = dict(zip(("predict", "mask", "denoise"), config.task_weights))
        with ThreadPoolExecutor(config.loaders) as pool:
            pending = deque(pool.submit(self.load, self.first + k) for k in range(config.loaders))

            def loss_of(step: int) -> tuple[torch.Tensor, tuple[dict, dict]]:
                batch = pending.popleft().result()
                pending.append(pool.submit(self.load, step + config.loaders))
                # dropout of a resumed run is the same, too
                torch.manual_seed(config.seed * 1_000_003 + step * self.size + self.rank)
                loss = self.tasks(batch)
                return sum(w * loss[n] for n, w in weights.items() if n in loss), (batch, loss)

            yield loss_of


def train(
    config: TrainConfig,
    clips: list,
    validation: list,
    out: Path,
    resume: bool = True,
    at_validation: Callable[[int, AuxMotionModel], dict[str, float]] | None = None,
    start_from: Path | None = None,
    split: str = "all recordings given",
    warm_from: Path | None = None,
) -> Path:
    """Train, validate and write `checkpoint.pt` and `metrics.json` under `out`; returns the checkpoint's path.

    Args:
        validation: clips that are only looked at; none: `metrics.json` holds the losses alone.
        at_validation: what else goes into `metrics.json`, of (steps done, model).
        start_from: a checkpoint, or an artefact, that a new run takes averaged weights and the model's settings from.
        split: which part of the data `clips` are; goes into the checkpoint with their sources and licences.
        warm_from: weights (safetensors) of a network of another shape; those that fit are taken.

    Raises:
        FloatingPointError: the loss is not finite; names the recordings.
        OSError: a checkpoint cannot be written.
        ValueError: the settings do not fit the number of processes, the clips are too short, or the checkpoint is
            damaged or of other settings.
    """
    run = Training(config, clips, out, resume, start_from, split, warm_from)
    validator = Validator(validation, config) if validation and run.rank == 0 else None
    writer = Board(out) if run.rank == 0 else None
    model, average = run.learner.model.train(), run.learner.average
    progress = tqdm(
        range(run.first, config.steps),
        initial=run.first,
        total=config.steps,
        desc="train",
        mininterval=5.0,
        disable=run.rank > 0 or None,
    )
    rate_of, decay_of = lambda step: learning_rate(config, step), lambda step: loop.average_decay(config.ema, step)
    with run.losses() as loss_of:
        for step, _, (_, loss) in loop.run(run.learner, progress, loss_of, rate_of, decay_of, run.explain):
            validate = (step + 1) % config.validate_every == 0 or step + 1 == config.steps
            if run.size > 1 and (validate or step % 50 == 0):
                values = torch.stack([v.detach() for v in loss.values()])
                dist.all_reduce(values)
                loss = dict(zip(loss, values / run.size))
            if writer is None:
                continue
            if step % 50 == 0:
                for n, v in loss.items():
                    writer.add_scalar(f"loss_mm/{n}", 1000 * v.item(), step)
                progress.set_postfix({n: f"{1000 * loss[n].item():.1f}" for n in loss if not n.endswith("_past")})
            if validate:
                row: dict[str, float] = {"step": step + 1}
                if validator:
                    row |= validator(torch_infer(average))
                else:
                    row |= {f"loss_{n}": 1000 * v.item() for n, v in loss.items()}
                row |= at_validation(step + 1, model) if at_validation else {}
                write_row(run, writer, row)
    if writer:
        writer.close()
    if run.size > 1:
        dist.barrier()  # nobody leaves before the checkpoint is there
    return run.checkpoint


def write_row(run: Training, writer: Board, row: dict[str, float]) -> None:
    """A row of the history, and the checkpoint it belongs to."""
    run.history.append(row)
    step = int(row["step"])
    for n, v in row.items():
        writer.add_scalar(f"validation_mm/{n}", v, step)
    tqdm.write(" ".join(f"{k} {v:.1f}" if k != "step" else f"step {v}" for k, v in row.items()))
    run.save(step)
    write_atomically(run.out / "metrics.json", lambda f: f.write(json.dumps(run.history, indent=1).encode()))


def main(
    config: Annotated[Path, typer.Option(help="YAML with the fields of TrainConfig")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    prepared: Annotated[
        Path | None, typer.Option(help="train on this folder of training.data.prepare, a tenth of its groups held out")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for checkpoint, metrics, tensorboard")] = None,
    resume: Annotated[bool, typer.Option(help="go on from the checkpoint in --out")] = True,
    start_from: Annotated[Path | None, typer.Option(help="begin with this checkpoint's or artefact's weights")] = None,
    warm_from: Annotated[Path | None, typer.Option(help="begin with those of these weights that fit")] = None,
    steps: Annotated[int | None, typer.Option(help="overrides the file's steps")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch")] = None,
) -> None:
    """Train from the data folder's training split, or a prepared data set; validate on what is held out."""
    try:
        with guard("training.train"):
            settings = read_config(config)
            if steps:
                settings.steps = steps
            if threads:
                torch.set_num_threads(threads)
            if prepared:
                training, validation = held_out(load_prepared(prepared))
                split = "a prepared data set, less a tenth of its recording groups"
            else:
                training = [c for split in settings.splits for c in load_split(data, split)]
                validation = load_split(data, "validation")
                split = f"training/splits: {', '.join(settings.splits)}"
            training, validation = (
                [c for c in clips if c.action not in settings.leave_out] for clips in (training, validation)
            )
            refuse_validation_only(training)
            place = out or Path("build/training") / settings.name
            train(settings, training, validation, place, resume, None, start_from, split, warm_from)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    typer.run(main)
