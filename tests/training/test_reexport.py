# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The graph of the shipped weights can be written anew, and says the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402

from aux_motion_core.bounds.separation_bound import load_separation_bound  # noqa: E402
from aux_motion_core.inference import artefact  # noqa: E402
from training import reexport  # noqa: E402

MODEL = Path(__file__).resolve().parents[2] / "models" / "body20_25hz"


def test_a_model_is_exported_again_and_another_graph_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / MODEL.name
    shutil.copytree(MODEL, folder)
    worst = reexport.reexport(folder)
    assert worst <= 1e-4
    loaded = artefact.load(folder)
    assert loaded.calibration is not None and loaded.calibration.onnx_sha256 == loaded.onnx_sha256
    load_separation_bound(folder, loaded.onnx_sha256)
    graph = (folder / "model.onnx").read_bytes()

    other = onnx.load_model_from_string(graph)
    biases = [w for w in other.graph.initializer if w.name.endswith("predict_heads.2.linear.bias")]
    biases[0].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(biases[0]) + np.float32(0.1), biases[0].name))
    monkeypatch.setattr(reexport, "write_onnx", lambda model, path: path.write_bytes(other.SerializeToString()))
    with pytest.raises(ValueError, match="differs by"):
        reexport.reexport(folder)
    assert (folder / "model.onnx").read_bytes() == graph
    values, mask = reexport.windows(folder)
    assert np.isfinite(values).all() and not mask[0].any()
