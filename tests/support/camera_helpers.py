# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A body as a landmark model says it."""

from __future__ import annotations

import numpy as np


def standing() -> np.ndarray:
    """A standing MediaPipe body (33, 3), 1.7 m, axes of the camera (y down), around the middle of the hips."""
    world = np.zeros((33, 3))
    left = {11: (0.19, -0.49), 13: (0.24, -0.2), 15: (0.25, 0.04), 23: (0.1, 0.0), 25: (0.1, 0.4165)}
    left |= {27: (0.1, 0.8347), 29: (0.1, 0.88), 31: (0.1, 0.88), 17: (0.25, 0.1), 19: (0.25, 0.12)}
    left |= {7: (0.07, -0.7), 21: (0.23, 0.08)}
    for i, (x, y) in left.items():
        world[i] = x, y, 0.0
        world[i + 1] = -x, y, 0.0
    world[[31, 32], 2] = -0.2
    world[[29, 30], 2] = 0.05
    world[[13, 14], 2] = 0.06
    world[:7] = 0.0, -0.7, -0.1
    world[9:11] = 0.0, -0.65, -0.1
    return world
