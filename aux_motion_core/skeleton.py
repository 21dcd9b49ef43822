# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The skeleton `body20`: joint names, kinematic tree, mirror pairs, joint status."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

JOINTS: tuple[str, ...] = (
    "pelvis",
    "spine",
    "neck",
    "head",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_foot",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
)
N_JOINTS = len(JOINTS)
INDEX: dict[str, int] = {name: i for i, name in enumerate(JOINTS)}

_PARENT_NAME = {
    "pelvis": None,
    "spine": "pelvis",
    "neck": "spine",
    "head": "neck",
    "left_shoulder": "neck",
    "left_elbow": "left_shoulder",
    "left_wrist": "left_elbow",
    "left_hand": "left_wrist",
    "right_shoulder": "neck",
    "right_elbow": "right_shoulder",
    "right_wrist": "right_elbow",
    "right_hand": "right_wrist",
    "left_hip": "pelvis",
    "left_knee": "left_hip",
    "left_ankle": "left_knee",
    "left_foot": "left_ankle",
    "right_hip": "pelvis",
    "right_knee": "right_hip",
    "right_ankle": "right_knee",
    "right_foot": "right_ankle",
}
#: Parent index of each joint, -1 for the root (pelvis).
PARENTS: tuple[int, ...] = tuple(-1 if p is None else INDEX[p] for p in (_PARENT_NAME[j] for j in JOINTS))
#: (parent, child) index pairs.
BONES: tuple[tuple[int, int], ...] = tuple((p, j) for j, p in enumerate(PARENTS) if p >= 0)
#: Permutation that exchanges left and right.
MIRROR: np.ndarray = np.array(
    [INDEX[j.replace("left_", "right_") if j.startswith("left_") else j.replace("right_", "left_")] for j in JOINTS]
)


class JointStatus(IntEnum):
    """How a joint's position came to be (wire values of `joint_status`)."""

    MISSING = 0
    OBSERVED = 1
    DERIVED = 2  # pelvis from the hips, neck from the shoulders
    TRACKER_PREDICTED = 3  # the tracker itself guessed


#: The same as plain numbers: arrays are compared with these in half the time.
MISSING, OBSERVED, DERIVED, TRACKER_PREDICTED = map(int, JointStatus)


def sighted(status: np.ndarray) -> np.ndarray:
    """Which joints were truly seen: those that are missing or that a tracker guessed were not.

    Args:
        status: (...) uint8 `JointStatus`.
    """
    seen: np.ndarray = (status - np.uint8(OBSERVED)) <= DERIVED - OBSERVED  # unsigned: MISSING becomes the largest
    return seen


def derive_joints(positions: np.ndarray, status: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill a missing pelvis from the hips and a missing neck from the shoulders.

    Args:
        positions: (..., 20, 3) metres.
        status: (..., 20) `JointStatus` values.

    Returns:
        Copies of both, derived joints marked `JointStatus.DERIVED`.
    """
    positions = np.array(positions, copy=True)
    status = np.array(status, copy=True)
    for t, a, b in _MIDDLES:
        fill = status[..., t] == MISSING
        if not fill.any():
            continue
        fill &= (status[..., a] != MISSING) & (status[..., b] != MISSING)
        middle = 0.5 * (positions[..., a, :] + positions[..., b, :])
        positions[..., t, :] = np.where(fill[..., None], middle, positions[..., t, :])
        status[..., t] = np.where(fill, DERIVED, status[..., t])
    return positions, status


#: Joints that follow from two others.
_MIDDLES = tuple(
    (INDEX[joint], INDEX[f"left_{of}"], INDEX[f"right_{of}"]) for joint, of in (("pelvis", "hip"), ("neck", "shoulder"))
)
