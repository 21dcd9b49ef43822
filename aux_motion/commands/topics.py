# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Names and message types of ROS topics that a user or a bag gives."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.exceptions import NameValidationException
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name


def message_class(msgtype: str) -> Any | None:
    """The Python class of a message type, or None where its package is not installed."""
    package, _, name = msgtype.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None


def check_topic(name: str, remedy: str) -> None:
    """Check the name of a topic.

    Args:
        name: of a topic.
        remedy: ends the line of the error, what to do.

    Raises:
        ValueError: it is no name of a ROS topic; one line.
    """
    try:
        validate_topic_name(name)
        validate_full_topic_name("/" + name.lstrip("/~"))  # only this one sees //
    except NameValidationException as error:
        reason = str(error).split("\n")[0].rstrip(":").partition("name: ")[2]
        raise ValueError(f"{name!r} is no name of a topic ({reason}): {remedy}") from None
