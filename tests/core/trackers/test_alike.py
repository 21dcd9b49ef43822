# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bodies of two cameras that move alike but apart are named; people who are two are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.testing.synthetic import walker
from aux_motion_core.trackers.alike import Alike
from aux_motion_core.types import SkeletonFrame

T0 = 1_700_000_000 * NS


def frame(stamp_s, positions, person_id="7"):
    positions = positions[None]
    status = np.full(positions.shape[:2], JointStatus.OBSERVED, np.uint8)
    return SkeletonFrame(
        T0 + round(stamp_s * NS), "map", (person_id,), positions, status, np.ones(positions.shape[:2], np.float32)
    )


def run(second, seconds=6.0, first=lambda t: walker(np.array([t]), 0.0)[0], noise_m=0.03):
    """Both cameras see somebody at 30 and 25 Hz, with noise; what is said at the end."""
    rng = np.random.default_rng(2)
    alike = Alike(["zed 0", "yolo 1"])
    sights = [(t, 0, first) for t in np.arange(0, seconds, 1 / 30)]
    sights += [(t, 1, second) for t in np.arange(0.011, seconds, 1 / 25)]
    for t, source, place in sorted(sights, key=lambda s: s[0]):
        at = place(t)
        alike.observe(source, frame(t, at + rng.normal(scale=noise_m, size=at.shape)))
    return alike


@pytest.mark.parametrize(
    "turn, move", [((0, 0, 0), (0.8, 0.0, 0.0)), ((40, 0, 0), (1.0, -0.5, 0.1)), ((0, 6, 0), (0.0, 0.5, 0))]
)
def test_one_body_and_a_wrong_transform_is_named(turn, move):
    rotation = Rotation.from_euler("zyx", turn, degrees=True).as_matrix()
    alike = run(lambda t: walker(np.array([t]), 0.0)[0] @ rotation.T + move)
    line = alike.trouble()
    assert "person 7 of zed 0 and 7 of yolo 1 move alike" in line and "m apart" in line and "calibrate-cameras" in line
    assert alike.ever == line
    alike.observe(0, frame(60.0, walker(np.array([0.0]), 0.0)[0]))  # long ago
    assert not alike.trouble() and alike.ever


@pytest.mark.parametrize("phase", [1.0, 2.0, 3.0, 4.5])
def test_two_people_who_walk_are_two(phase):
    assert not run(lambda t: walker(np.array([t]), phase)[0] + (0.6, 0.6, 0.0)).ever


def test_what_the_fusion_takes_for_one_body_is_not_named():
    assert not run(lambda t: walker(np.array([t]), 0.0)[0] + (0.1, 0.0, 0.0)).ever


def test_people_who_stand_are_not_compared():
    standing = walker(np.array([0.0]), 0.0)[0]
    assert not run(lambda t: standing + (0.9, 0.0, 0.0), first=lambda t: standing).ever


def test_a_short_time_tells_nothing():
    assert not run(lambda t: walker(np.array([t]), 0.0)[0] + (0.9, 0.0, 0.0), seconds=2.5).ever
