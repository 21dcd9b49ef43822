"""The OpenVINO backend, where it is installed, and its absence."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from core_helpers import MODEL

from aux_motion_core.artefact import ArtefactError
from aux_motion_core.backends import make_backend


def test_it_answers_as_onnxruntime_does():
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra openvino)")
    fast, plain = make_backend("openvino", MODEL, threads=2), make_backend("onnx", MODEL)
    rng = np.random.default_rng(0)
    answers = []
    for n in (1, 3, 8):
        mask = rng.random((n, 10, 20)) < 0.7
        values = (0.5 * rng.normal(size=(n, 10, 20, 3)) * mask[..., None]).astype(np.float32)
        answers.append((fast.infer(values, mask), plain.infer(values, mask)))
    for found, expected in answers:  # an answer is not overwritten by the next
        for got, wanted in zip(found, expected, strict=True):
            assert (got is None) == (wanted is None)
            assert got is None or np.abs(got - wanted).max() < 1e-4
    assert fast.about["backend"] == "openvino" and "2 threads" in fast.about["runtime"]
    fast.close()
    fast.open()
    fast.close()


def test_without_it_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ArtefactError, match=r"OpenVINO is not installed .*pip install 'aux_motion\[openvino\]'"):
        make_backend("openvino", MODEL)
