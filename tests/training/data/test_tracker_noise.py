# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Noise of trackers: what is drawn has the scale, axes and correlations that were measured."""

import json

import numpy as np
import pytest

from aux_motion_core.skeleton import INDEX, PARENTS
from training.data import tracker_noise
from training.data.corrupt import CorruptionConfig
from training.data.corrupt import tracker_noise as corrupt_with_noise
from training.fitting.tracker_noise import LOWER, covariance, faults, fit_process

FOUND = json.loads(tracker_noise.MEASURED.read_text())["trackers"]


def test_a_process_is_found_again_from_its_windows():
    truth = covariance(0.24, 0.3, 0.2, 25)
    windows = np.random.default_rng(0).normal(size=(8000, 25)) @ np.linalg.cholesky(truth).T
    found = fit_process(windows)
    assert np.abs(np.array(found["measured"]) - np.array(found["fitted"])).max() < 0.03


def test_sway_moves_all_joints_alike_and_is_as_large_as_measured():
    for k, (name, found) in enumerate(FOUND.items()):
        drawn = tracker_noise.draw(np.random.default_rng(k), 3000, 25, tracker=k)
        sway = drawn[:, :, LOWER].mean(2)
        far = np.mean(tracker_noise.DISTANCE_M) / found["distance_m"]
        got = np.median((sway[..., 2] - sway[..., 2].mean(1, keepdims=True)).std(1))
        assert got == pytest.approx(found["sway"]["up"]["median_m"] * far, rel=0.45), name
        feet, head = drawn[:, :, INDEX["left_ankle"], 2], drawn[:, :, INDEX["neck"], 2]
        assert np.corrcoef(feet.ravel(), head.ravel())[0, 1] > 0.2, "the feet sway, too"


def test_depth_is_noisier_than_across_far_away():
    tracker_noise_at = tracker_noise.draw(np.random.default_rng(0), 4000, 25)
    flat = tracker_noise_at[:, :, LOWER, :2].mean(2)
    flat = flat - flat.mean(1, keepdims=True)
    covariances = np.einsum("nta,ntb->nab", flat, flat) / 25
    small, large = np.linalg.eigvalsh(covariances).T
    assert np.median(np.sqrt(large / small)) > 1.5


def test_velocity_of_sway_does_not_go_on_as_that_of_walking_does():
    drawn = tracker_noise.draw(np.random.default_rng(0), 3000, 25)[:, :, LOWER].mean(2)
    v = np.diff(drawn, axis=1)
    each = (v[:, 3:] * v[:, :-3]).sum((1, 2)) / (v**2).sum((1, 2))
    assert np.median(each) < 0.4


def test_corruption_draws_it_and_leaves_the_windows_alone():
    windows = np.zeros((200, 25, 20, 3))
    given = windows.copy()
    noisy = corrupt_with_noise(np.random.default_rng(0), windows, CorruptionConfig(measured_share=1.0))
    assert (windows == given).all()
    assert 0.002 < np.median(noisy.std((1, 2, 3))) < 0.05


def test_redefined_joints_stay_on_their_bones_and_without_a_parent_where_they_are():
    windows = np.random.default_rng(0).normal(size=(50, 5, 20, 3))
    windows[:, :, INDEX["spine"]] = np.nan
    moved = tracker_noise.redefine(np.random.default_rng(1), windows)
    neck, head = INDEX["neck"], INDEX["head"]
    assert (moved[:, :, neck] == windows[:, :, neck]).all()
    along = moved[:, :, head] - windows[:, :, PARENTS[head]]
    bone = windows[:, :, head] - windows[:, :, PARENTS[head]]
    assert np.abs(np.cross(along, bone)).max() < 1e-9
    length = np.linalg.norm(along, axis=-1) / np.linalg.norm(bone, axis=-1)
    assert np.std(np.log(length[:, 0])) > 0.2


def test_faults_are_counted_of_joints_that_the_clip_has():
    from training.data.clip import make_clip

    positions = np.zeros((100, 20, 3))
    positions[:, INDEX["head"]] = np.nan
    positions[50, INDEX["left_hand"]] = np.nan
    positions[20:, INDEX["right_hand"], 0] = 1.0
    found = faults([make_clip("a", "a", "a", 30.0, positions, "", "")])
    assert found["missing_share"] == round(1 / 1900, 5)
    assert found["jump_share"] == pytest.approx(1 / (19 * 99 - 2), abs=1e-5)
