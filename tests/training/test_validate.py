# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What validation says: gains on the best baseline, means over clips, input with parts missing."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from aux_motion_core.inference import baselines  # noqa: E402
from training import card, validate  # noqa: E402
from training.data.corrupt import COCO17, LIMBS  # noqa: E402
from training.data.windows import Windows  # noqa: E402

H = len(validate.HORIZONS_S)


def row(action: str, model: float, zero: float, damped: float = 1000.0) -> validate.Judged:
    e = {"model": model, "zero_velocity": zero, "damped_pose": damped}
    return validate.Judged(action, action, "g", 5, {n: np.full(H, v) for n, v in e.items()}, {})


def windows(n: int = 6) -> Windows:
    """Everybody walks on at 1 m/s along x."""
    t = 0.04 * np.arange(-9, 26)
    x = np.random.default_rng(0).normal(size=(n, 1, 20, 3)) + t[None, :, None, None] * np.array([1.0, 0.0, 0.0])
    seen = np.ones(x.shape[:3], bool)
    return Windows(x[:, :10], seen[:, :10], x[:, 10:], seen[:, 10:])


def test_gain_is_against_the_best_baseline_and_over_clips():
    s = validate.summarise([row("a", 50, 100), row("b", 150, 100, 90)], ["model", "zero_velocity", "damped_pose"])
    assert s["clips"] == 2 and s["windows"] == 10
    assert s["mpjpe_mm"]["0.4"]["model"] == 100.0
    gain = s["gain_percent"]["0.4"]
    assert gain["best_baseline"] == "zero_velocity" and gain["gain"] == 0.0
    assert gain["low"] == -50.0 and gain["high"] == 50.0


def test_short_gaps_of_the_stream_come_through_the_resampling():
    w = windows()
    mask = w.past_mask.copy()
    mask[:, 3:5, 7] = False  # 0.12 s: interpolated
    mask[:, 1:9, 8] = False  # 0.36 s: left missing
    mask[:, -2:, 9] = False  # the newest: nothing is extrapolated
    past, seen = validate.through_resampling(w, mask, 0.04)
    assert seen[:, :, 7].all() and np.allclose(past[:, :, 7], w.past[:, :, 7])
    assert not seen[:, 1:9, 8].any() and not seen[:, -2:, 9].any()


def test_each_condition_is_judged_on_its_own_joints():
    w = windows()
    backend = baselines.make("constant_velocity")
    shown = []

    def infer(values, mask):
        shown.append(mask)
        return backend.infer(values, mask)

    steps = [round(h / 0.04) - 1 for h in validate.HORIZONS_S]
    clean = w.future.copy()
    clean[:, :, LIMBS["left_arm"]] += 1.0  # wrong where the arm is alone
    out = validate.robustness(w, SimpleNamespace(infer=infer, dt_s=0.04), clean, steps, seed=0)
    assert list(out) == list(validate.ROBUSTNESS)
    assert 0.3 < 1 - shown[1].mean() < 0.5  # masked_40pct
    assert shown[0].mean() > shown[1].mean()  # short gaps are interpolated
    assert (shown[2].any((0, 1)) == COCO17).all()
    assert np.allclose(out["left_arm"]["clean_mm"], 0.0, atol=1e-6)
    assert (out["left_leg"]["clean_mm"] > 200).all()
    assert (out["left_arm"]["hidden_mm"] > 100).all() and np.allclose(out["left_arm"]["mm"], 0.0, atol=1e-2)


def test_a_class_that_is_worse_than_the_best_baseline_is_in_the_card(tmp_path):
    names = ["model", "zero_velocity", "damped_pose"]
    tier = {"what": "", **validate.summarise([row("bend", 120, 100)], names), "classes": {}}
    robust = {
        "coco17": {
            "what": "joints",
            "loss_percent": {f"{h}": 1.25 for h in validate.HORIZONS_S},
            "mm": {f"{h}": 31.0 for h in validate.HORIZONS_S},
            "hidden_mm": {"0.4": 77.0},
        }
    }
    bad = [{"tier": "t", "class": "bend", "horizon_s": "0.4", "gain_percent": -20.0, "best_baseline": "zero_velocity"}]
    report = {"tiers": {"t": tier}, "robustness": robust, "worse_than_baseline_by_5_percent": bad}
    training = {"data": "d", "licence": "l", "split": "s", "steps": 1, "batch": 2, "seed": 0, "parameters": 3}
    model = {
        "name": "m", "version": "1", "dt_s": 0.04, "history_steps": 10, "future_steps": 25, "training": training,
        "outputs": {"scale": []}, "calibration": None,
    }  # fmt: skip
    (tmp_path / "model.json").write_text(json.dumps(model))
    (tmp_path / "validation.json").write_text(json.dumps(report))
    text = card.card(tmp_path)
    assert "| t | 1 | 0.4 s | 120.0 | 100.0 (zero_velocity) | -20.0 (-20.0 to -20.0) |" in text
    assert "| joints | 1.2 (31 mm) | 1.2 (31 mm) | 1.2 (31 mm) | 1.2 (31 mm) | 77 mm |" in text
    assert "one sigma per axis" in text and "UNCALIBRATED" in text
    model["calibration"] = {"levels": [0.9, 0.95], "windows": 400, "clips": 60}
    (tmp_path / "model.json").write_text(json.dumps(model))
    text = card.card(tmp_path)
    assert "calibrated at 0.9, 0.95 from 400 windows of 60 clips" in text and "UNCALIBRATED" not in text
    assert "t/bend at 0.4 s (-20.0 % against zero_velocity)" in text


def test_a_place_that_cannot_be_written_is_said_first(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(validate, "validate", lambda *a: pytest.fail("judged first"))
    with pytest.raises(SystemExit, match="training.validate: .*file: cannot be written to: File exists") as e:
        validate.main(json_path=tmp_path / "file" / "v.json")
    assert "\n" not in str(e.value)
