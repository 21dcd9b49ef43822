# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Do the auxiliary tasks help? Many short trainings of a small model, alike but for one thing:

    python -m training.studies.auxiliary_tasks --data ../shared/data --out build/study --minutes 60
    python -m training.studies.auxiliary_tasks --out build/study --report

The first trains what is not trained yet, the most telling cells first, and can be killed and started again at any time.
The second makes the tables of docs/auxiliary_tasks.md and docs/benchmarks/auxiliary_tasks.json of what is there.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from training.batches import make_batch
from training.checkpoint import load_model
from training.commands import guard
from training.config import read_config
from training.data import load_split
from training.data.files import write_atomically
from training.data.sampler import WindowSampler
from training.studies.auxiliary_tasks_design import CHOSEN, JUDGED, PASSES, Cell, StudyConfig, plan, settings
from training.studies.auxiliary_tasks_judge import Judge, gradient_cosines
from training.studies.auxiliary_tasks_report import write_report
from training.train import train

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "study.yaml"


def portion(clips: list, share: float, seed: int) -> list:
    """A share of the clips of each motion class, one at least; larger shares hold the smaller ones."""
    rng = np.random.default_rng([seed, 1])
    kept = []
    for action in sorted({c.action for c in clips}):
        of = [c for c in clips if c.action == action]
        kept += [of[k] for k in rng.permutation(len(of))[: max(1, round(share * len(of)))]]
    return kept


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
    with guard("training.studies.auxiliary_tasks"):
        if report:
            write_report(out, doc, json_path)
        else:
            run(read_config(config, StudyConfig), data, out, minutes)


if __name__ == "__main__":
    typer.run(main)
