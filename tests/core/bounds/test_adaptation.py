# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Radii widen where they do not hold, and tighten only as allowed."""

from __future__ import annotations

import numpy as np
import pytest

from aux_motion_core.bounds.adaptation import GAIN_PER_S, Adaptation
from aux_motion_core.skeleton import N_JOINTS

H, S, DT = np.array([4, 9, 14, 19, 24]), 25, 0.04
NS = 1_000_000_000


def run(
    a: Adaptation, error_m, seconds: float, rate: float = 25.0, seen=None, row: int = 0, start_s: float = 10.0
) -> None:
    """Outcomes of one person: `error_m(rng)` gives (20,) distances; every offline radius is 0.1 m."""
    rng = np.random.default_rng(3)
    radii = np.full((1, S, N_JOINTS), 0.1)
    for k in range(round(seconds * rate)):
        stamp = round((start_s + k / rate) * NS)
        factor, body = a.factors(np.array([row]))
        at = np.array([k % 10])
        a.predicted(np.array([row]), at, radii, radii * factor, 2 * radii, 2 * radii * body[:, None, None])
        good = np.ones((5, N_JOINTS), bool) if seen is None else np.tile(seen(rng), (5, 1))
        error = np.tile(error_m(rng), (5, 1))
        rows, had = np.full(5, row), np.ones((5, N_JOINTS), bool)
        a.learn(rows, np.repeat(at, 5), np.arange(5), np.full(5, stamp), error, good, had)


def calm(rng):
    """95 % within 0.1 m."""
    return rng.exponential(0.1 / np.log(20.0), N_JOINTS)


def wild(rng):
    return 3.0 * calm(rng)


def coverage(a: Adaptation, error_m, row: int = 0) -> float:
    rng = np.random.default_rng(9)
    radius = 0.1 * a.factors(np.array([row]))[0][0, 12]
    return float(np.mean([error_m(rng) <= radius for _ in range(2000)]))


def make(**options) -> Adaptation:
    a = Adaptation(0.95, H, DT, S, 10, **options)
    a.start(0)
    return a


def test_coverage_is_back_within_seconds_of_a_fall():
    a = make()
    run(a, calm, 5.0)
    before = coverage(a, wild)
    run(a, wild, 8.0, start_s=15.0)
    assert before < 0.75 and coverage(a, wild) > 0.9


def test_it_never_tightens_below_the_floor():
    a = make()
    run(a, lambda rng: np.zeros(N_JOINTS), 30.0)
    assert np.all(a.factors(np.array([0]))[0] == 1.0)
    allowed = make(floor=0.6)
    run(allowed, lambda rng: np.zeros(N_JOINTS), 2.0)
    few = allowed.factors(np.array([0]))[0]
    assert np.all((few < 1.0) & (few > 0.6))
    assert np.log(few).min() == pytest.approx(-2.0 * GAIN_PER_S * 0.05, rel=0.2)  # slowly: 0.05 of the widening's pace
    run(allowed, lambda rng: np.zeros(N_JOINTS), 60.0, start_s=20.0)
    assert np.allclose(allowed.factors(np.array([0]))[0], 0.6)


def test_a_joint_that_is_often_unseen_is_never_tightened_but_widened_with_the_body():
    rng = np.random.default_rng(0)

    def seen(_):
        return np.where(np.arange(N_JOINTS) == 7, rng.random(N_JOINTS) < 0.3, True)

    a = make(floor=0.5)
    run(a, lambda r: np.zeros(N_JOINTS), 20.0, seen=seen)
    factor = a.factors(np.array([0]))[0][0, 12]
    assert factor[7] > 0.9 and np.all(np.delete(factor, 7) < 0.6)  # what it lost, it lost before the share was known
    run(a, wild, 8.0, seen=lambda _: np.arange(N_JOINTS) != 7, start_s=40.0)
    assert a.factors(np.array([0]))[0][0, 12, 7] > 1.3


def test_shadow_counts_and_does_not_apply():
    a = make(learn=False)
    run(a, wild, 8.0)
    assert np.all(a.factors(np.array([0]))[0] == 1.0)
    real = a.realised()
    assert np.all(real.joints < 0.8) and real.outcomes[0] > 100 and real.body < 0.9


def test_realised_coverage_is_of_what_was_published():
    a = make()
    run(a, calm, 20.0)
    assert np.all(np.abs(a.realised(np.array([0])).joints - 0.95) < 0.03)
    assert np.isnan(make().realised().joints).all()


def test_a_row_that_another_person_gets_starts_anew():
    a = make()
    run(a, wild, 8.0)
    a.start(5)
    a.start(0)
    assert np.all(a.factors(np.array([0, 5]))[0] == 1.0) and np.isnan(a.realised(np.array([0])).joints).all()


def test_people_without_calibrated_radii_teach_nothing():
    a = make()
    nothing = np.full((1, S, N_JOINTS), np.nan)
    a.predicted(np.array([0]), np.array([0]), nothing, nothing, None, None)
    error, yes = np.full((1, N_JOINTS), 9.0), np.ones((1, N_JOINTS), bool)
    a.learn(np.array([0]), np.array([0]), np.array([2]), np.array([NS]), error, yes, yes)
    assert np.all(a.factors(np.array([0]))[0] == 1.0)


def test_slow_trackers_widen_as_fast_in_seconds():
    fast, slow = make(), make()
    run(fast, wild, 4.0, rate=25.0)
    run(slow, wild, 4.0, rate=8.0)
    a, b = (np.log(x.factors(np.array([0]))[0]).mean() for x in (fast, slow))
    assert b == pytest.approx(a, rel=0.35)


def test_the_short_way_at_the_floor_says_what_the_long_way_says():
    short, long = make(), make(floor=1.0 - 1e-12)  # below 1, every outcome goes the long way
    for seconds, error_m, start_s in ((3.0, lambda rng: 0.1 * calm(rng), 10.0), (2.0, wild, 13.0), (6.0, calm, 15.0)):
        for a in (short, long):
            run(a, error_m, seconds, start_s=start_s)
        for mine, other in zip(short.factors(np.array([0])), long.factors(np.array([0])), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-9)
        np.testing.assert_array_equal(short.realised().joints, long.realised().joints)
        assert short.realised().body == long.realised().body
    assert short.moved(np.array([0]))  # wild times were long enough


def test_radii_start_wide_until_anybodys_outcomes_hold_and_never_again():
    a = make(start=2.0)
    nobody = np.array([0])
    np.testing.assert_allclose(a.factors(nobody)[0], 2.0)
    run(a, lambda rng: 3.0 * calm(rng), 4.0)  # twice as wide is too narrow for these: it stays
    assert (a.factors(nobody)[0] >= 2.0).all()
    run(a, lambda rng: 0.1 * calm(rng), 4.0, row=0, start_s=14.0)
    a.start(1)
    assert (a.factors(np.array([1]))[0] < 1.3).all(), "somebody new starts where the tracker's people are by now"
    run(a, lambda rng: 0.1 * calm(rng), 4.0, start_s=18.0)
    a.start(2)
    assert (a.factors(np.array([2]))[0] == 1.0).all() and not a.moved(np.array([2]))
    hidden = make(start=2.0)
    run(hidden, lambda rng: 0.1 * calm(rng), 8.0, seen=lambda rng: np.arange(N_JOINTS) < 10)
    np.testing.assert_allclose(hidden.factors(nobody)[0], 1.0)  # a joint that is never seen does not stay wide for ever
    assert make().moved(nobody) is False


def test_without_a_start_nobody_is_widened_by_what_others_do():
    a = make(floor=0.6)
    a.start(1)
    run(a, lambda rng: 0.1 * calm(rng), 1.5)
    narrow = a.factors(np.array([0]))[0]
    run(a, wild, 3.0, row=1, start_s=11.5)
    assert (narrow < 1.0).all()
    np.testing.assert_array_equal(a.factors(np.array([0]))[0], narrow)
