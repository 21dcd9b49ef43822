# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""S_h by the speed towards the robot: less for who stands or leaves, more for who runs."""

from __future__ import annotations

import numpy as np
import pytest
from support.separation_helpers import PRESENT, QUICK, SWEPT, robot, settled, standing

from aux_motion_core.safety.approach import approach, way_m
from aux_motion_core.safety.occupancy import BoundKind
from aux_motion_core.safety.separation import Monitor, SeparationConfig, SpeedReason
from aux_motion_core.types import TrackState

TOWARDS = PRESENT.model_copy(update={"human_speed_from": "approach", "human_acceleration_mps2": 10.0})


def fraction(config, distance_m, speed_mps=0.0, **changes):
    return settled(Monitor(robot(), config), standing(distance_m, speed_mps, **changes)).allowed_speed_fraction


def test_the_way_by_hand():
    # from standing at 10 m/s2: 1.6 m/s after 0.16 s and 0.128 m; then 0.24 s at 1.6 m/s
    assert way_m(np.array(0.0), 1.6, 10.0, np.array(0.4)) == pytest.approx(0.128 + 0.24 * 1.6)
    assert way_m(np.array(1.6), 1.6, 10.0, np.array(0.4)) == pytest.approx(0.64)  # as the fixed rule
    assert way_m(np.array(3.0), 1.6, 10.0, np.array(0.4)) == pytest.approx(1.2)  # a runner keeps the speed
    assert way_m(np.array(-1.0), 1.6, 10.0, np.array(0.1)) == 0.0  # nobody who leaves lets it come after him
    assert way_m(np.array(-1.0), 1.6, 10.0, np.array(0.4)) == pytest.approx(-1.0 * 0.26 + 5 * 0.26**2 + 1.6 * 0.14)
    seconds = np.linspace(0.0, 1.0, 50)
    assert (np.diff(way_m(np.array(-0.7), 1.6, 10.0, seconds)) >= 0.0).all()


def test_it_slows_down_less_for_who_stands_and_leaves_and_more_for_who_runs():
    near = 0.75
    leaves, stands, comes = (fraction(TOWARDS, near, v) for v in (-1.2, 0.0, 1.6))
    fixed = fraction(PRESENT, near)
    assert leaves > stands > comes
    assert stands > fixed and comes == pytest.approx(fixed, abs=0.011)
    assert fraction(TOWARDS, 1.2, 3.0) < fraction(PRESENT, 1.2, 3.0)


def test_who_walks_past_is_not_who_comes():
    past = standing(0.75)
    shift = np.arange(past.intervals)[:, None, None, None] * np.array([0.0, 1.5 * past.interval_s, 0.0])
    past.ends[:] += shift.astype(past.ends.dtype)
    d = settled(Monitor(robot(), TOWARDS), past)
    assert d.allowed_speed_fraction > fraction(TOWARDS, 0.75, 1.5)


def test_the_terms_are_those_of_the_part_that_comes():
    d = settled(Monitor(robot(), TOWARDS), standing(2.0))
    assert d.reason is SpeedReason.FREE and d.z_d_m == 0.05
    assert d.s_h_m == pytest.approx(0.128 + 0.24 * 1.6, abs=0.02)
    assert d.protective_distance_m == pytest.approx(d.s_h_m + d.s_r_m + d.s_s_m + d.c_m + d.z_d_m + d.z_r_m)
    assert d.minimum_distance_m == pytest.approx(2.0, abs=0.02) and d.person_segment


@pytest.mark.parametrize("changes", [{"bound_m": None, "state": TrackState.STALE}, {"bound_m": None}])
def test_who_is_not_predicted_may_come_as_fast_as_anybody(changes):
    o = standing(0.75, **changes)
    assert (o.kind == BoundKind.REACH).all()
    assert settled(Monitor(robot(), TOWARDS), o).allowed_speed_fraction == pytest.approx(
        settled(Monitor(robot(), PRESENT), o).allowed_speed_fraction, abs=0.011
    )


def test_the_fixed_rule_beside_who_stands_takes_it_too():
    o = standing(0.75, bound_m=0.0)
    o.kind[:] = BoundKind.SEPARATION
    strict = SWEPT.model_copy(update={"human_speed_mps": 1.6})
    relative = strict.model_copy(update={"human_speed_from": "approach"})
    alone = strict.model_copy(update={"faster_than_fixed": True})
    allowed = [settled(Monitor(robot(), c), o).allowed_speed_fraction for c in (strict, relative, alone)]
    assert allowed[0] < allowed[1] < allowed[2]


def test_nobody_and_several():
    config = SeparationConfig(formulation="present_body", human_speed_from="approach", **QUICK)
    o = standing(1.0)
    found = approach(o, *robot().capsules(), 1.6, 10.0, np.full((101, 1), 0.4))
    assert found.gap_m.shape == found.s_h_m.shape == (101, 1)
    assert config.human_acceleration_mps2 > 0.0
