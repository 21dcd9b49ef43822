# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The evidence for bounds: corruptions, the reach set, and the stream of changing styles."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from support.bounds_helpers import table  # noqa: E402
from support.core_helpers import motion  # noqa: E402

from aux_motion_core.config import PredictorConfig  # noqa: E402
from aux_motion_core.inference import baselines  # noqa: E402
from aux_motion_core.predictor import Predictor  # noqa: E402
from training.data.clip import make_clip  # noqa: E402
from training.fitting import evidence
from training.fitting.onset import onsets
from training.studies import style_change  # noqa: E402


def clip(name: str, seconds: float, seed: int = 0, group: str = "g", action: str = "walk"):
    t = np.arange(0.0, seconds, 0.04)
    return make_clip(name, group, action, 25.0, motion(t, seed), "own", "synthetic")


@pytest.mark.parametrize("name", list(evidence.CORRUPTIONS))
def test_corruptions_change_what_they_name_and_keep_the_shape(name):
    x = motion(0.04 * np.arange(10))[None].repeat(3, 0)
    y = evidence.CORRUPTIONS[name](x)
    assert y.shape == x.shape and np.isfinite(y).all() and np.abs(y - x).max() > 0.05
    if name == "four_times_as_fast":
        np.testing.assert_allclose(y[:, -1], x[:, -1])
    if name == "folded_over":
        np.testing.assert_allclose(y[:, :, 0], x[:, :, 0])


def test_the_reach_set_holds_more_often_with_the_speed_that_was_seen():
    fast = make_clip("run", "g", "run", 25.0, motion(np.arange(0.0, 6.0, 0.04)) * 4.0, "own", "synthetic")
    found = evidence.reach_set({"t": [fast]}, 10, 25, 0.04)["tiers"]["t"]
    assert found["fixed"]["whole_body"] < 0.1 and found["observed"]["whole_body"] > 0.9


def test_who_stood_and_now_moves_is_judged_apart_at_every_level():
    """Somebody stands for 3 s and goes on at 2 m/s; expected to stay, with 5 cm a step at 0.9, twice that at 0.95."""
    t = np.arange(0.0, 6.0, 0.04)
    x = np.repeat(motion(np.zeros(1)), len(t), 0)
    x[..., 0] += 2.0 * np.maximum(t - 3.0, 0.0)[:, None]
    starts = make_clip("start", "g", "walk", 25.0, x, "own", "synthetic")
    stays = make_clip("stay", "g", "stand", 25.0, np.repeat(motion(np.zeros(1)), len(t), 0), "own", "synthetic")
    infer = baselines.make("zero_velocity").infer
    wide = table(factor=0.05, body=1.0)
    found = onsets([stays, starts], infer, wide, 10, 25, 0.04, stride_s=0.04)
    # from 6 steps before the onset (0.32 m in the 0.4 s ahead) to 5 after it (stood until 0.2 s before): 12 windows
    assert (found["windows"], found["clips"]) == (12, 1)
    low, high = found["levels"]["0.9"], found["levels"]["0.95"]
    # within 0.5 m at 0.4 s: 4, 5 and 6 steps before the onset; within 0.25 m at 0.2 s: 2 to 6 before it
    assert low["joints"]["0.4"]["overall"] == pytest.approx(3 / 12, abs=1e-3)
    assert low["joints"]["0.2"]["overall"] == pytest.approx(5 / 12, abs=1e-3)
    assert low["whole_body"]["overall"] == 0.0 and high["whole_body"]["overall"] == 1.0
    assert high["joints"]["0.4"]["overall"] == 1.0
    nobody = onsets([stays], infer, wide, 10, 25, 0.04)
    assert nobody["windows"] == 0 and nobody["levels"] == {}


def test_styles_are_long_enough_and_change():
    clips = [clip(f"{g}{k}", 6.0, k, g) for g in "abc" for k in range(4)] + [clip("short", 3.0, group="d")]
    styles = style_change.styles_of(clips, 0.04, style_s=10.0)
    assert {n.split("/")[0] for n in styles} == {"a", "b", "c"}
    assert all(sum(map(len, parts)) * 0.04 >= 10.0 for parts in styles.values())
    names = style_change.order(styles, 30, seed=1)
    assert len(names) == 31 and all(a.split("/")[0] != b.split("/")[0] for a, b in zip(names, names[1:]))


def test_a_table_that_is_too_narrow_is_widened_on_the_stream():
    styles = style_change.styles_of([clip(f"{g}{k}", 5.2, k, g) for g in "ab" for k in range(3)], 0.04, style_s=10.0)
    narrow = style_change.narrowed(table(factor=0.02), 0.2)
    assert narrow.joints[0].factor["0.9"][0][0] == pytest.approx(0.004)
    found = {}
    for mode in ("off", "on"):
        backend = baselines.make("damped_pose")
        backend.calibration = narrow
        predictor = Predictor(backend, PredictorConfig(adaptation=mode, tracker_error_m=0.0), "map")
        rows = style_change.run(predictor, styles, style_change.order(styles, 2, 0), 0.04, 10.0)
        found[mode] = style_change.summarise(rows, 0.95)["seconds"]["8-10"]
    assert found["off"]["coverage"] < 0.7 and found["on"]["coverage"] > 0.85
    assert found["on"]["median_radius_0.4s_m"] > 1.5 * found["off"]["median_radius_0.4s_m"]


def test_an_artefact_without_a_table_is_refused_in_one_line(monkeypatch, tmp_path):
    loaded = SimpleNamespace(calibration=None)
    monkeypatch.setattr(evidence.artefact, "load", lambda folder: loaded)
    with pytest.raises(SystemExit, match="has no calibration table: run python -m training.calibrate"):
        evidence.main(model=tmp_path, data=tmp_path)
