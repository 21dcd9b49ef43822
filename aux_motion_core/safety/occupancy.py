# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What space people may occupy: a capsule for each body segment and interval of the time ahead.

A capsule is all that is within `radius` of the line between two ends. Its radius is the thickness of the body
(`aux_motion_core.safety.anthropometry`), the bound of the prediction, and the motion inside the interval. The idea of
capsules over time intervals is that of SaRA (Schepp et al., "SaRA: A Tool for Safe Human-Robot Coexistence and
Collaboration through Reachability Analysis", ICRA 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from aux_motion_core.bounds.radii import equivalent_scale
from aux_motion_core.bounds.separation_bound import SeparationBound, SeparationBoundError
from aux_motion_core.history.limits import LIMB_SPAN_M
from aux_motion_core.safety.anthropometry import LARGEST_SCALE, SEGMENT_JOINTS, SEGMENTS, body, body_scale
from aux_motion_core.skeleton import BONES, N_JOINTS, JointStatus
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState, ViewReport
from aux_motion_core.wire.messages import (
    MessageError,
    array_of,
    ns_to_stamp,
    stamp_to_ns,
    view_fields,
    view_from_message,
)

_A, _B = SEGMENT_JOINTS.T
_GROUPS = len(SEGMENTS)
_AT_CONFIGURE: dict[str, Any] = {"at_configure": True}
#: With these the scale says nothing: the predictor's own bound is taken.
_STRANGE = (
    Reason.OUT_OF_DISTRIBUTION
    | Reason.OUTLIER_MASKED
    | Reason.DUPLICATE_ID
    | Reason.NOT_Z_UP
    | Reason.NON_FINITE_OUTPUT
)


class BoundKind(IntEnum):
    """What the bound in a capsule is (wire values of `kind`); the smaller one rules where several meet."""

    NONE = 0
    REACH = 1
    MARGINAL = 2
    SIMULTANEOUS = 3
    SEPARATION = 4


class OccupancyConfig(BaseModel):
    """How bodies become capsules. The node applies it at configure."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    occupancy_interval_s: float = Field(
        0.04,
        ge=0.01,
        le=1.0,
        description="Length of an interval of the occupancy, a multiple of the model's step (rounded). "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    occupancy_bound: Literal["simultaneous", "marginal", "separation"] = Field(
        "simultaneous",
        description="simultaneous: all joints hold together (else the marginal bound where there is none); marginal: "
        "each joint and time on its own, which is smaller and promises less; separation: calibrated for the distance "
        "to a robot (needs separation.json beside the model). Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    separation_level: float = Field(
        0.99,
        ge=0.5,
        le=0.999,
        description="Nominal coverage of the separation bound. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    anthropometry: Literal["ansur2_p50", "ansur2_p95", "ansur2_p99"] = Field(
        "ansur2_p99",
        description="Body thickness: percentile of ANSUR II, the larger one of men and women. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    clothing_m: float = Field(
        0.02,
        ge=0.0,
        le=0.3,
        description="Added to the body all round. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    hand_length_m: float = Field(
        0.0,
        ge=0.0,
        le=0.4,
        description="Wrist to fingertip; 0: that of the table. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    head_length_m: float = Field(
        0.0,
        ge=0.0,
        le=0.6,
        description="Base of the neck to the top of the head or helmet; 0: that of the table. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    foot_length_m: float = Field(
        0.0,
        ge=0.0,
        le=0.5,
        description="Heel to toe; 0: that of the table. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    carried_object_m: float = Field(
        0.0,
        ge=0.0,
        le=3.0,
        description="How far what people carry reaches beyond their hands. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    max_acceleration_mps2: float = Field(
        100.0,  # what the feet, knees and hands of the recordings need
        ge=0.0,
        le=1000.0,
        description="Of a joint: a path bends between two steps by at most this times step^2 / 8. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )


@dataclass(frozen=True)
class Occupancy:
    """Capsules of P people, I intervals and G segments. Interval k of person p starts at `stamp_ns[p] + k * interval`.

    Attributes:
        stamp_ns: when the prediction was made.
        frame_id: frame of all positions.
        interval_s: length of an interval.
        reach_speed_mps: growth beyond the last interval and after `valid_until_ns`.
        anthropometry: table of the thickness.
        segments: G names.
        person_ids: P.
        states: P `TrackState`.
        reasons: P `Reason`.
        stamps_ns: (P,) int64 start of interval 0.
        last_observed_ns: (P,) int64.
        valid_until_ns: (P,) int64.
        ends: (P, I, G, 2, 3) float32 metres.
        radius: (P, I, G) float32 metres.
        kind: (P, I, G) uint8 `BoundKind`.
        coverage: (P, I, G) float32 nominal coverage of the bound, NaN where it has none.
        body_ends: (P, G, 2, 3) float32 metres: the body at `last_observed_ns`.
        body_radius: (P, G) float32 metres: its thickness, and where it was not seen how far it may be from there.
        body_scale: (P,) float32, see `anthropometry.body_scale`.
        view: whether what is outside of all capsules may be called free.
        producer: who made it.
    """

    stamp_ns: int
    frame_id: str
    interval_s: float
    reach_speed_mps: float
    anthropometry: str
    segments: tuple[str, ...]
    person_ids: tuple[str, ...]
    states: tuple[TrackState, ...]
    reasons: tuple[Reason, ...]
    stamps_ns: np.ndarray
    last_observed_ns: np.ndarray
    valid_until_ns: np.ndarray
    ends: np.ndarray
    radius: np.ndarray
    kind: np.ndarray
    coverage: np.ndarray
    body_ends: np.ndarray
    body_radius: np.ndarray
    body_scale: np.ndarray
    view: ViewReport = field(default_factory=ViewReport)
    producer: str = ""

    @property
    def intervals(self) -> int:
        """I."""
        return self.ends.shape[1]

    def fault(self) -> str:
        """Why nothing can be concluded from these numbers, in one line; empty where they are as they must be."""
        if not 0.0 < self.interval_s < np.inf:
            return f"interval_s is {self.interval_s:g}, expected more than 0"
        if not 0.0 <= self.reach_speed_mps < np.inf:
            return f"reach_speed_mps is {self.reach_speed_mps:g}, expected 0 or more"
        if self.person_ids and not self.radius[0].size:
            return f"intervals are {self.intervals}, segments {len(self.segments)}, expected more than 0 of each"
        return ""


def unseen_distance(pose: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How far a joint that was not seen may be from where it is shown.

    Bones do not stretch: a joint is within the length of the bones between it and the nearest joint that was seen, and
    so is the place where it is shown; they differ by twice that at most, and by no more than limbs are long.

    Args:
        pose: (P, 20, 3) metres.
        seen: (P, 20) bool.

    Returns:
        (P, 20) metres, 0 for joints that were seen.
    """
    if seen.all():
        return np.zeros(seen.shape)
    bone = np.sqrt(np.einsum("pgc,pgc->gp", *(2 * [pose[:, _B] - pose[:, _A]])))
    path = np.where(seen, 0.0, np.inf).T.copy()  # along the bones to the nearest that was seen
    for i in range(len(BONES) - 1, -1, -1):
        parent, child = BONES[i]
        np.minimum(path[parent], path[child] + bone[i], out=path[parent])
    for i, (parent, child) in enumerate(BONES):
        np.minimum(path[child], path[parent] + bone[i], out=path[child])
    return np.minimum(2.0 * path, LIMB_SPAN_M).T


class OccupancyBuilder:
    """Turns batches of predictions into capsules.

    Args:
        config: thickness and intervals.
        reach_speed_mps: of the bound where a prediction carries none.
        separation: table for `occupancy_bound: separation`.
        tracker_error_m: added to the separation bound, which was calibrated on motion capture.

    Raises:
        SeparationBoundError: the table lacks the level.
    """

    def __init__(
        self,
        config: OccupancyConfig,
        reach_speed_mps: float = 2.0,
        separation: SeparationBound | None = None,
        tracker_error_m: float = 0.0,
    ) -> None:
        self._tracker_error_m = tracker_error_m
        self.config, self.reach_speed_mps = config, reach_speed_mps
        self._separation = separation if config.occupancy_bound == "separation" else None
        if config.occupancy_bound == "separation":
            if separation is None:
                raise SeparationBoundError("occupancy_bound is separation: expected its table, separation.json")
            separation.rows(config.separation_level)
        self._body = body(
            config.anthropometry,
            config.clothing_m,
            config.hand_length_m,
            config.head_length_m,
            config.foot_length_m,
            config.carried_object_m,
        )

    def build(self, batch: PredictionBatch) -> Occupancy:
        """Capsules of everybody in a batch.

        The bound is `body_radius` where there is one (all joints at once) and it is wanted, else `radius`, else
        everything within reach of the last pose. A bound or a mean that is not finite is replaced by the reach set,
        joint by joint.

        Args:
            batch: predictions of `body20`.
        """
        people, steps, dt_s = batch.people, batch.steps, batch.dt_s
        n = len(people)
        per = min(max(round(self.config.occupancy_interval_s / dt_s), 1), steps)
        intervals = steps // per
        if n == 0:
            return self._occupancy(batch, per, *self._empty(intervals))
        poses = np.empty((n, steps + 1, N_JOINTS, 3))
        bound = np.empty((n, steps + 1, N_JOINTS))
        base = np.empty(n, np.uint8)
        cover = np.full(n, np.nan, np.float32)
        together = self.config.occupancy_bound != "marginal"
        for i, person in enumerate(people):
            poses[i, 0], poses[i, 1:] = person.recovered, person.mean
            if self._separation is not None and _familiar(person):
                size = equivalent_scale(np.asarray(person.scale, np.float64))
                bound[i, 1:] = self._separation.radius(size, self.config.separation_level) + self._tracker_error_m
                base[i], cover[i] = BoundKind.SEPARATION, self.config.separation_level
            elif person.body_radius is not None and together:
                bound[i, 1:], base[i], cover[i] = person.body_radius, BoundKind.SIMULTANEOUS, person.body_coverage
            elif person.radius is not None:
                bound[i, 1:] = person.radius
                calibrated = not person.radius_basis.startswith("reach")
                base[i] = BoundKind.MARGINAL if calibrated else BoundKind.REACH
                cover[i] = person.radius_coverage
            else:
                bound[i, 1:], base[i] = np.nan, BoundKind.REACH
        bound[:, 0] = bound[:, 1]
        seen = np.stack([p.joint_status for p in people])
        seen = (seen == JointStatus.OBSERVED) | (seen == JointStatus.DERIVED)
        now = poses[:, 0]
        lost: np.ndarray = ~np.all(np.isfinite(now), axis=-1)
        whole = not lost.any()
        if not whole:
            seen &= ~lost
            now = _filled(now, lost)
            poses[:, 0] = now
        hidden = unseen_distance(now, seen)
        if not whole:
            hidden[lost] = LIMB_SPAN_M

        bad = ~(np.isfinite(bound) & (bound >= 0.0)) | ~np.isfinite(poses).all(-1)
        if bad.any():
            # from when they were seen: the steps of who is lost count from later
            since_s = np.array([max(p.stamp_ns - p.last_observed_ns, 0) for p in people]) * 1e-9
            passed_s = since_s[:, None, None] + dt_s * np.arange(steps + 1)[:, None]
            reach = self._reach_mps(batch) * passed_s + hidden[:, None]
            bound = np.where(bad, reach, bound)
            poses = np.where(bad[..., None], now[:, None], poses)

        first, last = poses[:, : intervals * per : per], poses[:, per : intervals * per + 1 : per]
        centre = 0.5 * (first + last)
        if per == 1:
            half = last - centre
            motion = np.sqrt(np.einsum("pijc,pijc->pij", half, half))
            limit = np.maximum(bound[:, :-1], bound[:, 1:])
        else:
            inside = per * np.arange(intervals)[:, None] + np.arange(per + 1)
            off = poses[:, inside] - centre[:, :, None]
            motion = np.sqrt(np.einsum("pisjc,pisjc->pisj", off, off).max(2))
            limit = bound[:, inside].max(2)
        # between two steps nobody says where the joint is: a path bends away from the line between them
        joint = limit + motion + self.config.max_acceleration_mps2 * dt_s**2 / 8.0

        scale = body_scale(now, seen)
        thickness = self._body.radii(poses, np.maximum(scale, 1.0))
        radius = np.maximum(joint[..., _A], joint[..., _B])
        radius += thickness[:, None]
        kind = np.broadcast_to(base[:, None, None], radius.shape)
        if bad.any():
            # as little as the least of its joints at any of its steps
            worse = np.maximum(bad[:, :-1], bad[:, 1:])[:, : intervals * per]
            worse = np.any(worse.reshape(n, intervals, per, N_JOINTS), axis=2)
            kind = np.where(worse[..., _A] | worse[..., _B], np.minimum(kind, BoundKind.REACH), kind)
        coverage = np.where(kind == BoundKind.REACH, np.float32(np.nan), cover[:, None, None])
        shown = np.where(base[:, None] >= BoundKind.MARGINAL, np.minimum(bound[:, 0], hidden), hidden)
        shown = np.where(seen, 0.0, shown)
        for i, person in enumerate(people):
            if person.reasons & Reason.OUTLIER_MASKED:  # the first bound holds where the tracker said they are, too
                away = poses[i, 1] - now[i]
                shown[i] = np.maximum(shown[i], np.sqrt((away * away).sum(-1)) + bound[i, 1])
        body_radius = thickness + np.maximum(shown[:, _A], shown[:, _B])
        giant = scale > LARGEST_SCALE
        if giant.any():  # where a skeleton in another unit is, nobody knows
            kind = np.where(giant[:, None, None], np.uint8(BoundKind.NONE), kind)
            coverage = np.where(giant[:, None, None], np.float32(np.nan), coverage)
        nowhere: np.ndarray = np.all(lost, axis=1)
        if nowhere.any():  # nothing is known about where they are: no capsule may look like something
            kind = np.where(nowhere[:, None, None], np.uint8(BoundKind.NONE), kind)
            radius[nowhere], body_radius[nowhere] = np.nan, np.nan
        return self._occupancy(
            batch, per, centre[:, :, SEGMENT_JOINTS], radius, kind, coverage, now[:, SEGMENT_JOINTS], body_radius, scale
        )

    def _reach_mps(self, batch: PredictionBatch) -> float:
        """The largest reach speed that the predictions themselves name or move at; at least the configured one."""
        named = {p.radius_basis for p in batch.people if p.radius_basis.startswith("reach:")}
        speeds = [float(basis.removeprefix("reach:").removesuffix("mps")) for basis in named]
        for p in batch.people:  # who is predicted to run does not walk after the last step
            way = np.asarray(p.mean[-1], float) - p.recovered
            way = np.sqrt((way * way).sum(-1))
            speeds.append(float(way.max(initial=0.0, where=np.isfinite(way))) / (batch.steps * batch.dt_s))
        return max([self.reach_speed_mps, *speeds])

    @staticmethod
    def _empty(intervals: int) -> tuple[np.ndarray, ...]:
        shape = (0, intervals, _GROUPS)
        return (
            np.zeros((*shape, 2, 3)),
            np.zeros(shape),
            np.zeros(shape, np.uint8),
            np.zeros(shape),
            np.zeros((0, _GROUPS, 2, 3)),
            np.zeros((0, _GROUPS)),
            np.zeros(0),
        )

    def _occupancy(self, batch: PredictionBatch, per: int, *arrays: np.ndarray) -> Occupancy:
        ends, radius, kind, coverage, body_ends, body_radius, scale = arrays
        people = batch.people
        return Occupancy(
            stamp_ns=batch.stamp_ns,
            frame_id=batch.frame_id,
            interval_s=per * batch.dt_s,
            reach_speed_mps=self._reach_mps(batch),
            anthropometry=self._body.name,
            segments=SEGMENTS,
            person_ids=tuple(p.person_id for p in people),
            states=tuple(p.state for p in people),
            reasons=tuple(p.reasons for p in people),
            stamps_ns=np.array([p.stamp_ns for p in people], np.int64),
            last_observed_ns=np.array([p.last_observed_ns for p in people], np.int64),
            valid_until_ns=np.array([p.valid_until_ns for p in people], np.int64),
            ends=ends.astype(np.float32),
            radius=radius.astype(np.float32),
            kind=kind.astype(np.uint8),
            coverage=coverage.astype(np.float32),
            body_ends=body_ends.astype(np.float32),
            body_radius=body_radius.astype(np.float32),
            body_scale=scale.astype(np.float32),
            view=batch.view,
        )


def _familiar(person: MotionPrediction) -> bool:
    """Whether a person's scale may be believed: predicted from input like that of the calibration."""
    tracked = person.state in (TrackState.TRACKING, TrackState.DEGRADED)
    return tracked and person.scale is not None and not person.reasons & _STRANGE


def _filled(pose: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """(P, 20, 3) with joints that are not finite put at the middle of the others, or left where none is."""
    count = (~lost).sum(1)
    middle = np.where(lost[..., None], 0.0, pose).sum(1) / np.maximum(count, 1)[:, None]
    return np.where(lost[..., None], middle[:, None], pose)


# On the wire


def _flat(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(-1)


def occupancy_fields(occupancy: Occupancy) -> dict[str, Any]:
    """Fields of an `OccupancyArray`: nested dict, arrays flat and in wire type; `people` a list of dicts."""
    o = occupancy
    return {
        "header": {"stamp": ns_to_stamp(o.stamp_ns), "frame_id": o.frame_id},
        "segment_names": list(o.segments),
        "intervals": o.intervals,
        "interval_s": float(o.interval_s),
        "reach_speed_mps": float(o.reach_speed_mps),
        "anthropometry": o.anthropometry,
        "producer": o.producer,
        "people": [
            {
                "id": o.person_ids[i],
                "state": int(o.states[i]),
                "reasons": int(o.reasons[i]),
                "stamp": ns_to_stamp(int(o.stamps_ns[i])),
                "last_observed": ns_to_stamp(int(o.last_observed_ns[i])),
                "age_s": (o.stamp_ns - int(o.last_observed_ns[i])) * 1e-9,
                "valid_until": ns_to_stamp(int(o.valid_until_ns[i])),
                "ends": _flat(o.ends[i]),
                "radius": _flat(o.radius[i]),
                "kind": _flat(o.kind[i]),
                "coverage": _flat(o.coverage[i]),
                "body_ends": _flat(o.body_ends[i]),
                "body_radius": _flat(o.body_radius[i]),
                "body_scale": float(o.body_scale[i]),
            }
            for i in range(len(o.person_ids))
        ],
        **view_fields(o.view),
    }


def occupancy_from_message(msg: Any) -> Occupancy:
    """An `OccupancyArray` of rclpy or rosbags as an `Occupancy`.

    Raises:
        MessageError: lengths that do not fit intervals and segments, unknown states, an interval or a reach speed that
            is none.
    """
    n, intervals, groups = len(msg.people), int(msg.intervals), len(msg.segment_names)
    shape = (intervals, groups)
    for p in msg.people:
        if int(p.state) > max(TrackState):
            raise MessageError(f"state {int(p.state)} is unknown: expected 0 to {int(max(TrackState))}")

    def stacked(name: str, each: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
        if not n:
            return np.zeros((0, *each), dtype)
        return np.stack([array_of(p, name, each, dtype) for p in msg.people])

    occupancy = Occupancy(
        stamp_ns=stamp_to_ns(msg.header.stamp),
        frame_id=str(msg.header.frame_id),
        interval_s=round(float(msg.interval_s), 6),  # float32 on the wire
        reach_speed_mps=float(msg.reach_speed_mps),
        anthropometry=str(msg.anthropometry),
        producer=str(getattr(msg, "producer", "")),  # recordings of older versions lack it
        segments=tuple(str(s) for s in msg.segment_names),
        person_ids=tuple(str(p.id) for p in msg.people),
        states=tuple(TrackState(int(p.state)) for p in msg.people),
        reasons=tuple(Reason(int(p.reasons)) for p in msg.people),
        stamps_ns=np.array([stamp_to_ns(p.stamp) for p in msg.people], np.int64),
        last_observed_ns=np.array([stamp_to_ns(p.last_observed) for p in msg.people], np.int64),
        valid_until_ns=np.array([stamp_to_ns(p.valid_until) for p in msg.people], np.int64),
        ends=stacked("ends", (*shape, 2, 3)),
        radius=stacked("radius", shape),
        kind=stacked("kind", shape, np.uint8),
        coverage=stacked("coverage", shape),
        body_ends=stacked("body_ends", (groups, 2, 3)),
        body_radius=stacked("body_radius", (groups,)),
        body_scale=np.array([float(p.body_scale) for p in msg.people], np.float32),
        view=view_from_message(msg),
    )
    wrong = occupancy.fault()
    if wrong:
        raise MessageError(wrong)
    return occupancy
