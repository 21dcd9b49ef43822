# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Files that are written whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from aux_motion.commands.evaluate_problems import EvaluateError
from aux_motion_core.outputs import OutputError, beside, target


def write_text(path: Path, text: str) -> Path:
    """Write a file whole or not at all; what UTF-8 has no characters for, as in odd names of files, becomes `?`.

    Raises:
        EvaluateError: it cannot be written, for instance because the disk is full.
    """
    part = None
    try:
        place = target(path)
        part = beside(place)
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", errors="replace")
        part.replace(place)
        part = None
    except OutputError as error:
        raise EvaluateError(str(error)) from None
    except OSError as error:
        raise EvaluateError(
            f"cannot write {path}: {error.strerror or error}; free some space or write elsewhere"
        ) from None
    finally:
        if part is not None:
            with suppress(OSError):  # its folder may be none
                part.unlink(missing_ok=True)
    return path
