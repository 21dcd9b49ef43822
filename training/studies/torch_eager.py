# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The model in plain torch beside the ways to run it that `aux-motion bench --backends` measures.

python -m training.studies.torch_eager --people 1,4,8,16 --rounds 200 --json build/torch_eager.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from aux_motion_core.evaluation.windows import bag_windows, sample_bag
from aux_motion_core.inference import artefact, variants
from training.checkpoint import load_weights
from training.infer import torch_infer


def torch_eager(folder: str) -> dict[str, Any]:
    """What makes the artefact's own network in plain torch, for `variants.measure`.

    Args:
        folder: model folder with its weights.

    Returns:
        Name of the way -> what makes it.
    """

    def make(threads: int, device: str = "cpu") -> Any:
        infer = torch_infer(load_weights(Path(folder))[0].to(device))

        def on_threads(values: np.ndarray, mask: np.ndarray) -> Any:
            torch.set_num_threads(threads)
            return [part for part in infer(values, mask) if part is not None]

        return on_threads

    made = {"torch eager": lambda: make(1), "torch eager, 2 threads": lambda: make(2)}
    if torch.cuda.is_available():
        made["torch eager, CUDA"] = lambda: make(1, "cuda")
    return made


def main(
    model: Annotated[Path, typer.Option(help="Model folder.")] = Path("models/body20_25hz"),
    people: Annotated[str, typer.Option(help="Numbers of people, with commas.")] = "1,4,8,16",
    rounds: Annotated[int, typer.Option(min=5, help="Measured rounds of each way.")] = 200,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the records as JSON.")] = None,
) -> None:
    """Time the model in plain torch and in the other ways, in turn."""
    numbers = [int(part) for part in people.split(",")]
    loaded, bag = artefact.load(model), sample_bag()
    if bag is None:
        raise typer.BadParameter("the variants are compared on the recording in samples/, which is not here")
    windows = bag_windows(bag, loaded, 128)
    records = variants.measure(loaded, windows, numbers, rounds, others=torch_eager(str(model)))
    typer.echo(variants.table(records))
    if json_out is not None:
        json_out.parent.mkdir(parents=True, exist_ok=True)
        json_out.write_text(json.dumps({"records": records}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
