# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Human3.6M in the exponential-map text layout that the motion-prediction papers share (Jain et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import JOINTS
from training.data import cmu
from training.data.clip import Clip, make_clip
from training.data.cmu import TextSkeleton, load_table, text_kinematics
from training.data.sources import Options, Source, complete, existing, skeletons_file, some

RATE_HZ = 50.0
SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
ACTIONS = (
    "directions", "discussion", "eating", "greeting", "phoning", "posing", "purchases", "sitting", "sittingdown",
    "smoking", "takingphoto", "waiting", "walking", "walkingdog", "walkingtogether",
)  # fmt: skip
SOURCE = "Human3.6M (Ionescu et al., TPAMI 2014), vision.imar.ro/human3.6m"
LICENCE = "academic use only, on registration; neither the data nor what is made of it may be redistributed"
LAYOUT = "S1, S5, S6, S7, S8, S9, S11 each with <action>_1.txt and <action>_2.txt of 15 actions, 99 columns"

JOINT_MAP: dict[str, str] = {
    "pelvis": "Hips",
    "spine": "Spine1",
    "neck": "Neck",
    "head": "Head",
    **{
        f"{side}_{part}": side.title() + name
        for side in ("left", "right")
        for part, name in (
            ("shoulder", "Arm"),
            ("elbow", "ForeArm"),
            ("wrist", "Hand"),
            ("hand", "WristEnd"),
            ("hip", "UpLeg"),
            ("knee", "Leg"),
            ("ankle", "Foot"),
            ("foot", "ToeBase"),
        )
    },
}


def load_skeleton(path: Path) -> TextSkeleton:
    """Read `h36m32` of skeletons.json; offsets (32, 3) in mm."""
    return cmu.load_skeleton(path, "h36m32")


def load_h36m_positions(path: Path, skeletons_json: Path, keep_root: bool = True) -> np.ndarray:
    """Joint positions of one text file.

    Args:
        path: rows of 99 numbers: root translation in mm, then an exponential map for each of 32 joints.
        skeletons_json: file with the skeleton `h36m32`.
        keep_root: False sets root translation and rotation to zero, as the papers do.

    Returns:
        (frames, 32, 3) in mm, in the recording's frame.

    Raises:
        ValueError: another number of columns, no number, NaN or Inf; names file and line.
    """
    skeleton = load_skeleton(Path(skeletons_json))
    rows = load_table(path, 3 + 3 * len(skeleton.joints))
    if not keep_root:
        rows[:, :6] = 0.0
    return text_kinematics(rows, skeleton)


def find(folder: Path, options: Options) -> list[Source]:
    """All text files, `S1/walking_1` and so on."""
    root = existing(folder, LAYOUT)
    root = next((p for p in (root, root / "dataset", root / "h36m") if (p / SUBJECTS[0]).is_dir()), root)
    skeletons = skeletons_file(root, options)
    files = [p for s in SUBJECTS for p in (root / s).glob("*.txt")]
    sources = some([Source(f"{p.parent.name}/{p.stem}", p, (skeletons,)) for p in files], folder, LAYOUT)
    expected = [f"{s}/{a}_{n}" for s in SUBJECTS for a in ACTIONS for n in (1, 2)]
    return complete(sources, expected, folder, options)


def load(source: Source) -> list[Clip]:
    """One file as a clip; the recording's frame has z up."""
    positions = load_h36m_positions(source.path, source.needs[0])
    joints = load_skeleton(source.needs[0]).joints
    positions = positions[:, [joints.index(JOINT_MAP[j]) for j in JOINTS]] / 1000.0
    action = source.path.stem.rsplit("_", 1)[0]
    group = f"h36m_{source.path.parent.name}"
    return [make_clip(f"h36m/{source.name}", group, action, RATE_HZ, positions, LICENCE, SOURCE)]
