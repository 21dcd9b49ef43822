# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

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
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from tqdm import tqdm

from aux_motion_core.bounds.seal import sealed
from aux_motion_core.inference import artefact, baselines
from aux_motion_core.inference.onnx import OnnxBackend
from training import loop
from training.checkpoint import CHECKPOINT_VERSION, load_weights, save_atomically
from training.commands import guard
from training.config import TrainConfig
from training.data import Clip, load_split
from training.data.files import try_to_write
from training.data.registry import dataset
from training.data.sampler import SamplerConfig, WindowSampler
from training.data.sources import Options
from training.data.terms import DataTerms
from training.data.windows import Windows
from training.export import export
from training.gain import HORIZONS_S, errors_mm, gains, mean_over_clips, plain, table, windows_of
from training.infer import torch_infer
from training.model import AuxMotionModel, ModelConfig
from training.own_recordings import HELD_OUT_FROM, OwnWindows, make_batch, own_loss, split
from training.train import learning_rate

#: How much of the way from the old weights to the new ones is tried.
MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: The mix where no recording is long enough to choose it.
BLIND_MIX = 0.5


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
        FloatingPointError: the loss is not finite; names the recordings.
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

    def loss_of(step: int) -> tuple[torch.Tensor, tuple[list[str], torch.Tensor]]:
        rng = np.random.default_rng([tuning.seed, step])
        windows, mask, names = own.draw(rng, 3 * third)
        if other is not None:
            theirs = np.arange(len(windows)) % 2 == 1
            windows[theirs] = other.draw(rng, int(theirs.sum()))
            mask[theirs] = True
        arrays = make_batch(rng, windows, mask, model.config.history_steps)
        each = own_loss(model, {k: torch.as_tensor(v).to(device) for k, v in arrays.items()})
        return each.mean(), (names, each)

    def explain(_: int, beside: tuple[list[str], torch.Tensor]) -> str:
        bad = sorted({n for n, ok in zip(beside[0], torch.isfinite(beside[1]).tolist()) if not ok})
        return f", from {', '.join(bad[:5])}: look for wild values there, or leave it out; nothing was written"

    learner = loop.Learner(model, average, optimiser)
    progress = tqdm(range(tuning.steps), desc="finetune", mininterval=2.0, disable=None)
    rate_of, decay_of = lambda step: learning_rate(schedule, step), lambda step: loop.average_decay(0.98, step)
    for step, loss, _ in loop.run(learner, progress, loss_of, rate_of, decay_of, explain):
        if step % 20 == 0:
            progress.set_postfix(mm=f"{1000 * loss:.1f}")
    return average.cpu().eval()


def mixed(old: AuxMotionModel, new: AuxMotionModel, share: float) -> AuxMotionModel:
    """Weights `share` of the way from the old to the new ones."""
    model, target = copy.deepcopy(old), new.state_dict()
    model.load_state_dict({k: torch.lerp(v, target[k], share) for k, v in old.state_dict().items()})
    return model.eval()


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


def read_recordings(bags: Path, topic: str | None, config: ModelConfig) -> tuple[list[Clip], dict[str, list[Clip]]]:
    """All clips of a folder, and their parts (`split`), something held out for certain.

    Raises:
        ValueError, OSError: no such folder, no recordings in it, or none that is long enough.
    """
    own = dataset("folder")
    if not bags.is_dir():
        raise FileNotFoundError(f"{bags}: no such folder; name the one with bags or npz files with --bags")
    clips = [clip for s in own.find(bags, Options(topic=topic)) for clip in own.load(s)]
    parts = split(clips, config)
    if not windows_of(parts["held_out"], config):
        need_s = (config.history_steps + config.future_steps) * config.dt_s / (1.0 - HELD_OUT_FROM)
        raise ValueError(
            f"{bags}: nothing can be held out to judge by: expected somebody for {need_s:.1f} s on end, or four "
            f"shorter recordings, got {len(clips)}, the longest of {max(x.duration_s for x in clips):.1f} s: record "
            "some minutes"
        )
    return clips, parts


def write_artefact(
    model: AuxMotionModel, out: Path, clips: list[Clip], version: str, tuning: Tuning, minutes: float, data: DataTerms
) -> None:
    """Export the model to `out`, as of a checkpoint of this training."""
    settings = TrainConfig(
        name=out.name, seed=tuning.seed, steps=tuning.steps, batch=tuning.batch, model=model.config,
        learning_rate=tuning.learning_rate,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.pt"
        state = {
            "version": CHECKPOINT_VERSION, "config": settings.model_dump(mode="json"), "step": tuning.steps,
            "average": model.state_dict(), "history": [], "minutes": minutes, "data": data.model_dump(),
            "device": "cuda" if torch.cuda.is_available() else f"cpu, {torch.get_num_threads()} threads",
        }  # fmt: skip
        save_atomically(state, checkpoint)
        export(checkpoint, out, clips, version)


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
    clips, parts = read_recordings(bags, topic, c)
    held_out, choose = windows_of(parts["held_out"], c), windows_of(parts["choose"], c)
    source = OwnWindows(parts["train"], c)
    terms = DataTerms.of_artefact(loaded.training)
    other = validation = None
    if data is not None:
        first_clips = load_split(data, "train")
        terms = terms.then(DataTerms.of(first_clips, "training/splits: train"))
        other = WindowSampler(first_clips, c.history_steps, c.future_steps, c.dt_s, SamplerConfig())
        validation = windows_of(load_split(data, "validation"), c)
    try_to_write(out if out.exists() else out.parent)
    terms = terms.then(DataTerms.of(clips, f"all but the last {1 - HELD_OUT_FROM:.0%} of own recordings"))
    started = time.monotonic()
    new = tune(old, source, other, tuning)
    share, scores = choose_mix(old, new, choose)
    minutes = (time.monotonic() - started) / 60

    write_artefact(mixed(old, new, share), out, clips, version, tuning, minutes, terms)
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
    card["training"] |= {
        "finetuned_from": report["model"],
        "mix": share,
    }
    card["metrics"] = {"split": f"last {1 - HELD_OUT_FROM:.0%} of each own recording", "unit": "mm", **{
        f"{n}@{h}": e for n in ("before", "after") for h, e in zip(HORIZONS_S, plain(first[n]))
    }}  # fmt: skip
    (out / "model.json").write_text(json.dumps(sealed(card), indent=1) + "\n")
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
    with guard("training.finetune"):
        report = finetune(model, bags, out, data, topic, Tuning(steps, learning_rate=rate, seed=seed), version)
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
