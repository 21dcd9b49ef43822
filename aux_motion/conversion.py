"""Between messages of rclpy and the core's types; the rules of the wire are in `aux_motion_core.messages`."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
from aux_motion_msgs.msg import PersonPrediction, PredictionArray, SkeletonArray
from builtin_interfaces.msg import Time

from aux_motion_core.messages import frame_fields, frame_from_message, prediction_fields
from aux_motion_core.types import PredictionBatch, SkeletonFrame

__all__ = ["frame_from_message", "prediction_message", "skeleton_message"]

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


def _fill(message: Any, fields: dict[str, Any]) -> Any:
    for name, value in fields.items():
        setattr(message, name, _value(value))
    return message


def prediction_message(batch: PredictionBatch) -> PredictionArray:
    """A batch as a message, about 0.1 ms for one person.

    Args:
        batch: every known person.

    Returns:
        The message, which shares no memory with the batch.
    """
    fields = prediction_fields(batch)
    message = PredictionArray()
    _fill(message.header, fields.pop("header"))
    message.people = [_fill(PersonPrediction(), person) for person in fields.pop("people")]
    return _fill(message, fields)


def skeleton_message(frame: SkeletonFrame) -> SkeletonArray:
    """A frame as a message.

    Args:
        frame: all people seen at one time.

    Returns:
        The message, which shares no memory with the frame.
    """
    fields = frame_fields(frame)
    message = SkeletonArray()
    _fill(message.header, fields.pop("header"))
    return _fill(message, fields)
