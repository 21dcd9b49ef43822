# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a size of the deployed network costs and what it gives: quality over latency.

    python -m training.studies.sizes --data ../shared/data --out build/sizes          # trains what is not trained yet
    python -m training.studies.sizes --data ../shared/data --out build/sizes --report --shipped models/body20_25hz

Every size of configs/sizes.yaml is trained alike, and briefly. The report measures all of them in one run: the latency
of the exported network, round by round in turn, so that a busy machine hits all alike; and the error on the
validation clips, against the largest one pairwise by clip. It writes JSON, a Markdown table beside it and the picture.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field

from training.checkpoint import load_model
from training.commands import guard
from training.config import TrainConfig
from training.data import load_split
from training.data.files import write_atomically
from training.data.windows import cut, mean_error, predict
from training.export import write_onnx
from training.infer import torch_infer
from training.latency import PEOPLE, latencies
from training.model import AuxMotionModel, ModelConfig
from training.train import train

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "sizes.yaml"
HORIZONS_S = (0.4, 1.0)


class SizesConfig(BaseModel):
    """configs/sizes.yaml."""

    model_config = ConfigDict(extra="forbid")

    train: TrainConfig
    sizes: dict[str, dict] = Field(min_length=2, description="name -> settings of the model that differ")

    def of(self, name: str) -> TrainConfig:
        """The settings of one size.

        Raises:
            ValueError: they do not make a network.
        """
        whole = self.train.model_dump()
        whole["model"] |= self.sizes[name]
        whole["name"] = name.replace(" ", "")
        return TrainConfig.model_validate(whole)


def read(path: Path) -> SizesConfig:
    """The sizes of a YAML file.

    Raises:
        ValueError: it is no such file; names it.
    """
    try:
        config = SizesConfig.model_validate(yaml.safe_load(path.read_text()))
        for name in config.sizes:
            config.of(name)
    except (yaml.YAMLError, ValueError, TypeError) as e:
        raise ValueError(f"{path}: expected `train` and `sizes` ({' '.join(str(e).split())[:200]})") from None
    return config


def tokens(c: ModelConfig) -> int:
    """How many tokens the attention sees: history patches and future slots of every joint."""
    return (c.history_steps // c.patch + c.future_slots) * c.joints


def clip_errors(model: AuxMotionModel, clips: list) -> np.ndarray:
    """Mean error in mm of each clip at `HORIZONS_S`, everything observed, (clips, horizons)."""
    c = model.config
    steps = [round(h / c.dt_s) - 1 for h in HORIZONS_S]
    cuts = [cut(clip, c.history_steps, c.future_steps, c.dt_s, 0.32) for clip in clips]
    infer = torch_infer(model)
    return np.array([1000 * mean_error(predict(infer, w.past, w.past_mask), w, steps) for w in cuts if w is not None])


def against(error: np.ndarray, other: np.ndarray) -> dict[str, dict[str, float]]:
    """By how many percent `error` (clips, horizons) is larger than `other`, with a paired bootstrap over clips."""
    pick = np.random.default_rng(0).integers(len(error), size=(2000, len(error)))
    loss = 100 * (error[pick].mean(1) / other[pick].mean(1) - 1)
    low, high = np.percentile(loss, (2.5, 97.5), axis=0)
    mean = 100 * (error.mean(0) / other.mean(0) - 1)
    return {
        f"{h}": {"percent": round(float(m), 1), "low": round(float(a), 1), "high": round(float(b), 1)}
        for h, m, a, b in zip(HORIZONS_S, mean, low, high)
    }


def report(config: SizesConfig, data: Path, out: Path, shipped: Path | None, rounds: int) -> dict:
    """Measure all sizes that are trained, and the shipped artefact's network beside them.

    Raises:
        ValueError: none is trained.
    """
    made = {n: load_model(out / config.of(n).name / "checkpoint.pt") for n in config.sizes if done(config, n, out)}
    if not made:
        raise ValueError(f"{out}: no size is trained; run it without --report first")
    clips = load_split(data, "validation")
    files, rows = {}, {}
    for name, (model, _, run) in made.items():
        files[name] = out / config.of(name).name / "model.onnx"
        write_onnx(model, files[name])
        c = model.config
        rows[name] = {
            "width": c.width, "layers": c.layers, "tokens": tokens(c), "steps": run["step"],
            "parameters": sum(p.numel() for p in model.parameters()), "minutes": round(run["minutes"], 1),
        }  # fmt: skip
    spent = latencies({**files, **({"shipped": shipped / "model.onnx"} if shipped else {})}, rounds)
    errors = {name: clip_errors(model, clips) for name, (model, _, _) in made.items()}
    largest = max(rows, key=lambda n: rows[n]["parameters"] * rows[n]["tokens"])
    for name, row in rows.items():
        row |= {
            "latency": spent[name],
            "error_mm": {f"{h}": round(float(e), 2) for h, e in zip(HORIZONS_S, errors[name].mean(0))},
            "against_largest": against(errors[name], errors[largest]),
        }
    return {
        "what": f"validation clips ({len(errors[largest])}), everything observed; one CPU core, onnxruntime",
        "rounds": rounds,
        "largest": largest,
        "sizes": rows,
        **({"shipped": {"latency": spent["shipped"]}} if shipped else {}),
    }


def table(result: dict) -> str:
    """Markdown: a row a size, the fastest first."""
    lines = [
        "| width x layers x tokens | parameters | p50 ms, 1 person | 8 people | mm at 0.4 s | at 1.0 s | against the "
        "largest at 0.4 s, % | at 1.0 s, % |",
        "|" + " --- |" * 8,
    ]
    for name, r in sorted(result["sizes"].items(), key=lambda x: x[1]["latency"]["1"]["p50_ms"]):
        loss = [f"{v['percent']:+.1f} ({v['low']:+.1f} to {v['high']:+.1f})" for v in r["against_largest"].values()]
        cells = [name, f"{r['parameters']:,}", *(r["latency"][str(n)]["p50_ms"] for n in PEOPLE)]
        cells += [r["error_mm"]["0.4"], r["error_mm"]["1.0"], *loss]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def draw(result: dict, path: Path) -> None:
    """Error over latency of one person, a panel a horizon."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    for panel, h in zip(panels, HORIZONS_S):
        for name, r in result["sizes"].items():
            x, y = r["latency"]["1"]["p50_ms"], r["error_mm"][f"{h}"]
            panel.scatter(x, y, s=12 + r["parameters"] / 8000, alpha=0.7)
            panel.annotate(name, (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
        panel.set(xlabel="latency of the network, one person, one core: p50 in ms", title=f"{h} s ahead")
        panel.set_ylabel("mean error on validation clips, mm")
        panel.grid(alpha=0.3)
    figure.suptitle("width x layers x tokens, each trained alike and briefly; area: parameters", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def done(config: SizesConfig, name: str, out: Path) -> bool:
    """Whether a size is trained to its last step."""
    try:
        history = json.loads((out / config.of(name).name / "metrics.json").read_text())
    except (OSError, ValueError):
        return False
    return bool(history) and history[-1]["step"] >= config.train.steps


def main(
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="where the runs go")] = Path("build/sizes"),
    config: Annotated[Path, typer.Option(help="YAML: train and sizes")] = CONFIG,
    only_report: Annotated[bool, typer.Option("--report", help="measure what is trained")] = False,
    shipped: Annotated[Path | None, typer.Option(help="artefact whose latency is measured beside them")] = None,
    rounds: Annotated[int, typer.Option(min=5, help="of the latency")] = 200,
    json_out: Annotated[Path, typer.Option("--json")] = Path("docs/benchmarks/sizes.json"),
    picture: Annotated[Path, typer.Option()] = Path("docs/images/sizes.png"),
) -> None:
    """Train the sizes, or report on those that are trained."""
    with guard("training.studies.sizes", code=2):
        sizes = read(config)
        if only_report:
            result = report(sizes, data, out, shipped, rounds)
            json_out.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(json_out, lambda f: f.write((json.dumps(result, indent=1) + "\n").encode()))
            json_out.with_suffix(".md").write_text(table(result))
            draw(result, picture)
            typer.echo(table(result))
            return
        clips, validation = load_split(data, "train"), load_split(data, "validation")
        for name in sizes.sizes:
            if not done(sizes, name, out):
                settings = copy.deepcopy(sizes.of(name))
                train(settings, clips, validation, out / settings.name)


if __name__ == "__main__":
    typer.run(main)
