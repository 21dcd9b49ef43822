# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The graph of the shipped weights can be written anew, and says the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402

from aux_motion_core.bounds.separation_bound import load_separation_bound  # noqa: E402
from aux_motion_core.inference import artefact  # noqa: E402
from training import reexport  # noqa: E402

MODEL = Path(__file__).resolve().parents[2] / "models" / "body20_25hz"


def test_a_model_is_exported_again_and_only_its_weights_count(tmp_path):
    folder = tmp_path / MODEL.name
    shutil.copytree(MODEL, folder)
    worst = reexport.reexport(folder)
    assert worst <= 1e-4
    loaded = artefact.load(folder)
    assert loaded.calibration is not None and loaded.calibration.onnx_sha256 == loaded.onnx_sha256
    load_separation_bound(folder, loaded.onnx_sha256)
    graph = (folder / "model.onnx").read_bytes()

    weights = load_file(folder / "weights.safetensors")
    name = next(n for n in weights if n.endswith("ff.1.weight"))
    save_file({**weights, name: weights[name] + 0.1}, folder / "weights.safetensors")
    with pytest.raises(ValueError, match="differs by"):
        reexport.reexport(folder)
    assert (folder / "model.onnx").read_bytes() == graph
    values, mask = reexport.windows(folder)
    assert np.isfinite(values).all() and not mask[0].any()
