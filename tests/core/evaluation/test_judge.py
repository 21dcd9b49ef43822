# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The judge finds the errors that were put in."""

from dataclasses import replace

import numpy as np
import pytest

from aux_motion_core.evaluation.judge import Judge, Verdict, error_table, mean_over_clips
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.types import MotionPrediction, Reason, SkeletonFrame, TrackState

DT_S, STEPS = 0.04, 25
REST = np.random.default_rng(0).normal(size=(N_JOINTS, 3))
VELOCITY = np.array([0.7, -0.2, 0.1])


def pose(time_s):
    return REST + VELOCITY * time_s


def frame(time_s, person="a", missing=(), position=None):
    status = np.full((1, N_JOINTS), JointStatus.OBSERVED, np.uint8)
    status[0, list(missing)] = JointStatus.MISSING
    positions = (pose(time_s) if position is None else position)[None].copy()
    positions[0, list(missing)] = 1e6
    ones = np.ones((1, N_JOINTS), np.float32)
    return SkeletonFrame(round(time_s * 1e9), "map", (person,), positions, status, ones)


def prediction(time_s, offset=0.0, person="a", state=TrackState.TRACKING):
    mean = np.stack([pose(time_s + (k + 1) * DT_S) for k in range(STEPS)]) + np.array([offset, 0.0, 0.0])
    stamp_ns = round(time_s * 1e9)
    status = np.ones(N_JOINTS, np.uint8)
    return MotionPrediction(
        person, state, Reason.NONE, stamp_ns, stamp_ns, 0.0, stamp_ns + 10**9, mean, pose(time_s), status
    )


def held(time_s):
    mean = np.repeat(pose(time_s)[None], STEPS, axis=0)
    return replace(prediction(time_s), mean=mean)


@pytest.mark.parametrize("rate_hz", [7.0, 25.0, 30.0, 120.0])
def test_known_errors_are_found_at_any_rate(rate_hz):
    judge = Judge(["exact", "off", "zero_velocity"])
    for time_s in np.arange(0.0, 3.0, 1.0 / rate_hz):
        judge.observe(frame(time_s))
        off = prediction(time_s, offset=0.05)
        judge.predict({"exact": prediction(time_s), "off": off, "zero_velocity": held(time_s)}, DT_S)
    verdict = judge.verdict()
    assert list(verdict.mpjpe_mm) == ["0.2", "0.4", "0.6", "0.8", "1.0"]
    for key, row in verdict.mpjpe_mm.items():
        assert row["exact"] == pytest.approx(0.0, abs=1e-3)
        assert row["off"] == pytest.approx(50.0, abs=1e-3)
        assert row["zero_velocity"] == pytest.approx(1000 * float(key) * np.linalg.norm(VELOCITY), abs=1e-3)


def test_horizons_between_steps_are_interpolated():
    judge = Judge(["exact"], horizons_s=(0.05, 0.333))
    judge.predict({"exact": prediction(0.0)}, DT_S)
    for time_s in (0.0, 0.1, 0.3, 0.4):
        judge.observe(frame(time_s))
    verdict = judge.verdict()
    assert verdict.samples == {"0.05": 1, "0.333": 1}
    assert all(row["exact"] == pytest.approx(0.0, abs=1e-3) for row in verdict.mpjpe_mm.values())


def test_only_joints_that_were_seen_count():
    judge = Judge(["off"], horizons_s=(0.2,))
    wrong = prediction(0.0)
    wrong.mean[:, :10] += 5.0  # never seen: must not matter
    judge.predict({"off": wrong}, DT_S)
    for time_s in (0.0, 0.1, 0.2, 0.3):
        judge.observe(frame(time_s, missing=range(10)))
    assert judge.verdict().mpjpe_mm["0.2"]["off"] == pytest.approx(0.0, abs=1e-3)


def test_guesses_of_the_tracker_are_no_truth():
    judge = Judge(["m"], horizons_s=(0.2,))
    judge.predict({"m": prediction(0.0)}, DT_S)
    for time_s in (0.1, 0.2, 0.3):
        seen = frame(time_s)
        seen.status[:] = JointStatus.TRACKER_PREDICTED
        judge.observe(seen)
    assert judge.verdict().samples == {}


def test_nothing_is_judged_across_a_gap_or_for_another_person():
    judge = Judge(["m"], horizons_s=(0.2,))
    judge.observe(frame(0.0))
    judge.predict({"m": prediction(0.0)}, DT_S)
    judge.observe(frame(0.2, person="b"))
    judge.observe(frame(1.0))
    assert judge.verdict().samples == {}


def test_held_poses_and_missing_sources_are_left_out():
    judge = Judge(["m", "n"], horizons_s=(0.2,))
    assert not judge.predict({"m": prediction(0.0)}, DT_S)
    assert not judge.predict({"m": prediction(0.0), "n": prediction(0.0, state=TrackState.STALE)}, DT_S)
    assert not judge.predict({"m": prediction(0.0), "n": prediction(0.04)}, DT_S)
    assert judge.predict({"m": prediction(0.0), "n": prediction(0.0)}, DT_S)


def test_a_stream_that_starts_again_is_not_compared_with_its_past():
    judge = Judge(["m"], horizons_s=(0.4,))
    for time_s in (5.0, 5.1):
        judge.observe(frame(time_s))
        judge.predict({"m": prediction(time_s)}, DT_S)
    for time_s in np.arange(1.0, 7.0, 0.1):
        judge.observe(frame(time_s))
    assert judge.verdict().samples == {}


def test_every_clip_counts_the_same():
    short = Verdict({"0.4": {"m": 10.0}}, {"0.4": 1})
    long = Verdict({"0.4": {"m": 30.0}, "1.0": {"m": 50.0}}, {"0.4": 99, "1.0": 5})
    mean = mean_over_clips([short, long])
    assert mean.mpjpe_mm == {"0.4": {"m": 20.0}, "1.0": {"m": 50.0}}
    assert mean.samples == {"0.4": 100, "1.0": 5}


def test_the_table_marks_the_best():
    table = error_table(Verdict({"0.4": {"model": 10.0, "zero_velocity": 20.0}}, {"0.4": 3}))
    assert "10.0*" in table and "20.0*" not in table and "* the smallest error" in table
    assert "nothing could be judged" in error_table(Verdict({}, {}))
