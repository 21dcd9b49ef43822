# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Between messages of rclpy and the core's types; the rules of the wire are in `aux_motion_core.wire.messages`."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from aux_motion_msgs.msg import PersonPrediction, PredictionArray, SelfCheck, SkeletonArray
from builtin_interfaces.msg import Time

from aux_motion_core.constants import NS
from aux_motion_core.types import MotionPrediction, PredictionBatch, SelfCheckReport, SkeletonFrame
from aux_motion_core.wire.messages import (
    frame_fields,
    frame_from_message,
    person_fields,
    prediction_fields,
    self_check_fields,
)

__all__ = [
    "PredictionWriter",
    "fill",
    "frame_from_message",
    "prediction_message",
    "self_check_message",
    "skeleton_message",
]

_TYPE_CODE = {np.dtype(np.float32): "f", np.dtype(np.uint8): "B"}


def _value(value: Any) -> Any:
    """A field's value as rclpy stores it fastest: arrays by their bytes, times as messages."""
    if isinstance(value, np.ndarray):
        flat = array.array(_TYPE_CODE[value.dtype])
        flat.frombytes(value.tobytes())
        return flat
    if isinstance(value, dict):
        return Time(**value)
    return value


def fill(message: Any, fields: dict[str, Any]) -> Any:
    """Set the fields of a message of rclpy from the core's plain values; returns the message."""
    for name, value in fields.items():
        setattr(message, name, _value(value))
    return message


def prediction_message(batch: PredictionBatch) -> PredictionArray:
    """A batch as a message of its own; `PredictionWriter` is faster where that is not needed.

    Args:
        batch: every known person.

    Returns:
        The message, which shares no memory with the batch.
    """
    fields = prediction_fields(batch)
    message = PredictionArray()
    fill(message.header, fields.pop("header"))
    message.people = [fill(PersonPrediction(), person) for person in fields.pop("people")]
    return fill(message, fields)


class _Slot:
    """The message of one person; its arrays are written in place.

    Args:
        person: whose arrays' sizes and presence it takes.
    """

    __slots__ = ("_views", "message")

    def __init__(self, person: MotionPrediction) -> None:
        self.message = fill(PersonPrediction(), person_fields(person))
        self._views = []
        for name, kind in _ARRAYS:
            values = getattr(person, name)
            if values is not None:  # what the message holds now: some distributions' setters copy
                view = np.frombuffer(getattr(self.message, name), kind).reshape(np.shape(values))
                self._views.append((name, view))

    def fill(self, person: MotionPrediction) -> PersonPrediction:
        """Write the values of a person of the same shapes."""
        message = self.message
        message.id, message.state, message.reasons = person.person_id, int(person.state), int(person.reasons)
        _set_time(message.stamp, person.stamp_ns)
        _set_time(message.last_observed, person.last_observed_ns)
        _set_time(message.valid_until, person.valid_until_ns)
        message.age_s = float(person.age_s)
        message.radius_basis, message.radius_coverage = person.radius_basis, float(person.radius_coverage)
        message.body_coverage = float(person.body_coverage)
        for name, view in self._views:
            view[...] = getattr(person, name)
        return message


_ARRAYS = (
    ("mean", np.float32),
    ("scale", np.float32),
    ("radius", np.float32),
    ("body_radius", np.float32),
    ("joint_status", np.uint8),
    ("recovered", np.float32),
)


def _set_time(time: Time, ns: int) -> None:
    time.sec, time.nanosec = divmod(int(ns), NS)


class PredictionWriter:
    """Writes batches into one message and reuses its buffers, for messages that are published at once."""

    def __init__(self) -> None:
        self._message = PredictionArray()
        self._slots: dict[tuple[Any, ...], list[_Slot]] = {}
        self._names: tuple[str, ...] = ()

    def fill(self, batch: PredictionBatch) -> PredictionArray:
        """The batch as `prediction_message` writes it; the next call writes into the same message.

        Args:
            batch: every known person.
        """
        message = self._message
        _set_time(message.header.stamp, batch.stamp_ns)
        message.header.frame_id = batch.frame_id
        message.model_name, message.model_version = batch.model_name, batch.model_version
        if batch.joint_names != self._names:
            self._names, message.joint_names = batch.joint_names, list(batch.joint_names)
        message.steps, message.dt_s = int(batch.steps), float(batch.dt_s)
        message.processing_time_s = float(batch.processing_time_s)
        view = batch.view
        message.view, message.view_reasons = int(view.view), int(view.reasons)
        message.unplaced_people = int(view.unplaced_people)
        _set_time(message.oldest_input, max(view.oldest_input_ns, 0))
        used: dict[tuple[Any, ...], int] = {}
        people = []
        for person in batch.people:
            kind = (
                person.mean.shape,
                person.scale is not None,
                person.radius is not None,
                person.body_radius is not None,
            )
            slots = self._slots.setdefault(kind, [])
            k = used[kind] = used.get(kind, -1) + 1
            if k == len(slots):
                slots.append(_Slot(person))
            people.append(slots[k].fill(person))
        message.people = people
        return message


def self_check_message(report: SelfCheckReport) -> SelfCheck:
    """A report of the self-check as a message.

    Args:
        report: of the predictor.
    """
    fields = self_check_fields(report)
    message = SelfCheck()
    fill(message.header, fields.pop("header"))
    return fill(message, fields)


def skeleton_message(frame: SkeletonFrame) -> SkeletonArray:
    """A frame as a message.

    Args:
        frame: all people seen at one time.

    Returns:
        The message, which shares no memory with the frame.
    """
    fields = frame_fields(frame)
    message = SkeletonArray()
    fill(message.header, fields.pop("header"))
    return fill(message, fields)
