# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Misses of the first tenths of a second, and the group of who stood and now moves: figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.bounds_helpers import table

from aux_motion_core.bounds.onset import moved, stood
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation import gate
from aux_motion_core.evaluation.run import evaluate
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.testing import synthetic

SPEED_MPS = 2.0


def stream(stands_s=3.0, seconds=6.0):
    """Somebody who stands, and then goes on at `SPEED_MPS` at once: (log time, frame) at 30 Hz."""
    rest = synthetic.walker(np.array([0.3]))
    frames = synthetic.frames(1, seconds, 30.0)
    first = frames[0].stamp_ns
    out = []
    for f in frames:
        way = SPEED_MPS * max((f.stamp_ns - first) * 1e-9 - stands_s, 0.0)
        out.append((f.stamp_ns + 30_000_000, replace(f, positions=rest + way * np.array([1.0, 0.0, 0.0]))))
    return out


class Bounded(Predictor):
    """Publishes a radius of 0.1 m for each joint and of 0.3 m for the whole body."""

    def describe(self, *arguments):
        radius, body = np.full((25, N_JOINTS), 0.1), np.full((25, N_JOINTS), 0.3)
        made = {"radius": radius, "body_radius": body, "radius_basis": "conformal", "radius_coverage": 0.9}
        return replace(super().describe(*arguments), **made)


def bounded(frames):
    predictor = Bounded(baselines.make("zero_velocity"), PredictorConfig(), "map")
    return evaluate(frames, predictor, compare=False)


def test_misses_of_the_first_0_2_s_are_counted_apart():
    """Who goes at 2 m/s and is expected to stay is 8 cm away after each step of 0.04 s."""
    evaluation = bounded(stream(stands_s=0.0, seconds=10.0))
    found = evaluation.summary()
    early = found["bounds"]["conformal 0.9"]["early"]
    assert early["until_s"] == 0.2
    # 8, 16, 24, 32 and 40 cm: four of five beyond 10 cm, two beyond 30 cm; the last frames are followed by fewer steps
    assert early["joint_miss_share"] == pytest.approx(0.8, abs=0.01)
    assert early["joints_missed"] == pytest.approx(0.8 * early["joints_judged"], rel=0.01)
    assert early["joints_judged"] == pytest.approx(20 * 5 * (300 - 6 - 4), rel=0.02)
    assert early["prediction_miss_share"] == pytest.approx(1.0, abs=0.02)
    assert early["farthest_beyond_mm"] == pytest.approx(300.0, abs=1.0)
    values = gate.metrics(found)
    assert values["early_miss"] == early["joint_miss_share"]
    assert values["early_body_miss"] == early["prediction_miss_share"]
    line = gate.check([gate.parse("early_miss>0.5"), gate.parse("early_body_miss<0.5")], values)
    assert line == [f"early_miss>0.5 (early_miss is {early['joint_miss_share']:g})"]


def test_who_stands_has_no_miss_and_recordings_are_counted_together():
    evaluation, other = bounded(stream(stands_s=10.0, seconds=4.0)), bounded(stream(stands_s=0.0, seconds=4.0))
    quiet, moving = (e.summary()["bounds"]["conformal 0.9"]["early"] for e in (evaluation, other))
    assert quiet["joints_missed"] == quiet["predictions_missed"] == 0 and quiet["farthest_beyond_mm"] == 0.0
    evaluation.merge(other)
    both = evaluation.summary()["bounds"]["conformal 0.9"]["early"]
    for name in ("joints_judged", "joints_missed", "predictions", "predictions_missed"):
        assert both[name] == quiet[name] + moving[name]
    assert both["farthest_beyond_mm"] == moving["farthest_beyond_mm"]


def calibrated(frames, **config):
    """Radii of 0.05 m a step at 0.9 and twice that at 0.95; whole bodies as much."""
    backend = baselines.make("zero_velocity")
    backend.calibration = table(factor=0.05, body=1.0)
    config = PredictorConfig(coverage_level=0.9, tracker_error_m=0.0, adaptation="off", **config)
    return evaluate(frames, Predictor(backend, config, "map"), compare=False)


def test_who_stood_and_now_moves_is_a_group_of_its_own():
    """The onset is at a frame. Predictions from 7 frames before it (0.33 m in the 0.4 s ahead) to 6 after it (stood
    until 0.2 s before) belong to the group: 14."""
    evaluation = calibrated(stream())
    found = evaluation.summary()["onset"]
    kind, low, high = found["bounds"]["conformal 0.9"], found["table"]["0.9"], found["table"]["0.95"]
    assert kind["predictions"] == low["predictions"] == high["predictions"] == 14
    for held in (kind, low):
        # at 0.4 s within 0.5 m: 5 to 7 frames before the onset; at 0.2 s within 0.25 m: 3 to 7 frames before it
        assert held["horizons"]["0.4"]["coverage"] == pytest.approx(3 / 14, abs=1e-3)
        assert held["horizons"]["0.2"]["coverage"] == pytest.approx(5 / 14, abs=1e-3)
        assert held["horizons"]["0.4"]["joints_judged"] == 14 * 20
        assert held["whole_second_body_coverage"] == 0.0
    assert high["horizons"]["0.4"]["coverage"] == high["whole_second_body_coverage"] == 1.0
    values = gate.metrics(evaluation.summary())
    assert values["onset_coverage@0.4s"] == pytest.approx(3 / 14, abs=1e-3) and values["onset_body_coverage"] == 0.0
    evaluation.merge(calibrated(stream()))
    assert evaluation.summary()["onset"]["table"]["0.9"]["predictions"] == 28


@pytest.mark.parametrize("stands_s", [0.0, 10.0])
def test_who_only_stands_or_only_moves_is_not_in_it(stands_s):
    found = calibrated(stream(stands_s=stands_s, seconds=4.0)).summary()["onset"]
    assert found["bounds"] == {} and found["table"] == {}


def test_what_was_not_seen_did_not_stand_and_did_not_move():
    values, mask = np.zeros((3, 10, N_JOINTS, 3)), np.ones((3, 10, N_JOINTS), bool)
    values[1] += 0.04 * np.arange(10)[:, None, None] * np.array([0.2, 0.0, 0.0])
    mask[2, 0] = False
    assert stood(values, mask, 0.04).tolist() == [True, False, False]
    assert not stood(values[:, :5], mask[:, :5], 0.04).any(), "too short a window says nothing"
    after = np.zeros((3, N_JOINTS, 3))
    after[:, :3, 0] = 0.31
    both = np.ones((3, N_JOINTS), bool)
    both[1, 0] = False
    after[2, 2, 0] = 0.29
    assert moved(np.zeros((3, N_JOINTS, 3)), after, both).tolist() == [True, False, False]
