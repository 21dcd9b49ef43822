# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a size costs and gives: trained briefly, measured in one run, drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import typer  # noqa: E402
from support.train_helpers import clip  # noqa: E402

from training.studies import sizes  # noqa: E402


def small(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "sizes.yaml"
    path.write_text(text)
    return path


TWO = """
train: {steps: 3, batch: 6, validate_every: 3, model: {width: 16, heads: 2, layers: 1}}
sizes: {small: {}, large: {width: 24}}
"""


def test_report_holds_every_trained_size_its_latency_and_its_loss_against_the_largest(tmp_path, monkeypatch):
    clips = [clip(k) for k in range(4)]
    monkeypatch.setattr(sizes, "load_split", lambda data, name: clips)
    config, out = small(tmp_path, TWO), tmp_path / "out"
    files = {"json_out": tmp_path / "sizes.json", "picture": tmp_path / "sizes.png"}
    sizes.main(tmp_path, out, config, False, None, 5, **files)
    sizes.main(tmp_path, out, config, True, None, 5, **files)
    result = json.loads(files["json_out"].read_text())
    assert result["largest"] == "large"
    small_row, large_row = (result["sizes"][n] for n in ("small", "large"))
    assert small_row["parameters"] < large_row["parameters"]
    assert small_row["tokens"] == 80
    for row in (small_row, large_row):
        assert row["latency"]["1"]["p50_ms"] <= row["latency"]["1"]["p99_ms"]
        assert np.isfinite(list(row["error_mm"].values())).all()
    assert large_row["against_largest"]["0.4"] == {"percent": 0.0, "low": 0.0, "high": 0.0}
    assert files["picture"].stat().st_size > 1000
    assert "| small |" in files["json_out"].with_suffix(".md").read_text()


@pytest.mark.parametrize("text", ["train: {}", "sizes: [1]", "train: {}\nsizes: {a: {width: 30}, b: {}}", "{"])
def test_wrong_file_of_sizes_is_named(tmp_path, text):
    with pytest.raises(ValueError, match="sizes.yaml: expected `train` and `sizes`"):
        sizes.read(small(tmp_path, text))


def test_report_without_a_trained_size_says_so(tmp_path, capsys):
    config, out = small(tmp_path, TWO), tmp_path / "none"
    with pytest.raises(typer.Exit):
        sizes.main(tmp_path, out, config, True, None, 5, tmp_path / "a.json", tmp_path / "a.png")
    assert "no size is trained" in capsys.readouterr().err
