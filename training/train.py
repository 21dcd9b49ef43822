"""Train the deployed model: `python -m training.train --config training/configs/body20_25hz.yaml`."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field
from tqdm import tqdm

from aux_motion_core.normalise import Heading, into_frame, normalise
from training.corrupt import CorruptionConfig, corrupt_masked, corrupt_noised, random_joint_frames
from training.data import load_split
from training.model import AuxMotionModel, ModelConfig
from training.sampler import SamplerConfig, WindowSampler
from training.windows import cut, mean_error, predict

CHECKPOINT_VERSION = 1


class TrainConfig(BaseModel):
    """One training run."""

    model_config = ConfigDict(extra="forbid")

    name: str = "body20_25hz"
    seed: int = 0
    steps: int = Field(10000, gt=0)
    batch: int = Field(126, gt=0, description="samples per step, a third for each task")
    learning_rate: float = 2e-3
    warmup_steps: int = 200
    weight_decay: float = 0.02
    clip_norm: float = 1.0
    ema: float = 0.998
    validate_every: int = 500
    heading_sigma_rad: float = 0.35
    leave_out: list[str] = Field([], description="motion classes that are not trained on")
    task_weights: tuple[float, float, float] = (1.0, 1.0, 1.0)  # prediction, masking, denoising
    model: ModelConfig = Field(default_factory=ModelConfig)
    sampler: SamplerConfig = Field(default_factory=SamplerConfig)
    corruption: CorruptionConfig = Field(default_factory=CorruptionConfig)


def make_batch(sampler: WindowSampler, config: TrainConfig, step: int) -> dict[str, np.ndarray]:
    """The batch of one step, a function of seed and step alone, so that a resumed run draws the same.

    Returns:
        `past` (B, history, joints, 3) as the model sees it, `observed` (B, history, joints), `clean` (B, history +
        future, joints, 3), all in the frame normalised from what is observed. The first third of the batch is
        clean (prediction), the second masked, the last noised.
    """
    rng = np.random.default_rng([config.seed, step])
    h, third = config.model.history_steps, config.batch // 3
    windows = sampler.draw(rng, 3 * third)
    clean_part, masked_part, noised_part = np.split(windows[:, :h], 3)
    masked, masked_seen = corrupt_masked(rng, masked_part, config.corruption)
    noised, noised_seen = corrupt_noised(rng, noised_part, config.corruption)
    past = np.concatenate([clean_part, masked, noised])
    observed = np.concatenate([np.ones(clean_part.shape[:3], bool), masked_seen, noised_seen])
    heading = normalise(past, observed)[1]
    # a heading that is a little off must not matter
    turn = rng.normal(0.0, config.heading_sigma_rad, len(past)) * (rng.random(len(past)) < 0.5)
    heading = Heading(heading.origin, heading.yaw + turn)
    return {
        "past": (into_frame(past, heading) * observed[..., None]).astype(np.float32),
        "observed": observed.astype(np.float32),
        "clean": into_frame(windows, heading).astype(np.float32),
    }


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Unsquared L2 over the last axis; the addend keeps the gradient finite at zero."""
    return ((a - b).square().sum(-1) + 1e-10).sqrt()


def losses(model: AuxMotionModel, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Losses of the three tasks in metres, from one forward pass over the whole batch."""
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    clean, observed = batch["clean"], batch["observed"]
    third = len(clean) // 3
    p, m, d = slice(0, third), slice(third, 2 * third), slice(2 * third, None)
    future = distance(out["future"], clean[:, h:]).mean((0, 2, 3))  # over layers, steps, joints
    gap = 1.0 - observed[m]
    recover = (distance(out["recovered"][m], clean[m, :h]) * gap).sum() / gap.sum().clamp(min=1.0)
    denoise = distance(out["denoised"][d], clean[d, :h]).mean()
    return {
        "predict": future[p].mean(),
        "mask": future[m].mean() + recover,
        "denoise": future[d].mean() + denoise,
        "recover_past": recover.detach(),
        "denoise_past": denoise.detach(),
    }


class Validator:
    """Mean over clips of the error at 0.4 s and 1.0 s on the validation clips: clean, 40 % missing, noised."""

    def __init__(self, clips: list, config: TrainConfig) -> None:
        c = config.model
        self.steps = [round(0.4 / c.dt_s) - 1, round(1.0 / c.dt_s) - 1]
        cuts = [(clip.action, cut(clip, c.history_steps, c.future_steps, c.dt_s, 0.32)) for clip in clips]
        self.windows = [(a, w) for a, w in cuts if w is not None]
        rng = np.random.default_rng(1)
        self.missing = [
            w.past_mask & ~random_joint_frames(rng, w.past_mask.shape, np.full(len(w.past), 0.4))
            for _, w in self.windows
        ]
        self.noise = [rng.normal(0.0, 0.02, w.past.shape) for _, w in self.windows]

    def __call__(self, infer) -> dict[str, float]:
        rows = {"clean": [], "missing_40pct": [], "noise_20mm": []}
        for (_, w), seen, noise in zip(self.windows, self.missing, self.noise):
            rows["clean"].append(mean_error(predict(infer, w.past, w.past_mask), w, self.steps))
            rows["missing_40pct"].append(mean_error(predict(infer, w.past, seen), w, self.steps))
            rows["noise_20mm"].append(mean_error(predict(infer, w.past + noise, w.past_mask), w, self.steps))
        out = {
            f"{k}@{t}": 1000 * float(np.mean([r[i] for r in v]))
            for k, v in rows.items()
            for i, t in enumerate((0.4, 1.0))
        }
        for action in sorted({a for a, _ in self.windows}):
            e = [r for (a, _), r in zip(self.windows, rows["clean"]) if a == action]
            out[f"{action}@1.0"] = 1000 * float(np.mean([r[1] for r in e]))
        return out


def torch_infer(model: AuxMotionModel):
    """The model's `infer(values, mask)` with numpy in and out, as a backend has it."""
    device = next(model.parameters()).device

    @torch.no_grad()
    def infer(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        was, _ = model.training, model.eval()
        future, recovered = model(
            torch.as_tensor(values, dtype=torch.float32, device=device),
            torch.as_tensor(mask, dtype=torch.float32, device=device),
        )
        model.train(was)
        return future.cpu().numpy(), recovered.cpu().numpy()

    return infer


def save_atomically(state: dict, path: Path) -> None:
    """Write beside, then rename: a kill or a full disk leaves the previous checkpoint whole."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def train(config: TrainConfig, clips: list, validation: list, out: Path, resume: bool = True) -> Path:
    """Train, validate and write `checkpoint.pt` and `metrics.json` under `out`; returns the checkpoint's path."""
    from torch.utils.tensorboard import SummaryWriter

    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sampler = WindowSampler(
        clips, config.model.history_steps, config.model.future_steps, config.model.dt_s, config.sampler
    )
    if not np.any(config.model.rest_pose):
        rest = sampler.draw(np.random.default_rng(config.seed), 4096)[:, config.model.history_steps - 1].mean(
            0
        )
        config.model.rest_pose = rest.tolist()
    model = AuxMotionModel(config.model).to(device)
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    validator = Validator(validation, config)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, first, history, minutes = out / "checkpoint.pt", 0, [], 0.0
    if resume and checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state.get("version") != CHECKPOINT_VERSION:
            raise SystemExit(
                f"{checkpoint}: expected checkpoint version {CHECKPOINT_VERSION}, got {state.get('version')}; "
                "start again with --no-resume"
            )
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        first, history, minutes = state["step"], state["history"], state["minutes"]
    writer = SummaryWriter(out)
    started = time.monotonic()

    def save(step: int) -> None:
        save_atomically(
            {
                "version": CHECKPOINT_VERSION,
                "config": config.model_dump(mode="json"),
                "model": model.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": step,
                "history": history,
                "minutes": minutes + (time.monotonic() - started) / 60,
                "device": f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type,
            },
            checkpoint,
        )

    model.train()
    names = ("predict", "mask", "denoise")
    progress = tqdm(
        range(first, config.steps), initial=first, total=config.steps, desc="train", mininterval=5.0
    )
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(make_batch, sampler, config, first)
        for step in progress:
            batch = {k: torch.as_tensor(v).to(device) for k, v in pending.result().items()}
            pending = pool.submit(make_batch, sampler, config, step + 1)
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(config, step)
            torch.manual_seed(config.seed * 1_000_003 + step)  # dropout of a resumed run is the same, too
            loss = losses(model, batch)
            total = sum(w * loss[n] for w, n in zip(config.task_weights, names))
            if not torch.isfinite(total):
                raise SystemExit(
                    f"step {step}: the loss is {total.item()}; the checkpoint before it is kept in {out}"
                )
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimiser.step()
            with torch.no_grad():
                decay = min(config.ema, (step + 1) / (step + 10))
                torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)
            if step % 50 == 0:
                for n, v in loss.items():
                    writer.add_scalar(f"loss_mm/{n}", 1000 * v.item(), step)
                progress.set_postfix({n: f"{1000 * loss[n].item():.1f}" for n in names})
            if (step + 1) % config.validate_every == 0 or step + 1 == config.steps:
                row = {"step": step + 1, **validator(torch_infer(average))}
                history.append(row)
                for n, v in row.items():
                    writer.add_scalar(f"validation_mm/{n}", v, step + 1)
                tqdm.write(" ".join(f"{k} {v:.1f}" if k != "step" else f"step {v}" for k, v in row.items()))
                save(step + 1)
                (out / "metrics.json").write_text(json.dumps(history, indent=1))
    writer.close()
    return checkpoint


def main(
    config: Annotated[Path, typer.Option(help="YAML with the fields of TrainConfig")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path | None, typer.Option(help="folder for checkpoint, metrics, tensorboard")] = None,
    resume: Annotated[bool, typer.Option(help="go on from the checkpoint in --out")] = True,
    steps: Annotated[int | None, typer.Option(help="overrides the file's steps")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch")] = None,
) -> None:
    """Train from the data folder's training split; validate on its validation split."""
    try:
        settings = TrainConfig.model_validate(yaml.safe_load(config.read_text()) or {})
        if steps:
            settings.steps = steps
        if threads:
            torch.set_num_threads(threads)
        training = [c for c in load_split(data, "train") if c.action not in settings.leave_out]
        validation = [c for c in load_split(data, "validation") if c.action not in settings.leave_out]
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.train: {e}") from None
    train(settings, training, validation, out or Path("build/training") / settings.name, resume)


if __name__ == "__main__":
    typer.run(main)
