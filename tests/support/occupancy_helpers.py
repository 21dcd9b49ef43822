# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""People and their capsules for the tests of what is made of predictions."""

from __future__ import annotations

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.safety.occupancy import OccupancyBuilder, OccupancyConfig
from aux_motion_core.skeleton import JOINTS, N_JOINTS, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState
from aux_motion_core.validity import InputEvidence, judge

DT_S, STEPS = 0.04, 25
REACH_MPS = 2.0


def person(poses: np.ndarray, now_ns: int = 5 * NS, **changes: object) -> MotionPrediction:
    """A person whose pose is poses[0] now and poses[1:] later, (STEPS + 1, 20, 3)."""
    given_values = {
        "person_id": "1",
        "state": TrackState.TRACKING,
        "reasons": Reason.NONE,
        "stamp_ns": now_ns,
        "last_observed_ns": now_ns,
        "age_s": 0.0,
        "valid_until_ns": now_ns + round(STEPS * DT_S * 1e9),
        "mean": poses[1:],
        "recovered": poses[0],
        "joint_status": np.full(N_JOINTS, JointStatus.OBSERVED, np.uint8),
    }
    return MotionPrediction(**{**given_values, **changes})


def batch(*people: MotionPrediction, now_ns: int = 5 * NS) -> PredictionBatch:
    """A batch of these people, of one camera that was heard just now."""
    view = judge([InputEvidence(now_ns)])
    return PredictionBatch(now_ns, "map", "m", "1", DT_S, STEPS, JOINTS, tuple(people), view=view)


def walking(start_s: float = 0.0) -> np.ndarray:
    """(STEPS + 1, 20, 3) of a person who walks."""
    return synthetic.walker(start_s + DT_S * np.arange(STEPS + 1))


def build(*people: MotionPrediction, **config: object):
    """Capsules of these people."""
    return OccupancyBuilder(OccupancyConfig(**config), REACH_MPS).build(batch(*people))
