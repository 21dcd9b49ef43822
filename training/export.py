# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Write an artefact: `python -m training.export --checkpoint build/training/body20_25hz/checkpoint.pt --out DIR`.

Fails unless the ONNX file and torch agree on real windows, masked ones too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from safetensors.torch import save_file

from aux_motion_core.bounds.seal import sealed
from aux_motion_core.history.normalise import normalise
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import JOINTS, PARENTS
from training.checkpoint import load_model
from training.commands import guard
from training.config import TrainConfig
from training.data import load_split
from training.data.files import try_to_write
from training.data.windows import cut
from training.infer import torch_infer
from training.model import AuxMotionModel

#: Largest difference between ONNX and torch that an artefact may have, metres.
PARITY_M = 1e-4


def write_onnx(model: AuxMotionModel, path: Path) -> None:
    """Export prediction, recovery and what scale the model has, with a dynamic batch (torch.onnx, dynamo)."""
    c = model.config
    example = (torch.randn(2, c.history_steps, len(JOINTS), 3), torch.ones(2, c.history_steps, len(JOINTS)))
    batch = torch.export.Dim("batch", min=1, max=1024)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            example,
            input_names=["positions", "observed"],
            output_names=["future", "recovered", *(["scale"] if model.blend else [])],
            dynamic_shapes={"positions": {0: batch}, "observed": {0: batch}},
            dynamo=True,
            verbose=False,
        )
    # the exporter notes the source lines of every node: of no use, and they name this machine's folders
    graph = program.model_proto
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for function in graph.functions:
        for node in function.node:
            del node.metadata_props[:]
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info):
        del value.metadata_props[:]
    del graph.graph.metadata_props[:]
    path.write_bytes(graph.SerializeToString())


def real_windows(clips: list, model: AuxMotionModel, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Normalised windows of real clips with a tenth whole, the rest masked from little to all."""
    c = model.config
    cuts = [w for w in (cut(clip, c.history_steps, c.future_steps, c.dt_s, 1.0) for clip in clips) if w is not None]
    past = np.concatenate([w.past for w in cuts])
    rng = np.random.default_rng(seed)
    ratio = rng.uniform(0.0, 1.0, len(past)) * (rng.random(len(past)) < 0.9)
    mask = rng.random(past.shape[:3]) >= ratio[:, None, None]
    mask[0] = False  # a person of whom nothing was observed
    mask[1, -1] = False  # the newest frame gone
    return normalise(past, mask)[0].astype(np.float32), mask


def git_commit() -> str:
    """The commit that the code stands at, or "unknown" outside a checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def describe(
    model: AuxMotionModel, config: TrainConfig, run: dict, version: str, onnx_file: Path, began_with: str = ""
) -> dict[str, Any]:
    """The content of model.json."""
    c, j = config.model, len(JOINTS)
    future = ["batch", c.future_steps, j, 3]
    return {
        "schema_version": artefact.SCHEMA_VERSION,
        "name": config.name,
        "version": version,
        "joint_names": list(JOINTS),
        "parents": list(PARENTS),
        "inputs": {"positions": ["batch", c.history_steps, j, 3], "observed": ["batch", c.history_steps, j]},
        "outputs": {
            "future": future,
            "recovered": ["batch", c.history_steps, j, 3],
            **({"scale": future} if model.blend else {}),
        },
        "dt_s": c.dt_s,
        "history_steps": c.history_steps,
        "future_steps": c.future_steps,
        "units": "m",
        "normaliser": {"kind": "root_heading", "scale_m": 1.0},
        "calibration": None,
        "training": {
            **run["data"].for_artefact(),
            **({"began_with": began_with} if began_with else {}),
            "config": config.model_dump(mode="json", include={"learning_rate", "ema", "sampler", "corruption"}),
            "steps": run["step"],
            "steps_before": run["steps_before"],
            "minutes": round(run["minutes"] + run["minutes_before"], 1),
            "device": run["device"],
            "batch": config.batch,
            "seed": config.seed,
            "parameters": sum(p.numel() for p in model.parameters()),
            "model_config": asdict(c),
        },
        "metrics": {"split": "validation", "unit": "mm", **(run["history"][-1] if run["history"] else {})},
        "onnx_sha256": hashlib.sha256(onnx_file.read_bytes()).hexdigest(),
        "git_commit": git_commit(),
    }


def export(checkpoint: Path, out: Path, clips: list, version: str, began_with: str = "") -> float:
    """Write `model.onnx`, `model.json` and `weights.safetensors` to `out`.

    Args:
        checkpoint: of a training run; `model.json` names the sources and licences of the data that it holds.
        clips: real ones, to compare ONNX and torch on.
        version: of the artefact.
        began_with: another network whose weights the first run began with.

    Returns:
        The largest difference between ONNX and torch in metres.

    Raises:
        ValueError: ONNX and torch differ by more than `PARITY_M`, or it is no checkpoint.
    """
    model, config, run = load_model(checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    onnx_file = out / "model.onnx"
    write_onnx(model, onnx_file)
    card = describe(model, config, run, version, onnx_file, began_with)
    # for training further: what the ONNX file holds has no auxiliary heads
    save_file({n: p.detach().contiguous() for n, p in model.state_dict().items()}, out / "weights.safetensors")
    (out / "weights.safetensors").chmod(0o644)  # safetensors makes it for the owner alone
    (out / "model.json").write_text(json.dumps(sealed(card), indent=1) + "\n")
    values, mask = real_windows(clips, model)
    backend = OnnxBackend(artefact.load(out))
    got, want = backend.infer(values, mask), torch_infer(model)(values, mask)
    worst = max(float(np.abs(a - b).max()) for a, b in zip(got, want) if a is not None)
    if not worst <= PARITY_M:
        (out / "model.json").unlink()
        raise ValueError(
            f"ONNX and torch differ by {worst:.2e} m on {len(values)} windows "
            f"(allowed {PARITY_M:g} m): nothing usable was written to {out}"
        )
    return worst


def main(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt of training.train")],
    out: Annotated[Path, typer.Option(help="folder of the artefact")],
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    version: Annotated[str, typer.Option(help="version of the model")] = "1.0.0",
    began_with: Annotated[str, typer.Option(help="the network that the first run took weights from, to be named")] = "",
) -> None:
    """Export a checkpoint to an artefact that the node loads."""
    with guard("training.export"):
        try_to_write(out.parent)
        worst = export(checkpoint, out, load_split(data, "validation"), version, began_with)
    print(f"{out}: ONNX and torch agree within {worst:.1e} m")


if __name__ == "__main__":
    typer.run(main)
