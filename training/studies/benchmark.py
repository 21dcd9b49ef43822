# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The papers' benchmarks, by their own protocol:

    python -m training.studies.benchmark --dataset cmu --predictor zero_velocity --data ../shared/data --json OUT.json
    python -m training.studies.benchmark --dataset cmu --predictor models/benchmark_cmu --data ../shared/data --json \
        OUT.json

Every sliding window of every test file, ten frames observed, the error at the papers' frame indices, averaged over the
windows of an action, and then over the actions. A table beside published figures goes to OUT.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from training.commands import guard
from training.data.files import try_to_write
from training.studies.benchmark_data import HISTORY, PROTOCOLS, Predictor, Protocol, Sequence, load_sequences, windows
from training.studies.benchmark_networks import load_checkpoint

PUBLISHED = Path(__file__).with_name("published.json")
#: The actions whose training data is complete in ../shared/data.
FIVE = ("basketball", "jumping", "running", "soccer", "walking")


def gliding(future: int, tau: float) -> Predictor:
    """The last difference carries on, decaying with `tau` rows: 0 stands still, infinity never slows down."""
    ahead = np.arange(1, future + 1)
    if tau == 0:
        glide = np.zeros(future)
    else:
        glide = ahead.astype(float) if np.isinf(tau) else tau * (1 - np.exp(-ahead / tau))

    def predict(past: np.ndarray) -> np.ndarray:
        step = past[:, -1:] - past[:, -2:-1]
        return past[:, -1:] + glide[:, None, None] * step

    return predict


def errors(sequence: Sequence, protocol: Protocol, predict: Predictor) -> np.ndarray:
    """(windows, future) mean error of each window over the skeleton's joints, mm."""
    w = windows(sequence, protocol)
    out = []
    for k in range(0, len(w), 512):
        part = w[k : k + 512]
        difference = np.linalg.norm(predict(part[:, :HISTORY]) - part[:, HISTORY:], axis=-1)
        out.append(difference @ protocol.weights())
    return np.concatenate(out) if out else np.empty((0, protocol.future))


def fit_tau(sequences: list[Sequence], protocol: Protocol) -> float:
    """The decay in rows, on a grid of ratio 1.25, whose mean error over the reported frames is least."""
    grid = [1.25**k for k in range(25)]

    def score(tau: float) -> float:
        predict = gliding(protocol.future, tau)
        all_errors = np.concatenate([errors(s, protocol, predict)[::10] for s in sequences])
        return float(all_errors[:, list(protocol.frames)].mean())

    return min(grid, key=score)


def evaluate(sequences: list[Sequence], protocol: Protocol, predict: Predictor) -> dict:
    """Errors per action, and their mean, at the reported frames."""
    by_action: dict[str, list[np.ndarray]] = {}
    for s in sequences:
        by_action.setdefault(s.action, []).append(errors(s, protocol, predict))
    together = {a: np.concatenate(e) for a, e in by_action.items()}
    empty = [a for a, e in together.items() if not len(e)]
    if empty:
        raise ValueError(f"expected files of {HISTORY + protocol.future} rows or more, got none for {', '.join(empty)}")
    per_action = {a: e.mean(0)[list(protocol.frames)] for a, e in together.items()}
    if not np.isfinite(list(per_action.values())).all():
        raise ValueError("the predictor gave NaN or Inf; train it again")
    rounded = lambda v: [round(float(x), 2) for x in v]  # noqa: E731
    result = {
        "frames": list(protocol.frames),
        "papers_ms": list(protocol.labels_ms),
        "true_ms": [round(1000 * (f + 1) * protocol.row_s) for f in protocol.frames],
        "average_mm": rounded(np.mean(list(per_action.values()), axis=0)),
        "per_action_mm": {a: rounded(v) for a, v in per_action.items()},
        "windows": {a: len(e) for a, e in together.items()},
        "actions_missing": [a for a in protocol.actions if a not in together],
    }
    if set(FIVE) <= set(per_action):
        result["five_actions_mm"] = rounded(np.mean([per_action[a] for a in FIVE], axis=0))
    return result


def time_note(dataset: str) -> str:
    """Why the papers' milliseconds are what they are."""
    p = PROTOCOLS[dataset]
    true = round(1000 * (p.frames[0] + 1) * p.row_s)
    if true == p.labels_ms[0]:
        return f"The papers' {p.labels_ms[0]} ms are true time: a row is {1000 * p.row_s:.0f} ms."
    last = round(1000 * (p.frames[-1] + 1) * p.row_s)
    return (
        f"The papers' {p.labels_ms[0]} ms are {true} ms, and their {p.labels_ms[-1]} ms are {last} ms: the files are at"
        f" 120 Hz, every second row makes 60 Hz, and the papers label it as 25 Hz. Their mm: 1.24 are one true mm."
    )


def table(result: dict) -> str:
    """Markdown: this predictor beside what is published."""
    head = [f"{p} ({t})" for p, t in zip(result["papers_ms"], result["true_ms"], strict=True)]
    cell = lambda v: "" if v is None else f"{v:.2f}".rstrip("0").rstrip(".")  # noqa: E731
    row = lambda name, v, source="": f"| {name} | " + " | ".join(map(cell, v)) + f" | {source} |"  # noqa: E731
    rows = [row(a, v) for a, v in result["per_action_mm"].items()]
    rows.append(row(f"**average of {len(rows)}**", result["average_mm"]))
    if "five_actions_mm" in result:
        rows.append(row("**five actions with complete training data**", result["five_actions_mm"]))
    for p in json.loads(PUBLISHED.read_text())[result["dataset"]]:
        rows.append(row(p["name"], [p["mm"].get(str(f)) for f in result["frames"]], p["source"]))
    lines = [
        f"# {result['dataset']}, {result['predictor']}",
        "",
        "Mean joint error in the benchmark's mm at the papers' milliseconds (true milliseconds).",
        result["time"],
        "",
        "| | " + " | ".join(head) + " | source |",
        "|" + " --- |" * (len(head) + 2),
        *rows,
    ]
    if result["actions_missing"]:
        missing = ", ".join(result["actions_missing"])
        lines += ["", f"No test files here of: {missing}. Published averages include them."]
    return "\n".join(lines) + "\n"


def make_predictor(name: str, dataset: str, data: Path) -> tuple[Predictor, dict]:
    """A predictor by name or checkpoint folder, and what to say of it."""
    protocol = PROTOCOLS[dataset]
    if name == "zero_velocity":
        return gliding(protocol.future, 0.0), {}
    if name == "constant_velocity":
        return gliding(protocol.future, np.inf), {}
    if name == "damped":
        tau = fit_tau(load_sequences(dataset, data, "train"), protocol)
        return gliding(protocol.future, tau), {"tau_rows": round(tau, 2), "fitted_on": "the training files"}
    if not Path(name).is_dir():
        raise ValueError(f"{name}: expected zero_velocity, constant_velocity, damped, or a checkpoint's folder")
    return load_checkpoint(Path(name), dataset)


def main(
    data: Annotated[Path, typer.Option(help="folder with the data set")],
    json_out: Annotated[Path, typer.Option("--json", help="where the figures go; the table goes beside it as .md")],
    dataset: Annotated[Literal["cmu", "h36m", "3dpw"], typer.Option(help="whose protocol")] = "cmu",
    predictor: Annotated[
        str, typer.Option(help="zero_velocity, constant_velocity, damped, or a checkpoint's folder")
    ] = "zero_velocity",
) -> None:
    """Judge a predictor by the papers' protocol."""
    with guard("training.studies.benchmark", code=2):
        try_to_write(json_out.parent)
        predict, about = make_predictor(predictor, dataset, data)
        result = {"dataset": dataset, "predictor": predictor, "time": time_note(dataset), **about}
        result.update(evaluate(load_sequences(dataset, data, "test"), PROTOCOLS[dataset], predict))
        text = table(result)
        json_out.write_text(json.dumps(result, indent=1) + "\n")
        json_out.with_suffix(".md").write_text(text)
    typer.echo(text)


if __name__ == "__main__":
    typer.run(main)
