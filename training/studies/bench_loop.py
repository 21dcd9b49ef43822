# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How much faster the loop is than one that makes a forward pass for each task, on this machine:

    python -m training.studies.bench_loop --data ../shared/data --json build/bench_loop.json

Both train the same model on samples of the same kind, in the same run, turn by turn. The straightforward one draws its
batch when it needs it, passes forward once for each task, attention written out, and steps parameter by parameter.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import torch
import typer

import training.model
from training.batches import make_batch
from training.commands import guard
from training.config import TrainConfig, read_config
from training.data import load_split
from training.data.files import write_atomically
from training.data.sampler import WindowSampler
from training.losses import Tasks, distance
from training.model import AuxMotionModel
from training.train import processes


def written_out(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, added: torch.Tensor | None) -> torch.Tensor:
    """Attention as it stands in the book."""
    score = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    return (score if added is None else score + added).softmax(-1) @ v


class Loop:
    """A model with its optimiser, and `turn(steps)`, which trains on."""

    def __init__(self, sampler: WindowSampler, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.sampler, self.config, self.device, self.step = sampler, config, device, 0
        self.model = AuxMotionModel(config.model).to(device).train()

    def load(self, step: int) -> dict[str, torch.Tensor]:
        batch = make_batch(self.sampler, self.config, step)
        return {k: torch.as_tensor(v).to(self.device) for k, v in batch.items()}


class OnePass(Loop):
    """What `training.train` does in a step."""

    def __init__(self, sampler: WindowSampler, config: TrainConfig, device: torch.device) -> None:
        super().__init__(sampler, config, device)
        on_cuda = device.type == "cuda"
        self.optimiser = torch.optim.AdamW(self.model.parameters(), fused=on_cuda)
        self.tasks = Tasks(self.model, bf16_on="cuda" if on_cuda and config.bf16 else None)
        if config.compile:
            self.tasks.compile()
        self.pool = ThreadPoolExecutor(1)
        self.pending = self.pool.submit(self.load, 0)

    def turn(self, steps: int) -> None:
        for step in range(self.step, self.step + steps):
            batch = self.pending.result()
            self.pending = self.pool.submit(self.load, step + 1)
            loss = self.tasks(batch)
            self.optimiser.zero_grad(set_to_none=True)
            (loss["predict"] + loss["mask"] + loss["denoise"]).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
            self.optimiser.step()
        self.step += steps


class ThreePasses(Loop):
    """The same, straightforward."""

    def __init__(self, sampler: WindowSampler, config: TrainConfig, device: torch.device) -> None:
        super().__init__(sampler, config, device)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), foreach=False)

    def turn(self, steps: int) -> None:
        usual, training.model.attend = training.model.attend, written_out
        try:
            for step in range(self.step, self.step + steps):
                batch = self.load(step)
                third = len(batch["clean"]) // 3
                total = 0.0
                for k, task in enumerate(("predict", "recovered", "denoised")):
                    part = {name: x[k * third : (k + 1) * third] for name, x in batch.items()}
                    total = total + self.loss(part, task)
                self.optimiser.zero_grad()
                total.backward()
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm, foreach=False)
                self.optimiser.step()
            self.step += steps
        finally:
            training.model.attend = usual

    def loss(self, part: dict[str, torch.Tensor], task: str) -> torch.Tensor:
        """One task's loss from a forward pass of its own."""
        h = self.config.model.history_steps
        out = self.model.forward_all(part["past"], part["observed"])
        clean = part["clean"]
        future = distance(out["future"], clean[:, h:]).mean()
        if task == "predict":
            return future
        past = distance(out[task], clean[:, :h])
        if task == "denoised":
            return future + past.mean()
        gap = 1.0 - part["observed"]
        return future + (past * gap).sum() / gap.sum().clamp(min=1.0)


def samples_per_s(loop: Loop, steps: int) -> float:
    """Of one turn."""
    wait = torch.cuda.synchronize if loop.device.type == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    loop.turn(steps)
    wait()
    return steps * (loop.config.batch // 3) * 3 / (time.perf_counter() - began)


def bench(config: TrainConfig, clips: list, turns: int, steps: int) -> dict:
    """Medians over turns, taken one after the other so that what else the machine does meets both."""
    m = config.model
    sampler = WindowSampler(clips, m.history_steps, m.future_steps, m.dt_s, config.sampler)
    device = processes()[2]
    loops = {"one_pass": OnePass(sampler, config, device), "three_passes": ThreePasses(sampler, config, device)}
    for loop in loops.values():
        loop.turn(2)  # warm up; compile
    rates: dict[str, list[float]] = {n: [] for n in loops}
    for _ in range(turns):
        for name, loop in loops.items():
            rates[name].append(samples_per_s(loop, steps))
    loops["one_pass"].pool.shutdown()
    median = {n: round(statistics.median(v), 1) for n, v in rates.items()}
    return {
        "batch": config.batch // 3 * 3,
        "samples_per_s": median,
        "samples_per_s_by_turn": {n: [round(x, 1) for x in v] for n, v in rates.items()},
        "faster": round(median["one_pass"] / median["three_passes"], 2),
    }


def main(
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path, typer.Option("--json", help="the figures")] = Path("build/bench_loop.json"),
    config: Annotated[Path, typer.Option(help="YAML with the fields of TrainConfig")] = Path(
        "training/configs/body20_25hz.yaml"
    ),
    turns: Annotated[int, typer.Option(min=1)] = 5,
    steps: Annotated[int, typer.Option(min=1, help="a turn")] = 10,
    batch: Annotated[tuple[int, int], typer.Option(help="two sizes: samples per step")] = (12, 126),
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch")] = None,
) -> None:
    """Samples per second of the loop, and of a straightforward one."""
    with guard("training.studies.bench_loop"):
        if threads:
            torch.set_num_threads(threads)
        if min(batch) < 3:
            raise ValueError(f"--batch: expected 3 samples or more, one for each task, got {min(batch)}")
        settings, clips = read_config(config), load_split(data, "train")
        rows = [bench(settings.model_copy(update={"batch": b}), clips, turns, steps) for b in batch]
    device = processes()[2]
    report = {
        "schema_version": 1,
        "command": "python -m training.studies.bench_loop",
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "compiled": settings.compile,
        "bf16": settings.bf16 and device.type == "cuda",
        "turns": turns,
        "steps_a_turn": steps,
        "batches": rows,
    }
    json_path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(json_path, lambda f: f.write((json.dumps(report, indent=1) + "\n").encode()))
    print(f"{report['device']}, {report['threads']} threads")
    for row in rows:
        rate = row["samples_per_s"]
        one, three = rate["one_pass"], rate["three_passes"]
        print(f"batch {row['batch']:4d}: {one} samples/s in one pass, {three} in three: {row['faster']} times")
    print(f"written: {json_path}")


if __name__ == "__main__":
    typer.run(main)
