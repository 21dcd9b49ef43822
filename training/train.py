"""Train the deployed model: `python -m training.train --config training/configs/body20_25hz.yaml`.

On several GPUs or machines: `torchrun --nproc_per_node N -m training.train ...`; each process draws its share of every
step's batch, and all see the folder of checkpoints. Killed runs go on from the last checkpoint, on the CPU to the bit.
"""

from __future__ import annotations

import copy
import io
import json
import math
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TypeVar

import numpy as np
import torch
import torch.distributed as dist
import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from aux_motion_core.history.normalise import Heading, into_frame, normalise
from training.data import Clip, load_split
from training.data.corrupt import CorruptionConfig, corrupt_masked, corrupt_noised, random_joint_frames
from training.data.sampler import SamplerConfig, WindowSampler
from training.data.shards import load_prepared
from training.data.windows import cut, mean_error, predict
from training.model import AuxMotionModel, ModelConfig

CHECKPOINT_VERSION = 1
#: What a checkpoint must hold to begin from its weights, and what else to go on from it.
_BEGIN, _RESUME = ("config", "average", "step"), ("model", "optimiser", "history", "minutes")
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


def chunk_rng(config: TrainConfig, step: int, chunk: int) -> np.random.Generator:
    """The random numbers of one chunk of one step's batch."""
    return np.random.default_rng([config.seed, step, chunk] if chunk else [config.seed, step])


def make_chunk(sampler: WindowSampler, config: TrainConfig, step: int, chunk: int, n: int) -> dict[str, np.ndarray]:
    """`n` samples of each part; see `make_batch`. The leading axis is (parts, n)."""
    rng = chunk_rng(config, step, chunk)
    h, names = config.model.history_steps, PARTS.get(config.arm, ALL_PARTS)
    windows = sampler.draw(rng, len(names) * n)
    past, observed = [], []
    for name, part in zip(names, np.split(windows[:, :h], len(names))):
        if name == "masked":
            part, seen = corrupt_masked(rng, part, config.corruption)
        elif name == "noised":
            part, seen = corrupt_noised(rng, part, config.corruption)
        else:
            seen = np.ones(part.shape[:3], bool)
        past.append(part)
        observed.append(seen)
    past, observed = np.concatenate(past), np.concatenate(observed)
    heading = normalise(past, observed)[1]
    # a heading that is a little off must not matter
    turn = rng.normal(0.0, config.heading_sigma_rad, len(past)) * (rng.random(len(past)) < 0.5)
    heading = Heading(heading.origin, heading.yaw + turn)
    batch = {
        "past": (into_frame(past, heading) * observed[..., None]).astype(np.float32),
        "observed": observed.astype(np.float32),
        "clean": into_frame(windows, heading).astype(np.float32),
    }
    return {k: v.reshape(len(names), n, *v.shape[1:]) for k, v in batch.items()}


def make_batch(
    sampler: WindowSampler, config: TrainConfig, step: int, rank: int = 0, processes: int = 1
) -> dict[str, np.ndarray]:
    """One process's share of the batch of one step.

    A function of seed and step alone, so that a resumed run draws the same; and with the same `chunks` any number of
    processes together draw what one draws.

    Returns:
        `past` (B, history, joints, 3) as the model sees it, `observed` (B, history, joints), `clean` (B, history +
        future, joints, 3), all in the frame normalised from what is observed. The first third of the batch is
        clean (prediction), the second masked, the last noised; arms of the study lack some (`PARTS`).
    """
    chunks = config.chunks or processes
    n = config.batch // 3 // chunks
    mine = [make_chunk(sampler, config, step, k, n) for k in range(rank, chunks, processes)]
    joined = {k: np.concatenate([c[k] for c in mine], 1) for k in mine[0]}
    return {k: v.reshape(-1, *v.shape[2:]) for k, v in joined.items()}


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Unsquared L2 over the last axis; the addend keeps the gradient finite at zero."""
    return ((a - b).square().sum(-1) + 1e-10).sqrt()


def losses(
    model: AuxMotionModel, batch: dict[str, torch.Tensor], arm: Arm = "both", horizon_power: float = 0.0
) -> dict[str, torch.Tensor]:
    """Losses of the tasks in metres, from one forward pass over the whole batch.

    Returns:
        `predict`, and `mask` and `denoise` where the arm has them; for the log `recover_past`, `denoise_past`.
    """
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    clean, observed = batch["clean"], batch["observed"]
    names = PARTS.get(arm, ALL_PARTS)
    n = len(clean) // len(names)
    part = {name: slice(k * n, (k + 1) * n) for k, name in enumerate(names)}
    recovered, denoised = out["recovered"], out["denoised"]
    if arm == "detached":  # what the heads add to is the trunk's, too: take its gradient out
        filled = model.base_motion(batch["past"], observed)[3]
        recovered, denoised = (x - filled + filled.detach() for x in (recovered, denoised))
    future = distance(out["future"], clean[:, h:])
    if horizon_power:
        share = model.ahead**-horizon_power
        future = future * (share / share.mean())[:, None]
    future = future.mean((0, 2, 3))  # over layers, steps, joints
    loss = {"predict": future[part["clean"]].mean()}
    if "masked" in part:
        m = part["masked"]
        gap = 1.0 - observed[m]
        count = gap.sum()
        if dist.is_initialized():  # the mean over the gaps of all processes, so that theirs average to one process's
            dist.all_reduce(count)
            count = count / dist.get_world_size()
        recover = (distance(recovered[m], clean[m, :h]) * gap).sum() / count.clamp(min=1.0)
        loss |= {"mask": recover, "recover_past": recover.detach()}
    if "noised" in part:
        d = part["noised"]
        denoise = distance(denoised[d], clean[d, :h]).mean()
        loss |= {"denoise": denoise, "denoise_past": denoise.detach()}
    for name, key in (("masked", "mask"), ("noised", "denoise")):
        if key in loss and arm == "augment":
            loss[key] = future[part[name]].mean()
        elif key in loss and arm != "past_only":
            loss[key] = loss[key] + future[part[name]].mean()
    return loss


class Tasks(torch.nn.Module):
    """The model with the losses of its tasks as its forward pass: what is compiled and distributed."""

    def __init__(
        self, model: AuxMotionModel, arm: Arm = "both", bf16_on: str | None = None, horizon_power: float = 0.0
    ) -> None:
        """`bf16_on`: the type of the device whose forward pass is in bfloat16; None: in float32."""
        super().__init__()
        self.model, self.arm, self.bf16_on, self.horizon_power = model, arm, bf16_on, horizon_power
        if bf16_on:  # positions in metres and velocities fitted to them need all their digits
            model.base_motion = torch.autocast(bf16_on, enabled=False)(model.base_motion)
        if arm == "detached":
            for head in (model.recover_head, model.denoise_head):
                head.register_forward_pre_hook(lambda _, tokens: (tokens[0].detach(),))

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        with torch.autocast(self.bf16_on or "cpu", torch.bfloat16, enabled=bool(self.bf16_on)):
            return losses(self.model, batch, self.arm, self.horizon_power)


@torch.no_grad()
def blame(model: AuxMotionModel, batch: dict[str, torch.Tensor], names: np.ndarray) -> str:
    """Which recordings give a loss that is no number; `names` (B,) are those that the samples come from."""
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    error = distance(out["future"], batch["clean"][:, h:]).mean((0, 2, 3))
    for key in ("recovered", "denoised"):
        error = error + distance(out[key], batch["clean"][:, :h]).mean((1, 2))
    bad = ~torch.isfinite(error).cpu().numpy()
    if bad.all():
        return "of every sample: the weights have diverged, lower learning_rate"
    return f"of samples from {', '.join(sorted(set(names[bad])))}: look for wild values there, or leave it out"


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
    def infer(values: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        was, _ = model.training, model.eval()
        future, recovered, *scale = model(
            torch.as_tensor(values, dtype=torch.float32, device=device),
            torch.as_tensor(mask, dtype=torch.float32, device=device),
        )
        model.train(was)
        return future.cpu().numpy(), recovered.cpu().numpy(), scale[0].cpu().numpy() if scale else None

    return infer


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside, then rename: a kill or a full disk leaves the previous file whole.

    Raises:
        SystemExit: it cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        with open(part, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise SystemExit(
            f"{path}: cannot be written: {e.strerror or e}; the one saved before is whole. Make room there and start "
            "again: the run goes on from it"
        ) from None


def save_atomically(state: dict, path: Path) -> None:
    """A checkpoint by `write_atomically`."""
    whole = io.BytesIO()  # torch hides what the disk says
    torch.save(state, whole)
    write_atomically(path, lambda f: f.write(whole.getbuffer()))


class Board:
    """Scalars for tensorboard. Its own writer has a thread, whose traceback would be all that a full disk says."""

    def __init__(self, folder: Path) -> None:
        """A new file of events in `folder`; SystemExit: it cannot be written."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard.summary import scalar

        self.path = folder / f"events.out.tfevents.{time.time_ns() // 10**9}.{socket.gethostname()}.{os.getpid()}"
        self._event, self._scalar = Event, scalar
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        except OSError as e:
            raise self._full(e) from None
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")

    def _full(self, e: OSError) -> SystemExit:
        return SystemExit(
            f"{self.path}: cannot be written: {e.strerror}; the checkpoint saved before is whole. Make room there and "
            "start again: the run goes on from it"
        )

    def _write(self, **content: object) -> None:
        try:
            self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())
        except OSError as e:
            raise self._full(e) from None

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """One number of one step; SystemExit: it cannot be written."""
        self._write(step=step, summary=self._scalar(name, value))

    def close(self) -> None:
        """No more numbers."""
        self._file.close()


def load_checkpoint(path: Path, config: TrainConfig | None, device: torch.device) -> dict:
    """The state that a run goes on from; None for `config` takes any settings, to begin from its weights.

    Raises:
        SystemExit: it is no checkpoint, of another version, or of a run with other settings.
    """
    again = "start again with --no-resume, or give another --out" if config else "name another checkpoint"
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as e:  # a damaged file raises whatever its bytes make of the reader
        reason = e.strerror if isinstance(e, OSError) and e.strerror else type(e).__name__
        raise SystemExit(f"{path}: expected a checkpoint, got {reason}; {again}") from None
    version = state.get("version") if isinstance(state, dict) else None
    if version != CHECKPOINT_VERSION:
        raise SystemExit(f"{path}: expected checkpoint version {CHECKPOINT_VERSION}, got {version}; {again}")
    lacking = [k for k in (*_BEGIN, *(_RESUME if config else ())) if k not in state]
    if lacking:
        raise SystemExit(f"{path}: expected a whole checkpoint, {lacking[0]} is missing; {again}")
    try:
        settings = TrainConfig.model_validate(state["config"])
    except ValidationError as e:
        where = ".".join(map(str, e.errors()[0]["loc"])) or "all of them"
        raise SystemExit(f"{path}: its settings are of another version ({where}); {again}") from None
    if config is None:
        return state
    now, was = (c.model_dump(mode="json") for c in (config, settings))
    other = [k for k in now if k not in ("steps", "validate_every", "loaders") and now[k] != was[k]]
    if other:
        raise SystemExit(f"{path}: expected a run with the same settings, got other {', '.join(other)}; {again}")
    return state


def fitting(part: torch.nn.Module | torch.optim.Optimizer, state: dict, path: Path) -> None:
    """Load a part of a checkpoint into a model or an optimiser.

    Raises:
        SystemExit: it does not fit; names the checkpoint.
    """
    try:
        part.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise SystemExit(
            f"{path}: what it holds does not fit its settings ({reason.strip(' :')}); begin anew, or from another one"
        ) from None


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


def train(
    config: TrainConfig,
    clips: list,
    validation: list,
    out: Path,
    resume: bool = True,
    at_validation: Callable[[int, AuxMotionModel], dict[str, float]] | None = None,
    start_from: Path | None = None,
) -> Path:
    """Train, validate and write `checkpoint.pt` and `metrics.json` under `out`; returns the checkpoint's path.

    Args:
        validation: clips that are only looked at; none: `metrics.json` holds the losses alone.
        at_validation: what else goes into `metrics.json`, of (steps done, model).
        start_from: a checkpoint, or an artefact, that a new run takes averaged weights and the model's settings from.

    Raises:
        SystemExit: a loss that is no number, a checkpoint that cannot be written or gone on from.
        ValueError: the settings do not fit the number of processes, or the clips are too short.
    """
    rank, size, device = processes()
    chunks = config.chunks or size
    if chunks % size or config.batch // 3 < chunks:
        raise ValueError(
            f"chunks: expected a multiple of the {size} processes, at most a third of the batch of {config.batch}, "
            f"got {chunks}"
        )
    torch.manual_seed(config.seed)
    sampler = WindowSampler(
        clips, config.model.history_steps, config.model.future_steps, config.model.dt_s, config.sampler
    )
    before: dict = {}
    if start_from:
        if start_from.is_dir():
            from training.finetune import as_checkpoint  # imports this module

            before = as_checkpoint(start_from)
        else:
            before = load_checkpoint(start_from, None, device)
        config.model = TrainConfig.model_validate(before["config"]).model
        config.model.still_shrink = 0.0  # was fitted for those weights
    if not np.any(config.model.rest_pose):
        rest = sampler.draw(np.random.default_rng(config.seed), 4096)[:, config.model.history_steps - 1].mean(0)
        config.model.rest_pose = rest.tolist()
    model = AuxMotionModel(config.model).to(device)
    if before:
        fitting(model, before["average"], start_from)
    if model.blend is not None:
        model.blend.requires_grad_(False)  # is fitted on its own, by training.fitting.blend
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=device.type == "cuda",
    )
    validator = Validator(validation, config) if validation and rank == 0 else None
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, first, history, minutes = out / "checkpoint.pt", 0, [], 0.0
    if resume and checkpoint.exists():
        state = load_checkpoint(checkpoint, config, device)
        for key, part in (("model", model), ("average", average), ("optimiser", optimiser)):
            fitting(part, state[key], checkpoint)
        first, history, minutes = state["step"], state["history"], state["minutes"]
    half = config.bf16 and (device.type == "cuda" or config.bf16_on_cpu)
    tasks = Tasks(model, config.arm, device.type if half else None, config.horizon_power)
    if config.compile:
        tasks.compile()
    if size > 1:
        tasks = torch.nn.parallel.DistributedDataParallel(tasks, find_unused_parameters=config.arm != "both")
    writer = Board(out) if rank == 0 else None
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
                "steps_before": before.get("step", 0) + before.get("steps_before", 0),
                "minutes_before": before.get("minutes", 0.0) + before.get("minutes_before", 0.0),
                "device": f"cpu, {torch.get_num_threads()} threads" if device.type == "cpu" else device.type,
            },
            checkpoint,
        )

    def load(step: int) -> dict[str, torch.Tensor]:
        batch = {k: torch.as_tensor(v) for k, v in make_batch(sampler, config, step, rank, size).items()}
        if device.type == "cuda":
            batch = {k: v.pin_memory().to(device, non_blocking=True) for k, v in batch.items()}
        return batch

    def names(step: int) -> np.ndarray:
        parts = len(PARTS.get(config.arm, ALL_PARTS))
        n = config.batch // 3 // chunks
        mine = [sampler.choose(chunk_rng(config, step, k), parts * n) for k in range(rank, chunks, size)]
        return sampler.names[np.concatenate([c.reshape(parts, n) for c in mine], 1).ravel()]

    model.train()
    weights = dict(zip(("predict", "mask", "denoise"), config.task_weights))
    progress = tqdm(
        range(first, config.steps),
        initial=first,
        total=config.steps,
        desc="train",
        mininterval=5.0,
        disable=rank > 0 or None,
    )
    with ThreadPoolExecutor(config.loaders) as pool:
        pending = deque(pool.submit(load, first + k) for k in range(config.loaders))
        for step in progress:
            batch = pending.popleft().result()
            pending.append(pool.submit(load, step + config.loaders))
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(config, step)
            # dropout of a resumed run is the same, too
            torch.manual_seed(config.seed * 1_000_003 + step * size + rank)
            loss = tasks(batch)
            total = sum(w * loss[n] for n, w in weights.items() if n in loss)
            if not torch.isfinite(total):
                raise SystemExit(
                    f"step {step}: the loss is {total.item()} {blame(model, batch, names(step))}; "
                    f"the checkpoint before it is kept in {out}"
                )
            optimiser.zero_grad(set_to_none=True)
            total.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimiser.step()
            with torch.no_grad():
                decay = min(config.ema, (step + 1) / (step + 10))
                torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)
            validate = (step + 1) % config.validate_every == 0 or step + 1 == config.steps
            if size > 1 and (validate or step % 50 == 0):
                values = torch.stack([v.detach() for v in loss.values()])
                dist.all_reduce(values)
                loss = dict(zip(loss, values / size))
            if rank > 0:
                continue
            if step % 50 == 0:
                for n, v in loss.items():
                    writer.add_scalar(f"loss_mm/{n}", 1000 * v.item(), step)
                progress.set_postfix({n: f"{1000 * loss[n].item():.1f}" for n in weights if n in loss})
            if validate:
                row = {"step": step + 1}
                if validator:
                    row |= validator(torch_infer(average))
                else:
                    row |= {f"loss_{n}": 1000 * v.item() for n, v in loss.items()}
                row |= at_validation(step + 1, model) if at_validation else {}
                history.append(row)
                for n, v in row.items():
                    writer.add_scalar(f"validation_mm/{n}", v, step + 1)
                tqdm.write(" ".join(f"{k} {v:.1f}" if k != "step" else f"step {v}" for k, v in row.items()))
                save(step + 1)
                write_atomically(out / "metrics.json", lambda f: f.write(json.dumps(history, indent=1).encode()))
    if writer:
        writer.close()
    if size > 1:
        dist.barrier()  # nobody leaves before the checkpoint is there
    return checkpoint


def main(
    config: Annotated[Path, typer.Option(help="YAML with the fields of TrainConfig")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    prepared: Annotated[
        Path | None, typer.Option(help="train on this folder of training.data.prepare, a tenth of its groups held out")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for checkpoint, metrics, tensorboard")] = None,
    resume: Annotated[bool, typer.Option(help="go on from the checkpoint in --out")] = True,
    start_from: Annotated[Path | None, typer.Option(help="begin with this checkpoint's or artefact's weights")] = None,
    steps: Annotated[int | None, typer.Option(help="overrides the file's steps")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch")] = None,
) -> None:
    """Train from the data folder's training split, or a prepared data set; validate on what is held out."""
    try:
        settings = read_config(config)
        if steps:
            settings.steps = steps
        if threads:
            torch.set_num_threads(threads)
        if prepared:
            training, validation = held_out(load_prepared(prepared))
        else:
            training, validation = load_split(data, "train"), load_split(data, "validation")
        training, validation = (
            [c for c in clips if c.action not in settings.leave_out] for clips in (training, validation)
        )
        train(settings, training, validation, out or Path("build/training") / settings.name, resume, None, start_from)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.train: {e}") from None
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    typer.run(main)
