# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Baselines do what their names say."""

import numpy as np
import pytest

from aux_motion_core.history.normalise import REST_POSE
from aux_motion_core.inference import baselines

T = 0.04 * np.arange(-9, 1)
AHEAD = 0.04 * np.arange(1, 26)
SEEN = np.ones((1, 10, 20), bool)


def _linear(speed=1.2):
    x = np.zeros((1, 10, 20, 3))
    x[..., 0] = speed * T[None, :, None]
    return x


def _future(name, x, mask=SEEN, **parameters):
    return baselines.make(name, **parameters).infer(x, mask)[0][0]


def test_zero_velocity_stays():
    assert np.allclose(_future("zero_velocity", _linear()), 0.0, atol=1e-6)


@pytest.mark.parametrize("name", ["constant_velocity", "kalman_constant_acceleration"])
def test_constant_velocity_goes_on(name):
    assert np.allclose(_future(name, _linear())[:, :, 0], 1.2 * AHEAD[:, None], rtol=0.05)


def test_damped_velocity_comes_to_rest():
    far = _future("damped_velocity", _linear(), tau_s=0.1)[-1, 0, 0]
    assert far == pytest.approx(1.2 * 0.1, rel=1e-3)


def test_damped_pose_keeps_the_root_and_stops_the_limb():
    x = _linear()
    x[:, :, 6, 2] = 0.8 * T
    future = _future("damped_pose", x, tau_pose_s=0.1, tau_root_s=1e6)
    assert future[-1, 0, 0] == pytest.approx(1.2, rel=0.01)
    assert future[-1, 6, 0] == pytest.approx(1.2, rel=0.01)
    assert future[-1, 6, 2] == pytest.approx(0.08, rel=0.01)


def test_kalman_follows_an_acceleration():
    x = np.zeros((1, 10, 20, 3))
    x[..., 2] = 0.5 * 3.0 * T[None, :, None] ** 2
    got = _future("kalman_constant_acceleration", x, jerk_sigma=1.0)[9, 0, 2]
    assert got == pytest.approx(0.5 * 3.0 * 0.4**2, rel=0.25)


@pytest.mark.parametrize("name", ["constant_velocity", "damped_pose"])
def test_a_joint_last_seen_earlier_is_carried_on(name):
    mask = SEEN.copy()
    mask[:, -3:, 6] = False
    future = _future(name, _linear(), mask, **({"tau_root_s": 1e6} if name == "damped_pose" else {}))
    assert np.allclose(future[:, 6, 0], 1.2 * AHEAD, atol=0.01)


def test_unknown_baseline_names_the_choices():
    with pytest.raises(ValueError, match="choose zero_velocity"):
        baselines.make("perfect")


def test_damped_pose_takes_a_lost_joint_along_with_the_trunk():
    mask = SEEN.copy()
    mask[:, 1:, 6] = False  # seen once: no velocity of its own
    future = _future("damped_pose", _linear(), mask, tau_root_s=1e6)
    assert np.allclose(future[:, 6, 0], 1.2 * AHEAD, atol=0.01)


def test_a_joint_never_seen_is_where_it_is_in_the_rest_pose():
    mask = SEEN.copy()
    mask[:, :, 6] = False
    x = np.zeros((1, 10, 20, 3))
    for name in baselines.BASELINES:
        assert np.allclose(_future(name, x, mask)[:, 6], REST_POSE[6], atol=1e-6), name
