# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Pages whose figures are written by the command that measured them, between two markers."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, begin: str, end: str, text: str) -> None:
    """Put a text between the markers of a page.

    Raises:
        ValueError: the page has not both markers.
    """
    before, has_begin, rest = path.read_text(encoding="utf-8").partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        raise ValueError(f"{path}: expected the marker {begin} and then {end}: add them where the text goes")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
