# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The level frame of a fixed camera, estimated from the people that it sees."""

from __future__ import annotations

import numpy as np

from aux_motion.commands.people_tracker import MODEL_STATURE_M
from aux_motion_core.camera.geometry import (
    TORSO,
    Detection,
    LevelFrame,
    feet_in_camera,
    median_direction,
    solve_body,
    stature,
    up_direction,
)
from aux_motion_core.camera.intrinsics import Camera


def estimate_level(
    camera: Camera,
    pictures: list[list[Detection]],
    person_height_m: float,
    up: np.ndarray | None = None,
    height_m: float | None = None,
) -> LevelFrame:
    """The level frame, from what is given and, for the rest, from the people that were seen.

    Up is the median of straight standing bodies; the camera's height is that above the lowest feet.

    Args:
        camera: intrinsics.
        pictures: detections of each picture.
        person_height_m: body height.
        up: (3,) direction in the camera frame, where it is known.
        height_m: of the camera above the floor, where it is known.

    Returns:
        Its `source` says what was given and what estimated.
    """
    seen = []
    for detection in (d for detections in pictures for d in detections):
        if detection.visibility[TORSO].mean() < 0.5 or not 0.8 <= stature(detection.world) <= 2.5:
            continue
        scale = person_height_m / MODEL_STATURE_M
        pose = solve_body(camera, detection, scale)
        if pose is not None:
            seen.append((pose, detection, scale))
    said = []
    if up is None:
        upright = [u for u in (up_direction(pose, d) for pose, d, _ in seen) if u is not None]
        if len(upright) >= 5:
            up = median_direction(np.array(upright))
            said.append(f"up estimated from {len(upright)} views of a straight body")
        else:
            up = np.array([0.0, -1.0, 0.0])
            said.append("camera assumed level (nobody stood straight)")
    else:
        said.append("tilt given")
    level = LevelFrame.from_up(up)
    if height_m is None:
        feet = [
            level.to_level(feet_in_camera(pose, d, scale))[:, 2].min()
            for pose, d, scale in seen
            if d.visibility[27:33].min() >= 0.5
        ]
        if len(feet) >= 5:
            height_m = -float(np.percentile(feet, 10.0))
            said.append(f"height above the lowest feet estimated from {len(feet)} views")
        else:
            height_m = 0.0
            said.append("height unknown: z = 0 is the camera's height")
    else:
        said.append("height given")
    return LevelFrame.from_up(up, height_m, "; ".join(said))
