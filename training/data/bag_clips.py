# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings of a user's own tracker as clips: bags read as the node reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion_core.bags.find import find_bags as bags_of
from aux_motion_core.bags.find import is_bag
from aux_motion_core.bags.inputs import Recorded
from aux_motion_core.skeleton import INDEX, N_JOINTS, JointStatus, derive_joints
from training.data.clip import Clip, make_clip

#: A person unseen for longer starts a new clip, seconds.
_CUT_S = 1.0
_FEET = [INDEX[n] for n in ("left_ankle", "right_ankle", "left_foot", "right_foot", "left_knee", "right_knee")]
_HEAD = [INDEX["head"], INDEX["neck"]]


def find_bags(folder: Path) -> list[Path]:
    """The bags of a folder: bag folders, .mcap and .db3 files; or the folder itself.

    Raises:
        ValueError: there is none.
    """
    if not folder.is_dir():
        raise ValueError(f"--bags {folder}: no such folder: expected one with bags (bag folders, .mcap or .db3 files)")
    found = [path for path in bags_of([folder]) if path != folder or is_bag(folder)]
    if not found:
        raise ValueError(f"--bags {folder}: no bag in it: expected bag folders, .mcap or .db3 files")
    return found


def bag_clips(
    bag: Path,
    tracker: str | None = None,
    topic: str | None = None,
    fixed_frame: str = "",
    transforms: tuple[str, ...] = (),
) -> list[Clip]:
    """Everybody in a bag, one clip for each uninterrupted stay. What the tracker guessed is not observed.

    Args:
        bag: folder or file.
        tracker: its adapter; None: told by the message type.
        topic: where the bag has several.
        fixed_frame: z up, not accelerating; empty: the frame of the first people.
        transforms: poses of other frames in it, "camera x y z qx qy qz qw".

    Raises:
        ValueError: the bag cannot be read, holds nobody, or is not z up.
    """
    bad: list[ValueError] = []
    values = {"fixed_frame": fixed_frame, "static_transforms": list(transforms) or [""]}
    recorded = Recorded(bag, values, topic, tracker)
    fixed_frame = recorded.config.fixed_frame
    stays: dict[str, list[list[tuple[int, np.ndarray, np.ndarray]]]] = {}
    for _, frame in recorded.frames(bad.append):
        positions, status = derive_joints(np.asarray(frame.positions, np.float64), np.asarray(frame.status, np.uint8))
        seen = np.isin(status, (JointStatus.OBSERVED, JointStatus.DERIVED)) & np.isfinite(positions).all(-1)
        for person, row in zip(frame.person_ids, range(len(positions)), strict=True):
            parts = stays.setdefault(person, [[]])
            last = parts[-1]
            if last and not 0 < frame.stamp_ns - last[-1][0] <= _CUT_S * 1e9:
                if frame.stamp_ns == last[-1][0]:
                    continue
                parts.append([])
            parts[-1].append((frame.stamp_ns, positions[row], seen[row]))
    clips = []
    for person, parts in stays.items():
        for k, part in enumerate(parts):
            if len(part) < 2:
                continue
            stamps_s = np.array([p[0] for p in part]) * 1e-9
            positions, mask = (np.stack([p[i] for p in part]) for i in (1, 2))
            rate = 1.0 / float(np.median(np.diff(stamps_s)))
            name = f"{bag.stem}/{person}/{k}"
            positions = np.where(mask[..., None], positions, np.nan)
            clips.append(make_clip(name, bag.stem, "own", rate, positions, "own", str(bag.name), mask, stamps_s))
    if not clips:
        raise ValueError(f"{bag}: nobody in it is seen twice" + (f"; the first bad message: {bad[0]}" if bad else ""))
    _z_up(bag, fixed_frame, clips)
    return clips


def _z_up(bag: Path, frame: str, clips: list[Clip]) -> None:
    above = []
    for clip in clips:
        for i in range(0, len(clip.positions), 10):
            head, feet = ([j for j in part if clip.mask[i, j]] for part in (_HEAD, _FEET))
            if head and feet:
                above.append(clip.positions[i, head, 2].mean() > clip.positions[i, feet, 2].mean())
    if above and np.mean(above) < 0.5:
        raise ValueError(
            f"{bag}: heads are below feet in {100 * (1 - np.mean(above)):.0f} % of the frames: {frame!r} is not z up; "
            "give --fixed-frame and --static-transform as for the node"
        )


def joints_seen(clips: list[Clip]) -> np.ndarray:
    """(20,) share of the frames in which each joint is observed."""
    masks = np.concatenate([c.mask for c in clips]) if clips else np.zeros((1, N_JOINTS), bool)
    return masks.mean(0)
