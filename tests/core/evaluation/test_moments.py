# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Moments of a stream: kept in order, with what came of each."""

from __future__ import annotations

import numpy as np
import pytest

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.comparisons import Grid, Sources
from aux_motion_core.evaluation.moments import Moments, ReplayMoment, published, visible
from aux_motion_core.evaluation.outcomes import Court
from aux_motion_core.evaluation.replay import predict
from aux_motion_core.evaluation.run import judge
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.testing import synthetic

HORIZONS_S = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
CONFIG = PredictorConfig(adaptation="off", self_check_s=0.0)


@pytest.fixture(scope="module")
def walk():
    """Six seconds of two people, predicted by the baseline `constant_velocity`, in a store."""
    frames = synthetic.frames(2, 6.0)
    backend = baselines.make("constant_velocity")
    grid = Grid.of(backend)
    moments = Moments(Sources(grid, CONFIG).names, HORIZONS_S)

    def paced():
        for taken in predict(((f.stamp_ns, f) for f in frames), Predictor(backend, CONFIG, "map")):
            moments.put(ReplayMoment((taken.log_time_ns - frames[0].stamp_ns) * 1e-9, taken.frame, taken.batch))
            yield taken

    judge(paced(), grid, CONFIG, outcome_listener=moments.judge)
    return frames, moments


def test_moments_are_found_by_their_time(walk):
    frames, moments = walk
    assert len(moments) == len(frames) == 180
    assert moments.first_s == 0.0 and moments.last_s == pytest.approx(179 / 30)
    assert moments.at(2.0).frame.stamp_ns == frames[60].stamp_ns
    assert moments.at(2.02).frame.stamp_ns == frames[60].stamp_ns
    assert moments.at(-1.0).frame is moments.at(0.0).frame
    assert moments.beside(2.0, 1).frame.stamp_ns == frames[61].stamp_ns
    assert moments.beside(2.0, -1).frame.stamp_ns == frames[59].stamp_ns
    assert moments.beside(99.0, 1).frame.stamp_ns == frames[-1].stamp_ns
    assert [m.frame.stamp_ns for m in moments.between(1.0, 1.1)] == [f.stamp_ns for f in frames[30:34]]


def test_what_came_is_what_the_frames_after_show(walk):
    frames, moments = walk
    for k in (60, 100):
        outcome = moments.outcome("person_1", frames[k].stamp_ns)
        for h, ahead in enumerate((6, 12, 18, 24, 30)):
            truth = frames[k + ahead].positions[1]
            assert outcome.truth[h] == pytest.approx(truth, abs=1e-5)
            mean = moments.at(k / 30).batch.people[1].mean[round(HORIZONS_S[h] / 0.04) - 1]
            assert outcome.poses[0, h] == pytest.approx(mean, abs=1e-5)
            assert outcome.error_m[0, h] == pytest.approx(np.linalg.norm(mean - truth, axis=1).mean(), abs=1e-5)
    assert outcome.poses.shape == (len(moments.sources), 5, 20, 3)


def test_a_prediction_beyond_the_end_has_no_truth(walk):
    frames, moments = walk
    last = moments.outcome("person_0", frames[-10].stamp_ns)
    assert np.isfinite(last.error_m[0, 0]) and np.isnan(last.error_m[0, -1]) and np.isnan(last.truth[-1]).all()


def test_curves_have_the_errors_in_order(walk):
    frames, moments = walk
    curves = moments.curves("person_0", 1, 2.0, 3.0)
    assert curves.at_s == pytest.approx(np.arange(60, 91) / 30)
    expected = [1e3 * moments.outcome("person_0", f.stamp_ns).error_m[0, 1] for f in frames[60:91]]
    assert curves.error_mm[moments.sources[0]] == pytest.approx(expected)
    assert set(curves.error_mm) == set(moments.sources) and "damped_pose" in moments.sources
    assert len(moments.curves("nobody", 1, 2.0, 3.0).at_s) == 0


def test_inside_is_the_share_within_the_radius():
    """A person who stands is where they were; one hand that is not counts."""
    frames = synthetic.frames(1, 1.5)
    still = frames[0].positions[0]
    batch = _batch(still, radius_m=0.1)
    court, moments = Court(HORIZONS_S, 0.04), Moments(("published",), HORIZONS_S)
    court.take(published(batch, [0], 0.0))
    for f in frames:
        positions = np.repeat(still[None], 1, 0)
        positions[0, 7] += 0.5 * (f.stamp_ns > frames[0].stamp_ns)
        court.observe(_moved(f, positions), [0])
    for outcomes in court.judge():
        moments.judge(outcomes, {0: "person_0"})
    outcome = moments.outcome("person_0", frames[0].stamp_ns)
    assert outcome.inside == pytest.approx(19 / 20)
    assert outcome.nominal == 0.9


def _moved(frame, positions):
    return type(frame)(frame.stamp_ns, frame.frame_id, frame.person_ids, positions, frame.status, frame.confidence)


def _batch(pose, radius_m):
    from aux_motion_core.skeleton import JOINTS
    from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState

    person = MotionPrediction(
        "person_0", TrackState.TRACKING, Reason.NONE, 1_000_000_000, 1_000_000_000, 0.0, 2_000_000_000,
        np.repeat(pose[None], 25, 0), pose, np.full(20, JointStatus.OBSERVED, np.uint8), "conformal", 0.9,
        np.full((25, 20), radius_m),
    )  # fmt: skip
    return PredictionBatch(1_000_000_000, "map", "m", "1", 0.04, 25, JOINTS, (person,))


def test_what_is_older_is_forgotten_with_its_outcomes():
    frames = synthetic.frames(1, 3.0)
    backend = baselines.make("zero_velocity")
    grid = Grid.of(backend)
    moments = Moments(Sources(grid, CONFIG, False).names, HORIZONS_S)

    def paced():
        for taken in predict(((f.stamp_ns, f) for f in frames), Predictor(backend, CONFIG, "map")):
            moments.put(ReplayMoment((taken.log_time_ns - frames[0].stamp_ns) * 1e-9, taken.frame, taken.batch))
            yield taken

    judge(paced(), grid, CONFIG, compare=False, outcome_listener=moments.judge)
    assert moments.outcome("person_0", frames[30].stamp_ns) and moments.judged_s > 1.0
    moments.trim(2.0)
    assert moments.first_s == pytest.approx(2.0) and moments.outcome("person_0", frames[30].stamp_ns) is None
    moments.clear()
    assert len(moments) == 0 and moments.at(1.0) is None and np.isnan(moments.last_s) and moments.judged_s == -np.inf


def test_a_moment_that_goes_back_replaces_what_followed(walk):
    frames, _ = walk
    moments = Moments(("published",), HORIZONS_S)
    for at_s in (0.0, 1.0, 2.0, 1.5):
        moments.put(ReplayMoment(at_s, frames[0], _batch(frames[0].positions[0], 0.1)))
    assert [m.at_s for m in moments.between(-1, 9)] == [0.0, 1.0, 1.5]


def test_only_joints_that_were_seen_are_visible():
    frame = synthetic.frames(1, 0.1)[0]
    status = frame.status.copy()
    status[0, 3] = JointStatus.MISSING
    frame = type(frame)(frame.stamp_ns, "map", frame.person_ids, frame.positions, status, frame.confidence)
    pose = visible(frame)["person_0"]
    assert np.isnan(pose[3]).all() and np.isfinite(np.delete(pose, 3, 0)).all()
