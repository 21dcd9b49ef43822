# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""People who stand straight tell whether the frame is level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.trackers.tilt import Tilt, straight_axes

NS = 1_000_000_000


def standing(noise_m: float = 0.0, seed: int = 0) -> np.ndarray:
    """(20, 3) of somebody who stands straight and looks along x."""
    body = synthetic.walker(np.zeros(1))[0] - (2.0, 0.0, 0.0)
    for side, y in (("left", 0.1), ("right", -0.1)):
        for part, z in (("hip", 0.9), ("knee", 0.47), ("ankle", 0.05)):
            body[INDEX[f"{side}_{part}"]] = 0.0, y, z
    body[INDEX["neck"]] = 0.03, 0.0, 1.42
    return body + np.random.default_rng(seed).normal(scale=noise_m, size=(20, 3))


def told(tilt_deg: float, bodies, seconds: float = 10.0) -> Tilt:
    """What 10 Hz of these bodies tell in a frame that is tilted."""
    turn = Rotation.from_euler("y", tilt_deg, degrees=True).as_matrix()
    tilt = Tilt()
    for k in range(round(10 * seconds)):
        body = bodies(k)
        tilt.observe(NS + k * NS // 10, body[None] @ turn.T, np.full((1, 20), JointStatus.OBSERVED, np.uint8))
    return tilt


@pytest.mark.parametrize("lean", [0.0, 6.0, 17.0, 90.0])
def test_the_tilt_of_a_frame_is_found(lean: float) -> None:
    tilt = told(lean, lambda k: standing(0.02, k))
    assert tilt.degrees == pytest.approx(lean, abs=2.5)
    line = tilt.trouble("zed_left_camera_frame")
    assert bool(line) == (lean > 10.0) and "\n" not in line
    assert not line or "'zed_left_camera_frame'" in line


def test_who_bends_sits_strides_or_is_half_hidden_tells_nothing() -> None:
    bent, seated, striding = standing(), standing(), standing()
    bent[INDEX["neck"]] = 0.4, 0.0, 1.2
    seated[[INDEX["left_knee"], INDEX["right_knee"]]] += (0.4, 0.0, 0.3)
    striding[INDEX["left_ankle"]] += (0.5, 0.0, 0.0)
    striding[INDEX["left_knee"]] += (0.25, 0.0, 0.0)
    seen = np.full((4, 20), JointStatus.OBSERVED, np.uint8)
    seen[3, INDEX["left_ankle"]] = JointStatus.TRACKER_PREDICTED
    assert len(straight_axes(np.stack([bent, seated, striding, standing()]), seen)) == 0
    assert len(straight_axes(standing()[None], seen[:1])) == 1
    assert told(17.0, lambda k: bent).degrees is None


def test_a_moment_is_not_enough() -> None:
    assert told(30.0, lambda k: standing(), 3.0).trouble("camera") == ""
