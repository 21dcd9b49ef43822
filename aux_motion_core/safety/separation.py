# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Speed and separation monitoring by the terms of ISO/TS 15066:2016, 5.5.4.2.3. Not a certified safety function.

The protective separation distance is S_p = S_h + S_r + S_s + C + Z_d + Z_r. The robot may be as fast as the distance to
the nearest person still exceeds it. There are two formulations, and only one of them is used at a time:

- `present_body`: the distance to the body as it was last seen; S_h is what a person can do until the robot stands, Z_d
  the uncertainty of where the person is.
- `swept_occupancy`: the distance to everything that the person may occupy from the observation until the robot stands
  (age + T_r + T_s). That holds the person's motion and uncertainty already, so S_h = Z_d = 0. Beyond the last interval
  it grows with the reach speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aux_motion_core.safety.anthropometry import LARGEST_SCALE
from aux_motion_core.safety.approach import Approach, approach
from aux_motion_core.safety.capsules import maybe_nearest, nearest_pairs
from aux_motion_core.safety.occupancy import BoundKind, Occupancy
from aux_motion_core.safety.robot import Robot
from aux_motion_core.types import View

#: Who is predicted to move slower than this stands, m/s.
_STANDS_MPS = 0.3
#: Farther from the origin single precision, as it is on the wire, is no longer exact to a centimetre, metres.
_FARTHEST_M = 1e5
#: Speeds that are tried: hundredths.
_FRACTIONS = np.linspace(0.0, 1.0, 101)


class Formulation(IntEnum):
    """Wire values of `formulation`."""

    PRESENT_BODY = 0
    SWEPT_OCCUPANCY = 1


class SpeedReason(IntEnum):
    """Why the speed is what it is (wire values of `reason`)."""

    FREE = 0
    SLOWED = 1
    STOPPED = 2
    NO_PEOPLE_YET = 3
    PEOPLE_STALE = 4
    NO_ROBOT_YET = 5
    ROBOT_STALE = 6
    NO_BOUND = 7
    BAD_DATA = 8
    VIEW_INCOMPLETE = 9
    PUBLISHERS = 10


class SeparationConfig(BaseModel):
    """How the monitor decides."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    formulation: Literal["present_body", "swept_occupancy"] = Field(
        "swept_occupancy",
        description="present_body: distance to the body as last seen, with S_h and Z_d; swept_occupancy: distance to "
        "all that may be occupied until the robot stands, S_h = Z_d = 0.",
    )
    human_speed_mps: float = Field(
        1.6,
        ge=0.0,
        le=12.0,
        description="Speed of people in S_h (present_body): 1.6 m/s of ISO/TS 15066 where it is not monitored; "
        "2.0 m/s for the upper limbs within 0.5 m (ISO 13855).",
    )
    human_speed_from: Literal["fixed", "approach"] = Field(
        "fixed",
        description="S_h by human_speed_mps (fixed), or by the speed at which each part of a body comes towards the "
        "robot and what it may gain until the robot stands (approach): slows down less for who stands or leaves, and "
        "more for who runs.",
    )
    human_acceleration_mps2: float = Field(
        10.0,
        gt=0.0,
        le=100.0,
        description="How fast a part of a body speeds up towards the robot, up to human_speed_mps (approach).",
    )
    faster_than_fixed: bool = Field(
        False,
        description="With the separation bound (occupancy_bound: separation): whether the robot may be faster beside "
        "somebody who stands than present_body with human_speed_mps allows. Who stands may start to run: false.",
    )
    intrusion_m: float = Field(
        0.0, ge=0.0, le=2.0, description="C: how far a part of the body comes in before it is seen (ISO 13855)."
    )
    person_error_m: float = Field(
        0.05, ge=0.0, le=1.0, description="Z_d (present_body): uncertainty of where the tracker sees people."
    )
    people_timeout_s: float = Field(
        0.3,
        ge=0.02,
        le=5.0,
        description="The robot stands where the oldest input behind the occupancy (of all cameras) is older than this.",
    )
    robot_timeout_s: float = Field(
        0.2, ge=0.02, le=5.0, description="Robot poses older than this are stale: the robot stands."
    )
    hysteresis: float = Field(
        0.05, ge=0.0, le=0.5, description="The speed rises only when it may rise by more than this."
    )
    resume_after_s: float = Field(
        0.3,
        ge=0.0,
        le=30.0,
        description="The speed rises only after it has been allowed to for this time. It falls at once.",
    )
    rise_per_s: float = Field(
        1.0, gt=0.0, le=100.0, description="How fast the speed fraction rises, of full speed per second."
    )


# The terms, ISO/TS 15066:2016, 5.5.4.2.3


def person_motion_m(speed_mps: float, reaction_time_s: np.ndarray, stopping_time_s: np.ndarray) -> np.ndarray:
    """S_h, ISO/TS 15066 5.5.4.2.3: the person's way towards the robot until it stands, v_h (T_r + T_s)."""
    return speed_mps * (reaction_time_s + stopping_time_s)


def robot_reaction_m(speed_mps: np.ndarray, reaction_time_s: float) -> np.ndarray:
    """S_r, ISO/TS 15066 5.5.4.2.3: the robot's way towards the person until it starts to brake, v_r T_r."""
    return speed_mps * reaction_time_s


def robot_stopping_m(robot: Robot, fraction: np.ndarray) -> np.ndarray:
    """S_s, ISO/TS 15066 5.5.4.2.3: the robot's way while it brakes, from its stopping data."""
    return robot.stop(fraction)[1]


def intrusion_m(config: SeparationConfig) -> float:
    """C, ISO/TS 15066 5.5.4.2.3 and ISO 13855: what of a body is inside before it is detected."""
    return config.intrusion_m


def person_uncertainty_m(config: SeparationConfig) -> float:
    """Z_d, ISO/TS 15066 5.5.4.2.3: the uncertainty of the person's measured position."""
    return config.person_error_m


def robot_uncertainty_m(robot: Robot, age_s: float = 0.0) -> float:
    """Z_r, ISO/TS 15066 5.5.4.2.3: the uncertainty of the robot's position.

    Args:
        robot: how well its position is known, and its full speed.
        age_s: of its pose: since then it may have gone on at full speed, whatever is commanded now.
    """
    return robot.position_error_m + robot.max_speed_mps * age_s


@dataclass(frozen=True)
class Separation:
    """One decision; fields as in `aux_motion_msgs/SeparationStatus`."""

    formulation: Formulation
    reason: SpeedReason
    reason_text: str
    allowed_speed_fraction: float = 0.0
    minimum_distance_m: float = float("nan")
    protective_distance_m: float = float("nan")
    margin_m: float = float("nan")
    person_id: str = ""
    person_segment: str = ""
    robot_link: str = ""
    point_on_person_m: tuple[float, float, float] = (float("nan"),) * 3
    point_on_robot_m: tuple[float, float, float] = (float("nan"),) * 3
    s_h_m: float = float("nan")
    s_r_m: float = float("nan")
    s_s_m: float = float("nan")
    c_m: float = float("nan")
    z_d_m: float = float("nan")
    z_r_m: float = float("nan")
    reaction_time_s: float = float("nan")
    stopping_time_s: float = float("nan")
    considered_s: float = float("nan")
    beyond_horizon_s: float = 0.0
    age_s: float = float("nan")
    robot_speed_fraction: float = 0.0


@dataclass
class _Distances:
    """Of (P, K) steps in time: surface distance, and which capsules attain it."""

    metres: np.ndarray
    segment: np.ndarray
    link: np.ndarray
    on_person: np.ndarray  # places on the axes, 0 to 1
    on_robot: np.ndarray


def distances(ends: np.ndarray, radius: np.ndarray, robot_ends: np.ndarray, robot_radius: np.ndarray) -> _Distances:
    """Least distance between people's and the robot's capsules, of each person and interval.

    Args:
        ends: (P, K, G, 2, 3) metres.
        radius: (P, K, G) metres.
        robot_ends: (L, 2, 3) metres.
        robot_radius: (L,) metres.
    """
    people, steps, groups = radius.shape
    links = len(robot_radius)
    ends, radius = ends.reshape(-1, 2, 3).astype(np.float64), radius.reshape(-1).astype(np.float64)
    of, link = maybe_nearest(ends, radius, robot_ends, robot_radius, groups)
    axis, s, t = nearest_pairs(ends[of], robot_ends[link])
    gap = np.full((people * steps, groups * links), np.inf)
    place = of * links + link
    gap.reshape(-1)[place] = axis - radius[of] - robot_radius[link]
    best = gap.argmin(-1)
    # of the pairs in their order the one of each group that is nearest
    pick = np.searchsorted(place, best + np.arange(len(best)) * (groups * links))
    shape = (people, steps)
    return _Distances(
        gap[np.arange(len(best)), best].reshape(shape),
        (best // links).reshape(shape),
        (best % links).reshape(shape),
        s[pick].reshape(shape),
        t[pick].reshape(shape),
    )


def distance_until(o: Occupancy, metres: np.ndarray, until_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to what each person occupies until a time.

    Args:
        o: occupancy of P people.
        metres: (P, I) distance in each interval.
        until_s: (N, P) seconds after the person's stamp.

    Returns:
        (N, P) metres, the interval that attains it, and the seconds beyond the last one that may be used.
    """
    intervals = metres.shape[1]
    # after valid_until only the reach set is left
    valid = np.maximum((o.valid_until_ns - o.stamps_ns) * 1e-9, 0.0)
    usable = np.clip(np.floor(valid / o.interval_s + 1e-6), 1, intervals).astype(int)  # (P,)
    count = np.clip(np.ceil(until_s / o.interval_s - 1e-9), 1, usable).astype(int)
    least = np.minimum.accumulate(metres, 1)
    which = np.maximum.accumulate(np.where(metres <= least, np.arange(intervals), 0), 1)
    people = np.arange(len(metres))
    there, at = least[people, count - 1], which[people, count - 1]
    beyond = np.maximum(until_s - np.minimum(usable * o.interval_s, valid), 0.0)
    grown = metres[people, usable - 1] - o.reach_speed_mps * beyond
    farther = (beyond > 0.0) & (grown < there)
    return np.where(farther, grown, there), np.where(farther, usable - 1, at), beyond


class SpeedLimiter:
    """Hysteresis: the allowed speed falls at once, and rises late and slowly."""

    def __init__(self, config: SeparationConfig) -> None:
        self.config = config
        self.fraction = 0.0
        self._since_ns: int | None = None  # from when on it may rise
        self._last_ns: int | None = None

    def update(self, allowed: float, now_ns: int) -> float:
        """The speed fraction to command.

        Args:
            allowed: what the separation allows now; NaN counts as 0.
            now_ns: of a clock that does not jump back; where it does, the waiting starts again.
        """
        c = self.config
        last, self._last_ns = self._last_ns, now_ns
        if last is not None and now_ns < last:
            self._since_ns = last = None
        if not allowed > self.fraction:
            self.fraction, self._since_ns = (allowed if allowed == allowed else 0.0), None
            return self.fraction
        enough = allowed >= 1.0 or allowed - self.fraction > c.hysteresis
        if not enough:
            self._since_ns = None
            return self.fraction
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns >= c.resume_after_s * 1e9:
            elapsed_s = 0.0 if last is None else (now_ns - max(last, self._since_ns)) * 1e-9
            self.fraction = min(allowed, self.fraction + c.rise_per_s * elapsed_s)
        return self.fraction

    def stop(self, now_ns: int) -> None:
        """Nothing is known: stand."""
        self.update(0.0, now_ns)


@dataclass
class Monitor:
    """Decides how fast the robot may be.

    Args:
        robot: capsules and stopping data.
        config: formulation and margins.
    """

    robot: Robot
    config: SeparationConfig = field(default_factory=SeparationConfig)

    def __post_init__(self) -> None:
        self.limiter = SpeedLimiter(self.config)
        self._time_s = self.robot.stop(_FRACTIONS)[0]
        self._distance_m = robot_stopping_m(self.robot, _FRACTIONS)
        self._reaction_m = robot_reaction_m(_FRACTIONS * self.robot.max_speed_mps, self.robot.reaction_time_s)
        self._formulation = Formulation[self.config.formulation.upper()]
        self._known: dict[str, tuple[int, int]] = {}  # person id -> newest stamp, and when it was there first
        self._aged_ns: int | None = None  # time of the newest decision about people

    def refuse(self, reason: SpeedReason, text: str, now_ns: int) -> Separation:
        """Stand, because something is not known."""
        self.limiter.stop(now_ns)
        return Separation(self._formulation, reason, text)

    def refuse_people(self, now_ns: int, occupancy: Occupancy) -> Separation | None:
        """Stand where the occupancy or the input behind it is old, or the view is not complete; None: neither is so.

        The input's age counts, not only the message's: a heartbeat stamps old emptiness as new.
        """
        limit_s = self.config.people_timeout_s
        old_s = (now_ns - occupancy.stamp_ns) * 1e-9
        if abs(old_s) > limit_s:
            text = f"occupancy is {old_s:.2f} s old" if old_s > 0 else f"occupancy is {-old_s:.2f} s in the future"
            return self.refuse(SpeedReason.PEOPLE_STALE, f"{text}, limit {limit_s} s", now_ns)
        text = occupancy.view.refusal(now_ns, limit_s)
        if text:
            complete = occupancy.view.view is View.COMPLETE
            return self.refuse(SpeedReason.PEOPLE_STALE if complete else SpeedReason.VIEW_INCOMPLETE, text, now_ns)
        return None

    def decide(
        self,
        now_ns: int,
        occupancy: Occupancy | None,
        robot_capsules: tuple[np.ndarray, np.ndarray] | None,
        robot_speed_fraction: float | None = None,
        robot_age_s: float = 0.0,
    ) -> Separation:
        """The allowed speed at a time.

        Args:
            now_ns: the present, on the clock of the occupancy's stamps.
            occupancy: newest; None: there was none yet.
            robot_capsules: ends (L, 2, 3) and radii (L,) in the occupancy's frame; None: not known yet.
            robot_speed_fraction: the robot's present speed where it is measured; else what was commanded last.
            robot_age_s: of the robot's capsules; its way at full speed since then is in Z_r.

        Returns:
            The decision; its speed fraction is 0 for whatever is missing, old or no number.
        """
        if occupancy is None:
            return self.refuse(SpeedReason.NO_PEOPLE_YET, "no occupancy received yet", now_ns)
        refused = self.refuse_people(now_ns, occupancy)
        if refused is not None:
            return refused
        if robot_capsules is None:
            return self.refuse(SpeedReason.NO_ROBOT_YET, "no pose of the robot yet", now_ns)
        ends, radius = robot_capsules
        if not (np.isfinite(ends).all() and np.isfinite(radius).all() and np.isfinite(robot_age_s)):
            return self.refuse(SpeedReason.BAD_DATA, "the robot's capsules hold a number that is not finite", now_ns)
        if not len(radius) or (radius < 0.0).any():
            return self.refuse(SpeedReason.BAD_DATA, "the robot has no capsule, or one of negative radius", now_ns)
        wrong = occupancy.fault()
        if wrong:
            return self.refuse(SpeedReason.BAD_DATA, f"occupancy: {wrong}", now_ns)
        return self._decide(now_ns, occupancy, ends, radius, robot_speed_fraction, abs(robot_age_s))

    def _decide(
        self,
        now_ns: int,
        o: Occupancy,
        robot_ends: np.ndarray,
        robot_radius: np.ndarray,
        speed_fraction: float | None,
        robot_age_s: float,
    ) -> Separation:
        c = self.config
        swept = self._formulation is Formulation.SWEPT_OCCUPANCY
        ends, radius = (o.ends, o.radius) if swept else (o.body_ends[:, None], o.body_radius[:, None])
        unbounded = ((o.kind == BoundKind.NONE) | (o.kind > max(BoundKind))).any((1, 2))
        wrong = np.zeros(len(o.person_ids), bool)
        for some_ends, some_radius in ((o.ends, o.radius), (o.body_ends[:, None], o.body_radius[:, None])):
            sound = (np.isfinite(some_radius) & (some_radius >= 0.0)).all((1, 2))
            wrong |= ~((np.abs(some_ends) <= _FARTHEST_M).all((1, 2, 3, 4)) & sound)  # nor NaN
        giant = o.body_scale > LARGEST_SCALE
        unit = f"has limbs {np.nan_to_num(o.body_scale).max(initial=0.0):.0f} times those of people: check its unit"
        for bad, reason, what in (
            (giant, SpeedReason.BAD_DATA, unit),
            (unbounded, SpeedReason.NO_BOUND, "has no bound"),
            (wrong, SpeedReason.BAD_DATA, "has capsules that are not finite, of negative radius or beyond 100 km"),
        ):
            if bad.any():
                return self.refuse(reason, f"person {o.person_ids[int(np.argmax(bad))]!r} {what}", now_ns)

        age = self._ages(o.person_ids, o.stamps_ns if swept else o.last_observed_ns, now_ns)
        z_r = robot_uncertainty_m(self.robot, robot_age_s)
        until = age + self.robot.reaction_time_s + self._time_s[:, None]  # (101, P)
        shape = until.shape
        s_h, z_d = np.zeros(shape), 0.0 if swept else person_uncertainty_m(c)
        coming = None
        if not swept and len(age):
            s_h, coming = self._person_motion(o, robot_ends, robot_radius, until)
        others = self._reaction_m + self._distance_m + intrusion_m(c) + z_d + z_r  # (101,)
        needed = s_h + others[:, None]
        step, beyond = np.zeros(shape, int), np.zeros(shape)
        found = distances(ends, radius, robot_ends, robot_radius) if len(age) else None
        if found is None:
            there = np.zeros(shape)
        elif swept:
            there, step, beyond = distance_until(o, found.metres, until)
        else:
            there = np.broadcast_to(found.metres[:, 0], shape) if coming is None else coming.gap_m
        kept = there >= needed
        if swept and found is not None and not c.faster_than_fixed:
            still = (o.kind == BoundKind.SEPARATION).any((1, 2)) & _stands(o)
            if still.any():
                kept &= ~still | self._fixed_rule(o, robot_ends, robot_radius, others, now_ns)
        enough = kept.all(1)
        allowed = float(_FRACTIONS[max(int(np.argmin(enough)) - 1, 0)]) if not enough.all() else 1.0

        present = self.limiter.fraction if speed_fraction is None else speed_fraction
        present = float(np.clip(present, 0.0, 1.0)) if np.isfinite(present) else 1.0
        fraction = self.limiter.update(allowed, now_ns)
        if fraction <= 0.0:
            reason = SpeedReason.STOPPED
            text = "waits until the separation is kept" if allowed else "somebody is within the protective distance"
        elif fraction < 1.0:
            reason = SpeedReason.SLOWED
            text = "speeds up" if allowed > fraction + c.hysteresis else "limited by the separation"
        else:
            reason, text = SpeedReason.FREE, "the separation allows full speed"
        row = int(np.ceil(present * (len(_FRACTIONS) - 1) - 1e-9))
        decision = Separation(
            formulation=self._formulation,
            reason=reason,
            reason_text=text,
            allowed_speed_fraction=fraction,
            minimum_distance_m=float("inf"),
            protective_distance_m=float(others[row]),
            margin_m=float("inf"),
            s_h_m=0.0,
            s_r_m=float(self._reaction_m[row]),
            s_s_m=float(self._distance_m[row]),
            c_m=intrusion_m(c),
            z_d_m=z_d,
            z_r_m=z_r,
            reaction_time_s=self.robot.reaction_time_s,
            stopping_time_s=float(self._time_s[row]),
            robot_speed_fraction=present,
        )
        if found is None:
            return decision
        person = int(np.argmin(there[row]))
        k = int(step[row, person])
        if coming is not None:  # the pair that limits the speed, which need not be the nearest
            found = _Distances(coming.gap_m[row], *(v[row][:, None] for v in coming.where()))
        segment, link = int(found.segment[person, k]), int(found.link[person, k])
        on_person, on_robot = _surface_points(
            ends[person, k, segment].astype(float),
            float(radius[person, k, segment]),
            found.on_person[person, k],
            robot_ends[link],
            float(robot_radius[link]),
            found.on_robot[person, k],
        )
        return replace(
            decision,
            minimum_distance_m=float(there[row, person]),
            protective_distance_m=float(needed[row, person]),
            margin_m=float((there[row] - needed[row]).min()),
            person_id=o.person_ids[person],
            person_segment=o.segments[segment],
            robot_link=self.robot.link_names[link],
            point_on_person_m=on_person,
            point_on_robot_m=on_robot,
            s_h_m=float(s_h[row, person]),
            considered_s=float(until[row, person]),
            beyond_horizon_s=float(beyond[row, person]),
            age_s=float(age[person]),
        )

    def _fixed_rule(
        self,
        o: Occupancy,
        robot_ends: np.ndarray,
        robot_radius: np.ndarray,
        others_m: np.ndarray,
        now_ns: int,
    ) -> np.ndarray:
        """(101, P) whether the body as last seen is far enough at each speed, with S_h of `human_speed_mps` and Z_d."""
        c = self.config
        body = distances(o.body_ends[:, None], o.body_radius[:, None], robot_ends, robot_radius).metres[:, 0]
        since_s = (now_ns - np.minimum(o.last_observed_ns, now_ns)) * 1e-9
        until_s = since_s + self.robot.reaction_time_s + self._time_s[:, None]
        s_h, coming = self._person_motion(o, robot_ends, robot_radius, until_s)
        return (body if coming is None else coming.gap_m) >= s_h + others_m[:, None] + person_uncertainty_m(c)

    def _person_motion(
        self, o: Occupancy, robot_ends: np.ndarray, robot_radius: np.ndarray, until_s: np.ndarray
    ) -> tuple[np.ndarray, Approach | None]:
        """S_h (101, P), and the pairs of body and robot that it is of; None: of the nearest."""
        c = self.config
        if c.human_speed_from == "fixed":
            return person_motion_m(c.human_speed_mps, until_s, np.zeros(1)), None
        limits = c.human_speed_mps, c.human_acceleration_mps2
        coming = approach(o, robot_ends, robot_radius, *limits, until_s)
        return coming.s_h_m, coming

    def _ages(self, ids: tuple[str, ...], stamps_ns: np.ndarray, now_ns: int) -> np.ndarray:
        """Seconds since people were seen (P,): by the stamp, and no less than since the stamp was here first.

        A stamp that is ahead of the time would say that somebody is seen now for as long as it is ahead.
        """
        # a clock that goes back makes nobody younger
        back_ns = 0 if self._aged_ns is None else max(self._aged_ns - now_ns, 0)
        self._aged_ns = now_ns
        known: dict[str, tuple[int, int]] = {}
        for person_id, stamp_ns in zip(ids, stamps_ns.tolist()):
            before = self._known.get(person_id)
            if before is None or before[0] != stamp_ns:
                before = (stamp_ns, now_ns)
            else:
                # as old as it was by its stamp, too
                before = (stamp_ns, min(before[1], stamp_ns) - back_ns if back_ns else before[1])
            known[person_id] = before
        self._known = known
        first_ns = np.array([known[i][1] for i in ids], np.int64)
        return (now_ns - np.minimum(stamps_ns, first_ns)) * 1e-9


def _stands(o: Occupancy) -> np.ndarray:
    """(P,) whether the middle of a person's segments moves less than `_STANDS_MPS` over the occupancy's intervals."""
    span_s = max(o.interval_s * (o.intervals - 1), o.interval_s)
    way = np.linalg.norm((o.ends[:, -1] - o.ends[:, 0]).mean(2), axis=-1)  # (P, G) of the segments' middles
    return ~(np.median(way, axis=1) / span_s >= _STANDS_MPS)


def _surface_points(
    a: np.ndarray, a_radius: float, s: float, b: np.ndarray, b_radius: float, t: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Points of two capsules' surfaces on the line between the nearest points of their axes."""
    p, q = a[0] + s * (a[1] - a[0]), b[0] + t * (b[1] - b[0])
    towards = q - p
    length = float(np.linalg.norm(towards))
    towards = towards / length if length > 1e-9 else np.zeros(3)
    on_a, on_b = p + a_radius * towards, q - b_radius * towards
    return (on_a[0], on_a[1], on_a[2]), (on_b[0], on_b[1], on_b[2])
