# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Stamps rule: gaps stay missing, nothing is guessed beyond what was seen."""

import numpy as np

from aux_motion_core.history.resample import resample

DT = 0.04


def _line(stamps, joints=2):
    return np.repeat(np.asarray(stamps, float)[:, None, None], joints, 1) * np.array([1.0, 2.0, -1.0])


def test_values_between_samples_are_interpolated():
    stamps = np.array([-0.4, -0.33, -0.27, -0.2, -0.11, -0.05, 0.0])
    window, mask = resample(stamps, _line(stamps), np.ones((7, 2), bool), 0.0, DT, 10, 0.12)
    assert mask.all()
    assert np.allclose(window, _line(DT * np.arange(-9, 1)))


def test_a_long_gap_stays_missing_and_its_edges_are_kept():
    stamps = np.array([-0.36, -0.32, -0.28, -0.04, 0.0])
    window, mask = resample(stamps, _line(stamps), np.ones((5, 2), bool), 0.0, DT, 10, 0.12)
    assert mask[:, 0].tolist() == [True, True, True, False, False, False, False, False, True, True]
    assert (window[~mask] == 0).all()


def test_nothing_is_extrapolated():
    stamps = np.array([-0.2, -0.16])
    _, mask = resample(stamps, _line(stamps), np.ones((2, 2), bool), 0.0, DT, 10, 0.12)
    assert np.flatnonzero(mask[:, 0]).tolist() == [4, 5]


def test_each_joint_is_interpolated_between_its_own_samples():
    stamps = DT * np.arange(-9, 1)
    seen = np.ones((10, 2), bool)
    seen[4:6, 1] = False  # 0.12 s from its sample before to the one after
    seen[0:3, 0] = False
    positions = _line(stamps)
    positions[~seen] = 1e6
    window, mask = resample(stamps, positions, seen, 0.0, DT, 10, 0.125)
    assert mask[:, 1].all() and np.allclose(window[:, 1], _line(stamps)[:, 1])
    assert not mask[:3, 0].any() and mask[3:, 0].all()
    assert np.abs(window).max() < 10


def test_no_sample_gives_an_empty_window():
    window, mask = resample(np.zeros(0), np.zeros((0, 2, 3)), np.zeros((0, 2), bool), 0.0, DT, 10, 0.12)
    assert window.shape == (10, 2, 3) and not mask.any()
