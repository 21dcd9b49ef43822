# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Between wire messages and the types of this package, without ROS.

Everything here is duck typed: a message may come from rclpy, from rosbags or be any object with the
attributes of `aux_motion_msgs`. What leaves (`frame_fields`, `prediction_fields`) are nested dicts of plain
values and flat numpy arrays in wire layout, which every writer (rclpy, bags) turns into its own messages.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from typing import Any

import numpy as np

from aux_motion_core.arrays import every
from aux_motion_core.constants import NS
from aux_motion_core.skeleton import INDEX, JOINTS, MISSING, N_JOINTS, OBSERVED, JointStatus
from aux_motion_core.types import (
    Fit,
    FitVerdict,
    Learning,
    MotionPrediction,
    PredictionBatch,
    Reason,
    SelfCheckReport,
    SkeletonFrame,
    TrackState,
    View,
    ViewReason,
    ViewReport,
)

_LAST_STATUS = int(max(JointStatus))


class MessageError(ValueError):
    """A message that cannot be used, in one line: expected, came, what to do."""


def stamp_to_ns(stamp: Any) -> int:
    """Nanoseconds of a `builtin_interfaces/Time` (attributes `sec`, `nanosec`)."""
    return int(stamp.sec) * NS + int(stamp.nanosec)


def ns_to_stamp(ns: int) -> dict[str, int]:
    """Fields of a `builtin_interfaces/Time` for a time in nanoseconds."""
    sec, nanosec = divmod(int(ns), NS)
    return {"sec": sec, "nanosec": nanosec}


@lru_cache(maxsize=64)
def joint_columns(names: tuple[str, ...]) -> np.ndarray:
    """Column in `body20` of each of a message's joints.

    Args:
        names: joint names of the message, any order, `body20` or a subset of it.

    Returns:
        (len(names),) int64.

    Raises:
        MessageError: unknown or repeated names, or none at all.
    """
    unknown = [n for n in names if n not in INDEX]
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (" ..." if len(unknown) > 5 else "")
        raise MessageError(
            f"unknown joint names {shown}: expected names of body20 ({', '.join(JOINTS[:4])}, ...); "
            "map the tracker's joints with aux_motion_core.trackers.joint_maps"
        )
    repeated = [n for n, count in Counter(names).items() if count > 1]
    if repeated:
        raise MessageError(f"joint names {', '.join(map(repr, repeated[:5]))} repeat: send each once")
    columns = np.array([INDEX[n] for n in names], dtype=np.int64)
    columns.setflags(write=False)
    return columns


def array_of(msg: Any, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The field as an array of that shape.

    Raises:
        MessageError: it has another number of values.
    """
    flat = _flat_field(msg, name, dtype)
    return _reshaped(flat, name, shape, optional=False)


def _optional(msg: Any, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray | None:
    if not len(getattr(msg, name)):
        return None
    return _reshaped(_flat_field(msg, name, dtype), name, shape, optional=True)


def _flat_field(msg: Any, name: str, dtype: Any) -> np.ndarray:
    values = getattr(msg, name)
    if isinstance(values, (bytes, bytearray)):
        values = np.frombuffer(values, np.uint8)
    return np.asarray(values, dtype=dtype).reshape(-1)


def _reshaped(flat: np.ndarray, name: str, shape: tuple[int, ...], optional: bool) -> np.ndarray:
    expected = math.prod(shape)
    if flat.size != expected:
        sizes = " x ".join(map(str, shape))
        raise MessageError(
            f"field {name} has {flat.size} values: expected {sizes} = {expected} (people x joints [x values])"
            f"{', or none at all' if optional else ''}; check person_ids and joint_names of the same message"
        )
    return flat.reshape(shape)


def frame_from_message(msg: Any) -> SkeletonFrame:
    """A `SkeletonArray` as a `SkeletonFrame`.

    A joint counts as missing when it has a NaN or infinite coordinate, status MISSING, confidence 0, or no
    column in the message.

    Args:
        msg: an `aux_motion_msgs/SkeletonArray` of rclpy or rosbags.

    Returns:
        Frame that shares no memory with the message; missing joints hold NaN.

    Raises:
        MessageError: unknown or repeated joint names, lengths that do not fit, unknown status values.
    """
    ids = tuple(str(i) for i in msg.person_ids)
    names = tuple(msg.joint_names)
    columns = joint_columns(names)
    people, joints = len(ids), len(columns)
    if people and not joints:
        raise MessageError("joint_names is empty: expected names of body20 or a subset of them")
    position = array_of(msg, "positions", (people, joints, 3), np.float32)
    status = _optional(msg, "joint_status", (people, joints), np.uint8)
    confidence = _optional(msg, "confidence", (people, joints), np.float32)
    covariance = _optional(msg, "covariance", (people, joints, 6), np.float32)

    if status is None:
        status = np.full((people, joints), OBSERVED, dtype=np.uint8)
    elif status.size and int(status.max()) > _LAST_STATUS:
        raise MessageError(f"joint_status {int(status.max())} is unknown: expected 0 to {_LAST_STATUS}")
    if confidence is None:
        confidence = np.ones((people, joints), np.float32)
    else:
        confidence = np.fmin(np.fmax(confidence, 0.0), 1.0)  # NaN: not seen
    finite = np.isfinite(position)
    if every(finite) and every(status) and every(confidence):
        seen = None  # all of it
        position, status = position.astype(np.float64), status.copy()
    else:
        seen = finite.all(axis=-1) & (status != MISSING) & (confidence > 0.0)
        position = np.where(seen[..., None], position, np.nan).astype(np.float64)
        status, confidence = status * seen, np.where(seen, confidence, np.float32(0.0))
    if names == JOINTS:
        out_position, out_status, out_confidence = position, status, confidence
    else:
        out_position = np.full((people, N_JOINTS, 3), np.nan)
        out_status = np.zeros((people, N_JOINTS), np.uint8)
        out_confidence = np.zeros((people, N_JOINTS), np.float32)
        out_position[:, columns], out_status[:, columns], out_confidence[:, columns] = position, status, confidence
    out_covariance = None
    if covariance is not None:
        out_covariance = np.full((people, N_JOINTS, 6), np.nan, np.float32)
        out_covariance[:, columns] = covariance if seen is None else np.where(seen[..., None], covariance, np.nan)
    return SkeletonFrame(
        stamp_ns=stamp_to_ns(msg.header.stamp),
        frame_id=str(msg.header.frame_id),
        person_ids=ids,
        positions=out_position,
        status=out_status,
        confidence=out_confidence,
        covariance=out_covariance,
    )


def _flat(values: Any, dtype: Any) -> np.ndarray:
    return np.empty(0, dtype) if values is None else np.ascontiguousarray(values, dtype=dtype).reshape(-1)


def frame_fields(frame: SkeletonFrame) -> dict[str, Any]:
    """Fields of a `SkeletonArray`: all joints of `body20`, missing ones NaN with confidence 0.

    Args:
        frame: P people.

    Returns:
        Nested dict with the names of the message's fields; arrays flat and in wire type.
    """
    seen = (np.asarray(frame.status) != MISSING) & np.isfinite(frame.positions).all(axis=-1)
    covariance = None if frame.covariance is None else np.where(seen[..., None], frame.covariance, np.nan)
    return {
        "header": {"stamp": ns_to_stamp(frame.stamp_ns), "frame_id": frame.frame_id},
        "joint_names": list(JOINTS),
        "person_ids": list(frame.person_ids),
        "positions": _flat(np.where(seen[..., None], frame.positions, np.nan), np.float32),
        "confidence": _flat(np.where(seen, frame.confidence, 0.0), np.float32),
        "joint_status": _flat(np.where(seen, frame.status, MISSING), np.uint8),
        "covariance": _flat(covariance, np.float32),
    }


def person_fields(person: MotionPrediction) -> dict[str, Any]:
    """Fields of one `PersonPrediction`, arrays flat and in wire type (see `prediction_fields`)."""
    return {
        "id": person.person_id,
        "state": int(person.state),
        "reasons": int(person.reasons),
        "stamp": ns_to_stamp(person.stamp_ns),
        "last_observed": ns_to_stamp(person.last_observed_ns),
        "age_s": float(person.age_s),
        "valid_until": ns_to_stamp(person.valid_until_ns),
        "mean": _flat(person.mean, np.float32),
        "scale": _flat(person.scale, np.float32),
        "radius": _flat(person.radius, np.float32),
        "radius_basis": person.radius_basis,
        "radius_coverage": float(person.radius_coverage),
        "joint_status": _flat(person.joint_status, np.uint8),
        "recovered": _flat(person.recovered, np.float32),
        "body_radius": _flat(person.body_radius, np.float32),
        "body_coverage": float(person.body_coverage),
    }


def view_fields(view: ViewReport) -> dict[str, Any]:
    """Fields that say how complete a view is, of `PredictionArray` and `OccupancyArray` alike."""
    return {
        "view": int(view.view),
        "view_reasons": int(view.reasons),
        "oldest_input": ns_to_stamp(max(view.oldest_input_ns, 0)),
        "unplaced_people": int(view.unplaced_people),
    }


def view_from_message(msg: Any) -> ViewReport:
    """How complete the view of a `PredictionArray` or `OccupancyArray` is.

    UNKNOWN where the message has no such field (recordings of older versions) or a value that is none.
    """
    value = int(getattr(msg, "view", View.UNKNOWN))
    if value not in (View.INCOMPLETE, View.COMPLETE):
        return ViewReport()
    return ViewReport(
        View(value), ViewReason(int(msg.view_reasons)), stamp_to_ns(msg.oldest_input), int(msg.unplaced_people)
    )


def prediction_fields(batch: PredictionBatch) -> dict[str, Any]:
    """Fields of a `PredictionArray`.

    Args:
        batch: every known person.

    Returns:
        Nested dict with the names of the message's fields; arrays flat; `people` a list of dicts.
    """
    return {
        "header": {"stamp": ns_to_stamp(batch.stamp_ns), "frame_id": batch.frame_id},
        "model_name": batch.model_name,
        "model_version": batch.model_version,
        "joint_names": list(batch.joint_names),
        "steps": int(batch.steps),
        "dt_s": float(batch.dt_s),
        "processing_time_s": float(batch.processing_time_s),
        "people": [person_fields(p) for p in batch.people],
        **view_fields(batch.view),
    }


#: Fields of a `SelfCheck` of all people; those of each person are called `person_` and the same.
_FIT_FIELDS = ("error_m", "holding_error_m", "jitter_m", "unseen_share", "outcomes")


def self_check_fields(report: SelfCheckReport) -> dict[str, Any]:
    """Fields of a `SelfCheck`.

    Args:
        report: of the predictor, `Predictor.fit`.

    Returns:
        Nested dict with the names of the message's fields; arrays flat and in wire type.
    """
    people = list(report.people.values())
    return {
        "header": {"stamp": ns_to_stamp(report.stamp_ns), "frame_id": report.frame_id},
        "model_name": report.model_name,
        "model_version": report.model_version,
        "window_s": float(report.window_s),
        "horizons_s": _flat(report.horizons_s, np.float32),
        "fit": int(report.verdict),
        **{name: _flat(getattr(report.overall, name), np.float32) for name in _FIT_FIELDS},
        "person_ids": list(report.people),
        **{f"person_{name}": _flat([getattr(p, name) for p in people], np.float32) for name in _FIT_FIELDS},
        "members": list(report.members),
        "weights": _flat([p.weights for p in people] if report.members else None, np.float32),
        **_learning_fields(report.learning),
    }


def _learning_fields(learning: Learning | None) -> dict[str, Any]:
    if learning is None:
        nothing = np.empty(0, np.float32)
        names = ("learning_model_error_m", "learning_error_m", "learning_share", "learning_outcomes")
        return {"learning": "", **dict.fromkeys(names, nothing), "learnt_s": 0.0, "learning_remark": ""}
    return {
        "learning": learning.mode,
        "learning_model_error_m": _flat(learning.shipped_m, np.float32),
        "learning_error_m": _flat(learning.learnt_m, np.float32),
        "learning_share": _flat(learning.share, np.float32),
        "learning_outcomes": _flat(learning.outcomes, np.float32),
        "learnt_s": float(learning.learnt_s),
        "learning_remark": learning.remark,
    }


def _learning_from_message(msg: Any, h: int) -> Learning | None:
    mode = str(getattr(msg, "learning", ""))  # recordings of older versions have no such fields
    if not mode:
        return None
    names = ("learning_model_error_m", "learning_error_m", "learning_share", "learning_outcomes")
    shipped, learnt, share, outcomes = (array_of(msg, name, (h,), np.float32).copy() for name in names)
    return Learning(mode, shipped, learnt, share, outcomes, float(msg.learnt_s), str(msg.learning_remark))


def self_check_from_message(msg: Any) -> SelfCheckReport:
    """A `SelfCheck` as a `SelfCheckReport`: arrays (horizons,) of all and of each person, weights (horizons, members).

    Args:
        msg: an `aux_motion_msgs/SelfCheck` of rclpy or rosbags.

    Returns:
        SelfCheckReport that shares no memory with the message.

    Raises:
        MessageError: lengths that do not fit horizons, people and members; an unknown value of `fit`.
    """
    if int(msg.fit) > max(FitVerdict):
        raise MessageError(f"fit {int(msg.fit)} is unknown: expected 0 to {int(max(FitVerdict))}")
    people, h, members = [str(i) for i in msg.person_ids], len(msg.horizons_s), [str(m) for m in msg.members]
    each = {n: array_of(msg, f"person_{n}", (len(people), h), np.float32) for n in _FIT_FIELDS}
    weights = _optional(msg, "weights", (len(people), h, len(members)), np.float32) if members else None
    return SelfCheckReport(
        stamp_ns=stamp_to_ns(msg.header.stamp),
        frame_id=str(msg.header.frame_id),
        model_name=str(msg.model_name),
        model_version=str(msg.model_version),
        window_s=float(msg.window_s),
        horizons_s=np.array(msg.horizons_s, np.float32).round(6),
        verdict=FitVerdict(int(msg.fit)),
        overall=Fit(**{n: array_of(msg, n, (h,), np.float32).copy() for n in _FIT_FIELDS}),
        people={
            person_id: Fit(
                **{n: values[k].copy() for n, values in each.items()},
                weights=None if weights is None else weights[k].copy(),
            )
            for k, person_id in enumerate(people)
        },
        members=tuple(members),
        learning=_learning_from_message(msg, h),
    )


def batch_from_message(msg: Any) -> PredictionBatch:
    """A `PredictionArray` as a `PredictionBatch`.

    Args:
        msg: an `aux_motion_msgs/PredictionArray` of rclpy or rosbags.

    Returns:
        Batch that shares no memory with the message.

    Raises:
        MessageError: lengths that do not fit steps and joint names, unknown states.
    """
    steps, joints = int(msg.steps), len(msg.joint_names)
    people = []
    for p in msg.people:
        if int(p.state) > max(TrackState):
            raise MessageError(f"state {int(p.state)} is unknown: expected 0 to {int(max(TrackState))}")
        radius = _optional(p, "radius", (steps, joints), np.float32)
        scale = _optional(p, "scale", (steps, joints, 3), np.float32)
        # recordings of older versions have no such fields
        older = not hasattr(p, "body_radius")
        body_radius = None if older else _optional(p, "body_radius", (steps, joints), np.float32)
        people.append(
            MotionPrediction(
                person_id=str(p.id),
                state=TrackState(int(p.state)),
                reasons=Reason(int(p.reasons)),
                stamp_ns=stamp_to_ns(p.stamp),
                last_observed_ns=stamp_to_ns(p.last_observed),
                age_s=float(p.age_s),
                valid_until_ns=stamp_to_ns(p.valid_until),
                mean=array_of(p, "mean", (steps, joints, 3), np.float32).copy(),
                recovered=array_of(p, "recovered", (joints, 3), np.float32).copy(),
                joint_status=array_of(p, "joint_status", (joints,), np.uint8).copy(),
                radius_basis=str(p.radius_basis),
                radius_coverage=float(p.radius_coverage),
                radius=None if radius is None else radius.copy(),
                scale=None if scale is None else scale.copy(),
                body_radius=None if body_radius is None else body_radius.copy(),
                body_coverage=float("nan") if older else float(p.body_coverage),
            )
        )
    return PredictionBatch(
        stamp_ns=stamp_to_ns(msg.header.stamp),
        frame_id=str(msg.header.frame_id),
        model_name=str(msg.model_name),
        model_version=str(msg.model_version),
        dt_s=round(float(msg.dt_s), 6),  # float32 on the wire: 0.04 comes as 0.0399999991
        steps=steps,
        joint_names=tuple(str(n) for n in msg.joint_names),
        people=tuple(people),
        processing_time_s=float(msg.processing_time_s),
        view=view_from_message(msg),
    )
