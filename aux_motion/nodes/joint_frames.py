# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Joints of people as TF frames, under the names of REP-155."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3

from aux_motion.nodes.planner_messages import header
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.types import MotionPrediction, PredictionBatch, TrackState

#: Joint -> link: REP-155's, and for joints that it does not name the same pattern.
LINKS: dict[str, str] = {
    joint: {"pelvis": "body"}.get(joint, re.sub(r"^(l|r)(?:eft|ight)_", r"\1_", joint)) for joint in INDEX
}
#: Who is predicted from what was seen just now.
_SEEN = (TrackState.TRACKING, TrackState.DEGRADED, TrackState.WARMING_UP)
_PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)


def frame_name(prefix: str, joint: str, person_id: str, ahead: str = "") -> str:
    """Name of a joint's frame, such as `l_wrist_7`; what is no letter or digit in an id is an underscore."""
    return f"{prefix}{LINKS[joint]}_{re.sub('[^A-Za-z0-9]', '_', person_id)}{ahead}"


def body_rotation(pose: np.ndarray) -> np.ndarray:
    """REP-155's axes of a body as a quaternion: x forward, y to its left, z from the hips to the neck.

    Args:
        pose: (20, 3) metres.

    Returns:
        (4,) x, y, z, w; no rotation where hips and neck do not tell.
    """
    from scipy.spatial.transform import Rotation  # only where frames are published: it takes long

    up = pose[INDEX["neck"]] - pose[INDEX["pelvis"]]
    left = pose[INDEX["left_hip"]] - pose[INDEX["right_hip"]]
    forward = np.cross(left, up)
    if not np.isfinite(forward).all() or np.linalg.norm(forward) < 1e-3:
        return np.array([0.0, 0.0, 0.0, 1.0])
    z, x = up / np.linalg.norm(up), forward / np.linalg.norm(forward)
    turned: np.ndarray = Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=1)).as_quat()
    return turned


def transforms(batch: PredictionBatch, prefix: str, ahead_s: float) -> list[TransformStamped]:
    """Frames of everybody who is seen, all with the fixed frame as their parent.

    Args:
        batch: predictions.
        prefix: of every name.
        ahead_s: joints predicted for this time after each person's stamp are frames `<link>_<id>_predicted`; 0: none.

    Returns:
        Present joints that are seen, stamped when they were; predicted ones of people who are predicted, all of them,
        under the same stamp: TF interpolates by stamps, and a pose of the future must not be taken for the present's.
    """
    out: list[TransformStamped] = []
    for person in batch.people:
        if person.state not in _SEEN:
            continue
        there = person.joint_status != JointStatus.MISSING
        add = _adder(out, batch, person, prefix)
        add(person.recovered, there, "")
        if ahead_s > 0.0 and person.state in _PREDICTED:
            add(_pose_at(person, batch.dt_s, ahead_s), np.ones_like(there), "_predicted")
    return out


def _pose_at(person: MotionPrediction, dt_s: float, ahead_s: float) -> np.ndarray:
    """(20, 3) metres `ahead_s` after the person's stamp, linear between steps."""
    poses = np.concatenate([person.recovered[None], person.mean])
    step = min(ahead_s / dt_s, len(poses) - 1.0)
    before = min(int(step), len(poses) - 2)
    pose: np.ndarray = poses[before] + (step - before) * (poses[before + 1] - poses[before])
    return pose


def _adder(
    out: list[TransformStamped], batch: PredictionBatch, person: MotionPrediction, prefix: str
) -> Callable[[np.ndarray, np.ndarray, str], None]:
    """What appends a pose of that person."""
    about: Any = header(batch.frame_id, person.last_observed_ns)

    def add(pose: np.ndarray, there: np.ndarray, suffix: str) -> None:
        turned = body_rotation(np.where(there[:, None], pose, np.nan)).tolist()
        for joint, row in INDEX.items():
            if not (there[row] and np.isfinite(pose[row]).all()):
                continue
            x, y, z = pose[row].tolist()
            q = turned if joint == "pelvis" else (0.0, 0.0, 0.0, 1.0)
            place = Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3]))
            child = frame_name(prefix, joint, person.person_id, suffix)
            out.append(TransformStamped(header=about, child_frame_id=child, transform=place))

    return add
