# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Counting how often bounds held."""

from __future__ import annotations

import numpy as np
import pytest

from aux_motion_core.bounds import coverage


def test_what_was_not_seen_does_not_count():
    error = np.array([[0.1, 0.3, np.nan], [0.1, np.nan, np.nan]])
    hit = coverage.inside(error, np.full((2, 3), 0.2))
    np.testing.assert_array_equal(hit, [[1.0, 0.0, np.nan], [1.0, np.nan, np.nan]])
    assert coverage.share(hit, np.array([0, 1]), 0.95)["overall"] == 0.75  # clips weigh alike
    nothing = coverage.share(np.full((2, 3), np.nan), np.array([0, 1]), 0.95)
    assert nothing == {"overall": None, "low": None, "high": None, "nominal_inside": None, "clips": 0}


def test_one_joint_at_one_step_outside_is_the_body_outside():
    error = np.full((3, 4, 5), 0.1)
    error[1, 2, 3] = 0.5
    error[2] = np.nan
    np.testing.assert_array_equal(coverage.body_inside(error, np.full((3, 4, 5), 0.2)), [1.0, 0.0, np.nan])


def test_volume_and_winkler():
    assert coverage.volume_ratio(np.array([[0.32]]), np.array([0.4]))[0, 0] == pytest.approx(1 / 8)
    assert coverage.winkler_m(0.3, 0.2, 0.95) == pytest.approx(0.2 + 0.1 * 20)
    assert coverage.winkler_m(0.1, 0.2, 0.95) == 0.2


def test_the_interval_is_over_clips_not_windows():
    values = np.repeat([0.0, 1.0], 500)[:, None]
    v = coverage.share(values, np.repeat([0, 1], 500), 0.5)
    assert (v["low"], v["high"], v["clips"]) == (0.0, 1.0, 2)
    assert v["nominal_inside"] and not coverage.share(values[:500], np.zeros(500), 0.5)["nominal_inside"]
