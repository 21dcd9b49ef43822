# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Automatic threads: as many as are worth it, and said why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.inference.factory import make_backend

MODEL = Path(__file__).resolve().parents[3] / "models" / "body20_25hz"


@pytest.mark.parametrize(("cores", "said"), [(1, "no more cores"), (2, "ms on 2")])
def test_the_number_is_measured_and_the_answer_is_the_same(cores, said):
    automatic, one = make_backend("onnx", MODEL, threads=0, cores=cores), make_backend("onnx", MODEL)
    assert said in automatic.about["threads"] and automatic.about["threads"].split()[0] in ("1", "2")
    assert automatic.about["runtime"].endswith(f"{automatic.about['threads'].split()[0]} threads")
    x = np.random.default_rng(0).normal(0.0, 0.3, (5, 25, 20, 3)).astype(np.float32)
    for a, b in zip(automatic.infer(x, np.ones(x.shape[:3], bool)), one.infer(x, np.ones(x.shape[:3], bool))):
        np.testing.assert_allclose(a, b, atol=1e-5)
    automatic.close()
    automatic.open()
    assert said in automatic.about["threads"], "measured once"


def test_of_the_process_cores_one_is_left(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    assert make_backend("onnx", MODEL, threads=0).about["threads"] == (
        "1 (automatic: no more cores, one core is left to others)"
    )
