# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Text in CSV files that people open in a spreadsheet."""

from __future__ import annotations

#: A cell that begins with one of these is a formula to a spreadsheet (OWASP, "CSV Injection").
_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def text_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with a quote before it where it would.

    Args:
        text: from elsewhere, such as the id of a person or the name of a recording.
    """
    return f"'{text}" if text.startswith(_STARTS) else text
