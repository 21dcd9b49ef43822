# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Write the graph of a shipped model anew from its weights, after a change of how graphs are exported:

python -m training.reexport models/body20_25hz

Weights, tables and figures stay. Fails where the new graph says anything else than the old one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from safetensors.torch import load_file

from aux_motion_core.evaluation.windows import sample_windows
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from training.commands import guard
from training.export import PARITY_M, write_onnx
from training.model import AuxMotionModel, ModelConfig
from training.seal import FILES, seal


def network(folder: Path) -> AuxMotionModel:
    """The network of an artefact, from `weights.safetensors` and the configuration in model.json."""
    config = json.loads((folder / "model.json").read_text(encoding="utf-8"))["training"]["model_config"]
    model = AuxMotionModel(ModelConfig(**config))
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    return model.eval()


def windows(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Real windows where there is a sample, random ones beside them; values and mask."""
    loaded = artefact.load(folder)
    rng = np.random.default_rng(0)
    shape = (64, loaded.history_steps, len(loaded.joint_names))
    values, mask = rng.normal(0.0, 0.4, (*shape, 3)).astype(np.float32), rng.random(shape) > 0.2
    mask[0] = False
    found = sample_windows(loaded)
    if found is not None:
        values, mask = np.concatenate([values, found[0]]), np.concatenate([mask, found[1]])
    return np.where(mask[..., None], values, np.float32(0.0)), mask


def reexport(folder: Path) -> float:
    """Replace `model.onnx`, its hash wherever it is named, and the seals.

    Returns:
        The largest difference between the old and the new graph in metres.

    Raises:
        ValueError: they differ by more than `PARITY_M`; nothing is changed.
    """
    values, mask = windows(folder)
    before = OnnxBackend(artefact.load(folder)).infer(values, mask)
    old = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / folder.name
        shutil.copytree(folder, made)
        write_onnx(network(folder), made / "model.onnx")
        new = hashlib.sha256((made / "model.onnx").read_bytes()).hexdigest()
        present = [f for f in FILES if (made / f).is_file()]
        for file in present:
            text = (made / file).read_text(encoding="utf-8")
            (made / file).write_text(text.replace(old, new), encoding="utf-8")
            seal(made / file)
        after = OnnxBackend(artefact.load(made)).infer(values, mask)
        worst = max(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True) if a is not None)
        if not worst <= PARITY_M:
            raise ValueError(f"the new graph differs by {worst:.2e} m (allowed {PARITY_M:g} m): nothing was changed")
        for file in ("model.onnx", *present):
            shutil.copyfile(made / file, folder / file)
    return worst


def main(model_dir: Annotated[Path, typer.Argument(help="Model folder.", show_default=False)]) -> None:
    """Export the weights of a model again."""
    with guard("training.reexport"):
        worst = reexport(model_dir)
    typer.echo(f"{model_dir}: the same within {worst:.1e} m; run the engines' compile and the model's tests again")


if __name__ == "__main__":
    typer.run(main)
