# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A command never writes over what it reads, nor over what is no file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aux_motion_core.outputs import target


class OverwriteError(ValueError):
    """An output that is one of the inputs, in one line."""


def refuse_overwrite(reads: Iterable[Path | None], writes: Iterable[Path | None]) -> None:
    """See that no output is an input, by whatever name or link, nor lies inside of one that is a folder.

    It is checked before the work, as is that each output is a file, or nothing yet.

    Args:
        reads: files and folders that are read; None: none.
        writes: files that will be written; None: none.

    Raises:
        OverwriteError: one is.
        OutputError: one is a folder, a device or a pipe.
    """
    inputs = [path for path in reads if path is not None]
    for out in (path for path in writes if path is not None):
        for path in inputs:
            same = out.exists() and path.exists() and out.samefile(path)
            inside = path.is_dir() and path.resolve() in out.resolve().parents
            if same or inside:
                raise OverwriteError(
                    f"{out} is read as {path}: writing it would destroy the recording; name another file"
                )
        target(out)
