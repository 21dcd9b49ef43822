# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Tiers of use: what people did before and after is told from motion, not from jitter; figures mean what they say."""

import numpy as np
import pytest

from aux_motion_core.history.normalise import REST_POSE
from aux_motion_core.skeleton import INDEX
from training import tiers
from training.data.clip import make_clip
from training.data.windows import cut


def clip(motion, seconds=4.0, jitter_m=0.0, name="c"):
    """A standing person at 50 Hz, moved by `motion(t, positions)`."""
    t = np.arange(int(seconds * 50)) / 50.0
    x = np.repeat((REST_POSE + np.array([0.0, 0.0, 0.95]))[None], len(t), 0)
    x = motion(t, x) + np.random.default_rng(0).normal(0.0, jitter_m, x.shape) if motion else x
    return make_clip(name, "g", "a", 50.0, x, "MIT", "us")


def walk(t, x):
    return x + np.stack([t, 0 * t, 0 * t], -1)[:, None]


def reach(t, x):
    x = x.copy()
    x[:, [INDEX["left_wrist"], INDEX["left_hand"]]] += 0.25 * np.stack([t, 0 * t, 0 * t], -1)[:, None]
    return x


def turn(t, x):
    cos, sin = np.cos(t), np.sin(t)
    cos, sin = cos[:, None], sin[:, None]
    return np.stack([x[..., 0] * cos - x[..., 1] * sin, x[..., 0] * sin + x[..., 1] * cos, x[..., 2]], -1)


@pytest.mark.parametrize(
    ("motion", "before", "after"),
    [(lambda t, x: x, "still", "stood"), (walk, "body", "walked"), (reach, "hands", "reached"), (turn, None, "turned")],
    ids=["stands", "walks", "reaches", "turns"],
)
@pytest.mark.parametrize("jitter_m", [0.0, 0.01])
def test_what_people_do_is_told_through_jitter(motion, before, after, jitter_m):
    w = cut(clip(motion, jitter_m=jitter_m), 25, 25, 0.04)
    found = tiers.kinds(w, 0.04)
    if before:
        assert (np.array(tiers.BEFORE)[found.before] == before).mean() > 0.95
    assert (np.array(tiers.AFTER)[found.after] == after).mean() > 0.95
    assert found.stays.mean() == (0.0 if after == "walked" else 1.0)


class Steps:
    """A predictor that lets the whole body go `metres` forward within the second."""

    history_steps, future_steps, dt_s = 10, 25, 0.04

    def __init__(self, metres):
        self.metres = metres

    def infer(self, values, mask):
        ahead = self.metres * np.linspace(0.04, 1.0, 25)[None, :, None, None] * np.array([1.0, 0.0, 0.0])
        return values[:, -1:] + ahead, values, None


def rows_of(motion, metres):
    from aux_motion_core.inference import baselines

    rivals = {n: baselines.make(n) for n in baselines.BASELINES}
    row = tiers.judge(clip(motion), {"model": Steps(metres), **rivals}, 25, 0.2, 0.04, None)
    return [row], ["model", *rivals]


def test_a_phantom_step_is_counted_only_of_people_who_stay():
    for metres, percent in ((0.2, 0.0), (0.35, 100.0)):
        rows, _ = rows_of(lambda t, x: x, metres)
        assert tiers.phantom(rows, "model")["percent"] == percent
    assert tiers.phantom(rows_of(walk, 3.0)[0], "model") == {"clips": 0}


def test_phantom_steps_are_told_apart_by_what_people_did_before():
    def stop(t, x):  # walks for two seconds, then stays
        return x + np.stack([np.minimum(t, 2.0), 0 * t, 0 * t], -1)[:, None]

    rows, names = rows_of(stop, 0.35)
    found = tiers.summarise(rows, names)["phantom_steps"]
    stood, moved = found["stood_before"], found["moved_before"]
    assert found["stays"] == stood["stays"] + moved["stays"] and stood["stays"] and moved["stays"]
    assert stood["percent"] == moved["percent"] == 100.0


def test_root_and_pose_are_told_apart_and_staying_is_the_measure():
    rows, names = rows_of(lambda t, x: x, 0.4)
    found = tiers.summarise(rows, names)["1.0"]
    assert found["mm"] == pytest.approx(400.0, abs=1.0)
    assert found["root_mm"] == pytest.approx(400.0, abs=1.0) and found["pose_mm"] == pytest.approx(0.0, abs=0.1)
    rows, names = rows_of(walk, 1.0)
    found = tiers.summarise(rows, names)["1.0"]
    assert found["mm"] == pytest.approx(0.0, abs=25.0) and found["gain_on_staying"][0] > 95.0


def test_carry_on_is_in_seconds_of_the_roots_velocity():
    rows, _ = rows_of(walk, 0.5)
    at_1 = next(r for r in tiers.carry_on(rows, "model") if r["from_mps"] == 0.5 or r["windows"])
    assert at_1["true_s"] == pytest.approx(1.0, abs=0.06) and at_1["predicted_s"] == pytest.approx(0.5, abs=0.06)


def test_all_predictors_are_judged_on_windows_from_the_first_04_s_on():
    short = cut(clip(walk, 2.0), 25, 25, 0.04, 0.2)
    assert len(short.past) == len(cut(clip(walk, 2.0), 10, 25, 0.04, 0.2).past)
    assert not short.past_mask[0, :15].any() and short.past_mask[0, 15:].all()
    assert np.allclose(short.past[:, -10:], cut(clip(walk, 2.0), 10, 25, 0.04, 0.2).past)
