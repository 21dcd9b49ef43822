# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Scores of the separation bound, and coverage on data that follow the scale."""

from __future__ import annotations

import numpy as np
import pytest

from training.fitting.calibrate_separation import HISTORIES, Collected, fit, judge, robots, score

STEPS, SEGMENTS = 25, 19


def test_at_the_score_the_spheres_just_hold_the_true_distance() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        predicted, width = rng.uniform(0.2, 2.0, (STEPS, SEGMENTS)), rng.uniform(0.05, 0.5, (STEPS, SEGMENTS))
        true = predicted + rng.normal(0.0, 0.3, predicted.shape)
        found = score(predicted, true, width)
        assert (found >= 0.0).all()
        for k in (0, 7, 24):
            least = true[: k + 1].min()
            swept = (predicted - found[k] * width)[: k + 1].min()
            assert swept <= least + 1e-9
            assert found[k] == 0.0 or swept == pytest.approx(least)


def test_segments_that_nobody_recorded_do_not_count() -> None:
    predicted = np.full((STEPS, SEGMENTS), 1.0)
    true = predicted - 0.2
    true[:, 3] = np.inf
    np.testing.assert_allclose(score(predicted, true, np.full_like(predicted, 0.1)), 2.0)


def test_robots_depend_on_the_present_pose_alone() -> None:
    pose = np.random.default_rng(1).normal(size=(20, 3))
    first, again = (robots(np.random.default_rng(5), pose) for _ in range(2))
    assert len(first) == 6
    for (a, r), (b, s) in zip(first, again):
        np.testing.assert_array_equal(a, b)
        assert a.shape == (len(r), 2, 3) and (r == s).all()


def collected(seed: int, windows: int) -> Collected:
    """Scores that are exponential, two a window."""
    rng = np.random.default_rng(seed)
    out = Collected(0.04, np.full(STEPS, 0.05))
    for w in range(windows):
        for _ in range(2):
            out.scores.append(np.maximum.accumulate(rng.exponential(size=STEPS)).astype(np.float32))
            out.window.append(w)
            out.clip.append(w // 20)
            out.condition.append(w % len(HISTORIES))
            out.width.append(np.full(STEPS, 0.1, np.float32))
    return out


def test_coverage_is_the_nominal_one_on_other_data() -> None:
    table = fit(collected(0, 600), "split_conformal", "a" * 64)
    assert set(table.factor) == {"0.9", "0.95", "0.99"} and table.windows == 600 and table.clips == 30
    assert all((np.diff(table.rows(float(x))) <= 0).all() for x in table.factor)
    report = judge(collected(1, 2000), table, rounds=200)
    for level, found in report["coverage"].items():
        assert found["until_s"]["1"]["overall"] == pytest.approx(float(level), abs=0.02)
        for v in found["until_s"].values():
            assert v["overall"] >= float(level) - 0.02
            assert v["low"] <= v["overall"] <= v["high"] and v["median_radius_m"] > 0.0


def test_a_level_beyond_the_evidence_is_left_out() -> None:
    assert set(fit(collected(0, 50), "split_conformal", "a" * 64).factor) == {"0.9", "0.95"}
