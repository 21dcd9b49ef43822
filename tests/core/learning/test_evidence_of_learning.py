# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a correction loses over a minute stops it, also where it is never bad enough to be taken back at once."""

import numpy as np

from aux_motion_core.learning.evidence import GROUPS, LOSS, MOTION_EDGES_M, MOTIONS, Evidence, motions
from aux_motion_core.learning.features import INPUTS, N_INPUTS, TELLING
from aux_motion_core.skeleton import INDEX, JOINTS

J, STEP_S = len(JOINTS), 0.2
ROW = np.zeros(1, np.intp)
STILL, FAST = (np.full((1, len(GROUPS)), m) for m in (0, MOTIONS - 1))


def outcome(evidence: Evidence, away_m: float, published_m: float) -> None:
    """One outcome at `away_m` from the network's answer, with a correction of `published_m` away from it."""
    residual, published = np.zeros((1, J, 3)), np.zeros((1, J, 3))
    residual[..., 0], published[..., 0] = away_m, published_m
    evidence.rows["gain"][0, 0, :, FAST[0, 0], 2] = 10.0  # as if it had gained for long
    evidence.learn(
        np.zeros(1, np.intp), np.zeros(1, np.intp), np.full(1, STEP_S), residual,
        np.stack([published, published], 1), published, np.full((1, J), np.nan), np.ones((1, J), bool), FAST,
    )  # fmt: skip


def test_small_losses_that_go_on_stop_it_and_it_comes_back():
    evidence = Evidence(1)
    evidence.start(0)
    outcome(evidence, 0.1, 0.03)
    assert (evidence.shares(ROW, FAST)[0, :, 0, 0] > 0.5).all()
    seconds = 0.0
    while (evidence.shares(ROW, FAST)[0] > 0.0).any():
        outcome(evidence, 0.1, -0.004)  # 4 % worse, not enough for the alarm
        seconds += STEP_S
        assert seconds < 60.0, "it goes on losing"
    assert seconds > 5.0
    while evidence.rows["loss"][0, 0] > 0.4 * LOSS:
        outcome(evidence, 0.1, 0.0)
        seconds += STEP_S
        assert seconds < 120.0, "it never comes back"
    outcome(evidence, 0.1, 0.03)
    assert evidence.shares(ROW, FAST).shape == (1, len(GROUPS), 1, 2)
    assert (evidence.shares(ROW, FAST)[0, :, 0, 0] > 0.0).all()


def test_what_gains_is_never_stopped():
    evidence = Evidence(1)
    evidence.start(0)
    for k in range(600):
        outcome(evidence, 0.1, 0.02 if k % 4 else -0.003)
        assert evidence.rows["loss"][0, 0] < 0.1 * LOSS


def test_what_was_earned_in_motion_does_not_enter_when_the_person_is_still():
    evidence = Evidence(1)
    evidence.start(0)
    before = evidence.shares(ROW, STILL)
    for _ in range(20):
        outcome(evidence, 0.1, 0.08)
    assert (evidence.shares(ROW, FAST)[..., 0] > 0.5).all()
    assert (evidence.shares(ROW, STILL) == before).all()


def test_motion_is_that_of_the_part_of_the_body():
    x = np.zeros((2, N_INPUTS), np.float32)
    assert (motions(x[:, TELLING]) == 0).all()
    blocks = x[:, : 7 * 3 * len(INPUTS)].reshape(2, 7, len(INPUTS), 3)
    wrist = np.flatnonzero(INPUTS == INDEX["left_wrist"])[0]
    blocks[0, 1, wrist] = 10 * MOTION_EDGES_M[-1]  # it moved lately
    blocks[1, 3, wrist] = 10 * MOTION_EDGES_M[-1]  # the network says that it will
    found = motions(x[:, TELLING])
    arm = GROUPS.index("left_arm")
    assert (found[:, arm] == MOTIONS - 1).all() and (np.delete(found, arm, 1) == 0).all()
