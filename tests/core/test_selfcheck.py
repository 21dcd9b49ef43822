# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Predictions judged by what was then seen, while the predictor runs."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from support.core_helpers import MODEL, motion

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.judge import Judge
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.selfcheck import SelfCheck, grid_steps
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.types import MIN_OUTCOMES, FitVerdict, SkeletonFrame
from aux_motion_core.wire.messages import MessageError, self_check_fields, self_check_from_message

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
HAND = INDEX["left_hand"]


def make(name="damped_pose", **config) -> Predictor:
    return Predictor(make_backend(name, MODEL), PredictorConfig(**config), "map")


def frame(t: float, people: dict[str, np.ndarray], status: int = JointStatus.OBSERVED) -> SkeletonFrame:
    n = len(people)
    x = np.stack(list(people.values())) if n else np.zeros((0, 20, 3))
    return SkeletonFrame(
        T0 + round(t * NS), "map", tuple(people), x, np.full((n, 20), status, np.uint8), np.ones((n, 20), np.float32)
    )


def even(t: float, place: float = 0.0) -> np.ndarray:
    """Walks straight on with 1 m/s."""
    return motion([0.0])[0] + np.array([t, place, 0.0])


def waving(t: float, place: float = 0.0) -> np.ndarray:
    """Goes to and fro at 1.2 Hz: who predicts even motion is always wrong."""
    return motion([0.0])[0] + np.array([0.15 * np.sin(2.4 * np.pi * t), place, 0.0])


def feed(predictor: Predictor, people_of, seconds: float, rate: float = 25.0, start: float = 0.0) -> float:
    for k in range(round(seconds * rate)):
        t = start + k / rate
        predictor.add(frame(t, people_of(t)))
        predictor.predict(T0 + round(t * NS))
    return start + seconds


@pytest.mark.parametrize("rate", [10.0, 25.0])
def test_errors_are_those_of_the_judge(rate):
    """The same figures as `Judge`, which was written apart from it, has."""
    p, zero = make("onnx", self_check_s=600.0), make("zero_velocity")
    judge = Judge(("model", "zero_velocity"))
    for k in range(round(4 * rate)):
        f = frame(k / rate, {"1": motion([k / rate])[0], "2": motion([k / rate], 1)[0] + (0.0, 2.0, 0.0)})
        p.add(f)
        zero.add(f)
        judge.take(f, {"model": p.predict(f.stamp_ns), "zero_velocity": zero.predict(f.stamp_ns)})
    verdict, fit = judge.verdict(), p.self_check.fit()
    for i, h in enumerate(p.self_check.horizons_s):
        row = verdict.mpjpe_mm[f"{h:.1f}"]
        assert 1e3 * fit.error_m[i] == pytest.approx(row["model"], rel=0.02)
        assert 1e3 * fit.holding_error_m[i] == pytest.approx(row["zero_velocity"], rel=0.02)
        assert fit.outcomes[i] == pytest.approx(verdict.samples[f"{h:.1f}"], rel=0.02)
    assert np.allclose(fit.unseen_share, 0.0)


def test_what_is_old_counts_less():
    p = make("constant_velocity", self_check_s=2.0)
    t = feed(p, lambda t: {"1": waving(t)}, 6.0)
    bad = p.self_check.fit().error_m[-1]
    feed(p, lambda s: {"1": even(s - t)}, 12.0, start=t)
    fit = p.self_check.fit()
    assert bad > 0.3 and fit.error_m[-1] < 0.02
    assert fit.outcomes[-1] == pytest.approx(2.0 * 25.0, rel=0.05), "as many as the time constant holds"


def test_joints_and_people_that_vanish_are_told_as_never_seen():
    p = make(self_check_s=600.0)

    def people(t):
        x = motion([t])[0]
        x[HAND] = np.nan if t > 4.0 else x[HAND]
        return {"1": x}

    feed(p, people, 8.0)
    share = p.self_check.fit().unseen_share
    # of the predictions that had the hand, the last second's did not meet it again
    assert share[-1] == pytest.approx((1.0 / 20.0) * 25.0 / p.self_check.fit().outcomes[-1], rel=0.3)
    before = share[-1]
    p.predict(T0 + round(9.5 * NS))  # perhaps only late
    assert p.self_check.fit().unseen_share[-1] == share[-1]
    p.predict(T0 + round(11.5 * NS))
    gone = p.self_check.fit()
    assert gone.unseen_share[-1] > before + 0.05, "nobody was seen where the last second's predictions were"
    assert gone.error_m[-1] == pytest.approx(p.self_check.fit().error_m[-1])


def test_a_stream_that_is_always_late_is_judged_too():
    p = make()
    for k in range(100):
        p.add(frame(k / 25, {"1": even(k / 25)}))
        p.predict(T0 + round((k / 25 + 1.2) * NS))
    fit = p.self_check.fit()
    assert fit.outcomes[-1] > 40.0 and fit.unseen_share[-1] == 0.0


def test_what_the_tracker_guesses_is_no_outcome():
    p = make()
    for k in range(100):
        p.add(frame(k / 25, {"1": even(k / 25)}, JointStatus.TRACKER_PREDICTED if k > 25 else JointStatus.OBSERVED))
        p.predict(T0 + round(k / 25 * NS))
    fit = p.self_check.fit()
    assert fit.outcomes[-1] < 1.0 and fit.unseen_share[-1] > 0.9


def test_jitter_is_what_changes_from_prediction_to_prediction():
    rng = np.random.default_rng(0)
    calm, noisy = make("constant_velocity"), make("constant_velocity")
    feed(calm, lambda t: {"1": even(t)}, 3.0)
    feed(noisy, lambda t: {"1": even(t) + rng.normal(0.0, 0.01, (20, 3))}, 3.0)
    assert calm.self_check.fit().jitter_m.max() < 1e-3
    assert (noisy.self_check.fit().jitter_m > 0.02).all()


def test_each_person_has_figures_of_its_own():
    p = make("constant_velocity")
    feed(p, lambda t: {"even": even(t), "waving": waving(t, 2.0)}, 5.0)
    report = p.fit(T0 + 5 * NS)
    assert set(report.people) == {"even", "waving"}
    assert report.people["even"].error_m[-1] < 0.02 < 0.3 < report.people["waving"].error_m[-1]
    assert report.people["even"].error_m[-1] < report.overall.error_m[-1] < report.people["waving"].error_m[-1]
    assert report.people["even"].outcomes[-1] > MIN_OUTCOMES


def test_a_model_that_does_not_fit_is_said_after_a_while_and_not_for_ever():
    p = make("constant_velocity", self_check_s=3.0)
    said = []
    for k in range(500):
        t = k / 25
        p.add(frame(t, {"1": waving(t) if t < 9.0 else waving(9.0) + np.array([t - 9.0, 0.0, 0.0])}))
        p.predict(T0 + round(t * NS))
        if k % 25 == 0:
            said.append(p.fit(T0 + round(t * NS)).verdict)
    assert said[0] is FitVerdict.UNKNOWN
    first = said.index(FitVerdict.DOES_NOT_FIT)
    assert 4 <= first <= 7 and FitVerdict.FITS in said[:first], "it must be worse for a while"
    assert said[-1] is FitVerdict.FITS


def test_the_remark_is_one_line_with_figures_and_a_remedy():
    p = make("constant_velocity")
    assert make(self_check_s=0.0).fit(T0) is None
    t = feed(p, lambda t: {"1": waving(t)}, 5.0)
    assert p.fit(T0 + round(t * NS)).remark() == ""
    line = p.fit(T0 + round((t + 3.0) * NS)).remark()
    assert "\n" not in line and "the model does not fit" in line and "holding the pose is" in line and "mix" in line


def test_people_who_stand_in_a_noisy_tracker_are_no_reason_to_warn():
    p, rng = make("onnx"), np.random.default_rng(0)
    verdicts = set()
    for k in range(200):
        p.add(frame(k / 25, {"1": motion([0.0])[0] + rng.normal(0.0, 0.015, (20, 3))}))
        p.predict(T0 + round(k / 25 * NS))
        verdicts.add(p.fit(T0 + round(k / 25 * NS)).verdict)
    assert verdicts == {FitVerdict.UNKNOWN, FitVerdict.FITS}


def test_stamps_that_jump_back_forget_what_was_under_way():
    p = make("constant_velocity")
    feed(p, lambda t: {"1": even(t)}, 3.0, start=100.0)
    good = p.self_check.fit().error_m[-1]
    feed(p, lambda t: {"1": even(t) + np.array([0.0, 7.0, 0.0])}, 3.0)
    assert p.self_check.fit().error_m[-1] < good + 0.01


def test_rows_are_used_again():
    p = make("zero_velocity", lost_after_s=0.4, absent_hold_s=0.1)
    for k in range(20):
        feed(p, lambda t, k=k: {f"p{k}": even(0.0, 3.0 * (k % 2))}, 0.4, start=0.8 * k)
    assert p.people.known and all(person.row < 8 for person in p.people.known.values())
    assert np.isfinite(p.self_check.fit().jitter_m).all()


def test_a_shorter_grid_has_the_horizons_that_it_reaches():
    assert list(grid_steps(0.04, 25)) == [4, 9, 14, 19, 24]
    assert list(grid_steps(0.04, 12)) == [4, 9]
    assert list(grid_steps(0.04, 3)) == [2]
    assert list(SelfCheck(0.1, 10).steps) == [1, 3, 5, 7, 9]


def test_turned_off_it_costs_and_says_nothing():
    p = make(self_check_s=0.0)
    feed(p, lambda t: {"1": even(t)}, 1.0)
    assert p.self_check is None and p.fit(T0) is None


def message(fields: dict) -> SimpleNamespace:
    header = fields["header"]
    stamp = SimpleNamespace(**header["stamp"])
    return SimpleNamespace(**{**fields, "header": SimpleNamespace(stamp=stamp, frame_id=header["frame_id"])})


@pytest.mark.parametrize("mix", [False, True])
def test_a_report_survives_the_wire(mix):
    p = make("damped_pose", mix=mix)
    feed(p, lambda t: {"a": even(t), "b": waving(t, 2.0)}, 3.0)
    report = p.fit(T0 + 3 * NS)
    back = self_check_from_message(message(self_check_fields(report)))
    assert (back.stamp_ns, back.verdict, back.members) == (report.stamp_ns, report.verdict, report.members)
    assert np.allclose(back.horizons_s, [0.2, 0.4, 0.6, 0.8, 1.0])
    for sent, came in ((report.overall, back.overall), *((report.people[i], back.people[i]) for i in "ab")):
        for name in ("error_m", "holding_error_m", "jitter_m", "unseen_share", "outcomes"):
            assert np.allclose(getattr(sent, name), getattr(came, name), equal_nan=True, rtol=1e-5)
    if mix:
        assert back.people["a"].weights.shape == (5, 5) and np.allclose(back.people["a"].weights.sum(-1), 1.0)
    else:
        assert back.people["a"].weights is None


def test_nobody_and_nothing_known_survives_the_wire_too():
    report = make(mix=True).fit(T0)
    back = self_check_from_message(message(self_check_fields(report)))
    assert back.people == {} and back.verdict is FitVerdict.UNKNOWN and math.isnan(back.overall.error_m[0])


def test_a_message_whose_lengths_do_not_fit_is_refused():
    p = make()
    feed(p, lambda t: {"a": even(t)}, 1.0)
    fields = self_check_fields(p.fit(T0 + NS))
    with pytest.raises(MessageError, match="person_error_m has 4 values: expected 1 x 5"):
        self_check_from_message(message({**fields, "person_error_m": np.zeros(4, np.float32)}))
    with pytest.raises(MessageError, match="fit 7 is unknown"):
        self_check_from_message(message({**fields, "fit": 7}))
