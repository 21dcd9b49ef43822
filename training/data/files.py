# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Reads text and npz files: whatever is wrong with one is a ValueError that names it; and tries where results go."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no text; names the file.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as e:
        byte = e.object[e.start]
        raise ValueError(f"{path}: expected text, got byte {byte:#04x} at {e.start}: get it again") from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file that are read without pickle.

    Arrays of Python objects are left out: some releases of AMASS have one that nobody needs.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is empty, cut off, damaged or no npz; names the file.
    """
    arrays = {}
    try:
        with open(path, "rb") as f:
            if not zipfile.is_zipfile(f):  # numpy would take it for a pickle
                raise ValueError("it is no zip archive, or cut off")
            f.seek(0)
            with np.load(f, allow_pickle=False) as content:
                for key in content.files:
                    try:
                        arrays[key] = content[key]
                    except ValueError as e:
                        if "allow_pickle" not in str(e):
                            raise
    except OSError:
        raise
    except Exception as e:  # a damaged archive raises what zipfile, zlib and numpy have
        raise ValueError(f"{path}: cannot be read as npz ({e}); get it again") from None
    return arrays


def try_to_write(folder: Path) -> None:
    """Make a folder and write into it, before the work whose results go there is done.

    Raises:
        OSError: it cannot be made or written to; names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as f:
            f.write(b"0")
            f.flush()
    except OSError as e:
        raise OSError(f"{folder}: cannot be written to: {e.strerror}: name another folder, or make room") from None


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside, then rename: a kill or a full disk leaves the previous file whole.

    Raises:
        OSError: it cannot be written; names it.
    """
    part = path.with_suffix(".part")
    try:
        with open(part, "wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise OSError(
            f"{path}: cannot be written: {e.strerror or e}; the one saved before is whole. Make room there and start "
            "again: the run goes on from it"
        ) from None
