# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The transform and the clock offset between two trackers that see one person."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aux_motion_core.space.registration import PersonStream, RegistrationError, register
from aux_motion_core.testing.synthetic import walker

TURN = Rotation.from_euler("zyx", [130.0, -8.0, 25.0], degrees=True).as_matrix()
MOVE = np.array([2.5, -1.0, 0.8])


def seen(times_s: np.ndarray, noise_m: float, seed: int, **how: float) -> PersonStream:
    """Somebody who walks in a circle, with noise and a tenth of the joints missing."""
    rng = np.random.default_rng(seed)
    positions = walker(times_s, **how)
    positions += rng.normal(0.0, noise_m, positions.shape)
    return PersonStream(times_s, positions, rng.random(positions.shape[:2]) > 0.1)


def elsewhere(stream: PersonStream, offset_s: float) -> PersonStream:
    """The same in another camera's frame and on another clock."""
    return PersonStream(stream.times_s + offset_s, (stream.positions - MOVE) @ TURN, stream.seen)


@pytest.mark.parametrize("offset_s", [0.0, 0.237, -0.61])
def test_transform_and_offset_are_found_in_noise(offset_s):
    first = seen(np.arange(0.0, 12.0, 1 / 30), 0.02, 1)
    second = elsewhere(seen(np.arange(0.011, 12.0, 1 / 24), 0.02, 2), offset_s)
    found = register(first, second)
    assert found.offset_s == pytest.approx(offset_s, abs=0.01)
    away = Rotation.from_matrix(found.rotation @ TURN.T).magnitude()
    assert np.degrees(away) < 0.5
    np.testing.assert_allclose(found.translation, MOVE, atol=0.02)
    assert 0.02 < found.residual_m < 0.06 and found.spread_m < 0.03 and found.seconds > 10


def test_exchanged_joints_do_not_turn_the_answer():
    first = seen(np.arange(0.0, 12.0, 1 / 30), 0.01, 1)
    second = elsewhere(seen(np.arange(0.0, 12.0, 1 / 30), 0.01, 2), 0.0)
    second.positions[100:130] += np.array([0.0, 3.0, 0.0])  # it was on another body for a second
    found = register(first, second)
    np.testing.assert_allclose(found.translation, MOVE, atol=0.03)


STILL = np.zeros(360)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda a, b: (a, replace(b, times_s=b.times_s + 100.0)), "fewer than 500 joints"),
        (lambda a, b: (a, replace(b, seen=np.zeros_like(b.seen))), "fewer than 500 joints"),
        (lambda a, b: (a, PersonStream(b.times_s[:1], b.positions[:1], b.seen[:1])), "saw nobody"),
        (
            lambda a, b: (replace(a, positions=a.positions[STILL.astype(int)]), b),
            "apart after the best fit",
        ),
        (
            lambda a, b: (
                replace(a, positions=np.repeat(a.positions[:1], 360, 0)),
                replace(b, positions=np.repeat(b.positions[:1], 360, 0)),
            ),
            "walk to and fro",
        ),
    ],
)
def test_what_does_not_determine_it_is_refused(change, says):
    first = seen(np.arange(0.0, 12.0, 1 / 30), 0.01, 1)
    second = elsewhere(seen(np.arange(0.0, 12.0, 1 / 30), 0.01, 2), 0.0)
    with pytest.raises(RegistrationError, match=says) as caught:
        register(*change(first, second))
    assert "\n" not in str(caught.value)


def test_a_camera_that_was_moved_half_way_is_refused():
    first = seen(np.arange(0.0, 12.0, 1 / 30), 0.01, 1)
    second = elsewhere(seen(np.arange(0.0, 12.0, 1 / 30), 0.01, 2), 0.0)
    second.positions[180:] += np.array([0.3, 0.0, 0.0])
    with pytest.raises(RegistrationError, match="parts of the recording disagree"):
        register(first, second)
