# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Plain torch beside the other ways to run the model."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from aux_motion_core.evaluation.windows import bag_windows, sample_bag  # noqa: E402
from aux_motion_core.inference import artefact, variants  # noqa: E402
from training.studies.torch_eager import torch_eager  # noqa: E402


def test_backends_are_timed_in_turn_and_compared_with_plain_torch(root):
    model = root / "models" / "body20_25hz"
    others = {name: make for name, make in torch_eager(str(model)).items() if name == "torch eager"}
    some = {"onnx, io binding", "onnx, saved optimised graph", "onnx, int8 dynamic"}
    loaded = artefact.load(model)
    records = variants.measure(loaded, bag_windows(sample_bag(), loaded, 128), [1, 2], 30, others=others, only=some)
    assert others
    names = {r["backend"] for r in records}
    assert names - {"onnx, int8 dynamic"} == {"onnx", *others, *some} - {"onnx, int8 dynamic"}
    assert {r["people"] for r in records} == {1, 2}
    exact = [r for r in records if "int8" not in r["backend"]]
    assert all(r["most_mm"] < 0.1 for r in exact), "they are the same model"
    assert all(0.0 < r["p50_ms"] <= r["p99_ms"] and r["load_ms"] > 0.0 for r in records)
    table = variants.table(records)
    assert all(name in table for name in names)
