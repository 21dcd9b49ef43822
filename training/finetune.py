"""Train a model further on one's own recordings:

    python -m training.finetune --model models/body20_25hz --bags DIR --out models/mine

Each person's recording is cut in time: the first part is trained on, the second chooses how far to go from the old
weights to the new ones (Wortsman et al., CVPR 2022), the last is held out and gives the table. Shorter recordings have
fewer parts, and take turns. docs/own_data.md leads through it.
"""

from __future__ import annotations

import copy
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from safetensors.torch import load_file
from tqdm import tqdm

from aux_motion_core.history.normalise import Heading, find_heading, into_frame
from aux_motion_core.history.resample import resample
from aux_motion_core.inference import artefact, baselines
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import MIRROR
from training.data import Clip, load_split
from training.data.corrupt import CorruptionConfig, corrupt_masked, corrupt_noised
from training.data.files import try_to_write
from training.data.registry import dataset
from training.data.sampler import SamplerConfig, WindowSampler
from training.data.sources import Options
from training.data.windows import Windows, cut, mean_error, predict
from training.export import export
from training.model import AuxMotionModel, ModelConfig
from training.train import CHECKPOINT_VERSION, TrainConfig, distance, learning_rate, save_atomically, torch_infer

HORIZONS_S = (0.2, 0.4, 0.6, 0.8, 1.0)
#: Where the held-out part and the part that chooses begin, as shares of each recording.
TUNE_FROM, HELD_OUT_FROM = 0.6, 0.75
#: How much of the way from the old weights to the new ones is tried.
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: The mix where no recording is long enough to choose it.
BLIND_MIX = 0.5
#: As `training.data.windows.cut`: a longer gap in a joint's samples is left missing.
_MAX_GAP_S = 0.12
_HEADING_SIGMA_RAD = 0.35


def load_weights(folder: Path) -> tuple[AuxMotionModel, artefact.Artefact]:
    """The model of an artefact, to train further.

    Raises:
        artefact.ArtefactError: the artefact is damaged, or holds no weights, or other ones.
    """
    loaded = artefact.load(folder)
    file, sizes = folder / "weights.safetensors", loaded.training.get("model_config")
    if not file.is_file() or not isinstance(sizes, dict):
        raise artefact.ArtefactError(
            f"{folder}: expected weights.safetensors and training.model_config in model.json to train further, found "
            "none: export the model's checkpoint again with python -m training.export"
        )
    try:
        model = AuxMotionModel(ModelConfig(**sizes))
        model.load_state_dict(load_file(file))
    except Exception as error:  # whatever damaged or other weights make of the readers
        reason = str(error).strip().splitlines()[0]
        raise artefact.ArtefactError(f"{file}: does not fit model.json ({reason}): export the model again") from None
    return model, loaded


def as_checkpoint(folder: Path) -> dict[str, Any]:
    """What `training.train.load_checkpoint` would give for the run that the artefact comes from; to go on from.

    Raises:
        artefact.ArtefactError: as `load_weights`.
    """
    model, loaded = load_weights(folder)
    was = loaded.training
    config = TrainConfig(
        name=loaded.name, seed=was["seed"], steps=was["steps"], batch=was["batch"], model=model.config
    )  # fmt: skip
    return {
        "version": CHECKPOINT_VERSION,
        "config": config.model_dump(mode="json"),
        "average": model.state_dict(),
        "step": was["steps"],
        "steps_before": was.get("steps_before", 0),
        "minutes": was["minutes"],
        "minutes_before": 0.0,
        "history": [{k: v for k, v in loaded.metrics.items() if k not in ("split", "unit")}],
        "device": was["device"],
    }


def part_of(clip: Clip, from_share: float, to_share: float, gap_s: float = 0.0) -> Clip:
    """The frames of a clip from one share of its duration to another, less `gap_s` at the end."""
    t = clip.stamps_s - clip.stamps_s[0]
    end = to_share * clip.duration_s
    rows = (t >= from_share * clip.duration_s) & ((t < end - gap_s) | (to_share >= 1.0))
    return replace(clip, stamps_s=clip.stamps_s[rows], positions=clip.positions[rows], mask=clip.mask[rows])


def split(clips: list[Clip], config: ModelConfig) -> dict[str, list[Clip]]:
    """Parts of the clips to "train" on, to "choose" the mix by, and "held_out"; a history's time lies between them.

    A clip whose last quarter holds no window is held out, chosen by, or trained on as a whole; one that holds no window
    at all is left out.
    """
    gap_s, window_s = config.history_steps * config.dt_s, (config.history_steps + config.future_steps) * config.dt_s
    out: dict[str, list[Clip]] = {"train": [], "choose": [], "held_out": []}
    medium, short = 0, 0
    for clip in clips:
        if clip.duration_s < window_s:
            continue
        if (1.0 - HELD_OUT_FROM) * clip.duration_s < window_s:
            out[("train", "choose", "train", "held_out")[short % 4]].append(clip)
            short += 1
            continue
        out["held_out"].append(part_of(clip, HELD_OUT_FROM, 1.0))
        if (HELD_OUT_FROM - TUNE_FROM) * clip.duration_s > window_s + gap_s:
            out["train"].append(part_of(clip, 0.0, TUNE_FROM, gap_s))
            out["choose"].append(part_of(clip, TUNE_FROM, HELD_OUT_FROM, gap_s))
        else:
            out[("train", "choose", "train")[medium % 3]].append(part_of(clip, 0.0, HELD_OUT_FROM, gap_s))
            medium += 1
    return out


class OwnWindows:
    """Draws training windows from recordings with missing joints.

    Args:
        clips: any rate, any mask.
        config: of the model.

    Raises:
        ValueError: no clip is long enough.
    """

    def __init__(self, clips: list[Clip], config: ModelConfig) -> None:
        h, f, dt = config.history_steps, config.future_steps, config.dt_s
        self.steps = h + f
        values, masks, starts, self.names = [], [], [], []
        total = 0
        for clip in clips:
            n = int(np.floor(clip.duration_s / dt + 1e-6)) + 1 if len(clip.stamps_s) > 1 else 0
            if n < self.steps:
                continue
            end_s = clip.stamps_s[0] + (n - 1) * dt
            x, m = resample(clip.stamps_s, clip.positions, clip.mask, end_s, dt, n, _MAX_GAP_S)
            at = np.arange(n - self.steps + 1)
            at = at[m[at + h - 1].any(-1) & m[np.minimum(at + self.steps - 1, n - 1)].any(-1)]
            starts.append(total + at)
            self.names += [clip.name] * len(at)
            values.append(x)
            masks.append(m)
            total += n
        self.starts = np.concatenate(starts) if starts else np.zeros(0, int)
        if not len(self.starts):
            raise ValueError(
                f"no recording has {self.steps * dt:.1f} s of one person to train on: record at least "
                f"{self.steps * dt / TUNE_FROM + 1:.0f} s, better some minutes"
            )
        self.values, self.masks, self.history = np.concatenate(values), np.concatenate(masks), h

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Windows (n, history + future, joints, 3) in their own frame, their masks, and the clips they are from."""
        pick = rng.integers(len(self.starts), size=n)
        rows = self.starts[pick][:, None] + np.arange(self.steps)
        w, m = self.values[rows], self.masks[rows]
        w = into_frame(w, find_heading(w[:, : self.history], m[:, : self.history]))
        flip = rng.random(n) < 0.5
        w = np.where(flip[:, None, None, None], w[:, :, MIRROR] * np.array([1.0, -1.0, 1.0]), w)
        m = np.where(flip[:, None, None], m[:, :, MIRROR], m)
        w = w * rng.uniform(0.9, 1.1, n)[:, None, None, None]
        return np.where(m[..., None], w, 0.0), m, [self.names[k] for k in pick]


def make_batch(rng: np.random.Generator, windows: np.ndarray, mask: np.ndarray, history: int) -> dict[str, np.ndarray]:
    """A batch whose thirds are clean, masked and noised, as `training.train.make_batch`, of windows with gaps.

    Args:
        windows: (B, history + future, joints, 3), B a multiple of three.
        mask: (B, history + future, joints) bool, what is known.

    Returns:
        `past`, `observed`, `clean` as there; `known` (B, history + future, joints).
    """
    parts = []
    for k, (w, m) in enumerate(zip(np.split(windows[:, :history], 3), np.split(mask[:, :history], 3))):
        if k:
            w, seen = (corrupt_masked, corrupt_noised)[k - 1](rng, w, CorruptionConfig())
            seen = seen & m
            seen = np.where(seen.any((1, 2), keepdims=True), seen, m)
        else:
            seen = m
        parts.append((w, seen))
    past, observed = (np.concatenate(x) for x in zip(*parts))
    heading = find_heading(past, observed)
    turn = rng.normal(0.0, _HEADING_SIGMA_RAD, len(past)) * (rng.random(len(past)) < 0.5)
    heading = Heading(heading.origin, heading.yaw + turn)
    return {
        "past": (into_frame(past, heading) * observed[..., None]).astype(np.float32),
        "observed": observed.astype(np.float32),
        "clean": into_frame(windows, heading).astype(np.float32),
        "known": mask.astype(np.float32),
    }


def own_loss(model: AuxMotionModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The three tasks' losses together, in metres, on what is known; (B,) a sample each."""
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    clean, known, observed = batch["clean"], batch["known"], batch["observed"]
    mean = lambda d, m: (d * m).sum((-1, -2)) / m.sum((-1, -2)).clamp(min=1.0)  # noqa: E731
    # the last layer's future as it is exported
    futures = [*out["future"][:-1], model.take_back(out)]
    loss = torch.stack([mean(distance(f, clean[:, h:]), known[:, h:]) for f in futures]).mean(0)
    third = len(clean) // 3
    gaps = known[:, :h] * (1.0 - observed)
    recover = mean(distance(out["recovered"], clean[:, :h]), gaps)
    denoise = mean(distance(out["denoised"], clean[:, :h]), known[:, :h])
    part = torch.arange(len(clean), device=clean.device) // third
    return loss + recover * (part == 1) + denoise * (part == 2)


@dataclass
class Tuning:
    """How it is trained."""

    steps: int = 400
    batch: int = 96
    learning_rate: float = 3e-4
    seed: int = 0


def tune(model: AuxMotionModel, own: OwnWindows, other: WindowSampler | None, tuning: Tuning) -> AuxMotionModel:
    """A copy of the model trained further; half of each batch is from `other` where it is given.

    Raises:
        SystemExit: the loss is no number; names the recordings.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(tuning.seed)
    model = copy.deepcopy(model).to(device).train()
    average = copy.deepcopy(model)
    schedule = TrainConfig(
        steps=tuning.steps, learning_rate=tuning.learning_rate, warmup_steps=min(50, tuning.steps // 4)
    )
    optimiser = torch.optim.AdamW(model.parameters(), lr=tuning.learning_rate, weight_decay=0.01)
    third = tuning.batch // 3
    progress = tqdm(range(tuning.steps), desc="finetune", mininterval=2.0)
    for step in progress:
        rng = np.random.default_rng([tuning.seed, step])
        windows, mask, names = own.draw(rng, 3 * third)
        if other is not None:
            theirs = np.arange(len(windows)) % 2 == 1
            windows[theirs] = other.draw(rng, int(theirs.sum()))
            mask[theirs] = True
        arrays = make_batch(rng, windows, mask, model.config.history_steps)
        batch = {k: torch.as_tensor(v).to(device) for k, v in arrays.items()}
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(schedule, step)
        each = own_loss(model, batch)
        loss = each.mean()
        if not torch.isfinite(loss):
            bad = sorted({n for n, ok in zip(names, torch.isfinite(each).tolist()) if not ok})
            raise SystemExit(
                f"training.finetune: step {step}: the loss is {loss.item()}, from {', '.join(bad[:5])}: look for wild "
                "values there, or leave it out; nothing was written"
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            decay = min(0.98, (step + 1) / (step + 10))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)
        if step % 20 == 0:
            progress.set_postfix(mm=f"{1000 * loss.item():.1f}")
    return average.cpu().eval()


def mixed(old: AuxMotionModel, new: AuxMotionModel, share: float) -> AuxMotionModel:
    """Weights `share` of the way from the old to the new ones."""
    model, target = copy.deepcopy(old), new.state_dict()
    model.load_state_dict({k: torch.lerp(v, target[k], share) for k, v in old.state_dict().items()})
    return model.eval()


def windows_of(clips: list[Clip], config: ModelConfig) -> dict[str, Windows]:
    """Evaluation windows by clip, of those that are long enough."""
    cuts = {c.name: cut(c, config.history_steps, config.future_steps, config.dt_s) for c in clips if len(c.stamps_s)}
    return {n: w for n, w in cuts.items() if w is not None}


def errors_mm(infer, windows: dict[str, Windows], dt_s: float) -> dict[str, list[float]]:
    """Clip -> mean error at `HORIZONS_S` in mm, by the path of the node."""
    steps = [round(h / dt_s) - 1 for h in HORIZONS_S]
    return {n: (1000 * mean_error(predict(infer, w.past, w.past_mask), w, steps)).tolist() for n, w in windows.items()}


def mean_over_clips(errors: dict[str, list[float]]) -> np.ndarray:
    """(horizons,) mm; a horizon at which a clip has no observed joint is averaged over the others, NaN without any."""
    e = np.array(list(errors.values()))
    count = np.isfinite(e).sum(0)
    return np.where(count > 0, np.nansum(e, 0) / np.maximum(count, 1), np.nan)


def plain(values) -> list[float | None]:
    """Rounded for JSON, which has no NaN."""
    return [round(float(v), 2) if np.isfinite(v) else None for v in values]


def gains(before: dict[str, list[float]], after: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Horizon -> gain in percent, with the 95 % bootstrap interval over clips; no interval of one clip."""
    b, a = np.array(list(before.values())), np.array(list(after.values()))
    rng, out = np.random.default_rng(0), {}
    for k, horizon in enumerate(HORIZONS_S):
        both = np.flatnonzero(np.isfinite(b[:, k]) & np.isfinite(a[:, k]))
        if not len(both):
            continue
        draws = both[rng.integers(len(both), size=(2000, len(both)))]
        spread = 100.0 * (1.0 - a[draws, k].sum(1) / b[draws, k].sum(1))
        low, high = np.percentile(spread, [2.5, 97.5]) if len(both) > 1 else (np.nan, np.nan)
        gain = 100.0 * (1.0 - a[both, k].sum() / b[both, k].sum())
        out[str(horizon)] = {n: round(float(x), 2) for n, x in (("gain", gain), ("low", low), ("high", high))
                             if np.isfinite(x)}  # fmt: skip
    return out


def choose_mix(old: AuxMotionModel, new: AuxMotionModel, windows: dict[str, Windows]) -> tuple[float, dict[str, float]]:
    """The best mix on windows that were not trained on, and each one's errors in mm, summed over `HORIZONS_S`.

    Without such windows it is `BLIND_MIX`.
    """
    if not windows:
        return BLIND_MIX, {}
    scores = {
        m: float(np.nansum(mean_over_clips(errors_mm(torch_infer(mixed(old, new, m)), windows, old.config.dt_s))))
        for m in MIXES
    }
    return min(scores, key=scores.__getitem__), {str(m): round(s, 3) for m, s in scores.items()}


def table(report: dict[str, Any]) -> str:
    """The report's errors as text, a part of the data after the other."""
    lines = []
    for title, rows in report["errors_mm"].items():
        width = max(len(title), *(len(n) for n in rows))
        lines.append("  ".join([title.ljust(width), *(f"{h:5.1f} s" for h in HORIZONS_S)]))
        lines += [
            "  ".join([n.ljust(width), *("      -" if v is None else f"{v:7.1f}" for v in row)])
            for n, row in rows.items()
        ]
        lines.append("")
    lines.append("after against before, on the held-out parts, with the 95 % interval over recordings:")
    for horizon, g in report["gain_percent"].items():
        interval = f" ({g['low']:+.1f} to {g['high']:+.1f})" if "low" in g else " (one recording: no interval)"
        lines.append(f"  {horizon} s: {g['gain']:+.1f} %{interval}")
    return "\n".join(lines)


def finetune(
    model_dir: Path, bags: Path, out: Path, data: Path | None = None, topic: str | None = None,
    tuning: Tuning | None = None, version: str = "1.0.0",
) -> dict[str, Any]:  # fmt: skip
    """Train an artefact's model further and export it; see the module's docstring.

    Args:
        model_dir: artefact with weights.
        bags: folder of bags and npz files (`training.data.folder`).
        out: folder of the new artefact.
        data: folder of the archives that the model was first trained on, to train on as well and to see what is
            forgotten; None: recordings only.
        topic: of the skeletons, in bags with several.

    Returns:
        What is written to `finetune.json`.

    Raises:
        ValueError, OSError: artefact or recordings are not as expected.
    """
    tuning = tuning or Tuning()
    old, loaded = load_weights(model_dir)
    if out.resolve() == model_dir.resolve():
        raise ValueError(f"{out}: is the model that is trained further: name another --out, to compare them")
    c = old.config
    own = dataset("folder")
    if not bags.is_dir():
        raise FileNotFoundError(f"{bags}: no such folder; name the one with bags or npz files with --bags")
    clips = [clip for s in own.find(bags, Options(topic=topic)) for clip in own.load(s)]
    parts = split(clips, c)
    held_out, choose = windows_of(parts["held_out"], c), windows_of(parts["choose"], c)
    if not held_out:
        need_s = (c.history_steps + c.future_steps) * c.dt_s / (1.0 - HELD_OUT_FROM)
        raise ValueError(
            f"{bags}: nothing can be held out to judge by: expected somebody for {need_s:.1f} s on end, or four "
            f"shorter recordings, got {len(clips)}, the longest of {max(x.duration_s for x in clips):.1f} s: record "
            "some minutes"
        )
    source = OwnWindows(parts["train"], c)
    other = validation = None
    if data is not None:
        other = WindowSampler(load_split(data, "train"), c.history_steps, c.future_steps, c.dt_s, SamplerConfig())
        validation = windows_of(load_split(data, "validation"), c)
    try_to_write(out if out.exists() else out.parent)
    started = time.monotonic()
    new = tune(old, source, other, tuning)
    share, scores = choose_mix(old, new, choose)
    minutes = (time.monotonic() - started) / 60

    settings = TrainConfig(
        name=out.name, seed=tuning.seed, steps=tuning.steps, batch=tuning.batch, model=c,
        learning_rate=tuning.learning_rate,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        state = {
            "version": CHECKPOINT_VERSION, "config": settings.model_dump(mode="json"), "step": tuning.steps,
            "average": mixed(old, new, share).state_dict(), "history": [], "minutes": minutes,
            "device": "cuda" if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads",
        }  # fmt: skip
        save_atomically(state, checkpoint)
        export(checkpoint, out, clips, version)

    backends = {n: baselines.make(n) for n in baselines.BASELINES}
    backends |= {"before": OnnxBackend(loaded), "after": OnnxBackend(artefact.load(out))}
    judged = {"held-out parts, mm after": held_out}
    if validation:
        judged["first data's validation split, mm after"] = validation
    by_clip = {t: {n: errors_mm(b.infer, w, c.dt_s) for n, b in backends.items()} for t, w in judged.items()}
    means = {t: {n: mean_over_clips(e) for n, e in rows.items()} for t, rows in by_clip.items()}
    first, clip_errors = next(iter(means.values())), next(iter(by_clip.values()))
    report = {
        "schema_version": 1,
        "model": {"name": loaded.name, "version": loaded.version, "onnx_sha256": loaded.onnx_sha256},
        "recordings": {x.name: round(x.duration_s, 2) for x in clips},
        "parts": {name: [x.name for x in part] for name, part in parts.items()},
        "windows": {
            "train": len(source.starts),
            "choose": sum(len(w.past) for w in choose.values()),
            "held_out": sum(len(w.past) for w in held_out.values()),
        },
        "mix": share,
        "mix_scores_mm": scores,
        "horizons_s": HORIZONS_S,
        "errors_mm": {t: {n: plain(e) for n, e in rows.items()} for t, rows in means.items()},
        "gain_percent": gains(clip_errors["before"], clip_errors["after"]),
        "clips_mm": {n: {k: plain(v) for k, v in clip_errors[n].items()} for n in ("before", "after")},
    }  # fmt: skip
    card = json.loads((out / "model.json").read_text())
    before, terms = loaded.training, "; ".join(sorted({x.licence for x in clips}))
    card["training"] |= {
        "data": f"{before.get('data', 'unknown')}; then {len(clips)} own recordings",
        "licence": f"{before.get('licence', 'unknown')}; own recordings: {terms}",
        "split": f"{before.get('split', 'unknown')}; then all but the last {1 - HELD_OUT_FROM:.0%} of own recordings",
        "finetuned_from": report["model"],
        "mix": share,
    }
    card["metrics"] = {"split": f"last {1 - HELD_OUT_FROM:.0%} of each own recording", "unit": "mm", **{
        f"{n}@{h}": e for n in ("before", "after") for h, e in zip(HORIZONS_S, plain(first[n]))
    }}  # fmt: skip
    (out / "model.json").write_text(json.dumps(card, indent=1) + "\n")
    (out / "finetune.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def main(
    bags: Annotated[Path, typer.Option(help="folder with bags (SkeletonArray) or npz files")],
    out: Annotated[Path, typer.Option(help="folder of the new artefact")],
    model: Annotated[Path, typer.Option(help="artefact to begin with")] = Path("models/body20_25hz"),
    data: Annotated[Path | None, typer.Option(help="archives of the first training, to forget less")] = None,
    topic: Annotated[str | None, typer.Option(help="skeleton topic, in bags with several")] = None,
    steps: Annotated[int, typer.Option(min=1, help="training steps")] = 400,
    rate: Annotated[float, typer.Option("--learning-rate", min=0.0, help="highest learning rate")] = 3e-4,
    seed: Annotated[int, typer.Option(help="of the random numbers")] = 0,
    version: Annotated[str, typer.Option(help="version of the new model")] = "1.0.0",
    threads: Annotated[int | None, typer.Option(help="CPU threads for torch")] = None,
) -> None:
    """Train a model further on one's own recordings, and say what it gained on parts that were held out."""
    if threads:
        torch.set_num_threads(threads)
    try:
        report = finetune(model, bags, out, data, topic, Tuning(steps, learning_rate=rate, seed=seed), version)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.finetune: {e}") from None
    print(table(report))
    if not report["mix_scores_mm"]:
        print(f"no recording was long enough to choose by: {BLIND_MIX:.0%} of the way to the new weights was taken")
    elif report["mix"] == 0.0:
        print("the recordings taught nothing that holds beyond them: the weights are the old ones")
    if any(g.get("low", g["gain"]) < 0.0 for g in report["gain_percent"].values()):
        print("not better for certain at every horizon: keep the old model, or record more")
    print(f"written: {out} (model.onnx, model.json, weights.safetensors, finetune.json)")


if __name__ == "__main__":
    typer.run(main)
