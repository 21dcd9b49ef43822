# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is learnt on line: it helps, it does no harm, and bad input teaches nothing."""

from __future__ import annotations

import numpy as np
import pytest
from support.core_helpers import motion
from support.learning_helpers import NS, T0, frame, make, ratio, run, waving

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference import baselines
from aux_motion_core.learning.features import N_INPUTS
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, N_JOINTS

WRIST = INDEX["left_wrist"]


def test_what_comes_again_is_learnt():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 40.0)
    later = run(p, lambda t: {"a": waving(t)}, 10.0, start=40.0)
    assert ratio(later, "0.4") < 0.6 and ratio(later, "1.0") < 0.6
    gain = p.learner.report("on")
    assert (gain.learnt_m < 0.8 * gain.shipped_m).all() and gain.learnt_s > 30.0


def test_shadow_publishes_the_model_and_says_what_it_would_gain():
    alone, shadow = make("off"), make("shadow")
    for k in range(25 * 30):
        f = frame(k / 25.0, {"a": waving(k / 25.0)})
        batches = []
        for p in (alone, shadow):
            p.add(f)
            batches.append(p.predict(f.stamp_ns))
        for a, b in zip(batches[0].people, batches[1].people, strict=True):
            np.testing.assert_array_equal(a.mean, b.mean)
            assert b.shipped is None
    assert alone.learner is None
    gain = shadow.learner.report("shadow")
    assert (gain.learnt_m < 0.9 * gain.shipped_m).all()


def test_another_learns_from_what_one_taught():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 40.0)
    fresh, taught = make(), p
    errors = [
        run(q, lambda t: {"b": waving(t, place=3.0)}, 4.0, start=60.0).verdict().mpjpe_mm["0.4"]["learnt"]
        for q in (fresh, taught)
    ]
    assert errors[1] < 0.85 * errors[0]


def test_no_worse_than_the_model_where_there_is_nothing_to_learn():
    """Steps of a random walk: no map of the past says where the next one goes."""
    rng = np.random.default_rng(3)
    walk = np.cumsum(rng.normal(0.0, 0.01, (25 * 60 + 1, N_JOINTS, 3)), 0) * 0.6
    base = motion([0.0])[0]
    p = make(name="zero_velocity")
    for start in range(0, 60, 20):
        judge = run(p, lambda t: {"a": base + walk[round(25 * t)]}, 20.0, start=float(start))
        assert ratio(judge, "0.4") < 1.02 and ratio(judge, "1.0") < 1.02


def other_tracker(t: float) -> dict[str, np.ndarray]:
    """The same person as another tracker gives it: mirrored in time, other lengths, another rhythm."""
    return {"a": waving(-0.37 * t, hz=1.3) * 1.15 + np.array([0.0, 0.0, 0.1])}


def other_camera_pose(t: float) -> dict[str, np.ndarray]:
    """The camera was turned by 20 degrees and tilted by 15, and nobody told the node."""
    turn, tilt = np.radians(20.0), np.radians(15.0)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0.0], [np.sin(turn), np.cos(turn), 0.0], [0.0, 0.0, 1.0]])
    about_y = np.array([[np.cos(tilt), 0.0, np.sin(tilt)], [0.0, 1.0, 0.0], [-np.sin(tilt), 0.0, np.cos(tilt)]])
    return {"a": waving(t) @ (about_z @ about_y).T}


def other_person(t: float) -> dict[str, np.ndarray]:
    """Somebody smaller comes, who moves half as fast; the one before left."""
    return {"b": 0.8 * waving(t, place=2.0, hz=0.3)}


def other_task(t: float) -> dict[str, np.ndarray]:
    """The arms rest, and the body sways faster."""
    return {"a": motion([0.0])[0] + np.array([0.1 * np.sin(2.0 * np.pi * 0.8 * t), 0.0, 0.0])}


@pytest.mark.parametrize(
    "change", [other_tracker, other_camera_pose, other_person, other_task], ids=lambda c: c.__name__
)
def test_after_a_change_the_model_is_back_within_two_seconds(change):
    p = make()
    run(p, lambda t: {"a": waving(t)}, 60.0)
    run(p, change, 2.0, start=60.0)
    after = run(p, change, 10.0, start=62.0)
    assert ratio(after, "0.4") < 1.02 and ratio(after, "1.0") < 1.02


def test_hidden_joints_get_no_correction():
    p = make()
    seen = np.ones(N_JOINTS, bool)
    seen[WRIST] = False
    run(p, lambda t: {"a": waving(t)}, 20.0)
    f = frame(20.0, {"a": waving(20.0)}, seen)
    p.add(f)
    person = p.predict(f.stamp_ns).people[0]
    moved = np.abs(person.mean - person.as_shipped().mean).max((0, 2))
    assert moved[WRIST] == 0.0 and moved[INDEX["right_wrist"]] > 0.001


def test_what_enters_goes_where_it_is_asked_for():
    for what, apart in (("predictions", True), ("all", False)):
        p = make(learning_for=what)
        run(p, lambda t: {"a": waving(t)}, 20.0)
        f = frame(20.0, {"a": waving(20.0)})
        p.add(f)
        batch = p.predict(f.stamp_ns)
        alone = make("off")
        run(alone, lambda t: {"a": waving(t)}, 20.0)
        alone.add(f)
        shipped = alone.predict(f.stamp_ns).people[0]
        assert np.abs(batch.people[0].mean - shipped.mean).max() > 0.01
        assert np.allclose(batch.as_shipped().people[0].mean, shipped.mean, atol=1e-5) is apart


def finite(p: Predictor) -> bool:
    s = p.learner.maps.solution
    return bool(np.isfinite(s.weights).all() and np.isfinite(s.inverse).all() and np.abs(s.weights).max() < 50.0)


def test_outcomes_that_are_no_numbers_teach_nothing():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 15.0)
    learner = p.learner
    weights, taught = learner.maps.solution.weights, learner.maps.learnt_s
    check = p.self_check
    row = p.people.known["a"].row
    k = 5
    truth = np.full((k, N_JOINTS, 3), np.nan)
    learner.outcomes(
        np.full(k, row), np.full(k, 0), np.arange(k), np.full(k, T0 + 20 * NS), truth, np.ones((k, N_JOINTS), bool)
    )
    assert learner.maps.learnt_s == taught and learner.maps.solution.weights is weights
    run(p, lambda t: {"a": np.where(int(25 * t) % 2, np.nan, waving(t))}, 10.0, start=15.0)
    assert finite(p) and np.isfinite(learner.report("on").learnt_m).all() and check.listener is learner


def test_somebody_who_teleports_every_second_does_no_harm():
    p = make()
    judge = run(p, lambda t: {"a": waving(t, place=3.0 * (int(t) % 2))}, 40.0)
    assert finite(p)
    assert ratio(judge, "0.4") < 1.02 and ratio(judge, "1.0") < 1.02


@pytest.mark.slow
def test_ten_minutes_of_standing_still_move_nothing():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 20.0)
    still = waving(20.0)
    rng = np.random.default_rng(0)
    run(p, lambda t: {"a": still + rng.normal(0.0, 0.001, still.shape)}, 600.0, start=20.0, rate=7.0)
    f = frame(620.0, {"a": still})
    p.add(f)
    person = p.predict(f.stamp_ns).people[0]
    assert np.abs(person.mean - person.as_shipped().mean).max() < 0.005
    assert finite(p) and np.isfinite(p.learner.maps.regressions[0].products).all()


def test_ids_exchanged_every_frame_do_no_harm():
    p = make()

    def two(t: float) -> dict[str, np.ndarray]:
        a, b = waving(t), waving(t + 0.4, place=1.0, hz=0.9)
        return {"a": a, "b": b} if round(25 * t) % 2 else {"a": b, "b": a}

    judge = run(p, two, 30.0)
    assert finite(p)
    mm = judge.verdict().mpjpe_mm
    for horizon in mm:
        assert mm[horizon]["learnt"] < 1.02 * mm[horizon]["model"]


def test_a_jump_of_the_stamps_is_survived():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 30.0)
    run(p, lambda t: {"a": waving(t)}, 5.0, start=-500.0)
    run(p, lambda t: {"a": waving(t)}, 5.0, start=5000.0)
    assert finite(p)
    assert ratio(run(p, lambda t: {"a": waving(t)}, 5.0, start=5005.0), "0.4") < 1.0


def test_people_who_come_and_go_do_not_let_it_grow():
    p = make(absent_hold_s=0.0, lost_after_s=0.5)

    def size() -> int:
        parts = (p.learner.under_way._rows, p.learner.evidence.rows)
        return sum(a.nbytes for rows in parts for a in rows.values())

    run(p, lambda t: {f"p{int(t)}": waving(t, place=float(int(t) % 5))}, 20.0)
    before = size()
    run(p, lambda t: {f"q{int(t)}": waving(t, place=float(int(t) % 5))}, 40.0, start=30.0)
    assert size() == before < 30e6
    assert len(p.learner._waiting) == 0


def test_off_and_on_again_keeps_what_was_learnt():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 30.0)
    learnt_s = p.learner.maps.learnt_s
    p.configure(p.config.model_copy(update={"learning": "off"}))
    run(p, lambda t: {"a": waving(t)}, 3.0, start=30.0)
    assert p.learner.maps.learnt_s == learnt_s
    p.configure(p.config.model_copy(update={"learning": "on"}))
    assert ratio(run(p, lambda t: {"a": waving(t)}, 5.0, start=33.0), "0.4") < 0.9


def test_no_prediction_waits_for_what_is_drawn_once():
    for learning, drawn in (("shadow", False), ("on", True)):
        predictor = Predictor(baselines.make("damped_pose"), PredictorConfig(learning=learning), "map")
        predictor.warm_up()
        assert ("_random" in vars(predictor.learner.features)) == drawn, learning


def test_reset_forgets():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 20.0)
    p.learner.reset()
    assert not p.learner.maps.solution.weights.any() and p.learner.report("on").learnt_s == 0.0
    f = frame(20.0, {"a": waving(20.0)})
    p.add(f)
    person = p.predict(f.stamp_ns).people[0]
    np.testing.assert_array_equal(person.mean, person.as_shipped().mean)


def test_the_history_may_be_short_or_long():
    for history in (5, 10, 25):
        backend = baselines.make("damped_pose", dt_s=0.04, history_steps=history, future_steps=25)
        p = Predictor(backend, PredictorConfig(learning="on"), "map")
        run(p, lambda t: {"a": waving(t)}, 12.0)
        assert p.learner.maps.solution.weights.shape[0] == N_INPUTS and p.learner.maps.learnt_s > 5.0


def test_work_is_done_where_it_is_handed_to():
    p, jobs = make(), []
    p.learner.submit = jobs.append
    run(p, lambda t: {"a": waving(t)}, 5.0)
    assert jobs and not p.learner.maps.learnt_s
    for _ in jobs[-1]():
        pass
    assert p.learner.maps.learnt_s > 1.0
