# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings of people at work, and of trackers, in the one layout of their `.npz` files.

Each file holds `positions` float32 (all frames, 20, 3) in metres, z up, in `body20` order, NaN where a joint is
missing; clip i is `positions[start[i]:start[i + 1]]`; `clip`, `subject`, `label`, `group`, `fps` one a clip; `times` in
seconds where the source has stamps; `source` and `licence`. What each is good for: `training/splits/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import JOINTS, N_JOINTS
from training.data.clip import Clip, make_clip


@dataclass(frozen=True)
class WorkSet:
    """How a file's clips are named and grouped.

    Attributes:
        file: its name in the data folder.
        group: the field that tells what was recorded together, `group` or `subject`.
        trainable: may what is shipped be trained on it.
    """

    file: str
    group: str
    trainable: bool


#: first part of a clip's name -> its file
SETS: dict[str, WorkSet] = {
    "hra": WorkSet("hrc_vicon_upper.npz", "group", True),
    "cmu62": WorkSet("cmu_62_construction.npz", "subject", True),
    "cmu_walks": WorkSet("cmu_walks_new.npz", "subject", True),
    "cmu_dance": WorkSet("cmu_dance_martial.npz", "subject", True),
    "rehab": WorkSet("tracker_kinect2_rehab.npz", "subject", False),
    "nuitrack": WorkSet("tracker_nuitrack_validation.npz", "subject", False),
}
#: Salsa clips k and k + 15 are the two dancers of one recording.
_COUPLES = 15


def _group(kind: str, row: dict[str, str]) -> str:
    if row["subject"] == "cmu_salsa":
        return f"cmu_salsa_{(int(row['clip'].split('/')[1]) - 1) % _COUPLES}"
    return row[SETS[kind].group].replace("/", "_")


def _action(kind: str, label: str) -> str:
    """The motion class: walks are walks, what is in brackets is no motion, and construction is one class."""
    if kind == "cmu_walks":
        return "walking"
    if kind == "cmu62":
        return "construction"
    words = label.split("(")[0].strip().replace(" ", "_")
    return f"dance_{words}" if kind == "cmu_dance" and words != "martial" else words


def load_work(path: Path, kind: str) -> list[Clip]:
    """All clips of one file of `SETS`, named `<kind>/<clip>`.

    Raises:
        ValueError: not such a file; names it and what is wrong.
        OSError: it cannot be read.
    """
    need = ("positions", "start", "clip", "subject", "label", "group", "fps", "joints", "source", "licence")
    try:
        with np.load(path, allow_pickle=False) as f:
            d = {k: f[k] for k in (*need, *(k for k in ("times",) if k in f.files))}
    except (KeyError, ValueError) as e:
        raise ValueError(f"{path}: expected the arrays {', '.join(need)} ({e}); get the file again") from None
    positions, start, n = d["positions"], d["start"], len(d["clip"])
    if tuple(map(str, d["joints"])) != JOINTS or positions.shape[1:] != (N_JOINTS, 3):
        raise ValueError(f"{path}: expected the {N_JOINTS} joints of body20 in order, got {d['joints'][:3]}, ...")
    if len(start) != n + 1 or start[0] != 0 or start[-1] != len(positions) or (np.diff(start) < 1).any():
        raise ValueError(f"{path}: expected {n + 1} ascending starts up to {len(positions)}, got {len(start)}")
    clips = []
    for i in range(n):
        part = slice(int(start[i]), int(start[i + 1]))
        row = {k: str(d[k][i]) for k in ("clip", "subject", "label", "group")}
        stamps, keep = None, slice(None)
        if "times" in d:
            stamps = d["times"][part] - d["times"][part.start]
            keep = np.concatenate([[True], np.diff(np.maximum.accumulate(stamps)) > 0])
            stamps = stamps[keep]
        name = row["clip"] if row["clip"].startswith(f"{kind}/") else f"{kind}/{row['clip']}"
        clips.append(
            make_clip(
                name,
                _group(kind, row),
                _action(kind, row["label"]),
                float(d["fps"][i]),
                positions[part][keep],
                str(d["licence"]) + ("" if SETS[kind].trainable else "; validation only, never training of what ships"),
                str(d["source"]),
                stamps_s=stamps,
            )
        )
    return clips
