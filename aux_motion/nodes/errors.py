# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Errors as text."""

from __future__ import annotations


def one_line(error: BaseException) -> str:
    """The message of an error in one line; the name of its class where it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
