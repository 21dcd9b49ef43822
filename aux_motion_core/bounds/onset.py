# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Who stood and now moves: the windows in which a bound made on the average of all motion is tried the hardest.

A window belongs to the group when the person stood in the older part of it, and is elsewhere soon after its newest
step: it lies around the onset of a motion. The second half is known only afterwards, so no radius can be chosen by it.
It says how far a bound may be relied on beside somebody who stands.
"""

from __future__ import annotations

import numpy as np

#: Mean speed of the joints below which a person stands, m/s: the class `still` of evaluation's tables.
STOOD_MPS = 0.15
#: The older part: between so many steps before the newest.
_OLDER_STEPS = (9, 5)
#: Who moves: so many joints (a limb) are so far from where they were, so long after.
MOVED_JOINTS, MOVED_M, MOVED_AFTER_S = 3, 0.3, 0.4
#: What the group is, for reports.
DEFINITION = {
    "stood_below_mps": STOOD_MPS,
    "moved_joints": MOVED_JOINTS,
    "moved_m": MOVED_M,
    "moved_after_s": MOVED_AFTER_S,
}


def stood(values: np.ndarray, mask: np.ndarray, dt_s: float) -> np.ndarray:
    """Whether people stood in the older part of their windows.

    Args:
        values: (N, T, J, 3) metres.
        mask: (N, T, J) bool.
        dt_s: seconds from step to step.

    Returns:
        (N,) bool; False where no joint was seen at both ends of that part, or the window is too short.
    """
    steps = values.shape[1]
    first, last = max(steps - 1 - _OLDER_STEPS[0], 0), steps - 1 - _OLDER_STEPS[1]
    if last <= first:
        return np.zeros(len(values), bool)
    both = mask[:, first] & mask[:, last]
    way = np.where(both, np.linalg.norm(values[:, last] - values[:, first], axis=-1), 0.0)
    speed = way.sum(1) / np.maximum(both.sum(1), 1) / ((last - first) * dt_s)
    return both.any(1) & (speed < STOOD_MPS)


def moved(before: np.ndarray, after: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Whether people are elsewhere.

    Args:
        before: (N, J, 3) metres at the newest step.
        after: (N, J, 3) metres, `MOVED_AFTER_S` later.
        both: (N, J) bool, joints seen at both times.

    Returns:
        (N,) bool.
    """
    far = both & (np.linalg.norm(after - before, axis=-1) > MOVED_M)
    return far.sum(1) >= MOVED_JOINTS
