# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Movements of work: bones keep their length, feet stay, hands get where they are sent."""

import numpy as np
import pytest

from aux_motion_core.history.normalise import REST_POSE
from aux_motion_core.skeleton import INDEX
from training.data import work_motions as wm

TIME = (np.arange(50) - 24) * 0.04
BONES = [
    (INDEX[f"{s}_{a}"], INDEX[f"{s}_{b}"])
    for s in ("left", "right")
    for a, b in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"), ("knee", "ankle"))
]
ANKLES = [INDEX["left_ankle"], INDEX["right_ankle"]]


def people(n=64):
    rng = np.random.default_rng(1)
    pose = REST_POSE + rng.normal(0.0, 0.01, (n, 1, 20, 3))
    return np.repeat(pose, len(TIME), 1)


@pytest.mark.parametrize("movement", list(wm.MOVEMENTS), ids=lambda m: m.__name__)
def test_arms_and_legs_keep_their_bones_and_nothing_leaps(movement):
    before = people()
    after = movement(np.random.default_rng(0), before, TIME)
    assert np.isfinite(after).all()
    assert np.linalg.norm(after - before, axis=-1).max() > 0.1, "something moves"
    for a, b in BONES:
        was = np.linalg.norm(before[:, :, a] - before[:, :, b], axis=-1)
        now = np.linalg.norm(after[:, :, a] - after[:, :, b], axis=-1)
        if "ankle" in [k for k, v in INDEX.items() if v == b][0]:
            assert np.median(np.abs(now / was - 1.0)) < 0.02, "where a foot is beyond the leg's reach it is longer"
        else:
            assert np.abs(now / was - 1.0).max() < 0.01
    speed = np.linalg.norm(np.diff(after, axis=1), axis=-1) / 0.04
    assert np.quantile(speed.max((1, 2)), 0.9) < 8.0


@pytest.mark.parametrize("movement", [wm.reach_to_place, wm.carry, wm.knee_bend], ids=lambda m: m.__name__)
def test_feet_stay(movement):
    before = people()
    after = movement(np.random.default_rng(0), before, TIME)
    assert np.abs(after[:, :, ANKLES] - before[:, :, ANKLES]).max() < 1e-9


def test_a_side_step_moves_both_feet_by_the_same_way():
    before = np.repeat(people()[:, :1], 250, 1)
    after = wm.side_step(np.random.default_rng(0), before, np.linspace(-5.0, 5.0, 250))
    way = (after - before)[:, -1, ANKLES]
    rests = np.abs(after[:, -1] - after[:, -8]).max((1, 2)) < 1e-9
    done = rests & (np.linalg.norm(way[:, 0], axis=-1) > 0.1)
    assert done.any()
    assert np.abs(way[done, 0] - way[done, 1]).max() < 1e-6


def test_what_a_recording_lacks_stays_missing():
    before = people()
    legs = [INDEX[f"{s}_{j}"] for s in ("left", "right") for j in ("hip", "knee", "ankle", "foot")]
    missing = [INDEX["left_hand"], INDEX["right_hand"], *legs]
    before[:, :, missing] = np.nan
    after = wm.at_work(np.random.default_rng(0), before, TIME)
    assert np.isnan(after[:, :, missing]).all()
    rest = [j for j in range(20) if j not in missing]
    assert np.isfinite(after[:, :, rest]).all()


def test_minimum_jerk_begins_and_ends_at_rest():
    s = wm.rise(np.linspace(-0.2, 1.2, 1401))
    assert s[0] == 0.0 and s[-1] == 1.0 and (np.diff(s) >= 0).all()
    assert abs(np.diff(s)[200]) < 1e-6 and s[700] == pytest.approx(0.5)
