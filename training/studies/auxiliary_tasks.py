"""Do the auxiliary tasks help? Many short trainings of a small model, alike but for one thing:

    python -m training.studies.auxiliary_tasks --data ../shared/data --out build/study --minutes 60
    python -m training.studies.auxiliary_tasks --out build/study --report

The first trains what is not trained yet, the most telling cells first, and can be killed and started again at any time.
The second makes the tables of docs/auxiliary_tasks.md and docs/benchmarks/auxiliary_tasks.json of what is there.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from pydantic import BaseModel, ConfigDict, Field

from aux_motion_core.history.normalise import into_frame, normalise
from training.data import load_split
from training.data.corrupt import COCO17, LIMBS, CorruptionConfig, paper_noise, random_joint_frames
from training.data.sampler import WindowSampler
from training.data.windows import Windows, cut
from training.export import load_model
from training.model import AuxMotionModel
from training.train import TrainConfig, losses, make_batch, read_config, train, write_atomically

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "study.yaml"
HORIZONS_S = (0.2, 0.4, 1.0)
#: tiers that cells are judged on, and the one that the sweeps choose on
JUDGED, CHOSEN = ("new_subject", "seen_group"), "validation"
ARMS = {
    "clean": "prediction on clean input",
    "augment": "prediction under the same corruption, no auxiliary loss",
    "mask": "masking",
    "denoise": "denoising",
    "both": "both",
    "past_only": "both, recovery of the past only",
    "detached": "both, auxiliary heads detached from the trunk",
}
#: forward passes in each update step, where these are not three
PASSES = {"clean": 1, "mask": 2, "denoise": 2}
MASK_RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
NOISE_RATIOS = (0.2, 0.4, 0.6, 0.8)
DATA_SHARES = (0.25, 0.5)


class StudyConfig(BaseModel):
    """configs/study.yaml."""

    model_config = ConfigDict(extra="forbid")

    steps: int = Field(500, gt=0, description="update steps of an arm with three forward passes a step")
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    stride_s: float = Field(0.6, gt=0, description="between the windows that cells are judged on")
    train: TrainConfig


@dataclass(frozen=True)
class Cell:
    """One training; all cells are alike but for these."""

    arm: str
    seed: int
    equal_passes: bool = False  # as many forward passes as `both`, instead of update steps
    data: float = 1.0  # share of the training clips
    mask: float | None = None  # ratio of masked joint-frames, instead of the range
    noise: float | None = None  # share of noised joint-frames, instead of the range
    structured: bool = False  # half of the masks are a tracker's

    @property
    def name(self) -> str:
        parts = [
            self.arm,
            self.equal_passes and "equal-passes",
            self.data < 1 and f"data{round(100 * self.data)}",
            self.mask is not None and f"mask{round(100 * self.mask)}",
            self.noise is not None and f"noise{round(100 * self.noise)}",
            self.structured and "structured",
            f"seed{self.seed}",
        ]
        return "-".join(p for p in parts if p)


def plan(seeds: list[int]) -> list[Cell]:
    """All cells, the most telling first."""
    cells = []
    for seed in seeds:
        cells += [Cell(a, seed) for a in ARMS]
        cells += [Cell(a, seed, equal_passes=True) for a in PASSES]
    for seed in seeds:
        cells += [Cell(a, seed, data=share) for share in DATA_SHARES for a in ("clean", "augment", "both")]
        cells += [Cell("mask", seed, mask=r) for r in MASK_RATIOS]
        cells += [Cell("denoise", seed, noise=r) for r in NOISE_RATIOS]
        cells.append(Cell("both", seed, structured=True))
    return cells


def settings(cell: Cell, study: StudyConfig) -> TrainConfig:
    """The cell's training."""
    c = study.train.model_copy(deep=True)
    c.name, c.arm, c.seed = cell.name, cell.arm, cell.seed
    c.steps = round(study.steps * 3 / PASSES.get(cell.arm, 3)) if cell.equal_passes else study.steps
    c.validate_every = max(1, c.steps // 4)
    if cell.mask is not None:
        c.corruption.mask_low = c.corruption.mask_high = cell.mask
    if cell.noise is not None:
        c.corruption.noisy_low = c.corruption.noisy_high = cell.noise
    if cell.structured:
        c.corruption.structured_share = 0.5
    return c


def portion(clips: list, share: float, seed: int) -> list:
    """A share of the clips of each motion class, one at least; larger shares hold the smaller ones."""
    rng = np.random.default_rng([seed, 1])
    kept = []
    for action in sorted({c.action for c in clips}):
        of = [c for c in clips if c.action == action]
        kept += [of[k] for k in rng.permutation(len(of))[: max(1, round(share * len(of)))]]
    return kept


def conditions(w: Windows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the model gets to see: {condition: (past, observed)}, the same for all cells."""
    rng = np.random.default_rng(0)
    shape, n = w.past_mask.shape, len(w.past)
    full = lambda ratio: np.full(n, ratio)  # noqa: E731
    cases = {"clean": (w.past, w.past_mask)}
    for percent in range(10, 80, 10):
        gone = random_joint_frames(rng, shape, full(percent / 100))
        cases[f"missing {percent} %"] = (w.past, w.past_mask & ~gone)
    four = np.argsort(rng.random((n, shape[2])), 1)[:, None] < 4
    cases["four joints missing"] = (w.past, w.past_mask & ~four)
    cases["leg missing"] = (w.past, w.past_mask & ~LIMBS["left_leg"])
    cases["arm missing"] = (w.past, w.past_mask & ~LIMBS["right_arm"])
    frames = rng.random(shape[:2]) < 0.4
    frames[:, -1] = False  # the newest exists by definition
    cases["40 % of frames missing"] = (w.past, w.past_mask & ~frames[..., None])
    cases["COCO-17 joints"] = (w.past, w.past_mask & COCO17)
    for percent, mm in itertools.product((20, 50, 80), (20, 50, 100)):
        c = CorruptionConfig(
            noisy_low=percent / 100, noisy_high=percent / 100, sigma_low_m=mm / 1000, sigma_high_m=mm / 1000
        )
        cases[f"noise {mm} mm on {percent} %"] = (paper_noise(rng, w.past, c), w.past_mask)
    return cases


def interpolate(values: np.ndarray, mask: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """The gaps of values (N, T, J, 3) filled linearly; at the ends held; joints never seen stand at `rest` (J, 3)."""
    steps = np.arange(mask.shape[1])[:, None]
    before = np.maximum.accumulate(np.where(mask, steps, -1), 1)
    after = np.minimum.accumulate(np.where(mask, steps, len(steps))[:, ::-1], 1)[:, ::-1]
    b = np.where(before < 0, after, before).clip(0, len(steps) - 1)
    a = np.where(after == len(steps), before, after).clip(0, len(steps) - 1)
    f = ((steps - b) / np.maximum(a - b, 1))[..., None]
    at = lambda k: np.take_along_axis(values, k[..., None], 1)  # noqa: E731
    return np.where(mask.any(1)[:, None, :, None], at(b) * (1 - f) + at(a) * f, rest)


class Judge:
    """The windows of some clips, and the errors of a model on them, each clip's windows averaged first."""

    def __init__(self, clips: list, config: TrainConfig, stride_s: float) -> None:
        c = config.model
        cuts = [(k, cut(k, c.history_steps, c.future_steps, c.dt_s, stride_s)) for k in clips]
        cuts = [(k, w) for k, w in cuts if w is not None]
        self.names = [k.name for k, _ in cuts]
        self.of = np.repeat(np.arange(len(cuts)), [len(w.past) for _, w in cuts])
        parts = ("past", "past_mask", "future", "future_mask")
        self.w = Windows(*(np.concatenate([getattr(w, p) for _, w in cuts]) for p in parts))
        self.steps = [round(h / c.dt_s) - 1 for h in HORIZONS_S]
        self.cases = conditions(self.w)

    def mean(self, error: np.ndarray, counts: np.ndarray) -> list[list[float | None]]:
        """Mean in mm of (N, columns, joints) over what counts, by clip and column; None where nothing does."""
        error, counts = np.broadcast_arrays(error, counts)
        total, n = (np.zeros((len(self.names), error.shape[1])) for _ in range(2))
        np.add.at(total, self.of, (error * counts).sum(-1))
        np.add.at(n, self.of, counts.sum(-1))
        return [[round(1000 * t / k, 2) if k else None for t, k in zip(*row)] for row in zip(total, n)]

    def mean_past(self, error: np.ndarray, counts: np.ndarray) -> list[list[float | None]]:
        """The same of (N, history, joints), all in one column."""
        return self.mean(error.reshape(len(error), 1, -1), counts.reshape(len(error), 1, -1))

    @torch.no_grad()
    def run(self, model: AuxMotionModel, past: np.ndarray, mask: np.ndarray, fill: bool) -> dict[str, np.ndarray]:
        """The model's answers in the normalised frame, with the truth in it."""
        values, heading = normalise(past, mask)
        if fill:
            values, mask = interpolate(values, mask, np.array(model.config.rest_pose)), np.ones_like(mask)
        chunks = []
        for k in range(0, len(values), 128):
            x, m = (torch.as_tensor(a[k : k + 128], dtype=torch.float32) for a in (values, mask))
            out = model.forward_all(x, m)  # in training mode: all layers' heads answer; it has no dropout
            chunks.append([out["future"][:, :, self.steps].transpose(0, 1), out["recovered"], out["denoised"]])
        future, recovered, denoised = (torch.cat(c).numpy() for c in zip(*chunks))
        truth = into_frame(self.w.future[:, self.steps], heading)
        then = into_frame(self.w.past, heading)
        if fill:  # what was filled in is the recovery
            recovered = values
        distance = lambda a, b: np.linalg.norm(a - b, axis=-1)  # noqa: E731
        return {
            "future": distance(future[:, -1], truth),
            "layers": np.stack([distance(future[:, k], truth) for k in range(future.shape[1])]),
            "recovered": distance(recovered, then),
            "denoised": distance(denoised, then),
            "input": distance(values, then),
        }

    def judge(self, model: AuxMotionModel, fill: bool = False) -> dict:
        """Errors in mm: {condition: {what: by clip}}.

        Of the future and by horizon: of all joints, those that the newest step shows (`seen`), and the others. Of the
        past: `recovered` in its gaps; where there is noise, `denoised`, and the `input` itself.

        Args:
            fill: interpolate the gaps first and show the model the result as observed.
        """
        model.train()
        some = self.w.future_mask[:, self.steps]
        out = {}
        for name, (past, mask) in self.cases.items():
            gaps = self.w.past_mask & ~mask
            if fill and not gaps.any():
                continue
            e = self.run(model, past, mask, fill)
            seen = mask[:, -1][:, None]
            row = {
                "all": self.mean(e["future"], some),
                "seen": self.mean(e["future"], some & seen),
                "unseen": self.mean(e["future"], some & ~seen),
            }
            if gaps.any():
                row["recovered"] = self.mean_past(e["recovered"], gaps)
            if name.startswith("noise"):
                row["denoised"], row["input"] = (self.mean_past(e[k], mask) for k in ("denoised", "input"))
            if name == "clean":
                row["layers"] = [self.mean(x, some) for x in e["layers"]]
            out[name] = row
        return out


def gradient_cosines(model: AuxMotionModel, batches: list[dict[str, torch.Tensor]]) -> dict[str, float]:
    """Mean cosine between the gradients of the tasks' losses on all that the tasks share.

    `predict~mask` is between the whole tasks, `predict~recovery` between prediction and the recovery of the past alone.
    """
    shared = [p for n, p in model.named_parameters() if not n.startswith(("recover_head", "denoise_head"))]

    def gradients(arm: str, batch: dict) -> dict[str, torch.Tensor]:
        loss = losses(model, batch, arm)
        made = {}
        for name in ("predict", "mask", "denoise"):
            g = torch.autograd.grad(loss[name], shared, retain_graph=True, allow_unused=True)
            made[name] = torch.cat([(torch.zeros_like(p) if x is None else x).ravel() for x, p in zip(g, shared)])
        return made

    rows = []
    for batch in batches:
        whole, past = gradients("both", batch), gradients("past_only", batch)
        pairs = {
            "predict~mask": (whole["predict"], whole["mask"]),
            "predict~denoise": (whole["predict"], whole["denoise"]),
            "mask~denoise": (whole["mask"], whole["denoise"]),
            "predict~recovery": (past["predict"], past["mask"]),
            "predict~cleaning": (past["predict"], past["denoise"]),
        }
        rows.append({k: torch.cosine_similarity(a, b, 0).item() for k, (a, b) in pairs.items()})
    return {k: round(float(np.mean([r[k] for r in rows])), 4) for k in rows[0]}


def run_cell(cell: Cell, study: StudyConfig, clips: list, judges: dict[str, Judge], out: Path) -> dict:
    """Train and judge one cell; returns what its JSON holds."""
    config = settings(cell, study)
    clips = portion(clips, cell.data, cell.seed)
    look = None
    if cell.arm == "both":
        m = config.model
        sampler = WindowSampler(clips, m.history_steps, m.future_steps, m.dt_s, config.sampler)
        other = config.model_copy(update={"seed": 10_000 + cell.seed})
        batches = [{k: torch.as_tensor(v) for k, v in make_batch(sampler, other, s).items()} for s in range(4)]
        look = lambda _, model: gradient_cosines(model, batches)  # noqa: E731
    began = time.monotonic()
    checkpoint = train(config, clips, [], out / cell.name, at_validation=look)
    model, _, run = load_model(checkpoint)
    return {
        "cell": asdict(cell),
        "steps": config.steps,
        "forward_passes": config.steps * PASSES.get(cell.arm, 3),
        "training_clips": len(clips),
        "training_s": round(time.monotonic() - began, 1),
        "history": run["history"],
        "judged": {t: j.judge(model) for t, j in judges.items()},
        "interpolated": {t: j.judge(model, fill=True) for t, j in judges.items()} if cell.arm == "clean" else {},
    }


def run(study: StudyConfig, data: Path, out: Path, minutes: float) -> None:
    """Train and judge the cells that `out` lacks, until the time is up."""
    began = time.monotonic()
    clips = load_split(data, "train")
    judges = {t: Judge(load_split(data, t), study.train, study.stride_s) for t in (*JUDGED, CHOSEN)}
    out.mkdir(parents=True, exist_ok=True)
    settled = out / "study.json"
    if settled.exists() and StudyConfig.model_validate_json(settled.read_text()) != study:
        raise ValueError(f"{settled}: expected the same study, got other settings: give another --out")
    write_atomically(settled, lambda f: f.write(study.model_dump_json().encode()))
    cells = plan(study.seeds)
    for cell in cells:
        path = out / f"{cell.name}.json"
        if path.exists():
            continue
        if time.monotonic() - began > 60 * minutes:
            break
        chosen = cell.arm in ("mask", "denoise") and not cell.equal_passes
        tiers = {t: j for t, j in judges.items() if chosen or t != CHOSEN}
        result = run_cell(cell, study, clips, tiers, out)
        write_atomically(path, lambda f, result=result: f.write(json.dumps(result).encode()))
    done = sum((out / f"{c.name}.json").exists() for c in cells)
    print(
        f"{done} of {len(cells)} cells are done; tables: "
        f"python -m training.studies.auxiliary_tasks --out {out} --report"
    )


def main(
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="folder of the cells")] = Path("build/study"),
    config: Annotated[Path, typer.Option(help="YAML with the fields of StudyConfig")] = CONFIG,
    minutes: Annotated[float, typer.Option(help="begin no cell after this time")] = 60.0,
    report: Annotated[bool, typer.Option(help="make the tables of what is there")] = False,
    doc: Annotated[Path, typer.Option(help="the page that the tables go into")] = Path("docs/auxiliary_tasks.md"),
    json_path: Annotated[Path, typer.Option("--json", help="the figures")] = Path(
        "docs/benchmarks/auxiliary_tasks.json"
    ),
) -> None:
    """Train the cells of the study, or report on those that are done."""
    from training.studies.auxiliary_tasks_report import write_report

    try:
        if report:
            write_report(out, doc, json_path)
        else:
            run(read_config(config, StudyConfig), data, out, minutes)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.studies.auxiliary_tasks: {e}") from None


if __name__ == "__main__":
    typer.run(main)
