# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Files that are written whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from aux_motion.commands.evaluate_problems import EvaluateError


def write_text(path: Path, text: str) -> Path:
    """Write a file whole or not at all.

    Raises:
        EvaluateError: it cannot be written, for instance because the disk is full.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # its folder may be none
            part.unlink(missing_ok=True)
        raise EvaluateError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another --out"
        ) from None
    return path
