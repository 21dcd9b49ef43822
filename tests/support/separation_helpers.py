# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A robot's ball, somebody at a distance from it, and what a monitor says of them in the end."""

from __future__ import annotations

import dataclasses

import numpy as np

from aux_motion_core.safety import separation
from aux_motion_core.safety.occupancy import Occupancy
from aux_motion_core.safety.robot import Link, Robot, Stop
from aux_motion_core.safety.separation import Monitor, SeparationConfig
from aux_motion_core.skeleton import N_JOINTS
from support.occupancy_helpers import DT_S, NS, STEPS, build, person, walking

NOW = 5 * NS
QUICK = {"resume_after_s": 0.0, "rise_per_s": 100.0}
SWEPT = SeparationConfig(formulation="swept_occupancy", **QUICK)
PRESENT = SeparationConfig(formulation="present_body", human_speed_mps=1.6, person_error_m=0.05, **QUICK)


def robot(**changes: object) -> Robot:
    """A ball of 0.1 m at 1 m height that is as fast as 1 m/s."""
    values = {
        "max_speed_mps": 1.0,
        "reaction_time_s": 0.1,
        "stopping": (Stop(speed_fraction=1.0, time_s=0.3, distance_m=0.15),),
        "position_error_m": 0.01,
        "links": (Link(name="tool", ends_m=((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)), radius_m=0.1),),
    }
    return Robot(**{**values, **changes})


def standing(distance_m: float, speed_mps: float = 0.0, bound_m: float | None = 0.1, **changes: object) -> Occupancy:
    """Somebody so far from the robot's ball, surface to surface, who comes nearer at that speed."""
    pose = walking()[:1]
    here = build(person(np.repeat(pose, STEPS + 1, 0), radius=np.zeros((STEPS, N_JOINTS)), radius_basis="conformal"))
    monitor = Monitor(robot(), SeparationConfig(formulation="present_body"))
    shift = np.array([-100.0, 0.0, 0.0])
    for _ in range(50):  # along x until the distance is right
        ends = (here.body_ends[:, None] + shift).astype(float)
        gap = separation.distances(ends, here.body_radius[:, None], *monitor.robot.capsules()).metres[0, 0]
        shift[0] += gap - distance_m
    poses = pose + shift + np.array([speed_mps * DT_S, 0.0, 0.0]) * np.arange(STEPS + 1)[:, None, None]
    bound = {} if bound_m is None else {"body_radius": np.full((STEPS, N_JOINTS), bound_m), "body_coverage": 0.95}
    return build(person(poses, **{**bound, **changes}), max_acceleration_mps2=0.0)


def settled(monitor: Monitor, occupancy: Occupancy, now_ns: int = NOW, **kw: object):
    """The decision after the hysteresis had time."""
    for k in range(30):
        later = now_ns + k * NS // 25
        people = dataclasses.replace(
            occupancy,
            stamp_ns=occupancy.stamp_ns + later - now_ns,
            view=dataclasses.replace(occupancy.view, oldest_input_ns=occupancy.view.oldest_input_ns + later - now_ns),
            stamps_ns=occupancy.stamps_ns + later - now_ns,
            last_observed_ns=occupancy.last_observed_ns + later - now_ns,
            valid_until_ns=occupancy.valid_until_ns + later - now_ns,
        )
        decision = monitor.decide(later, people, monitor.robot.capsules(), **kw)
    return decision
