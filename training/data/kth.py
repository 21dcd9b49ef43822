# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""KTH handovers: two people, OptiTrack upper bodies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import INDEX, N_JOINTS
from training.data.clip import Clip, make_clip
from training.data.cmu import load_table

RATE_HZ = 120.0
SOURCE = "KTH-RPL/handovers_dataset"
LICENCE = "MIT"
#: segment, whose pose sits at its near joint -> body20 joint
SEGMENTS: dict[str, str] = {
    "hip": "pelvis",
    "ab": "spine",
    "neck": "neck",
    "head": "head",
    "LUArm": "left_shoulder",
    "LFArm": "left_elbow",
    "LHand": "left_wrist",
    "RUArm": "right_shoulder",
    "RFArm": "right_elbow",
    "RHand": "right_wrist",
}
#: as many frames with the very same position are a held value, not a measurement
HELD_FRAMES = 3


def load_handover(folder: Path) -> list[Clip]:
    """Giver and taker of one handover; the frame has z up. Occluded (held) stretches are masked."""
    clips = []
    for person in ("giver", "taker"):
        tables = {j: load_table(folder / f"{person}_{s}_pose_saved.csv", 7, header=1) for s, j in SEGMENTS.items()}
        frames = {len(t) for t in tables.values()}
        if len(frames) != 1:
            raise ValueError(f"{folder}: the {person}'s segments differ in their rows: {sorted(frames)}")
        positions = np.full((frames.pop(), N_JOINTS, 3), np.nan)
        for joint, table in tables.items():
            positions[:, INDEX[joint]] = table[:, :3]
        clips.append(
            make_clip(
                f"kth/{folder.name}/{person}",
                f"kth_{folder.name}",
                "handover",
                RATE_HZ,
                positions,
                LICENCE,
                SOURCE,
                mask=~held(positions),
            )
        )
    return clips


def held(positions: np.ndarray, frames: int = HELD_FRAMES) -> np.ndarray:
    """(frames, joints) true where a position repeats the one before it, in runs of `frames` and more."""
    same = np.zeros(positions.shape[:2], bool)
    same[1:] = (np.diff(positions, axis=0) == 0).all(-1)
    out = np.zeros_like(same)
    for j in np.flatnonzero(same.any(0)):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], same[:, j], [0]]).astype(int)))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            out[a:b, j] = b - a >= frames
    return out
