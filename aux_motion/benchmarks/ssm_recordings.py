# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The recorded people of `aux-motion ssm --demo`: the sample's, and those of files that the user gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion.nodes.errors import one_line
from aux_motion_core.bags import reader
from aux_motion_core.evaluation.closed_loop import Motion, motion
from aux_motion_core.skeleton import N_JOINTS

_GAP_S = 0.3
_SHORTEST_S = 2.0
#: tier -> (places of the robot beside each clip, what the recordings are)
TIERS = {
    "sample": (8, "the sample's two people, a tracker's own work"),
    "new_subject": (4, "all trials of CMU subject 02, who is not in the training data"),
    "handover": (8, "KTH handover: two people, upper bodies"),
    "real_tracker": (2, "Kinect v1 gestures, every 27th clip"),
    "own": (8, "bags given with --data"),
}


def sample_motions(folder: Path) -> list[Motion]:
    """The people of the sample bag, in pieces without gaps.

    Raises:
        ValueError: no sample there.
    """
    bag = folder / "sports2d_demo.mcap"
    if not bag.is_file():
        raise ValueError(f"{bag} does not exist: run this from the checkout, or name recordings with --data")
    return bag_motions(bag, "sample")


def bag_motions(bag: Path, tier: str) -> list[Motion]:
    """The people of a bag of skeletons one by one, in pieces without gaps.

    Args:
        bag: with SkeletonArray messages, z up.
        tier: one of `TIERS`.

    Raises:
        BagError: it cannot be read.
    """
    frames = [frame for _, frame in reader.read_skeletons(bag)]
    ids = sorted({i for frame in frames for i in frame.person_ids})
    out = []
    for person in ids:
        mine = [(f, f.person_ids.index(person)) for f in frames if person in f.person_ids]
        stamps = np.array([f.stamp_ns * 1e-9 for f, _ in mine])
        cut = np.flatnonzero(np.diff(stamps) > _GAP_S) + 1
        for k, rows in enumerate(np.split(np.arange(len(mine)), cut)):
            if len(rows) < 2 or stamps[rows[-1]] - stamps[rows[0]] < _SHORTEST_S:
                continue
            x = np.stack([mine[i][0].positions[mine[i][1]] for i in rows])[:, None]
            mask = np.stack([mine[i][0].status[mine[i][1]] for i in rows])[:, None] > 0
            mask &= np.isfinite(x).all(-1)
            out.append(motion(f"{bag.stem}/{person}/{k}", tier, stamps[rows], x, mask, noise=False))
    return out


def given_motions(folder: Path) -> list[Motion]:
    """The recordings in a folder that a user gives: `.npz` files, then bags (`.mcap`), each by name.

    A `.npz` file is one clip (`training.studies.held_out` writes them): `tier` (a key of `TIERS`), `name`, `stamps_s`
    (F,), `positions` (F, P, 20, 3) in metres, z up, `mask` (F, P, 20) bool, and `noise`: whether a tracker's noise is
    added.

    Raises:
        ValueError: no such folder, nothing in it, or a file that cannot be used; one line.
    """
    if not folder.is_dir():
        raise ValueError(f"--data {folder} does not exist: expected the folder with recordings (.npz, .mcap)")
    clips, bags = sorted(folder.glob("*.npz")), sorted(folder.glob("*.mcap"))
    if not clips and not bags:
        raise ValueError(
            f"--data {folder} holds no recordings: expected .npz or .mcap files; python -m training.studies.held_out "
            "makes those of the data archives"
        )
    return [_clip(file) for file in clips] + [m for bag in bags for m in bag_motions(bag, "own")]


def _clip(file: Path) -> Motion:
    try:
        with np.load(file, allow_pickle=False) as f:
            tier, name, noise = str(f["tier"]), str(f["name"]), bool(f["noise"])
            stamps_s, positions, mask = f["stamps_s"], f["positions"], f["mask"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{file} is no recording ({one_line(error)}): see docs/planners.md") from None
    if tier not in TIERS:
        raise ValueError(f"{file}: tier {tier!r}: expected one of {', '.join(TIERS)}")
    if positions.ndim != 4 or positions.shape[2:] != (N_JOINTS, 3) or mask.shape != positions.shape[:3]:
        raise ValueError(
            f"{file}: positions {positions.shape} and mask {mask.shape}: expected (frames, people, {N_JOINTS}, 3) and "
            f"(frames, people, {N_JOINTS})"
        )
    if stamps_s.shape != positions.shape[:1] or len(stamps_s) < 2 or not (np.diff(stamps_s) > 0.0).all():
        raise ValueError(f"{file}: stamps_s: expected {len(positions)} rising numbers, two or more")
    return motion(name, tier, stamps_s, positions, mask, noise=noise)
