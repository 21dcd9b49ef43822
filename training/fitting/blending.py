# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Fit how far a network is believed, and how far off it may be, on predictions of what it never saw:

    python -m training.fitting.blending --data ../shared/data --start-from models/body20_25hz --json build/stacking.json

Reads the networks of `training.fitting.out_of_fold` (build/training/fold_<k>/checkpoint.pt), predicts with each the
recordings that it was not trained on, corrupted as trackers corrupt them, and fits `training.model.Blend` to these
predictions: its mean by the logarithm of the distance to the truth, so that people who stand count as much as those
who run, its scale by the Laplace score (a proper one).

The network that gets the blend has seen all folds and was trained for longer: it deserves more trust than theirs. How
much more, two numbers (`TRUST`), is chosen for the least log error on the folds, each with the blend of the others, on
the validation split, on a real tracker's recordings (Kinect v2), and on `TRUSTED_ON`, each weighing alike.

The network of `--start-from` with the blend fitted on all folds is written to `--out`, for `training.export`; the fold
networks, each with a blend fitted on the other folds alone, to `--folds`, so that what is calibrated on them stays
honest. `--json` tells what it gains on each.
"""

from __future__ import annotations

import copy
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from tqdm import tqdm

from aux_motion_core.history.normalise import into_frame, normalise
from aux_motion_core.inference import baselines
from training.batches import make_batch
from training.checkpoint import as_checkpoint, load_checkpoint, load_model, save_atomically
from training.commands import guard
from training.config import TrainConfig
from training.data import Clip, load_split
from training.data.archives import unpack
from training.data.corrupt import CorruptionConfig, interpolate, random_joint_frames, tracker_noise
from training.data.files import try_to_write
from training.data.kinect import load_laban_csv
from training.data.sampler import WindowSampler
from training.data.windows import Windows, cut, mean_error, predict
from training.export import write_onnx
from training.fitting.out_of_fold import FOLDS, fold_of, predicted_clips, save_fold
from training.infer import torch_infer
from training.latency import latencies
from training.losses import distance
from training.model import AuxMotionModel, Blend
from training.monitor import Validator

WINDOWS = 5000
STEPS = 700
WIDTH = 24
HORIZONS_S = (0.04, 0.2, 0.4, 0.6, 1.0)
_LEARNING_RATE = 4e-3
_BATCH = 64  # of each network
_NOISE = CorruptionConfig(measured_share=1.0)
#: Added to distances before their logarithm is taken.
_NEAR_M = 0.005
#: More trust in the network: what is added to the logits of its two experts at the first step, and by the last one.
TRUST = tuple((near, near + ramp) for near in (0.0, 0.5, 1.0, 1.5) for ramp in (0.0, 1.0, 2.0, 3.0))
#: Splits of `training/splits` that choose the trust, too, and every how many of their clips; never the new subject.
TRUSTED_ON = {"nuitrack": 8, "rehab": 4, "robot_work": 2}


@dataclass
class Predictions:
    """What one network says of windows that it was not trained on, and what the blend needs of it.

    Attributes:
        features: (N, joints, F) and poses (N, joints, 3, 3), see `Blend.describe`.
        network: (N, steps, joints, 3), its own prediction, and `damped`, alike.
        truth: (N, steps, joints, 3) with `seen` (N, steps, joints).
    """

    features: Tensor
    poses: Tensor
    network: Tensor
    damped: Tensor
    truth: Tensor
    seen: Tensor

    def __len__(self) -> int:
        return len(self.features)


@torch.no_grad()
def describe(model: AuxMotionModel, values: Tensor, mask: Tensor, truth: Tensor, seen: Tensor) -> Predictions:
    """Predictions of normalised windows; see `Predictions` for the shapes."""
    blend = Blend(replace(model.config, blend=1))
    parts: list[list[Tensor]] = [[], [], [], []]
    for k in range(0, len(values), 252):
        x, m = values[k : k + 252], mask[k : k + 252]
        out = model.taken_back(model.forward_all(x, m))
        features, poses = blend.describe(torch.where(m[..., None] > 0, x, torch.zeros_like(x)), m, out)
        for part, value in zip(parts, (features, poses, out["future"][-1], out["damped"])):
            part.append(value)
    return Predictions(*(torch.cat(p) for p in parts), truth, seen)


def drawn(model: AuxMotionModel, config: TrainConfig, clips: list[Clip], windows: int, seed: int = 0) -> Predictions:
    """Predictions of windows drawn and corrupted as in training."""
    c = config.model
    sampler = WindowSampler(clips, c.history_steps, c.future_steps, c.dt_s, config.sampler)
    config = config.model_copy(update={"batch": 252, "seed": 1000 + seed, "chunks": 1})
    batches = [make_batch(sampler, config, step) for step in range(-(-windows // 252))]
    names = ("past", "observed", "clean", "known")
    past, observed, clean, known = (torch.as_tensor(np.concatenate([b[k] for b in batches])) for k in names)
    truth = clean[:, c.history_steps :]
    return describe(model, past, observed, truth, known[:, c.history_steps :])


def of_windows(model: AuxMotionModel, w: Windows, past: np.ndarray, mask: np.ndarray) -> Predictions:
    """Predictions of evaluation windows from `past` (N, history, joints, 3) with `mask` (N, history, joints)."""
    values, heading = normalise(past, mask)
    as_float = lambda x: torch.as_tensor(x, dtype=torch.float32)  # noqa: E731
    return describe(
        model, as_float(values), as_float(mask), as_float(into_frame(w.future, heading)), as_float(w.future_mask)
    )


def of_clips(model: AuxMotionModel, clips: list[Clip], stride_s: float = 0.2) -> dict[str, dict[str, Predictions]]:
    """{condition: {clip name: predictions}} of whole clips: as recorded, with gaps, and with a tracker's noise."""
    c = model.config
    out: dict[str, dict[str, Predictions]] = {"clean": {}, "missing_40pct": {}, "tracker_noise": {}}
    for k, clip in enumerate(clips):
        w = cut(clip, c.history_steps, c.future_steps, c.dt_s, stride_s)
        if w is None:
            continue
        rng = np.random.default_rng(k)
        gone = random_joint_frames(rng, w.past_mask.shape, np.full(len(w.past), 0.4))
        out["clean"][clip.name] = of_windows(model, w, w.past, w.past_mask)
        out["missing_40pct"][clip.name] = of_windows(model, w, *interpolate(w.past, w.past_mask & ~gone))
        out["tracker_noise"][clip.name] = of_windows(model, w, tracker_noise(rng, w.past, _NOISE), w.past_mask)
    return out


def tracker_clips(data: Path) -> list[Clip]:
    """Recordings of a real tracker that no tier of `training.validate` holds: Kinect v2, upper-body gestures."""
    files = sorted(unpack(data).glob("tracker_samples/laban_kinect2/*.csv"))
    if not files:
        raise ValueError(f"{data}: no recordings of LabanotationSuite there: expected tracker_samples.tar.xz")
    return [load_laban_csv(f, f"laban/{f.stem}") for f in files]


def apply(blend: Blend, p: Predictions, pick: Tensor | slice = slice(None)) -> tuple[Tensor, Tensor]:
    """The blended future (N, steps, joints, 3) and its log scale, alike."""
    weights, log_scale = blend.coefficients(p.features[pick])
    future = blend.combine(weights, p.poses[pick], p.network[pick], p.damped[pick])
    return future, log_scale.transpose(1, 2)


def laplace(error: Tensor, log_scale: Tensor) -> Tensor:
    """Negative log likelihood of errors under a Laplace distribution of standard deviation `exp(log_scale)`."""
    return log_scale + 2.0**0.5 * error.abs() * torch.exp(-log_scale)


def fit(
    folds: list[Predictions], model: AuxMotionModel, width: int = WIDTH, steps: int = STEPS, seed: int = 0
) -> Blend:
    """A blend fitted to all these predictions; each network's count alike.

    Args:
        model: any of the networks, for its grid.
    """
    torch.manual_seed(seed)
    config = copy.deepcopy(model.config)
    config.blend = width
    blend = Blend(config)
    features = torch.cat([p.features.reshape(-1, p.features.shape[-1]) for p in folds])
    blend.mean.copy_(features.mean(0))
    blend.spread.copy_(features.std(0).clamp(min=1e-3))
    # the scale begins as the network's mean error at each horizon
    error = sum((p.truth - p.network).abs().mean(-1).mean((0, 2)) for p in folds) / len(folds)
    powers = torch.linalg.lstsq(blend.powers[0, 0], (error.clamp(min=1e-3) * 2.0**0.5).log()[:, None]).solution
    with torch.no_grad():
        blend.biases[-1].view(blend.POWERS, -1)[:, -3:] = powers
    optimiser = torch.optim.AdamW(blend.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(steps), desc="blend", mininterval=5.0, disable=None):
        loss = torch.zeros(())
        for p in folds:
            pick = torch.as_tensor(rng.integers(len(p), size=_BATCH))
            future, log_scale = apply(blend, p, pick)
            truth, seen = p.truth[pick], p.seen[pick]
            share = seen / seen.sum().clamp(min=1.0)
            error = (distance(future, truth) * seen).sum(2) / seen.sum(2).clamp(min=1.0)  # (batch, steps)
            score = (laplace(truth - future.detach(), log_scale).mean(-1) * share).sum()
            loss = loss + 0.5 * (error + _NEAR_M).log().mean() + 0.1 * score
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(blend.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return blend.eval()


def with_blend(model: AuxMotionModel, blend: Blend) -> AuxMotionModel:
    """The network with that blend instead of what it had."""
    merged = AuxMotionModel(replace(model.config, blend=blend.biases[0].shape[-1]))
    kept = {n: p for n, p in model.state_dict().items() if not n.startswith("blend.")}
    merged.load_state_dict({**kept, **{f"blend.{n}": p for n, p in blend.state_dict().items()}})
    return merged.eval()


def trusting(blend: Blend, trust: tuple[float, float]) -> Blend:
    """The blend with more trust in the network; see `TRUST`."""
    blend = copy.deepcopy(blend)
    with torch.no_grad():
        bias = blend.biases[-1].view(blend.POWERS, -1)
        bias[0, :2] += trust[0]
        bias[1, :2] += trust[1] - trust[0]
    return blend


@torch.no_grad()
def gains(blend: Blend, predicted: list[Predictions], dt_s: float = 0.04) -> dict[str, dict[str, float]]:
    """{horizon: errors in mm with and without the blend, each a mean over `predicted`}.

    `network_log`, `blend_log` are means of the logarithm of each one's error. `sigma` is how many times the scale says
    errors per axis are on average: 1 where it is right.
    """
    steps = [min(predicted[0].truth.shape[1], round(h / dt_s)) - 1 for h in HORIZONS_S]
    rows = []
    for p in predicted:
        future, log_scale = apply(blend, p)
        seen, truth = p.seen[:, steps], p.truth[:, steps]
        mean = lambda x: ((x * seen).sum((0, 2)) / seen.sum((0, 2)).clamp(min=1.0)).numpy()  # noqa: E731, B023
        sigma = mean((truth - future[:, steps]).abs().mean(-1)) / mean(log_scale[:, steps].exp().mean(-1)) * 2.0**0.5
        rows.append([mean(distance(x[:, steps], truth)) for x in (p.network, future)] + [sigma])
    network, blended, sigma = np.moveaxis(np.array(rows, np.float64), 1, 0)
    columns = {
        "network_mm": 1000 * network,
        "blend_mm": 1000 * blended,
        "network_log": np.log(network),
        "blend_log": np.log(blended),
        "sigma": sigma,
    }
    return {f"{h}": {n: round(float(x[:, k].mean()), 4) for n, x in columns.items()} for k, h in enumerate(HORIZONS_S)}


def against_baselines(model: AuxMotionModel, clips: list[Clip]) -> dict[str, dict[str, float]]:
    """{clip: {horizon: percent by which its error is larger than the best baseline's there}}, as recorded."""
    c = model.config
    steps = [min(c.future_steps, round(h / c.dt_s)) - 1 for h in (0.4, 1.0)]
    rivals = [baselines.make(n).infer for n in baselines.BASELINES]
    out = {}
    for clip in clips:
        w = cut(clip, c.history_steps, c.future_steps, c.dt_s)
        if w is not None:
            newest = w.past[:, -10:], w.past_mask[:, -10:]
            mm = [mean_error(predict(torch_infer(model), w.past, w.past_mask), w, steps)]
            mm += [mean_error(predict(x, *newest), w, steps) for x in rivals]
            worse = 100 * (mm[0] / np.min(mm[1:], 0) - 1)
            out[clip.name] = {h: round(float(x), 1) for h, x in zip(("0.4", "1.0"), worse)}
    return out


def latency_ms(model: AuxMotionModel, rounds: int = 300) -> dict[str, dict[str, dict[str, float]]]:
    """Of the exported graph with its blend and without, in turn on one core, see `training.latency.latencies`."""
    plain = AuxMotionModel(replace(model.config, blend=0))
    plain.load_state_dict({n: p for n, p in model.state_dict().items() if not n.startswith("blend.")})
    with tempfile.TemporaryDirectory() as folder:
        files = {"network": Path(folder) / "network.onnx", "with blend and scale": Path(folder) / "blend.onnx"}
        for network, file in zip((plain, model), files.values()):
            write_onnx(network, file)
        return latencies(files, rounds)


def log_error(table: dict[str, dict[str, float]]) -> float:
    """Mean over horizons of the blend's log error."""
    return float(np.mean([row["blend_log"] for row in table.values()]))


def main(
    start_from: Annotated[Path, typer.Option(help="checkpoint or artefact of the network that gets the blend")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    checkpoints: Annotated[Path, typer.Option(help="folder with fold_<k>/checkpoint.pt")] = Path("build/training"),
    out: Annotated[Path, typer.Option(help="checkpoint to write")] = Path("build/training/stacked/checkpoint.pt"),
    folds: Annotated[Path, typer.Option(help="folder for the fold networks")] = Path("build/training/folds"),
    windows: Annotated[int, typer.Option(help="drawn from each fold", min=252)] = WINDOWS,
    steps: Annotated[int, typer.Option(help="of fitting", min=1)] = STEPS,
    width: Annotated[int, typer.Option(help="of the blend", min=1)] = WIDTH,
    shrink: Annotated[
        bool, typer.Option(help="blend what training.fitting.still_shrink leaves of the networks' predictions")
    ] = True,
    json_path: Annotated[Path | None, typer.Option("--json", help="what it gains")] = None,
) -> None:
    """Fit the blend on the folds' predictions, and judge it."""
    with guard("training.fitting.blending"):
        torch.set_num_threads(1)
        for path in (out, json_path or out):
            try_to_write(path.parent)
        begin = as_checkpoint if start_from.is_dir() else lambda p: load_checkpoint(p, None, torch.device("cpu"))
        state = begin(start_from)
        if not shrink:
            state["config"]["model"]["still_shrink"] = 0.0
        sizes = TrainConfig.model_validate(state["config"]).model
        network = AuxMotionModel(sizes)
        network.load_state_dict(state["average"])
        clips = predicted_clips(data)
        models, predicted, fold_steps = [], [], []
        for k in range(len(FOLDS)):
            model, config, run = load_model(checkpoints / f"fold_{k}" / "checkpoint.pt")
            for name in ("still_shrink", "still_speed_mps", "still_local"):
                setattr(model.config, name, getattr(sizes, name))
            models.append(model)
            fold_steps.append(run["step"])
            predicted.append(drawn(model, config, [c for c in clips if fold_of(c) == k], windows, k))
        blends = [fit([p for j, p in enumerate(predicted) if j != k], m, width, steps) for k, m in enumerate(models)]
        blend = fit(predicted, network.eval(), width, steps)
        judged = {"validation": load_split(data, "validation"), "tracker": tracker_clips(data)}
        judged |= {split: load_split(data, split)[::step] for split, step in TRUSTED_ON.items()}
        seen = {name: of_clips(network, clips) for name, clips in judged.items()}

        def table(trust: tuple[float, float]) -> dict[str, dict[str, dict]]:
            """{what is judged: {condition: gains}}."""
            chosen = trusting(blend, trust)
            rows = {n: {k: gains(chosen, list(p.values())) for k, p in by.items()} for n, by in seen.items()}
            folds = {f"fold_{k}": gains(trusting(b, trust), [predicted[k]]) for k, b in enumerate(blends)}
            return {"folds": folds, **rows}

        tables = {trust: table(trust) for trust in tqdm(TRUST, desc="trust", disable=None)}
        scores = {
            trust: float(np.mean([np.mean([log_error(t) for t in rows.values()]) for rows in found.values()]))
            for trust, found in tables.items()
        }
        trust = min(scores, key=scores.get)
        for k, model in enumerate(models):
            save_fold(with_blend(model, trusting(blends[k], trust)), folds, k)
        whole = with_blend(network, trusting(blend, trust))
        state["average"] = whole.state_dict()
        state["config"]["model"]["blend"] = width
        scores_mm = Validator(judged["validation"], TrainConfig.model_validate(state["config"]))(torch_infer(whole))
        state["history"] = [*state["history"], {"step": state["step"], **scores_mm}]
        save_atomically(state, out)
    report = {
        "schema_version": 1,
        "windows": windows,
        "steps": steps,
        "width": width,
        "held_out": [list(g) for g in FOLDS],
        "fold_steps": fold_steps,
        "shrink": shrink,
        "trust": list(trust),
        "log_error": round(scores[trust], 4),
        "log_error_by_trust": {f"{a:g} {b:g}": round(x, 4) for (a, b), x in scores.items()},
        **tables[trust],
    }
    report["against_best_baseline_percent"] = against_baselines(whole, [c for v in judged.values() for c in v])
    report["latency_ms"] = latency_ms(whole)
    print(text(report))
    if json_path:
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {out}, {folds}")


def text(report: dict) -> str:
    """The report as a Markdown table: error alone and blended, and the gain in percent, by horizon."""
    heads = [f"{h} s" for h in HORIZONS_S]
    lines = [f"| judged on | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name in ("folds", "validation", "tracker", *TRUSTED_ON):
        for condition, rows in report[name].items():
            cells = []
            for row in rows.values():
                gain = 100 * (1 - np.exp(row["blend_log"] - row["network_log"]))
                cells.append(f"{row['network_mm']:.1f} to {row['blend_mm']:.1f} mm, {gain:+.1f} %")
            lines.append(f"| {name}: {condition} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
