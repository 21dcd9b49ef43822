# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What was learnt, in a file: written whole or not at all, read without pickle, refused where it does not belong."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aux_motion_core.outputs import OutputError, target

VERSION = 2
#: A file is no larger, bytes.
LARGEST = 2_000_000
_REMEDY = "learning starts from nothing"


class LearnedFileError(ValueError):
    """A file of what was learnt that cannot be used or written, in one line."""


@dataclass(frozen=True)
class Identity:
    """What a correction belongs to: with another of these it is worth nothing.

    Attributes:
        model: sha256 of the network's file, or name and version of what has none.
        tracker: what sends the skeletons.
        joints: joint list given to the tracker; empty: its own.
        grid: history, horizon and spacing of the model's grid.
    """

    model: str
    tracker: str = ""
    joints: str = ""
    grid: str = ""


def save(path: str | Path, identity: Identity, arrays: dict[str, np.ndarray]) -> None:
    """Write beside the file, force it to the disk and put it in the file's place.

    Raises:
        LearnedFileError: it cannot be written (a full disk, no folder, no file), or would be too large; what was there
            stays.
    """
    part = None
    about = json.dumps({"version": VERSION, **asdict(identity)})
    try:
        place = target(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}.", suffix=".part", delete=False) as f:
            part = f.name
            content: dict[str, Any] = {"about": np.frombuffer(about.encode(), np.uint8), **arrays}
            np.savez(f, **content)
            size = f.tell()
            f.flush()
            os.fsync(f.fileno())
        if size > LARGEST:
            raise LearnedFileError(f"{path}: expected at most {LARGEST} bytes, got {size}: not written")
        os.replace(part, place)
        part = None
        with suppress(OSError):  # some file systems have no folders to sync
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OutputError as error:
        raise LearnedFileError(str(error)) from None
    except OSError as error:
        raise LearnedFileError(
            f"{path}: what was learnt cannot be written: {error.strerror or error}: make room or name another file"
        ) from None
    finally:
        if part is not None:
            with suppress(OSError):
                os.unlink(part)


def load(path: str | Path, identity: Identity, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Read a file that belongs to `identity`.

    Args:
        path: of the file.
        identity: what it must belong to.
        shapes: arrays that must be there, with their shapes.

    Raises:
        FileNotFoundError: there is none yet.
        LearnedFileError: it is damaged, of another version, or belongs to something else.
    """
    path = Path(path)
    arrays: dict[str, np.ndarray] = {}
    about: dict = {}
    try:
        if path.stat().st_size > 2 * LARGEST:
            raise LearnedFileError(f"{path}: expected at most {LARGEST} bytes, it is larger: {_REMEDY}")
        with open(path, "rb") as f:
            if not zipfile.is_zipfile(f):  # numpy would take it for a pickle
                raise ValueError("it is no npz file, or cut off")
            f.seek(0)
            with np.load(f, allow_pickle=False) as content:
                about = json.loads(content["about"].tobytes().decode())
                if not isinstance(about, dict):
                    raise ValueError("it does not say what it belongs to")
                arrays = {name: content[name] for name in shapes if name in content.files}
    except (FileNotFoundError, LearnedFileError):
        raise
    except Exception as error:  # a damaged archive raises what zipfile, zlib, json and numpy have
        said = " ".join(str(error).split())
        raise LearnedFileError(f"{path}: cannot be read ({said}): {_REMEDY}") from None
    if about.get("version") != VERSION:
        raise LearnedFileError(f"{path}: expected version {VERSION}, got {about.get('version')}: {_REMEDY}")
    for name, wanted in asdict(identity).items():
        if about.get(name) != wanted:
            before, now = _short(about.get(name)), _short(wanted)
            raise LearnedFileError(f"{path}: learnt with {name} {before}, this is {now}: {_REMEDY}")
    for name, shape in shapes.items():
        got = arrays.get(name)
        if got is None or got.shape != shape or got.dtype.kind != "f" or not np.isfinite(got).all():
            found = "none" if got is None else f"{got.dtype} {got.shape}"
            raise LearnedFileError(f"{path}: {name}: expected finite numbers {shape}, got {found}: {_REMEDY}")
    return arrays


def _short(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= 24 else text[:12] + "...")
