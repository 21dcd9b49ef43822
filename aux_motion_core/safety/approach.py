# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""S_h by the speed at which each part of a body comes towards the robot, ISO/TS 15066:2016, 5.5.4.2.3.

There v_h is the person's directed speed towards the moving part of the robot, and where it is monitored the separation
must take account of how it may change. So every part of the body comes as fast as it is predicted to, and from then on
speeds up towards the robot with a given acceleration, up to the speed of somebody who is not monitored; who comes
faster than that keeps his speed. Who stands or leaves must turn and speed up first: that is what is gained.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.safety.capsules import nearest
from aux_motion_core.safety.occupancy import BoundKind, Occupancy


@dataclass(frozen=True)
class Approach:
    """Of each speed (N) and person (P) the part of body and robot that limits it most.

    Attributes:
        gap_m: (N, P) surface distance of the two, as the body was last seen.
        s_h_m: (N, P) what the part of the body may come nearer.
        segment: (N, P) index of the body's part.
        link: (N, P) index of the robot's.
        on_person: (N, P) places of the nearest points on the axes, 0 to 1.
        on_robot: the same on the robot's.
    """

    gap_m: np.ndarray
    s_h_m: np.ndarray
    segment: np.ndarray
    link: np.ndarray
    on_person: np.ndarray
    on_robot: np.ndarray

    def where(self) -> tuple[np.ndarray, ...]:
        """Segment, link, and the places on the axes, (N, P) each."""
        return self.segment, self.link, self.on_person, self.on_robot


def way_m(speed_mps: np.ndarray, limit_mps: float, acceleration_mps2: float, seconds: np.ndarray) -> np.ndarray:
    """How far somebody comes who speeds up towards the robot.

    Args:
        speed_mps: towards the robot at the beginning; negative: away from it.
        limit_mps: up to which it grows; who is faster keeps the speed.
        acceleration_mps2: greater than 0.
        seconds: for so long; broadcast against `speed_mps`.

    Returns:
        Metres, at least 0: nobody who leaves lets the robot come after him.
    """
    limit = np.maximum(speed_mps, limit_mps)
    speeding_s = np.minimum((limit - speed_mps) / acceleration_mps2, seconds)
    way = speed_mps * speeding_s + 0.5 * acceleration_mps2 * speeding_s**2 + limit * (seconds - speeding_s)
    return np.maximum(way, 0.0)


def approach(
    o: Occupancy,
    robot_ends: np.ndarray,
    robot_radius: np.ndarray,
    limit_mps: float,
    acceleration_mps2: float,
    seconds: np.ndarray,
) -> Approach:
    """What each person may come nearer, by the speed of each part of the body towards each part of the robot.

    Args:
        o: occupancy of P people, whose capsules move as predicted.
        robot_ends: (L, 2, 3) metres.
        robot_radius: (L,) metres.
        limit_mps: see `way_m`; of a person without a prediction the speed.
        acceleration_mps2: see `way_m`.
        seconds: (N, P) since each person was last seen until the robot stands.
    """
    people, groups, links = len(o.person_ids), o.body_radius.shape[1], len(robot_radius)
    axis, s, t = nearest(o.body_ends.reshape(-1, 2, 3).astype(np.float64), robot_ends)
    gap = (axis - o.body_radius.reshape(-1, 1) - robot_radius).reshape(people, groups * links)
    speed = _speeds(o, robot_ends, float(seconds.max(initial=0.0)), limit_mps).reshape(people, groups * links)
    s_h = way_m(speed, limit_mps, acceleration_mps2, seconds[..., None])  # (N, P, G L)
    worst = (gap - s_h).argmin(-1)  # (N, P)
    row = np.arange(people)
    places = s.reshape(gap.shape), t.reshape(gap.shape)
    return Approach(
        gap[row, worst],
        np.take_along_axis(s_h, worst[..., None], -1)[..., 0],
        worst // links,
        worst % links,
        places[0][row, worst],
        places[1][row, worst],
    )


def _speeds(o: Occupancy, robot_ends: np.ndarray, until_s: float, unknown_mps: float) -> np.ndarray:
    """(P, G, L) m/s: the largest mean speed at which a part of a body is predicted to come nearer to one of the robot.

    Somebody whose prediction is none (its bound is what can be reached) may come as fast as anybody.
    """
    count = int(np.clip(np.ceil(until_s / o.interval_s), 1, max(o.intervals - 1, 1)))
    ends = o.ends[:, : count + 1].astype(np.float64)
    people, steps, groups = ends.shape[:3]
    axis = nearest(ends.reshape(-1, 2, 3), robot_ends)[0].reshape(people, steps, groups, -1)
    if steps < 2:
        return np.full((people, groups, axis.shape[-1]), unknown_mps)
    passed_s = (np.arange(1, steps) * o.interval_s)[:, None, None]
    speed: np.ndarray = ((axis[:, :1] - axis[:, 1:]) / passed_s).max(1)
    known = np.isin(o.kind, (BoundKind.MARGINAL, BoundKind.SIMULTANEOUS, BoundKind.SEPARATION))[:, :steps].all((1, 2))
    speed[~known] = np.maximum(speed[~known], unknown_mps)
    return speed
