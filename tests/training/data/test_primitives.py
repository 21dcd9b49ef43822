# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Movements of work laid over recorded windows keep the body whole."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from aux_motion_core.history.normalise import REST_POSE  # noqa: E402
from aux_motion_core.skeleton import INDEX, PARENTS  # noqa: E402
from training.data import primitives  # noqa: E402

TIME = 0.04 * np.arange(-9, 26)
FEET = [INDEX[f"{s}_{j}"] for s in ("left", "right") for j in ("ankle", "foot")]


def standing(n: int = 50) -> np.ndarray:
    x = np.repeat(REST_POSE[None, None], n, 0).repeat(len(TIME), 1)
    return x + np.random.default_rng(0).normal(0.0, 0.02, (n, 1, 20, 3))


def bones(x: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x[:, :, 1:] - x[:, :, np.array(PARENTS)[1:]], axis=-1)


@pytest.mark.parametrize("movement", [primitives.reach, primitives.bend, primitives.crouch, primitives.work])
def test_bones_keep_their_length_and_feet_stay(movement):
    x = standing()
    y = movement(np.random.default_rng(1), x.copy(), TIME)
    assert np.isfinite(y).all()
    assert np.abs(bones(y) - bones(x)).max() < 1e-5
    assert np.abs(y[:, :, FEET] - x[:, :, FEET]).max() < 1e-9
    assert np.abs(y - x).max() > 0.2
    assert np.linalg.norm(np.diff(y, axis=1), axis=-1).max() / 0.04 < 13.0  # metres a second


def test_minimum_jerk_is_a_smooth_step_of_one():
    s = primitives.minimum_jerk(np.random.default_rng(0), np.arange(-3.0, 4.0, 0.01), 100)
    assert {round(v, 9) for v in s[:, 0]} == {0.0, 1.0}
    assert np.allclose(np.abs(s[:, -1] - s[:, 0]), 1.0)
    assert np.abs(np.diff(s, axis=1)).max() / 0.01 < 1.875 / 0.4 + 0.05


def test_knees_of_a_crouching_person_give_way_forward():
    x = standing()
    y = primitives.crouch(np.random.default_rng(1), x, TIME)
    lowest = y[:, :, 0, 2].argmin(1)
    i = np.arange(len(y))
    for side in ("left", "right"):
        knee, ankle = y[i, lowest, INDEX[f"{side}_knee"]], y[i, lowest, INDEX[f"{side}_ankle"]]
        assert (knee[:, 0] > ankle[:, 0] - 0.02).mean() > 0.95
    assert (y[:, :, 0, 2] <= x[:, :, 0, 2] + 1e-9).all()
