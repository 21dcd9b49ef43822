# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a correction loses over a minute stops it, also where it is never bad enough to be taken back at once."""

import numpy as np

from aux_motion_core.learning.evidence import GROUPS, LOSS, Evidence
from aux_motion_core.skeleton import JOINTS

J, STEP_S = len(JOINTS), 0.2


def outcome(evidence: Evidence, away_m: float, published_m: float) -> None:
    """One outcome at `away_m` from the network's answer, with a correction of `published_m` away from it."""
    residual, published = np.zeros((1, J, 3)), np.zeros((1, J, 3))
    residual[..., 0], published[..., 0] = away_m, published_m
    evidence.rows["gain"][0, 0, :, 2] = 10.0  # as if it had gained for long
    evidence.learn(
        np.zeros(1, np.intp), np.zeros(1, np.intp), np.full(1, STEP_S), residual,
        np.stack([published, published], 1), published, np.full((1, J), np.nan), np.ones((1, J), bool),
    )  # fmt: skip


def test_small_losses_that_go_on_stop_it_and_it_comes_back():
    evidence = Evidence(1)
    evidence.start(0)
    outcome(evidence, 0.1, 0.03)
    assert (evidence.shares(np.zeros(1, np.intp))[0, 0, :, 0] > 0.5).all()
    seconds = 0.0
    while (evidence.shares(np.zeros(1, np.intp))[0, 0] > 0.0).any():
        outcome(evidence, 0.1, -0.004)  # 4 % worse, not enough for the alarm
        seconds += STEP_S
        assert seconds < 60.0, "it goes on losing"
    assert seconds > 5.0
    while evidence.rows["loss"][0, 0] > 0.4 * LOSS:
        outcome(evidence, 0.1, 0.0)
        seconds += STEP_S
        assert seconds < 120.0, "it never comes back"
    outcome(evidence, 0.1, 0.03)
    assert evidence.shares(np.zeros(1, np.intp)).shape == (1, 1, len(GROUPS), 2)
    assert (evidence.shares(np.zeros(1, np.intp))[0, 0, :, 0] > 0.0).all()


def test_what_gains_is_never_stopped():
    evidence = Evidence(1)
    evidence.start(0)
    for k in range(600):
        outcome(evidence, 0.1, 0.02 if k % 4 else -0.003)
        assert evidence.rows["loss"][0, 0] < 0.1 * LOSS
