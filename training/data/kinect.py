# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Kinect recordings: the v1 gesture set, and v2 CSV files of LabanotationSuite."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import INDEX, JOINTS, N_JOINTS
from training.data.clip import Clip, make_clip, z_up
from training.data.cmu import load_table

V1_RATE_HZ = 30.0
V1_SOURCE = "Kinect v1 gestures published with Boyinglby/ADM_SignLangRecog"
V1_LICENCE = "MIT; who recorded it is not certain: validation only, never training of what is shipped"
_V1_NAMES = {"pelvis": "spine_base", "spine": "spine_mid"}

V2_SOURCE = "microsoft/LabanotationSuite, Kinect v2"
V2_JOINTS: tuple[str, ...] = (
    "pelvis", "spine", "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle",
    "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "spine_shoulder", "left_hand_tip",
    "left_thumb", "right_hand_tip", "right_thumb",
)  # fmt: skip


def load_kinect_gestures(path: Path) -> list[Clip]:
    """All clips of clips.npz.

    The file has y up and z away from the camera, with x to the camera's left: right-handed.
    """
    try:
        with np.load(path, allow_pickle=False) as f:
            positions, table = f["positions_mm"], f["clip_signer_word_rep_length"]
            joints, words = [str(j) for j in f["joints"]], [str(w) for w in f["words"]]
    except (KeyError, OSError, ValueError) as e:
        raise ValueError(f"{path}: expected the Kinect gesture archive's clips.npz ({e})") from None
    if int(table[:, 3].sum()) != len(positions):
        raise ValueError(f"{path}: expected {table[:, 3].sum()} frames by its clips, got {len(positions)}")
    order = [joints.index(_V1_NAMES.get(j, j)) for j in JOINTS]
    seen = (positions != 0).any(-1)[:, order]
    positions = z_up(positions[:, order].astype(np.float32)) / 1000.0
    clips, start = [], 0
    for signer, word, repetition, length in table.tolist():
        part = slice(start, start + length)
        name = f"kinect_gestures/s{signer}_{words[word]}_{repetition}"
        clips.append(
            make_clip(
                name,
                f"kinect_signer_{signer}",
                "gesture",
                V1_RATE_HZ,
                positions[part],
                V1_LICENCE,
                V1_SOURCE,
                mask=seen[part],
            )
        )
        start += length
    return clips


def load_laban_csv(path: Path, name: str) -> Clip:
    """One Kinect v2 CSV: time in 100 ns ticks, then x, y, z, state of 25 joints; state 0 is masked."""
    table = load_table(path, 1 + 4 * len(V2_JOINTS))
    stamps = (table[:, 0] - table[0, 0]) * 1e-7
    keep = np.concatenate([[True], np.diff(stamps) > 0])
    table, stamps = table[keep], stamps[keep]
    joints = table[:, 1:].reshape(len(table), len(V2_JOINTS), 4)[:, :N_JOINTS]
    order = np.array([V2_JOINTS.index(j) for j in JOINTS])
    joints = joints[:, order]
    mask = (joints[..., 3] > 0) & (joints[..., :3] != 0).any(-1)
    rate = 1.0 / float(np.median(np.diff(stamps))) if len(stamps) > 1 else 30.0
    return make_clip(
        name, "laban", "gesture", rate, z_up(joints[..., :3]), "MIT", V2_SOURCE, mask=mask, stamps_s=stamps
    )


#: columns of the assembly files, three each
ASSEMBLY_JOINTS = (
    "left_wrist",
    "right_wrist",
    "left_elbow",
    "right_elbow",
    "left_shoulder",
    "right_shoulder",
)


def load_assembly_arms(path: Path, name: str, nominal_rate_hz: float = 30.0) -> Clip:
    """One trial of the assembly data: six joints in the camera's frame (x right, y down, z forward).

    The recordings state no rate: `nominal_rate_hz` is a guess, so errors over time mean nothing.
    """
    lines = Path(path).read_text().split("\n", 1)
    delimiter = "," if "," in lines[0] else None
    table = load_table(path, 3 * len(ASSEMBLY_JOINTS), delimiter)
    camera = table.reshape(len(table), len(ASSEMBLY_JOINTS), 3)
    positions = np.full((len(table), N_JOINTS, 3), np.nan)
    to = [INDEX[j] for j in ASSEMBLY_JOINTS]
    positions[:, to] = np.stack([camera[..., 2], -camera[..., 0], -camera[..., 1]], -1)
    mask = np.zeros((len(table), N_JOINTS), bool)
    mask[:, to] = (camera != 0).any(-1)
    return make_clip(
        name, "human_assembly", "assembly", nominal_rate_hz, positions, "MIT",
        "intelligent-control-lab/Human_Assembly_Data, RealSense D415 and OpenPose", mask=mask,
    )  # fmt: skip
