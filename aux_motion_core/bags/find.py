# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Which bags are meant by files and folders."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

_SUFFIXES = (".mcap", ".db3", ".bag", ".zstd")


def find_bags(paths: Iterable[Path], leave_out: Collection[str] = ()) -> list[Path]:
    """The bags named: files, bag folders, and every bag in other folders.

    A folder is one bag when it has a metadata.yaml, or holds only the numbered files that ros2 bag makes of one
    recording, counted from 0 (`walk_0.mcap`, `walk_1.mcap`).

    Args:
        paths: files and folders.
        leave_out: names of files that are no recordings, such as results.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir() or is_bag(path):
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.name not in leave_out and not p.name.startswith("."))
        bags_inside = [p for p in inside if (p.is_dir() and is_bag(p)) or (p.is_file() and p.suffix in _SUFFIXES)]
        found += bags_inside or [path]  # without one: reading it says so
    return list(dict.fromkeys(found))


def is_bag(folder: Path) -> bool:
    """Whether a folder is one bag."""
    if (folder / "metadata.yaml").is_file():
        return True
    files = [p for p in folder.iterdir() if p.is_file() and p.suffix in _SUFFIXES]
    parts = [re.fullmatch(r"(.*)_(\d+)\.(mcap|db3)(\.zstd)?", p.name) for p in files]
    matches = [p for p in parts if p is not None]
    if not files or len(matches) < len(files):
        return False
    # ros2 bag counts the files of one recording from 0
    return len({p[1] for p in matches}) == 1 and sorted(int(p[2]) for p in matches) == list(range(len(matches)))
