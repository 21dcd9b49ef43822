# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Where a file is written that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class OutputError(ValueError):
    """A name that no file can be written under, in one line."""


def target(path: str | Path) -> Path:
    """The file that a name leads to; a link stays, and what it points to is written.

    Raises:
        OutputError: something is there that is no file: another put in its place would destroy it.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; name another file") from None
    if kind != stat.S_IFREG:
        raise OutputError(
            f"cannot write {path}: expected a file, it is {_KINDS.get(kind, 'something else')}; name a file"
        )
    return Path(os.path.realpath(path))


def beside(path: Path) -> Path:
    """A new name in the folder of a file, to write what then takes its place; no other process uses it."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
