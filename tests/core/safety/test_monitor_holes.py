# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Ways in which the monitor was led to a speed that it must not allow."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.occupancy_helpers import NS
from support.separation_helpers import NOW, PRESENT, SWEPT, robot, settled, standing

from aux_motion_core.safety.separation import Monitor, SeparationConfig, SpeedReason


@pytest.mark.parametrize("config", [SWEPT, PRESENT], ids=["swept", "present"])
def test_a_clock_that_goes_back_makes_nobody_younger(config: SeparationConfig) -> None:
    """It went back by 0.29 s, 0.28 s after somebody was seen: the age began anew."""
    monitor, people = Monitor(robot(), config), standing(9.0)
    for k in range(28):
        passed_ns = k * NS // 50
        now_ns = NOW + passed_ns - (290_000_000 if passed_ns > 280_000_000 else 0)
        d = monitor.decide(now_ns, dataclasses.replace(people, stamp_ns=now_ns), robot().capsules())
        assert d.age_s >= passed_ns / NS - 0.021, (k, d.age_s)  # but for the way between two decisions


@pytest.mark.parametrize("changes", [{"body_radius": -5.0}, {"body_ends": np.inf}, {"body_radius": np.nan}])
def test_a_body_that_is_none_stops_the_robot_with_the_swept_occupancy_too(changes: dict[str, float]) -> None:
    """A negative radius of the body switched the rule beside who stands off."""
    o = standing(0.9)
    o = dataclasses.replace(o, kind=np.full_like(o.kind, 4))
    (name, value), *_ = changes.items()
    d = settled(Monitor(robot(), SWEPT), dataclasses.replace(o, **{name: np.full_like(getattr(o, name), value)}))
    assert d.reason is SpeedReason.BAD_DATA and d.allowed_speed_fraction == 0.0


def test_an_unknown_kind_of_bound_is_none() -> None:
    o = standing(9.0)
    d = settled(Monitor(robot(), SWEPT), dataclasses.replace(o, kind=np.full_like(o.kind, 200)))
    assert d.reason is SpeedReason.NO_BOUND and d.allowed_speed_fraction == 0.0


@pytest.mark.parametrize("config", [SWEPT, PRESENT], ids=["swept", "present"])
def test_coordinates_that_single_precision_cannot_tell_apart_stop_the_robot(config: SeparationConfig) -> None:
    """In a frame of map coordinates of the whole earth a capsule is a quarter of a metre elsewhere."""
    o = standing(9.0)
    away = np.float32(5e6)
    d = settled(Monitor(robot(), config), dataclasses.replace(o, ends=o.ends + away, body_ends=o.body_ends + away))
    assert d.reason is SpeedReason.BAD_DATA and "100 km" in d.reason_text
