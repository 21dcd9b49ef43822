# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A walking figure for tests and benchmarks: smooth, known motion with constant bone lengths."""

from __future__ import annotations

import numpy as np

from aux_motion_core.skeleton import INDEX, N_JOINTS, JointStatus
from aux_motion_core.types import SkeletonFrame

_THIGH_M, _SHANK_M, _FOOT_M = 0.43, 0.42, 0.15
_UPPER_ARM_M, _FOREARM_M, _HAND_M = 0.30, 0.26, 0.09


def walker(time_s: np.ndarray, phase: float = 0.0, speed_mps: float = 1.1, radius_m: float = 2.0) -> np.ndarray:
    """Poses of somebody who walks in a circle.

    Args:
        time_s: (n,) seconds.
        phase: radians; people with different phases are at different places.
        speed_mps: walking speed.
        radius_m: of the circle around the origin.

    Returns:
        (n, 20, 3) metres, z up, floor near z = 0, left to the person's left.
    """
    time_s = np.asarray(time_s, dtype=float)
    turn = speed_mps / radius_m * time_s + phase
    gait = 2.0 * np.pi * 0.9 * time_s + phase
    local = np.zeros((*time_s.shape, N_JOINTS, 3))  # x forward, y left, z up, from the pelvis

    def put(name: str, x: np.ndarray | float, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        local[..., INDEX[name], 0], local[..., INDEX[name], 1], local[..., INDEX[name], 2] = x, y, z
        return local[..., INDEX[name], :]

    def hang(start: np.ndarray, angle: np.ndarray, length: float) -> tuple[np.ndarray, ...]:
        return start[..., 0] + length * np.sin(angle), start[..., 1], start[..., 2] - length * np.cos(angle)

    put("spine", 0.0, 0.0, 0.12)
    put("neck", 0.02, 0.0, 0.50)
    put("head", 0.05, 0.0, 0.66)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = sign * np.sin(gait)
        hip = put(f"{side}_hip", 0.0, 0.09 * sign, -0.03)
        knee = put(f"{side}_knee", *hang(hip, 0.4 * swing, _THIGH_M))
        bend = 0.35 + 0.30 * np.cos(gait + (0.0 if sign > 0 else np.pi))
        ankle = put(f"{side}_ankle", *hang(knee, 0.4 * swing - bend, _SHANK_M))
        put(f"{side}_foot", *hang(ankle, 0.4 * swing - bend + 1.5, _FOOT_M))
        shoulder = put(f"{side}_shoulder", 0.0, 0.18 * sign, 0.46)
        elbow = put(f"{side}_elbow", *hang(shoulder, -0.35 * swing, _UPPER_ARM_M))
        wrist = put(f"{side}_wrist", *hang(elbow, -0.35 * swing + 0.4, _FOREARM_M))
        put(f"{side}_hand", *hang(wrist, -0.35 * swing + 0.45, _HAND_M))
    heading = turn + np.pi / 2.0
    cos, sin = np.cos(heading)[..., None], np.sin(heading)[..., None]
    root = np.stack([radius_m * np.cos(turn), radius_m * np.sin(turn), 0.93 + 0.02 * np.cos(2.0 * gait)], axis=-1)
    x, y = local[..., 0], local[..., 1]
    turned = np.stack([cos * x - sin * y, sin * x + cos * y, local[..., 2]], axis=-1)
    return turned + root[..., None, :]


def frames(
    people: int, seconds: float, rate_hz: float = 30.0, start_ns: int = 1_000_000_000, frame_id: str = "map"
) -> list[SkeletonFrame]:
    """Fully observed frames of walking people.

    Args:
        people: how many.
        seconds: length.
        rate_hz: frames per second.
        start_ns: first stamp, nanoseconds.
        frame_id: frame of the positions.

    Returns:
        One frame per period.
    """
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    poses = np.stack([walker(times, phase=2.0 * np.pi * p / people) for p in range(people)], axis=1)
    return [
        SkeletonFrame(
            stamp_ns=start_ns + round(t * 1e9),
            frame_id=frame_id,
            person_ids=tuple(f"person_{p}" for p in range(people)),
            positions=poses[i],
            status=np.full((people, N_JOINTS), JointStatus.OBSERVED, np.uint8),
            confidence=np.ones((people, N_JOINTS), np.float32),
        )
        for i, t in enumerate(times)
    ]
